package xds

import (
	"testing"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
)

// judged waits for a verdict.
func (e *fakeEnvoy) judged(what string, done func(Verdict) bool) (v Verdict) {
	e.tb.Helper()
	e.reach(what, func(Status) bool {
		v = e.server.Judge()
		return done(v)
	})
	return v
}

func accepted(v Verdict) bool { return v.Accepted }
func refused(v Verdict) bool  { return len(v.Refused) > 0 }

// What every Envoy has acknowledged is accepted, and what is refused after that
// has to go. Going back is accepted again.
func TestJudge(t *testing.T) {
	good := snapshot(t, cluster("a", 1), listener("l", "r"), table("r", "a"))
	s := newServer()
	if v := s.Judge(); v.Accepted || refused(v) {
		t.Errorf("before the first publication: %+v", v)
	}
	s.Publish(good)
	if v := s.Judge(); v.Accepted || refused(v) {
		t.Errorf("without an Envoy: %+v", v)
	}
	e := dial(t, s, serve(t, s), "fake")
	e.boot()
	e.subscribe(routes, "r")
	rds := e.expect("route configuration +r")[0]
	if v := s.Judge(); v.Accepted {
		t.Error("accepted before the routes were")
	}
	e.ack(rds)
	e.judged("accepted", accepted)

	s.Publish(snapshot(t, cluster("a", 2), listener("l", "r"), table("r", "a", "a")))
	e.take("cluster +a")
	e.nack(e.expect("route configuration +r")[0], "no")
	v := e.judged("refused", refused)
	if n := v.Refused[0]; v.Accepted || n.Node != "fake" || n.Resource != "r" || n.Place != "gw.yaml:3:1: binds[2]" || !n.Published {
		t.Errorf("got %+v", v)
	}
	if v := s.Judge(); !refused(v) {
		t.Errorf("asked again: %+v", v)
	}

	s.Publish(good)
	if v := s.Judge(); !v.Accepted {
		t.Errorf("gone back: %+v", v)
	}
	e.take("cluster +a", "route configuration +r")
	e.reach("synced", func(st Status) bool { return st.Synced })
	if n := s.Nacks(); n["route configuration"] != 1 || n["cluster"] != 0 {
		t.Errorf("counted %v", n)
	}
}

// A refusal that another publication has overtaken counts if that has the same
// mistake, and only then.
func TestJudgeALateRefusal(t *testing.T) {
	s := newServer()
	s.Publish(snapshot(t, cluster("a", 1), listener("l", "r"), table("r", "a")))
	e := dial(t, s, serve(t, s), "fake")
	e.boot("r")
	e.judged("accepted", accepted)

	s.Publish(snapshot(t, cluster("a", 1), listener("l", "r"), table("r", "a", "a")))
	bad := e.expect("route configuration +r")[0]
	s.Publish(snapshot(t, cluster("a", 2), listener("l", "r"), table("r", "a", "a")))
	e.take("cluster +a")
	e.nack(bad, "no")
	e.judged("refused", refused)

	s.Publish(snapshot(t, cluster("a", 2), listener("l", "r"), table("r", "a", "a", "a")))
	e.take("route configuration +r")
	e.judged("accepted", accepted)
}

// With several Envoys the slowest decides, but not for ever; one refusal is
// enough.
func TestJudgeSeveralEnvoys(t *testing.T) {
	s := newServer()
	s.Publish(snapshot(t, cluster("a", 1), listener("l", "r"), table("r", "a")))
	addr := serve(t, s)
	one, two := dial(t, s, addr, "one"), dial(t, s, addr, "two")
	one.boot("r")
	two.reach("acknowledged by one", func(st Status) bool { return len(st.Nodes) == 1 && st.Acknowledged })
	two.subscribe(clusters)
	stuck := two.expect("cluster +a")[0]
	one.judged("pending", func(v Verdict) bool { return !v.Accepted && v.Again > 0 })
	s.settleLimit = 0
	one.judged("accepted without the other", accepted)
	s.settleLimit = settleLimit

	two.ack(stuck)
	two.subscribe(listeners)
	two.take("listener +l")
	two.subscribe(routes, "r")
	two.take("route configuration +r")
	s.Publish(snapshot(t, cluster("a", 1), listener("l", "r"), table("r", "a", "a")))
	one.take("route configuration +r")
	two.nack(two.expect("route configuration +r")[0], "no")
	if v := one.judged("refused", refused); v.Refused[0].Node != "two" {
		t.Errorf("got %+v", v)
	}
}

// dissenting has one Envoy that has accepted everything, and an old one that has
// joined later and refuses the route configuration.
func dissenting(t *testing.T) (s *Server, one, old *fakeEnvoy) {
	t.Helper()
	s = newServer()
	s.Publish(snapshot(t, cluster("a", 1), listener("l", "r"), table("r", "a")))
	addr := serve(t, s)
	one = dial(t, s, addr, "one")
	one.boot("r")
	one.judged("accepted", accepted)
	old = dial(t, s, addr, "old")
	old.boot()
	old.subscribe(routes, "r")
	old.nack(old.expect("route configuration +r")[0], "unknown type")
	old.reach("refused", func(st Status) bool { return len(st.Refused()) == 1 })
	return s, one, old
}

// An Envoy that refuses what the others have accepted changes nothing for them,
// now or later.
func TestJudgeADissenter(t *testing.T) {
	s, one, old := dissenting(t)
	if v := s.Judge(); !v.Accepted {
		t.Errorf("after the refusal of one that joined: %+v", v)
	}

	s.Publish(snapshot(t, cluster("a", 1), listener("l", "r"), table("r", "a", "a")))
	old.nack(old.expect("route configuration +r")[0], "unknown type")
	old.reach("refused", func(st Status) bool { return len(st.Refused()) == 1 })
	if v := s.Judge(); v.Accepted || refused(v) {
		t.Errorf("before the others have answered: %+v", v)
	}
	one.take("route configuration +r")
	one.judged("accepted", accepted)

	// What it has once accepted, it decides about.
	s.Publish(snapshot(t, cluster("a", 1), listener("l", "r"), table("r", "a", "a", "a")))
	one.take("route configuration +r")
	old.take("route configuration +r")
	one.judged("accepted", accepted)
	s.Publish(snapshot(t, cluster("a", 1), listener("l", "r"), table("r", "a", "a", "a", "a")))
	old.nack(old.expect("route configuration +r")[0], "no")
	old.judged("refused", refused)
}

// Nor does it decide about what it was never sent before, unless it is alone.
func TestJudgeADissenterAboutTheNew(t *testing.T) {
	s, one, old := dissenting(t)

	s.Publish(snapshot(t, cluster("a", 1), cluster("b", 1), listener("l", "r"), table("r", "a")))
	old.nack(old.expect("cluster +b")[0], "unknown type")
	old.reach("refused twice", func(st Status) bool { return len(st.Refused()) == 2 })
	if v := s.Judge(); v.Accepted || refused(v) {
		t.Errorf("before the other has answered: %+v", v)
	}
	one.take("cluster +b")
	one.judged("accepted", accepted)

	one.close()
	old.reach("alone", func(st Status) bool { return len(st.Nodes) == 1 })
	s.Publish(snapshot(t, cluster("a", 1), cluster("b", 1), cluster("c", 1), listener("l", "r"), table("r", "a")))
	old.nack(old.expect("cluster +c")[0], "no")
	old.judged("refused", refused)
}

// After a restart of the control plane as well: what another Envoy comes with was
// accepted before.
func TestJudgeADissenterAfterARestart(t *testing.T) {
	snap := snapshot(t, cluster("a", 1), listener("l", "r"), table("r", "a"))
	s := newServer()
	s.Publish(snap)
	addr := serve(t, s)
	old := dial(t, s, addr, "old")
	old.boot()
	old.subscribe(routes, "r")
	old.nack(old.expect("route configuration +r")[0], "unknown type")
	old.judged("refused, as long as there is no other", refused)

	one := dial(t, s, addr, "one")
	for _, k := range []kind{clusters, listeners, routes} {
		versions := map[string]string{}
		for _, name := range snap.names[k] {
			versions[name] = snap.find(k, name).Version
		}
		req := &discoveryv3.DeltaDiscoveryRequest{TypeUrl: typeURLs[k], InitialResourceVersions: versions}
		if k == routes {
			req.ResourceNamesSubscribe = []string{"r"}
		}
		one.send(req)
		if k != routes {
			one.take(k.String())
		}
	}
	one.judged("accepted", accepted)

	s.Publish(snapshot(t, cluster("a", 1), cluster("b", 1), listener("l", "r"), table("r", "a")))
	old.nack(old.expect("cluster +b")[0], "unknown type")
	one.take("cluster +b")
	one.judged("accepted", accepted)
}

// A port that is taken is no mistake in the configuration.
func TestJudgeAListenerThatCannotBind(t *testing.T) {
	s := newServer()
	s.Publish(snapshot(t, cluster("a", 1), listener("l", "r"), table("r", "a")))
	e := dial(t, s, serve(t, s), "fake")
	e.boot("r")
	e.judged("accepted", accepted)
	s.Publish(snapshot(t, cluster("a", 1), listener("l", "r"), listener("l2", "r2"), table("r", "a", "a"), table("r2", "a")))
	lds := e.expect("listener +l2")[0]
	e.take("route configuration +r")
	e.nack(lds, "Error adding/updating listener(s) l2: cannot bind '127.0.0.1:80': Permission denied\n")
	e.judged("accepted", accepted)
	st := s.Status()
	if n := st.Refused(); len(n) != 1 || n[0].Content || n[0].Message != "cannot bind 127.0.0.1:80: permission denied" {
		t.Errorf("got %+v", n)
	}
	if st.Acknowledged {
		t.Error("it counts as acknowledged")
	}
}

func TestMachineReason(t *testing.T) {
	for _, tt := range []struct {
		kind         kind
		reason, want string
	}{
		{listeners, "Error adding/updating listener(s) l: cannot bind '0.0.0.0:80': Address already in use\n", "cannot bind 0.0.0.0:80: address already in use"},
		{listeners, "Error adding/updating listener(s) l: cannot bind '192.0.2.7:4000': Cannot assign requested address", "cannot bind 192.0.2.7:4000: cannot assign requested address"},
		{listeners, "Error adding/updating listener(s) l5: error adding listener: 'l5' has duplicate address '127.0.0.1:4555' as existing listener", ""},
		{listeners, "cannot bind together", ""},
		{clusters, "x: cannot bind '0.0.0.0:80': Address already in use", ""},
	} {
		if got, ok := machineReason(tt.kind, tt.reason); got != tt.want || ok != (tt.want != "") {
			t.Errorf("%s: got %q, %v", tt.reason, got, ok)
		}
	}
}

// After a start, the first Envoy that joins does not decide for those which are
// still to come.
func TestJudgeEnvoysThatAreStillToJoin(t *testing.T) {
	s := newServer()
	s.joinLimit = joinLimit
	s.Publish(snapshot(t, cluster("a", 1), listener("l", "r"), table("r", "a")))
	addr := serve(t, s)
	one, two := dial(t, s, addr, "one"), dial(t, s, addr, "two")
	one.boot("r")
	if v := one.judged("accepted", accepted); v.Final || v.Again == 0 {
		t.Errorf("after the first: %+v", v)
	}
	two.boot()
	two.subscribe(routes, "r")
	two.nack(two.expect("route configuration +r")[0], "no")
	if v := two.judged("refused", refused); v.Refused[0].Node != "two" {
		t.Errorf("after the second: %+v", v)
	}

	s.Publish(snapshot(t, cluster("a", 1), listener("l", "r"), table("r", "a", "a")))
	one.take("route configuration +r")
	two.take("route configuration +r")
	one.judged("accepted", accepted)
	s.joinLimit = 0
	if v := s.Judge(); !v.Accepted || !v.Final {
		t.Errorf("after some time: %+v", v)
	}
}

// During a hot restart an Envoy has two streams. Each is one of its own.
func TestSeveralStreamsOfANode(t *testing.T) {
	s := newServer()
	s.Publish(snapshot(t, cluster("a", 1), listener("l", "r"), table("r", "a")))
	addr := serve(t, s)
	parent, child := dial(t, s, addr, "one"), dial(t, s, addr, "one")
	parent.boot("r")
	child.boot("r")
	parent.judged("accepted", accepted)
	parent.reach("acknowledged by both", func(st Status) bool { return len(st.Nodes) == 2 && st.Acknowledged })

	s.Publish(snapshot(t, cluster("a", 1), listener("l", "r"), table("r", "a", "a")))
	parent.take("route configuration +r")
	child.nack(child.expect("route configuration +r")[0], "no")
	parent.judged("refused", refused)
	child.close()
	parent.reach("left", func(st Status) bool { return len(st.Nodes) == 1 })
	parent.judged("accepted by the other", accepted)
}

// A listener that cannot bind is sent again until it can, and nobody is told more
// than once.
func TestAListenerThatCannotBindIsSentAgain(t *testing.T) {
	now := time.Unix(0, 0)
	m := newModel(t, &now)
	m.publish(snapshot(t, cluster("a", 1), listener("l", "r"), table("r", "a")))
	m.request(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: typeURLs[clusters]})
	m.step("cluster +a")
	m.acknowledgeAll()
	m.request(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: typeURLs[listeners]})
	refuse := func(repeats bool) {
		t.Helper()
		r, _ := m.session.next(m.snap, now)
		if r == nil || text(r) != "listener +l" {
			t.Fatalf("got %v", r)
		}
		n := m.session.receive(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: r.TypeUrl, ResponseNonce: r.Nonce,
			ErrorDetail: &rpcstatus.Status{Code: 3, Message: "Error adding/updating listener(s) l: cannot bind '0.0.0.0:80': Address already in use"}}, now)
		if n == nil || n.repeats != repeats {
			t.Fatalf("got %+v", n)
		}
	}
	refuse(false)
	for range 3 {
		if r, wait := m.session.next(m.snap, now); r != nil || wait != retryPause {
			t.Fatalf("got %v and a wait of %v", r, wait)
		}
		now = now.Add(retryPause)
		refuse(true)
	}

	// An edit does not wait.
	m.publish(snapshot(t, cluster("a", 1), listener("l", "r", policies()), table("r", "a")))
	refuse(false)
	now = now.Add(retryPause)
	m.step("listener +l")
	m.acknowledgeAll()
	if r, wait := m.session.next(m.snap, now); r != nil || wait != 0 {
		t.Errorf("after it could: %v, %v", r, wait)
	}
}
