package translator_test

import (
	"fmt"
	"testing"
)

func TestCSRFInEnvoy(t *testing.T) {
	a := plain(t, "a")
	b := newTestbed(t, fmt.Sprintf(`
binds:
- port: %%d
  listeners:
  - routes:
    - name: own
      matches: [{path: {pathPrefix: /own}}]
      policies: {csrf: {}}
      backends: [{host: %q}]
    - name: more
      matches: [{path: {pathPrefix: /more}}]
      policies: {csrf: {additionalOrigins: ["https://x.test", "https://y.test:8443", "\"'\\]]--%%$(x)"]}, cors: {allowOrigins: ["*"]}}
      backends: [{host: %q}]
    - name: guarded
      matches: [{path: {pathPrefix: /guarded}}]
      policies: {csrf: {}}
      backends: [{host: %q}]
    - name: moved
      matches: [{path: {pathPrefix: /moved}}]
      policies: {csrf: {}, extProc: {host: EXTERNAL}}
      backends: [{host: %q}]
`, a, a, a, a), chains{"guarded": {ReadsBody: true}})
	const (
		passed  = "200 a\naccess-control-allow-methods: BACKEND\naccess-control-allow-origin: backend\ncontent-length: 1"
		refused = "403 CSRF validation failed\ncontent-length: 22\ncontent-type: text/plain"
		shown   = "200 a\naccess-control-allow-methods: BACKEND\naccess-control-allow-origin: https://x.test\ncontent-length: 1"
	)
	for _, p := range []probe{
		{name: "safe", method: "GET", target: "/own", headers: "Sec-Fetch-Site: cross-site\nOrigin: https://x.test", want: passed},
		{name: "safe, OPTIONS", method: "OPTIONS", target: "/own", headers: "Sec-Fetch-Site: cross-site\nOrigin: https://x.test", want: passed},
		{name: "no browser", method: "POST", target: "/own", want: passed},
		{name: "other methods", method: "PROPFIND", target: "/own", headers: "Origin: https://x.test", want: refused},
		{name: "two origins", method: "POST", target: "/more", headers: "Origin: https://x.test\nOrigin: https://z.test", want: "403 CSRF validation failed\naccess-control-allow-origin: https://x.test,https://z.test\ncontent-length: 22\ncontent-type: text/plain"},

		{name: "same-origin", method: "POST", target: "/own", headers: "Sec-Fetch-Site: same-origin\nOrigin: https://x.test", want: passed},
		{name: "none", method: "POST", target: "/own", headers: "Sec-Fetch-Site: none\nOrigin: https://x.test", want: passed},
		{name: "same-site", method: "POST", target: "/own", headers: "Sec-Fetch-Site: same-site", want: refused},
		{name: "cross-site", method: "POST", target: "/own", headers: "Sec-Fetch-Site: cross-site", want: refused},
		{name: "cross-site, null", method: "POST", target: "/own", headers: "Sec-Fetch-Site: cross-site\nOrigin: null", want: refused},
		{name: "cross-site from the target", method: "POST", target: "/own", host: "h.test", headers: "Sec-Fetch-Site: cross-site\nOrigin: http://h.test", want: refused},
		{name: "two sites", method: "POST", target: "/own", headers: "Sec-Fetch-Site: none\nSec-Fetch-Site: cross-site", want: passed},
		{name: "two sites, the other way round", method: "POST", target: "/own", headers: "Sec-Fetch-Site: cross-site\nSec-Fetch-Site: none", want: refused},
		{name: "unknown site", method: "POST", target: "/own", headers: "Sec-Fetch-Site: Same-Origin", want: refused},
		{name: "empty site", method: "POST", target: "/own", headers: "Sec-Fetch-Site: ", want: refused},
		{name: "site is not text", method: "POST", target: "/more", headers: "Sec-Fetch-Site: é\nOrigin: https://x.test", want: "403 CSRF validation failed\naccess-control-allow-origin: https://x.test\ncontent-length: 22\ncontent-type: text/plain"},

		{name: "origin is the target", method: "POST", target: "/own", host: "h.test:8080", headers: "Origin: http://h.test:8080", want: passed},
		{name: "another port", method: "POST", target: "/own", host: "h.test:8080", headers: "Origin: http://h.test", want: refused},
		{name: "another scheme", method: "POST", target: "/own", host: "h.test", headers: "Origin: https://h.test", want: refused},
		{name: "another host", method: "POST", target: "/own", host: "h.test", headers: "Origin: http://x.h.test", want: refused},
		{name: "origin null", method: "POST", target: "/own", headers: "Origin: null", want: passed},
		{name: "empty origin", method: "POST", target: "/own", headers: "Origin: ", want: refused},
		{name: "origin is not text", method: "POST", target: "/own", headers: "Origin: é", want: refused},

		{name: "trusted", method: "POST", target: "/more", headers: "Origin: https://x.test", want: shown},
		{name: "trusted, cross-site", method: "POST", target: "/more", headers: "Sec-Fetch-Site: cross-site\nOrigin: https://x.test", want: shown},
		{name: "trusted, quoted", method: "POST", target: "/more", headers: "Origin: \"'\\]]--%$(x)", want: "200 a\naccess-control-allow-methods: BACKEND\naccess-control-allow-origin: \"'\\]]--%$(x)\ncontent-length: 1"},
		{name: "trusted with another port", method: "POST", target: "/more", headers: "Origin: https://y.test", want: "403 CSRF validation failed\naccess-control-allow-origin: https://y.test\ncontent-length: 22\ncontent-type: text/plain"},
		{name: "trusted elsewhere", method: "POST", target: "/own", headers: "Origin: https://x.test", want: refused},

		// It runs behind external processing, and before the chain of a backend.
		{name: "refused before the backend's chain", method: "POST", target: "/guarded", headers: "Origin: https://x.test", want: refused},
		{name: "passes to the backend's chain", method: "POST", target: "/guarded", seen: []string{"guarded"}, want: passed + "\nx-attache-id: 0123"},
		{name: "host changed before", method: "POST", target: "/moved", host: "h.test", headers: "do-host: i.test\nOrigin: http://i.test", want: "200 a\naccess-control-allow-methods: BACKEND\naccess-control-allow-origin: backend"},
		{name: "host changed before, origin of the old", method: "POST", target: "/moved", host: "h.test", headers: "do-host: i.test\nOrigin: http://h.test", want: "403 CSRF validation failed\ncontent-type: text/plain"},
	} {
		b.probe(p)
	}
}
