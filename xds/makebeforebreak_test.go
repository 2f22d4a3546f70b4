package xds

import (
	"testing"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/types/known/anypb"
)

func TestRemovalsWaitForTheNewToBeAcknowledged(t *testing.T) {
	s, e := start(t, secret("s", "x"), cluster("old", 1), listener("l1", "r1"), listener("l2", "r2"), table("r1", "old"), table("r2", "old"))
	e.boot("r1", "r2")
	e.subscribe(secrets, "s")
	e.take("secret +s")
	e.reach("synced", func(st Status) bool { return st.Synced })

	s.Publish(snapshot(t, cluster("new", 1), listener("l1", "r1"), table("r1", "new")))
	e.take("cluster +new")
	rds := e.expect("route configuration +r1")[0]
	e.quiet() // r1 still directs to old
	if st := s.Status(); st.Acknowledged || st.Synced {
		t.Errorf("before the routes are acknowledged: %+v", st)
	}
	e.ack(rds)
	lds := e.expect("listener -l2")[0]
	e.quiet()
	e.ack(lds)
	e.quiet() // l2 drains and uses r2 until it is unsubscribed
	if st := s.Status(); !st.Acknowledged || st.Synced {
		t.Errorf("while the old listener drains: %+v", st)
	}
	e.unsubscribe(routes, "r2")
	cds := e.expect("cluster -old")[0]
	e.quiet() // the cluster may use the secret
	e.ack(cds)
	e.take("secret -s")
	e.reach("synced", func(st Status) bool { return st.Synced })
	e.quiet()
}

// An Envoy that refuses a table continues with the old one, so the clusters
// of the old one stay.
func TestARefusedTableKeepsItsOldClusters(t *testing.T) {
	s, e := start(t, cluster("old", 1), listener("l", "r"), table("r", "old"))
	e.boot("r")
	s.Publish(snapshot(t, cluster("new", 1), listener("l", "r"), table("r", "new")))
	e.take("cluster +new")
	e.nack(e.expect("route configuration +r")[0], "no")
	e.quiet()
	e.reach("refused", func(st Status) bool { return len(st.Refused()) == 1 })

	// A corrected table lets go.
	s.Publish(snapshot(t, cluster("new", 1), listener("l", "r"), table("r", "new", "new")))
	e.take("route configuration +r", "cluster -old")
	e.reach("synced", func(st Status) bool { return st.Synced })
}

// Publishing the older snapshot undoes a refused one.
func TestRollBack(t *testing.T) {
	good := snapshot(t, cluster("a", 1), listener("l", "r"), table("r", "a"))
	s := newServer()
	s.Publish(good)
	e := dial(t, s, serve(t, s), "fake")
	e.boot("r")
	s.Publish(snapshot(t, cluster("a", 1), cluster("bad", 1), listener("l", "r"), listener("l2", "r"), table("r", "bad")))
	e.nack(e.expect("cluster +bad")[0], "no")
	e.reach("refused", func(st Status) bool { return len(st.Refused()) == 1 })
	e.quiet() // routes to the bad cluster are held back, so nobody is hurt
	s.Publish(good)
	e.take("cluster -bad")
	e.reach("synced", func(st Status) bool { return st.Synced && len(st.Nodes[0].Nacks) == 0 })
	e.quiet()

	s.Publish(snapshot(t, cluster("a", 1), listener("l", "r"), table("r", "a", "a")))
	e.nack(e.expect("route configuration +r")[0], "no")
	e.reach("refused", func(st Status) bool { return len(st.Refused()) == 1 })
	s.Publish(good)
	if st := s.Status(); st.Acknowledged || len(st.Refused()) != 0 || len(st.Nodes[0].Nacks) != 1 {
		t.Errorf("before the old table is acknowledged again: %+v", st)
	}
	e.take("route configuration +r")
	e.reach("synced", func(st Status) bool { return st.Synced && len(st.Nodes[0].Nacks) == 0 })
}

// The translator makes no extensions today; the protocol has them all the same.
func TestOrderOfAllKinds(t *testing.T) {
	with := func(s *Snapshot, version string) *Snapshot {
		for _, k := range []kind{endpoints, extensions} {
			s.items[k] = map[string]*discoveryv3.Resource{k.String(): {Name: k.String(), Version: version, Resource: &anypb.Any{TypeUrl: typeURLs[k]}}}
			s.names[k] = []string{k.String()}
		}
		return s
	}
	s := newServer()
	s.Publish(with(snapshot(t, secret("s", "1"), cluster("a", 1), listener("l", "r"), table("r", "a")), "1"))
	e := dial(t, s, serve(t, s), "fake")
	e.boot("r")
	for _, k := range []kind{endpoints, extensions} {
		e.subscribe(k, k.String())
		e.take(k.String() + " +" + k.String())
	}
	e.subscribe(secrets, "s")
	e.take("secret +s")

	s.Publish(with(snapshot(t, secret("s", "2"), cluster("a", 2), listener("l", "r", policies()), table("r", "a", "a")), "2"))
	e.take("secret +s", "cluster +a", "endpoint assignment +endpoint assignment", "extension configuration +extension configuration",
		"listener +l", "route configuration +r")

	s.Publish(snapshot(t))
	e.take("listener -l")
	e.unsubscribe(routes, "r")
	e.quiet() // the draining listener still has its extension
	e.unsubscribe(extensions, extensions.String())
	e.take("cluster -a", "endpoint assignment -endpoint assignment", "secret -s")
	e.reach("synced", func(st Status) bool { return st.Synced })
}

// Envoy waits for the addresses of a cluster that it is given anew, but does not ask
// for them, on a stream of before or on a new one.
func TestAClusterGetsItsAddressesAgain(t *testing.T) {
	const c, addresses = "cluster +c", "endpoint assignment +endpoints of c"
	s := newServer()
	publish := func(timeout int) {
		s.Publish(snapshot(t, discovered("c", timeout), endpointsOf("c", "127.0.0.1:1"), listener("l", "r"), table("r", "c")))
	}
	publish(1)
	at := serve(t, s)
	e := dial(t, s, at, "fake")
	e.subscribe(clusters)
	first := e.expect(c)
	e.subscribe(endpoints, "endpoints of c")
	second := e.expect(addresses)
	e.quiet() // once is enough
	e.ack(second...)
	e.ack(first...)
	e.quiet()

	publish(2)
	got := e.expect(c, addresses)
	e.quiet()
	e.ack(got[1], got[0])
	had := map[string]string{got[1].Resources[0].Name: got[1].Resources[0].Version}
	e.close()

	e = dial(t, s, at, "fake")
	publish(3)
	e.subscribe(clusters)
	first = e.expect(c)
	e.send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: typeURLs[endpoints], ResourceNamesSubscribe: []string{"endpoints of c"}, InitialResourceVersions: had})
	second = e.expect(addresses)
	e.ack(second...)
	e.ack(first...)
	e.quiet()
}

// What was removed and comes back is sent again, even if the removal is not
// answered yet.
func TestAResourceComesBack(t *testing.T) {
	both := snapshot(t, cluster("a", 1), cluster("b", 1), listener("l", "r"), table("r", "a"))
	s := newServer()
	s.Publish(both)
	e := dial(t, s, serve(t, s), "fake")
	e.boot("r")
	s.Publish(snapshot(t, cluster("a", 1), listener("l", "r"), table("r", "a")))
	gone := e.expect("cluster -b")[0]
	s.Publish(both)
	e.take("cluster +b")
	e.ack(gone)
	e.reach("synced", func(st Status) bool { return st.Synced })
	e.quiet()
}

// A route to a cluster that still warms would answer 503.
func TestRoutesWaitForNewClusters(t *testing.T) {
	s, e := start(t, cluster("a", 1), listener("l", "r"), table("r", "a"))
	e.boot("r")
	s.Publish(snapshot(t, cluster("b", 1), listener("l", "r"), table("r", "b")))
	cds := e.expect("cluster +b")[0]
	e.quiet()
	e.ack(cds)
	e.take("route configuration +r", "cluster -a")

	// A cluster that only changes serves as before while the new one warms.
	s.Publish(snapshot(t, cluster("b", 2), listener("l", "r"), table("r", "b", "b")))
	e.expect("cluster +b")
	e.take("route configuration +r")
	e.quiet()
}

// A new cluster that never warms delays routes for a bounded time, and later
// edits not at all.
func TestPatienceWithNewClustersIsBounded(t *testing.T) {
	now := time.Unix(0, 0)
	m := newModel(t, &now)
	s := m.session
	m.publish(snapshot(t, cluster("a", 1), listener("l", "r"), table("r", "a")))
	m.boot()
	m.acknowledgeAll()

	m.publish(snapshot(t, cluster("a", 1), cluster("b", 1), listener("l", "r"), table("r", "b")))
	m.step("cluster +b")
	now = now.Add(time.Second)
	if r, wait := s.next(m.snap, now); r != nil || wait != patience-time.Second {
		t.Fatalf("got %v and a wait of %v", r, wait)
	}
	now = now.Add(patience)
	m.lax = true
	m.step("route configuration +r")

	m.publish(snapshot(t, cluster("a", 1), cluster("b", 1), listener("l", "r"), table("r", "b", "a")))
	m.step("route configuration +r")

	// An edit of the cluster starts the wait again; its removal ends it.
	m.publish(snapshot(t, cluster("a", 1), cluster("b", 2), listener("l", "r"), table("r", "a", "b")))
	m.step("cluster +b")
	if r, wait := s.next(m.snap, now); r != nil || wait != patience {
		t.Fatalf("got %v and a wait of %v", r, wait)
	}
	m.publish(snapshot(t, cluster("a", 1), listener("l", "r"), table("r", "a")))
	m.step("route configuration +r")
}

// The server wakes up by itself when the patience ends.
func TestPatienceEnds(t *testing.T) {
	s := newServer()
	s.patience = time.Millisecond
	s.Publish(snapshot(t, cluster("a", 1), listener("l", "r"), table("r", "a")))
	e := dial(t, s, serve(t, s), "fake")
	e.boot("r")
	s.Publish(snapshot(t, cluster("a", 1), cluster("b", 1), listener("l", "r"), table("r", "b")))
	e.expect("cluster +b", "route configuration +r")
}

// While anything is held back nothing is removed, for not all that this Envoy
// has was looked at.
func TestNothingIsRemovedWhileUpdatesWait(t *testing.T) {
	old := snapshot(t, cluster("a", 1), cluster("old", 1), listener("l", "r"), table("r", "a"), table("drains", "old"))
	now := time.Unix(0, 0)
	m := newModel(t, &now)
	m.lax = true
	m.publish(snapshot(t, cluster("a", 1), cluster("new", 1), listener("l", "r"), table("r", "a")))
	for _, k := range []kind{clusters, listeners, routes} {
		req := &discoveryv3.DeltaDiscoveryRequest{TypeUrl: typeURLs[k], InitialResourceVersions: map[string]string{}}
		for _, name := range old.names[k] {
			req.InitialResourceVersions[name] = old.find(k, name).Version
		}
		if k == routes {
			req.ResourceNamesSubscribe = old.names[k]
		}
		m.request(req)
	}
	next := func(want string) {
		t.Helper()
		r, _ := m.session.next(m.snap, now)
		if r == nil && want != "" || r != nil && text(r) != want {
			t.Fatalf("got %v, want %q", r, want)
		}
		if r != nil {
			m.open = append(m.open, &discoveryv3.DeltaDiscoveryRequest{TypeUrl: r.TypeUrl, ResponseNonce: r.Nonce})
		}
	}
	next("cluster +new")
	next("")
	m.answer(0)
	next("listener")
	next("") // the table that drains still directs to the old cluster
	m.request(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: typeURLs[routes], ResourceNamesUnsubscribe: []string{"drains"}})
	next("cluster -old")
}

// A cluster stays for a while when no route leads to it any more, each for itself,
// and one that is used again meanwhile stays for good.
func TestClustersLinger(t *testing.T) {
	now := time.Now()
	m := newModel(t, &now)
	m.session.grace = time.Minute
	m.publish(snapshot(t, cluster("a", 1), cluster("b", 1)))
	m.boot()
	settle(m)
	m.publish(snapshot(t, cluster("b", 1)))
	if r, wait := m.session.next(m.snap, now); r != nil || wait != time.Minute {
		t.Fatalf("got %v, %v; want to wait for a minute", r, wait)
	}
	now = now.Add(40 * time.Second)
	m.publish(snapshot(t))
	if r, wait := m.session.next(m.snap, now); r != nil || wait != 20*time.Second {
		t.Fatalf("got %v, %v; want to wait for 20 s", r, wait)
	}
	now = now.Add(20 * time.Second)
	m.step("cluster -a")
	m.publish(snapshot(t, cluster("b", 1)))
	settle(m)
	now = now.Add(time.Hour)
	m.publish(snapshot(t))
	if r, wait := m.session.next(m.snap, now); r != nil || wait != time.Minute {
		t.Fatalf("got %v, %v; want to wait for a minute again", r, wait)
	}
}

// settle lets the Envoy take and acknowledge everything.
func settle(m *model) {
	for m.take(true) {
		m.acknowledgeAll()
	}
	m.acknowledgeAll()
}

// A cluster on which filters have streams stays longer; so does one that an Envoy
// has from a server of before, and of which nobody knows.
func TestClustersWithStreamsLingerLonger(t *testing.T) {
	now := time.Now()
	of := func(names ...string) *Snapshot {
		var ms []message
		for _, name := range names {
			ms = append(ms, cluster(name, 1))
		}
		r := resources(ms...)
		r.Held = map[string]bool{"held": true}
		s, err := NewSnapshot(r)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	m := newModel(t, &now)
	m.session.grace, m.session.heldGrace = time.Minute, time.Hour
	m.publish(of("a", "held"))
	m.boot()
	settle(m)
	m.publish(of())
	if r, wait := m.session.next(m.snap, now); r != nil || wait != time.Minute {
		t.Fatalf("got %v, %v; want to wait for a minute", r, wait)
	}
	now = now.Add(time.Minute)
	m.step("cluster -a")
	if r, wait := m.session.next(m.snap, now); r != nil || wait != 59*time.Minute {
		t.Fatalf("got %v, %v; want to wait for the rest of an hour", r, wait)
	}
	now = now.Add(time.Hour)
	m.step("cluster -held")

	s := newServer()
	s.heldGrace = time.Hour
	s.Publish(of("a"))
	e := dial(t, s, serve(t, s), "fake")
	e.send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: typeURLs[clusters], InitialResourceVersions: map[string]string{"a": of("a").find(clusters, "a").Version, "unknown": "1"}})
	e.subscribe(listeners)
	e.ack(e.expect("cluster", "listener")...)
	s.Publish(of())
	e.take("cluster -a")
	e.quiet()
}
