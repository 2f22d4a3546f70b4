package extprocsvc_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/attache-dev/attache/config"
	"github.com/attache-dev/attache/extprocsvc"
	"github.com/attache-dev/attache/extprocsvc/extproctest"
)

// guards is a file with one route to a backend, with a promptGuard and perhaps
// more of the ai policy and of the route's policies.
func guards(guard string, more ...string) string {
	more = append(more, "", "")
	return `
processors: [{name: p, type: fake, params: {modify: true, reject: true}}, {name: say, type: replier, params: {reject: true, say: said}}]
profiles: [{name: q, inputStages: [{name: s, steps: [{name: p}]}]}, {name: r, responseStages: [{name: s, steps: [{name: say}]}]}]
binds:
- port: 3000
  listeners:
  - routes:
    - policies:
        ` + more[1] + `
        ai:
          ` + more[0] + `
          promptGuard: ` + guard + `
      backends: [{ai: {provider: {openAI: {}}, hostOverride: "h:1"}}]
`
}

// chat is a request with a text of each kind, perhaps with more at its end.
func chatOf(user, more string) extproctest.Message {
	return extproctest.Post(`{"model":"m","messages":[{"role":"system","content":"s 078-05-1120"},{"role":"user","content":"` + user + `"},` +
		`{"role":"assistant","tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{\"to\":\"in@example.com\"}"}}]},` +
		`{"role":"tool","tool_call_id":"1","content":"out@example.com"}]` + more + `}`)
}

// chatWith is how the model gets it.
func chatWith(system, user, in, out string) string {
	m := chatOf(user, "")
	return "the model gets " + strings.NewReplacer("078-05-1120", system, "in@example.com", in, "out@example.com", out).Replace(m.Body())
}

func TestPromptGuardRequests(t *testing.T) {
	const said = "The request was rejected due to inappropriate content"
	for _, c := range []struct {
		name, file string
		user       string
		want       string
	}{
		{"masks of the builtins", guards(`{request: [{regex: {rules: [{builtin: ssn}, {builtin: email}, {builtin: creditCard}, {builtin: phoneNumber}, {builtin: caSin}]}}]}`),
			"ada@example.com 4111 1111 1111 1111 +49 30 1234567, 046-454-286",
			chatWith("<SSN>", "<EMAIL_ADDRESS> <CREDIT_CARD> <PHONE_NUMBER>, <CA_SIN>", "in@example.com", "out@example.com")},
		{"own patterns", guards(`{request: [{regex: {action: mask, rules: [{pattern: 'PRJ-\d+'}, {name: old, pattern: secret}]}}]}`),
			"PRJ-42 is secret", chatWith("078-05-1120", "<masked> is <masked>", "in@example.com", "out@example.com")},
		{"the scope", guards(`{request: [{regex: {rules: [{builtin: email}]}, scope: [toolInput]}, {regex: {rules: [{builtin: ssn}]}, scope: [messages, toolOutput]}]}`),
			"078-05-1120 a@example.com", chatWith("078-05-1120", "<SSN> a@example.com", "<EMAIL_ADDRESS>", "out@example.com")},
		{"a rejection", guards(`{request: [{regex: {action: reject, rules: [{builtin: email}]}}]}`), "a@example.com", "the client gets 403 " + said},
		{"the first rejection wins", guards(`{request: [{regex: {action: reject, rules: [{pattern: a}]}, rejection: {status: 451, body: one}}, {regex: {action: reject, rules: [{pattern: a}]}, rejection: {body: two}}]}`),
			"a", "the client gets 451 one"},
		{"masks accumulate", guards(`{request: [{regex: {rules: [{pattern: a}]}}, {regex: {action: reject, rules: [{pattern: a}]}}, {regex: {rules: [{pattern: b}]}}]}`),
			"aba", `the client gets 403 ` + said}, // <masked> has an a
		{"after the profile, prompts and defaults", guards(`{request: [{regex: {rules: [{pattern: kind}]}}]}`, "prompts: {prepend: [{role: system, content: be kind}]}", `extProc: {profile: q, failureMode: failOpen}`),
			"hi", strings.Replace(chatWith("078-05-1120", "hi", "in@example.com", "out@example.com"), `"messages":[`, `"messages":[{"role":"system","content":"be <masked>"},`, 1)},
		{"up to v0.10", guards(`{request: {regex: {action: {reject: {response: {status: 418, body: teapot}}}, rules: [{pattern: tea}]}}}`), "tea", "the client gets 418 teapot"},
		{"the backend's wins over the route's", strings.Replace(guards(`{request: [{regex: {action: reject, rules: [{pattern: hi}]}}]}`), "provider:", "policies: {ai: {promptGuard: {request: [{regex: {rules: [{pattern: hi}]}}]}}}, provider:", 1), "hi", chatWith("078-05-1120", "<masked>", "in@example.com", "out@example.com")},
		{"nothing to find", guards(`{request: [{regex: {action: reject, rules: [{pattern: zzz}]}}]}`), "hi", chatWith("078-05-1120", "hi", "in@example.com", "out@example.com")},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := start(t, fakes.Build, extprocsvc.Options{}, c.file)
			for name, f := range modes(s.ref(0)) {
				if _, got := s.do(t, f, chatOf(c.user, "")); got != c.want {
					t.Errorf("%s: got\n%s\nwant\n%s", name, got, c.want)
				}
			}
			if s.chains.ForRoute(s.cfg.Listeners[0].Routes[0]).FailOpen() {
				t.Error("a guard fails open")
			}
		})
	}
}

func TestPromptGuardRejectionHeaders(t *testing.T) {
	s := start(t, fakes.Build, extprocsvc.Options{}, guards(`{request: [{regex: {action: reject, rules: [{pattern: hi}]}, rejection: {body: '{}', headers: {add: {x-a: one}, set: {Content-Type: application/json, x-b: two}, remove: [x-b]}}}]}`))
	out, got := s.do(t, duplex(s.ref(0)), chatOf("hi", ""))
	if got != "the client gets 403 {}" {
		t.Fatal(got)
	}
	var headers []string
	for _, h := range out.Immediate.GetHeaders().GetSetHeaders() {
		if h.GetHeader().GetKey() != extprocsvc.IDHeader {
			headers = append(headers, h.GetHeader().GetKey()+": "+string(h.GetHeader().GetRawValue()))
		}
	}
	if want := []string{"x-a: one", "content-type: application/json"}; !slices.Equal(headers, want) {
		t.Errorf("got %q, want %q", headers, want)
	}
	md, _ := out.Metadata[extprocsvc.MetadataNamespace].(map[string]any)
	r, ok := s.Explain(md["id"].(string))
	if !ok || r.Verdict != extprocsvc.Rejected || r.Reason != extprocsvc.PolicyViolation || r.Step != "regex" || r.Stage != "request" ||
		!strings.HasPrefix(r.Where, "f:12:35: binds[0].listeners[0].routes[0].policies.ai.promptGuard.request[0]") {
		t.Errorf("the record is %+v", r)
	}
}

func TestPromptGuardAnswers(t *testing.T) {
	body := `{"id":"1","choices":[{"index":0,"message":{"role":"assistant","content":"mail ada@example.com"},"finish_reason":"stop"}],"usage":{"n":1e5}}`
	masked := strings.Replace(body, "ada@example.com", "<EMAIL_ADDRESS>", 1)
	for _, c := range []struct {
		name, file string
		stream     bool
		answer     extproctest.Message
		want       string
	}{
		{"a mask", guards(`{response: [{regex: {rules: [{builtin: email}]}}]}`), false, answer("200", "application/json", body), masked},
		{"a rejection", guards(`{response: [{regex: {action: reject, rules: [{builtin: email}]}, rejection: {status: 502}}]}`), false, answer("200", "application/json", body), "502 The request was rejected due to inappropriate content"},
		{"before the profile's stages", guards(`{response: [{regex: {rules: [{builtin: email}]}}]}`, "", "extProc: {profile: r}"), false, answer("200", "application/json", body), `429 {"error":{"message":"said|hi|mail <EMAIL_ADDRESS>","type":"rate_limit_error","code":"AIGW_RATE_LIMIT"},"message":"said|hi|mail <EMAIL_ADDRESS>"}`},
		{"a mask over two parts", guards(`{response: [{regex: {rules: [{builtin: email}]}}]}`), false,
			answer("200", "application/json", `{"choices":[{"message":{"content":[{"type":"text","text":"a@ex"},{"type":"text","text":"ample.com"}]}}]}`), `{"choices":[{"message":{"content":[{"type":"text","text":"<EMAIL_ADDRESS>"},{"type":"text","text":""}]}}]}`},
		{"a rejection over two parts", guards(`{response: [{regex: {action: reject, rules: [{builtin: email}]}, rejection: {status: 502}}]}`), false,
			answer("200", "application/json", `{"choices":[{"message":{"content":["a@ex","ample.com"]}}]}`), "502 The request was rejected due to inappropriate content"},
		{"an error of the model", guards(`{response: [{regex: {rules: [{builtin: email}]}}]}`), false, answer("500", "text/plain", "oops a@example.com"), "oops <EMAIL_ADDRESS>"},
		{"what cannot be read", guards(`{response: [{regex: {rules: [{builtin: email}]}}]}`), false, answer("200", "text/plain", "a@example.com"), `502 {"error":{"message":"the gateway cannot read the model's response","type":"server_error","param":null,"code":"unreadable_response"}}`},
		{"what cannot be read and may pass", guards(`{unreadable: pass, response: [{regex: {rules: [{builtin: email}]}}]}`), false, answer("200", "text/plain", "a@example.com"), "a@example.com"},
		{"no JSON, which may pass", guards(`{unreadable: pass, response: [{regex: {rules: [{builtin: email}]}}]}`), false, answer("200", "application/json", "a@example.com"), "a@example.com"},
		{"streaming is disabled, and the model does not stream", guards(`{response: [{regex: {rules: [{builtin: email}]}}]}`), true, answer("200", "application/json", body), masked},
		{"streaming is disabled, and the model fails", guards(`{response: [{regex: {rules: [{builtin: email}]}}]}`), true, answer("500", "text/plain", "oops a@example.com"), "oops <EMAIL_ADDRESS>"},
		{"streaming is disabled, before the profile's stages", guards(`{response: [{regex: {rules: [{builtin: email}]}}]}`, "", "extProc: {profile: r}"), true, answer("200", "text/event-stream", "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a@example.com\"}}]}\n\n"), `429 {"error":{"message":"said|hi|a@example.com","type":"rate_limit_error","code":"AIGW_RATE_LIMIT"},"message":"said|hi|a@example.com"}`},
		{"streaming is disabled", guards(`{response: [{regex: {rules: [{builtin: email}]}}]}`), true, answer("200", "text/event-stream", "data: a@example.com\n\n"), "data: a@example.com\n\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := start(t, fakes.Build, extprocsvc.Options{}, c.file)
			if !s.chains.ForRoute(s.cfg.Listeners[0].Routes[0]).ReadsResponse() {
				t.Fatal("the chain does not ask for responses")
			}
			request := extproctest.Post(`{"model":"m","messages":[{"role":"user","content":"hi"}]}`)
			if c.stream {
				request = extproctest.Post(`{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}`)
			}
			for name, f := range readsResponse(s.ref(0)) {
				out, err := f.Do(t.Context(), s.client, request, c.answer)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				got := ""
				if out.Immediate != nil {
					got = strings.TrimPrefix(out.String(), "the client gets ")
				} else {
					got = out.Client.Body()
				}
				if got != c.want {
					t.Errorf("%s: got\n%s\nwant\n%s", name, got, c.want)
				}
			}
		})
	}
}

// TestPromptGuardWithoutBody: there is nothing to look at in a request that has
// no body, and needs none.
func TestPromptGuardWithoutBody(t *testing.T) {
	s := start(t, fakes.Build, extprocsvc.Options{}, guards(`{request: [{regex: {action: reject, rules: [{builtin: email}]}}]}`))
	get := extproctest.Message{Header: extproctest.Header{{":method", "GET"}, {":path", "/v1/models"}, {":authority", "h"}, {":scheme", "http"}}}
	if _, got := s.do(t, duplex(s.ref(0)), get); got != "the model gets " {
		t.Errorf("GET: %s", got)
	}
	get.Header[0][1] = "POST"
	if _, got := s.do(t, duplex(s.ref(0)), get); !strings.HasPrefix(got, "the client gets 400") {
		t.Errorf("POST: %s", got)
	}
}

// TestPromptGuardAPIs: texts are found in all APIs that ai backends speak.
func TestPromptGuardAPIs(t *testing.T) {
	s := start(t, fakes.Build, extprocsvc.Options{}, `
binds:
- port: 3000
  listeners:
  - routes:
    - policies: {ai: {promptGuard: {request: [{regex: {rules: [{builtin: email}]}, scope: [systemPrompt, messages, toolInput, toolOutput]}]}, routes: {/v1/responses: responses, /v1/embeddings: embeddings, "*": completions}}}
      backends: [{ai: {provider: {openAI: {}}}}]
    - policies: {ai: {promptGuard: {request: [{regex: {rules: [{builtin: email}]}}]}}}
      matches: [{path: {pathPrefix: /a}}]
      backends: [{ai: {provider: {anthropic: {}}}}]
`)
	for _, c := range []struct {
		route      int
		path, body string
	}{
		{0, "/v1/responses", `{"model":"m","instructions":"a@example.com","input":"b@example.com"}`},
		{0, "/v1/embeddings", `{"model":"m","input":["a@example.com","b"]}`},
		{0, "/v1/chat/completions", `{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"a@example.com"}]}]}`},
		{1, "/v1/messages", `{"model":"m","system":"a@example.com","messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"1","content":"x"},{"type":"text","text":"b@example.com"}]}]}`},
		{1, "/v1/messages/count_tokens", `{"model":"m","messages":[{"role":"user","content":"a@example.com"}]}`},
	} {
		m := extproctest.Post(c.body)
		for i := range m.Header {
			if m.Header[i][0] == ":path" {
				m.Header[i][1] = c.path
			}
		}
		want := "the model gets " + strings.NewReplacer("a@example.com", "<EMAIL_ADDRESS>", "b@example.com", "<EMAIL_ADDRESS>").Replace(c.body)
		if _, got := s.do(t, duplex(s.ref(c.route)), m); got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", c.path, got, want)
		}
	}
}

// A moderator is a webhook of the test's.
func moderator(t *testing.T, answer func(path string, body map[string]any) string) (address string, seen *http.Header) {
	t.Helper()
	seen = &http.Header{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		var in struct{ Body map[string]any }
		if err := json.Unmarshal(text, &in); err != nil || r.Method != http.MethodPost {
			t.Errorf("%s %s: %v", r.Method, text, err)
		}
		*seen = r.Header.Clone()
		reply := answer(r.URL.Path, in.Body)
		if reply == "" {
			w.WriteHeader(http.StatusInternalServerError)
		}
		_, _ = io.WriteString(w, reply)
	}))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String(), seen
}

func TestPromptGuardWebhook(t *testing.T) {
	failed := func(status int) string {
		return failure(status, "a processor of the gateway failed: webhook", "processor_failed")
	}
	for _, c := range []struct {
		name, settings string
		reply          string
		want           string
	}{
		{"pass", "", `{"action":{"reason":"fine"}}`, `the model gets {"model":"m","messages":[{"role":"user","content":"hi"}]}`},
		{"mask", "", `{"action":{"body":{"messages":[{"role":"user","content":"h\"o"}]}}}`, `the model gets {"model":"m","messages":[{"role":"user","content":"h\"o"}]}`},
		{"reject", "", `{"action":{"body":"no way","status_code":451,"reason":"x"}}`, "the client gets 451 no way"},
		{"too many messages", "", `{"action":{"body":{"messages":[{"content":"a"},{"content":"b"}]}}}`, failed(502)},
		{"no action", "", `{}`, failed(502)},
		{"no status", "", `{"action":{"body":"no"}}`, failed(502)},
		{"a wrong status", "", `{"action":{"body":"no","status_code":99}}`, failed(502)},
		{"an error", "", ``, failed(502)},
		{"an error that is let pass", ", failureMode: failOpen", ``, `the model gets {"model":"m","messages":[{"role":"user","content":"hi"}]}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			address, seen := moderator(t, func(path string, body map[string]any) string {
				if got, _ := json.Marshal(body); path != "/request" || string(got) != `{"messages":[{"content":"hi","role":"user"}]}` {
					t.Errorf("%s %s", path, got)
				}
				return c.reply
			})
			s := start(t, fakes.Build, extprocsvc.Options{}, guards(`{request: [{webhook: {target: {host: "`+address+`"}, headers: {x-team: '"blue"', x-path: request.path}, forwardHeaderMatches: [{name: Authorization, value: {regex: "Bearer .*"}}, {name: x-no, value: {exact: other}}]`+c.settings+`}}]}`))
			m := with(extproctest.Post(`{"model":"m","messages":[{"role":"user","content":"hi"}]}`), "authorization", "Bearer abc", "x-no", "this")
			if _, got := s.do(t, duplex(s.ref(0)), m); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
			for name, want := range map[string]string{"X-Team": "blue", "X-Path": "/v1/chat/completions", "Authorization": "Bearer abc", "X-No": "", "Content-Type": "application/json"} {
				if got := seen.Get(name); got != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
		})
	}
	t.Run("nobody there", func(t *testing.T) {
		s := start(t, fakes.Build, extprocsvc.Options{}, guards(`{request: [{webhook: {target: {host: "unix:/nowhere"}}}]}`))
		if _, got := s.do(t, duplex(s.ref(0)), chatOf("hi", "")); got != failed(502) {
			t.Errorf("got %s", got)
		}
	})
	t.Run("answers", func(t *testing.T) {
		address, _ := moderator(t, func(path string, body map[string]any) string {
			if got, _ := json.Marshal(body); path != "/response" || string(got) != `{"choices":[{"message":{"content":"hello","role":"assistant"}}]}` {
				t.Errorf("%s %s", path, got)
			}
			return `{"action":{"body":{"choices":[{"message":{"role":"assistant","content":"bye"}}]}}}`
		})
		s := start(t, fakes.Build, extprocsvc.Options{}, guards(`{response: [{webhook: {target: "`+address+`"}}]}`))
		for name, f := range readsResponse(s.ref(0)) {
			out, err := f.Do(t.Context(), s.client, extproctest.Post(`{"model":"m","messages":[]}`), answer("200", "application/json", completion))
			if err != nil || out.Client == nil || out.Client.Body() != strings.Replace(completion, "hello", "bye", 1) {
				t.Errorf("%s: %v %v", name, out, err)
			}
		}
	})
}

func TestPromptGuardErrors(t *testing.T) {
	cfg := parse(t, guards(`{streaming: Enabled, response: [{regex: {rules: [{pattern: 'a.*b'}, {pattern: 'c{1,9}'}, {pattern: 'x.*y', maxMatch: 80}]}}]}`))
	_, err := extprocsvc.Build(cfg)
	want := "its matches can be of any length"
	if err == nil || len(config.Errors(err)) == 0 || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "rules[2]") {
		t.Errorf("got %v, want %s", err, want)
	}
}

// TestUnreadable: what cannot be read is refused, and passes where the file says
// so, which the record tells.
func TestUnreadable(t *testing.T) {
	long := `{"model":"m","messages":[{"role":"user","content":"` + strings.Repeat("x", 1000) + `"}]}`
	form := func(header ...string) extproctest.Message {
		m := extproctest.Message{Header: extproctest.Header{{":method", "POST"}, {":path", "/v1/chat/completions"}, {":authority", "h"}, {":scheme", "http"}}, Chunks: [][]byte{[]byte("a=b"), []byte("&c=d")}}
		return with(m, header...)
	}
	undeclared := func(body string) extproctest.Message {
		m := form("content-type", "application/json")
		m.Chunks = [][]byte{[]byte(body[:len(body)/2]), []byte(body[len(body)/2:])}
		return m
	}
	for _, c := range []struct {
		name, code string
		status     string
		request    extproctest.Message
	}{
		{"a form", "unsupported_media_type", "415", form("content-type", "application/x-www-form-urlencoded")},
		{"an encoding", "unsupported_content_encoding", "415", form("content-type", "application/json", "content-encoding", "compress")},
		{"no gzip", "invalid_content_encoding", "400", form("content-type", "application/json", "content-encoding", "gzip")},
		{"gRPC", "unsupported_media_type", "415", form("content-type", "application/grpc")},
		{"an upgrade", "unsupported_upgrade", "415", form("upgrade", "websocket")},
		{"no JSON", "invalid_json", "400", undeclared("a=b&c=d")},
		{"no chat", "invalid_messages", "400", undeclared(`{"model":"m","messages":"odd"` + strings.Repeat(" ", 9) + `}`)},
		{"too long, declared", "body_too_large", "413", extproctest.Post(long)},
		{"too long", "body_too_large", "413", undeclared(long)},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, use := range []struct {
				name, file string
				passes     bool
			}{
				{"profile", guards(`{}`, "", "extProc: {profile: q}"), false},
				{"profile, pass", guards(`{}`, "", "extProc: {profile: q, unreadable: pass}"), true},
				{"promptGuard", guards(`{request: [{regex: {rules: [{builtin: ssn}]}}]}`), false},
				{"promptGuard, pass", guards(`{unreadable: pass, request: [{regex: {rules: [{builtin: ssn}]}}]}`), true},
				{"one of two", guards(`{request: [{regex: {rules: [{builtin: ssn}]}}]}`, "", "extProc: {profile: q, unreadable: pass}"), false},
				{"settings", guards(`{unreadable: pass, request: [{regex: {rules: [{builtin: ssn}]}}]}`, "overrides: {a: 1}"), false},
			} {
				s := start(t, fakes.Build, extprocsvc.Options{MaxBody: 500}, use.file)
				for name, f := range modes(s.ref(0)) {
					out, got := s.do(t, f, c.request)
					md, _ := out.Metadata[extprocsvc.MetadataNamespace].(map[string]any)
					if !use.passes {
						if !strings.HasPrefix(got, "the client gets "+c.status) || !strings.Contains(got, c.code) {
							t.Errorf("%s, %s: got %s", use.name, name, got)
						}
						continue
					}
					if want := "the model gets " + c.request.Body(); got != want {
						t.Errorf("%s, %s: got %.200s, want %.200s", use.name, name, got, want)
					}
					if md["unread"] != c.code {
						t.Errorf("%s, %s: the record says %v", use.name, name, md)
					}
				}
			}
		})
	}
}

// TestPromptGuardStreams: with streaming: Enabled, answers are masked while they
// come, also those that a profile looks at as well.
func TestPromptGuardStreams(t *testing.T) {
	said := []string{chat("I am ada@exa"), chat("mple.com, a"), chat("nd you? "), chatEnd}
	masked := []string{chat("I am <EMAIL_ADDRESS>"), chat(", a"), chat("nd you? "), chatEnd}
	real := func(file string) string {
		_, rest, _ := strings.Cut(file, "binds:")
		return `
processors: [{name: d, type: data-security, params: {modify: true, action: mask, matchers: [email]}}]
profiles: [{name: e, responseStages: [{name: s, steps: [{name: d}]}]}]
binds:` + rest
	}
	const enabled = `{streaming: Enabled, response: [{regex: {rules: [{builtin: email}]}}]}`
	for _, c := range []struct {
		name, file string
		want       []string
	}{
		{"a mask", guards(enabled), masked},
		{"data-security", guards(`{}`, "", "extProc: {profile: e}"), masked},
		{"both", guards(`{streaming: Enabled, response: [{regex: {rules: [{pattern: 'you\?'}]}}]}`, "", "extProc: {profile: e}"),
			[]string{chat("I am <EMAIL_ADDRESS>"), chat(", a"), chat("nd <masked> "), chatEnd}},
		{"disabled", guards(strings.Replace(enabled, "Enabled", "Disabled", 1)), said},
		{"a rejection", guards(`{streaming: Enabled, response: [{regex: {action: reject, rules: [{builtin: email}]}}]}`),
			[]string{`data: {"error":{"message":"The request was rejected due to inappropriate content","type":"policy_violation","code":"AIGW_POLICY_VIOLATION"},"message":"The request was rejected due to inappropriate content"}` + "\n\n"}},
		{"an event that cannot be read and may pass", guards(`{unreadable: pass, streaming: Enabled, response: [{regex: {rules: [{builtin: email}]}}]}`), masked},
	} {
		t.Run(c.name, func(t *testing.T) {
			events := said
			if c.name == "an event that cannot be read and may pass" {
				events = append(slices.Clone(said[:3]), "data: x\n\n")
				c.want = append(slices.Clone(c.want[:3]), "data: x\n\n")
			}
			s := start(t, extprocsvc.Build, extprocsvc.Options{}, real(c.file))
			for _, n := range []int{1, 7, 1000} {
				f := readsResponse(s.ref(0))["full duplex"]
				out, err := f.Do(t.Context(), s.client, extproctest.Post(`{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}`), sse(n, events...))
				if err != nil {
					t.Fatal(err)
				}
				if got, want := out.Client.Body(), strings.Join(c.want, ""); got != want {
					t.Errorf("in pieces of %d: got\n%s\nwant\n%s", n, got, want)
				}
			}
		})
	}
}
