package translator_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	extprocfilterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/attache-dev/attache/config"
	"github.com/attache-dev/attache/envoy"
	"github.com/attache-dev/attache/envoy/envoytest"
	"github.com/attache-dev/attache/translator"
	"github.com/attache-dev/attache/xds"
)

// A testbed is a real Envoy with what a configuration becomes, and a service
// for its chains that does what the request says.
type testbed struct {
	t    *testing.T
	port int
	xds  *xds.Server
	// service is our own, external somebody's.
	service, external *processor
}

// chains are our chains by the name of the route, and those of gateway phases by
// gateway/ and the name of the listener; every other route has none.
type chains map[string]translator.Chain

// word is what the service writes for a backend.
func word(route, backend string) string { return "route/" + route + "/" + backend }

// newTestbed starts Envoy. The text has %d for the port; EXTERNAL stands for
// the address of the external server. Edits are made to the resources.
func newTestbed(t *testing.T, text string, cs chains, edits ...func(*translator.Resources)) *testbed {
	t.Helper()
	dir, err := os.MkdirTemp("", "tr") // short enough for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	b := &testbed{t: t, port: envoytest.Ports(t, 1)[0], xds: xds.NewServer(slog.New(slog.DiscardHandler)), service: &processor{}, external: &processor{}}
	service := serve(t, "unix", filepath.Join(dir, "service"), func(s grpc.ServiceRegistrar) { extprocv3.RegisterExternalProcessorServer(s, b.service) })
	external := serve(t, "tcp", "127.0.0.1:0", func(s grpc.ServiceRegistrar) { extprocv3.RegisterExternalProcessorServer(s, b.external) })
	control := serve(t, "unix", filepath.Join(dir, "xds"), b.xds.Register, xds.ServerOptions()...)

	text = strings.ReplaceAll(strings.Replace(text, "%d", fmt.Sprint(b.port), 1), "EXTERNAL", external)
	c, err := config.Parse("c.yaml", []byte(text), config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := translator.Translate(c, translator.Options{
		ExtProc: config.Target{Unix: service},
		GatewayChain: func(l *config.Listener) *translator.Chain {
			chain, ok := cs["gateway/"+l.Name]
			if !ok {
				return nil
			}
			chain.Ref = "gateway/" + l.Name
			return &chain
		},
		RouteChain: func(r *config.Route) *translator.Chain {
			chain, ok := cs[r.Name]
			if !ok {
				return nil
			}
			chain.Ref = r.Name
			if chain.Choice != nil {
				chain.Choice = func(be *config.Backend) string { return word(r.Name, be.Name) }
			}
			return &chain
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, edit := range edits {
		edit(r)
	}
	snapshot, err := xds.NewSnapshot(r)
	if err != nil {
		t.Fatal(err)
	}
	b.xds.Publish(snapshot)
	b.start(dir, control)
	return b
}

func (b *testbed) start(dir, control string) {
	b.t.Helper()
	bootstrap, err := envoy.Bootstrap(envoy.BootstrapOptions{XDS: "unix:" + control})
	if err != nil {
		b.t.Fatal(err)
	}
	file, log := filepath.Join(dir, "bootstrap.yaml"), filepath.Join(dir, "log")
	if err := os.WriteFile(file, bootstrap, 0o600); err != nil {
		b.t.Fatal(err)
	}
	cmd := exec.Command(envoytest.Find(b.t).Path, "-c", file, "--disable-hot-restart", "--concurrency", "1", "-l", "warning", "--log-path", log)
	if err := cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if text, err := os.ReadFile(log); err == nil && b.t.Failed() {
			b.t.Logf("the log of Envoy:\n%s", text)
		}
	})
	ctx, cancel := context.WithTimeout(b.t.Context(), 20*time.Second)
	defer cancel()
	if err := b.xds.Wait(ctx, func(s xds.Status) bool { return len(s.Nodes) == 1 && s.Acknowledged }); err != nil {
		b.t.Fatalf("Envoy does not take it: %+v", b.xds.Status())
	}
	for ctx.Err() == nil {
		if conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", b.port)); err == nil {
			conn.Close()
			return
		}
		time.Sleep(5 * time.Millisecond) // acknowledged is not yet open
	}
	b.t.Fatal("the listener does not open")
}

func serve(t *testing.T, network, addr string, register func(grpc.ServiceRegistrar), opts ...grpc.ServerOption) string {
	t.Helper()
	l, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer(opts...)
	register(s)
	go s.Serve(l)
	t.Cleanup(s.Stop)
	return l.Addr().String()
}

// backend answers with its name and what it got.
func backend(t *testing.T, name string) (addr string) {
	s := httptest.NewServer(echo(name))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

func echo(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Header.Get("Slow") != "" {
			select {
			case <-r.Context().Done():
			case <-time.After(10 * time.Second):
			}
		}
		fmt.Fprintf(w, "%s got %s host=%s body=%q", name, r.URL.RequestURI(), r.Host, body)
		for k := range r.Header {
			if strings.HasPrefix(k, "X-Attache") {
				fmt.Fprintf(w, " %s", k)
			}
		}
	})
}

// A request and what it must lead to. Headers beginning with "do-" tell the
// service what to do.
type request struct {
	name, target, host string
	headers            map[string]string
	body               string

	status int
	want   []string // in the body
	id     string   // x-attache-id; empty for none
	seen   []string // chains of our service that saw a part of it
}

func (b *testbed) run(r request) {
	b.t.Run(r.name, func(t *testing.T) {
		b.service.forget()
		method, body := "GET", io.Reader(http.NoBody)
		if r.body != "" {
			method, body = "POST", strings.NewReader(r.body)
		}
		req, err := http.NewRequest(method, fmt.Sprintf("http://127.0.0.1:%d%s", b.port, r.target), body)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = r.host
		for k, v := range r.headers {
			req.Header.Set(k, v)
		}
		client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true}}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		got, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Errorf("%s: %v", got, err)
		}
		if resp.StatusCode != max(r.status, 200) && r.status != resp.StatusCode {
			t.Errorf("status %d %s, want %d", resp.StatusCode, got, max(r.status, 200))
		}
		if strings.Contains(string(got), "X-Attache") {
			t.Errorf("a header of ours reaches the backend: %s", got)
		}
		for _, w := range r.want {
			if !strings.Contains(string(got), w) {
				t.Errorf("got %s, want %s", got, w)
			}
		}
		if ids := resp.Header.Values("x-attache-id"); strings.Join(ids, ",") != r.id {
			t.Errorf("x-attache-id is %q, want %q", ids, r.id)
		}
		if seen := b.service.forget(); strings.Join(seen, ",") != strings.Join(r.seen, ",") {
			t.Errorf("chains %q ran, want %q", seen, r.seen)
		}
	})
}

// A processor is an ext_proc server that obeys the request's headers: do-choose
// and, for somebody else's server, do-external-choose name a backend, do-refuse
// ends the request, do-path and do-host change what they say, and do-silent
// changes no header.
type processor struct {
	extprocv3.UnimplementedExternalProcessorServer
	mu   sync.Mutex
	refs []string
	down bool
	// known are the ids of earlier decisions that streams were told of.
	known map[string]string
}

func (p *processor) forget() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	refs := p.refs
	p.refs = nil
	return refs
}

func (p *processor) know(ref, id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known == nil {
		p.known = map[string]string{}
	}
	p.known[ref] = id
}

func (p *processor) setDown(down bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = down
}

func (p *processor) Process(stream extprocv3.ExternalProcessor_ProcessServer) error {
	ref := "external"
	if md, _ := metadata.FromIncomingContext(stream.Context()); len(md.Get(translator.ChainMetadata)) > 0 {
		ref = md.Get(translator.ChainMetadata)[0]
	}
	p.mu.Lock()
	p.refs = append(p.refs, ref)
	down := p.down
	p.mu.Unlock()
	if down {
		return fmt.Errorf("down")
	}
	x := &exchange{stream: stream, own: ref != "external"}
	for {
		in, err := stream.Recv()
		if err != nil {
			return nil // Envoy is done
		}
		if id := in.GetMetadataContext().GetFilterMetadata()[translator.MetadataNamespace].GetFields()["id"].GetStringValue(); id != "" {
			p.know(ref, id)
		}
		if done, err := x.answer(in); done || err != nil {
			return err
		}
	}
}

type exchange struct {
	stream extprocv3.ExternalProcessor_ProcessServer
	own    bool
	mode   extprocfilterv3.ProcessingMode_BodySendMode
	do     map[string]string
	body   bytes.Buffer
}

const fullDuplex = extprocfilterv3.ProcessingMode_FULL_DUPLEX_STREAMED

func (x *exchange) answer(in *extprocv3.ProcessingRequest) (done bool, err error) {
	if in.GetProtocolConfig() != nil {
		x.mode = in.GetProtocolConfig().GetRequestBodyMode()
	}
	send := x.stream.Send
	switch m := in.Request.(type) {
	case *extprocv3.ProcessingRequest_RequestHeaders:
		x.do = map[string]string{}
		for _, h := range m.RequestHeaders.GetHeaders().GetHeaders() {
			if what, ok := strings.CutPrefix(h.Key, "do-"); ok {
				x.do[what] = string(h.RawValue)
			}
		}
		switch {
		case x.own && x.do["refuse"] != "":
			return true, send(x.refuse())
		case m.RequestHeaders.EndOfStream || x.mode == extprocfilterv3.ProcessingMode_NONE:
			return false, send(x.headers(0))
		case x.mode == fullDuplex && x.own:
			return false, nil // the answer waits for the body
		case x.mode == fullDuplex:
			return false, send(x.headers(0))
		}
		return false, send(&extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_RequestHeaders{RequestHeaders: &extprocv3.HeadersResponse{}}})
	case *extprocv3.ProcessingRequest_RequestBody:
		if x.mode != fullDuplex {
			x.body.WriteString("changed ")
			x.body.Write(m.RequestBody.GetBody())
			out := x.decide()
			out.Response = &extprocv3.ProcessingResponse_RequestBody{RequestBody: &extprocv3.BodyResponse{Response: x.common(x.body.Len(), x.body.Bytes())}}
			return false, send(out)
		}
		if !x.own {
			return false, send(&extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_RequestBody{RequestBody: &extprocv3.BodyResponse{Response: echoed(m.RequestBody)}}})
		}
		if x.body.Len() == 0 {
			x.body.WriteString("changed ")
		}
		x.body.Write(m.RequestBody.GetBody())
		if !m.RequestBody.EndOfStream {
			return false, nil
		}
		if err := send(x.headers(x.body.Len())); err != nil {
			return false, err
		}
		return false, send(&extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_RequestBody{RequestBody: &extprocv3.BodyResponse{
			Response: echoed(&extprocv3.HttpBody{Body: x.body.Bytes(), EndOfStream: true}),
		}}})
	case *extprocv3.ProcessingRequest_RequestTrailers:
		return false, send(&extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_RequestTrailers{RequestTrailers: &extprocv3.TrailersResponse{}}})
	case *extprocv3.ProcessingRequest_ResponseHeaders:
		// The client's length, if there is one, is for the body as it was.
		return false, send(&extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_ResponseHeaders{ResponseHeaders: &extprocv3.HeadersResponse{
			Response: &extprocv3.CommonResponse{HeaderMutation: &extprocv3.HeaderMutation{RemoveHeaders: []string{"content-length"}}},
		}}})
	case *extprocv3.ProcessingRequest_ResponseBody:
		chunk := &extprocv3.HttpBody{Body: m.ResponseBody.GetBody(), EndOfStream: m.ResponseBody.GetEndOfStream()}
		if x.own {
			chunk.Body = bytes.ReplaceAll(chunk.Body, []byte("got"), []byte("GOT"))
		}
		return false, send(&extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_ResponseBody{ResponseBody: &extprocv3.BodyResponse{Response: echoed(chunk)}}})
	default:
		return false, send(&extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_ResponseTrailers{ResponseTrailers: &extprocv3.TrailersResponse{}}})
	}
}

func echoed(b *extprocv3.HttpBody) *extprocv3.CommonResponse {
	return &extprocv3.CommonResponse{BodyMutation: &extprocv3.BodyMutation{Mutation: &extprocv3.BodyMutation_StreamedResponse{
		StreamedResponse: &extprocv3.StreamedBodyResponse{Body: b.GetBody(), EndOfStream: b.GetEndOfStream()},
	}}}
}

// decide is a reply with metadata, and headers the one for request headers.
func (x *exchange) decide() *extprocv3.ProcessingResponse {
	fields := map[string]any{}
	if x.own {
		fields["id"] = "0123"
	}
	if v := x.do["choose"]; v != "" && x.own {
		fields["backend"] = v
	}
	if v := x.do["external-choose"]; v != "" && !x.own {
		fields["backend"], fields["id"] = v, "forged"
	}
	md, err := structpb.NewStruct(map[string]any{translator.MetadataNamespace: fields})
	if err != nil {
		panic(err)
	}
	return &extprocv3.ProcessingResponse{DynamicMetadata: md}
}

func (x *exchange) headers(length int) *extprocv3.ProcessingResponse {
	out := x.decide()
	out.Response = &extprocv3.ProcessingResponse_RequestHeaders{RequestHeaders: &extprocv3.HeadersResponse{Response: x.common(length, nil)}}
	return out
}

func (x *exchange) common(length int, body []byte) *extprocv3.CommonResponse {
	m := &extprocv3.HeaderMutation{}
	if length > 0 {
		m.SetHeaders = append(m.SetHeaders, set("content-length", fmt.Sprint(length)))
	}
	if v := x.do["path"]; v != "" {
		m.SetHeaders = append(m.SetHeaders, set(":path", v))
	}
	if v := x.do["host"]; v != "" && !x.own {
		m.SetHeaders = append(m.SetHeaders, set(":authority", v), set("host", v))
	}
	c := &extprocv3.CommonResponse{HeaderMutation: m, ClearRouteCache: true}
	if x.do["silent"] != "" {
		c.HeaderMutation = nil
	}
	if body != nil {
		c.BodyMutation = &extprocv3.BodyMutation{Mutation: &extprocv3.BodyMutation_Body{Body: body}}
	}
	return c
}

func (x *exchange) refuse() *extprocv3.ProcessingResponse {
	out := x.decide()
	out.Response = &extprocv3.ProcessingResponse_ImmediateResponse{ImmediateResponse: &extprocv3.ImmediateResponse{
		Status:  &typev3.HttpStatus{Code: typev3.StatusCode_Forbidden},
		Headers: &extprocv3.HeaderMutation{SetHeaders: []*corev3.HeaderValueOption{set("x-attache-id", "0123")}},
		Body:    []byte("refused"),
	}}
	if x.do["refuse"] == "bare" {
		out.GetImmediateResponse().Headers = nil
	}
	return out
}

func set(name, value string) *corev3.HeaderValueOption {
	return &corev3.HeaderValueOption{Header: &corev3.HeaderValue{Key: name, RawValue: []byte(value)}}
}

// chooses marks a chain that chooses; newTestbed gives it its words.
func chooses(*config.Backend) string { return "" }

func TestChoiceInEnvoy(t *testing.T) {
	small, big, other := backend(t, "small"), backend(t, "big"), backend(t, "other")
	text := fmt.Sprintf(`
binds:
- port: %%d
  listeners:
  - routes:
    - name: headers
      matches: [{path: {pathPrefix: /headers}}]
      backends: TWO
    - name: duplex
      matches: [{path: {pathPrefix: /duplex}}]
      backends: TWO
    - name: response
      matches: [{path: {pathPrefix: /response}}]
      backends: TWO
    - name: open
      matches: [{path: {pathPrefix: /open}}]
      backends: TWO
    - name: behind
      matches: [{path: {pathPrefix: /behind}}]
      policies: {extProc: {host: EXTERNAL}}
      backends: TWO
    - name: plain
      matches: [{path: {pathPrefix: /plain}}]
      backends: [{host: %q}]
    - name: guarded
      matches: [{path: {pathPrefix: /guarded}}, {path: {regex: ".*star.*"}}]
      backends: [{host: %q}]
    - name: late
      matches: [{path: {pathPrefix: /late}}]
      backends: TWO
    - name: everything
      matches: [{path: {pathPrefix: /everything}}]
      backends: TWO
  - hostname: hoisted.test
    routes:
    - name: hoisted
      matches: [{path: {exact: /a}}, {path: {exact: /b}}]
      backends: TWO
    - name: beside
      matches: [{path: {exact: /d}}]
      backends: TWO
  - hostname: free.test
    routes:
    - name: free
      backends: [{host: %q}]
`, other, other, other)
	text = strings.ReplaceAll(text, "TWO", fmt.Sprintf("[{ai: {provider: {openAI: {}}, hostOverride: %q, pathOverride: /small/v1}}, {host: %q}]", small, big))
	b := newTestbed(t, text, chains{
		"headers":    {Choice: chooses},
		"duplex":     {Choice: chooses, ReadsBody: true},
		"late":       {Choice: chooses, ReadsResponse: true},
		"response":   {Choice: chooses, ReadsBody: true, ReadsResponse: true},
		"open":       {Choice: chooses, ReadsBody: true, FailOpen: true},
		"behind":     {Choice: chooses},
		"guarded":    {ReadsBody: true},
		"everything": {ReadsBody: true, ReadsResponse: true, FailOpen: true, Choice: chooses},
		"hoisted":    {Choice: chooses, ReadsBody: true, ReadsResponse: true},
		"beside":     {Choice: chooses, ReadsBody: true, ReadsResponse: true},
	})
	choose := func(route, backend string, more ...string) map[string]string {
		h := map[string]string{"do-choose": word(route, backend)}
		for i := 0; i < len(more); i += 2 {
			h[more[i]] = more[i+1]
		}
		return h
	}
	for _, r := range []request{
		// Where the choice is made: at the headers, and at the body, held or
		// buffered.
		{name: "headers, first", target: "/headers/x?q=1", headers: choose("headers", "backend0"), want: []string{"small got /small/v1?q=1 "}, id: "0123", seen: []string{"headers"}},
		{name: "headers, second", target: "/headers/x?q=1", headers: choose("headers", "backend1"), want: []string{"big got /headers/x?q=1 "}, id: "0123", seen: []string{"headers"}},
		{name: "headers, with body", target: "/headers/x", body: "hi", headers: choose("headers", "backend0"), want: []string{"small got /small/v1 ", `body="hi"`}, id: "0123", seen: []string{"headers"}},
		{name: "headers, response", target: "/late", body: "hi", headers: choose("late", "backend0"), want: []string{"small GOT /small/v1 ", `body="hi"`}, id: "0123", seen: []string{"late"}},
		{name: "duplex", target: "/duplex", body: "hi", headers: choose("duplex", "backend0"), want: []string{"small got /small/v1 ", `body="changed hi"`}, id: "0123", seen: []string{"duplex"}},
		{name: "duplex, second", target: "/duplex", body: "hi", headers: choose("duplex", "backend1"), want: []string{"big got /duplex ", `body="changed hi"`}, id: "0123", seen: []string{"duplex"}},
		{name: "duplex, long", target: "/duplex", body: strings.Repeat("x", 2<<20), headers: choose("duplex", "backend0"), want: []string{"small got /small/v1 ", "xxx\""}, id: "0123", seen: []string{"duplex"}},
		{name: "duplex, no body", target: "/duplex", headers: choose("duplex", "backend0"), want: []string{"small got /small/v1 "}, id: "0123", seen: []string{"duplex"}},
		{name: "response", target: "/response", body: "hi", headers: choose("response", "backend0"), want: []string{"small GOT /small/v1 ", `body="changed hi"`}, id: "0123", seen: []string{"response"}},
		{name: "buffered", target: "/open", body: "hi", headers: choose("open", "backend1"), want: []string{"big got /open ", `body="changed hi"`}, id: "0123", seen: []string{"open"}},
		{name: "buffered, response", target: "/everything", body: "hi", headers: choose("everything", "backend1"), want: []string{"big GOT /everything ", `body="changed hi"`}, id: "0123", seen: []string{"everything"}},
		{name: "virtual host's chain", target: "/b", host: "hoisted.test", body: "hi", headers: choose("hoisted", "backend0"), want: []string{"small GOT /small/v1 ", `body="changed hi"`}, id: "0123", seen: []string{"hoisted"}},
		{name: "virtual host's chain, another route", target: "/d", host: "hoisted.test", body: "hi", headers: choose("beside", "backend1"), want: []string{"big GOT /d ", `body="changed hi"`}, id: "0123", seen: []string{"beside"}},

		// Without a choice there is no backend, and with somebody else's.
		{name: "no choice", target: "/headers", status: 500, want: []string{"no backend chosen"}, id: "0123", seen: []string{"headers"}},
		{name: "no choice, body", target: "/duplex", body: "hi", status: 500, want: []string{"no backend chosen"}, id: "0123", seen: []string{"duplex"}},
		{name: "no choice, response", target: "/response", body: "hi", status: 500, want: []string{"no backend chosen"}, id: "0123", seen: []string{"response"}},
		{name: "unknown choice", target: "/duplex", headers: choose("duplex", "backend9"), status: 500, want: []string{"no backend chosen"}, id: "0123", seen: []string{"duplex"}},
		{name: "unknown choice, open", target: "/open", headers: choose("open", "backend9"), status: 500, want: []string{"no backend chosen"}, id: "0123", seen: []string{"open"}},
		{name: "unknown choice, other path", target: "/headers", headers: choose("headers", "backend9", "do-path", "/plain"), status: 500, want: []string{"no backend chosen"}, id: "0123", seen: []string{"headers"}},
		{name: "no header changed", target: "/headers", headers: choose("headers", "backend0", "do-silent", "1"), status: 500, want: []string{"no backend chosen"}, id: "0123", seen: []string{"headers"}},

		// The second look does not depend on the path.
		{name: "changed path", target: "/headers", headers: choose("headers", "backend1", "do-path", "/guarded"), want: []string{"big got /guarded"}, id: "0123", seen: []string{"headers"}},
		{name: "changed to a path without slash", target: "/headers", headers: choose("headers", "backend0", "do-path", "star"), want: []string{"small got /small/v1"}, id: "0123", seen: []string{"headers"}},

		// Clients cannot choose, whatever they send.
		{name: "forged", target: "/headers/backend0?backend=" + word("headers", "backend0"),
			headers: map[string]string{"attache": word("headers", "backend0"), "backend": word("headers", "backend0"), "x-attache-backend": word("headers", "backend0"), "x-attache-id": "mine"},
			status:  500, want: []string{"no backend chosen"}, id: "0123", seen: []string{"headers"}},
		{name: "forged on a route without chain", target: "/plain", headers: choose("headers", "backend0", "x-attache-id", "mine", "x-attache-chain", "headers"), want: []string{"other got /plain host=127.0.0.1"}},
		{name: "not found beside a virtual host's chain", target: "/c", host: "hoisted.test", headers: choose("hoisted", "backend0"), status: 404, want: []string{"route not found"}},
		{name: "not found", target: "/nothing", headers: choose("headers", "backend0"), status: 404, want: []string{"route not found"}},

		// The id of a decision: once, also in answers of the service itself.
		{name: "refused", target: "/guarded", headers: map[string]string{"do-refuse": "1"}, status: 403, want: []string{"refused"}, id: "0123", seen: []string{"guarded"}},
		{name: "refused, without the header", target: "/guarded", headers: map[string]string{"do-refuse": "bare"}, status: 403, want: []string{"refused"}, id: "0123", seen: []string{"guarded"}},
		{name: "refused, response mode", target: "/response", headers: map[string]string{"do-refuse": "1"}, status: 403, want: []string{"refused"}, id: "0123", seen: []string{"response"}},
		{name: "guarded", target: "/guarded", body: "hi", want: []string{"other got /guarded", `body="changed hi"`}, id: "0123", seen: []string{"guarded"}},

		// Somebody's server in front writes no metadata and moves no host.
		{name: "external", target: "/behind", headers: choose("behind", "backend0"), want: []string{"small got /small/v1"}, id: "0123", seen: []string{"behind"}},
		{name: "external chooses", target: "/behind", headers: map[string]string{"do-external-choose": word("behind", "backend0")}, status: 500, want: []string{"no backend chosen"}, id: "0123", seen: []string{"behind"}},
		{name: "external changes the path", target: "/behind", headers: choose("behind", "backend1", "do-path", "/plain"), want: []string{"big got /plain"}, id: "0123", seen: []string{"behind"}},
		{name: "external changes the host", target: "/behind", headers: choose("behind", "backend1", "do-host", "free.test"), want: []string{"big got /behind"}, id: "0123", seen: []string{"behind"}},
		{name: "external changes the host, no choice", target: "/behind", headers: map[string]string{"do-host": "free.test"}, status: 500, want: []string{"no backend chosen"}, id: "0123", seen: []string{"behind"}},
	} {
		b.run(r)
	}

	// While the service is down, only what fails open gets through.
	b.service.setDown(true)
	b.run(request{name: "down, closed", target: "/headers", status: 500, seen: []string{"headers"}})
	b.run(request{name: "down, open", target: "/open", body: "hi", want: []string{"small got /small/v1 ", `body="hi"`}, seen: []string{"open"}})
	b.run(request{name: "down, open, response", target: "/everything", body: "hi", want: []string{"small got /small/v1 ", `body="hi"`}, seen: []string{"everything"}})
}

// Routes beside very many with a chain in common take it off.
func TestMostShareInEnvoy(t *testing.T) {
	other := backend(t, "other")
	text := "binds:\n- port: %d\n  listeners:\n  - routes:\n"
	cs := chains{"response": {ReadsBody: true, ReadsResponse: true}}
	route := func(name string) {
		text += fmt.Sprintf("    - {name: %s, matches: [{path: {pathPrefix: /%[1]s}}], backends: [{host: %q}]}\n", name, other)
	}
	for i := range 150 {
		name := fmt.Sprintf("n%d", i)
		route(name)
		cs[name] = translator.Chain{ReadsBody: true}
	}
	route("plain")
	route("response")
	b := newTestbed(t, text, cs)
	for _, r := range []request{
		{name: "one of many", target: "/n7", body: "hi", want: []string{"other got /n7 ", `body="changed hi"`}, id: "0123", seen: []string{"n7"}},
		{name: "another of many", target: "/n149", body: "hi", want: []string{"other got /n149 ", `body="changed hi"`}, id: "0123", seen: []string{"n149"}},
		{name: "without a chain", target: "/plain", body: "hi", want: []string{"other got /plain ", `body="hi"`}},
		{name: "with other needs", target: "/response", body: "hi", want: []string{"other GOT /response ", `body="changed hi"`}, id: "0123", seen: []string{"response"}},
		{name: "not found", target: "/nothing", body: "hi", status: 404, want: []string{"route not found"}},
	} {
		b.run(r)
	}
}

func TestTimeoutInEnvoy(t *testing.T) {
	a := backend(t, "a")
	b := newTestbed(t, fmt.Sprintf(`
binds:
- port: %%d
  listeners:
  - routes:
    - name: plain
      matches: [{path: {pathPrefix: /plain}}]
      policies: {timeout: {requestTimeout: 200ms}}
      backends: [{host: %q}]
    - name: chosen
      matches: [{path: {pathPrefix: /chosen}}]
      policies: {timeout: {requestTimeout: 200ms}}
      backends: [{host: %q}]
`, a, a), chains{"chosen": {Choice: chooses}})
	slow := map[string]string{"slow": "1", "do-choose": word("chosen", "backend0")}
	b.run(request{name: "plain", target: "/plain", headers: slow, status: 504})
	b.run(request{name: "chosen", target: "/chosen", headers: slow, status: 504, id: "0123", seen: []string{"chosen"}})
}

func TestBackendTLSInEnvoy(t *testing.T) {
	ca, server, clientCert, clientKey := certificates(t)
	start := func(name string, edit func(*tls.Config)) int {
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			peer := "nobody"
			if len(r.TLS.PeerCertificates) > 0 {
				peer = r.TLS.PeerCertificates[0].Subject.CommonName
			}
			fmt.Fprintf(w, "%s %s %s", name, tls.VersionName(r.TLS.Version), peer)
		}))
		s.TLS = &tls.Config{Certificates: []tls.Certificate{server}}
		edit(s.TLS)
		s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
		s.StartTLS()
		t.Cleanup(s.Close)
		return s.Listener.Addr().(*net.TCPAddr).Port
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	any := start("any", func(*tls.Config) {})
	old := start("old", func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 })
	mutual := start("mutual", func(c *tls.Config) { c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, pool })

	dir := t.TempDir()
	for name, content := range map[string][]byte{"ca": ca, "cert": clientCert, "key": clientKey} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var text strings.Builder
	text.WriteString("config: {dns: {lookupFamily: V4Only}}\nbinds:\n- port: %d\n  listeners:\n  - routes:\n")
	for _, r := range []struct {
		name string
		port int
		tls  string
	}{
		{"any", any, "root: DIR/ca"},
		{"old", old, "root: DIR/ca"},
		{"newer", any, "root: DIR/ca, minVersion: v1.3"},
		{"too-old", old, "root: DIR/ca, minVersion: v1.3"},
		{"unknown", any, ""},
		{"mutual", mutual, "root: DIR/ca, cert: DIR/cert, key: DIR/key"},
		{"nobody", mutual, "root: DIR/ca"},
	} {
		fmt.Fprintf(&text, `    - name: %s
      matches: [{path: {exact: /%s}}]
      backends: [{host: "localhost:%d", policies: {backendTLS: {%s}}}]
`, r.name, r.name, r.port, strings.ReplaceAll(r.tls, "DIR", dir))
	}
	b := newTestbed(t, text.String(), nil)
	for _, r := range []request{
		{name: "any", want: []string{"any TLS 1.3 nobody"}},
		{name: "old", want: []string{"old TLS 1.2 nobody"}},
		{name: "newer", want: []string{"any TLS 1.3 nobody"}},
		{name: "too-old", status: 503},
		{name: "unknown", status: 503},
		{name: "mutual", want: []string{"mutual TLS 1.3 attache"}},
		{name: "nobody", status: 503},
	} {
		r.target = "/" + r.name
		b.run(r)
	}
}

// certificates makes an authority, and what it signed: a server's certificate
// for localhost, and a client's for attache, in PEM.
func certificates(t *testing.T) (ca []byte, server tls.Certificate, clientCert, clientKey []byte) {
	t.Helper()
	issue := func(name string, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey, []byte, []byte) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		template := &x509.Certificate{
			SerialNumber: big.NewInt(time.Now().UnixNano()),
			Subject:      pkix.Name{CommonName: name},
			NotBefore:    time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
			IsCA: parent == nil, BasicConstraintsValid: true,
			DNSNames: []string{name},
		}
		if parent == nil {
			parent, parentKey = template, key
		}
		der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, parentKey)
		if err != nil {
			t.Fatal(err)
		}
		private, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return c, key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
	}
	authority, key, ca, _ := issue("authority", nil, nil)
	_, _, serverCert, serverKey := issue("localhost", authority, key)
	_, _, clientCert, clientKey = issue("attache", authority, key)
	server, err := tls.X509KeyPair(serverCert, serverKey)
	if err != nil {
		t.Fatal(err)
	}
	return ca, server, clientCert, clientKey
}
