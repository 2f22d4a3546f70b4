package extprocsvc_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/attache-dev/attache/extprocsvc"
	"github.com/attache-dev/attache/extprocsvc/extproctest"
)

// What a broken Envoy, or somebody else who reaches the port, can do. TestMain
// finds what is left of it.

// hostileFile has a profile that masks requests and responses, one that masks
// requests, and one that looks at nothing.
const hostileFile = `
processors: [{name: mask, type: data-security, params: {modify: true, action: mask}}]
profiles:
- {name: masked, inputStages: [{name: in, steps: [{name: mask}]}], responseStages: [{name: out, steps: [{name: mask}]}]}
- {name: asked, inputStages: [{name: in, steps: [{name: mask}]}]}
- {name: idle}
`

const (
	secret       = "ann@example.com"
	secretive    = `{"messages":[{"role":"user","content":"` + secret + `"}]}`
	secretAnswer = `{"choices":[{"message":{"role":"assistant","content":"` + secret + `"}}]}`
)

// open begins a stream with a profile; the cancel function resets it.
func (s *service) open(t testing.TB, profile string) *talk {
	t.Helper()
	ctx, cancel := context.WithCancel(metadata.AppendToOutgoingContext(t.Context(), naming(profile)...))
	t.Cleanup(cancel)
	rpc, err := s.client.Process(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return &talk{t, rpc, cancel}
}

// quiet tells that the server has nothing left in hand.
func (s *service) quiet() bool { st := s.Stats(); return st.Open == 0 && st.Held == 0 }

// Messages in any order, complete or not, end a stream cleanly or with an error,
// and nothing passes a guard by it.
func TestMessagesInAnyOrder(t *testing.T) {
	var log lines
	s := start(t, alone(""), extprocsvc.Options{Log: slog.New(slog.NewTextHandler(&log, nil))}, hostileFile)
	upstream := append(extproctest.Header{{"x-envoy-upstream-service-time", "1"}}, ok.Header...)
	post := extproctest.Post(secretive)
	endless := post
	endless.Chunks = nil
	body := func(text string, end bool) *extprocv3.ProcessingRequest {
		return &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_ResponseBody{ResponseBody: &extprocv3.HttpBody{Body: []byte(text), EndOfStream: end}}}
	}
	parts := []struct {
		name    string
		message *extprocv3.ProcessingRequest
	}{
		{"h", headers(post)},
		{"H", headers(endless)},
		{"b", chunk(secretive[:len(secretive)/2], false)},
		{"B", chunk(secretive, true)},
		{"T", &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_RequestTrailers{RequestTrailers: &extprocv3.HttpTrailers{}}}},
		{"r", &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_ResponseHeaders{ResponseHeaders: &extprocv3.HttpHeaders{Headers: upstream.Map()}}}},
		{"s", body(secretAnswer[:len(secretAnswer)/2], false)},
		{"S", body(secretAnswer, true)},
		{"t", &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_ResponseTrailers{ResponseTrailers: &extprocv3.HttpTrailers{}}}},
		{"-", &extprocv3.ProcessingRequest{}},
	}
	modes := []*extprocv3.ProtocolConfiguration{
		nil,
		{RequestBodyMode: extproctest.FullDuplex, ResponseBodyMode: extproctest.FullDuplex},
		{RequestBodyMode: extproctest.Buffered, ResponseBodyMode: extproctest.Buffered},
		{RequestBodyMode: extproctest.Buffered, ResponseBodyMode: extproctest.FullDuplex},
		{RequestBodyMode: extproctest.Streamed, ResponseBodyMode: extproctest.Streamed},
	}
	play := func(mode *extprocv3.ProtocolConfiguration, sequence []int) {
		name := ""
		k := s.open(t, "masked")
		for i, n := range sequence {
			name += parts[n].name
			m := &extprocv3.ProcessingRequest{Request: parts[n].message.Request}
			if i == 0 {
				m.ProtocolConfig = mode
			}
			if err := k.rpc.Send(m); err != nil && !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
		}
		if err := k.rpc.CloseSend(); err != nil {
			t.Fatal(err)
		}
		// A response to a request that was not complete is Envoy's own, and passes.
		own := strings.ContainsAny(name, "hb") && !strings.ContainsAny(strings.FieldsFunc(name, func(r rune) bool { return strings.ContainsRune("rsSt", r) })[0], "HBT")
		var request, response strings.Builder
		for {
			m, err := k.rpc.Recv()
			if err != nil {
				if code := status.Code(err); !errors.Is(err, io.EOF) && code != codes.InvalidArgument {
					t.Errorf("%s, %v: %v", name, mode, err)
				}
				break
			}
			for b, r := range map[*strings.Builder]*extprocv3.BodyResponse{&request: m.GetRequestBody(), &response: m.GetResponseBody()} {
				b.Write(r.GetResponse().GetBodyMutation().GetStreamedResponse().GetBody())
				b.Write(r.GetResponse().GetBodyMutation().GetBody())
			}
		}
		if strings.Contains(request.String(), secret) || !own && strings.Contains(response.String(), secret) {
			t.Errorf("%s, %v: %s, %s", name, mode, request.String(), response.String())
		}
		k.cancel()
	}
	for _, mode := range modes {
		for i := range parts {
			play(mode, []int{i})
			for j := range parts {
				play(mode, []int{i, j})
				for k := range parts {
					play(mode, []int{i, j, k})
				}
			}
		}
		// What goes on behind a whole exchange, h B r S.
		for i := range parts {
			play(mode, []int{0, 3, 5, i})
			play(mode, []int{0, 3, 5, 7, i})
		}
	}
	until(s.quiet)
	if strings.Contains(log.String(), "panic") {
		t.Error(log.String())
	}
}

// Streams that are opened and left alone, or stop in the middle of a body, take a
// place each and no more, and are gone with their connection.
func TestHalfOpenStreams(t *testing.T) {
	const most = 50
	s := start(t, alone(""), extprocsvc.Options{MaxStreams: most}, hostileFile)
	var open []*talk
	for i := range most {
		k := s.open(t, "masked")
		switch i % 3 {
		case 1:
			k.send(headers(extproctest.Post(secretive)))
		case 2:
			k.send(headers(extproctest.Post(secretive)), chunk(secretive[:20], false))
		}
		open = append(open, k)
	}
	until(func() bool { st := s.Stats(); return st.Open == most && st.Held == most/3*20 })
	for range 3 {
		if _, got := s.do(t, asking("idle", ""), extproctest.Post(hello)); !strings.Contains(got, "ResourceExhausted") {
			t.Error(got)
		}
	}
	for _, k := range open {
		k.cancel()
	}
	until(s.quiet)
	if _, got := s.do(t, asking("idle", ""), extproctest.Post(hello)); got != "the model gets "+hello {
		t.Error(got)
	}
}

// Streams that are reset as fast as they can be opened leave nothing behind, and
// keep nobody from being served.
func TestResetStorm(t *testing.T) {
	s := start(t, alone(""), extprocsvc.Options{MaxStreams: 100}, hostileFile)
	if _, got := s.do(t, asking("idle", ""), extproctest.Post(hello)); got != "the model gets "+hello {
		t.Fatal(got)
	}
	until(s.quiet)
	before := runtime.NumGoroutine() // with those of the connection
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for i := range 500 {
				ctx, cancel := context.WithCancel(metadata.AppendToOutgoingContext(t.Context(), naming("masked")...))
				rpc, err := s.client.Process(ctx)
				if err != nil {
					cancel()
					continue
				}
				if i%2 == 0 {
					_ = rpc.Send(headers(extproctest.Post(secretive)))
					_ = rpc.Send(chunk(secretive[:20], false))
				}
				cancel()
			}
		})
	}
	group.Wait()
	until(s.quiet)
	if _, got := s.do(t, asking("idle", ""), extproctest.Post(hello)); got != "the model gets "+hello {
		t.Error(got)
	}
	until(func() bool { return runtime.NumGoroutine() <= before })
}

// Headers are bounded, those of the call too, and many of them cost no more than
// their number.
func TestGiantHeaders(t *testing.T) {
	s := start(t, alone(""), extprocsvc.Options{}, hostileFile)
	big := extproctest.Post(hello)
	big.Header = append(big.Header, [2]string{"x", strings.Repeat("a", 1<<20)})
	for _, profile := range []string{"idle", "masked"} {
		if _, got := s.do(t, asking(profile, ""), big); !strings.HasPrefix(got, "the client gets 431") {
			t.Errorf("%s: %.200s", profile, got)
		}
	}
	answer := ok
	answer.Header = append(extproctest.Header{{"x", strings.Repeat("a", 1<<20)}}, ok.Header...)
	f := asking("masked", "")
	f.Response, f.SendResponseHeaders = extproctest.FullDuplex, true
	if out, err := f.Do(t.Context(), s.client, extproctest.Post(hello), answer); err != nil || out.Immediate.GetStatus().GetCode() != 502 {
		t.Errorf("a response: %v, %v", out, err)
	}
	var many extproctest.Message
	many.Header = extproctest.Post(hello).Header
	for i := range 50_000 {
		many.Header = append(many.Header, [2]string{fmt.Sprint("x-", i), "y"})
	}
	many.Chunks = [][]byte{[]byte(hello)}
	if _, got := s.do(t, asking("asked", ""), many); got != "the model gets "+hello {
		t.Errorf("many headers: %.200s", got)
	}
	call := asking("asked", "")
	call.Metadata = append(call.Metadata, "x-big", strings.Repeat("a", 1<<17))
	if _, got := s.do(t, call, extproctest.Post(hello)); !strings.HasPrefix(got, "error:") {
		t.Errorf("metadata of 128 KiB: %.200s", got)
	}
	until(s.quiet)
}

// A body without an end is held up to the limit, whatever its pieces.
func TestEndlessBodies(t *testing.T) {
	s := start(t, alone(""), extprocsvc.Options{MaxBody: 10_000}, hostileFile)
	for _, piece := range []int{1, 100, 20_000} {
		k := s.open(t, "masked")
		post := extproctest.Post(hello)
		post.Header = post.Header[:len(post.Header)-1] // without a length
		k.send(headers(post))
		for n := 0; n <= 10_000; n += piece {
			if err := k.rpc.Send(chunk(strings.Repeat(" ", piece), false)); err != nil && !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
		}
		if m := k.recv(); m.GetImmediateResponse().GetStatus().GetCode() != 413 {
			t.Errorf("pieces of %d: %v", piece, m)
		}
		k.cancel()
	}
	// A streamed answer whose text may be a match for ever.
	k := s.open(t, "masked")
	first := headers(extproctest.Post(hello))
	first.ProtocolConfig = &extprocv3.ProtocolConfiguration{RequestBodyMode: extproctest.FullDuplex, ResponseBodyMode: extproctest.FullDuplex}
	k.send(first, chunk(hello, true))
	k.recv()
	k.recv()
	events := extproctest.Header{{":status", "200"}, {"content-type", "text/event-stream"}}
	k.send(&extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_ResponseHeaders{ResponseHeaders: &extprocv3.HttpHeaders{Headers: events.Map()}}})
	k.recv()
	go func() {
		for {
			text := "data: " + strings.Repeat("a", 1000) // of an event that does not end
			m := &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_ResponseBody{ResponseBody: &extprocv3.HttpBody{Body: []byte(text)}}}
			if k.rpc.Send(m) != nil {
				return
			}
		}
	}()
	if b := k.recv().GetResponseBody().GetResponse().GetBodyMutation().GetStreamedResponse(); !b.GetEndOfStream() || !bytes.Contains(b.GetBody(), []byte("response_too_large")) {
		t.Errorf("an event without an end: %v", b)
	}
	k.cancel()
	until(s.quiet)
}

// Somebody who sends and never reads is held up: what is kept for him is bounded
// by the windows of his stream, and others are served.
func TestSlowReader(t *testing.T) {
	s := start(t, alone(""), extprocsvc.Options{}, hostileFile)
	slow := s.open(t, "idle")
	first := headers(extproctest.Post(hello))
	first.ProtocolConfig = &extprocv3.ProtocolConfiguration{RequestBodyMode: extproctest.FullDuplex, ResponseBodyMode: extproctest.FullDuplex}
	slow.send(first)
	var sent atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		for m := chunk(strings.Repeat("a", 10_000), false); slow.rpc.Send(m) == nil; {
			sent.Add(10_000)
		}
	}()
	// He is held up when he gets no further while others do.
	for last, served := int64(-1), 0; served < 100; served++ {
		if now := sent.Load(); now != last {
			last, served = now, 0
		}
		if _, got := s.do(t, asking("asked", ""), extproctest.Post(hello)); got != "the model gets "+hello {
			t.Fatal(got)
		}
		if sent.Load() > 4<<20 {
			t.Fatalf("%d bytes were taken of one who reads nothing", sent.Load())
		}
	}
	slow.cancel()
	<-done
	until(s.quiet)
}

// raw is a codec that sends bytes as they are.
type raw struct{}

func (raw) Marshal(v any) ([]byte, error)      { return v.([]byte), nil }
func (raw) Unmarshal(data []byte, v any) error { return nil }
func (raw) Name() string                       { return "proto" }

// What is no protobuf, no gRPC, no HTTP/2 ends its stream or its connection, and
// nothing else.
func TestGarbage(t *testing.T) {
	s := start(t, alone(""), extprocsvc.Options{}, hostileFile)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer(s.ServerOptions()...)
	s.Register(g)
	served := make(chan error, 1)
	go func() { served <- g.Serve(l) }()
	defer func() {
		g.Stop()
		<-served
	}()
	conn, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	good := func() {
		t.Helper()
		out, err := asking("asked", "").Do(t.Context(), extprocv3.NewExternalProcessorClient(conn), extproctest.Post(hello), ok)
		if err != nil || out.String() != "the model gets "+hello {
			t.Errorf("%v, %v", out, err)
		}
	}
	for _, message := range []string{"\xff", "\x0a\xff\xff\xff\xff\x0f", strings.Repeat("\x12", 1000), "\x12\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"} {
		ctx, cancel := context.WithCancel(metadata.AppendToOutgoingContext(t.Context(), naming("masked")...))
		rpc, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, extprocv3.ExternalProcessor_Process_FullMethodName, grpc.ForceCodec(raw{}))
		if err != nil {
			t.Fatal(err)
		}
		if err := rpc.SendMsg([]byte(message)); err != nil {
			t.Fatal(err)
		}
		if err := rpc.RecvMsg(nil); status.Code(err) != codes.Internal {
			t.Errorf("%q: %v", message, err)
		}
		cancel()
		good()
	}
	const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	for _, text := range []string{
		"", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", strings.Repeat("\x16\x03\x01", 1000), preface, preface + strings.Repeat("\xff", 1000),
		preface + "\x00\x00\x00\x04\x00\x00\x00\x00\x00" + "\x00\x40\x00\x00\x00\x00\x00\x00\x01", // settings, and data of a stream that is not open
	} {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, text); err != nil {
			t.Logf("%.20q: %v", text, err) // it may be cut off already
		}
		good()
		c.Close()
	}
	until(s.quiet)
}
