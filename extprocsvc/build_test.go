package extprocsvc_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/attache-dev/attache/config"
	"github.com/attache-dev/attache/extprocsvc"
)

const profiles = `
processors:
- {name: rules, type: system-prompt, params: {modify: true, rules: [Be brief.]}}
- {name: stop, type: reject}
profiles:
- name: default
  inputStages:
  - {name: enrich, steps: [{name: rules}]}
- name: closed
  inputStages:
  - {name: stop, steps: [{name: stop}]}
`

func TestChainsOfRoutes(t *testing.T) {
	cfg := parse(t, profiles+`
binds:
- port: 3000
  listeners:
  - hostname: "*.example.com"
    routes:
    - name: plain
      matches: [{path: {exact: /1}}]
      backends: [{host: "127.0.0.1:1"}]
    - name: profile
      matches: [{path: {exact: /2}}]
      policies: {extProc: {profile: default}}
      backends: [{host: "127.0.0.1:1"}]
    - name: same profile
      matches: [{path: {exact: /3}}]
      policies: {extProc: {profile: default}}
      backends: [{host: "127.0.0.1:1"}]
    - name: open
      matches: [{path: {exact: /4}}]
      policies: {extProc: {profile: default, failureMode: failOpen}}
      backends: [{host: "127.0.0.1:1"}]
    - name: ai/1
      matches: [{path: {exact: /5}}]
      backends: [{ai: {provider: {openAI: {model: m}}}}]
    - name: both
      matches: [{path: {exact: /6}}]
      policies: {extProc: {profile: default, failureMode: failOpen}}
      backends: [{ai: {provider: {openAI: {model: m}}}}]
    - name: no model
      matches: [{path: {exact: /7}}]
      backends: [{ai: {provider: {openAI: {}}}}]
    - name: closed
      matches: [{path: {exact: /8}}]
      policies: {extProc: {profile: closed}}
      backends: [{host: "127.0.0.1:1"}]
    - name: weight 0 does not count
      matches: [{path: {exact: /9}}]
      backends: [{ai: {provider: {openAI: {model: m}}}}, {weight: 0, host: "127.0.0.1:1"}]
`)
	chains, err := extprocsvc.Build(cfg)
	if err != nil {
		t.Fatal(err)
	}
	type facts struct {
		name             string
		failOpen, bodies bool
	}
	hash := regexp.MustCompile(`^[\w.~/:*=-]+@[0-9a-f]{16}$`)
	for i, want := range []facts{
		{},
		{"profile/default", false, true},
		{"profile/default", false, true},
		{"profile/default/failOpen", true, true},
		{"route/3000/*.example.com/ai=2F1", false, true},
		{"route/3000/*.example.com/both", false, true},
		{},
		{"profile/closed", false, false},
		{"route/3000/*.example.com/weight=200=20does=20not=20count", false, true},
	} {
		rt := cfg.Listeners[0].Routes[i]
		c := chains.ForRoute(rt)
		if c == nil {
			if want != (facts{}) {
				t.Errorf("%s: no chain", rt.Name)
			}
			continue
		}
		if got := (facts{c.Name(), c.FailOpen(), c.ReadsBody()}); got != want {
			t.Errorf("%s: got %+v, want %+v", rt.Name, got, want)
		}
		if !hash.MatchString(c.Ref()) || !strings.HasPrefix(c.Ref(), c.Name()+"@") {
			t.Errorf("%s: ref %q", rt.Name, c.Ref())
		}
	}
	if chains.ForRoute(cfg.Listeners[0].Routes[1]) != chains.ForRoute(cfg.Listeners[0].Routes[2]) {
		t.Error("two routes with the same profile have different chains")
	}
	if chains.ForListener(cfg.Listeners[0]) != nil {
		t.Error("the listener has a chain")
	}
}

func TestChainOfListener(t *testing.T) {
	cfg := parse(t, profiles+`
binds:
- port: 3000
  listeners: [{gatewayName: gw, routes: [{backends: [{host: "127.0.0.1:1"}]}]}]
gatewayPolicies:
- target: {gateway: gw}
  policy: {extProc: {profile: default}}
`)
	chains, err := extprocsvc.Build(cfg)
	if err != nil {
		t.Fatal(err)
	}
	l := cfg.Listeners[0]
	c := chains.ForListener(l)
	if c == nil || c.Name() != "profile/default" || chains.ForRoute(l.Routes[0]) != c {
		t.Errorf("listener %v, route %v", c, chains.ForRoute(l.Routes[0]))
	}
}

// The chain of a gateway phase is its own, also where a route runs the same
// profile, and keeps what the profile says about models and responses: a route
// may be behind it.
func TestChainOfGatewayPhase(t *testing.T) {
	cfg := parse(t, profiles+`
- name: models
  models: [{name: m}]
binds:
- port: 3000
  listeners:
  - hostname: a.test
    policies: {extProc: {profile: default}}
    routes:
    - {name: same, matches: [{path: {exact: /1}}], policies: {extProc: {profile: default}}, backends: [{host: "h:1"}]}
    - {name: ai, matches: [{path: {exact: /2}}], backends: [{ai: {provider: {openAI: {model: m}}}}]}
  - hostname: b.test
    policies: {extProc: {profile: models, failureMode: failOpen}}
  - hostname: c.test
    policies: {extProc: {host: "h:1"}}
`)
	chains, err := extprocsvc.Build(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"gateway/3000/a.test", "gateway/3000/b.test", ""} {
		l := cfg.Listeners[i]
		c := chains.ForGateway(l)
		if c == nil && want == "" {
			continue
		}
		if c == nil || c.Name() != want || c.Chooses() || !c.ReadsBody() || c.FailOpen() != (i == 1) || chains.ForListener(l) != nil {
			t.Errorf("%s: %+v, without a route %+v", l.Hostname, c, chains.ForListener(l))
		}
	}
	routes := cfg.Listeners[0].Routes
	if same, ai := chains.ForRoute(routes[0]), chains.ForRoute(routes[1]); same.Name() != "profile/default" || ai.Name() != "route/3000/a.test/ai" {
		t.Errorf("the routes have %s and %s", same.Name(), ai.Name())
	}
}

// A route whose profile depends on conditions has a chain for each, which goes on
// to set the model.
func TestChainsOfConditions(t *testing.T) {
	cfg := parse(t, profiles+`
binds:
- port: 3000
  listeners:
  - hostname: a.test
    routes:
    - name: r
      policies: {extProc: {conditional: [{condition: 'request.method == "PUT"', profile: default}, {condition: 'request.method == "POST"', profile: closed}]}}
      backends: [{ai: {provider: {openAI: {model: m}}}}]
`)
	chains, err := extprocsvc.Build(cfg)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, r := range cfg.Listeners[0].Routes {
		seen[chains.ForRoute(r).Name()] = true
	}
	if len(cfg.Listeners[0].Routes) != 3 || len(seen) != 3 || !seen["route/3000/a.test/r"] {
		t.Errorf("the chains are %v", seen)
	}
}

// The hash is a contract between processes: this value may change only if what
// the chain does changes.
func TestRefs(t *testing.T) {
	const file = `
processors: [{name: p, type: system-prompt, params: {rules: [a, "1"], modify: true}}]
profiles: [{name: q, inputStages: [{name: s, selector: {tags: ["a:b"]}, steps: [{name: p}]}]}]
binds: [{port: 1, listeners: [{routes: [{policies: {extProc: {profile: q}}, backends: [{host: "h:1"}]}]}]}]`
	ref := func(file string) string {
		t.Helper()
		cfg := parse(t, file)
		chains, err := extprocsvc.Build(cfg)
		if err != nil {
			t.Fatal(err)
		}
		return chains.ForRoute(cfg.Listeners[0].Routes[0]).Ref()
	}
	base := ref(file)
	if want := "profile/q@180eab47baff8402"; base != want {
		t.Errorf("ref %s, want %s", base, want)
	}
	for _, c := range []struct{ what, from, to string }{
		{"line breaks", "\nprofiles", "\n\n\nprofiles"},
		{"order of params", `rules: [a, "1"], modify: true`, `modify: true, rules: [a, "1"]`},
		{"params in the step", `params: {rules: [a, "1"], modify: true}}]`, `params: {rules: [b]}}]#`},
	} {
		to := strings.Replace(file, c.from, c.to, 1)
		if c.what == "params in the step" {
			to = strings.Replace(to, "{name: p}", `{name: p, params: {rules: [a, "1"], modify: true}}`, 1)
		}
		if got := ref(to); got != base {
			t.Errorf("%s: %s, want %s", c.what, got, base)
		}
	}
	for _, c := range []struct{ what, from, to string }{
		{"a rule", `"1"`, `"2"`},
		{"order of rules", `a, "1"`, `"1", a`},
		{"stage name", "name: s", "name: t"},
		{"tag", "a:b", "a:c"},
		{"operand", "selector: {", "selector: {operand: none, "},
		{"no selector", `selector: {tags: ["a:b"]},`, ``},
		{"a right", "modify: true", "modify: true, annotate: false"},
		{"failure mode", "profile: q}}", "profile: q, failureMode: failOpen}}"},
		{"model", `{host: "h:1"}`, `{ai: {provider: {openAI: {model: m}}}}`},
	} {
		_, old, _ := strings.Cut(base, "@")
		if _, got, _ := strings.Cut(ref(strings.Replace(file, c.from, c.to, 1)), "@"); got == old {
			t.Errorf("%s does not count", c.what)
		}
	}
}

func TestBuildErrors(t *testing.T) {
	for _, c := range []struct{ name, file, want string }{
		{"types", `
processors:
- {name: a, type: sytem-prompt}
- {name: b, type: prompt-guard}
- {name: c, type: content-guard}
profiles:
- name: q
  inputStages: [{name: s, steps: [{name: a}, {name: a}, {name: b}]}]
`, `
f:3:19: processors[0].type: unknown processor type "sytem-prompt"; expected one of data-security, external, json-schema, language-id, prompt-injection, reject, repetition-detect, system-prompt, topic-detect
f:4:19: processors[1].type: processor type "prompt-guard" is not supported yet; supported are data-security, external, json-schema, language-id, prompt-injection, reject, repetition-detect, system-prompt, topic-detect
f:5:19: processors[2].type: processor type "content-guard" is not supported yet; supported are data-security, external, json-schema, language-id, prompt-injection, reject, repetition-detect, system-prompt, topic-detect
`},
		{"params, used and unused, each once", `
processors:
- {name: a, type: system-prompt, params: {modify: true, rules: [], rule: x}}
- {name: b, type: system-prompt}
- {name: c, type: reject, params: {modify: "yes"}}
profiles:
- name: q
  inputStages: [{name: s, steps: [{name: a}, {name: a}]}]
`, `
f:3:68: processors[0].params.rule: unknown key; did you mean "rules"?
f:4:3: processors[1]: processor "b" of type system-prompt needs modify: true in its params, or in those of the step
f:4:3: processors[1]: system-prompt needs rules: a list of at least one text
f:5:44: processors[2].params.modify: expected true or false, found the string "yes"
`},
		{"the step lacks what the kind needs", `
processors:
- {name: a, type: system-prompt, params: {rules: [x]}}
profiles:
- name: q
  inputStages:
  - name: one
    steps: [{name: a}, {name: a, params: {modify: true}}]
  - name: two
    concurrency: parallel
    steps: [{name: a, params: {modify: true}}]
`, `
f:8:13: profiles[0].inputStages[0].steps[0]: processor "a" of type system-prompt needs modify: true in its params, or in those of the step
f:11:13: profiles[0].inputStages[1].steps[0]: processor "a" has modify: true, but the steps of a parallel stage must not modify; set modify: false in the step's params, or take it out of the stage
`},
		{"a step that could do nothing", `
processors:
- {name: a, type: data-security, params: {annotate: false}}
- {name: b, type: json-schema, params: {annotate: false, schema: {type: object}}}
- {name: c, type: language-id, params: {annotate: false}}
- {name: d, type: prompt-injection, params: {annotate: false, modify: true}}
- {name: e, type: repetition-detect, params: {annotate: false}}
- {name: f, type: topic-detect, params: {annotate: false, topics: [{name: a, phrases: [x]}]}}
- {name: g, type: data-security, params: {annotate: false, modify: true}}
profiles:
- name: q
  inputStages:
  - name: one
    steps: [{name: g}]
`, `
f:3:3: processors[0]: processor "a" of type data-security needs annotate, modify: true or reject: true, or it can do nothing
f:4:3: processors[1]: processor "b" of type json-schema needs annotate or reject: true, or it can do nothing
f:5:3: processors[2]: processor "c" of type language-id needs annotate or reject: true, or it can do nothing
f:6:3: processors[3]: processor "d" of type prompt-injection needs annotate or reject: true, or it can do nothing
f:7:3: processors[4]: processor "e" of type repetition-detect needs annotate or reject: true, or it can do nothing
f:8:3: processors[5]: processor "f" of type topic-detect needs annotate or reject: true, or it can do nothing
`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := extprocsvc.Build(parse(t, c.file))
			got := "nothing"
			if err != nil {
				got = err.Error()
			}
			if want := strings.TrimSpace(c.want); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func TestErrorKinds(t *testing.T) {
	_, err := extprocsvc.Build(parse(t, "processors: [{name: a, type: prompt-guard}, {name: b, type: nonsense}]"))
	var kinds []config.Kind
	for _, e := range config.Errors(err) {
		kinds = append(kinds, e.Kind)
	}
	if len(kinds) != 2 || kinds[0] != config.Unsupported || kinds[1] != config.Invalid {
		t.Errorf("got %v", kinds)
	}
}

// FuzzBuild: whatever a file says, building its chains ends without a panic,
// for files with mistakes too.
func FuzzBuild(f *testing.F) {
	for _, seed := range []string{fixture, services, profiles, "binds: [{}]", "server: {address: \":1\"}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		none := func(string) ([]byte, error) { return nil, os.ErrNotExist }
		_, _ = config.Parse("f", []byte(text), config.Options{ReadFile: none, AllowUnsetEnv: true, Check: func(c *config.Config) error {
			_, err := extprocsvc.Build(c)
			return err
		}})
	})
}

func TestRegisterPanics(t *testing.T) {
	build := func(extprocsvc.Setup) (extprocsvc.Processor, error) { return nil, nil }
	good := extprocsvc.Kind{Name: "x", Phases: extprocsvc.InputPhase, New: build}
	var r extprocsvc.Registry
	r.Register(good)
	for what, k := range map[string]extprocsvc.Kind{
		"twice":        good,
		"no name":      {Phases: extprocsvc.InputPhase, New: build},
		"upper case":   {Name: "X", Phases: extprocsvc.InputPhase, New: build},
		"no phase":     {Name: "y", New: build},
		"no New":       {Name: "y", Phases: extprocsvc.InputPhase},
		"blind modify": {Name: "y", Phases: extprocsvc.InputPhase, New: build, Needs: extprocsvc.Modify},
		"listed":       {Name: "content-guard", Phases: extprocsvc.InputPhase, New: build},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", what)
				}
			}()
			r.Register(k)
		}()
	}
}
