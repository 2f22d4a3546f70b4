package external

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"strings"
	"testing"

	"github.com/attache-dev/attache/extprocsvc"
)

const (
	in  = extprocsvc.InputPhase
	out = extprocsvc.ResponsePhase

	reply1 = `{"id":"x","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"n":1}}`
)

// conformance are cases of section 9.3 of the reference, by their numbers,
// that concern a core. They run over every kind of connection.
var conformance = []struct {
	name, processor, params string
	phase                   extprocsvc.Phases
	prompt, response        string
	want                    string
}{
	{"1 nothing to say", "Nothing", ``, in, hello, ``, ``},
	{"1 nothing to say of a response", "nothing", ``, out, hello, reply1, ``},
	{"2, 16, 21 annotate", "Annotator", `{annotate: true}`, in, hello, ``,
		"tags # of few shots:two words, extras:none, ids:both, language:en, language:code, prompt:1, texts:hello"},
	{"2 annotate is off", "ANNOTATOR", `{annotate: false}`, in, hello, ``, ``},
	{"22 nothing but the list is sent", "annotator", ``, out, hello, reply1,
		"tags # of few shots:two words, extras:none, ids:both, language:en, language:code, prompt:1, texts:hi"},
	{"3 modify the prompt", "modifier", `{modify: true}`, in, `{"model":"m", "messages": [{"role":"user","content":"my secret"}], "n": 1e0}`, ``,
		`now {"model":"m", "messages": [{"content":"my *****","role":"user"}], "n": 1e0}`},
	{"3 modify the response", "louder", `{modify: true}`, out, hello, reply1,
		`now {"id":"x","choices":[{"message":{"content":"HI","role":"assistant"},"index":0,"finish_reason":"stop"}],"usage":{"n":1}}`},
	{"4 null content and tool calls", "modifier", `{modify: true, prepend: true}`, in,
		`{"messages":[{"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function"}]},{"role":"user"}]}`, ``,
		`now {"messages":[{"content":"a rule","role":"system"},{"content":null,"role":"assistant","tool_calls":[{"id":"1","type":"function"}]},{"content":null,"role":"user"}]}`},
	{"5 equal to the input", "modifier", `{modify: true}`, in, hello, ``, ``},
	{"5 modify is off", "modifier", `{}`, in, `{"messages":[{"role":"user","content":"my secret"}]}`, ``, ``},
	{"6 reject with tags", "rejecter", `{reject: true}`, in, hello, ``,
		"tags attacks-detected:prompt-injection; rejected AIGW_POLICY_VIOLATION: Possible Prompt Injection detected"},
	{"7 reject is off", "rejecter", `{reject: false}`, in, hello, ``, ``},
	{"8 modify and reject", "rejecter", `{reject: true, modify: true, annotate: false}`, in, hello, ``,
		"tags attacks-detected:prompt-injection; rejected AIGW_POLICY_VIOLATION: Possible Prompt Injection detected"},
	{"9 unknown key, integer for a float", "demanding", `{must: x, unknown: [1], threshold: 1, rules: [a, b]}`, in, hello, ``, "tags params:x 1.0 2"},
	{"10 wrong type", "demanding", `{must: x, threshold: "0.5"}`, in, hello, ``, "Internal Server Error for good: answered 400 Bad Request"},
	{"10 missing", "demanding", ``, in, hello, ``, "Internal Server Error for good: answered 400 Bad Request"},
	{"14 a prompt to a response processor", "louder", ``, in, hello, ``, "Internal Server Error for good: answered 400 Bad Request"},
	{"14 a response to an input processor", "broken", ``, out, hello, reply1, "Internal Server Error for good: answered 400 Bad Request"},
	{"15 the prompt goes along", "comparer", ``, out, hello, reply1, "tags pairs:1-1"},
	{"15 the prompt is wanted and there is none", "comparer", ``, out, ``, reply1, "tags pairs:0-1"},
	{"18 the stray letter", "rejecter", `{reject: true, annotate: false, code: fAIGW_TIMEOUT, detail: late}`, in, hello, ``, "tags attacks-detected:prompt-injection; rejected AIGW_TIMEOUT: late"},
	{"18 without it", "rejecter", `{reject: true, annotate: false, code: AIGW_TIMEOUT, detail: late}`, in, hello, ``, "tags attacks-detected:prompt-injection; rejected AIGW_TIMEOUT: late"},
	{"18 unknown code, no detail", "rejecter", `{reject: true, annotate: false, code: MINE, detail: ""}`, in, hello, ``, "tags attacks-detected:prompt-injection; rejected MINE: Request rejected by policy"},
	{"20 content array", "annotator", ``, in,
		`{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"data:x"}},{"text":"b","type":"text"}]}]}`, ``,
		`tags # of few shots:two words, extras:none, ids:both, language:en, language:code, prompt:1, texts:a` + "\n" + `b`},
	{"20 content array, left alone", "modifier", `{modify: true}`, in,
		`{"messages":[{"role":"user","content":[{"type":"text","text":"a"}, {"type":"image_url"}]},{"role":"user","content":"my secret"}]}`, ``,
		`now {"messages":[{"role":"user","content":[{"type":"text","text":"a"}, {"type":"image_url"}]},{"content":"my *****","role":"user"}]}`},
	{"20 content array, behind a new message", "modifier", `{modify: true, prepend: true}`, in,
		`{"messages":[{"content":[{"type":"text","text":"a"}], "n": 1.50}]}`, ``,
		`now {"messages":[{"content":"a rule","role":"system"},{"content":[{"type":"text","text":"a"}], "n": 1.50}]}`},
	{"20 content array, changed", "modifier", `{modify: true}`, in,
		`{"messages":[{"role":"user", "content":[{"type":"image_url","image_url":{"url":"data:x"}}, {"type":"text","text":"my secret"}]}]}`, ``,
		`now {"messages":[{"role":"user", "content":[{"type":"image_url","image_url":{"url":"data:x"}}, {"type":"text","text":"my *****"}]}]}`},
	{"20 content array of a response, changed", "louder", `{modify: true}`, out, hello, `{"choices":[{"index":0,"message":{"content":["a"]}}]}`,
		`now {"choices":[{"index":0,"message":{"content":["A"]}}]}`},
	{"20 content array of other parts", "modifier", `{modify: true}`, in, `{"messages":[{"role":"assistant","content":[{"type":"refusal","refusal":"my secret"}]}]}`, ``,
		`now {"messages":[{"role":"assistant","content":[{"type":"refusal","refusal":"my *****"}]}]}`},
	{"20 content array with two texts, changed", "modifier", `{modify: true}`, in, `{"messages":[{"role":"user","content":["my secret", {"text":"is this\nsecret","type":"text"}]}]}`, ``,
		`now {"messages":[{"role":"user","content":["my *****", {"text":"is this\n*****","type":"text"}]}]}`},
	{"20 content array with two texts, made one", "modifier", `{modify: true, word: "\n"}`, in, `{"messages":[{"role":"user","content":["my secret", "is this"]}]}`, ``,
		"Bad Gateway for good: changed a message of which it was shown a simplified copy, and the change cannot be carried over"},
	{"1.4 lone surrogates", "modifier", `{modify: true, word: Hello}`, in, `{"messages":[{"content":"a\ud800b","k\udc00":["\ude00\ud83d"]},{"content":"Hello \ud83d\ude00"}]}`, ``,
		`now {"messages":[{"content":"a\ud800b","k\udc00":["\ude00\ud83d"]},{"content":"***** 😀","role":"user"}]}`},
	{"a number that Python does not read", "modifier", `{modify: true, word: Hello}`, in, `{"messages":[{"content":"a","n":` + strings.Repeat("7", 5000) + `},{"content":"b","n":1e999},{"content":"Hello"}]}`, ``,
		`now {"messages":[{"content":"a","n":` + strings.Repeat("7", 5000) + `},{"content":"b","n":1e999},{"content":"*****","role":"user"}]}`},
	{"the deepest JSON", "nothing", ``, in, `{"messages":[{"content":"a","n":` + strings.Repeat("[", 125) + strings.Repeat("]", 125) + `}]}`, ``, ``},
	{"keys that pydantic has", "modifier", `{modify: true, prepend: true}`, in, `{"messages":[{"content":"a","model_config":1,"__class__":2,"_null":3,"self":4,"":5}]}`, ``,
		`now {"messages":[{"content":"a rule","role":"system"},{"content":"a","role":"user","model_config":1,"__class__":2,"_null":3,"self":4,"":5}]}`},
	{"a choice without a message", "louder", `{modify: true}`, out, hello, `{"choices":[{"index":0},{},{"message":{"content":"x"}}]}`,
		`now {"choices":[{"index":0},{},{"message":{"content":"X","role":"user"}}]}`},
	{"no messages", "nothing", ``, in, `{"messages":[]}`, ``, ``},
	{"19 a part over 1 MiB", "modifier", `{modify: true, word: zz}`, in, `{"messages":[{"role":"user","content":"` + strings.Repeat("y", 1<<21) + `zz"}]}`, ``,
		`now {"messages":[{"content":"` + strings.Repeat("y", 1<<21) + `*****","role":"user"}]}`},
	{"a response made anew keeps what clients need", "rewriter", `{modify: true}`, out, hello,
		`{"choices":[{"finish_reason":"length","index":0,"message":{"content":"a"},"logprobs":null},{"message":{"content":"b"}, "index":1}],"n":1}`,
		`now {"choices":[{"index":0,"finish_reason":"length","message":{"content":"new","role":"assistant"}},{"index":1,"message":{"content":"new","role":"assistant"}}],"n":1}`},
	{"a response made anew beside a choice without a message", "rewriter", `{modify: true}`, out, hello, `{"choices":[{"index":0,"finish_reason":"content_filter"}]}`,
		"Bad Gateway for good: changed a message of which it was shown a simplified copy, and the change cannot be carried over"},
	{"30 the processor says nothing at all", "silent", ``, in, hello, ``, "Bad Gateway: answered 500 Internal Server Error"},
	{"30 the processor fails", "broken", ``, in, hello, ``, "Bad Gateway: answered 500 Internal Server Error"},
	{"no such processor", "absent", ``, in, hello, ``, "Internal Server Error: answered 404 Not Found"},
}

func runConformance(t *testing.T, conf string) {
	for _, c := range conformance {
		t.Run(c.name, func(t *testing.T) {
			p := made(t, c.processor, conf, c.params, c.phase)
			var got string
			if c.phase == in {
				got = ask(t.Context(), t, p, c.prompt)
			} else {
				got = answer(t.Context(), t, p, c.prompt, c.response)
			}
			if got != c.want {
				t.Errorf("got\n%.400s\nwant\n%.400s", got, c.want)
			}
		})
	}
}

func TestConformance(t *testing.T) { runConformance(t, at(pythonServer(t), "")) }

func TestConformanceTLS(t *testing.T) {
	ca := newAuthority(t)
	cert, key := ca.leaf(t, "server")
	runConformance(t, at(securePython(t, "--cert", cert, "--key", key), ", caPath: "+ca.file))
}

func TestConformanceMutualTLS(t *testing.T) {
	ca := newAuthority(t)
	cert, key := ca.leaf(t, "server")
	endpoint := securePython(t, "--cert", cert, "--key", key, "--client-ca", ca.file)
	mine, private := ca.leaf(t, "client")
	runConformance(t, at(endpoint, ", caPath: "+ca.file+", clientCertPath: "+mine+", clientKeyPath: "+private))

	without := made(t, "nothing", at(endpoint, ", caPath: "+ca.file), ``, in)
	if got := ask(t.Context(), t, without, hello); !strings.HasPrefix(got, "Bad Gateway: ") {
		t.Errorf("without a certificate: %s", got)
	}
	stranger := newAuthority(t)
	mine, private = stranger.leaf(t, "client")
	foreign := made(t, "nothing", at(endpoint, ", caPath: "+ca.file+", clientCertPath: "+mine+", clientKeyPath: "+private), ``, in)
	if got := ask(t.Context(), t, foreign, hello); !strings.HasPrefix(got, "Bad Gateway: ") {
		t.Errorf("with the certificate of a stranger: %s", got)
	}
	wrong := made(t, "nothing", at(endpoint, ", caPath: "+stranger.file), ``, in)
	if got := ask(t.Context(), t, wrong, hello); got != "Bad Gateway: has a certificate that is not trusted" {
		t.Errorf("with the wrong CA: %s", got)
	}
}

func TestCheck(t *testing.T) {
	endpoint := pythonServer(t)
	for _, c := range []struct {
		processor, params string
		phase             extprocsvc.Phases
		refused           bool
		want              string
		promptless        bool
	}{
		{"nothing", ``, in, false, "", false},
		{"nothing", ``, out, false, "", false},
		{"louder", ``, out, false, "", true},
		{"comparer", ``, out, false, "", false},
		{"louder", ``, in, true, "it works on responses; use it in responseStages", false},
		{"comparer", ``, in, true, "it works on responses; use it in responseStages", false},
		{"modifier", ``, out, true, "it does not work on responses; use it in inputStages", false},
		{"absent", ``, in, true, "there is no processor test/absent at", false},
		{"demanding", ``, in, true, "does not accept the params: Field required: must", false},
		{"demanding", `{must: x, threshold: 1}`, in, false, "", false},
		{"demanding", `{must: x, modify: "true"}`, in, true, "Input should be a valid boolean: modify", false},
		{"demanding", `{must: [a, b], allow_rewrite: 1}`, in, true, "Input should be a valid string: must", false},
	} {
		p := made(t, c.processor, at(endpoint, ""), c.params, c.phase)
		err := p.Check(t.Context())
		text := ""
		if err != nil {
			text = err.Error()
		}
		if errors.Is(err, extprocsvc.ErrRefused) != c.refused || !strings.Contains(text, c.want) || c.want == "" && text != "" {
			t.Errorf("%s %s: got %q, want %q", c.processor, c.params, text, c.want)
		}
		if p.promptless.Load() != c.promptless {
			t.Errorf("%s: promptless %v", c.processor, !c.promptless)
		}
	}
	// What is not listed is not sent.
	p := made(t, "annotator", at(endpoint, ""), ``, out)
	p.promptless.Store(true)
	if got := answer(t.Context(), t, p, hello, reply1); !strings.Contains(got, "prompt:no") {
		t.Errorf("got %s", got)
	}
}

// TestPython holds the test processors to the parts of the protocol that our
// client never uses, since it is they who vouch for it.
func TestPython(t *testing.T) {
	endpoint := pythonServer(t)
	form := func(parts ...string) (string, string) {
		var b bytes.Buffer
		w := multipart.NewWriter(&b)
		for i := 0; i < len(parts); i += 2 {
			part, err := w.CreatePart(textproto.MIMEHeader{
				"Content-Disposition": {`form-data; name="` + parts[i] + `"`}, "Content-Type": {"application/json"},
			})
			if err == nil {
				_, err = io.WriteString(part, parts[i+1])
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return w.FormDataContentType(), b.String()
	}
	const prompt, answer = `{"messages":[{"content":"x"}]}`, `{"choices":[{"message":{"content":"x"}}]}`
	for _, c := range []struct {
		name, method, path string
		parts              []string
		contentType        string
		status             int
		want               string
	}{
		{"execute by GET", "GET", "execute/test/nothing", nil, "", 405, `{"message": "Only POST requests are supported", "status_code": 405}`},
		{"other command", "GET", "other/test/nothing", nil, "", 404, `{"message": "Not found", "status_code": 404}`},
		{"other method", "PUT", "execute/test/nothing", nil, "", 405, `Method Not Allowed`},
		{"upper case", "GET", "signature/Test/nothing", nil, "", 404, `Not Found`},
		{"HEAD", "HEAD", "any/test/nothing", nil, "", 200, ``},
		{"no content type", "POST", "execute/test/nothing", nil, "", 415, `{"detail": "Content-Type header missing"}`},
		{"other content type", "POST", "execute/test/nothing", nil, "application/json", 415, `{"detail": "Content-Type header mismatch - expecting: multipart/form-data"}`},
		{"no boundary", "POST", "execute/test/nothing", nil, "multipart/form-data", 415, `{"detail": "Content-Type header missing boundary"}`},
		{"12 no metadata", "POST", "execute/test/nothing", []string{"input.messages", prompt}, "", 400, `{"detail": "metadata part is missing"}`},
		{"12 empty metadata", "POST", "execute/test/nothing", []string{"metadata", ``, "input.messages", prompt}, "", 400, `{"detail": "Unable to parse JSON field [metadata]: Expecting value: line 1 column 1 (char 0)"}`},
		{"12 empty metadata in a file", "POST", "execute/test/nothing", []string{`metadata"; filename="m`, ``, "input.messages", prompt}, "", 400, `{"detail": "invalid metadata submitted"}`},
		{"no JSON", "POST", "execute/test/nothing", []string{"metadata", `{}`, "input.messages", `hello`}, "", 400, `{"detail": "Unable to parse JSON field [input.messages]: Expecting value: line 1 column 1 (char 0)"}`},
		{"no JSON in a file", "POST", "execute/test/nothing", []string{"metadata", `{}`, `response.choices"; filename="c`, `{`}, "", 400, `{"detail": "invalid response field submitted"}`},
		{"says nothing", "POST", "execute/test/silent", []string{"metadata", `{}`, "input.messages", prompt}, "", 500, `{"detail": "Processor[Test:Silent] process() method returned None"}`},
		{"12 metadata a string", "POST", "execute/test/nothing", []string{"metadata", `"x"`, "input.messages", prompt}, "", 400, `{"detail": "metadata must be a JSON object"}`},
		{"11 both params", "POST", "execute/test/nothing", []string{"metadata", `{}`, "input.messages", prompt, "input.parameters", `{}`, "response.parameters", `{}`}, "", 400, `{"detail": "response parameters cannot be present with only a input.messages field"}`},
		{"11 both params of a response", "POST", "execute/test/nothing", []string{"metadata", `{}`, "response.choices", answer, "input.parameters", `{}`, "response.parameters", `{}`}, "", 400, `{"detail": "prompt parameters cannot be present with response.choices field"}`},
		{"15 no prompt", "POST", "execute/test/comparer", []string{"metadata", `{}`, "response.choices", answer}, "", 400, `{"detail": "Missing required field for response: input.messages"}`},
		{"20 content array", "POST", "execute/test/nothing", []string{"metadata", `{}`, "input.messages", `{"messages":[{"content":[]}]}`}, "", 400, `{"detail": "invalid prompt field submitted", "messages": ["Input should be a valid string: messages,0,content"]}`},
		{"lone surrogate", "POST", "execute/test/nothing", []string{"metadata", `{}`, "input.messages", `{"messages":[{"content":"a","k":"\ud800"}]}`}, "", 500, `{"detail": "problem executing processor implementation"}`},
		{"10 params a list", "POST", "execute/test/nothing", []string{"metadata", `{}`, "input.messages", prompt, "input.parameters", `[]`}, "", 400, `{"detail": "invalid parameters submitted", "messages": ["Input should be an object"]}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			contentType, body := c.contentType, ""
			if c.parts != nil {
				contentType, body = form(c.parts...)
			}
			r, err := http.NewRequestWithContext(t.Context(), c.method, endpoint+"/api/v1/"+c.path, strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			if contentType != "" {
				r.Header.Set("Content-Type", contentType)
			}
			resp, err := transportOfTests.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = resp.Body.Close() }()
			got, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != c.status || string(got) != c.want {
				t.Errorf("got %d %s, want %d %s", resp.StatusCode, got, c.status, c.want)
			}
		})
	}
	resp, err := transportOfTests.RoundTrip(mustRequest(t, endpoint+"/api/v1/info"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var registry struct {
		APIVersions []string `json:"api_versions"`
		Processors  []struct {
			ID   string `json:"id"`
			Path string `json:"execute_path"`
		} `json:"processors"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&registry); err != nil || len(registry.Processors) == 0 || registry.Processors[0].ID != "Test:Nothing" || registry.Processors[0].Path != "/execute/test/nothing" {
		t.Errorf("%v %+v", err, registry)
	}
}

// transportOfTests keeps no connections.
var transportOfTests = func() *http.Transport {
	t := transport(nil)
	t.DisableKeepAlives = true
	return t
}()

func mustRequest(t *testing.T, url string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
