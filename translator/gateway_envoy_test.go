package translator_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// reflector answers with what it got.
func reflector(t *testing.T) string {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s host=%s ran=%s tenant=%s body=%s", r.Method, r.URL.RequestURI(), r.Host, r.Header.Get("x-ran"), r.Header.Get("x-tenant"), body)
	}))
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// Both phases run, the gateway's first on requests and last on responses; each
// listener of a port has its own; requests without a route have it too; and
// nothing that routes are found by can be changed under them.
func TestGatewayPhaseInEnvoy(t *testing.T) {
	gw, other, rt, up := newMarker(t, "gw"), newMarker(t, "other"), newMarker(t, "rt"), reflector(t)
	b := newTestbed(t, fmt.Sprintf(`
binds:
- port: %%d
  listeners:
  - name: a
    hostname: a.test
    policies: {extProc: {host: %[1]q, failureMode: failOpen}}
    routes:
    - name: both
      matches: [{path: {pathPrefix: /both}}, {path: {pathPrefix: /b}, headers: [{name: x-tenant, value: {exact: x}}]}]
      policies: {extProc: {host: %[2]q}}
      backends: [{host: %[3]q}]
    - name: none
      matches: [{path: {pathPrefix: /none}}]
      backends: [{host: %[3]q}]
    - name: empty
      matches: [{path: {pathPrefix: /empty}}]
  - name: b
    hostname: b.test
    policies: {extProc: {host: %[4]q}}
    routes:
    - name: any
      backends: [{host: %[3]q}]
  - name: c
    hostname: c.test
    routes:
    - name: any
      backends: [{host: %[3]q}]
  - name: d
    hostname: d.test
    policies: {extProc: {host: %[1]q}}
    routes:
    - {name: d1, matches: [{path: {exact: /1}}], policies: {extProc: {host: %[2]q}}, backends: [{host: %[3]q}]}
    - {name: d2, matches: [{path: {exact: /2}}], policies: {extProc: {host: %[2]q}}, backends: [{host: %[3]q}]}
    - {name: d3, hostnames: [d.test], matches: [{method: PUT, path: {exact: /3}}], policies: {extProc: {host: %[2]q}}, backends: [{host: %[3]q}]}
`, gw.addr, rt.addr, up, other.addr), nil)
	for _, c := range []struct {
		name, method, host, target, body string
		headers                          []string
		status                           int
		want, back                       string
		gw, other, rt                    string // the messages
	}{
		{name: "both", host: "a.test", target: "/both", want: "ran=gw,rt tenant= body=+rt+gw", back: "rt,gw", gw: "rh sh sb", rt: "rh sh sb"},
		{name: "both, body", host: "a.test", target: "/both", body: "hi", want: "ran=gw,rt tenant= body=hi+gw+rt+rt+gw", back: "rt,gw", gw: "rh rb sh sb", rt: "rh rb sh sb"},
		{name: "gateway only", host: "a.test", target: "/none", body: "hi", want: "ran=gw tenant= body=hi+gw+gw", back: "gw", gw: "rh rb sh sb"},
		{name: "no route", host: "a.test", target: "/nowhere", status: 404, want: "route not found+gw", back: "gw", gw: "rh sh sb"},
		{name: "no backend", host: "a.test", target: "/empty", status: 500, want: "no valid backends+gw", back: "gw", gw: "rh sh sb"},
		// A refusal is a response, and Envoy shows it to the filters behind.
		{name: "refused at the gateway", host: "a.test", target: "/both", headers: []string{"gw-refuse: rh"}, status: 418, want: "refused by gw", back: "rt", gw: "rh", rt: "sh sb"},
		{name: "refused at the gateway, body", host: "a.test", target: "/both", body: "hi", headers: []string{"gw-refuse: rb"}, status: 418, want: "refused by gw", back: "rt", gw: "rh rb", rt: "sh sb"},
		{name: "other listener", host: "b.test", target: "/both", body: "hi", want: "ran=other tenant= body=hi+other+other", back: "other", other: "rh rb sh sb"},
		{name: "listener without", host: "c.test", target: "/both", body: "hi", want: "ran= tenant= body=hi"},
		{name: "no listener", host: "e.test", target: "/both", status: 404, want: "route not found"},
		{name: "shared by routes", host: "d.test", target: "/2", body: "hi", want: "ran=gw,rt tenant= body=hi+gw+rt+rt+gw", back: "rt,gw", gw: "rh rb sh sb", rt: "rh rb sh sb"},
		{name: "no route, shared by routes", host: "d.test", target: "/4", status: 404, want: "route not found+gw", back: "gw", gw: "rh sh sb"},

		// What the routes of a look at: the path and x-tenant.
		{name: "path", host: "a.test", target: "/none", headers: []string{"gw-set: :path=/both"}, status: 500, gw: "rh"},
		{name: "header", host: "a.test", target: "/none", headers: []string{"gw-set: x-tenant=x"}, status: 500, gw: "rh"},
		{name: "header removed", host: "a.test", target: "/none", headers: []string{"gw-remove: x-tenant", "x-tenant: x"}, status: 500, gw: "rh"},
		{name: "header of a response", host: "a.test", target: "/none", headers: []string{"gw-back: x-tenant=x"}, status: 500, gw: "rh sh sb"},
		{name: "header of the route phase", host: "a.test", target: "/both", headers: []string{"rt-set: x-tenant=x"}, want: "ran=gw,rt tenant=x", back: "rt,gw", gw: "rh sh sb", rt: "rh sh sb"},
		{name: "method", host: "a.test", target: "/none", headers: []string{"gw-set: :method=PUT"}, want: "PUT /none", back: "gw", gw: "rh sh sb"},
		{name: "authority", host: "a.test", target: "/none", headers: []string{"gw-set: :authority=b.test"}, want: "host=b.test", back: "gw", gw: "rh sh sb"},
		// The one route of b looks at nothing.
		{name: "path, one route", host: "b.test", target: "/x", headers: []string{"other-set: :path=/y"}, want: "GET /y", back: "other", other: "rh sh sb"},
		{name: "header, one route", host: "b.test", target: "/x", headers: []string{"other-set: x-tenant=x"}, want: "tenant=x", back: "other", other: "rh sh sb"},
		{name: "scheme, one route", host: "b.test", target: "/x", headers: []string{"other-set: :scheme=https"}, want: "GET /x", back: "other", other: "rh sh sb"},
		// Those of d, at the host and the method too.
		{name: "method, looked at", host: "d.test", target: "/1", headers: []string{"gw-set: :method=PUT"}, status: 500, back: "rt", gw: "rh", rt: "sh"},
		{name: "authority, looked at", host: "d.test", target: "/1", headers: []string{"gw-set: :authority=a.test"}, status: 500, back: "rt", gw: "rh", rt: "sh"},
		{name: "host, looked at", host: "d.test", target: "/1", headers: []string{"gw-set: host=a.test"}, status: 500, back: "rt", gw: "rh", rt: "sh"},
	} {
		t.Run(c.name, func(t *testing.T) {
			method := "GET"
			if c.body != "" {
				method = "POST"
			}
			got := b.ask(t, method, c.host, c.target, c.body, c.headers...)
			if want := max(c.status, 200); got.status != want || !strings.Contains(got.body, c.want) || got.headers.Get("x-back") != c.back {
				t.Errorf("%d %q, back %q; want %d %q, back %q", got.status, got.body, got.headers.Get("x-back"), want, c.want, c.back)
			}
			for _, m := range []struct {
				server *marker
				want   string
			}{{gw, c.gw}, {other, c.other}, {rt, c.rt}} {
				if log, _, _ := m.server.forget(); phases(log) != m.want {
					t.Errorf("%s saw %q, want %q", m.server.name, phases(log), m.want)
				}
			}
		})
	}

	// The gateway's failure mode is its own, also where there is no route.
	gw.stop()
	other.stop()
	for _, c := range []struct {
		host, target, body string
		status             int
	}{{"a.test", "/none", "", 200}, {"a.test", "/none", "hi", 200}, {"a.test", "/nowhere", "", 404}, {"b.test", "/x", "", 500}, {"d.test", "/nowhere", "", 500}} {
		if got := b.ask(t, "POST", c.host, c.target, c.body); got.status != c.status {
			t.Errorf("down: %s%s %d bytes: status %d, want %d", c.host, c.target, len(c.body), got.status, c.status)
		}
	}
}

// Our service in both phases: two streams, the second of which knows of the
// first. The gateway's cannot choose, and the route's still can.
func TestOwnGatewayPhaseInEnvoy(t *testing.T) {
	small, big := backend(t, "small"), backend(t, "big")
	b := newTestbed(t, fmt.Sprintf(`
binds:
- port: %%d
  listeners:
  - name: a
    hostname: a.test
    routes:
    - name: chosen
      matches: [{path: {pathPrefix: /chosen}}]
      backends: [{host: %[1]q}, {host: %[2]q}]
    - name: read
      matches: [{path: {pathPrefix: /read}}]
      backends: [{host: %[1]q}]
    - name: none
      matches: [{path: {pathPrefix: /none}}]
      backends: [{host: %[1]q}]
  - name: b
    hostname: b.test
    routes:
    - name: free
      backends: [{host: %[1]q}]
`, small, big), chains{
		"gateway/a": {ReadsBody: true},
		"gateway/b": {ReadsBody: true, ReadsResponse: true},
		"chosen":    {Choice: chooses, ReadsBody: true, ReadsResponse: true},
		"read":      {ReadsBody: true},
	})
	for _, r := range []request{
		{name: "both", host: "a.test", target: "/read", body: "hi", want: []string{"small got", `body="changed changed hi"`}, id: "0123", seen: []string{"gateway/a", "read"}},
		{name: "both, one chooses", host: "a.test", target: "/chosen", body: "hi", headers: map[string]string{"do-choose": word("chosen", "backend1")},
			want: []string{"big GOT", `body="changed changed hi"`}, id: "0123", seen: []string{"gateway/a", "chosen"}},
		{name: "both, no body", host: "a.test", target: "/chosen", headers: map[string]string{"do-choose": word("chosen", "backend1")}, want: []string{"big GOT"}, id: "0123", seen: []string{"gateway/a", "chosen"}},
		{name: "gateway only", host: "a.test", target: "/none", body: "hi", want: []string{"small got", `body="changed hi"`}, id: "0123", seen: []string{"gateway/a"}},
		{name: "no route", host: "a.test", target: "/nowhere", body: "hi", status: 404, want: []string{"route not found"}, id: "0123", seen: []string{"gateway/a"}},
		{name: "refused", host: "a.test", target: "/none", headers: map[string]string{"do-refuse": "1"}, status: 403, want: []string{"refused"}, id: "0123", seen: []string{"gateway/a"}},
		{name: "responses", host: "b.test", target: "/", body: "hi", want: []string{"small GOT", `body="changed hi"`}, id: "0123", seen: []string{"gateway/b"}},
	} {
		b.run(r)
	}
	if b.service.known["read"] != "0123" || b.service.known["chosen"] != "0123" {
		t.Errorf("the second streams know %q of the first", b.service.known)
	}
}

// phases are the kinds of messages, each once: a body may come in any number.
func phases(log string) string { return strings.Join(slices.Compact(strings.Fields(log)), " ") }

// v0.10's gatewayPolicies: the route's replaces the gateway's, a policy for the
// listener beats one for the gateway, and a listener without gatewayName is
// found as default.
func TestGatewayPoliciesInEnvoy(t *testing.T) {
	gw, other, rt, up := newMarker(t, "gw"), newMarker(t, "other"), newMarker(t, "rt"), reflector(t)
	b := newTestbed(t, fmt.Sprintf(`
binds:
- port: %%d
  listeners:
  - name: a
    hostname: a.test
    gatewayName: edge
    routes:
    - {name: own, matches: [{path: {exact: /own}}], policies: {extProc: {host: %[1]q}}, backends: [{host: %[2]q}]}
    - {name: none, matches: [{path: {exact: /none}}], backends: [{host: %[2]q}]}
  - name: b
    hostname: b.test
    gatewayName: edge
    routes: [{backends: [{host: %[2]q}]}]
  - name: c
    hostname: c.test
    routes: [{backends: [{host: %[2]q}]}]
  - name: d
    hostname: d.test
    gatewayName: edge
gatewayPolicies:
- {name: gateway, target: {gateway: edge}, policy: {extProc: {host: %[3]q}}}
- {name: listener, target: {listener: b/edge}, policy: {extProc: {host: %[4]q}}}
- {name: unnamed, target: {gateway: default}, policy: {extProc: {host: %[4]q}}}
`, rt.addr, up, gw.addr, other.addr), nil)
	for _, c := range []struct {
		host, target, back string
		status             int
	}{
		{"a.test", "/own", "rt", 200}, {"a.test", "/none", "gw", 200}, {"a.test", "/nowhere", "gw", 404},
		{"b.test", "/", "other", 200}, {"c.test", "/", "other", 200}, {"d.test", "/", "gw", 404},
	} {
		if got := b.ask(t, "POST", c.host, c.target, "hi"); got.status != c.status || got.headers.Get("x-back") != c.back {
			t.Errorf("%+v: %d, back %q", c, got.status, got.headers.Get("x-back"))
		}
	}
}

// lost tells whether Envoy would lose bytes between two servers, in one direction
// or the other; see bodies.go.
func lost(outer, inner string) bool {
	return outer == "none" && inner == "fullDuplexStreamed" || outer == "fullDuplexStreamed" && inner == "none"
}

// Two servers with different body modes in one request: no byte is lost in
// either direction.
func TestBodyModesOfBothPhasesInEnvoy(t *testing.T) {
	gw, rt := newMarker(t, "gw"), newMarker(t, "rt")
	big := strings.Repeat("0123456789abcdef", 1<<16)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("x-length", fmt.Sprint(len(body)))
		for i := 0; i < len(big); i += 1 << 15 { // chunked
			_, _ = io.WriteString(w, big[i:i+1<<15])
			_ = http.NewResponseController(w).Flush()
		}
	}))
	t.Cleanup(s.Close)
	modes := []string{"none", "buffered", "bufferedPartial", "fullDuplexStreamed"}
	var text strings.Builder
	text.WriteString("binds:\n- port: %d\n  listeners:\n")
	for _, outer := range modes {
		fmt.Fprintf(&text, "  - name: %[1]s\n    hostname: %[1]s.test\n    policies: {extProc: {host: %[2]q, processingOptions: {requestBodyMode: %[3]s, responseBodyMode: %[3]s}}}\n    routes:\n", strings.ToLower(outer), gw.addr, outer)
		for _, inner := range modes {
			if lost(outer, inner) {
				continue
			}
			fmt.Fprintf(&text, "    - {matches: [{path: {exact: /%[1]s}}], policies: {extProc: {host: %[2]q, processingOptions: {requestBodyMode: %[1]s, responseBodyMode: %[1]s}}}, backends: [{host: %[3]q}]}\n", inner, rt.addr, s.Listener.Addr())
		}
	}
	b := newTestbed(t, text.String(), nil)
	for _, outer := range modes {
		for _, inner := range modes {
			if lost(outer, inner) {
				continue
			}
			got := b.ask(t, "POST", strings.ToLower(outer)+".test", "/"+inner, big)
			marks := ""
			for _, m := range []string{outer, inner} {
				if m != "none" {
					marks += "+xx" // a name and its sign
				}
			}
			if want := len(big) + len(marks); got.status != 200 || len(got.body) != want || got.headers.Get("x-length") != fmt.Sprint(want) || !strings.HasPrefix(got.body, big) {
				t.Errorf("%s, then %s: status %d, request %s, response %d bytes, want %d", outer, inner, got.status, got.headers.Get("x-length"), len(got.body), want)
			}
		}
	}
}
