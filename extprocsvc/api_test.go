package extprocsvc_test

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/attache-dev/attache/extprocsvc"
	"github.com/attache-dev/attache/extprocsvc/extproctest"
	"github.com/attache-dev/attache/extprocsvc/llm"
)

// masker puts *** in place of a word, wherever it is.
type masker struct {
	Word string `yaml:"word"`
	// Beyond makes it change what is not there.
	Beyond bool `yaml:"beyond"`
}

func (m *masker) mask(d *llm.Doc) extprocsvc.Result {
	var changes []llm.Change
	for t := range d.Texts() {
		text := t.Unquoted(nil)
		for at := 0; ; {
			i := bytes.Index(text[at:], []byte(m.Word))
			if i < 0 {
				break
			}
			changes = append(changes, llm.Change{Text: t.Index, From: at + i, To: at + i + len(m.Word), With: "***"})
			at += i + len(m.Word)
		}
	}
	if m.Beyond {
		changes = []llm.Change{{From: 1 << 20, To: 1 << 20}}
	}
	if len(changes) == 0 {
		return extprocsvc.Result{}
	}
	return extprocsvc.Result{Edits: []llm.Edit{llm.ChangeTexts(changes...)}}
}

func (m *masker) ProcessRequest(_ context.Context, r *extprocsvc.Request) (extprocsvc.Result, error) {
	return m.mask(r.Prompt), nil
}

func (m *masker) ProcessResponse(_ context.Context, r *extprocsvc.Response) (extprocsvc.Result, error) {
	return m.mask(r.Completion), nil
}

func init() {
	fakes.Register(extprocsvc.Kind{
		Name: "masker", Phases: extprocsvc.InputPhase | extprocsvc.ResponsePhase, ReadsBody: true, Needs: extprocsvc.Modify,
		New: func(s extprocsvc.Setup) (extprocsvc.Processor, error) {
			m := &masker{}
			return m, s.Params.Decode(m)
		},
	})
}

const maskedRoutes = `
processors:
- {name: mask, type: masker, params: {modify: true, word: secret}}
- {name: rule, type: fake, params: {modify: true, rules: [secret rule]}}
- {name: chatty, type: chatty}
profiles:
- {name: masked, inputStages: [{name: s, steps: [{name: mask}]}]}
- {name: answers, responseStages: [{name: r, steps: [{name: mask}]}]}
- {name: ruled, inputStages: [{name: s, steps: [{name: rule}, {name: mask}, {name: rule}]}]}
- {name: chatty, inputStages: [{name: s, steps: [{name: chatty}]}]}
binds:
- port: 3000
  listeners:
  - routes:
    - {name: plain, policies: {extProc: {profile: masked}}, backends: [{host: "h:1"}]}
    - {name: ruled, policies: {extProc: {profile: ruled}}, backends: [{host: "h:1"}]}
    - {name: chatty, policies: {extProc: {profile: chatty, failureMode: failOpen}}, backends: [{host: "h:1"}]}
    - name: words
      policies: {extProc: {profile: masked}, ai: {routes: {/mine: messages, /old: completions, /any: passthrough}}}
      backends: [{ai: {provider: {custom: {formats: [{type: messages}, {type: completions}]}}, hostOverride: "h:1", pathPrefix: /p}}]
    - name: kept
      policies: {extProc: {profile: masked}}
      backends: [{ai: {provider: {openAI: {}}, hostOverride: "h:1"}}]
    - name: apart
      policies: {extProc: {profile: masked}}
      backends: [{ai: {name: a, provider: {openAI: {}}}}, {ai: {name: b, provider: {anthropic: {}}}}]
    - {name: answers, policies: {extProc: {profile: answers}}, backends: [{host: "h:1"}]}
`

const (
	plainRoute = iota
	ruledRoute
	chattyRoute
	wordsRoute
	keptRoute
	apartRoute
	answersRoute
)

func TestAPIs(t *testing.T) {
	s := start(t, fakes.Build, extprocsvc.Options{}, maskedRoutes)
	invalid := func(message string) string {
		return failure(400, "the request body cannot be accepted: "+message, "invalid_messages")
	}
	anthropic := func(message string) string {
		return `the client gets 400 {"type":"error","error":{"type":"invalid_request_error","message":"the request body cannot be accepted: ` + message + `"}}`
	}
	masked := func(body string) string { return "the model gets " + strings.ReplaceAll(body, "secret", "***") }
	const (
		chat      = `{"messages":[{"role":"user","content":"a secret"}], "tools":[{"function":{"description":"secret"}}]}`
		claude    = `{"system":"secret","messages":[{"role":"assistant","content":[{"type":"tool_use","id":"t","name":"n","input":{"k":"secret"}}]}]}`
		responses = `{"instructions":"secret","input":[{"type":"function_call","call_id":"c","name":"n","arguments":"{\"k\":\"secret\"}"}]}`
		prompt    = `{"prompt":["one secret","two"]}`
		tokens    = `{"prompt":[[1,2]]}`
		input     = `{"input":["one secret"]}`
	)
	for _, c := range []struct {
		name  string
		route int
		path  string
		body  string
		want  string
	}{
		{"chat", plainRoute, "/v1/chat/completions", chat, masked(chat)},
		{"completions", plainRoute, "/v1/completions", prompt, masked(prompt)},
		{"completions of tokens", plainRoute, "/v1/completions", tokens, invalid("prompt is of a type that is not supported")},
		{"responses", plainRoute, "/x/v1/responses?y=/v1/messages", responses, masked(responses)},
		{"embeddings", plainRoute, "/v1/embeddings", input, masked(input)},
		{"embeddings of tokens", plainRoute, "/v1/embeddings", `{"input":[1,2]}`, invalid("input is of a type that is not supported")},
		{"messages", plainRoute, "/v1/messages", claude, masked(claude)},
		{"token count", plainRoute, "/v1/messages/count_tokens", claude, masked(claude)},
		{"the wrong body for a path", plainRoute, "/v1/messages", responses, anthropic("messages is missing")},
		{"a body of two APIs", plainRoute, "/v1/chat/completions", `{"messages":[],"input":"secret"}`, `the model gets {"messages":[],"input":"***"}`},

		{"another path, chat", plainRoute, "/chat", chat, masked(chat)},
		{"another path, Anthropic", plainRoute, "/chat", claude, masked(claude)},
		{"another path, responses", plainRoute, "/v2/responses", responses, masked(responses)},
		{"another path, completions", plainRoute, "/V1/completions", prompt, masked(prompt)},
		{"another path, an input that is not for sure", plainRoute, "/x", input, invalid("input[0] is not an object")},
		{"another path, two APIs", plainRoute, "/x", `{"messages":[],"input":"secret"}`, invalid("one cannot tell which API it is for")},
		{"another path, none", plainRoute, "/x", `{"contents":[{"parts":[{"text":"secret"}]}]}`, invalid("messages is missing")},

		{"rules, chat", ruledRoute, "/v1/chat/completions", `{"messages":[{"role":"user","content":"x"}]}`, `the model gets {"messages":[{"role":"system","content":"*** rule"},{"role":"system","content":"secret rule"},{"role":"user","content":"x"}]}`},
		{"rules, messages", ruledRoute, "/v1/messages", `{"system":"old","messages":[]}`, `the model gets {"system":[{"type":"text","text":"*** rule"},{"type":"text","text":"secret rule"},{"type":"text","text":"old"}],"messages":[]}`},
		{"rules, no place", ruledRoute, "/v1/completions", prompt, invalid("OpenAI Completions has no place for a system prompt")},

		{"chat only", chattyRoute, "/v1/chat/completions", chat, "the model gets " + chat},
		{"chat only, another API", chattyRoute, "/v1/responses", responses, failure(415, "a processor of this route understands chat completions only", "unsupported_api")},
		{"chat only, Anthropic's errors", chattyRoute, "/v1/messages", claude, `the client gets 415 {"type":"error","error":{"type":"invalid_request_error","message":"a processor of this route understands chat completions only"}}`},

		{"the word of a route", wordsRoute, "/mine", claude, masked(claude)},
		{"and its errors", wordsRoute, "/mine", `{}`, anthropic("messages is missing")},
		{"the word counts, not the path", wordsRoute, "/v1/responses/old", responses, invalid("messages is missing")},
		{"passthrough is what the body is", wordsRoute, "/any", prompt, masked(prompt)},
		{"a path that is kept tells more", keptRoute, "/v1/responses", responses, masked(responses)},
		{"and may be any", keptRoute, "/x", chat, masked(chat)},
		{"backends that agree", apartRoute, "/v1/chat/completions", chat, masked(chat)},
		{"backends that do not", apartRoute, "/v1/messages", claude, anthropic("it is for an API that cannot be read")},
	} {
		for name, f := range modes(s.ref(c.route)) {
			if _, got := s.do(t, f, with(extproctest.Post(c.body), ":path", c.path)); got != c.want {
				t.Errorf("%s, %s:\ngot  %s\nwant %s", c.name, name, got, c.want)
			}
		}
	}
}

// A mistake of a step in what it changes is not the client's, and lets nothing
// pass.
func TestChangesThatDoNotFit(t *testing.T) {
	s := start(t, fakes.Build, extprocsvc.Options{}, stages("failOpen", `
  - {name: s, steps: [{name: m}]}`, `{name: m, type: masker, params: {modify: true, word: x, beyond: true}}`))
	if _, got := s.do(t, duplex(s.ref(0)), extproctest.Post(`{"messages":[{"content":"x"}]}`)); got != failure(500, "a processor of the gateway failed: m", "processor_failed") {
		t.Error(got)
	}
	// Two keys that become one could be read either way.
	s = start(t, fakes.Build, extprocsvc.Options{}, stages("failOpen", `
  - {name: s, steps: [{name: m}]}`, `{name: m, type: masker, params: {modify: true, word: x}}`))
	if _, got := s.do(t, duplex(s.ref(0)), extproctest.Post(`{"messages":[],"x1":1,"***1":2}`)); !strings.Contains(got, "duplicate key") {
		t.Error(got)
	}
}

func TestAnswersOfAPIs(t *testing.T) {
	s := start(t, fakes.Build, extprocsvc.Options{}, maskedRoutes)
	for _, c := range []struct{ path, request, answer, want string }{
		{"/v1/chat/completions", `{"messages":[]}`, `{"choices":[{"message":{"role":"assistant","content":"secret"}}]}`, ""},
		{"/v1/completions", `{"prompt":"x"}`, `{"choices":[{"text":"secret"}]}`, ""},
		{"/v1/responses", `{"input":"x"}`, `{"output":[{"type":"message","content":[{"type":"output_text","text":"secret"}]}]}`, ""},
		{"/v1/messages", `{"messages":[]}`, `{"role":"assistant","content":[{"type":"text","text":"secret"}]}`, ""},
		{"/v1/messages/count_tokens", `{"messages":[]}`, `{"input_tokens":3}`, ""},
		{"/v1/embeddings", `{"input":"x"}`, `{"data":[{"embedding":[0.5]}]}`, ""},
		{"/x", `{"input":"x"}`, `{"output":[{"type":"message","content":[{"type":"output_text","text":"secret"}]}]}`, ""},
		{"/v1/messages", `{"messages":[]}`, `{"choices":[{"message":{"content":"secret"}}]}`, `502 {"type":"error","error":{"type":"api_error","message":"the gateway cannot read the model's response"}}`},
		{"/v1/responses", `{"input":"x"}`, `{"content":[{"text":"secret"}]}`, `502 {"error":{"message":"the gateway cannot read the model's response","type":"server_error","param":null,"code":"unreadable_response"}}`},
	} {
		f := duplex(s.ref(answersRoute))
		f.Response, f.SendResponseHeaders = extproctest.FullDuplex, true
		answer := extproctest.Message{
			Header: extproctest.Header{{":status", "200"}, {"content-type", "application/json"}},
			Chunks: [][]byte{[]byte(c.answer)},
		}
		out, err := f.Do(t.Context(), s.client, with(extproctest.Post(c.request), ":path", c.path), answer)
		if err != nil {
			t.Fatal(err)
		}
		want := c.want
		if want == "" {
			want = strings.ReplaceAll(c.answer, "secret", "***")
		}
		got := out.String()
		if out.Immediate == nil && out.Client != nil {
			got = out.Client.Body()
		}
		if !strings.HasSuffix(got, want) {
			t.Errorf("%s:\ngot  %s\nwant %s", c.path, got, want)
		}
	}
}
