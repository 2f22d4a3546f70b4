package translator_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/encoding/protojson"
)

// Every combination of what a server is shown, with and without a body, and
// what becomes of it while the server is down.
func TestProcessingOptionsInEnvoy(t *testing.T) {
	rt, up := newMarker(t, "rt"), reflector(t)
	type direction struct{ headers, body string }
	var directions []direction
	for _, headers := range []string{"send", "skip"} {
		for _, body := range []string{"none", "buffered", "bufferedPartial", "fullDuplexStreamed"} {
			directions = append(directions, direction{headers, body})
		}
	}
	var text strings.Builder
	text.WriteString("binds:\n- port: %d\n  listeners:\n  - routes:\n")
	for i, in := range directions {
		for j, out := range directions {
			for _, mode := range []string{"failClosed", "failOpen"} {
				fmt.Fprintf(&text, "    - {name: r%[1]d-%[2]d-%[3]s, matches: [{path: {exact: /%[1]d-%[2]d-%[3]s}}], backends: [{host: %[9]q}], policies: {extProc: {host: %[8]q, failureMode: %[3]s, processingOptions: {requestHeaderMode: %[4]s, requestBodyMode: %[5]s, responseHeaderMode: %[6]s, responseBodyMode: %[7]s}}}}\n",
					i, j, mode, in.headers, in.body, out.headers, out.body, rt.addr, up)
			}
		}
	}
	b := newTestbed(t, text.String(), nil)
	mark := func(mark string, when bool) string {
		if when {
			return mark
		}
		return ""
	}
	for i, in := range directions {
		for j, out := range directions {
			for _, body := range []string{"", "hi"} {
				target := fmt.Sprintf("/%d-%d-failClosed", i, j)
				got := b.ask(t, "POST", "a.test", target, body)
				want := fmt.Sprintf("POST %s host=a.test ran=%s tenant= body=%s%s", target, mark("rt", in.headers == "send"), body+mark("+rt", in.body != "none" && body != ""), mark("+rt", out.body != "none"))
				messages := []string{mark("rh", in.headers == "send"), mark("rb", in.body != "none" && body != ""), mark("sh", out.headers == "send"), mark("sb", out.body != "none")}
				if log, _, _ := rt.forget(); got.status != 200 || got.body != want || phases(log) != strings.Join(strings.Fields(strings.Join(messages, " ")), " ") {
					t.Errorf("%v %v %q: %d %q, want %q; messages %q, want %q", in, out, body, got.status, got.body, want, log, messages)
				}
			}
		}
	}
	// What Envoy holds may be longer than the window of a client's stream.
	long := strings.Repeat("x", 1<<20)
	for _, http2 := range []bool{false, true} {
		resp, err := clientOf(http2).Post(fmt.Sprintf("http://127.0.0.1:%d/1-1-failClosed", b.port), "", strings.NewReader(long))
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 200 || err != nil || !strings.HasSuffix(string(text), "body="+long+"+rt+rt") {
			t.Errorf("1 MiB, HTTP/2 %v: %d, %v, %.100s", http2, resp.StatusCode, err, text)
		}
	}
	rt.forget()
	rt.stop()
	for i, in := range directions {
		for j, out := range directions {
			for _, body := range []string{"", "hi"} {
				asked := in.headers == "send" || in.body != "none" && body != ""
				if !asked && out.body == "fullDuplexStreamed" {
					continue // the response is cut: nothing was asked before it came
				}
				status := 200
				if in.body == "fullDuplexStreamed" && body != "" {
					status = 500 // with failOpen, too
				}
				if got := b.ask(t, "POST", "a.test", fmt.Sprintf("/%d-%d-failOpen", i, j), body); got.status != status {
					t.Errorf("down, failOpen, %v %v %q: %d, want %d", in, out, body, got.status, status)
				}
				if !asked {
					continue
				}
				if got := b.ask(t, "POST", "a.test", fmt.Sprintf("/%d-%d-failClosed", i, j), body); got.status != 500 {
					t.Errorf("down, failClosed, %v %v %q: %d, want 500", in, out, body, got.status)
				}
			}
		}
	}
}

// What agentgateway lets a server do, and what Envoy would not without being
// told; and failOpen without processingOptions.
func TestExtProcInEnvoy(t *testing.T) {
	rt, closing, up := newMarker(t, "rt"), newMarker(t, "closing"), reflector(t)
	b := newTestbed(t, fmt.Sprintf(`
binds:
- port: %%d
  listeners:
  - routes:
    - {name: closed, matches: [{path: {exact: /closed}}], policies: {extProc: {host: %[1]q}}, backends: [{host: %[3]q}]}
    - {name: buffered, matches: [{path: {exact: /buffered}}], policies: {extProc: {host: %[1]q, processingOptions: {requestBodyMode: buffered, responseBodyMode: buffered}}}, backends: [{host: %[3]q}]}
    - {name: open, matches: [{path: {exact: /open}}], policies: {extProc: {host: "http://%[2]s", failureMode: failOpen}}, backends: [{host: %[3]q}]}
    - {name: duplex, matches: [{path: {exact: /duplex}}], policies: {extProc: {host: %[2]q, failureMode: failOpen, processingOptions: {requestBodyMode: fullDuplexStreamed}}}, backends: [{host: %[3]q}]}
    - {name: unknown, matches: [{path: {exact: /unknown}}], policies: {extProc: {host: "nowhere.invalid:1"}}, backends: [{host: %[3]q}]}
`, rt.addr, closing.addr, up), nil)
	long := strings.Repeat("x", 1<<20)
	for _, c := range []struct {
		name, target, body string
		headers            []string
		status             int
		want               string
	}{
		{name: "slow", target: "/closed", headers: []string{"rt-slow: 400ms"}, want: "ran=rt"}, // Envoy's default is 200 ms
		{name: "slow, buffered", target: "/buffered", headers: []string{"rt-slow: 400ms"}, want: "ran=rt"},
		{name: "method", target: "/closed", headers: []string{"rt-set: :method=PUT"}, want: "PUT /closed"},
		{name: "path", target: "/closed", headers: []string{"rt-set: :path=/else?x"}, want: "GET /else?x"},
		{name: "authority", target: "/closed", headers: []string{"rt-set: :authority=else.test"}, want: "host=else.test"},
		{name: "host", target: "/closed", headers: []string{"rt-set: host=else.test"}, want: "host=else.test"},
		{name: "status", target: "/closed", headers: []string{"rt-back: :status=404"}, status: 404, want: "GET /closed"},
		{name: "refused", target: "/closed", headers: []string{"rt-refuse: rh"}, status: 418, want: "refused by rt"},
		{name: "refused at the body", target: "/closed", body: "hi", headers: []string{"rt-refuse: rb"}, status: 418, want: "refused by rt"},
		{name: "refused at the body, buffered", target: "/buffered", body: "hi", headers: []string{"rt-refuse: rb"}, status: 418, want: "refused by rt"},
		{name: "refused at the response", target: "/closed", headers: []string{"rt-refuse: sh"}, status: 418, want: "refused by rt"},
		{name: "refused at the response's body, buffered", target: "/buffered", headers: []string{"rt-refuse: sb"}, status: 418, want: "refused by rt"},
		{name: "length", target: "/closed", body: long, want: "xxx+rt+rt"},
		{name: "length, buffered", target: "/buffered", body: long, want: "xxx+rt+rt"},
		{name: "no such server", target: "/unknown", status: 500},
		{name: "no such server, body", target: "/unknown", body: "hi", status: 500},
	} {
		t.Run(c.name, func(t *testing.T) {
			method := "GET"
			if c.body != "" {
				method = "POST"
			}
			if got := b.ask(t, method, "a.test", c.target, c.body, c.headers...); got.status != max(c.status, 200) || !strings.Contains(got.body, c.want) {
				t.Errorf("%d %.200q, want %d %q", got.status, got.body, max(c.status, 200), c.want)
			}
		})
	}
	// With failOpen, a body is buffered, and the response is not.
	rt.forget()
	if got := b.ask(t, "POST", "a.test", "/open", "hi"); got.status != 200 || !strings.HasSuffix(got.body, "body=hi+closing+closing") {
		t.Errorf("failOpen: %+v", got)
	}
	if _, messages, _ := closing.forget(); len(messages) == 0 || messages[0].GetProtocolConfig().String() != (&extprocv3.ProtocolConfiguration{RequestBodyMode: 2, ResponseBodyMode: 4}).String() {
		t.Errorf("failOpen: the modes are %v", messages)
	}
	closing.stop()
	for _, c := range []struct {
		target, body string
		status       int
	}{{"/open", "", 200}, {"/open", "hi", 200}, {"/duplex", "", 200}, {"/duplex", "hi", 500}} {
		if got := b.ask(t, "POST", "a.test", c.target, c.body); got.status != c.status || c.status == 200 && !strings.HasSuffix(got.body, "body="+c.body) {
			t.Errorf("down: %s %q: %+v, want %d", c.target, c.body, got, c.status)
		}
	}
}

// What a server is told beside the messages.
func TestExtProcMetadataInEnvoy(t *testing.T) {
	gw, rt, up := newMarker(t, "gw"), newMarker(t, "rt"), reflector(t)
	b := newTestbed(t, fmt.Sprintf(`
binds:
- port: %%d
  listeners:
  - policies:
      extProc:
        host: %q
        metadataContext: {gw: {is: "true"}}
        requestAttributes: {path: request.path}
    routes:
    - policies:
        extProc:
          host: %q
          metadataContext:
            one: {s: "'100%%'", n: "5", f: "1.5", b: "true"}
            agentgateway.dev.grpc_initial_metadata: {X-Tenant: "'50%% \"off\"'"}
          requestAttributes:
            string: "'a \\' \\\\ \\n \" ü'"
            number: "-7"
            bool: "false"
            method: request.method
            host: request.host
            scheme: request.scheme
            path: request.path
            pathAndQuery: request.pathAndQuery
            header: request.headers["X-One"]
            field: request.headers.two
            missing: request.headers["missing"]
            address: source.address
            here: destination.address
            port: destination.port
          responseAttributes:
            code: response.code
            type: response.headers["content-type"]
            missing: response.headers["missing"]
            method: request.method
      backends: [{host: %q}]
`, gw.addr, rt.addr, up), nil)
	if got := b.ask(t, "POST", "h.test:80", "/a/b?c=d", "hi", "x-one: 1", "two: 2", "rt-set: :path=/else"); got.status != 200 {
		t.Fatalf("%+v", got)
	}
	_, messages, md := rt.forget()
	if v := md.Get("x-tenant"); len(v) != 1 || v[0] != `50% "off"` {
		t.Errorf("gRPC metadata x-tenant is %q", v)
	}
	first := map[string]bool{"request": true, "response": true}
	for _, m := range messages {
		direction := "request"
		if m.GetResponseHeaders() != nil || m.GetResponseBody() != nil {
			direction = "response"
		}
		want := map[string]map[string]any{
			"request": {"string": "a ' \\ \n \" ü", "number": -7.0, "bool": false, "method": "POST", "host": "h.test:80", "scheme": "http", "path": "/a/b", "pathAndQuery": "/a/b?c=d",
				"header": "1", "field": "2", "address": "127.0.0.1", "here": "127.0.0.1", "port": float64(b.port)},
			"response": {"code": 200.0, "type": "text/plain; charset=utf-8", "method": "POST"},
		}[direction]
		if !first[direction] {
			want = map[string]any{}
		}
		first[direction] = false
		if got := m.GetAttributes()["envoy.filters.http.ext_proc"].AsMap(); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("attributes of a %s: %v, want %v", direction, got, want)
		}
		metadata := m.GetMetadataContext().GetFilterMetadata()
		if got, want := metadata["one"].AsMap(), map[string]any{"s": "100%", "n": 5.0, "f": 1.5, "b": true}; len(metadata) != 1 || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("metadata of a %s: %v, want %v", direction, metadata, want)
		}
	}
	_, messages, _ = gw.forget()
	if len(messages) == 0 {
		t.Fatal("the gateway's server saw nothing")
	}
	text, err := protojson.Marshal(messages[0].GetMetadataContext())
	if want := `{"filterMetadata":{"gw":{"is":true}}}`; err != nil || strings.ReplaceAll(string(text), " ", "") != want || messages[0].GetAttributes()["envoy.filters.http.ext_proc"].AsMap()["path"] != "/a/b" {
		t.Errorf("the gateway's server got %s %v, want %s", text, messages[0].GetAttributes(), want)
	}
}

// A server behind TLS, whose name is verified.
func TestExtProcTLSInEnvoy(t *testing.T) {
	ca, certificate, _, _ := certificates(t)
	rt, up := &marker{name: "rt"}, reflector(t)
	addr := serve(t, "tcp", "127.0.0.1:0", func(s grpc.ServiceRegistrar) { extprocv3.RegisterExternalProcessorServer(s, rt) },
		grpc.Creds(credentials.NewServerTLSFromCert(&certificate)))
	root := filepath.Join(t.TempDir(), "ca")
	if err := os.WriteFile(root, ca, 0o600); err != nil {
		t.Fatal(err)
	}
	_, port, _ := strings.Cut(addr, ":")
	b := newTestbed(t, fmt.Sprintf(`
config: {dns: {lookupFamily: V4Only}}
binds:
- port: %%d
  listeners:
  - routes:
    - {matches: [{path: {exact: /known}}], policies: {extProc: {host: "https://localhost:%[1]s", policies: {backendTLS: {root: %[2]q}}}}, backends: [{host: %[3]q}]}
    - {matches: [{path: {exact: /plain-target}}], policies: {extProc: {host: "localhost:%[1]s", policies: {backendTLS: {root: %[2]q}}}}, backends: [{host: %[3]q}]}
    - {matches: [{path: {exact: /unknown}}], policies: {extProc: {host: "https://localhost:%[1]s"}}, backends: [{host: %[3]q}]}
    - {matches: [{path: {exact: /clear}}], policies: {extProc: {host: "localhost:%[1]s"}}, backends: [{host: %[3]q}]}
`, port, root, up), nil)
	for target, status := range map[string]int{"/known": 200, "/plain-target": 200, "/unknown": 500, "/clear": 500} {
		if got := b.ask(t, "POST", "", target, "hi"); got.status != status || status == 200 && !strings.HasSuffix(got.body, "body=hi+rt+rt") {
			t.Errorf("%s: %+v, want %d", target, got, status)
		}
	}
}

// Where headers are not shown, attributes go with the body.
func TestAttributesWithoutHeadersInEnvoy(t *testing.T) {
	rt, up := newMarker(t, "rt"), reflector(t)
	var text strings.Builder
	text.WriteString("binds:\n- port: %d\n  listeners:\n  - routes:\n")
	modes := []string{"buffered", "bufferedPartial", "fullDuplexStreamed"}
	for _, mode := range modes {
		fmt.Fprintf(&text, "    - {matches: [{path: {exact: /%[1]s}}], backends: [{host: %[3]q}], policies: {extProc: {host: %[2]q, requestAttributes: {path: request.path}, responseAttributes: {code: response.code}, processingOptions: {requestHeaderMode: skip, responseHeaderMode: skip, requestBodyMode: %[1]s, responseBodyMode: %[1]s}}}}\n", mode, rt.addr, up)
	}
	b := newTestbed(t, text.String(), nil)
	for _, mode := range modes {
		b.ask(t, "POST", "", "/"+mode, "hi")
		var got []any
		_, messages, _ := rt.forget()
		for _, m := range messages {
			for _, v := range m.GetAttributes()["envoy.filters.http.ext_proc"].AsMap() {
				got = append(got, v)
			}
		}
		if want := []any{"/" + mode, 200.0}; !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", mode, got, want)
		}
	}
}

// The certificates that verify a server are exchanged without touching what it has
// in hand: a stream of its answer goes on, and who connects next is verified anew.
func TestExtProcRootsInEnvoy(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	ca.issue("server", "localhost")
	certificate, err := tls.LoadX509KeyPair(ca.path("server.pem"), ca.path("server.key"))
	if err != nil {
		t.Fatal(err)
	}
	server := func(name string) (port string) {
		addr := serve(t, "tcp", "127.0.0.1:0", func(s grpc.ServiceRegistrar) { extprocv3.RegisterExternalProcessorServer(s, &marker{name: name}) },
			grpc.Creds(credentials.NewServerTLSFromCert(&certificate)))
		_, port, _ = strings.Cut(addr, ":")
		return port
	}
	goOn := make(chan struct{})
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "one")
		w.(http.Flusher).Flush()
		select {
		case <-goOn:
		case <-r.Context().Done():
		}
		io.WriteString(w, "two")
	}))
	t.Cleanup(up.Close)
	text := fmt.Sprintf(`
config: {dns: {lookupFamily: V4Only}}
binds:
- port: %%d
  listeners:
  - routes:
    - {matches: [{path: {exact: /held}}], policies: {extProc: {host: "https://localhost:%[1]s", policies: {backendTLS: {root: %[3]q}}}}, backends: [{host: %[4]q}]}
    - {matches: [{path: {exact: /late}}], policies: {extProc: {host: "https://localhost:%[2]s", policies: {backendTLS: {root: %[3]q}}}}, backends: [{host: %[4]q}]}
`, server("m"), server("m"), ca.path("ca.pem"), up.Listener.Addr())
	b := newTestbed(t, text, nil)
	resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/held", b.port))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	read := func(want string) {
		t.Helper()
		got := make([]byte, len(want))
		if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != want {
			t.Errorf("the held answer goes on with %q, %v, want %q", got, err, want)
		}
	}
	read("one")
	root, err := os.ReadFile(other.path("ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(ca.path("ca.pem"), root, 0o600); err != nil {
		t.Fatal(err)
	}
	b.publish(fmt.Sprintf(text, b.port))
	if got := b.ask(t, "GET", "", "/late", ""); got.status != 500 {
		t.Errorf("a server of the old authority: %+v, want 500", got)
	}
	close(goOn)
	read("two+m")
}
