package extprocsvc_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/attache-dev/attache/config"
	"github.com/attache-dev/attache/extprocsvc"
	"github.com/attache-dev/attache/extprocsvc/extproctest"
)

const aiRoutes = `
processors: [{name: p, type: fake, params: {modify: true, rules: [rule]}}]
profiles: [{name: q, inputStages: [{name: s, steps: [{name: p}]}]}]
binds:
- port: 3000
  listeners:
  - routes:
    - name: everything
      matches: [{path: {exact: /0}}]
      policies:
        ai:
          routes: {/v1/chat/completions: completions, /v1/embeddings: embeddings, /v1/responses: responses, /v1/models: models, "*": passthrough}
          overrides: {temperature: 0.5}
          defaults: {user: {id: 12345678901234567890}}
          modelAliases: {fast: real, "gpt-*": other}
      backends: [{ai: {provider: {openAI: {}}}}]
    - name: model
      matches: [{path: {exact: /1}}]
      backends: [{ai: {provider: {openAI: {model: m}}}}]
    - name: prompts
      matches: [{path: {exact: /2}}]
      backends: [{ai: {provider: {openAI: {}}, policies: {ai: {prompts: {prepend: [{role: system, content: be kind}], append: [{role: user, content: thanks}]}}}}}]
    - name: messages
      matches: [{path: {exact: /3}}]
      policies:
        ai:
          routes: {/v1/messages: messages, /v1/messages/count_tokens: anthropicTokenCount, "*": passthrough}
          prompts: {prepend: [{role: system, content: be kind}], append: [{role: user, content: thanks}]}
      backends: [{ai: {provider: {anthropic: {model: claude}}}}]
    - name: profile
      matches: [{path: {exact: /4}}]
      policies: {extProc: {profile: q}, ai: {prompts: {prepend: [{role: system, content: first}]}}}
      backends: [{ai: {provider: {openAI: {}}}}]
    - name: open
      matches: [{path: {exact: /5}}]
      policies: {extProc: {profile: q, failureMode: failOpen}, ai: {defaults: {a: 1}}}
      backends: [{ai: {provider: {openAI: {}}}}]
    - name: plain
      matches: [{path: {exact: /6}}]
      policies: {ai: {routes: {"*": passthrough}, overrides: {a: 1}}}
      backends: [{ai: {provider: {openAI: {model: m}}}}]
    - name: same
      matches: [{path: {exact: /7}}]
      policies: {ai: {overrides: {a: 1}}}
      backends: [{ai: {provider: {openAI: {}}}}, {ai: {provider: {openAI: {}}}}]
    - name: mixed
      matches: [{path: {exact: /8}}]
      backends: [{ai: {name: a, provider: {openAI: {model: a}}}}, {name: b, host: "h:1"}, {weight: 0, ai: {name: c, provider: {openAI: {model: c}}}}]
    - name: paths
      matches: [{path: {exact: /9}}]
      backends: [{ai: {name: a, provider: {openAI: {}}}}, {ai: {name: b, provider: {gemini: {}}}}]
`

func TestAISettings(t *testing.T) {
	s := start(t, fakes.Build, extprocsvc.Options{}, aiRoutes)
	const missing = `the client gets 400 {"error":{"message":"model not specified","type":"invalid_request_error","param":null,"code":"model_not_specified"}}`
	for _, c := range []struct {
		name  string
		route int
		path  string
		body  string
		want  string
	}{
		{"overrides, defaults, alias", 0, "/x/v1/chat/completions?a=/v1/models", `{"model":"fast", "temperature":1}`, `the model gets {"user":{"id":12345678901234567890},"model":"real", "temperature":0.5}`},
		{"a pattern", 0, "/v1/embeddings", `{"model":"gpt-9","user":1}`, `the model gets {"temperature":0.5,"model":"other","user":1}`},
		{"no alias", 0, "/v1/responses", `{"input":"x","model":"slow","user":null}`, `the model gets {"temperature":0.5,"input":"x","model":"slow","user":null}`},
		{"no model", 0, "/v1/chat/completions", `{"messages":[]}`, missing},
		{"a model that is no string", 0, "/v1/chat/completions", `{"model":["fast"]}`, missing},
		{"duplicate keys", 0, "/v1/chat/completions", `{"model":"a","temperature":1,"temperature":2}`, failure(400, "the request body cannot be accepted: duplicate key at byte 29", "invalid_json")},
		{"no JSON", 0, "/v1/chat/completions", `x`, failure(400, "the request body cannot be accepted: invalid JSON, expected a value at byte 0", "invalid_json")},
		{"another path is passed through", 0, "/v1/files", `{"model":"fast"`, `the model gets {"model":"fast"`},
		{"the query is no path", 0, "/v1/files?x=/v1/chat/completions", `x`, `the model gets x`},
		{"the model of the provider", 1, "/anything", `{"model":"x"}`, `the model gets {"model":"m"}`},
		{"prompts", 2, "/v1/chat/completions", `{"model":"x","messages":[{"role":"user","content":"hi"}]}`, `the model gets {"model":"x","messages":[{"role":"system","content":"be kind"},{"role":"user","content":"hi"},{"role":"user","content":"thanks"}]}`},
		{"prompts without messages", 2, "/v1/chat/completions", `{"model":"x"}`, failure(400, "the request body cannot be accepted: messages is missing", "invalid_messages")},
		{"Anthropic", 3, "/v1/messages", `{"model":"x","max_tokens":9,"system":"old","messages":[{"role":"user","content":[{"type":"text","text":"hi"}]}]}`,
			`the model gets {"model":"claude","max_tokens":9,"system":[{"type":"text","text":"be kind"},{"type":"text","text":"old"}],"messages":[{"role":"user","content":[{"type":"text","text":"hi"}]},{"role":"user","content":"thanks"}]}`},
		{"Anthropic counts", 3, "/v1/messages/count_tokens", `{"messages":[]}`, `the model gets {"system":[{"type":"text","text":"be kind"}],"model":"claude","messages":[{"role":"user","content":"thanks"}]}`},
		{"Anthropic's errors", 3, "/v1/messages", `{"system":1,"messages":[]}`, `the client gets 400 {"type":"error","error":{"type":"invalid_request_error","message":"the request body cannot be accepted: system is neither a text nor a list"}}`},
		{"behind a profile", 4, "/v1/chat/completions", `{"model":"x","messages":[]}`, `the model gets {"model":"x","messages":[{"role":"system","content":"first"},{"role":"system","content":"rule"}]}`},
		{"passthrough has no settings", 6, "/v1/chat/completions", `{`, ``},
	} {
		r := s.chains.ForRoute(s.cfg.Listeners[0].Routes[c.route])
		if c.want == "" {
			if r != nil {
				t.Errorf("%s: there is a chain", c.name)
			}
			continue
		}
		for name, f := range modes(r.Ref()) {
			if _, got := s.do(t, f, with(extproctest.Post(c.body), ":path", c.path)); got != c.want {
				t.Errorf("%s, %s:\ngot  %s\nwant %s", c.name, name, got, c.want)
			}
		}
	}
}

// What is passed through need not be JSON, and is not held.
func TestAIPassthrough(t *testing.T) {
	s := start(t, fakes.Build, extprocsvc.Options{MaxBody: 10}, aiRoutes)
	upload := with(extproctest.Post("more than ten bytes"), ":path", "/v1/files", "content-type", "multipart/form-data; boundary=x", "content-encoding", "gzip")
	get := extproctest.Message{Header: extproctest.Header{{":method", "GET"}, {":path", "/v1/models"}, {":authority", "h"}, {":scheme", "http"}}}
	for name, f := range modes(s.ref(0)) {
		if _, got := s.do(t, f, upload); got != "the model gets more than ten bytes" {
			t.Errorf("%s: an upload: %s", name, got)
		}
		if _, got := s.do(t, f, get); got != "the model gets " {
			t.Errorf("%s: a list of models: %s", name, got)
		}
	}
	if _, got := s.do(t, duplex(s.ref(0)), with(upload, ":path", "/v1/chat/completions")); !strings.Contains(got, "415") {
		t.Errorf("an upload to an API: %s", got)
	}
	if _, got := s.do(t, duplex(s.ref(0)), with(get, ":path", "/v1/embeddings")); !strings.Contains(got, "missing_body") {
		t.Errorf("an API without a body: %s", got)
	}
}

func TestAIChains(t *testing.T) {
	s := start(t, fakes.Build, extprocsvc.Options{}, aiRoutes)
	chain := func(n int) *extprocsvc.Chain { return s.chains.ForRoute(s.cfg.Listeners[0].Routes[n]) }
	if chain(5).FailOpen() {
		t.Error("settings fail open")
	}
	if chain(7).Chooses() {
		t.Error("backends with equal settings need no choice")
	}
	if c := chain(9); !c.Chooses() || c.ReadsBody() {
		t.Error("backends with different paths need a choice, and nothing else")
	}
	for range 50 {
		out, got := s.do(t, duplex(s.ref(8)), extproctest.Post(`{"model":"x"}`))
		md, _ := out.Metadata[extprocsvc.MetadataNamespace].(map[string]any)
		backend, _ := md[extprocsvc.BackendKey].(string)
		want := map[bool]string{true: `the model gets {"model":"a"}`, false: `the model gets {"model":"x"}`}[strings.HasSuffix(backend, "/a")]
		if got != want || strings.HasSuffix(backend, "/c") {
			t.Fatalf("%s: got %s, want %s", backend, got, want)
		}
	}
}

func TestAIMistakes(t *testing.T) {
	_, err := fakes.Build(parse(t, `
processors: [{name: p, type: fake}, {name: chatty, type: chatty}]
profiles: [{name: q, inputStages: [{name: s, steps: [{name: p}, {name: chatty}]}]}]
binds:
- port: 3000
  listeners:
  - routes:
    - policies: {extProc: {profile: q}, ai: {routes: {/v1/messages: messages, "*": messages}}}
      backends: [{ai: {provider: {anthropic: {}}}}]
    - name: gemini
      policies: {extProc: {profile: q}, ai: {routes: {":generateContent": generateContent, "*": passthrough}}}
      backends: [{ai: {provider: {gemini: {}}}}]
`))
	const end = "; write routes without it, or give it a route of its own"
	want := []string{
		"f:9:18: binds[0].listeners[0].routes[0].backends[0]: processor chatty of profile q understands chat completions only, and some requests to this backend are messages" + end,
		"f:12:18: binds[0].listeners[0].routes[1].backends[0]: profile q cannot look into generateContent yet, which some requests to this backend are" + end,
	}
	var got []string
	for _, e := range config.Errors(err) {
		got = append(got, e.Error())
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
