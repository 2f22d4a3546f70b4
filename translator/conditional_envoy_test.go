package translator_test

import (
	"fmt"
	"strings"
	"testing"
)

// The first entry whose condition holds runs, and nothing if none does; the
// route stays the one that its match has found, however many conditions another
// one has.
func TestConditionalInEnvoy(t *testing.T) {
	gw, one, two, rest, up := newMarker(t, "gw"), newMarker(t, "one"), newMarker(t, "two"), newMarker(t, "rest"), reflector(t)
	b := newTestbed(t, fmt.Sprintf(`
binds:
- port: %%d
  listeners:
  - hostname: a.test
    routes:
    - name: some
      matches: [{path: {pathPrefix: /some}}, {path: {exact: /exact}}]
      policies:
        extProc:
          conditional:
          - {condition: 'request.headers["x-one"] == "1" && request.method == "POST"', host: %[1]q}
          - {condition: 'request.path == "/some/a.b"', host: %[2]q}
          - {condition: 'request.path.startsWith("/some/two")', host: %[2]q}
          - {condition: 'request.host == "a.test:99"', host: %[2]q}
      backends: [{host: %[4]q}]
    - name: longer
      matches: [{path: {pathPrefix: /some/long}}]
      backends: [{host: %[4]q}]
    - name: all
      matches: [{path: {pathPrefix: /all}}]
      policies: {extProc: {conditional: [{condition: 'request.headers["x-one"] == "1"', host: %[1]q}, {host: %[3]q}]}}
      backends: [{host: %[4]q}]
  - hostname: b.test
    policies: {extProc: {host: %[5]q}}
    routes:
    - policies: {extProc: {conditional: [{condition: 'request.headers["x-one"] == "1"', host: %[1]q}]}}
      backends: [{host: %[4]q}]
`, one.addr, two.addr, rest.addr, up, gw.addr), nil)
	for _, c := range []struct {
		method, host, target string
		headers              []string
		status               int
		ran                  string
	}{
		{"POST", "a.test", "/some", []string{"x-one: 1"}, 200, "one"},
		{"POST", "a.test", "/exact", []string{"x-one: 1"}, 200, "one"},
		{"GET", "a.test", "/some", []string{"x-one: 1"}, 200, ""},
		{"POST", "a.test", "/some", []string{"x-one: 11"}, 200, ""},
		{"POST", "a.test", "/some/two", []string{"x-one: 1"}, 200, "one"},
		{"GET", "a.test", "/some/two/x?y", nil, 200, "two"},
		{"GET", "a.test", "/some/a.b", nil, 200, "two"},
		{"GET", "a.test", "/some/a.b?c=d", nil, 200, "two"},
		{"GET", "a.test", "/some/axb", nil, 200, ""},
		{"GET", "a.test", "/some/a.bc", nil, 200, ""},
		{"GET", "a.test", "/some?/some/two", nil, 200, ""},
		{"GET", "a.test:99", "/some", nil, 200, "two"},
		{"GET", "a.test:98", "/some", nil, 200, ""},
		{"POST", "a.test", "/some/long", []string{"x-one: 1"}, 200, ""}, // another route
		{"GET", "a.test", "/all", []string{"x-one: 1"}, 200, "one"},
		{"GET", "a.test", "/all", nil, 200, "rest"},
		{"GET", "b.test", "/", nil, 200, "gw"},
		{"GET", "b.test", "/", []string{"x-one: 1"}, 200, "gw,one"},
		{"GET", "b.test", "/", []string{"gw-set: x-one=1"}, 500, ""}, // it would be another chain
	} {
		got := b.ask(t, c.method, c.host, c.target, "", c.headers...)
		if got.status != c.status || c.status == 200 && !strings.Contains(got.body, " ran="+c.ran+" ") {
			t.Errorf("%+v: %d %q", c, got.status, got.body)
		}
	}
}
