package translator_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/attache-dev/attache/envoy/envoytest"
)

// clientOf is a client that speaks HTTP/1.1, or HTTP/2 without TLS.
func clientOf(http2 bool) *http.Client {
	p := &http.Protocols{}
	p.SetHTTP1(!http2)
	p.SetUnencryptedHTTP2(http2)
	return &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{Protocols: p, DisableKeepAlives: true}}
}

// versions is a backend that speaks both, and answers with what it was spoken to
// by.
func versions(t *testing.T) string {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Proto) }))
	s.Config.Protocols = &http.Protocols{}
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// Without TLS a backend is spoken to by the client's version, unless something says
// which.
func TestHTTPVersionInEnvoy(t *testing.T) {
	a := versions(t)
	b := newTestbed(t, routes(`services: [{name: web, namespace: d, hostname: web, ports: {1: `+port(a)+`, 2: `+port(a)+`}, appProtocols: {1: Grpc, 2: Http11}}]
workloads: [{namespace: d, workloadIps: [127.0.0.1], services: {d/web: {}}}]
`,
		[2]string{"any", "backends: [{host: \"" + a + "\"}]"},
		[2]string{"one", "backends: [{host: \"" + a + "\", policies: {http: {version: \"1.1\"}}}]"},
		[2]string{"two", "backends: [{host: \"" + a + "\", policies: {http: {version: \"2\"}}}]"},
		[2]string{"grpc", "backends: [{service: {name: d/web, port: 1}}]"},
		[2]string{"http11", "backends: [{service: {name: d/web, port: 2}}]"},
		[2]string{"policy-wins", "backends: [{service: {name: d/web, port: 1}, policies: {http: {version: \"1.1\"}}}]"},
	), nil)
	for _, c := range []struct{ route, http1, http2 string }{
		{"any", "HTTP/1.1", "HTTP/2.0"},
		{"one", "HTTP/1.1", "HTTP/1.1"},
		{"two", "HTTP/2.0", "HTTP/2.0"},
		{"grpc", "HTTP/2.0", "HTTP/2.0"},
		{"http11", "HTTP/1.1", "HTTP/1.1"},
		{"policy-wins", "HTTP/1.1", "HTTP/1.1"},
	} {
		for _, http2 := range []bool{false, true} {
			resp, err := clientOf(http2).Get(fmt.Sprintf("http://127.0.0.1:%d/%s", b.port, c.route))
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			want := c.http1
			if http2 {
				want = c.http2
			}
			if string(body) != want {
				t.Errorf("%s, client with HTTP/2 %v: %s, want %s", c.route, http2, body, want)
			}
		}
	}
}

func TestBackendTimeoutsInEnvoy(t *testing.T) {
	a := backend(t, "a")
	mute, err := net.Listen("tcp", "127.0.0.1:0") // connects, and never shakes hands
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	b := newTestbed(t, routes("backends: [{name: patient, host: \""+a+"\", policies: {http: {requestTimeout: 1h}}}]\n",
		[2]string{"quick", "backends: [{host: \"" + a + "\", policies: {http: {requestTimeout: 200ms}}}]"},
		[2]string{"both", "backends: [{host: \"" + a + "\", policies: {http: {requestTimeout: 200ms}}}, {host: \"localhost:" + port(a) + "\", policies: {http: {requestTimeout: 200ms}}}]"},
		[2]string{"entry-wins", "backends: [{backend: patient, policies: {http: {requestTimeout: 200ms}}}]"},
		[2]string{"route-wins", "policies: {timeout: {requestTimeout: 200ms}}, backends: [{backend: patient}]"},
		[2]string{"connect", "backends: [{host: \"localhost:" + port(mute.Addr().String()) + "\", policies: {backendTLS: {insecure: true}, tcp: {connectTimeout: {secs: 0, nanos: 200000000}, keepalives: {time: 10s, interval: 1s, retries: 3}}}}]"},
		[2]string{"no-keepalive", "backends: [{host: \"" + a + "\", policies: {tcp: {keepalives: {enabled: false}, connectTimeout: 1s}}}]"},
	), nil)
	for _, name := range []string{"quick", "both", "entry-wins", "route-wins"} {
		b.run(request{name: name, target: "/" + name, headers: map[string]string{"slow": "1"}, status: 504})
		b.run(request{name: name + " in time", target: "/" + name, want: []string{"a got /" + name}})
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	req, _ := http.NewRequestWithContext(ctx, "GET", fmt.Sprintf("http://127.0.0.1:%d/connect", b.port), nil)
	resp, err := clientOf(false).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 503 {
		t.Errorf("without a connection: %d, want 503", resp.StatusCode)
	}
	b.run(request{name: "no-keepalive", target: "/no-keepalive", want: []string{"a got /no-keepalive"}})
}

func (b *testbed) succeeds(target string) bool {
	status, _ := b.get(target, "client.test")
	return status == 200
}

// Endpoints that fail are out of service for a while, and are used when there is no
// other.
func TestEvictionInEnvoy(t *testing.T) {
	var bad atomic.Int64
	failing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		bad.Add(1)
		http.Error(w, "failing", 500)
	}))
	t.Cleanup(failing.Close)
	good, gone := backend(t, "good"), envoytest.Ports(t, 1)[0]
	workload := func(uid string, port any) string {
		return fmt.Sprintf("- {uid: %s, namespace: d, workloadIps: [127.0.0.1], services: {d/%s: {1: %v}}}\n", uid, strings.Split(uid, "-")[0], port)
	}
	health := func(service, eviction string) string {
		return "backends: [{service: {name: d/" + service + ", port: 1}, policies: {health: {eviction: {" + eviction + "}}}}]"
	}
	b := newTestbed(t, routes(`services:
- {name: mixed, namespace: d, hostname: mixed, ports: {1: 0}}
- {name: bad, namespace: d, hostname: bad, ports: {1: 0}}
- {name: refusing, namespace: d, hostname: refusing, ports: {1: 0}}
workloads:
`+workload("mixed-good", port(good))+workload("mixed-bad", port(failing.Listener.Addr().String()))+
		workload("bad-only", port(failing.Listener.Addr().String()))+
		workload("refusing-good", port(good))+workload("refusing-gone", gone),
		[2]string{"mixed", health("mixed", "duration: 1h, consecutiveFailures: 2")},
		[2]string{"back", health("mixed", "duration: 300ms")},
		[2]string{"only", health("bad", "duration: 1h")},
		[2]string{"refusing", health("refusing", "duration: 1h")},
	), nil)

	// Envoy needs a moment to tell its worker. Without eviction, half of the
	// requests would fail.
	settles := func(target string) {
		for good, tries := 0, 0; good < 50; tries++ {
			if tries == 1000 {
				t.Fatalf("%s: an endpoint that fails stays in service", target)
			}
			if good++; !b.succeeds(target) {
				good = 0
			}
		}
	}
	b.answers("/mixed", "client.test", "200 good got ", "500 failing")
	settles("/mixed")
	if bad.Load() < 2 {
		t.Error("evicted before the second failure")
	}
	b.answers("/refusing", "client.test", "200 good got ", "503 ")
	settles("/refusing")

	// The only endpoint serves although it is evicted.
	for range 5 {
		b.answers("/only", "client.test", "500 failing")
	}

	// It comes back.
	before := bad.Load()
	deadline := time.Now().Add(10 * time.Second)
	for bad.Load() < before+2 && time.Now().Before(deadline) {
		b.get("/back", "client.test")
	}
	if bad.Load() < before+2 {
		t.Error("an evicted endpoint does not come back")
	}
}

// What clients over TLS have agreed on with us says nothing about a backend without
// it.
func TestVersionBehindTLSInEnvoy(t *testing.T) {
	ca, a := newAuthority(t), versions(t)
	ca.issue("server", "localhost")
	b := newTestbed(t, fmt.Sprintf(`
binds:
- port: %%d
  listeners:
  - protocol: HTTPS
    tls: {cert: %s, key: %s}
    routes:
    - {matches: [{path: {exact: /any}}], backends: [{host: %q}]}
    - {matches: [{path: {exact: /two}}], backends: [{host: %q, policies: {http: {version: "2"}}}]}
`, ca.path("server.pem"), ca.path("server.key"), a, a), nil)
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{TLSClientConfig: ca.clientConfig(""), ForceAttemptHTTP2: true}}
	for path, want := range map[string]string{"any": "HTTP/1.1", "two": "HTTP/2.0"} {
		resp, err := client.Get(fmt.Sprintf("https://localhost:%d/%s", b.port, path))
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.Proto != "HTTP/2.0" || string(body) != want {
			t.Errorf("/%s: the client spoke %s, the backend was spoken to by %s, want %s", path, resp.Proto, body, want)
		}
	}
}

// Connections go to named backends and services as requests do, and an invalid
// backend closes them.
func TestTCPBackendsInEnvoy(t *testing.T) {
	a := backend(t, "a")
	for name, c := range map[string]struct{ backends, want string }{
		"named":   {"[{backend: /up}]", "a got /x"},
		"service": {"[{service: {name: d/web, port: 1}}]", "a got /x"},
		"empty":   {"[{service: {name: d/none, port: 1}}]", ""},
		"invalid": {"[invalid]", ""},
		"shared":  {"[{backend: /up, weight: 1000}, {invalid: null}]", "a got /x"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newTestbed(t, `
backends: [{name: up, host: "localhost:`+port(a)+`"}]
services:
- {name: web, namespace: d, hostname: web, ports: {1: `+port(a)+`}}
- {name: none, namespace: d, hostname: none, ports: {1: 1}}
workloads: [{namespace: d, workloadIps: [127.0.0.1], services: {d/web: {}}}]
binds: [{port: %d, listeners: [{protocol: TCP, tcpRoutes: [{backends: `+c.backends+`}]}]}]
`, nil)
			for range 5 {
				resp, err := clientOf(false).Get(fmt.Sprintf("http://127.0.0.1:%d/x", b.port))
				switch {
				case err != nil && c.want == "":
					return
				case err != nil:
					continue // perhaps the share of the invalid one
				}
				body, _ := io.ReadAll(resp.Body)
				resp.Body.Close()
				if c.want == "" || !strings.HasPrefix(string(body), c.want) {
					t.Errorf("got %s, want %s", body, c.want)
				}
				return
			}
			t.Error("connections are closed")
		})
	}
}
