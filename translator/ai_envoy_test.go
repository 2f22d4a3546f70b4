package translator_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// headerBackend answers with the path and some of the headers that it got.
func headerBackend(t *testing.T, names ...string) (addr string) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "got %s", r.URL.RequestURI())
		for _, name := range names {
			if values := r.Header.Values(name); len(values) > 0 {
				fmt.Fprintf(w, " %s=%s", name, strings.Join(values, "|"))
			}
		}
		for name := range r.Header {
			if strings.HasPrefix(name, "X-Attache") {
				fmt.Fprintf(w, " %s", name)
			}
		}
		fmt.Fprintf(w, " body=%s.", body)
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

func TestCredentialsInEnvoy(t *testing.T) {
	a := headerBackend(t, "authorization", "x-api-key", "x-goog-api-key", "x-key", "cookie", "anthropic-version", "origin", "sec-fetch-mode")
	var text strings.Builder
	text.WriteString("binds:\n- port: %d\n  listeners:\n  - routes:\n")
	for _, r := range []struct{ name, policies, backend string }{
		{"bearer", "", "host: ADDR, policies: {backendAuth: {key: k1}}"},
		{"header", "", `host: ADDR, policies: {backendAuth: {key: {value: k2, location: {header: {name: X-Key, prefix: "Key "}}}}}`},
		{"authorization", "", `host: ADDR, policies: {backendAuth: {key: {value: k3, location: {header: {name: authorization}}}}}`},
		{"cookie", "", "host: ADDR, policies: {backendAuth: {key: {value: k4, location: {cookie: {name: s-1}}}}}"},
		{"passthrough", "backendAuth: {key: k5}", "host: ADDR, policies: {backendAuth: {passthrough: {}}}"},
		{"nothing", "", "host: ADDR"},
		{"anthropic", "backendAuth: {key: sk-ant-api03-6}, ai: {routes: {'*': passthrough}}", "ai: {provider: {anthropic: {}}, hostOverride: ADDR}"},
		{"oauth", "backendAuth: {key: sk-ant-oat01-7}, ai: {routes: {'*': passthrough}}", "ai: {provider: {anthropic: {}}, hostOverride: ADDR}"},
		{"own", "ai: {routes: {'*': passthrough}}", "ai: {provider: {anthropic: {}}, hostOverride: ADDR}"},
		{"gemini", "backendAuth: {key: AIza8}", "ai: {provider: {gemini: {}}, hostOverride: ADDR}"},
		{"openai", "backendAuth: {key: k9}", "ai: {provider: {openAI: {}}, hostOverride: ADDR}"},
	} {
		fmt.Fprintf(&text, "    - {name: %s, matches: [{path: {exact: /%s}}], policies: {%s}, backends: [{%s}]}\n", r.name, r.name, r.policies, strings.ReplaceAll(r.backend, "ADDR", fmt.Sprintf("%q", a)))
	}
	b := newTestbed(t, text.String(), nil)
	mine := map[string]string{
		"authorization": "Bearer mine", "x-api-key": "mine", "x-goog-api-key": "mine", "x-key": "mine",
		"cookie": "a=b; s-1=mine; s-1x=c;s-1 =mine", "x-attache-credential": "mine",
		"origin": "https://browser.test", "sec-fetch-mode": "cors",
	}
	const rest = " cookie=a=b; s-1=mine; s-1x=c;s-1 =mine origin=https://browser.test sec-fetch-mode=cors body=."
	for _, r := range []struct{ name, want string }{
		{"bearer", " authorization=Bearer k1 x-key=mine" + rest},
		{"header", " x-key=Key k2" + rest},
		{"authorization", " authorization=k3 x-key=mine" + rest},
		{"cookie", " x-key=mine cookie=a=b; s-1x=c; s-1=k4 origin=https://browser.test sec-fetch-mode=cors body=."},
		{"passthrough", " authorization=Bearer mine x-api-key=mine x-goog-api-key=mine x-key=mine" + rest},
		{"nothing", " authorization=Bearer mine x-api-key=mine x-goog-api-key=mine x-key=mine" + rest},
		{"anthropic", " x-api-key=sk-ant-api03-6 x-key=mine cookie=a=b; s-1=mine; s-1x=c;s-1 =mine anthropic-version=2023-06-01 body=."},
		{"oauth", " authorization=Bearer sk-ant-oat01-7 x-key=mine cookie=a=b; s-1=mine; s-1x=c;s-1 =mine anthropic-version=2023-06-01 body=."},
		{"own", " authorization=Bearer mine x-api-key=mine x-goog-api-key=mine x-key=mine cookie=a=b; s-1=mine; s-1x=c;s-1 =mine anthropic-version=2023-06-01 body=."},
		{"gemini", " x-goog-api-key=AIza8 x-key=mine" + rest},
		{"openai", " authorization=Bearer k9 x-key=mine" + rest},
	} {
		b.run(request{name: r.name, target: "/" + r.name, headers: mine, want: []string{"got /" + r.name + r.want}})
	}
	b.run(request{name: "no cookie", target: "/cookie", want: []string{"got /cookie cookie=s-1=k4 body=."}})
	b.run(request{name: "the client's version", target: "/anthropic", headers: map[string]string{"anthropic-version": "2099-01-01"}, want: []string{" anthropic-version=2099-01-01 body=."}})
}

// The path's end tells which API a request is, and so where it goes.
func TestAIPathsInEnvoy(t *testing.T) {
	a, other := headerBackend(t), backend(t, "other")
	text := fmt.Sprintf(`
binds:
- port: %%d
  listeners:
  - routes:
    - name: openai
      matches: [{path: {pathPrefix: /o}}]
      policies: {ai: {routes: {/chat/completions: completions, /v1/embeddings: embeddings, /v1/models: models, "*": passthrough}}}
      backends: [{ai: {provider: {openAI: {}}, hostOverride: %[1]q, pathPrefix: /api/v9}}]
    - name: base
      matches: [{path: {pathPrefix: /v1}}]
      policies: {ai: {routes: {"*": passthrough}}}
      backends: [{ai: {provider: {openAI: {}}, hostOverride: %[1]q, pathPrefix: /api/v9}}]
    - name: default
      matches: [{path: {pathPrefix: /d}}]
      backends: [{ai: {provider: {openAI: {}}, hostOverride: %[1]q, pathPrefix: /api/v9}}]
    - name: host
      matches: [{path: {pathPrefix: /h}}]
      backends: [{ai: {provider: {openAI: {}}, hostOverride: %[1]q}}]
    - name: override
      matches: [{path: {pathPrefix: /p}}]
      policies: {ai: {routes: {/v1/models: models, "*": passthrough}}}
      backends: [{ai: {provider: {openAI: {}}, hostOverride: %[1]q, pathOverride: /one/path}}]
    - name: gemini
      matches: [{path: {pathPrefix: /g}}]
      policies: {ai: {routes: {":generateContent": generateContent, ":streamGenerateContent": generateContent, /embeddings: embeddings}}}
      backends: [{ai: {provider: {gemini: {model: pro-2.5}}, hostOverride: %[1]q, pathPrefix: /}}]
    - name: anthropic
      matches: [{path: {pathPrefix: /a}, method: POST}, {path: {exact: /a/exact/v1/messages}}]
      policies: {ai: {routes: {/v1/messages: messages, /v1/messages/count_tokens: anthropicTokenCount, "*": passthrough}}}
      backends: [{ai: {provider: {anthropic: {}}, hostOverride: %[1]q, pathPrefix: /v1}}]
    - name: custom
      matches: [{path: {pathPrefix: /c}}]
      policies: {ai: {routes: {/messages: messages}}}
      backends: [{ai: {provider: {custom: {formats: [{type: completions, path: "/my/chat"}, {type: messages}]}}, hostOverride: %[1]q}}]
    - name: chosen
      matches: [{path: {pathPrefix: /x}}]
      policies: {ai: {routes: {/v1/embeddings: embeddings, "*": completions}}}
      backends:
      - ai: {name: first, provider: {openAI: {}}, hostOverride: %[1]q, pathPrefix: /api/v9}
      - ai: {name: second, provider: {gemini: {}}, hostOverride: %[1]q, pathPrefix: /}
      - {name: third, host: %[2]q}
`, a, other)
	b := newTestbed(t, text, chains{"chosen": {Choice: chooses}})
	for _, r := range []struct{ path, want string }{
		{"/o/v1/chat/completions?a=/v1/models", "/api/v9/chat/completions?a=/v1/models"},
		{"/o/v1/embeddings", "/api/v9/embeddings"},
		{"/o/v1/models?x=y", "/api/v9/models?x=y"},
		{"/o/v1/models/gpt", "/api/v9/o/v1/models/gpt"},
		{"/o/files?q=/v1/models", "/api/v9/o/files?q=/v1/models"},
		{"/v1/files/1?q=z", "/api/v9/files/1?q=z"},
		{"/v1", "/api/v9"},
		{"/d/whatever", "/api/v9/chat/completions"},
		{"/h/whatever?q=1", "/h/whatever?q=1"},
		{"/p/v1/models", "/one/path"},
		{"/p/v1/files", "/one/path"},
		{"/g/v1beta/models/flash:generateContent?key=x", "/v1beta/models/pro-2.5:generateContent?key=x"},
		{"/g/models/flash:streamGenerateContent?alt=sse", "/v1beta/models/pro-2.5:streamGenerateContent?alt=sse"},
		{"/g/v1/embeddings", "/v1beta/openai/embeddings"},
		{"/g/v1/chat/completions", "/v1beta/openai/chat/completions"},
		{"/a/exact/v1/messages", "/v1/messages"},
		{"/c/v1/messages", "/v1/messages"},
		{"/c/anything", "/my/chat"},
	} {
		b.run(request{name: r.path, target: r.path, want: []string{"got " + r.want + " body=."}})
	}
	b.run(request{name: "POST messages", target: "/a/v1/messages/count_tokens", body: "x", want: []string{"got /v1/messages/count_tokens body=x."}})
	b.run(request{name: "GET messages", target: "/a/v1/messages", status: 404, want: []string{"route not found"}})

	for _, r := range []struct{ backend, path, want string }{
		{"first", "/x/v1/embeddings?q=1", "got /api/v9/embeddings?q=1 "},
		{"first", "/x/v1/chat", "got /api/v9/chat/completions "},
		{"second", "/x/v1/embeddings", "got /v1beta/openai/embeddings "},
		{"second", "/x/v1/chat?q=/v1/embeddings", "got /v1beta/openai/chat/completions?q=/v1/embeddings "},
		{"third", "/x/v1/chat", "other got /x/v1/chat "},
	} {
		b.run(request{name: r.backend + r.path, target: r.path, headers: map[string]string{"do-choose": word("chosen", r.backend)}, want: []string{r.want}, id: "0123", seen: []string{"chosen"}})
	}
	b.run(request{name: "no choice", target: "/x/v1/embeddings", status: 500, want: []string{"no backend chosen"}, id: "0123", seen: []string{"chosen"}})
}

// A provider that does not speak completions gets its own APIs; what would have
// to be translated is refused.
func TestUntranslatedInEnvoy(t *testing.T) {
	a := headerBackend(t, "x-api-key", "anthropic-version")
	b := newTestbed(t, fmt.Sprintf(`
binds:
- port: %%d
  listeners:
  - routes:
    - policies: {backendAuth: {key: k}}
      backends: [{ai: {provider: {anthropic: {}}, hostOverride: %q}}]
`, a), nil)
	const with = " x-api-key=k anthropic-version=2023-06-01 body={}."
	b.run(request{name: "messages", target: "/v1/messages?beta=true", body: "{}", want: []string{"got /v1/messages?beta=true" + with}})
	b.run(request{name: "below a prefix", target: "/claude/v1/messages", body: "{}", want: []string{"got /claude/v1/messages" + with}})
	b.run(request{name: "count", target: "/v1/messages/count_tokens", body: "{}", want: []string{"got /v1/messages/count_tokens" + with}})
	b.run(request{name: "completions", target: "/v1/chat/completions", body: "{}", status: 501, want: []string{"not translated yet"}})
}

// A path override with a query replaces the client's as well.
func TestQueryOfPathOverrideInEnvoy(t *testing.T) {
	a := headerBackend(t)
	b := newTestbed(t, fmt.Sprintf(`
binds:
- port: %%d
  listeners:
  - routes:
    - backends: [{ai: {provider: {openAI: {}}, hostOverride: %q, pathOverride: "/deployments/d%%20e/chat?api-version=2024-10-21&x=%%22"}}]
`, a), nil)
	for _, target := range []string{"/v1/chat/completions", "/v1/chat/completions?a=b%20c&x=1"} {
		b.run(request{name: target, target: target, body: "{}", want: []string{"got /deployments/d%20e/chat?api-version=2024-10-21&x=%22 body={}."}})
	}
}
