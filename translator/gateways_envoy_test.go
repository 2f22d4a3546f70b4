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
