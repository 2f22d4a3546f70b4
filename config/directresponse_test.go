package config

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestCELString(t *testing.T) {
	for _, tc := range []struct {
		expression, want string
		ok               bool
	}{
		{`"text/html"`, "text/html", true},
		{`'text/html'`, "text/html", true},
		{" 'a' ", "a", true},
		{`''`, "", true},
		{`"it's"`, "it's", true},
		{`"a\"b\\c\n\t\x41\u00e9\U0001F600\101"`, "a\"b\\c\n\tAé😀A", true},
		{`r"a\n"`, `a\n`, true},
		{`R'a\'b'`, `a\'b`, true},
		{"'''a\n'b'''", "a\n'b", true},
		{`"""a"b"""`, `a"b`, true},
		{`"é]]%"`, "é]]%", true},

		{expression: ``},
		{expression: `a`},
		{expression: `"a`},
		{expression: `"a\"`},
		{expression: `r"a\"`},
		{expression: "'a\nb'"},
		{expression: `'a' + 'b'`},
		{expression: `'a' 'b'`},
		{expression: `"\q"`},
		{expression: `"\x4"`},
		{expression: `"\ud800"`},
		{expression: `"\477"`},
		{expression: `b"a"`},
		{expression: `1`},
		{expression: `request.path`},
	} {
		if got, ok := celString(tc.expression); ok != tc.ok || ok && got != tc.want {
			t.Errorf("%s is %q, %v; want %q, %v", tc.expression, got, ok, tc.want, tc.ok)
		}
	}
}

func TestBrowserPolicies(t *testing.T) {
	c := parse(t, `
binds:
- port: 3000
  listeners:
  - routes:
    - policies:
        cors:
          allowOrigins: [https://A.test, "http://*.b.test:8080", "null"]
          allowMethods: [GET, "*"]
          allowHeaders: [X-A]
          exposeHeaders: [X-B]
          maxAge: 1m30s500ms
        csrf: {additionalOrigins: [https://b, https://a, https://b]}
        directResponse: {conditional: [{status: 200, body: [104, 255], headers: {X-A: "'b'"}}]}
`)
	age := 90 * time.Second
	place := "binds[0].listeners[0].routes[0].policies."
	want := &Route{
		CORS: &CORS{
			Path:    place + "cors",
			Origins: []OriginPattern{{"https", "a.test", 443}, {"http", "*.b.test", 8080}},
			Methods: []string{"*"}, Headers: []string{"x-a"}, Exposed: []string{"x-b"},
			MaxAge: &age,
		},
		CSRF:           &CSRF{Path: place + "csrf", Origins: []string{"https://a", "https://b"}},
		DirectResponse: &DirectResponse{Path: place + "directResponse.conditional[0]", Status: 200, Body: []byte("h\xff"), Headers: map[string]string{"x-a": "b"}},
	}
	got := c.Listeners[0].Routes[0]
	if diff := cmp.Diff(want, &Route{CORS: got.CORS, CSRF: got.CSRF, DirectResponse: got.DirectResponse}); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
}
