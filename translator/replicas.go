package translator

import (
	"cmp"
	"slices"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	previoushostsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/retry/host/previous_hosts/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/attache-dev/attache/config"
)

// replicaRetries is how often a request is tried with another replica of our
// service, and replicaPause how long it waits before it.
const (
	replicaRetries = 3
	replicaPause   = 10 * time.Millisecond
)

// ownCluster adds the cluster of our service and returns its name. Its replicas
// are in the order of their addresses, so that all make the same of a file. A cluster
// that is edited resets what is in our service, so where they are comes by EDS. Names
// cannot, and stand in the cluster, as does with TLS whom to expect; then another list
// is another cluster.
func (t *translation) ownCluster() string {
	targets := append([]config.Target{t.opts.ExtProc}, t.opts.Replicas...)
	slices.SortFunc(targets, func(a, b config.Target) int {
		return cmp.Or(cmp.Compare(a.Unix, b.Unix), cmp.Compare(a.Host, b.Host), cmp.Compare(a.Port, b.Port))
	})
	targets = slices.Compact(targets)
	first := targets[max(slices.IndexFunc(targets, isName), 0)] // tells whether DNS is asked
	name := extProcCluster
	if !t.elsewhere && (t.opts.ServiceTLS || isName(first)) {
		name = listedExtProcCluster(targets, t.opts.ServiceTLS)
	}
	t.extProcCluster(name, first, nil, "")
	c := t.clusters[name]
	if t.opts.ServiceTLS {
		c.TransportSocket = serviceTLS(targets)
	}
	if t.elsewhere || isName(first) {
		c.LoadAssignment.Endpoints = endpoints(targets)
		return name
	}
	c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_EDS}
	c.EdsClusterConfig = &clusterv3.Cluster_EdsClusterConfig{EdsConfig: adsSource(), ServiceName: extProcEndpoints}
	c.LoadAssignment = nil
	t.place(extProcEndpoints, "")
	t.out.Endpoints = []*endpointv3.ClusterLoadAssignment{{ClusterName: extProcEndpoints, Endpoints: endpoints(targets)}}
	return name
}

// replicated tells whether our service may have another replica to turn to.
func (t *translation) replicated() bool { return len(t.opts.Replicas) > 0 || isName(t.opts.ExtProc) }

// retryElsewhere sends what a replica has not begun to answer to another one: it
// holds its first answer until the request is decided, so nothing is decided
// twice. Without another replica there is no point, and Envoy would keep a copy
// of each request for it.
func retryElsewhere() *corev3.RetryPolicy {
	pause := durationpb.New(replicaPause)
	return &corev3.RetryPolicy{
		RetryOn:      "connect-failure,refused-stream,reset-before-request,reset,unavailable",
		NumRetries:   wrapperspb.UInt32(replicaRetries),
		RetryBackOff: &corev3.BackoffStrategy{BaseInterval: pause, MaxInterval: pause},
		RetryHostPredicate: []*corev3.RetryPolicy_RetryHostPredicate{{
			Name:       "envoy.retry_host_predicates.previous_hosts",
			ConfigType: &corev3.RetryPolicy_RetryHostPredicate_TypedConfig{TypedConfig: mustAny(&previoushostsv3.PreviousHostsPredicate{})},
		}},
		HostSelectionRetryMaxAttempts: replicaRetries,
	}
}
