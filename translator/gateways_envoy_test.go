package translator_test

import (
	"fmt"
	"testing"
)

// v1.4's tree through a real Envoy: a route belongs to the listeners that it
// names, the host chooses the listener, and a policy with a target reaches the
// routes that it means.
func TestGatewaysInEnvoy(t *testing.T) {
	a := backend(t, "a")
	b := newTestbed(t, fmt.Sprintf(`
gateways:
  web:
    port: %%d
    listeners:
    - {name: one, hostname: one.test}
    - {name: rest}
routes:
- {name: both, gateways: web, matches: [{path: {exact: /both}}], backends: [{host: %[1]q}]}
- {name: one, gateways: web/one, matches: [{path: {exact: /one}}], backends: [{host: %[1]q}]}
- {name: rest, gateways: [web/rest], matches: [{path: {exact: /rest}}], backends: [{host: %[1]q}]}
policies:
- {target: {gateway: web}, policy: {timeout: {requestTimeout: 100ms}}}
- {target: {route: one}, policy: {timeout: {requestTimeout: 30s}}}
`, a), nil)
	for _, host := range []string{"one.test", "other.test:8080"} {
		b.run(request{name: "both " + host, target: "/both", host: host, want: []string{"a got /both"}})
	}
	b.run(request{name: "one", target: "/one", host: "one.test:80", want: []string{"a got /one"}})
	b.run(request{name: "one elsewhere", target: "/one", host: "other.test", status: 404, want: []string{"route not found"}})
	b.run(request{name: "rest", target: "/rest", host: "other.test", want: []string{"a got /rest"}})
	b.run(request{name: "rest elsewhere", target: "/rest", host: "one.test", status: 404})
	b.run(request{name: "the gateway's policy", target: "/both", host: "one.test", headers: map[string]string{"slow": "1"}, status: 504})
}

// A route group through a real Envoy: requests go where the parent is chosen
// first, and what the group does not match is 404.
func TestRouteGroupsInEnvoy(t *testing.T) {
	a, c := backend(t, "a"), backend(t, "c")
	b := newTestbed(t, fmt.Sprintf(`
gateways: {default: {port: %%d}}
routes:
- {name: team, matches: [{path: {pathPrefix: /team}}], backends: [{routeGroup: team}]}
- {name: longer, matches: [{path: {pathPrefix: /team/a}}], backends: [{host: %[2]q}]}
- {name: rest, backends: [{host: %[2]q}]}
routeGroups:
- name: team
  routes:
  - {name: deep, matches: [{path: {pathPrefix: /team/a/b}}], backends: [{host: %[1]q}]}
  - {name: b, matches: [{path: {pathPrefix: /team/b}}], backends: [{routeGroup: inner}]}
- name: inner
  routes:
  - {name: get, matches: [{method: GET}], backends: [{host: %[1]q}]}
`, a, c), nil)
	b.run(request{name: "the longer parent is chosen", target: "/team/a/b", want: []string{"c got"}})
	b.run(request{name: "a group in a group", target: "/team/b/x", want: []string{"a got /team/b/x"}})
	b.run(request{name: "nothing in the inner group", target: "/team/b/x", body: "post", status: 404, want: []string{"route not found"}})
	b.run(request{name: "nothing in the group", target: "/team/c", status: 404, want: []string{"route not found"}})
	b.run(request{name: "another parent", target: "/x", want: []string{"c got"}})
}

// The gateway phase in all its spellings: on the gateway, on one listener of it,
// and as a policy that targets either. The listener's wins per kind; browsers are
// answered before external processing, also where no route matches, and a route's
// own cors replaces the headers of the gateway's.
func TestGatewayPhaseSpellingsInEnvoy(t *testing.T) {
	a := backend(t, "a")
	gw, rt := newMarker(t, "gw"), newMarker(t, "rt")
	b := newTestbed(t, fmt.Sprintf(`
gateways:
  web:
    port: %%d
    listeners:
    - {name: own, hostname: own.test, cors: {allowOrigins: ["https://own.test"]}}
    - {name: rest}
routes:
- {name: plain, gateways: web, matches: [{path: {exact: /plain}}], backends: [{host: %[1]q}]}
- name: both
  gateways: web
  matches: [{path: {exact: /both}}]
  policies: {extProc: {host: %[3]q}, cors: {allowOrigins: ["https://route.test"]}}
  backends: [{host: %[1]q}]
policies:
- target: {gateway: {gatewayName: web, gatewayNamespace: default}}
  phase: gateway
  policy: {cors: {allowOrigins: ["https://any.test"]}}
- target: {gateway: {gatewayName: web, gatewayNamespace: default, listenerName: rest}}
  phase: gateway
  policy: {extProc: {host: %[2]q}}
`, a, gw.addr, rt.addr), nil)
	for _, c := range []struct {
		name, host, target, origin string
		status                     int
		allowed                    string
		gateway, route             bool
	}{
		{"the listener's own cors", "own.test", "/plain", "https://own.test", 200, "https://own.test", false, false},
		{"not the gateway's there", "own.test", "/plain", "https://any.test", 200, "", false, false},
		{"the gateway's elsewhere, and extProc", "other.test", "/plain", "https://any.test", 200, "https://any.test", true, false},
		{"where no route matches", "other.test", "/none", "https://any.test", 404, "https://any.test", true, false},
		{"both phases", "other.test", "/both", "https://route.test", 200, "https://route.test", true, true},
		{"the route's on another listener", "own.test", "/both", "https://route.test", 200, "https://route.test", false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			gw.forget()
			rt.forget()
			got := b.ask(t, "GET", c.host, c.target, "", "origin: "+c.origin)
			if got.status != c.status || got.headers.Get("access-control-allow-origin") != c.allowed {
				t.Errorf("status %d, allowed %q; want %d, %q", got.status, got.headers.Get("access-control-allow-origin"), c.status, c.allowed)
			}
			if log, _, _ := gw.forget(); (log != "") != c.gateway {
				t.Errorf("the gateway's server saw %q", log)
			}
			if log, _, _ := rt.forget(); (log != "") != c.route {
				t.Errorf("the route's server saw %q", log)
			}
		})
	}
}
