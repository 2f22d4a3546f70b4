package translator_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
)

// asked is a request, and the name of the route that must answer it.
type asked struct {
	host, target string
	headers      []string
	want         string
}

// named answers with its name: a redirect to it.
func named(name string) string {
	return fmt.Sprintf("name: %s, policies: {requestRedirect: {path: {full: /%s}}}", name, name)
}

func (b *testbed) routed(t *testing.T, cases []asked) {
	t.Helper()
	for _, c := range cases {
		method := "GET"
		headers := c.headers
		if len(headers) > 0 && !strings.Contains(headers[0], ":") {
			method, headers = headers[0], headers[1:]
		}
		a := b.ask(t, method, c.host, c.target, "", headers...)
		got := a.body
		if u, err := url.Parse(a.headers.Get("location")); err == nil && u.Path != "" {
			got = u.Path[1:]
		}
		if got != c.want {
			t.Errorf("%s%s %q: got %s, want %s", c.host, c.target, c.headers, got, c.want)
		}
	}
}

func TestMatchesInEnvoy(t *testing.T) {
	var text strings.Builder
	text.WriteString("binds:\n- port: %d\n  listeners:\n  - routes:\n")
	for _, r := range []struct{ name, match string }{
		{"prefix", `path: {pathPrefix: /foo}`},
		{"regex", `path: {regex: "/r[0-9]+/.*"}`},
		{"exact", `path: {exact: /foo/exact}`},
		{"method", `path: {pathPrefix: /m}, method: DELETE`},
		{"header", `path: {exact: /h}, headers: [{name: X-One, value: {exact: "a, b"}}]`},
		{"header-regex", `path: {exact: /h}, headers: [{name: x-two, value: {regex: "v[0-9]|w"}}]`},
		{"authority", `path: {exact: /h}, headers: [{name: ":authority", value: {exact: "a.test:99"}}]`},
		{"full-path", `path: {exact: /p}, headers: [{name: ":path", value: {exact: "/p?x=1"}}]`},
		{"scheme", `path: {exact: /s}, headers: [{name: ":scheme", value: {exact: http}}]`},
		{"method-header", `path: {exact: /s}, headers: [{name: ":method", value: {regex: "PUT|POST"}}, {name: ":scheme", value: {exact: http}}]`},
		{"plain-value", `path: {exact: /q}, query: [{name: k, value: {exact: v2.0-a_~}}]`},
		{"odd-value", `path: {exact: /q}, query: [{name: k, value: {exact: "a b/c&d=e+f%41"}}]`},
		{"percent", `path: {exact: /q}, query: [{name: k, value: {exact: "100%"}}]`},
		{"umlaut", `path: {exact: /q}, query: [{name: k, value: {exact: "ü"}}]`},
		{"empty", `path: {exact: /q}, query: [{name: e, value: {exact: ""}}]`},
		{"query-regex", `path: {exact: /q}, query: [{name: r, value: {regex: "[0-9]+"}}]`},
	} {
		fmt.Fprintf(&text, "    - {%s, matches: [{%s}]}\n", named(r.name), r.match)
	}
	b := newTestbed(t, text.String(), nil)
	const none = "route not found"
	b.routed(t, []asked{
		{"", "/foo", nil, "prefix"}, {"", "/foo/", nil, "prefix"}, {"", "/foo/x?y", nil, "prefix"}, {"", "/foobar", nil, none},
		{"", "/foo/exact", nil, "exact"}, {"", "/foo/exact?q", nil, "exact"}, {"", "/foo/exact/", nil, "prefix"}, {"", "/Foo", nil, none},
		{"", "/r12/x", nil, "regex"}, {"", "/r12/x?y", nil, "regex"}, {"", "/x/r12/x", nil, none}, {"", "/r12", nil, none},
		{"", "/m", []string{"DELETE"}, "method"}, {"", "/m", nil, none},
		{"", "/h", []string{"x-one: a, b"}, "header"}, {"", "/h", []string{"x-one: a", "x-one: b"}, none}, {"", "/h", []string{"x-one: z", "x-one: a, b"}, "header"},
		{"", "/h", []string{"x-two: x", "x-two: w"}, "header-regex"}, {"", "/h", []string{"x-two: v1"}, "header-regex"}, {"", "/h", []string{"x-two: v12"}, none},
		{"a.test:99", "/h", nil, "authority"}, {"a.test", "/h", nil, none},
		{"", "/p?x=1", nil, "full-path"}, {"", "/p", nil, none},
		{"", "/s", nil, "scheme"}, {"", "/s", []string{"PUT"}, "method-header"},
		{"", "/q?k=v2.0-a_~", nil, "plain-value"}, {"", "/q?k=v2x0-a_~", nil, none}, {"", "/q?x&k=v2.0-a_~&y=1", nil, "plain-value"},
		{"", "/q?k=a%20b%2fc%26d=e%2Bf%2541", nil, "odd-value"}, {"", "/q?k=a+b/c%26d%3de%2bf%2541", nil, "odd-value"},
		{"", "/q?k=a+b/c%26d=e%2bf%41", nil, none}, {"", "/q?k=a+b/c&d=e%2bf%2541", nil, none}, {"", "/q?k=a+b/c%26d=e+f%2541", nil, none},
		{"", "/q?k=100%25", nil, "percent"}, {"", "/q?k=100%", nil, "percent"},
		{"", "/q?k=%C3%bc", nil, "umlaut"},
		{"", "/q?e=", nil, "empty"}, {"", "/q?e", nil, "empty"}, {"", "/q?e=x", nil, none},
		{"", "/q?r=12", nil, "query-regex"}, {"", "/q?r=12a", nil, none},
	})
}

func TestPrecedenceInEnvoy(t *testing.T) {
	var text strings.Builder
	text.WriteString("binds:\n- port: %d\n  listeners:\n  - name: all\n    routes:\n")
	for _, r := range []struct{ name, match string }{
		{"root", `path: {pathPrefix: /}`},
		{"prefix", `path: {pathPrefix: /a/b}`},
		{"longer", `path: {pathPrefix: /a/b/c}`},
		{"regex", `path: {regex: "/a/b/.*"}`}, // longer than /a/b/c
		{"exact", `path: {exact: /a/b}`},
		{"any", `path: {pathPrefix: /c}`},
		{"query", `path: {pathPrefix: /c}, query: [{name: q, value: {exact: q}}]`},
		{"header", `path: {pathPrefix: /c}, headers: [{name: h, value: {exact: h}}]`},
		{"headers", `path: {pathPrefix: /c}, headers: [{name: h, value: {exact: h}}, {name: i, value: {exact: i}}]`},
		{"method", `path: {pathPrefix: /c}, method: PUT`},
		{"tie-2", `path: {pathPrefix: /tie}, headers: [{name: two, value: {exact: "2"}}]`},
		{"tie-10", `path: {pathPrefix: /tie}, headers: [{name: ten, value: {exact: "10"}}]`},
	} {
		fmt.Fprintf(&text, "    - {%s, matches: [{%s}]}\n", named(r.name), r.match)
	}
	fmt.Fprintf(&text, "    - {%s, hostnames: [a.example.com], matches: [{path: {exact: /one}}]}\n", named("host"))
	fmt.Fprintf(&text, "    - {%s, hostnames: [\"*.example.com\"], matches: [{path: {exact: /one}}, {path: {exact: /two}}]}\n", named("wild"))
	fmt.Fprintf(&text, "    - {%s, hostnames: [\"*.b.example.com\"], matches: [{path: {exact: /one}}]}\n", named("deeper"))
	fmt.Fprintf(&text, "  - name: exact\n    hostname: l.test\n    routes:\n    - {%s, matches: [{path: {pathPrefix: /one}}]}\n", named("l"))
	fmt.Fprintf(&text, "  - name: wild\n    hostname: \"*.l.test\"\n    routes:\n    - {%s, matches: [{path: {pathPrefix: /one}}]}\n    - {%s, hostnames: [x.l.test], matches: [{path: {exact: /two}}]}\n", named("lw"), named("lx"))
	b := newTestbed(t, text.String(), nil)
	b.routed(t, []asked{
		{"", "/x", nil, "root"}, {"", "/a/b", nil, "exact"}, {"", "/a/b/", nil, "regex"}, {"", "/a/b/c/d", nil, "regex"}, {"", "/a/bc", nil, "root"},
		{"", "/c?q=q", []string{"PUT", "h: h", "i: i"}, "method"}, {"", "/c?q=q", []string{"h: h", "i: i"}, "headers"},
		{"", "/c?q=q", []string{"h: h"}, "header"}, {"", "/c?q=q", nil, "query"}, {"", "/c", nil, "any"},
		{"", "/tie", []string{"two: 2", "ten: 10"}, "tie-10"}, {"", "/tie", []string{"two: 2"}, "tie-2"},

		{"a.example.com", "/one", nil, "host"}, {"a.example.com", "/two", nil, "wild"}, {"a.example.com", "/x", nil, "root"},
		{"A.Example.com:8080", "/one", nil, "host"}, {"c.d.example.com", "/one", nil, "wild"}, {"x.b.example.com", "/one", nil, "deeper"},
		{"x.b.example.com", "/two", nil, "wild"}, {"x.b.example.com:1", "/x", nil, "root"}, {"example.com", "/one", nil, "root"}, {"b.example.com", "/one", nil, "wild"},

		// The host chooses the listener; from there nothing falls through.
		{"l.test", "/one", nil, "l"}, {"l.test:8080", "/one", nil, "l"}, {"l.test", "/two", nil, "route not found"},
		{"a.l.test", "/one", nil, "lw"}, {"a.l.test", "/two", nil, "route not found"},
		{"x.l.test", "/one", nil, "lw"}, {"x.l.test", "/two", nil, "lx"}, {"x.l.test", "/", nil, "route not found"},
		{"m.test", "/one", nil, "root"},
	})
}
