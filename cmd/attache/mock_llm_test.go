package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// ask sends a request to a mock and returns the answer.
func ask(t *testing.T, method, path, body string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	newMockLLM(0).ServeHTTP(w, r)
	return w
}

// pick returns what is at a path like "choices.0.message" in JSON.
func pick(t *testing.T, body []byte, path string) any {
	t.Helper()
	var at any
	if err := json.Unmarshal(body, &at); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	for _, step := range strings.Split(path, ".") {
		switch here := at.(type) {
		case map[string]any:
			at = here[step]
		case []any:
			if step != "0" || len(here) == 0 {
				return nil
			}
			at = here[0]
		default:
			return nil
		}
	}
	return at
}

// readStream returns the names and the data of the events of a stream.
func readStream(t *testing.T, body []byte) (names []string, data [][]byte) {
	t.Helper()
	for event := range bytes.SplitSeq(bytes.TrimSuffix(body, []byte("\n\n")), []byte("\n\n")) {
		name := ""
		for line := range bytes.SplitSeq(event, []byte("\n")) {
			if rest, ok := bytes.CutPrefix(line, []byte("event: ")); ok {
				name = string(rest)
			} else if rest, ok := bytes.CutPrefix(line, []byte("data: ")); ok {
				data = append(data, rest)
			} else {
				t.Fatalf("line %q in an event", line)
			}
		}
		names = append(names, name)
	}
	return names, data
}

func TestMockLLMSaysWhatArrived(t *testing.T) {
	for _, test := range []struct{ name, path, body, at, want string }{
		{
			"chat", "/v1/chat/completions",
			`{"model":"m","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"first"},
			  {"role":"assistant","content":null},{"role":"developer","content":"In English."},
			  {"role":"user","content":[{"type":"text","text":"a <b>"},{"type":"image_url","image_url":{}},{"type":"text","text":"& c"}]}]}`,
			"choices.0.message.content", `You said: "a <b> & c". Model: m. System: "Be brief. | In English.".`,
		},
		{
			"completion", "/v1/completions", `{"model":"m","prompt":["one","two"]}`,
			"choices.0.text", `You said: "one two". Model: m. System: "".`,
		},
		{
			"response to a string", "/v1/responses", `{"model":"m","instructions":"Be brief.","input":"hello"}`,
			"output.0.content.0.text", `You said: "hello". Model: m. System: "Be brief.".`,
		},
		{
			"response to items", "/v1/responses",
			`{"model":"m","input":[{"role":"developer","content":"Be brief."},{"role":"user","content":[{"type":"input_text","text":"hello"}]}]}`,
			"output.0.content.0.text", `You said: "hello". Model: m. System: "Be brief.".`,
		},
		{
			"message", "/v1/messages",
			`{"model":"m","max_tokens":9,"system":"Be brief.","messages":[{"role":"user","content":"hello"}]}`,
			"content.0.text", `You said: "hello". Model: m. System: "Be brief.".`,
		},
		{
			"message with blocks", "/v1/messages",
			`{"model":"m","max_tokens":9,"system":[{"type":"text","text":"Be brief."},{"type":"text","text":"In English."}],
			  "messages":[{"role":"user","content":[{"type":"text","text":"hello"}]}]}`,
			"content.0.text", `You said: "hello". Model: m. System: "Be brief. | In English.".`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := ask(t, http.MethodPost, test.path, test.body)
			if w.Code != http.StatusOK {
				t.Fatalf("status %d: %s", w.Code, w.Body)
			}
			if got := pick(t, w.Body.Bytes(), test.at); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// A stream says the same as the whole answer, in several pieces.
func TestMockLLMStreams(t *testing.T) {
	const said = `You said: "hello  you". Model: m. System: "".`
	const chat = `"model":"m","messages":[{"role":"user","content":"hello  you"}],"stream":true`
	words := func(before []string, each string, after ...string) []string {
		for range strings.Count(said, " ") + 1 {
			before = append(before, each)
		}
		return append(before, after...)
	}
	for _, test := range []struct {
		name, path, body string
		at               string // where an event has its piece of the text
		names            []string
		last             string
	}{
		{
			"chat", "/v1/chat/completions", `{` + chat + `}`, "choices.0.delta.content",
			words([]string{""}, "", "", ""), "[DONE]",
		},
		{
			"chat with usage", "/v1/chat/completions", `{` + chat + `,"stream_options":{"include_usage":true}}`, "choices.0.delta.content",
			words([]string{""}, "", "", "", ""), "[DONE]",
		},
		{
			"completion", "/v1/completions", `{"model":"m","prompt":"hello  you","stream":true}`, "choices.0.text",
			words(nil, "", "", ""), "[DONE]",
		},
		{
			"message", "/v1/messages", `{` + chat + `,"max_tokens":9}`, "delta.text",
			words([]string{"message_start", "content_block_start", "ping"}, "content_block_delta", "content_block_stop", "message_delta", "message_stop"),
			`{"type":"message_stop"}`,
		},
		{
			"response", "/v1/responses", `{"model":"m","input":"hello  you","stream":true}`, "delta",
			words([]string{"response.created", "response.in_progress", "response.output_item.added", "response.content_part.added"},
				"response.output_text.delta",
				"response.output_text.done", "response.content_part.done", "response.output_item.done", "response.completed"),
			"",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := ask(t, http.MethodPost, test.path, test.body)
			if got := w.Header().Get("Content-Type"); !strings.HasPrefix(got, "text/event-stream") {
				t.Errorf("content type %q", got)
			}
			names, data := readStream(t, w.Body.Bytes())
			if diff := cmp.Diff(test.names, names); diff != "" {
				t.Error(diff)
			}
			text := ""
			for i, event := range data {
				if string(event) == "[DONE]" {
					continue
				}
				if piece, ok := pick(t, event, test.at).(string); ok {
					text += piece
				}
				if kind := pick(t, event, "type"); names[i] != "" && kind != names[i] {
					t.Errorf("event %q has the type %q", names[i], kind)
				}
			}
			if text != said {
				t.Errorf("got %q, want %q", text, said)
			}
			if last := string(data[len(data)-1]); test.last != "" && last != test.last {
				t.Errorf("ends with %s, want %s", last, test.last)
			}
		})
	}
}

func TestMockLLMUsageInAStream(t *testing.T) {
	w := ask(t, http.MethodPost, "/v1/chat/completions",
		`{"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"one two"}]}`)
	_, data := readStream(t, w.Body.Bytes())
	usage := data[len(data)-2]
	if got := pick(t, usage, "usage.prompt_tokens"); got != 2.0 {
		t.Errorf("prompt_tokens %v in %s", got, usage)
	}
	if choices := pick(t, usage, "choices").([]any); len(choices) != 0 {
		t.Errorf("choices in %s", usage)
	}
	if finish := pick(t, data[len(data)-3], "choices.0.finish_reason"); finish != "stop" {
		t.Errorf("finish_reason %v", finish)
	}
}

func TestMockLLMEmbeddings(t *testing.T) {
	embedding := func(more string) any {
		t.Helper()
		w := ask(t, http.MethodPost, "/v1/embeddings", `{"model":"m","input":["hello"],"dimensions":40`+more+`}`)
		if w.Code != http.StatusOK {
			t.Fatalf("status %d: %s", w.Code, w.Body)
		}
		return pick(t, w.Body.Bytes(), "data.0.embedding")
	}
	vector := embedding("").([]any)
	if len(vector) != 40 {
		t.Errorf("%d dimensions", len(vector))
	}
	length := 0.0
	for _, x := range vector {
		length += x.(float64) * x.(float64)
	}
	if length < 0.999 || length > 1.001 {
		t.Errorf("length %v", length)
	}
	if diff := cmp.Diff(vector, embedding(`,"encoding_format":"float"`)); diff != "" {
		t.Error(diff)
	}
	packed, err := base64.StdEncoding.DecodeString(embedding(`,"encoding_format":"base64"`).(string))
	if err != nil || len(packed) != 4*40 {
		t.Errorf("%d bytes, %v", len(packed), err)
	}
	for _, input := range []string{`"a"`, `["a","b"]`, `[1,2]`, `[[1,2],[3]]`} {
		if w := ask(t, http.MethodPost, "/v1/embeddings", `{"model":"m","input":`+input+`}`); w.Code != http.StatusOK {
			t.Errorf("%s: %s", input, w.Body)
		}
	}
}

func TestMockLLMModels(t *testing.T) {
	w := ask(t, http.MethodGet, "/v1/models", "")
	if got := pick(t, w.Body.Bytes(), "data.0.object"); got != "model" {
		t.Errorf("OpenAI's list: %s", w.Body)
	}
	w = ask(t, http.MethodGet, "/v1/models", "", "Anthropic-Version", "2023-06-01")
	if got := pick(t, w.Body.Bytes(), "data.0.type"); got != "model" {
		t.Errorf("Anthropic's list: %s", w.Body)
	}
	w = ask(t, http.MethodGet, "/v1/models/org/any", "")
	if got := pick(t, w.Body.Bytes(), "id"); got != "org/any" {
		t.Errorf("one model: %s", w.Body)
	}
}

func TestMockLLMErrors(t *testing.T) {
	for _, test := range []struct {
		method, path, body string
		status             int
		message            string
	}{
		{"POST", "/v1/chat/completions", `{`, 400, "the body is not the JSON that is expected: unexpected end of JSON input"},
		{"POST", "/v1/chat/completions", `{} {}`, 400, "the body is not the JSON that is expected: invalid character"},
		{"POST", "/v1/chat/completions", `{}`, 400, "you must provide a model parameter"},
		{"POST", "/v1/chat/completions", `{"model":"m"}`, 400, "messages must not be empty"},
		{"POST", "/v1/chat/completions", `{"model":"m","messages":[{"role":"user","content":7}]}`, 400, "content of message 0: want a string or a list of parts"},
		{"POST", "/v1/completions", `{"prompt":"x"}`, 400, "you must provide a model parameter"},
		{"POST", "/v1/completions", `{"model":"m","prompt":7}`, 400, "want a string, a list of strings or a list of tokens"},
		{"POST", "/v1/embeddings", `{"input":"x"}`, 400, "you must provide a model parameter"},
		{"POST", "/v1/embeddings", `{"model":"m"}`, 400, "want a string, a list of strings or a list of tokens"},
		{"POST", "/v1/embeddings", `{"model":"m","input":"x","dimensions":5000}`, 400, "dimensions: want 1 to 4096"},
		{"POST", "/v1/embeddings", `{"model":"m","input":"x","encoding_format":"hex"}`, 400, "encoding_format: want float or base64"},
		{"POST", "/v1/responses", `{}`, 400, "you must provide a model parameter"},
		{"POST", "/v1/responses", `{"model":"m"}`, 400, "input: want a string or a list of items"},
		{"POST", "/v1/messages", `{"max_tokens":1}`, 400, "model: field required"},
		{"POST", "/v1/messages", `{"model":"m","max_tokens":1}`, 400, "messages: at least one message is required"},
		{"POST", "/v1/messages", `{"model":"m","messages":[{"role":"user","content":"x"}]}`, 400, "max_tokens: field required"},
		{"POST", "/v1/messages", `{"model":"m","max_tokens":1,"system":7,"messages":[{"role":"user","content":"x"}]}`, 400, "system: want a string or a list of parts"},
		{"GET", "/v1/chat/completions", ``, 405, "/v1/chat/completions takes POST, not GET"},
		{"POST", "/v1/models", ``, 405, "/v1/models takes GET, not POST"},
		{"GET", "/v1/models/", ``, 404, "no model is named in /v1/models/"},
		{"GET", "/v2", ``, 404, "unknown request URL: GET /v2"},
	} {
		w := ask(t, test.method, test.path, test.body)
		message, _ := pick(t, w.Body.Bytes(), "error.message").(string)
		if w.Code != test.status || !strings.HasPrefix(message, test.message) {
			t.Errorf("%s %s %s: %d %q, want %d %q", test.method, test.path, test.body, w.Code, message, test.status, test.message)
		}
		kind := pick(t, w.Body.Bytes(), "type")
		if anthropic := strings.HasPrefix(test.path, "/v1/messages"); (kind == "error") != anthropic {
			t.Errorf("%s: the error has the wrong shape: %s", test.path, w.Body)
		}
		if allow := w.Header().Get("Allow"); (allow != "") != (test.status == http.StatusMethodNotAllowed) {
			t.Errorf("%s: Allow is %q", test.path, allow)
		}
	}
}

func TestMockLLMBodyIsBounded(t *testing.T) {
	r := httptest.NewRequest(http.MethodPost, "/v1/messages", strings.NewReader(strings.Repeat(" ", 101)))
	w := httptest.NewRecorder()
	(&mock{maxBody: 100}).handler().ServeHTTP(w, r)
	if got := pick(t, w.Body.Bytes(), "error.type"); w.Code != http.StatusRequestEntityTooLarge || got != "request_too_large" {
		t.Errorf("status %d, %s", w.Code, w.Body)
	}
}

func TestMockLLMHeaders(t *testing.T) {
	told := func(headers ...string) string {
		w := ask(t, http.MethodGet, "/v1/models?x=1", "", headers...)
		if answer := fmt.Sprint(w.Header(), w.Body); strings.Contains(answer, "secret") {
			t.Errorf("a secret was echoed: %s", answer)
		}
		return strings.Join([]string{
			w.Header().Get("x-mock-host"), w.Header().Get("x-mock-path"),
			w.Header().Get("x-mock-authorization"), w.Header().Get("x-mock-api-key"), w.Header().Get("x-mock-credential-sha256"),
		}, " ")
	}
	for _, test := range []struct {
		headers []string
		want    string
	}{
		{nil, "example.com /v1/models?x=1 absent absent "},
		{[]string{"Authorization", "Bearer secret"}, "example.com /v1/models?x=1 present absent bffde204"},
		{[]string{"X-Api-Key", "Bearer secret"}, "example.com /v1/models?x=1 absent present bffde204"},
	} {
		if got := told(test.headers...); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}

func TestMockLLMDelay(t *testing.T) {
	const body = `{"model":"m","prompt":"x","stream":true}`
	request := func(ctx context.Context) *http.Request {
		return httptest.NewRequestWithContext(ctx, http.MethodPost, "/v1/completions", strings.NewReader(body))
	}
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		w := httptest.NewRecorder()
		newMockLLM(time.Second).ServeHTTP(w, request(t.Context()))
		_, data := readStream(t, w.Body.Bytes())
		if got := time.Since(start); got != time.Duration(len(data))*time.Second {
			t.Errorf("%d events took %s", len(data), got)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		start := time.Now()
		newMockLLM(time.Second).ServeHTTP(httptest.NewRecorder(), request(ctx))
		if got := time.Since(start); got != 1500*time.Millisecond {
			t.Errorf("after the client had gone the stream went on until %s", got)
		}
	})
}

func TestMockLLMCommand(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	stderr, writes := io.Pipe()
	ended := make(chan int, 1)
	go func() { ended <- mockLLM(ctx, []string{"--addr", "127.0.0.1:0"}, io.Discard, writes) }()
	line, err := bufio.NewReader(stderr).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	match := regexp.MustCompile(`^attache: mock-llm listens on (127\.0\.0\.1:[1-9]\d*)\n$`).FindStringSubmatch(line)
	if match == nil {
		t.Fatalf("said %q", line)
	}
	response, err := http.Get("http://" + match[1] + "/v1/models")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Errorf("status %s", response.Status)
	}
	stop()
	if code := <-ended; code != exitGood {
		t.Errorf("exit code %d", code)
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestMockLLMCommandFails(t *testing.T) {
	for _, test := range []struct {
		args []string
		want int
	}{
		{[]string{"--nonsense"}, exitUsage},
		{[]string{"argument"}, exitUsage},
		{[]string{"--delay", "-1s"}, exitUsage},
		{[]string{"--addr", "256.0.0.1:0"}, exitFailure},
		{[]string{"-h"}, exitGood},
	} {
		if code := mockLLM(t.Context(), test.args, io.Discard, io.Discard); code != test.want {
			t.Errorf("%q: exit code %d, want %d", test.args, code, test.want)
		}
	}
}
