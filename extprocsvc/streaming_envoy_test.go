package extprocsvc_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/attache-dev/attache/envoy/envoytest"
	"github.com/attache-dev/attache/extprocsvc"
)

// bootstrap is an Envoy with one listener, our filter in full duplex, and an
// upstream.
const bootstrap = `
static_resources:
  listeners:
  - address: {socket_address: {address: 127.0.0.1, port_value: %d}}
    filter_chains:
    - filters:
      - name: hcm
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: h
          route_config: {virtual_hosts: [{name: v, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: up, timeout: 0s}}]}]}
          http_filters:
          - name: ai
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor
              message_timeout: 5s
              allow_content_length_header: true
              grpc_service: {envoy_grpc: {cluster_name: ep}, initial_metadata: [{key: x-attache-chain, value: %q}]}
              processing_mode: {request_header_mode: SEND, request_body_mode: FULL_DUPLEX_STREAMED, response_header_mode: SEND, response_body_mode: FULL_DUPLEX_STREAMED, request_trailer_mode: SEND, response_trailer_mode: SEND}
              metadata_options: {receiving_namespaces: {untyped: [attache]}}
          - name: router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
  clusters:
  - name: up
    load_assignment: {cluster_name: up, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: %d}}}}]}]}
  - name: ep
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {http2_protocol_options: {}}
    load_assignment: {cluster_name: ep, endpoints: [{lb_endpoints: [{endpoint: {address: {pipe: {path: %q}}}}]}]}
`

// throughEnvoy serves the chains of a file behind a real Envoy, and returns its
// address. otherwise are parts of its configuration and what stands there instead.
func throughEnvoy(t *testing.T, s *extprocsvc.Server, ref string, upstream http.Handler, otherwise ...string) string {
	t.Helper()
	binary := envoytest.Find(t)
	dir, err := os.MkdirTemp("", "ep") // short enough for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	l, err := net.Listen("unix", filepath.Join(dir, "ep"))
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer(s.ServerOptions()...)
	s.Register(g)
	served := make(chan error, 1)
	go func() { served <- g.Serve(l) }()
	up := httptest.NewServer(upstream)
	port := envoytest.Ports(t, 1)[0]
	file, log := filepath.Join(dir, "envoy.yaml"), filepath.Join(dir, "log")
	text := fmt.Sprintf(strings.NewReplacer(otherwise...).Replace(bootstrap), port, ref, up.Listener.Addr().(*net.TCPAddr).Port, l.Addr().String())
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary.Path, "-c", file, "--disable-hot-restart", "--concurrency", "1", "-l", "warning", "--log-path", log)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		up.Close()
		g.Stop()
		<-served
		if text, err := os.ReadFile(log); err == nil && t.Failed() {
			t.Logf("the log of Envoy:\n%s", text)
		}
	})
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		if conn, err := net.Dial("tcp", addr); err == nil {
			conn.Close()
			return addr
		}
		time.Sleep(5 * time.Millisecond) // until the listener is open
	}
	t.Fatal("the listener does not open")
	return ""
}

// A model sends an event only when the client has got what it must have got of
// those before: what is not held leaves at once, and what may be a match does
// not leave.
func TestStreamThroughEnvoy(t *testing.T) {
	s := start(t, masks.Build, extprocsvc.Options{}, guarded("", one, maskP))
	t.Cleanup(s.Close)
	next := make(chan string)
	addr := throughEnvoy(t, s.Server, s.ref(0), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("content-type", "text/event-stream")
		for e := range next {
			_, _ = io.WriteString(w, e)
			w.(http.Flusher).Flush()
		}
	}))
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	var r *bufio.Reader
	event := func() string {
		t.Helper()
		var b strings.Builder
		for {
			line, err := r.ReadString('\n')
			if b.WriteString(line); err != nil {
				t.Fatalf("%v after %q", err, b.String())
			}
			if line == "\n" {
				return b.String()
			}
		}
	}
	go func() { next <- chat("hello, ") }()
	resp, err := client.Post("http://"+addr+"/v1/chat/completions", "application/json", strings.NewReader(ask))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	r = bufio.NewReader(resp.Body)
	for i, step := range []struct{ send, want []string }{
		{nil, []string{chat("hello, ")}},
		{[]string{chat("I, ")}, []string{chat("I, ")}},
		{[]string{chat("123-"), chat("45-6"), chat("789! ")}, []string{chat("<SSN>"), chat(""), chat("! ")}},
		{[]string{": ping\n\n"}, []string{": ping\n\n"}},
		{[]string{chat("123-45-6789"), chatEnd}, []string{chat("<SSN>"), strings.SplitAfter(chatEnd, "\n\n")[0], "data: [DONE]\n\n"}},
	} {
		for _, e := range step.send {
			next <- e
		}
		for _, want := range step.want {
			if got := event(); got != want {
				t.Fatalf("step %d: got %q, want %q", i, got, want)
			}
		}
	}
	close(next)
	if rest, err := io.ReadAll(r); err != nil || len(rest) > 0 {
		t.Errorf("at the end: %q, %v", rest, err)
	}
}

// A rejection ends the answer with an error event, and with an end that the
// client takes for one; the connection stays usable.
func TestRejectionThroughEnvoy(t *testing.T) {
	s := start(t, masks.Build, extprocsvc.Options{}, guarded("", one, stops))
	t.Cleanup(s.Close)
	gone := make(chan struct{}, 10)
	addr := throughEnvoy(t, s.Server, s.ref(0), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("content-type", "text/event-stream")
		for _, e := range []string{chat("hello, "), chat("123-"), chat("45-6789! "), chat("more")} {
			_, _ = io.WriteString(w, e)
			w.(http.Flusher).Flush()
		}
		<-r.Context().Done() // a model that would go on
		gone <- struct{}{}
	}))
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for range 3 {
		resp, err := client.Post("http://"+addr+"/v1/chat/completions", "application/json", strings.NewReader(ask))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		want := chat("hello, ") + `data: {"error":{"message":"no numbers","type":"policy_violation","code":"AIGW_POLICY_VIOLATION"},"message":"no numbers"}` + "\n\n"
		if err != nil || string(got) != want || resp.StatusCode != 200 {
			t.Errorf("%d, %v\ngot  %q\nwant %q", resp.StatusCode, err, got, want)
		}
		<-gone
	}
}
