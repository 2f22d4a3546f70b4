package xds

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
)

// A model is an Envoy without a connection. It applies responses as they come
// and checks that nothing that it uses is missing; it answers them later.
type model struct {
	t       *testing.T
	session *session
	snap    *Snapshot
	now     *time.Time
	open    []*discoveryv3.DeltaDiscoveryRequest // answers not yet given
	held    [kinds]map[string]*discoveryv3.Resource
	// drains maps a listener that was removed to the table that it still uses.
	drains map[string]string
	// warming holds new clusters by the nonce that will be answered when they
	// are warm.
	warming map[string][]*discoveryv3.Resource
	lax     bool // the session may have lost its patience
}

func newModel(t *testing.T, now *time.Time) *model {
	m := &model{t: t, session: newSession(patience, 0, 0), now: now,
		drains: map[string]string{}, warming: map[string][]*discoveryv3.Resource{}}
	for k := range m.held {
		m.held[k] = map[string]*discoveryv3.Resource{}
	}
	return m
}

func (m *model) publish(s *Snapshot) { m.snap = s }

func (m *model) request(req *discoveryv3.DeltaDiscoveryRequest) { m.session.receive(req, *m.now) }

func (m *model) boot() {
	m.request(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: typeURLs[clusters]})
	m.request(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: typeURLs[listeners]})
}

// step takes this response and accepts it.
func (m *model) step(want string) {
	m.t.Helper()
	r, _ := m.session.next(m.snap, *m.now)
	if r == nil || text(r) != want {
		m.t.Fatalf("got %v, want %q", r, want)
	}
	m.apply(r, true)
}

// take takes one response, if there is one.
func (m *model) take(accept bool) bool {
	r, _ := m.session.next(m.snap, *m.now)
	if r != nil {
		m.apply(r, accept)
	}
	return r != nil
}

func (m *model) apply(r *reply, accept bool) {
	k, _ := kindOf(r.TypeUrl)
	req := &discoveryv3.DeltaDiscoveryRequest{TypeUrl: r.TypeUrl, ResponseNonce: r.Nonce}
	m.open = append(m.open, req)
	if !accept && len(r.Resources) > 0 {
		req.ErrorDetail = &rpcstatus.Status{Message: "no"}
		return
	}
	for _, res := range r.Resources {
		if k == clusters && m.held[k][res.Name] == nil {
			m.warming[r.Nonce] = append(m.warming[r.Nonce], res)
			continue
		}
		m.held[k][res.Name] = res
		if k == listeners {
			delete(m.drains, res.Name)
		}
	}
	for _, name := range r.RemovedResources {
		if l := m.held[k][name]; k == listeners && l != nil {
			m.drains[name] = tableOf(m.t, l)
		}
		delete(m.held[k], name)
		for nonce, list := range m.warming {
			m.warming[nonce] = slices.DeleteFunc(list, func(r *discoveryv3.Resource) bool { return k == clusters && r.Name == name })
		}
	}
	m.follow()
	m.check()
}

// answer gives the oldest answer of the same type as the one at i.
func (m *model) answer(i int) {
	i = slices.IndexFunc(m.open, func(r *discoveryv3.DeltaDiscoveryRequest) bool { return r.TypeUrl == m.open[i].TypeUrl })
	req := m.open[i]
	m.open = slices.Delete(m.open, i, i+1)
	for _, res := range m.warming[req.ResponseNonce] {
		m.held[clusters][res.Name] = res
	}
	delete(m.warming, req.ResponseNonce)
	m.request(req)
}

// follow subscribes to the tables that listeners name and leaves the others.
func (m *model) follow() {
	used := map[string]bool{}
	for _, l := range m.held[listeners] {
		used[tableOf(m.t, l)] = true
	}
	for _, name := range m.drains {
		used[name] = true
	}
	subscribed := map[string]bool{}
	for name, e := range m.session.types[routes].entries {
		subscribed[name] = e.subscribed
	}
	req := &discoveryv3.DeltaDiscoveryRequest{TypeUrl: typeURLs[routes]}
	for _, name := range slices.Sorted(maps.Keys(used)) {
		if !subscribed[name] {
			req.ResourceNamesSubscribe = append(req.ResourceNamesSubscribe, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(subscribed)) {
		if !used[name] {
			req.ResourceNamesUnsubscribe = append(req.ResourceNamesUnsubscribe, name)
			delete(m.held[routes], name)
		}
	}
	if len(req.ResourceNamesSubscribe)+len(req.ResourceNamesUnsubscribe) > 0 {
		m.request(req)
	}
}

// check makes sure that every route that is in force has its cluster.
func (m *model) check() {
	m.t.Helper()
	if m.lax {
		return
	}
	for name, res := range m.held[routes] {
		rc := &routev3.RouteConfiguration{}
		if err := res.Resource.UnmarshalTo(rc); err != nil {
			m.t.Fatal(err)
		}
		for _, r := range rc.VirtualHosts[0].Routes {
			if c := r.GetRoute().GetCluster(); m.held[clusters][c] == nil {
				m.t.Fatalf("table %s directs to cluster %s, which is gone or not there yet", name, c)
			}
		}
	}
}

func (m *model) acknowledgeAll() {
	for m.take(true) || len(m.open) > 0 {
		if len(m.open) > 0 {
			m.answer(0)
		}
	}
}

func tableOf(t *testing.T, res *discoveryv3.Resource) string {
	l := &listenerv3.Listener{}
	if err := res.Resource.UnmarshalTo(l); err != nil {
		t.Fatal(err)
	}
	return l.StatPrefix
}

// Whatever is published, and however an Envoy answers, no route in force loses
// its cluster, and in the end the Envoy has the last snapshot and nothing else.
func TestRandomEdits(t *testing.T) {
	for seed := range uint64(100) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		now := time.Unix(0, 0)
		m := newModel(t, &now)
		m.publish(randomly(t, rnd))
		m.boot()
		for range 400 {
			switch n := rnd.IntN(20); {
			case n == 0:
				m.publish(randomly(t, rnd))
			case n == 1 && len(m.drains) > 0: // a listener has drained
				clear(m.drains)
				m.follow()
			case n < 10:
				m.take(rnd.IntN(5) > 0)
			case len(m.open) > 0:
				m.answer(rnd.IntN(len(m.open)))
			}
		}
		m.publish(randomly(t, rnd))
		m.acknowledgeAll()
		// What was refused last and is published again unchanged stays refused.
		if n := m.session.status(m.snap); len(n.Nacks) > 0 {
			m.publish(randomly(t, rnd))
			m.acknowledgeAll()
		}
		clear(m.drains)
		m.follow()
		m.acknowledgeAll()
		if t.Failed() {
			t.Fatalf("with seed %d", seed)
		}
		n := m.session.status(m.snap)
		if len(n.Nacks) > 0 {
			continue // refused by chance in its present content
		}
		if !n.Acknowledged || !n.Synced {
			t.Fatalf("seed %d: not synced: %+v", seed, n)
		}
		for _, k := range []kind{clusters, listeners} {
			if got := slices.Sorted(maps.Keys(m.held[k])); !slices.Equal(got, m.snap.names[k]) {
				t.Fatalf("seed %d: has %s %q, want %q", seed, k, got, m.snap.names[k])
			}
		}
		for k := range kinds {
			for name, res := range m.held[k] {
				if res.Version != m.snap.find(k, name).Version {
					t.Fatalf("seed %d: %s %s is old", seed, k, name)
				}
			}
		}
		if len(m.session.responses) != 0 {
			t.Fatalf("seed %d: %d responses are remembered", seed, len(m.session.responses))
		}
	}
}

// randomly makes a snapshot of up to five clusters and three listeners.
func randomly(t *testing.T, rnd *rand.Rand) *Snapshot {
	var ms []message
	var names []string
	for i := range 5 {
		if i == 0 || rnd.IntN(2) == 0 {
			c := cluster(fmt.Sprint("c", i), 1+rnd.IntN(3))
			c.ConnectTimeout.Nanos = rnd.Int32N(1e9) // hardly ever the same twice
			if i == 0 {
				c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STRICT_DNS}
			}
			ms, names = append(ms, c), append(names, c.Name)
		}
	}
	for i := range 3 {
		if i > 0 && rnd.IntN(2) == 0 {
			continue
		}
		rc := fmt.Sprint("r", rnd.IntN(4))
		ms = append(ms, listener(fmt.Sprint("l", i), rc))
		if slices.ContainsFunc(ms, func(m message) bool { return m.GetName() == rc }) {
			continue
		}
		ms = append(ms, table(rc, names[rnd.IntN(len(names))], names[rnd.IntN(len(names))]))
	}
	return snapshot(t, ms...)
}
