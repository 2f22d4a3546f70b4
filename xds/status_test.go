package xds

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"
)

// A refusal is kept with its place until a version is accepted, logged once,
// and not repeated.
func TestRefusals(t *testing.T) {
	var log syncBuffer
	s := NewServer(slog.New(slog.NewTextHandler(&log, nil)))
	s.Publish(snapshot(t, cluster("a", 1), listener("l", "r"), table("r", "a")))
	e := dial(t, s, serve(t, s), "fake")
	e.boot("r")
	edited := snapshot(t, cluster("a", 2), listener("l", "r"), table("r", "a", "a"))
	s.Publish(edited)
	e.take("cluster +a")
	e.nack(e.expect("route configuration +r")[0], `bad regex: {"secret": "hunter2"}`)
	e.reach("refused", func(st Status) bool { return len(st.Refused()) == 1 })
	st := s.Status()
	nack := st.Refused()[0]
	if nack.Time.IsZero() || time.Since(nack.Time) > time.Minute {
		t.Errorf("the time is %v", nack.Time)
	}
	nack.Time = time.Time{}
	if want := (Nack{
		Node:      "fake",
		Content:   true,
		Resource:  "r",
		Type:      typeURLs[routes],
		Version:   edited.find(routes, "r").Version,
		Published: true,
		Place:     "gw.yaml:3:1: binds[2]",
		Message:   "bad regex",
	}); nack != want {
		t.Errorf("got %+v, want %+v", nack, want)
	}
	if st.Acknowledged || st.Synced || st.Nodes[0].Acked[typeURLs[clusters]] != 1 || st.Nodes[0].Acked[typeURLs[routes]] != 0 {
		t.Errorf("status %+v", st)
	}

	// The same content again is not sent, though another resource is.
	s.Publish(snapshot(t, cluster("a", 3), listener("l", "r"), table("r", "a", "a")))
	e.take("cluster +a")
	e.quiet()
	if got := strings.Count(log.String(), "envoy refused a resource"); got != 1 {
		t.Errorf("logged %d times:\n%s", got, &log)
	}
	if !strings.Contains(log.String(), "gw.yaml:3:1: binds[2]") || strings.Contains(log.String(), "hunter2") {
		t.Errorf("the log is\n%s", &log)
	}

	s.Publish(snapshot(t, cluster("a", 3), listener("l", "r"), table("r", "a", "a", "a")))
	e.take("route configuration +r")
	e.reach("synced", func(st Status) bool { return st.Synced && len(st.Nodes[0].Nacks) == 0 })
}

func TestARefusedBatchIsSentOneByOne(t *testing.T) {
	_, e := start(t, cluster("a", 1), cluster("bad", 1), cluster("c", 1))
	e.subscribe(clusters)
	e.nack(e.expect("cluster +a +bad +c")[0], "one of them is bad")
	replies := e.expect("cluster +a", "cluster +bad", "cluster +c")
	e.ack(replies[0], replies[2])
	e.nack(replies[1], "this one")
	e.reach("refused", func(st Status) bool { return len(st.Refused()) == 1 })
	e.quiet()
	n := e.server.Status().Nodes[0]
	if n.Nacks[0].Resource != "bad" || n.Acked[typeURLs[clusters]] != 2 {
		t.Errorf("got %+v", n)
	}
}

func TestStatusCoversAllNodes(t *testing.T) {
	s := newServer()
	s.Publish(snapshot(t, cluster("a", 1), cluster("b", 1), listener("l", "r"), table("r", "a")))
	addr := serve(t, s)
	one, two := dial(t, s, addr, "one"), dial(t, s, addr, "two")
	two.boot("r")
	two.reach("synced", func(st Status) bool { return st.Synced })

	// An Envoy that starts has acknowledged all that it asked for long
	// before it runs the snapshot.
	one.subscribe(clusters)
	one.take("cluster +a +b")
	one.quiet()
	behind := func() {
		t.Helper()
		st := s.Status()
		if st.Acknowledged || st.Synced || st.Nodes[0].Acknowledged || !st.Nodes[1].Synced {
			t.Errorf("got %+v", st)
		}
	}
	behind()
	one.subscribe(listeners)
	one.take("listener +l")
	one.quiet()
	behind()
	one.subscribe(routes, "r")
	one.take("route configuration +r")
	one.reach("synced", func(st Status) bool { return st.Synced })

	st := s.Status()
	text, err := json.Marshal(st.Nodes[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"id":"one"`, `"userAgentVersion":"1.40.0"`, `"synced":true`, `"` + typeURLs[clusters] + `":2`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%s is not in %s", want, text)
		}
	}
	if st.Version != s.published().Version() || st.Nodes[1].ID != "two" || st.Nodes[0].ConnectedSince.IsZero() {
		t.Errorf("got %+v", st)
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	s := newServer()
	err := s.Wait(ctx, func(Status) bool { cancel(); return false })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
