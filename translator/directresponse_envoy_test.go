package translator_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
)

func TestDirectResponseInEnvoy(t *testing.T) {
	const odd = "\"'\\]]--%PATH()%%\n\r\té😀"
	long := strings.Repeat("x", 100_000)
	b := newTestbed(t, fmt.Sprintf(`
processors: [{name: stop, type: reject}]
profiles: [{name: p, inputStages: [{name: s, steps: [{name: stop}]}]}]
binds:
- port: %%d
  listeners:
  - routes:
    - {name: text, matches: [{path: {exact: /text}}], policies: {directResponse: {status: 200, body: hi}}}
    - {name: empty, matches: [{path: {exact: /empty}}], policies: {directResponse: {status: 403}}}
    - {name: page, matches: [{path: {exact: /page}}], policies: {directResponse: {status: 599, body: <p>, headers: {Content-Type: "'text/html'", x-a: '"b c"'}}}}
    - {name: typed, matches: [{path: {exact: /typed}}], policies: {directResponse: {status: 200, headers: {content-type: "'text/html'"}}}}
    - {name: odd, matches: [{path: {exact: /odd}}], policies: {directResponse: {status: 200, body: %[1]s, headers: {x-odd: %[2]s}}}}
    - {name: expression, matches: [{path: {exact: /expression}}], policies: {directResponse: {status: 200, bodyExpression: "'hi'"}}}
    - {name: long, matches: [{path: {exact: /long}}], policies: {directResponse: {status: 200, body: %[3]s}}}
    - {name: bytes, matches: [{path: {exact: /bytes}}], policies: {directResponse: {status: 200, body: [0, 255, 10]}}}
    - {name: none, matches: [{path: {exact: /none}}], policies: {directResponse: {status: 204}}}
    - {name: unchanged, matches: [{path: {exact: /unchanged}}], policies: {directResponse: {status: 304, body: hi}}}
    - {name: created, matches: [{path: {exact: /created}}], policies: {directResponse: {status: 201, body: hi}}}
    - {name: found, matches: [{path: {exact: /found}}], policies: {directResponse: {status: 302, headers: {location: "'/x'"}}}}
    - {name: guarded, matches: [{path: {exact: /guarded}}], policies: {extProc: {profile: p}, directResponse: {status: 200, body: hi}}}
    - {name: chosen, matches: [{path: {exact: /chosen}}], policies: {extProc: {profile: p}, directResponse: {status: 200, body: hi}}, backends: [{host: "127.0.0.1:1"}, {host: "127.0.0.1:2"}]}
    - {name: ai, matches: [{path: {exact: /ai}}], policies: {directResponse: {status: 200, body: hi}}, backends: [{host: "127.0.0.1:1"}]}
    - {name: csrf, matches: [{path: {exact: /csrf}}], policies: {csrf: {}, directResponse: {status: 200, body: hi}}}
    - {name: closed, matches: [{path: {exact: /closed}}], policies: {extProc: {host: "127.0.0.1:1"}, directResponse: {status: 200, body: hi}}}
  - hostname: hoisted.test
    routes:
    - {matches: [{path: {exact: /a}}, {path: {exact: /b}}], policies: {directResponse: {status: 200, body: hi}}}
`, strconv.Quote(odd), strconv.Quote(`"\"'\\]]--%PATH()%%é😀"`), long), chains{
		"guarded": {ReadsBody: true},
		"chosen":  {ReadsBody: true, Choice: chooses},
		"ai":      {ReadsBody: true},
	})
	const hi = "200 hi\ncontent-length: 2"
	for _, p := range []probe{
		{name: "text", method: "GET", target: "/text?q", want: hi},
		{name: "text, POST", method: "POST", target: "/text", want: hi},
		{name: "text, HEAD", method: "HEAD", target: "/text", want: "200 \ncontent-length: 2"},
		{name: "empty", method: "GET", target: "/empty", want: "403 \ncontent-length: 0"},
		{name: "page", method: "GET", target: "/page", want: "599 <p>\ncontent-length: 3\ncontent-type: text/html\nx-a: b c"},
		{name: "typed", method: "GET", target: "/typed", want: "200 \ncontent-length: 0\ncontent-type: text/html"},
		{name: "odd", method: "GET", target: "/odd", want: "200 " + odd + fmt.Sprintf("\ncontent-length: %d", len(odd)) + "\nx-odd: \"'\\]]--%PATH()%%é😀"},
		{name: "expression", method: "GET", target: "/expression", want: hi},
		{name: "long", method: "GET", target: "/long", want: "200 " + long + "\ncontent-length: 100000"},
		{name: "bytes", method: "GET", target: "/bytes", want: "200 \x00\xff\n\ncontent-length: 3"},
		{name: "no content", method: "GET", target: "/none", want: "204 "},
		{name: "unchanged", method: "GET", target: "/unchanged", want: "304 "},
		{name: "created", method: "GET", target: "/created", want: "201 hi\ncontent-length: 2"},
		{name: "found", method: "GET", target: "/found", want: "302 \ncontent-length: 0\nlocation: /x"},
		{name: "to gRPC", method: "POST", target: "/page", headers: "Content-Type: application/grpc", want: "200 \ncontent-length: 0\ncontent-type: application/grpc\ngrpc-message: <p>\ngrpc-status: 2"},

		// Other policies run first, and their answers are their own.
		{name: "guarded", method: "GET", target: "/guarded", want: hi + "\nx-attache-id: 0123", seen: []string{"guarded"}},
		{name: "guarded, refused", method: "GET", target: "/guarded", headers: "do-refuse: 1", seen: []string{"guarded"},
			want: "403 refused\ncontent-length: 7\ncontent-type: text/plain\nx-attache-id: 0123"},
		{name: "csrf", method: "POST", target: "/csrf", headers: "Origin: https://x.test", want: "403 CSRF validation failed\ncontent-length: 22\ncontent-type: text/plain"},
		{name: "extProc down", method: "GET", target: "/closed", want: "500 ext_proc failed: no usable answer\ncontent-length: 33\ncontent-type: text/plain"},
		// There is no backend to choose or to prepare for.
		{name: "chosen", method: "GET", target: "/chosen", headers: "do-choose: " + word("chosen", "backend1"), want: hi + "\nx-attache-id: 0123", seen: []string{"chosen"}},
		{name: "ai", method: "GET", target: "/ai", want: hi},

		{name: "hoisted", method: "GET", target: "/b", host: "hoisted.test", want: hi},
		{name: "not found beside it", method: "GET", target: "/c", host: "hoisted.test", want: "404 route not found\ncontent-length: 15\ncontent-type: text/plain"},
	} {
		b.probe(p)
	}
}
