package config

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The most specific place that says how a backend is spoken to wins, key by key:
// the route's entry, the route, the named backend, what targets the route, the
// backend, the listener, the gateway.
func TestBackendLevels(t *testing.T) {
	places := []string{"entry", "route", "named", "targets-route", "targets-backend", "targets-listener", "targets-gateway"}
	for from := range places {
		tls := func(place string) string {
			for i, p := range places {
				if p == place && i >= from {
					return "policies: {backendTLS: {hostname: " + place + "}}"
				}
			}
			return "policies: {}"
		}
		var policies strings.Builder
		for place, target := range map[string]string{
			"targets-route":    "route: {name: r, namespace: default}",
			"targets-backend":  `backend: {backend: {name: up, namespace: ""}}`,
			"targets-listener": "gateway: {gatewayName: default, gatewayNamespace: default, listenerName: l}",
			"targets-gateway":  "gateway: {gatewayName: default, gatewayNamespace: default}",
		} {
			if p, ok := strings.CutPrefix(tls(place), "policies: "); ok && p != "{}" {
				fmt.Fprintf(&policies, "- {target: {%s}, policy: %s}\n", target, p)
			}
		}
		section := ""
		if policies.Len() > 0 {
			section = "policies:\n" + policies.String()
		}
		c := parse(t, fmt.Sprintf(`
backends: [{name: up, host: "up:1", %s}]
binds: [{port: 1, listeners: [{name: l, routes: [{name: r, %s, backends: [{backend: /up, %s}]}]}]}]
%s`, tls("named"), tls("route"), tls("entry"), section))
		if got := c.Listeners[0].Routes[0].Backends[0].TLS.Name; got != places[from] {
			t.Errorf("with %v: %s wins", places[from:], got)
		}
	}
}

// The ai policy of an ai backend is merged field by field, from the same places.
func TestNamedAIBackend(t *testing.T) {
	c := parse(t, `
backends: [{name: model, policies: {ai: {overrides: {a: named, b: named}}}, ai: {name: gpt, provider: {openAI: {}}, policies: {backendAuth: {key: $KEY}}}}]
policies:
- {target: {backend: {backend: {name: model, namespace: ""}}}, policy: {ai: {overrides: {c: target}, defaults: {d: target}}}}
binds:
- port: 1
  listeners:
  - routes:
    - {name: r, policies: {ai: {modelAliases: {x: y}}}, backends: [{backend: /model}, {backend: model, name: mine, policies: {ai: {overrides: {a: entry}}}}]}
`, "KEY=k")
	type summary struct {
		Name, Key           string
		Overrides, Defaults []Field
		Aliases             []ModelAlias
	}
	var got []summary
	for _, b := range c.Listeners[0].Routes[0].Backends {
		got = append(got, summary{b.Name, b.Credential.Ref, b.AI.Overrides, b.AI.Defaults, b.AI.Aliases})
	}
	field := func(name, value string) Field { return Field{Name: name, JSON: []byte(`"` + value + `"`)} }
	want := []summary{
		{"model", "env:KEY", []Field{field("a", "named"), field("b", "named")}, []Field{field("d", "target")}, []ModelAlias{{"x", "y"}}},
		{"mine", "env:KEY", []Field{field("a", "entry")}, []Field{field("d", "target")}, []ModelAlias{{"x", "y"}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
}

// What a file says about connections, and what it leaves to the defaults.
func TestBackendConnections(t *testing.T) {
	c := parse(t, `
services: [{name: s, namespace: n, hostname: s, ports: {1: 8080, 2: 0}, appProtocols: {1: Grpc}}]
workloads:
- {uid: a, namespace: n, workloadIps: ["10.0.0.1", "10.0.0.2"], services: {n/s: {1: 9090}}}
- {uid: b, namespace: n, workloadIps: ["::0001"], services: {n/s: {}}}
- {uid: c, namespace: n, workloadIps: ["10.0.0.3"], status: Unhealthy, services: {n/s: {}}}
backends: [{name: up, host: "up:1", policies: {http: {version: "2"}, tcp: {connectTimeout: 1s}}}]
binds:
- port: 1
  listeners:
  - routes:
    - backends:
      - {host: "a:1"}
      - {backend: /up, policies: {http: {requestTimeout: 2s}}}
      - {service: {name: n/s, port: 1}, policies: {health: {eviction: {}}}}
      - {service: {name: n/s, port: 2}, policies: {health: {eviction: {consecutiveFailures: 0}}}}
      - {dynamic: {}, policies: {tcp: {keepalives: {enabled: false}}}}
      - invalid
`)
	type summary struct {
		Name     string
		HTTP     BackendHTTP
		TCP      BackendTCP
		Service  *WorkloadService
		Eviction *Eviction
		Dynamic  bool
		Invalid  bool
	}
	var got []summary
	for _, b := range c.Listeners[0].Routes[0].Backends {
		got = append(got, summary{b.Name, b.HTTP, b.TCP, b.Service, b.Eviction, b.Dynamic, b.Invalid})
	}
	want := []summary{
		{Name: "backend0"},
		{Name: "up", HTTP: BackendHTTP{RequestTimeout: 2 * time.Second}, TCP: BackendTCP{ConnectTimeout: time.Second}},
		{
			Name: "backend2", HTTP: BackendHTTP{Version: "2"}, Eviction: &Eviction{Duration: 3 * time.Second, Failures: 1},
			Service: &WorkloadService{Name: "n/s", Port: 1, Endpoints: []Target{{Host: "10.0.0.1", Port: 9090}, {Host: "::1", Port: 8080}}},
		},
		{Name: "backend3", Service: &WorkloadService{Name: "n/s", Port: 2}},
		{Name: "backend4", Dynamic: true, TCP: BackendTCP{NoKeepalive: true}},
		{Name: "backend5", Invalid: true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
}

// A block that many backends share is read once.
func TestSharedBackendTLSIsReadOnce(t *testing.T) {
	reads := 0
	opts := Options{ReadFile: func(string) ([]byte, error) { reads++; return nil, fmt.Errorf("no") }}
	_, err := Parse("c.yaml", []byte(`
backends: [{name: up, host: "up:1", policies: {backendTLS: {root: ca.pem}}}]
binds: [{port: 1, listeners: [{routes: [{backends: [{backend: /up}, {backend: up}, {backend: up}]}]}]}]
`), opts)
	if reads != 1 || len(Errors(err)) != 1 {
		t.Errorf("%d reads: %v", reads, err)
	}
}
