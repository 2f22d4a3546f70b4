package translator_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A probe is a request of a browser, and all that the answer must be.
type probe struct {
	name, method, target, host string
	headers                    string // lines "name: value"

	// want is the status, the body, and lines "name: value" for all headers but
	// date, sorted.
	want string
	seen []string // chains of our service that saw a part of the request
}

func (b *testbed) probe(p probe) {
	b.t.Run(p.name, func(t *testing.T) {
		t.Helper()
		b.service.forget()
		if diff := cmp.Diff(p.want, b.probed(t, p)); diff != "" {
			t.Errorf("want -, got +:\n%s", diff)
		}
		if seen := b.service.forget(); !slices.Equal(seen, p.seen) {
			t.Errorf("chains %q ran, want %q", seen, p.seen)
		}
	})
}

func (b *testbed) probed(t *testing.T, p probe) string {
	t.Helper()
	req, err := http.NewRequest(p.method, fmt.Sprintf("http://127.0.0.1:%d%s", b.port, p.target), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = p.host
	for line := range strings.Lines(p.headers) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		req.Header.Add(name, value)
	}
	resp, err := (&http.Transport{DisableKeepAlives: true, DisableCompression: true}).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var headers []string
	for name, values := range resp.Header {
		for _, v := range values {
			if name != "Date" {
				headers = append(headers, "\n"+strings.ToLower(name)+": "+v)
			}
		}
	}
	slices.Sort(headers)
	return fmt.Sprintf("%d %s%s", resp.StatusCode, body, strings.Join(headers, ""))
}

// plain answers with a word and one header, and tells preflights that nothing
// is allowed, so that it shows whether one was forwarded.
func plain(t *testing.T, word string) (addr string) {
	s := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Content-Type"] = nil
		w.Header()["Date"] = nil
		w.Header().Set("access-control-allow-origin", "backend")
		w.Header().Set("access-control-allow-methods", "BACKEND")
		fmt.Fprint(w, word)
	})
	return s
}

func newServer(t *testing.T, handle http.HandlerFunc) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: handle}
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	return l.Addr().String()
}

func TestCORSInEnvoy(t *testing.T) {
	a := plain(t, "a")
	text := fmt.Sprintf(`
binds:
- port: %%d
  listeners:
  - routes:
    - name: some
      matches: [{path: {pathPrefix: /some}}]
      policies:
        cors:
          allowOrigins: ["https://*.x.com", "http://a.test:8080", "https://p*q.*.r", "https://ab*ba.test"]
          allowMethods: [GET, POST]
          allowHeaders: [X-A, x-b]
          exposeHeaders: [X-C, x-d]
          allowCredentials: true
          maxAge: 10m
      backends: [{host: A}]
    - name: any
      matches: [{path: {pathPrefix: /any}}]
      policies: {cors: {allowOrigins: ["*"], allowMethods: ["*"], allowHeaders: ["*"], exposeHeaders: ["*"], maxAge: 0s}}
      backends: [{host: A}]
    - name: secret
      matches: [{path: {pathPrefix: /secret}}]
      policies: {cors: {allowOrigins: ["*"], allowMethods: ["*"], allowHeaders: ["*"], allowCredentials: true}}
      backends: [{host: A}]
    - name: bare
      matches: [{path: {pathPrefix: /bare}}]
      policies: {cors: {allowOrigins: ["https://a.test"]}}
      backends: [{host: A}]
    - name: without
      matches: [{path: {pathPrefix: /without}}]
      backends: [{host: A}]
    - name: nobody
      matches: [{path: {pathPrefix: /nobody}}]
      policies: {cors: {allowOrigins: ["https://a.test"]}}
    - name: down
      matches: [{path: {pathPrefix: /down}}]
      policies: {cors: {allowOrigins: ["https://a.test"]}}
      backends: [{host: "127.0.0.1:1"}]
    - name: direct
      matches: [{path: {pathPrefix: /direct}}]
      policies: {cors: {allowOrigins: ["https://a.test"]}, directResponse: {status: 418, body: teapot}}
    - name: guarded
      matches: [{path: {pathPrefix: /guarded}}]
      policies: {cors: {allowOrigins: ["https://a.test"]}}
      backends: [{host: A}]
    - name: chosen
      matches: [{path: {pathPrefix: /chosen}}]
      policies: {cors: {allowOrigins: ["https://a.test"]}}
      backends: [{host: A}, {host: %q}]
  - hostname: hoisted.test
    routes:
    - matches: [{path: {exact: /a}}, {path: {exact: /b}}]
      policies: {cors: {allowOrigins: ["https://a.test"]}}
      backends: [{host: A}]
`, plain(t, "b"))
	b := newTestbed(t, strings.ReplaceAll(text, "A}", fmt.Sprintf("%q}", a)), chains{
		"guarded": {ReadsBody: true},
		"chosen":  {Choice: chooses, ReadsBody: true},
	})
	const (
		forwarded = "200 a\naccess-control-allow-methods: BACKEND\naccess-control-allow-origin: backend\ncontent-length: 1"
		nothing   = "200 \ncontent-length: 0"
		preflight = "Access-Control-Request-Method: PUT\n"
	)
	// All of a policy's headers, for a preflight and for a response.
	told := func(origin string) string {
		return "200 \naccess-control-allow-credentials: true\naccess-control-allow-headers: x-a,x-b\naccess-control-allow-methods: GET,POST\naccess-control-allow-origin: " + origin + "\naccess-control-expose-headers: x-c,x-d\naccess-control-max-age: 600\ncontent-length: 0"
	}
	shown := func(origin string) string {
		return "200 a\naccess-control-allow-credentials: true\naccess-control-allow-methods: BACKEND\naccess-control-allow-origin: " + origin + "\naccess-control-expose-headers: x-c,x-d\ncontent-length: 1"
	}
	for _, p := range []probe{
		{name: "no origin", method: "GET", target: "/some", want: forwarded},
		{name: "no origin, OPTIONS", method: "OPTIONS", target: "/some", headers: preflight, want: forwarded},
		{name: "no policy", method: "OPTIONS", target: "/without", headers: preflight + "Origin: https://a.x.com", want: forwarded},

		{name: "allowed", method: "GET", target: "/some", headers: "Origin: https://a.x.com", want: shown("https://a.x.com")},
		{name: "allowed, preflight", method: "OPTIONS", target: "/some", headers: preflight + "Origin: https://a.x.com", want: told("https://a.x.com")},
		{name: "allowed, OPTIONS", method: "OPTIONS", target: "/some", headers: "Origin: https://a.x.com", want: told("https://a.x.com")},
		{name: "two origins", method: "GET", target: "/some", headers: "Origin: https://a.x.com\nOrigin: https://b.x.com", want: forwarded},
		{name: "not allowed", method: "GET", target: "/some", headers: "Origin: https://x.com", want: forwarded},
		{name: "not allowed, preflight", method: "OPTIONS", target: "/some", headers: preflight + "Origin: https://x.com", want: nothing},
		{name: "not allowed, OPTIONS", method: "OPTIONS", target: "/some", headers: "Origin: https://x.com", want: forwarded},
		{name: "not allowed, OPTIONS for no method", method: "OPTIONS", target: "/some", headers: "Access-Control-Request-Method: \nOrigin: https://x.com", want: forwarded},

		{name: "any", method: "GET", target: "/any", headers: "Origin: null", want: "200 a\naccess-control-allow-methods: BACKEND\naccess-control-allow-origin: null\naccess-control-expose-headers: *\ncontent-length: 1"},
		{name: "any, not text", method: "GET", target: "/any", headers: "Origin: é", want: "200 a\naccess-control-allow-methods: BACKEND\naccess-control-allow-origin: é\naccess-control-expose-headers: *\ncontent-length: 1"},
		{name: "any, preflight", method: "OPTIONS", target: "/any", headers: preflight + "Access-Control-Request-Headers: ,x-b,,  x-a ,\nOrigin: o",
			want: "200 \naccess-control-allow-headers: x-b, x-a\naccess-control-allow-methods: PUT\naccess-control-allow-origin: o\naccess-control-expose-headers: *\naccess-control-max-age: 0\ncontent-length: 0"},
		{name: "any, preflight for nothing", method: "OPTIONS", target: "/any", headers: "Access-Control-Request-Headers: ,\nOrigin: o",
			want: "200 \naccess-control-allow-headers: *\naccess-control-allow-methods: *\naccess-control-allow-origin: o\naccess-control-expose-headers: *\naccess-control-max-age: 0\ncontent-length: 0"},
		{name: "any, not text asked for", method: "OPTIONS", target: "/any", headers: "Access-Control-Request-Method: É\nAccess-Control-Request-Headers: é\nOrigin: o",
			want: "200 \naccess-control-allow-headers: *\naccess-control-allow-methods: *\naccess-control-allow-origin: o\naccess-control-expose-headers: *\naccess-control-max-age: 0\ncontent-length: 0"},
		{name: "credentials", method: "OPTIONS", target: "/secret", headers: preflight + "Access-Control-Request-Headers: x-a\nOrigin: o",
			want: "200 \naccess-control-allow-credentials: true\naccess-control-allow-headers: x-a\naccess-control-allow-methods: PUT\naccess-control-allow-origin: o\ncontent-length: 0"},
		{name: "credentials, preflight for nothing", method: "OPTIONS", target: "/secret", headers: "Origin: o",
			want: "200 \naccess-control-allow-credentials: true\naccess-control-allow-origin: o\ncontent-length: 0"},
		{name: "bare, preflight", method: "OPTIONS", target: "/bare", headers: preflight + "Origin: https://a.test", want: "200 \naccess-control-allow-origin: https://a.test\ncontent-length: 0"},

		// Answers that are Envoy's, and those of other filters.
		{name: "no backends", method: "GET", target: "/nobody", headers: "Origin: https://a.test", want: "500 no valid backends\naccess-control-allow-origin: https://a.test\ncontent-length: 17\ncontent-type: text/plain"},
		{name: "no backends, preflight", method: "OPTIONS", target: "/nobody", headers: preflight + "Origin: https://a.test", want: "200 \naccess-control-allow-origin: https://a.test\ncontent-length: 0"},
		{name: "direct", method: "GET", target: "/direct", headers: "Origin: https://a.test", want: "418 teapot\naccess-control-allow-origin: https://a.test\ncontent-length: 6"},
		{name: "direct, preflight", method: "OPTIONS", target: "/direct", headers: preflight + "Origin: https://a.test", want: "200 \naccess-control-allow-origin: https://a.test\ncontent-length: 0"},
		{name: "refused by our service", method: "GET", target: "/guarded", headers: "do-refuse: 1\nOrigin: https://a.test", seen: []string{"guarded"},
			want: "403 refused\naccess-control-allow-origin: https://a.test\ncontent-length: 7\ncontent-type: text/plain\nx-attache-id: 0123"},
		{name: "guarded, preflight", method: "OPTIONS", target: "/guarded", headers: preflight + "do-refuse: 1\nOrigin: https://a.test", want: "200 \naccess-control-allow-origin: https://a.test\ncontent-length: 0"},
		{name: "guarded, preflight of another", method: "OPTIONS", target: "/guarded", headers: preflight + "do-refuse: 1\nOrigin: https://b.test", want: nothing},
		{name: "chosen", method: "GET", target: "/chosen", headers: "do-choose: " + word("chosen", "backend1") + "\nOrigin: https://a.test", seen: []string{"chosen"},
			want: "200 b\naccess-control-allow-methods: BACKEND\naccess-control-allow-origin: https://a.test\ncontent-length: 1\nx-attache-id: 0123"},
		{name: "nothing chosen", method: "GET", target: "/chosen", headers: "Origin: https://a.test", seen: []string{"chosen"},
			want: "500 no backend chosen\naccess-control-allow-origin: https://a.test\ncontent-length: 17\ncontent-type: text/plain\nx-attache-id: 0123"},
		{name: "chosen, preflight", method: "OPTIONS", target: "/chosen", headers: preflight + "Origin: https://a.test", want: "200 \naccess-control-allow-origin: https://a.test\ncontent-length: 0"},

		// A virtual host's chain, and the 404 beside it.
		{name: "hoisted", method: "OPTIONS", target: "/b", host: "hoisted.test", headers: preflight + "Origin: https://a.test", want: "200 \naccess-control-allow-origin: https://a.test\ncontent-length: 0"},
		{name: "not found", method: "OPTIONS", target: "/c", host: "hoisted.test", headers: preflight + "Origin: https://a.test", want: "404 route not found\ncontent-length: 15\ncontent-type: text/plain"},
	} {
		b.probe(p)
	}
	t.Run("unreachable backend", func(t *testing.T) {
		if got := b.probed(t, probe{method: "GET", target: "/down", headers: "Origin: https://a.test"}); !strings.HasPrefix(got, "503 ") || !strings.Contains(got, "\naccess-control-allow-origin: https://a.test\n") {
			t.Error(got)
		}
	})
	b.service.setDown(true)
	t.Run("service down", func(t *testing.T) {
		if got := b.probed(t, probe{method: "GET", target: "/guarded", headers: "Origin: https://a.test"}); !strings.HasPrefix(got, "500 ") || !strings.Contains(got, "\naccess-control-allow-origin: https://a.test\n") {
			t.Error(got)
		}
	})

	// Which origins are allowed.
	for origin, allowed := range map[string]bool{
		"https://a.x.com":            true,
		"https://a.b.x.com":          true,
		"HTTPS://A.X.COM":            true,
		"https://a.x.com:443":        true,
		"https://a.x.com:0443":       true,
		"https://.x.com":             true,
		"https://a.x.com:8443":       false,
		"https://a.x.com:0":          false,
		"https://a.x.com:65979":      false, // 443 modulo 65536
		"https://a.x.com:":           false,
		"https://a.x.com:+443":       false,
		"https://a.x.com/":           false,
		"https://a.x.com#.x.com":     false,
		"https://evil.test/.x.com":   false,
		"https://evil.test?.x.com":   false,
		"https://u:p@a.x.com":        false,
		"https://x.com":              false,
		"https://ax.com":             false,
		"https://a.xxcom":            false,
		"https://a.x.com.evil.test":  false,
		"http://a.x.com":             false,
		"http://a.test:8080":         true,
		"http://a.test":              false,
		"http://a.test:8080:8080":    false,
		"http://a.test://a.test":     false,
		"https://pq.1.r":             true,
		"https://p12q.34.r":          true,
		"https://pq..r":              true,
		"https://pq.r":               false,
		"https://p.1.r":              false,
		"https://pqq.q..r":           true,
		"https://abba.test":          true,
		"https://aba.test":           false,
		"https://*.x.com":            false,
		"https://é.x.com":            false,
		"https://":                   false,
		"https":                      false,
		"://a.x.com":                 false,
		"null":                       false,
		"":                           false,
		"https://a.x.com, https://b": false,
	} {
		t.Run(origin, func(t *testing.T) {
			got := b.probed(t, probe{method: "OPTIONS", target: "/some", headers: preflight + "Origin: " + origin})
			want := nothing
			if allowed {
				want = told(origin)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("want -, got +:\n%s", diff)
			}
		})
	}
}
