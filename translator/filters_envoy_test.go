package translator_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc"

	"github.com/attache-dev/attache/envoy/envoytest"
)

// A recorder is a backend that remembers what it got and answers as the
// request's headers say: answer-status, or answer-<header> for a header of the
// response.
type recorder struct {
	addr string
	mu   sync.Mutex
	got  []string
	// copies are told of each request.
	copies chan string
}

func newRecorder(t *testing.T) *recorder {
	r := &recorder{copies: make(chan string, 100)}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, _ := io.ReadAll(q.Body)
		lines := []string{fmt.Sprintf("%s %s host=%s body=%d", q.Method, q.URL.RequestURI(), q.Host, len(body))}
		for name, values := range q.Header {
			for _, v := range values {
				lines = append(lines, strings.ToLower(name)+": "+v)
			}
			if n, ok := strings.CutPrefix(strings.ToLower(name), "answer-"); ok {
				w.Header().Set(n, values[0])
			}
		}
		slices.Sort(lines[1:])
		text := strings.Join(lines, "\n")
		r.mu.Lock()
		r.got = append(r.got, text)
		n := len(r.got)
		r.mu.Unlock()
		r.copies <- text
		status := 200
		// failing-<n> fails the first n requests of a test.
		if v := q.Header.Get("fail-first"); v != "" {
			var first int
			fmt.Sscan(v, &first)
			if n <= first {
				status = 503
			}
		}
		if q.Header.Get("break") != "" && n == 1 {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				conn.Close()
			}
			return
		}
		if d := q.Header.Get("slow"); d != "" {
			wait, _ := time.ParseDuration(d)
			if q.Header.Get("slow-body") != "" {
				w.WriteHeader(status)
				http.NewResponseController(w).Flush()
			}
			select {
			case <-q.Context().Done():
				return
			case <-time.After(wait):
			}
		}
		if q.Header.Get("slow-body") == "" {
			w.WriteHeader(status)
		}
		io.WriteString(w, text)
	}))
	t.Cleanup(s.Close)
	r.addr = s.Listener.Addr().String()
	return r
}

// forget returns what the backend got since the last time.
func (r *recorder) forget() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	got := r.got
	r.got = nil
	for len(r.copies) > 0 {
		<-r.copies
	}
	return got
}

// lines tells whether a text has all of these lines, and none that begins with
// one of those after a "!".
func lines(t *testing.T, text string, want ...string) {
	t.Helper()
	have := strings.Split(text, "\n")
	for _, w := range want {
		if not, ok := strings.CutPrefix(w, "!"); ok {
			if slices.ContainsFunc(have, func(l string) bool { return strings.HasPrefix(l, not) }) {
				t.Errorf("got a line %s…:\n%s", not, text)
			}
		} else if !slices.Contains(have, w) {
			t.Errorf("no line %s:\n%s", w, text)
		}
	}
}

// A witness is an ext_proc server that remembers the headers it has seen.
type witness struct {
	extprocv3.UnimplementedExternalProcessorServer
	seen chan string
}

func newWitness(t *testing.T) (w *witness, addr string) {
	w = &witness{seen: make(chan string, 100)}
	return w, serve(t, "tcp", "127.0.0.1:0", func(s grpc.ServiceRegistrar) { extprocv3.RegisterExternalProcessorServer(s, w) })
}

func (w *witness) Process(stream extprocv3.ExternalProcessor_ProcessServer) error {
	x := &exchange{stream: stream}
	for {
		in, err := stream.Recv()
		if err != nil {
			return nil
		}
		headers, phase := in.GetRequestHeaders(), "request"
		if h := in.GetResponseHeaders(); h != nil {
			headers, phase = h, "response"
		}
		if headers != nil {
			text := phase
			for _, h := range headers.GetHeaders().GetHeaders() {
				text += "\n" + h.Key + ": " + string(h.RawValue)
			}
			w.seen <- text
		}
		if done, err := x.answer(in); done || err != nil {
			return err
		}
	}
}

func TestHeaderModifiersInEnvoy(t *testing.T) {
	up := newRecorder(t)
	seen, extProc := newWitness(t)
	b := newTestbed(t, strings.NewReplacer("UP", up.addr, "WITNESS", extProc, "CLOSED", fmt.Sprintf("127.0.0.1:%d", envoytest.Ports(t, 1)[0])).Replace(`
binds:
- port: %d
  listeners:
  - routes:
    - name: modified
      matches: [{path: {pathPrefix: /modified}}]
      policies:
        requestHeaderModifier: {add: {x-add: two, X-New: n}, set: {x-set: "100% of %REQ(x-add)%", x-empty: ""}, remove: [x-gone, x-added-and-gone]}
        responseHeaderModifier: {add: {x-add: r2, x-added-and-gone: a}, set: {x-set: "50%", server: us}, remove: [x-gone, x-added-and-gone]}
      backends: [{host: "UP"}]
    - name: witnessed
      matches: [{path: {pathPrefix: /witnessed}}]
      policies:
        extProc: {host: "WITNESS"}
        requestHeaderModifier: {set: {x-set: q}}
        responseHeaderModifier: {set: {x-set: r}}
      backends: [{host: "UP"}]
    - name: redirected
      matches: [{path: {pathPrefix: /redirected}}]
      policies: {requestRedirect: {path: {full: /x}}, responseHeaderModifier: {set: {x-set: r}}}
    - name: unreachable
      matches: [{path: {pathPrefix: /unreachable}}]
      policies: {responseHeaderModifier: {set: {x-set: r}}}
      backends: [{host: "CLOSED"}]
    - name: nobody
      matches: [{path: {pathPrefix: /nobody}}]
      policies: {responseHeaderModifier: {set: {x-set: r}}}
    - name: plain
      matches: [{path: {pathPrefix: /plain}}]
      backends: [{host: "UP"}]
    - name: framed
      matches: [{path: {pathPrefix: /framed}}]
      policies: {requestHeaderModifier: {remove: [content-length, transfer-encoding]}, responseHeaderModifier: {remove: [content-length, transfer-encoding]}}
      backends: [{host: "UP"}]
  - hostname: same.test
    routes:
    - {name: one, matches: [{path: {exact: /one}}], policies: {responseHeaderModifier: {set: {x-set: r}}}, backends: [{host: "UP"}]}
    - {name: two, matches: [{path: {exact: /two}}], policies: {responseHeaderModifier: {set: {x-set: r}}}, backends: [{host: "UP"}]}
`), nil)
	a := b.ask(t, "GET", "", "/modified", "", "x-add: one", "x-set: old", "x-set: older", "x-gone: g", "x-added-and-gone: g", "answer-x-add: r1", "answer-x-set: old", "answer-x-gone: g")
	lines(t, a.body, "x-add: one", "x-add: two", "x-new: n", "x-set: 100% of %REQ(x-add)%", "!x-gone", "x-empty: ", "!x-set: old", "!x-added")
	for name, want := range map[string]string{"x-add": "r1,r2", "x-set": "50%", "x-gone": "", "x-added-and-gone": "", "server": "us"} {
		if got := strings.Join(a.headers.Values(name), ","); got != want {
			t.Errorf("%s of the response is %q, want %q", name, got, want)
		}
	}

	// A body without its length arrives all the same.
	a = b.ask(t, "POST", "", "/framed", "hello")
	lines(t, a.body, fmt.Sprintf("POST /framed host=127.0.0.1:%d body=5", b.port), "!content-length")

	// On requests after external processing, on responses before it.
	a = b.ask(t, "GET", "", "/witnessed", "")
	lines(t, a.body, "x-set: q")
	lines(t, <-seen.seen, "request", "!x-set")
	lines(t, <-seen.seen, "response", "x-set: r")

	// Answers of the gateway for the route, and no others.
	for _, c := range []struct {
		host, target string
		status       int
		want         string
	}{
		{"", "/redirected", 302, "r"}, {"", "/unreachable", 503, "r"}, {"", "/nobody", 500, "r"}, {"", "/plain", 200, ""}, {"", "/nothing", 404, ""},
		{"same.test", "/one", 200, "r"}, {"same.test", "/two", 200, "r"}, {"same.test", "/nothing", 404, ""},
	} {
		a := b.ask(t, "GET", c.host, c.target, "")
		if a.status != c.status || a.headers.Get("x-set") != c.want {
			t.Errorf("%s: status %d, x-set %q; want %d, %q", c.target, a.status, a.headers.Get("x-set"), c.status, c.want)
		}
	}
}

func TestBackendHeaderModifiersInEnvoy(t *testing.T) {
	one, two := newRecorder(t), newRecorder(t)
	seen, extProc := newWitness(t)
	b := newTestbed(t, strings.NewReplacer("ONE", one.addr, "TWO", two.addr, "WITNESS", extProc).Replace(`
binds:
- port: %d
  listeners:
  - routes:
    - name: only
      matches: [{path: {exact: /only}}]
      policies:
        extProc: {host: "WITNESS"}
        requestHeaderModifier: {set: {x-q: route, x-q-route: "1"}}
        responseHeaderModifier: {set: {x-r: route, x-r-route: "1"}}
      backends:
      - host: "ONE"
        policies: {requestHeaderModifier: {set: {x-q: backend}}, responseHeaderModifier: {set: {x-r: backend}}}
    - name: shared
      matches: [{path: {exact: /shared}}]
      policies:
        extProc: {host: "WITNESS"}
        requestHeaderModifier: {set: {x-q: route, x-q-route: "1"}}
        responseHeaderModifier: {set: {x-r: route, x-r-route: "1"}}
      backends:
      - host: "ONE"
        policies: {requestHeaderModifier: {set: {x-q: backend}}, responseHeaderModifier: {set: {x-r: backend}}}
      - host: "TWO"
`), nil)
	ask := func(target string) (backend string) {
		t.Helper()
		one.forget()
		a := b.ask(t, "GET", "", target, "", "answer-x-r: upstream")
		backend = "route"
		if len(one.forget()) > 0 {
			backend = "backend"
		}
		lines(t, a.body, "x-q: "+backend, "x-q-route: 1")
		lines(t, <-seen.seen, "request", "!x-q")
		lines(t, <-seen.seen, "response", "x-r: "+backend, "x-r-route: 1")
		if got := a.headers.Values("x-r"); len(got) != 1 || got[0] != backend {
			t.Errorf("%s: x-r is %q, want %s", target, got, backend)
		}
		return backend
	}
	if got := ask("/only"); got != "backend" {
		t.Errorf("went to %s", got)
	}
	asked := map[string]bool{}
	for range 100 {
		if asked[ask("/shared")] = true; len(asked) == 2 {
			return
		}
	}
	t.Errorf("all requests went to one backend: %v", asked)
}

func TestRedirectInEnvoy(t *testing.T) {
	type redirect struct{ match, policy, host, target, want string }
	cases := []redirect{
		{"pathPrefix: /", "{}", "test.com", "/hello/world?a=1&b=%20", "302 http://test.com/hello/world?a=1&b=%20"},
		{"pathPrefix: /", "{}", "test.com:3000", "/", "302 http://test.com:3000/"},
		{"pathPrefix: /", "{authority: none, status: 301}", "test.com:3000", "/", "301 http://test.com:3000/"},
		{"pathPrefix: /", "{authority: auto, status: 300}", "test.com", "/", "300 http://test.com/"},
		{"pathPrefix: /", "{scheme: https}", "test.com", "/x?y", "302 https://test.com/x?y"},
		{"pathPrefix: /", "{scheme: https, status: 308}", "test.com:3000", "/x", "308 https://test.com:3000/x"},
		{"pathPrefix: /", "{authority: {full: \"new.com:81\"}}", "test.com:3000", "/x", "302 http://new.com:81/x"},
		{"pathPrefix: /", "{authority: {host: new.com}}", "test.com", "/x", "302 http://new.com/x"},
		{"pathPrefix: /", "{authority: {host: new.com}}", "test.com:3000", "/x", "302 http://new.com:3000/x"},
		{"pathPrefix: /", "{authority: {host: new.com}}", "test.com:80", "/x", "302 http://new.com/x"},
		{"pathPrefix: /", "{authority: {host: new.com}}", "test.com:443", "/x", "302 http://new.com:443/x"},
		{"pathPrefix: /", "{authority: {host: new.com}}", "[::1]:3000", "/x", "302 http://new.com:3000/x"},
		{"pathPrefix: /", "{authority: {host: new.com}}", "[::1]", "/x", "302 http://new.com/x"},
		{"pathPrefix: /", "{scheme: https, authority: {host: new.com}}", "test.com:3000", "/x", "302 https://new.com/x"},
		{"pathPrefix: /", "{authority: {port: 8080}}", "test.com", "/x", "302 http://test.com:8080/x"},
		{"pathPrefix: /", "{authority: {port: 8080}}", "test.com:3000", "/x", "302 http://test.com:8080/x"},
		{"pathPrefix: /", "{authority: {port: 8080}}", "[::1]:3000", "/x", "302 http://[::1]:8080/x"},
		{"pathPrefix: /", "{authority: {port: 80}}", "test.com:3000", "/x", "302 http://test.com/x"},
		{"pathPrefix: /", "{authority: {port: 443}}", "test.com:3000", "/x", "302 http://test.com:443/x"},
		{"pathPrefix: /", "{scheme: https, authority: {port: 443}}", "test.com:3000", "/x", "302 https://test.com/x"},
		{"pathPrefix: /", "{scheme: https, authority: {port: 80}}", "test.com:3000", "/x", "302 https://test.com:80/x"},
		{"pathPrefix: /", "{scheme: https, authority: {port: 8443}}", "test.com", "/x", "302 https://test.com:8443/x"},
		{"exact: /exact", "{path: {full: /new}}", "test.com", "/exact?a=b?c", "302 http://test.com/new?a=b?c"},
		{"regex: \"/r/[0-9]+\"", "{path: {full: /100%25}}", "test.com", "/r/1", "302 http://test.com/100%25"},
		{"pathPrefix: /api", "{path: {prefix: /v1}}", "test.com", "/api/users/123?page=1", "302 http://test.com/v1/users/123?page=1"},
		{"pathPrefix: /api", "{path: {prefix: /v1}}", "test.com", "/api", "302 http://test.com/v1"},
		{"pathPrefix: /api", "{path: {prefix: /v1}}", "test.com", "/api?x", "302 http://test.com/v1?x"},
		{"pathPrefix: /api", "{path: {prefix: /}}", "test.com", "/api/users", "302 http://test.com/users"},
		{"pathPrefix: /api", "{path: {prefix: \"\"}}", "test.com", "/api?x", "302 http://test.com/?x"},
		{"pathPrefix: /api/", "{path: {prefix: /v1/}}", "test.com", "/api/users", "302 http://test.com/v1/users"},
		{"pathPrefix: /api/", "{path: {prefix: /v1}}", "test.com", "/api/users", "302 http://test.com/v1/users"},
		{"pathPrefix: /a(b", "{path: {prefix: /v'1}}", "test.com", "/a(b/%29%25x", "302 http://test.com/v'1/%29%25x"},
	}
	var text strings.Builder
	text.WriteString("binds:\n- port: %d\n  listeners:\n  - routes:\n")
	for i, c := range cases {
		fmt.Fprintf(&text, "    - {name: r%d, matches: [{path: {%s}, headers: [{name: case, value: {exact: \"%d\"}}]}], policies: {requestRedirect: %s}}\n", i, c.match, i, c.policy)
	}
	b := newTestbed(t, text.String(), nil)
	for i, c := range cases {
		a := b.ask(t, "GET", c.host, c.target, "", fmt.Sprintf("case: %d", i))
		if got := fmt.Sprint(a.status, " ", a.headers.Get("location")); got != c.want || a.body != "" {
			t.Errorf("%s %s, %s%s: got %s %q, want %s", c.match, c.policy, c.host, c.target, got, a.body, c.want)
		}
	}
}

func TestRewriteInEnvoy(t *testing.T) {
	up := newRecorder(t)
	_, port, _ := net.SplitHostPort(up.addr)
	named := "localhost:" + port
	type rewrite struct{ match, policy, backend, host, target, want string }
	cases := []rewrite{
		{"pathPrefix: /foo", "{path: {prefix: /}}", up.addr, "a.test", "/foo/x?q=1", "/x?q=1 host=a.test"},
		{"pathPrefix: /foo", "{path: {prefix: /}}", up.addr, "a.test", "/foo", "/ host=a.test"},
		{"pathPrefix: /foo", "{path: {prefix: /}}", up.addr, "a.test", "/foo/", "/ host=a.test"},
		{"pathPrefix: /foo", "{path: {prefix: /}}", up.addr, "a.test", "/foo?q", "/?q host=a.test"},
		{"pathPrefix: /foo", "{path: {prefix: /bar}}", up.addr, "a.test", "/foo", "/bar host=a.test"},
		{"pathPrefix: /foo", "{path: {prefix: /bar}}", up.addr, "a.test", "/foo/", "/bar/ host=a.test"},
		{"pathPrefix: /foo", "{path: {prefix: /bar}}", up.addr, "a.test", "/foo/foo/x", "/bar/foo/x host=a.test"},
		{"pathPrefix: /foo", "{path: {prefix: /bar/}}", up.addr, "a.test", "/foo", "/bar/ host=a.test"},
		{"pathPrefix: /foo", "{path: {prefix: /bar/}}", up.addr, "a.test", "/foo/x", "/bar/x host=a.test"},
		{"pathPrefix: /foo/", "{path: {prefix: /bar}}", up.addr, "a.test", "/foo/x", "/bar/x host=a.test"},
		{"pathPrefix: /foo/", "{path: {prefix: /bar}}", up.addr, "a.test", "/foo/", "/bar host=a.test"},
		{"pathPrefix: /", "{path: {prefix: /bar}}", up.addr, "a.test", "/x", "/bar/x host=a.test"},
		{"pathPrefix: /", "{path: {prefix: /bar}}", up.addr, "a.test", "/?q=/x", "/bar?q=/x host=a.test"},
		{"pathPrefix: /", "{path: {prefix: /}}", up.addr, "a.test", "/x/", "/x/ host=a.test"},
		{"pathPrefix: /", "{path: {full: /all%25}}", up.addr, "a.test", "/x?q=1?2", "/all%25?q=1?2 host=a.test"},
		{"regex: /r.*", "{path: {full: /all}}", up.addr, "a.test", "/r/x", "/all host=a.test"},
		// Of several matches each replaces its own prefix.
		{"pathPrefix: /one}}, {path: {pathPrefix: /two/three", "{path: {prefix: /n}}", up.addr, "a.test", "/one/x", "/n/x host=a.test"},
		{"pathPrefix: /one}}, {path: {pathPrefix: /two/three", "{path: {prefix: /n}}", up.addr, "a.test", "/two/three/x", "/n/x host=a.test"},

		{"pathPrefix: /", "{authority: auto}", named, "a.test:3000", "/", "/ host=localhost"},
		{"pathPrefix: /", "{authority: none}", named, "a.test:3000", "/", "/ host=a.test:3000"},
		{"pathPrefix: /", "{path: {full: /x}}", named, "a.test:3000", "/", "/x host=localhost"},
		{"pathPrefix: /", "{authority: auto}", up.addr, "a.test:3000", "/", "/ host=a.test:3000"},
		{"pathPrefix: /", "{authority: {full: \"b.test:99\"}}", named, "a.test:3000", "/", "/ host=b.test:99"},
		{"pathPrefix: /", "{authority: {host: b.test}}", named, "a.test:3000", "/", "/ host=b.test"},
		{"pathPrefix: /", "{authority: {host: b.test}}", up.addr, "a.test:3000", "/", "/ host=b.test"},
		{"pathPrefix: /", "{authority: {port: 99}}", named, "a.test:3000", "/", "/ host=a.test:99"},
		{"pathPrefix: /", "{authority: {port: 99}}", up.addr, "[::1]", "/", "/ host=[::1]:99"},
		{"pathPrefix: /", "{authority: {port: 80}}", named, "a.test:3000", "/", "/ host=a.test"},
		{"pathPrefix: /", "{authority: {port: 443}}", named, "a.test", "/", "/ host=a.test:443"},
	}
	var text strings.Builder
	text.WriteString("config: {dns: {lookupFamily: V4Only}}\nbinds:\n- port: %d\n  listeners:\n  - routes:\n")
	for i, c := range cases {
		match := strings.ReplaceAll("{path: {"+c.match+"}}", "}}", fmt.Sprintf("}, headers: [{name: case, value: {exact: \"%d\"}}]}", i))
		fmt.Fprintf(&text, "    - {name: r%d, matches: [%s], policies: {urlRewrite: %s}, backends: [{host: %q}]}\n", i, match, c.policy, c.backend)
	}
	fmt.Fprintf(&text, `    - name: chosen
      matches: [{path: {pathPrefix: /chosen}}, {path: {pathPrefix: /chosen}, method: POST}]
      policies: {urlRewrite: {path: {prefix: /p}, authority: none}, requestHeaderModifier: {set: {x-set: s}}, retry: {codes: [503]}}
      backends: [{host: %q}, {ai: {provider: {openAI: {}}, hostOverride: %q, pathPrefix: /v1}}]
`, named, named)
	b := newTestbed(t, text.String(), chains{"chosen": {Choice: chooses}})
	for i, c := range cases {
		a := b.ask(t, "GET", c.host, c.target, "", fmt.Sprintf("case: %d", i))
		first, _, _ := strings.Cut(a.body, "\n")
		if want := "GET " + c.want + " body=0"; first != want {
			t.Errorf("%s %s, %s%s: got %s, want %s", c.match, c.policy, c.host, c.target, first, want)
		}
	}
	a := b.ask(t, "GET", "a.test", "/chosen/x", "", "do-choose: "+word("chosen", "backend0"))
	lines(t, a.body, "GET /p/x host=a.test body=0", "x-set: s")
	up.forget()
	a = b.ask(t, "GET", "a.test", "/chosen/x", "", "fail-first: 1", "do-choose: "+word("chosen", "backend0"))
	lines(t, a.body, "GET /p/x host=a.test body=0", "x-set: s", "x-retry-attempt: 1")
	a = b.ask(t, "GET", "a.test", "/chosen/x", "", "do-choose: "+word("chosen", "backend1"))
	lines(t, a.body, "GET /v1/chat/completions host=a.test body=0") // by its hostOverride it has no name of its own
}

func TestMirrorInEnvoy(t *testing.T) {
	up, copies := newRecorder(t), newRecorder(t)
	_, port, _ := net.SplitHostPort(copies.addr)
	b := newTestbed(t, strings.NewReplacer("UP", up.addr, "NAMED", "http://localhost:"+port, "COPIES", copies.addr).Replace(`
config: {dns: {lookupFamily: V4Only}}
binds:
- port: %d
  listeners:
  - routes:
    - name: all
      matches: [{path: {pathPrefix: /all}}]
      policies:
        requestMirror: {backend: {host: "NAMED"}, percentage: 1.0}
        requestHeaderModifier: {set: {x-set: s}}
        urlRewrite: {path: {prefix: /n}}
      backends: [{host: "UP"}]
    - name: address
      matches: [{path: {pathPrefix: /address}}]
      policies: {requestMirror: {backend: {host: "COPIES"}, percentage: 1}}
      backends: [{host: "UP"}]
    - name: none
      matches: [{path: {pathPrefix: /none}}]
      policies: {requestMirror: {backend: {host: "COPIES"}, percentage: 0}}
      backends: [{host: "UP"}]
`), nil)
	a := b.ask(t, "POST", "a.test", "/all/x?q", "hello", "answer-x: y")
	lines(t, a.body, "POST /n/x?q host=a.test body=5")
	lines(t, <-copies.copies, "POST /n/x?q host=localhost body=5", "x-set: s")
	b.ask(t, "GET", "a.test", "/none", "")
	b.ask(t, "GET", "a.test", "/address", "")
	lines(t, <-copies.copies, "GET /address host=a.test body=0") // the first after /all
}

func TestRetryInEnvoy(t *testing.T) {
	up := newRecorder(t)
	closed := fmt.Sprintf("127.0.0.1:%d", envoytest.Ports(t, 1)[0])
	_, extProc := newWitness(t)
	b := newTestbed(t, strings.NewReplacer("UP", up.addr, "CLOSED", closed, "EXTERNAL2", `"`+extProc+`"`).Replace(`
binds:
- port: %d
  listeners:
  - routes:
    - {name: once, matches: [{path: {exact: /once}}], policies: {retry: {codes: [503]}}, backends: [{host: "UP"}]}
    - {name: thrice, matches: [{path: {exact: /thrice}}], policies: {retry: {attempts: 3, codes: [500, 503], backoff: 2ms}}, backends: [{host: "UP"}]}
    - {name: other, matches: [{path: {exact: /other}}], policies: {retry: {attempts: 3, codes: [500]}}, backends: [{host: "UP"}]}
    - {name: plain, matches: [{path: {exact: /plain}}], backends: [{host: "UP"}]}
    - name: buffered
      matches: [{path: {exact: /buffered}}]
      policies: {retry: {codes: [503]}, buffer: {request: {}}}
      backends: [{host: "UP"}]
    - name: external
      matches: [{path: {exact: /external}}]
      policies: {retry: {codes: [503]}, extProc: {host: EXTERNAL, failureMode: failOpen}}
      backends: [{host: "UP"}]
    - name: duplex
      matches: [{path: {exact: /duplex}}]
      policies: {retry: {codes: [503]}, extProc: {host: EXTERNAL2}}
      backends: [{host: "UP"}]
    - {name: weighted, matches: [{path: {exact: /weighted}}], policies: {retry: {codes: []}}, backends: [{host: "CLOSED"}]}
    - {name: slow, matches: [{path: {exact: /slow}}], policies: {timeout: {backendRequestTimeout: 200ms}, retry: {codes: [503]}}, backends: [{host: "UP"}]}
    - {name: slow-once, matches: [{path: {exact: /slow-once}}], policies: {timeout: {backendRequestTimeout: 200ms}}, backends: [{host: "UP"}]}
`), nil)
	small, long := strings.Repeat("x", 60<<10), strings.Repeat("x", 100<<10)
	for _, c := range []struct {
		target, body string
		headers      []string
		status       int
		attempts     []string // the header x-retry-attempt of each
	}{
		{"/once", "", []string{"fail-first: 1"}, 200, []string{"", "1"}},
		{"/once", "", []string{"fail-first: 9"}, 503, []string{"", "1"}},
		{"/once", "", []string{"fail-first: 1", "x-retry-attempt: mine"}, 200, []string{"mine", "1"}},
		{"/thrice", small, []string{"fail-first: 3"}, 200, []string{"", "1", "2", "3"}},
		{"/thrice", long, []string{"fail-first: 3"}, 503, []string{""}},
		{"/buffered", small, []string{"fail-first: 1"}, 200, []string{"", "1"}},
		{"/buffered", long, []string{"fail-first: 1"}, 503, []string{""}},
		{"/buffered", long, nil, 200, []string{""}},
		{"/external", strings.Repeat("x", 1<<20), nil, 200, []string{""}},
		{"/duplex", strings.Repeat("x", 3<<20), nil, 200, []string{""}},
		{"/duplex", small, []string{"fail-first: 1"}, 200, []string{"", "1"}},
		{"/other", "", []string{"fail-first: 1"}, 503, []string{""}},
		{"/plain", "", []string{"fail-first: 1"}, 503, []string{""}},
		{"/plain", "", []string{"fail-first: 1", "x-envoy-retry-on: 5xx", "x-envoy-max-retries: 3"}, 503, []string{""}},
		{"/other", "", []string{"break: 1"}, 200, []string{"", "1"}},
		{"/plain", "", []string{"break: 1"}, 503, []string{""}},
		{"/weighted", "", nil, 503, nil},
		{"/slow", "", []string{"slow: 5s"}, 504, []string{"", "1"}},
		{"/slow", "", []string{"break: 1"}, 200, []string{"", "1"}},
		{"/slow", "", []string{"fail-first: 1"}, 200, []string{"", "1"}},
		{"/slow-once", "", []string{"slow: 5s"}, 504, []string{""}},
		{"/slow-once", "", []string{"slow: 400ms", "slow-body: 1"}, 200, []string{""}},
	} {
		method := "GET"
		if c.body != "" {
			method = "POST"
		}
		a := b.ask(t, method, "", c.target, c.body, c.headers...)
		var attempts []string
		for _, got := range up.forget() {
			attempt := ""
			for l := range strings.SplitSeq(got, "\n") {
				if v, ok := strings.CutPrefix(l, "x-retry-attempt: "); ok {
					attempt += v
				}
				if strings.HasPrefix(l, method+" ") && !strings.HasSuffix(l, fmt.Sprintf("body=%d", len(c.body))) && !strings.Contains(c.target, "external") {
					t.Errorf("%s: got %s of %d bytes", c.target, l, len(c.body))
				}
			}
			attempts = append(attempts, attempt)
		}
		if a.status != c.status || strings.Join(attempts, ",") != strings.Join(c.attempts, ",") || len(attempts) != len(c.attempts) {
			t.Errorf("%s %v, %d bytes: status %d, attempts %q; want %d, %q", c.target, c.headers, len(c.body), a.status, attempts, c.status, c.attempts)
		}
	}
}

func TestDelayAndBufferInEnvoy(t *testing.T) {
	up := newRecorder(t)
	b := newTestbed(t, strings.ReplaceAll(`
binds:
- port: %d
  listeners:
  - routes:
    - {name: delayed, matches: [{path: {exact: /delayed}}], policies: {delay: {duration: 1h}}, backends: [{host: "UP"}]}
    - {name: soon, matches: [{path: {exact: /soon}}], policies: {delay: {duration: 1ms}}, backends: [{host: "UP"}]}
    - {name: never, matches: [{path: {exact: /never}}], policies: {delay: {duration: -1ms}}, backends: [{host: "UP"}]}
    - {name: redirected, matches: [{path: {exact: /redirected}}], policies: {delay: {duration: 1h}, requestRedirect: {}}}
    - {name: small, matches: [{path: {exact: /small}}], policies: {buffer: {request: {maxBytes: 10}}}, backends: [{host: "UP"}]}
    - {name: usual, matches: [{path: {exact: /usual}}], policies: {buffer: {request: {}}}, backends: [{host: "UP"}]}
`, "UP", up.addr), nil)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", fmt.Sprintf("http://127.0.0.1:%d/delayed", b.port), http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := http.DefaultClient.Do(req); err == nil {
		t.Errorf("no delay: status %d", resp.StatusCode)
		resp.Body.Close()
	}
	for _, c := range []struct {
		target string
		bytes  int
		status int
	}{
		{"/soon", 1, 200}, {"/never", 1, 200}, {"/redirected", 1, 302},
		{"/small", 10, 200}, {"/small", 11, 413}, {"/usual", 2 << 20, 200}, {"/usual", 2<<20 + 1, 413},
	} {
		up.forget()
		a := b.ask(t, "POST", "", c.target, strings.Repeat("x", c.bytes))
		reached := len(up.forget())
		if a.status != c.status || reached != map[bool]int{true: 1}[c.status == 200] {
			t.Errorf("%s with %d bytes: status %d, want %d; the backend got %d requests", c.target, c.bytes, a.status, c.status, reached)
		}
	}
}
