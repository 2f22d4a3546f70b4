package config

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func parse(t *testing.T, src string, env ...string) *Config {
	t.Helper()
	c, err := Parse("c.yaml", []byte(src), optionsOf(map[string]string{"env": strings.Join(env, "\n") + "\n", "key.txt": " from-file\n"}))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// The v0.10 guide: a route's extProc replaces the gateway's, a route without
// one has the gateway's.
func TestRouteReplacesGateway(t *testing.T) {
	c := parse(t, `
binds:
- port: 3000
  listeners:
  - gatewayName: edge
    routes:
    - {name: own, policies: {extProc: {host: "own:1"}}}
    - {name: none, matches: [{path: {exact: /x}}]}
gatewayPolicies:
- {target: {gateway: edge}, policy: {extProc: {host: "gw:1", failureMode: failOpen}}}
`)
	l := c.Listeners[0]
	if got := l.Routes[0].ExtProc; got.Target.Host != "own" || got.FailOpen || got.FromGateway {
		t.Errorf("route with its own extProc has %+v", got)
	}
	if got := l.Routes[1].ExtProc; got.Target.Host != "gw" || !got.FailOpen || !got.FromGateway {
		t.Errorf("route without extProc has %+v", got)
	}
	if l.ExtProc != l.Routes[1].ExtProc {
		t.Error("requests without a route do not have the gateway's extProc")
	}
}

// The name of an unnamed route depends on what it matches and on nothing else.
func TestDerivedNamesAreStable(t *testing.T) {
	name := func(routes string) string {
		c := parse(t, "binds: [{port: 1, listeners: [{routes: ["+routes+"]}]}]")
		rs := c.Listeners[0].Routes
		return rs[len(rs)-1].Name
	}
	a := name(`{matches: [{path: {exact: /a}}]}`)
	if b := name(`{name: first}, {matches: [{path: {exact: /a}}], backends: [{host: "h:1"}], policies: {extProc: {host: "e:1"}}}`); a != b {
		t.Errorf("the name moved from %s to %s", a, b)
	}
	if b := name(`{matches: [{path: {exact: /b}}]}`); a == b {
		t.Error("two routes have one name")
	}
}

func TestCredentials(t *testing.T) {
	c := parse(t, `
binds:
- port: 3000
  listeners:
  - routes:
    - name: r
      policies: {backendAuth: {key: "$KEY"}}
      backends:
      - ai: {provider: {openAI: {}}}
      - {host: "a:1", policies: {backendAuth: {key: inline-secret}}}
      - {host: "a:1", policies: {backendAuth: {key: {value: {file: key.txt}}}}}
      - {host: "a:1", policies: {backendAuth: {key: "prefix-$KEY"}}}
`, "KEY=env-secret")
	want := []struct{ refPrefix, value string }{
		{"env:KEY", "env-secret"},
		{"inline:3000/listener0/r/backend1", "inline-secret"},
		{"file:/", "from-file"},
		{"inline:3000/listener0/r/backend3", "prefix-env-secret"},
	}
	for i, w := range want {
		cred := c.Listeners[0].Routes[0].Backends[i].Credential
		if !strings.HasPrefix(cred.Ref, w.refPrefix) || cred.Reveal() != w.value {
			t.Errorf("backend %d: ref %s, value %s; want %s…, %s", i, cred.Ref, cred.Reveal(), w.refPrefix, w.value)
		}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
			if s := fmt.Sprintf(verb, cred); strings.Contains(s, w.value) {
				t.Errorf("%s prints the secret: %s", verb, s)
			}
		}
	}
	if len(c.Named) != 1 || !strings.HasSuffix(c.Named[0], "/key.txt") {
		t.Errorf("named files are %q", c.Named)
	}
}

func TestRawMerge(t *testing.T) {
	base, err := NewRaw("f", "{threshold: 0.95, reject: true, rules: [a, b]}")
	if err != nil {
		t.Fatal(err)
	}
	over, _ := NewRaw("f", "{rules: [c]}")
	for _, tc := range []struct {
		raw  Raw
		want string
	}{
		{base.Merge(over), `{"reject":true,"rules":["c"],"threshold":0.95}`},
		{base.Merge(Raw{}), `{"reject":true,"rules":["a","b"],"threshold":0.95}`},
		{Raw{}.Merge(over), `{"rules":["c"]}`},
		{Raw{}.Merge(Raw{}), `null`},
		{base.Without("reject", "rules"), `{"threshold":0.95}`},
	} {
		got, err := tc.raw.MarshalJSON()
		if err != nil || string(got) != tc.want {
			t.Errorf("got %s, %v; want %s", got, err, tc.want)
		}
	}
}

// A path leads back to its node, whatever dots its keys hold.
func TestPlaces(t *testing.T) {
	c := parse(t, "processors:\n- name: p\n  type: reject\n  params:\n    a.b: 1\n    a: {c: 2}\n")
	for path, want := range map[string]string{
		"processors[0].params.a.b":   "c.yaml:5:10: processors[0].params.a.b",
		"processors[0].params.a.c":   "c.yaml:6:12: processors[0].params.a.c",
		"processors[0].params.zz":    "c.yaml:5:5: processors[0].params.zz",
		"processors[7]":              "c.yaml:2:1: processors[7]",
		"processors[":                "c.yaml:2:1: processors[",
		"":                           "c.yaml:1:1",
		"nowhere.at.all":             "c.yaml:1:1: nowhere.at.all",
		"processors[0].type":         "c.yaml:3:9: processors[0].type",
		"processors[0].name.too.far": "c.yaml:2:9: processors[0].name.too.far",
	} {
		if got := c.Place(path); got != want {
			t.Errorf("Place(%q) = %q, want %q", path, got, want)
		}
	}
}

func TestFileTooLong(t *testing.T) {
	_, err := Parse("big.yaml", []byte(strings.Repeat("# padding\n", 1<<20)), Options{})
	if err == nil || !strings.HasPrefix(err.Error(), "big.yaml:1:1: the file has more than 8388608 bytes") {
		t.Errorf("got %v", err)
	}
}

func TestDeepNesting(t *testing.T) {
	for _, src := range []string{
		strings.Repeat("[", 5000) + strings.Repeat("]", 5000),
		strings.Repeat("{a: ", 5000),
		"binds: " + strings.Repeat("- ", 20000),
	} {
		if _, err := Parse("deep.yaml", []byte(src), Options{}); err == nil {
			t.Error("a file nested thousands of levels deep was accepted")
		}
	}
}

// FuzzParse: any text gives a configuration or errors with places, and never a
// panic or an error without a message. F5's own file can be converted.
func FuzzParse(f *testing.F) {
	f.Add([]byte("binds: [{port: 3000, listeners: [{routes: [{backends: [{host: 'a:1'}]}]}]}]"))
	f.Add([]byte("a: &a [*a]"))
	f.Add([]byte("binds: &b [{port: $PORT, listeners: *b}]\n? [x]\n: y\n<<: z"))
	f.Add([]byte("processors: [{name: p, type: reject, params: {x: !!binary aGk=}}]\nprofiles: [{name: q, inputStages: [{name: s, steps: [{name: p}]}]}]"))
	f.Add([]byte("gatewayPolicies: [{target: {gateway: default}, policy: {extProc: {profile: q}}}]"))
	f.Add([]byte("binds: [{port: 1, listeners: [{routes: [{policies: {timeout: {requestTimeout: 1s}, extProc: {profiles: [{name: q, selector: {type: jwt, key: k, values: [v]}}], authentication: {jwtSigningKeyFile: f, jwtSigningKeyType: HS256}, schema: v1/models}}, backends: [{name: b, host: 'a:1', policies: {backendTLS: {root: r, cert: c, key: k, minVersion: v1.2}}}]}]}]}]\nprofiles: [{name: q, models: [{name: m}], services: [{name: b, selector: {type: input.model, values: [m]}}], responseStages: [], mode: observe, failureMode: failOpen, concurrency: 0, limits: []}]"))
	f.Add([]byte("server: {address: ':$P'}\nroutes: [{path: /a, policy: p, schema: v1/chat_completions, timeoutSeconds: 3}]\npolicies: [{name: p, profiles: [{name: q, selector: {type: header, key: A, values: [$V]}}]}]\nprofiles: [{name: q, limits: [], services: [{name: s}], inputStages: [{name: s, concurrency: parallel, steps: [{name: x, params: {a: $V, b: '$$', 1: ~}}]}]}]\nservices: [{name: s, executor: ollama, type: m, config: {endpoint: 'http://h/api/chat', secrets: [{source: EnvVar, targets: {apiKey: K}}, {source: File, meta: {path: /d}, targets: {apiKey: f}}]}}]\nprocessors: [{name: x, type: external, params: {allow_rewrite: true}}]"))
	f.Add([]byte("mode: standalone\nbinds: []\nservices: [{executor: http}]"))
	f.Add([]byte("\xff\xfeb\x00i"))
	f.Fuzz(func(t *testing.T, src []byte) {
		opts := Options{
			LookupEnv: func(string) (string, bool) { return "1", true },
			ReadFile:  func(string) ([]byte, error) { return []byte("k"), nil },
		}
		c, err := Parse("f.yaml", src, opts)
		if (c == nil) == (err == nil) {
			t.Fatalf("config %v and error %v", c, err)
		}
		for _, e := range Errors(err) {
			if e.Line < 1 || e.Column < 0 || e.Msg == "" || e.Kind == "" {
				t.Fatalf("an error without its place or words: %+v", e)
			}
		}
		if c == nil || f5Sign(c.tree.root) == "" {
			return
		}
		text, _, err := Convert("f.yaml", src, opts)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse("f.yaml", text, opts)
		if err != nil {
			t.Fatalf("a conversion does not load: %v\n%s", err, text)
		}
		if diff := cmp.Diff(c, again, sameMeaning); diff != "" {
			t.Fatalf("F5's file -, conversion +:\n%s\n%s", diff, text)
		}
	})
}

func routes(n int) []byte {
	var b strings.Builder
	b.WriteString("processors:\n- {name: rules, type: system-prompt, params: {modify: true, rules: [x]}}\nprofiles:\n- {name: p, inputStages: [{name: s, steps: [{name: rules}]}]}\nbinds:\n- port: 3000\n  listeners:\n  - routes:\n")
	for i := range n {
		fmt.Fprintf(&b, `    - name: route-%d
      hostnames: [host-%d.example.com]
      matches: [{path: {pathPrefix: /api/%d}, method: POST}]
      policies: {extProc: {profile: p}}
      backends: [{host: "127.0.0.1:%d"}]
`, i, i%100, i, 1000+i%5000)
	}
	return []byte(b.String())
}

func BenchmarkParse(b *testing.B) {
	for _, n := range []int{10, 1000, 10000} {
		b.Run(fmt.Sprintf("%droutes", n), func(b *testing.B) {
			src := routes(n)
			b.SetBytes(int64(len(src)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse("bench.yaml", src, Options{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// Ten times as many routes take ten times as many allocations, not more.
func TestParseIsLinear(t *testing.T) {
	cost := func(n int) float64 {
		src := routes(n)
		return testing.AllocsPerRun(2, func() { _, _ = Parse("bench.yaml", src, Options{}) })
	}
	if few, many := cost(500), cost(5000); many > 11*few {
		t.Errorf("500 routes take %.0f allocations, 5,000 take %.0f", few, many)
	}
}

// A mapping with a hundred thousand keys is no square of them.
func TestLargeMapping(t *testing.T) {
	var src strings.Builder
	src.WriteString("processors:\n- name: a\n  type: reject\n  params:\n")
	for i := range 100_000 {
		fmt.Fprintf(&src, "    k%d: 1\n", i)
	}
	src.WriteString("    k7: 2\n")
	_, err := Parse("large.yaml", []byte(src.String()), Options{})
	if err == nil || err.Error() != "large.yaml:100005:5: processors[0].params.k7: this key is here twice; the first is on line 12" {
		t.Error(err)
	}
}

// A file whose aliases multiply one mistake by a hundred thousand is answered
// with the first thousand.
func TestMistakesAreBounded(t *testing.T) {
	src := "processors: &x [{a: 1, b: 2}]\nbinds: [{port: 1, listeners: [" + strings.Repeat("{q: *x},", 100_000) + "]}]\n"
	_, err := Parse("many.yaml", []byte(src), Options{})
	errs := Errors(err)
	last := errs[len(errs)-1]
	if len(errs) > 3*maxMistakes || last.Error() != "many.yaml: more than 1000 mistakes; the others are not listed" {
		t.Errorf("%d errors, the last is %q", len(errs), last)
	}
}
