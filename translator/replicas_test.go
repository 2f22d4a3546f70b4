package translator

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	"google.golang.org/protobuf/proto"

	"github.com/attache-dev/attache/config"
)

// TestReplicas: whatever order a replica has its own and the others' addresses in,
// it makes the same of a file. There is something to retry with where there may be
// another replica. What an edit would change in the cluster is in its name.
func TestReplicas(t *testing.T) {
	one, two := config.Target{Host: "10.0.0.1", Port: 1}, config.Target{Host: "10.0.0.2", Port: 1}
	name := config.Target{Host: "attache.default.svc", Port: 1}
	made := map[string]*clusterv3.Cluster{}
	for _, test := range []struct {
		tls    bool
		own    config.Target
		others []config.Target
		want   string
	}{
		{own: one, want: "EDS 10.0.0.1 false"},
		{own: one, others: []config.Target{two, one}, want: "EDS 10.0.0.1 10.0.0.2 true"},
		{own: two, others: []config.Target{one}, want: "EDS 10.0.0.1 10.0.0.2 true"},
		{tls: true, own: one, want: "EDS 10.0.0.1 false"},
		{tls: true, own: two, others: []config.Target{one}, want: "EDS 10.0.0.1 10.0.0.2 true"},
		{own: name, want: "STRICT_DNS attache.default.svc true"},
		{own: one, others: []config.Target{name}, want: "STRICT_DNS 10.0.0.1 attache.default.svc true"},
		{own: two, others: []config.Target{name}, want: "STRICT_DNS 10.0.0.2 attache.default.svc true"},
		{tls: true, own: two, others: []config.Target{name}, want: "STRICT_DNS 10.0.0.2 attache.default.svc true"},
	} {
		tr := &translation{
			cfg:      &config.Config{},
			opts:     Options{ExtProc: test.own, Replicas: test.others, ServiceTLS: test.tls},
			out:      &Resources{Held: map[string]bool{}, Places: map[string]string{}},
			clusters: map[string]*clusterv3.Cluster{},
		}
		name := tr.ownCluster()
		c := tr.clusters[name]
		if before := made[name]; before != nil && !proto.Equal(before, c) {
			t.Errorf("%v and %v: the cluster %s is %v, and was %v", test.own, test.others, name, c, before)
		}
		made[name] = c
		words := []string{c.GetType().String()}
		where := c.LoadAssignment
		if c.GetType() == clusterv3.Cluster_EDS {
			where = tr.out.Endpoints[0]
			if where.ClusterName != c.EdsClusterConfig.ServiceName {
				t.Errorf("the endpoints are called %s, and the cluster asks for %s", where.ClusterName, c.EdsClusterConfig.ServiceName)
			}
		}
		for _, e := range where.Endpoints[0].LbEndpoints {
			words = append(words, e.GetEndpoint().GetAddress().GetSocketAddress().GetAddress())
		}
		if got := strings.Join(append(words, fmt.Sprint(tr.replicated())), " "); got != test.want {
			t.Errorf("%v and %v: got %s, want %s", test.own, test.others, got, test.want)
		}
	}
	if p := retryElsewhere(); !slices.Contains(strings.Split(p.RetryOn, ","), "connect-failure") || p.NumRetries.GetValue() == 0 {
		t.Errorf("nothing is retried: %v", p)
	}
}
