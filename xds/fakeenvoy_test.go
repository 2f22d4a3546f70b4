package xds

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
)

type reply = discoveryv3.DeltaDiscoveryResponse

// A fakeEnvoy speaks delta ADS over a real connection, one step at a time.
type fakeEnvoy struct {
	tb       testing.TB
	server   *Server
	stream   grpc.BidiStreamingClient[discoveryv3.DeltaDiscoveryRequest, discoveryv3.DeltaDiscoveryResponse]
	id       string
	node     *corev3.Node // sent with the first request
	barriers int
	// close ends the connection.
	close func()
}

func dial(tb testing.TB, s *Server, addr, id string) *fakeEnvoy {
	tb.Helper()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithInitialWindowSize(1<<16), grpc.WithInitialConnWindowSize(1<<16), // fixed, so that unread bytes block
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(1<<30)))
	if err != nil {
		tb.Fatal(err)
	}
	// The deadline turns a response that never comes into a failure.
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	stream, err := discoveryv3.NewAggregatedDiscoveryServiceClient(conn).DeltaAggregatedResources(ctx)
	if err != nil {
		tb.Fatal(err)
	}
	e := &fakeEnvoy{tb: tb, server: s, id: id, stream: stream, close: func() { cancel(); conn.Close() }}
	e.node = &corev3.Node{Id: id, UserAgentVersionType: &corev3.Node_UserAgentBuildVersion{
		UserAgentBuildVersion: &corev3.BuildVersion{Version: &typev3.SemanticVersion{MajorNumber: 1, MinorNumber: 40}},
	}}
	tb.Cleanup(e.close)
	return e
}

// start connects to a server of its own that has published the messages.
func start(tb testing.TB, ms ...message) (*Server, *fakeEnvoy) {
	tb.Helper()
	s := newServer()
	s.Publish(snapshot(tb, ms...))
	return s, dial(tb, s, serve(tb, s), "fake")
}

func (e *fakeEnvoy) send(req *discoveryv3.DeltaDiscoveryRequest) {
	e.tb.Helper()
	req.Node, e.node = e.node, nil
	if err := e.stream.Send(req); err != nil {
		e.tb.Fatal(err)
	}
}

func (e *fakeEnvoy) subscribe(k kind, names ...string) {
	e.tb.Helper()
	e.send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: typeURLs[k], ResourceNamesSubscribe: names})
}

func (e *fakeEnvoy) unsubscribe(k kind, names ...string) {
	e.tb.Helper()
	e.send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: typeURLs[k], ResourceNamesUnsubscribe: names})
}

func (e *fakeEnvoy) ack(rs ...*reply) {
	e.tb.Helper()
	for _, r := range rs {
		e.send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: r.TypeUrl, ResponseNonce: r.Nonce})
	}
}

func (e *fakeEnvoy) nack(r *reply, reason string) {
	e.tb.Helper()
	e.send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: r.TypeUrl, ResponseNonce: r.Nonce,
		ErrorDetail: &rpcstatus.Status{Code: int32(codes.InvalidArgument), Message: reason}})
}

// text is a response as tests write it: "cluster +a +b", "listener -l".
func text(r *reply) string {
	k, _ := kindOf(r.TypeUrl)
	var b strings.Builder
	b.WriteString(k.String())
	for _, res := range r.Resources {
		b.WriteString(" +" + res.Name)
	}
	for _, name := range r.RemovedResources {
		b.WriteString(" -" + name)
	}
	return b.String()
}

func (e *fakeEnvoy) recv() *reply {
	e.tb.Helper()
	r, err := e.stream.Recv()
	if err != nil {
		e.tb.Fatal(err)
	}
	return r
}

// expect receives exactly these responses and leaves them unanswered.
func (e *fakeEnvoy) expect(want ...string) (got []*reply) {
	e.tb.Helper()
	for _, w := range want {
		r := e.recv()
		if text(r) != w {
			e.tb.Fatalf("got %q, want %q", text(r), w)
		}
		got = append(got, r)
	}
	return got
}

// take receives exactly these responses and acknowledges each.
func (e *fakeEnvoy) take(want ...string) {
	e.tb.Helper()
	for _, w := range want {
		e.ack(e.expect(w)...)
	}
}

// quiet makes sure that the server has taken everything that was sent to it
// and has nothing more to say.
func (e *fakeEnvoy) quiet() {
	e.tb.Helper()
	e.barrier()
	if r, _ := e.peer().next(e.server.published()); r != nil {
		e.tb.Errorf("there is still %q to send", text(r))
	}
	e.barrier() // what was on its way at that moment comes before it
}

// peer is the server's end of the stream.
func (e *fakeEnvoy) peer() *stream {
	e.server.mu.Lock()
	defer e.server.mu.Unlock()
	for st := range e.server.streams {
		if n, ok := st.status(nil); ok && n.ID == e.id {
			return st
		}
	}
	e.tb.Fatal("not connected")
	return nil
}

// barrier asks for a secret that does not exist; the answer comes at once.
func (e *fakeEnvoy) barrier() {
	e.tb.Helper()
	e.barriers++
	name := fmt.Sprint("barrier-", e.barriers)
	e.subscribe(secrets, name)
	e.take("secret -" + name)
	e.unsubscribe(secrets, name)
}

// boot does what an Envoy does with a snapshot of clusters, listeners and the
// tables that they name.
func (e *fakeEnvoy) boot(tables ...string) {
	e.tb.Helper()
	e.subscribe(clusters)
	r := e.recv()
	if r.TypeUrl != typeURLs[clusters] {
		e.tb.Fatalf("the first response is %q", text(r))
	}
	e.ack(r)
	e.subscribe(listeners)
	names := e.server.published().names[listeners]
	for range max(1, len(names)) {
		r := e.recv()
		if r.TypeUrl != typeURLs[listeners] {
			e.tb.Fatalf("got %q instead of a listener", text(r))
		}
		e.ack(r)
	}
	if len(tables) == 0 {
		return
	}
	e.subscribe(routes, tables...)
	for _, name := range tables {
		e.take("route configuration +" + name)
	}
}

// reach waits for a status.
func (e *fakeEnvoy) reach(what string, done func(Status) bool) {
	e.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := e.server.Wait(ctx, done); err != nil {
		e.tb.Fatalf("never %s: %+v", what, e.server.Status())
	}
}
