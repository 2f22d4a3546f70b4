package config

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func aiBackends(t *testing.T, policies, backends string) []*Backend {
	t.Helper()
	c := parse(t, `
binds:
- port: 3000
  listeners:
  - routes:
    - policies: {`+policies+`}
      backends:
`+backends)
	return c.Listeners[0].Routes[0].Backends
}

func TestAIProviders(t *testing.T) {
	b := aiBackends(t, `ai: {routes: {"*": passthrough}}`, `
      - ai: {provider: {openAI: {model: m}}}
      - ai: {provider: {anthropic: {}}, hostOverride: "127.0.0.1:1"}
      - ai: {provider: {gemini: {}}, hostOverride: "llm.test:443", policies: {backendTLS: {}}}
      - ai: {provider: {custom: {formats: [{type: completions}]}}, hostOverride: "llm.test:80"}
`)
	for i, want := range []struct {
		provider, host string
		port           uint16
		tls            bool
	}{
		{"openAI", "api.openai.com", 443, true},
		{"anthropic", "127.0.0.1", 1, false},
		{"gemini", "llm.test", 443, true},
		{"custom", "llm.test", 80, false},
	} {
		if got := b[i]; got.AI.Provider != want.provider || got.Target != (Target{Host: want.host, Port: want.port}) || (got.TLS != nil) != want.tls {
			t.Errorf("backend %d is %+v %+v", i, got, got.AI)
		}
	}
	if b[0].AI.Model != "m" {
		t.Errorf("the model is %s", b[0].AI.Model)
	}
}

// Which API a path is, and what becomes of the path.
func TestAIPaths(t *testing.T) {
	const routes = `ai: {routes: {/v1/chat/completions: completions, /completions: passthrough, /v1/models: models, /v1/embeddings: embeddings, "*": passthrough}}`
	for _, c := range []struct {
		policies, ai string
		paths        string // each with its API and what it becomes
	}{
		{"", `{provider: {openAI: {}}}`, "/ completions /v1/chat/completions, /x/v1/embeddings completions /v1/chat/completions"},
		{"", `{provider: {openAI: {}}, pathPrefix: /api/}`, "/x completions /api/chat/completions"},
		{"", `{provider: {openAI: {}}, hostOverride: "a:1"}`, "/x completions /x"},
		{"", `{provider: {openAI: {}}, hostOverride: "a:1", pathPrefix: /v2}`, "/x completions /v2/chat/completions"},
		{"", `{provider: {openAI: {}}, hostOverride: "a:1", pathOverride: /y}`, "/x completions /y"},
		{routes, `{provider: {openAI: {}}}`, "/a/v1/chat/completions completions /v1/chat/completions, /v1/completions passthrough /v1/completions, /v1/models models /v1/models, /p/v1/embeddings embeddings /v1/embeddings, /v1/files/1 passthrough /v1/files/1"},
		{routes, `{provider: {openAI: {}}, pathPrefix: /v2}`, "/v1/completions passthrough /v2/completions, /v1 passthrough /v2, /v1beta/x passthrough /v2/v1beta/x, /x/v1/y passthrough /v2/x/v1/y"},
		{routes, `{provider: {openAI: {}}, pathOverride: /y}`, "/v1/files passthrough /y, /v1/embeddings embeddings /y"},
		{`ai: {routes: {/v1/messages: messages, /v1/messages/count_tokens: anthropicTokenCount, "*": detect}}`, `{provider: {anthropic: {}}}`,
			"/x/v1/messages messages /v1/messages, /v1/messages/count_tokens anthropicTokenCount /v1/messages/count_tokens, /v1/models detect /v1/models"},
		{"", `{provider: {gemini: {}}}`, "/x completions /v1beta/openai/chat/completions"},
		{`ai: {routes: {":generateContent": generateContent, ":streamGenerateContent": generateContent, ":countTokens": geminiCountTokens}}`, `{provider: {gemini: {}}, pathPrefix: /g}`,
			"/a/v1beta/models/m-1.5:generateContent generateContent /g/v1beta/models/m-1.5:generateContent, /models/m:countTokens geminiCountTokens /g/v1beta/models/m:countTokens, /x completions /g/v1beta/openai/chat/completions"},
		{`ai: {routes: {":streamGenerateContent": generateContent}}`, `{provider: {gemini: {model: n}}}`,
			"/v1beta/models/m:streamGenerateContent generateContent /v1beta/models/n:streamGenerateContent"},
		{`ai: {routes: {/messages: messages, /embed: embeddings}}`, `{provider: {custom: {formats: [{type: completions, path: /c}, {type: messages}, {type: embeddings}]}}, hostOverride: "a:1"}`,
			"/x completions /c, /x/messages messages /v1/messages, /embed embeddings /v1/embeddings"},
		{`ai: {routes: {/messages: messages}}`, `{provider: {custom: {formats: [{type: completions, path: /c}, {type: messages}]}}, hostOverride: "a:1", pathPrefix: /p}`,
			"/x completions /c, /x/messages messages /p/messages"},
	} {
		ai := aiBackends(t, c.policies, "      - ai: "+c.ai)[0].AI
		for _, p := range strings.Split(c.paths, ", ") {
			path, want, _ := strings.Cut(p, " ")
			api := ai.APIs.At(path)
			to := path
			if api.Rewrite.Pattern != "" {
				to = regexp.MustCompile(api.Rewrite.Pattern).ReplaceAllString(path, regexp.MustCompile(`\\(\d)`).ReplaceAllString(api.Rewrite.Substitution, "$${$1}"))
			}
			if got := string(api.Type) + " " + to; got != want {
				t.Errorf("%s: %s is %s, want %s", c.ai, path, got, want)
			}
		}
	}
}

// The fields of the ai policy are merged one by one, the backend's before the
// route's.
func TestAIPolicyIsMerged(t *testing.T) {
	b := aiBackends(t, `ai: {defaults: {r: 1}, overrides: {r: 1}, modelAliases: {r: r}, prompts: {append: [{role: user, content: r}]}, routes: {/r: passthrough}}`, `
      - policies: {ai: {defaults: {b: [1, {x: null}]}, modelAliases: {}}}
        ai:
          provider: {openAI: {}}
          overrides: {old: 0x10, big: 12345678901234567890, text: "<é>"}
          policies: {ai: {defaults: {p: 1}, prompts: {}, modelAliases: {z: 1x, "a*": a, "*long*": l, exact: e}}}
      - ai: {provider: {openAI: {}}}
`)
	want := []AI{
		{
			Provider:  "openAI",
			Defaults:  []Field{{"b", []byte(`[1,{"x":null}]`)}},
			Overrides: []Field{{"big", []byte("12345678901234567890")}, {"old", []byte("16")}, {"text", []byte(`"\u003cé\u003e"`)}},
			Aliases:   []ModelAlias{{"exact", "e"}, {"z", "1x"}, {"*long*", "l"}, {"a*", "a"}},
		},
		{
			Provider: "openAI",
			Defaults: []Field{{"r", []byte("1")}}, Overrides: []Field{{"r", []byte("1")}},
			Aliases: []ModelAlias{{"r", "r"}}, Append: []Message{{"user", "r"}},
		},
	}
	for i, w := range want {
		w.APIs = []API{{Suffix: "/r", Type: "passthrough"}, {Type: Completions, Rewrite: wholePath("/v1/chat/completions")}}
		if diff := cmp.Diff(w, *b[i].AI); diff != "" {
			t.Errorf("backend %d: want -, got +:\n%s", i, diff)
		}
	}
}

func TestCredentialLocations(t *testing.T) {
	for _, c := range []struct {
		backend string
		want    Location
	}{
		{`{host: "a:1", policies: {backendAuth: {key: k}}}`, bearer},
		{`{ai: {provider: {openAI: {}}, policies: {backendAuth: {key: k}}}}`, bearer},
		{`{ai: {provider: {anthropic: {}}, policies: {backendAuth: {key: sk-ant-api03-x}}}}`, Location{Name: "x-api-key"}},
		{`{ai: {provider: {anthropic: {}}, policies: {backendAuth: {key: sk-ant-oat01-x}}}}`, bearer},
		{`{ai: {provider: {anthropic: {}}, policies: {backendAuth: {key: {value: k, location: {header: {name: Authorization, prefix: "Bearer "}}}}}}}`, bearer},
		{`{ai: {provider: {gemini: {}}, policies: {backendAuth: {key: AIzaX}}}}`, Location{Name: "x-goog-api-key"}},
		{`{ai: {provider: {gemini: {}}, policies: {backendAuth: {key: ya29.x}}}}`, bearer},
		{`{host: "a:1", policies: {backendAuth: {key: {value: k, location: {header: {name: X-Key, prefix: "Key "}}}}}}`, Location{Name: "x-key", Prefix: "Key "}},
		{`{host: "a:1", policies: {backendAuth: {key: {value: {file: key.txt}, location: {cookie: {name: c}}}}}}`, Location{Kind: LocationCookie, Name: "c"}},
	} {
		b := aiBackends(t, `ai: {routes: {"*": passthrough}}`, "      - "+c.backend)[0]
		if b.Credential == nil || b.CredentialAt != c.want {
			t.Errorf("%s: %v at %+v", c.backend, b.Credential, b.CredentialAt)
		}
	}
}

// passthrough stands in the way of a key of a less specific place.
func TestPassthrough(t *testing.T) {
	b := aiBackends(t, `backendAuth: {key: k}`, `
      - {host: "a:1", policies: {backendAuth: {passthrough: {}}}}
      - {host: "a:1"}
`)
	if b[0].Credential != nil || !b[0].Passthrough || b[1].Credential == nil || b[1].Passthrough {
		t.Errorf("the backends are %+v %+v", b[0], b[1])
	}
}
