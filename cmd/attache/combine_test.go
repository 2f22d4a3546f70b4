package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/attache-dev/attache/config"
	"github.com/attache-dev/attache/envoy/envoytest"
	"github.com/attache-dev/attache/translator"
)

// Parts of routes, to be combined. One word each is drawn of matches, backends
// and listeners, and any number of policies.
var (
	drawnMatches = []string{
		`path: {pathPrefix: /P}`, `path: {exact: /P}`, `path: {regex: "/P[a-z]*"}`, `path: {pathPrefix: /P/}, method: POST`,
		`path: {pathPrefix: /P}, headers: [{name: x-a, value: {exact: b}}, {name: ":authority", value: {regex: "a.*"}}]`,
		`path: {pathPrefix: /P}, query: [{name: q, value: {exact: "a b+c&d"}}, {name: r, value: {regex: "1|2"}}]`,
	}
	drawnPolicies = []string{
		`requestHeaderModifier: {add: {x-a: "1%"}, set: {x-b: "%REQ(a)%"}, remove: [x-c]}`,
		`responseHeaderModifier: {set: {x-b: "2"}, remove: [server]}`,
		`requestRedirect: {scheme: https, authority: {host: b.test}, path: {full: /x}, status: 308}`,
		`urlRewrite: {path: {full: "/a b\\1"}, authority: {full: "b.test:81"}}`,
		`urlRewrite: {path: {prefix: /}, authority: auto}`,
		`requestMirror: {backend: {host: "127.0.0.1:9"}, percentage: 0.5}`,
		`requestMirror: {backend: {backend: named}, percentage: 1}`,
		`directResponse: {status: 418, body: "tea\n%pot", headers: {x: "'y'"}}`,
		`cors: {allowOrigins: ["https://*.x.test", "*"], allowMethods: [GET], allowHeaders: ["*"], exposeHeaders: [x], maxAge: 0s, allowCredentials: true}`,
		`csrf: {additionalOrigins: ["https://y.test"]}`,
		`timeout: {requestTimeout: 1s, backendRequestTimeout: 100ms}`,
		`retry: {attempts: 3, codes: [502, 503], backoff: 10ms}`,
		`delay: {duration: 1ms}`,
		`buffer: {request: {maxBytes: 1000}}`,
		`extProc: {host: "127.0.0.1:9"}`,
		`extProc: {host: "https://e.test", failureMode: failOpen, metadataContext: {a: {b: '"c"'}}, requestAttributes: {p: request.path}}`,
		`extProc: {backend: named, processingOptions: {requestBodyMode: buffered, responseBodyMode: none, responseHeaderMode: skip}}`,
		`extProc: {conditional: [{condition: 'request.method == "GET"', profile: p}, {host: "127.0.0.1:9"}]}`,
		`extProc: {profile: p}`,
		`extProc: {profile: p, failureMode: failOpen}`,
		`backendAuth: {key: secret}`,
		`backendAuth: {key: {value: secret, location: {cookie: {name: c}}}}`,
		`backendAuth: {passthrough: {}}`,
		`backendTLS: {}`,
		`backendTLS: {insecure: true, alpn: [h2]}`,
		`backendTLS: {hostname: n.test, subjectAltNames: [a.test]}`,
		`ai: {overrides: {temperature: 0.1}, defaults: {n: [1, {a: null}]}, modelAliases: {"a*": b}, prompts: {prepend: [{role: system, content: hi}]}}`,
		`ai: {routes: {"/v1/messages": messages, "*": passthrough}}`,
	}
	drawnBackends = []string{
		`{host: "127.0.0.1:9"}`, `{host: "[::1]:9"}`, `{host: "a.test:80"}`, `{host: "unix:/tmp/s"}`, `{backend: /named}`, `{invalid: null}`,
		`{host: "a.test:80", weight: 0}`, `{host: "a.test:80", weight: 3, policies: {http: {version: "2"}, requestHeaderModifier: {set: {x-z: z}}}}`,
		`{host: "a.test:80", policies: {tcp: {connectTimeout: 1s, keepalives: {}}, health: {eviction: {duration: 1s}}}}`,
		`{service: {name: ns/s.ns, port: 80}}`, `{dynamic: {}}`,
		`{ai: {name: o, provider: {openAI: {model: m}}}}`, `{ai: {provider: {openAI: {}}, hostOverride: "127.0.0.1:9"}}`,
		`{ai: {provider: {anthropic: {}}, policies: {backendAuth: {key: sk-ant-1}}}}`, `{ai: {provider: {gemini: {model: g}}}}`,
		`{ai: {provider: {openAI: {}}, pathOverride: "/x?api-version=1"}}`,
	}
	drawnPhases = []string{
		``, `cors: {allowOrigins: ["*"]}`, `extProc: {host: "127.0.0.1:9", processingOptions: {requestBodyMode: buffered, responseBodyMode: buffered}}`, `extProc: {profile: p}`,
	}
)

const drawnSections = `
processors: [{name: r, type: system-prompt, params: {modify: true, rules: [x]}}]
profiles: [{name: p, inputStages: [{name: s, steps: [{name: r}]}]}]
backends: [{name: named, host: "n.test:80"}]
services: [{name: s, namespace: ns, hostname: s.ns, ports: {80: 9}}]
workloads: [{uid: w, name: w, namespace: ns, workloadIps: [127.0.0.1], services: {ns/s.ns: {80: 9}}}]
`

func one(rnd *rand.Rand, of []string) string { return of[rnd.IntN(len(of))] }

// drawRoute is a route whose path holds its number.
func drawRoute(rnd *rand.Rand, n int) string {
	policies := map[string]string{}
	for range rnd.IntN(6) {
		p := one(rnd, drawnPolicies)
		key, _, _ := strings.Cut(p, ":")
		policies[key] = p
	}
	var list []string
	for _, p := range policies {
		list = append(list, p)
	}
	var backends []string
	for range rnd.IntN(3) {
		backends = append(backends, one(rnd, drawnBackends))
	}
	hosts := []string{"", "hostnames: [h.test], ", `hostnames: ["*.h.test", i.test], `}
	return fmt.Sprintf("{name: r%d, %smatches: [{%s}], policies: {%s}, backends: [%s]}",
		n, one(rnd, hosts), strings.ReplaceAll(one(rnd, drawnMatches), "/P", fmt.Sprintf("/p%d", n)), strings.Join(list, ", "), strings.Join(backends, ", "))
}

// Whatever the parts are that a file is put together of, it is refused with a
// place, or Envoy takes what it becomes.
func TestCombinations(t *testing.T) {
	binary := envoytest.Find(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	load := func(text string) (*built, error) {
		file := filepath.Join(t.TempDir(), "attache.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return (&source{path: file}).build(config.Options{}, translator.Options{ExtProc: mustTarget(defaultExtProcAddr)})
	}
	const files, routes = 8, 25
	loaded := 0
	for range files {
		phase := one(rnd, drawnPhases)
		text := func(routes ...string) string {
			return drawnSections + "gateways: {default: {port: 3000, " + phase + "}}\nroutes:\n- " + strings.Join(routes, "\n- ") + "\n"
		}
		good := []string{`{name: last}`}
		for n := range routes {
			r := drawRoute(rnd, n)
			_, err := load(text(r))
			for _, e := range config.Errors(err) {
				if e.Line == 0 || e.Kind == "" || e.Kind == config.Syntax || e.Kind == config.UnknownKey {
					t.Errorf("%s\nof %s", e, text(r))
				}
			}
			if err == nil {
				good = append(good, r)
			}
		}
		loaded += len(good)
		b, err := load(text(good...))
		if err != nil {
			t.Errorf("each route loads, and together they do not: %v\n%s", err, text(good...))
			continue
		}
		static, err := b.resources.Static()
		if err != nil {
			t.Fatal(err)
		}
		if err := binary.Validate(t.Context(), static); err != nil {
			t.Errorf("Envoy: %v\n%s", err, text(good...))
		}
	}
	if loaded < files*routes/5 {
		t.Errorf("only %d of %d routes load: the parts are not what they were", loaded, files*routes)
	}
}
