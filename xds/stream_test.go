package xds

import (
	"context"
	"runtime"
	"slices"
	"strings"
	"testing"
	"weak"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// The clusters of the first response are warmed together; everything else
// comes alone and without waiting for answers.
func TestFirstClustersAreABatchAndTheRestIsSingle(t *testing.T) {
	_, e := start(t, secret("s", "x"), cluster("a", 1), cluster("b", 1), listener("l1", "r1"), listener("l2", "r2"), table("r1", "a"), table("r2", "b"))
	e.subscribe(clusters)
	e.take("cluster +a +b")
	e.subscribe(secrets, "s")
	e.expect("secret +s")
	e.subscribe(listeners)
	e.expect("listener +l1", "listener +l2")
	e.subscribe(routes, "r2", "r1")
	e.expect("route configuration +r1", "route configuration +r2")
	e.quiet()
}

func TestUpdatesComeInOrderWithoutWaitingForAnswers(t *testing.T) {
	s, e := start(t, secret("s", "x"), cluster("a", 1), cluster("b", 1), listener("l", "r"), table("r", "a"))
	e.boot("r")
	e.subscribe(secrets, "s")
	e.take("secret +s")
	changed := s.Publish(snapshot(t, secret("s", "y"), cluster("a", 2), cluster("b", 2), listener("l", "r", policies()), table("r", "b")))
	if want := []string{"s", "a", "b", "l", "r"}; !slices.Equal(changed, want) {
		t.Errorf("changed %q, want %q", changed, want)
	}
	replies := e.expect("secret +s", "cluster +a", "cluster +b", "listener +l", "route configuration +r")
	nonces := map[string]bool{}
	for _, r := range replies {
		nonces[r.Nonce] = true
		if r.SystemVersionInfo != s.Status().Version || r.Resources[0].Version == "" {
			t.Errorf("%s has version %q of %q", text(r), r.Resources[0].Version, r.SystemVersionInfo)
		}
	}
	if len(nonces) != len(replies) {
		t.Errorf("nonces are not unique: %v", nonces)
	}
	e.ack(replies...)
	e.reach("synced", func(st Status) bool { return st.Synced })
	e.quiet()
}

func TestAnEmptyWildcardIsAnswered(t *testing.T) {
	_, e := start(t)
	e.subscribe(clusters)
	e.take("cluster")
	e.subscribe(listeners, "*")
	e.take("listener")
	e.subscribe(listeners, "*") // answered once
	e.quiet()
}

func TestNothingIsSentBeforeTheFirstPublication(t *testing.T) {
	s := newServer()
	e := dial(t, s, serve(t, s), "fake")
	e.subscribe(clusters)
	e.subscribe(secrets, "none")
	e.reach("connected", func(st Status) bool { return len(st.Nodes) == 1 })
	if st := s.Status(); st.Version != "" || st.Acknowledged || st.Synced {
		t.Errorf("status before the first publication: %+v", st)
	}
	if r, _ := e.peer().next(s.published()); r != nil {
		t.Errorf("there is %q to send", text(r))
	}
	s.Publish(snapshot(t, cluster("a", 1)))
	if first := e.recv(); text(first) == "cluster +a" { // the secret's request may come later
		e.expect("secret -none")
	} else if e.expect("cluster +a"); text(first) != "secret -none" {
		t.Errorf("got %q", text(first))
	}
}

// Envoy waits 15 s for a missing secret, but would take a missing table for
// an answer and never open the listener.
func TestMissingNames(t *testing.T) {
	s, e := start(t, cluster("a", 1))
	e.boot()
	e.subscribe(secrets, "s")
	e.take("secret -s")
	e.subscribe(endpoints, "e")
	e.take("endpoint assignment -e")
	e.subscribe(extensions, "x")
	e.subscribe(routes, "r")
	e.quiet()
	s.Publish(snapshot(t, secret("s", "x"), cluster("a", 1), table("r", "a")))
	e.take("secret +s", "route configuration +r")
	e.quiet()
}

func TestSubscriptions(t *testing.T) {
	s, e := start(t, cluster("a", 1), table("r1", "a"), table("r2", "a"), table("r3", "a"))
	e.boot()
	e.subscribe(routes, "r1")
	e.take("route configuration +r1")
	e.subscribe(routes, "r2")
	e.take("route configuration +r2")
	e.unsubscribe(routes, "r1", "unknown")
	e.quiet()
	s.Publish(snapshot(t, cluster("a", 1), cluster("b", 1), table("r1", "b"), table("r2", "b"), table("r3", "b")))
	e.take("cluster +b", "route configuration +r2")

	// A client may forget and ask again.
	e.subscribe(routes, "r2")
	e.take("route configuration +r2")
	e.quiet()

	// What a wildcard still covers is sent again, as the protocol says.
	e.unsubscribe(clusters, "b")
	e.take("cluster +b")
	e.unsubscribe(clusters, "*")
	e.quiet()
	s.Publish(snapshot(t, cluster("a", 2), cluster("b", 2)))
	e.quiet()
	e.subscribe(clusters, "b")
	e.take("cluster +b")
	e.quiet()
}

func TestGarbageIsTolerated(t *testing.T) {
	s, e := start(t, cluster("a", 1), table("r", "a"), table("r2", "a"))
	e.send(&discoveryv3.DeltaDiscoveryRequest{})
	e.send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: "type.googleapis.com/no.such.Type", ResourceNamesSubscribe: []string{"*"}})
	e.boot()
	e.subscribe(routes, "r")
	old := e.expect("route configuration +r")[0]
	s.Publish(snapshot(t, cluster("a", 1), cluster("b", 1), table("r", "b"), table("r2", "b")))
	e.take("cluster +b")
	e.expect("route configuration +r")

	// The answer to the old response says nothing about the new one, but the
	// names count.
	e.send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: old.TypeUrl, ResponseNonce: old.Nonce, ResourceNamesSubscribe: []string{"r2"}})
	e.take("route configuration +r2")
	for _, nonce := range []string{"9999", "-1", "x"} {
		e.send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: typeURLs[routes], ResponseNonce: nonce})
	}
	e.nack(old, "too late")
	e.nack(&reply{TypeUrl: typeURLs[secrets], Nonce: old.Nonce}, "of another type")
	e.quiet()
	st := s.Status().Nodes[0]
	if st.Acked[typeURLs[routes]] != 1 || len(st.Nacks) != 0 {
		t.Errorf("a stale answer counted: %+v", st)
	}
}

func TestReconnectSendsNothingEqual(t *testing.T) {
	_, e := start(t, cluster("a", 1), cluster("b", 1), listener("l", "r"), table("r", "a"))
	e.subscribe(clusters)
	cds := e.expect("cluster +a +b")[0]
	e.close()
	version := map[string]string{}
	for _, r := range cds.Resources {
		version[r.Name] = r.Version
	}

	// Another server with the same content, as after a restart.
	s := newServer()
	same := snapshot(t, cluster("a", 1), cluster("b", 1), listener("l", "r"), table("r", "a"))
	s.Publish(same)
	e = dial(t, s, serve(t, s), "fake")
	initial := func(k kind, versions map[string]string, names ...string) {
		e.send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: typeURLs[k], ResourceNamesSubscribe: names, InitialResourceVersions: versions})
	}
	initial(clusters, version)
	e.take("cluster")
	initial(listeners, map[string]string{"l": same.find(listeners, "l").Version})
	e.take("listener")
	initial(routes, map[string]string{"r": same.find(routes, "r").Version, "not subscribed": "1"}, "r")
	e.quiet()
	e.reach("synced", func(st Status) bool { return st.Synced })

	// One is new, one has changed and one is gone.
	s = newServer()
	s.Publish(snapshot(t, cluster("a", 2), cluster("c", 1), listener("l", "r"), table("r", "c")))
	e = dial(t, s, serve(t, s), "fake")
	initial(clusters, version)
	cds = e.expect("cluster +a +c")[0]
	initial(listeners, map[string]string{"l": same.find(listeners, "l").Version})
	e.barrier() // no listener is due, and the empty answer waits for the new cluster
	e.ack(cds)
	e.take("listener")
	e.quiet() // its routes are not known yet, so b stays
	initial(routes, map[string]string{"r": same.find(routes, "r").Version}, "r")
	rds := e.expect("route configuration +r")[0]
	e.quiet()
	e.ack(rds)
	e.take("cluster -b")
	e.reach("synced", func(st Status) bool { return st.Synced })
}

// An Envoy that does not read misses snapshots, and nobody waits for it.
func TestASlowEnvoyGetsTheLastSnapshotOnly(t *testing.T) {
	big := func(timeout int) []message {
		// Far more than the flow control lets through unread.
		return []message{cluster("a", timeout, slices.Repeat([]string{"127.0.0.1:9"}, 8000)...)}
	}
	s := newServer()
	addr := serve(t, s)
	snaps := make([]*Snapshot, 7)
	for i := range snaps {
		snaps[i] = snapshot(t, big(i+1)...)
	}
	s.Publish(snaps[0])
	slow, fast := dial(t, s, addr, "slow"), dial(t, s, addr, "fast")
	slow.boot()
	fast.boot()

	told := func(snap *Snapshot) {
		for want := snap.find(clusters, "a").Version; ; runtime.Gosched() {
			st := slow.peer()
			st.mu.Lock()
			got := st.session.types[clusters].entries["a"].told
			st.mu.Unlock()
			if got == want {
				return
			}
		}
	}
	for _, snap := range snaps[1:3] { // the first goes into buffers, the second blocks
		s.Publish(snap)
		told(snap)
		fast.take("cluster +a")
	}
	for _, snap := range snaps[3:] {
		s.Publish(snap)
		fast.take("cluster +a")
	}
	for _, i := range []int{1, 2, 6} {
		r := slow.expect("cluster +a")[0]
		if r.Resources[0].Version != snaps[i].find(clusters, "a").Version {
			t.Errorf("not the version of snapshot %d", i)
		}
		slow.ack(r)
	}
	slow.quiet()
}

// What is kept for a stream depends on the resources, not on the number of
// snapshots that were not answered.
// An Envoy that has stopped reading keeps nobody from edits of a large table, and
// nothing of those that it has missed.
func TestAStuckEnvoyKeepsNothing(t *testing.T) {
	edited := func(edit int) *Snapshot {
		snap, err := NewSnapshot(manyRoutes(10_000, edit, false))
		if err != nil {
			t.Fatal(err)
		}
		return snap
	}
	s := newServer()
	addr := serve(t, s)
	s.Publish(edited(0))
	stuck, fast := dial(t, s, addr, "stuck"), dial(t, s, addr, "fast")
	stuck.boot("r")
	fast.boot("r")
	var tables []weak.Pointer[discoveryv3.Resource]
	for edit := 1; edit <= 8; edit++ {
		snap := edited(edit)
		tables = append(tables, weak.Make(snap.find(routes, "r")))
		s.Publish(snap)
		fast.take("route configuration +r")
	}
	// What is published, what is on its way to the stuck one, and what its stream is
	// about to send.
	for kept, tries := len(tables), 0; kept > 3; tries++ {
		runtime.GC()
		kept = 0
		for _, table := range tables {
			if table.Value() != nil {
				kept++
			}
		}
		if tries == 1000 {
			t.Fatalf("%d of %d tables are kept", kept, len(tables))
		}
	}
	runtime.KeepAlive(stuck)
}

func TestUnansweredResponsesAreBounded(t *testing.T) {
	s, e := start(t, cluster("a", 1), cluster("b", 1))
	e.boot()
	e.barrier() // the answers of the start have arrived
	for i := range 100 {
		s.Publish(snapshot(t, cluster("a", 2+i), cluster("b", 2+i)))
		e.expect("cluster +a", "cluster +b")
	}
	st := e.peer()
	st.mu.Lock()
	n := 0
	for _, r := range st.session.responses {
		if r.kind == clusters {
			n++
		}
	}
	st.mu.Unlock()
	if n != 2 {
		t.Errorf("%d responses with clusters are remembered, want 2", n)
	}
}

func TestStateOfTheWorldIsRefused(t *testing.T) {
	s := newServer()
	conn, err := grpc.NewClient(serve(t, s), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	stream, err := discoveryv3.NewAggregatedDiscoveryServiceClient(conn).StreamAggregatedResources(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	_, err = stream.Recv()
	if status.Code(err) != codes.Unimplemented || !strings.Contains(err.Error(), "api_type to DELTA_GRPC") {
		t.Errorf("got %v", err)
	}
}

func TestStreamsEndCleanly(t *testing.T) {
	s, e := start(t, cluster("a", 1))
	e.boot()
	if err := e.stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := e.stream.Recv(); err == nil || status.Code(err) != codes.Unknown { // io.EOF: ended with OK
		t.Errorf("after the client has finished: %v", err)
	}
	e.reach("disconnected", func(st Status) bool { return len(st.Nodes) == 0 })

	e = dial(t, s, serve(t, s), "fake")
	e.boot()
	e.close()
	e.reach("disconnected", func(st Status) bool { return len(st.Nodes) == 0 })
	if st := s.Status(); !st.Acknowledged || !st.Synced {
		t.Errorf("without nodes: %+v", st)
	}
}
