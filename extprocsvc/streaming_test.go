package extprocsvc_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"

	"github.com/attache-dev/attache/extprocsvc"
	"github.com/attache-dev/attache/extprocsvc/extproctest"
	"github.com/attache-dev/attache/extprocsvc/llm"
	"github.com/attache-dev/attache/extprocsvc/pattern"
)

// maskKind is the smallest kind that guards streams: it masks or rejects what its
// patterns match.
var maskKind = extprocsvc.Kind{
	Name: "mask", Phases: extprocsvc.ResponsePhase, ReadsBody: true,
	New: func(s extprocsvc.Setup) (extprocsvc.Processor, error) {
		m := &mask{}
		if err := s.Params.Decode(m); err != nil {
			return nil, err
		}
		var err error
		m.set, err = pattern.Compile([]pattern.Pattern{{Name: "p", Expr: m.Pattern}})
		return m, err
	},
}

var masks = func() *extprocsvc.Registry {
	var r extprocsvc.Registry
	r.Register(maskKind)
	return &r
}()

type mask struct {
	Pattern string `yaml:"pattern"`
	With    string `yaml:"with"`
	Tag     string `yaml:"tag"`
	Stop    bool   `yaml:"stop"`
	// Do is panic, at the first piece, or fail, at the beginning.
	Do  string `yaml:"do"`
	set *pattern.Set
}

func (m *mask) ProcessResponse(_ context.Context, r *extprocsvc.Response) (res extprocsvc.Result, err error) {
	var changes []llm.Change
	for t := range r.Completion.Texts() {
		st := m.set.NewStream()
		first := m.found(st.Write(t.Unquoted(nil)))
		for _, e := range append(first.Edits, m.found(st.Close()).Edits...) {
			res.Tags = []string{"found:it"}
			changes = append(changes, llm.Change{Text: t.Index, From: e.Start, To: e.End, With: e.Text})
		}
	}
	if len(changes) > 0 {
		res.Edits = []llm.Edit{llm.ChangeTexts(changes...)}
	}
	return res, nil
}

func (m *mask) ProcessStream(_ context.Context, r *extprocsvc.Response) (extprocsvc.StreamGuard, error) {
	if m.Do == "fail" {
		return nil, errors.New("no luck")
	}
	if r.Prompt == nil || r.Completion != nil {
		return nil, errors.New("not what was promised")
	}
	return m, nil
}

func (m *mask) Hold() (int, bool) { return m.set.Hold() }

func (m *mask) Text() extprocsvc.TextGuard { return &maskText{m, m.set.NewStream()} }

type maskText struct {
	*mask
	st *pattern.Stream
}

func (m *maskText) Reset()                               { m.st.Reset() }
func (m *maskText) Write(p []byte) extprocsvc.TextResult { return m.at(m.st.Write(p)) }
func (m *maskText) Close() extprocsvc.TextResult         { return m.at(m.st.Close()) }

func (m *maskText) at(matches []pattern.Match) extprocsvc.TextResult {
	r := m.found(matches)
	r.Safe = m.st.Safe()
	return r
}

func (m *mask) found(matches []pattern.Match) (r extprocsvc.TextResult) {
	if m.Do == "panic" {
		panic("a secret")
	}
	for _, f := range matches {
		r.Tags = []string{"found:it"}
		if m.Stop {
			r.Rejection = &extprocsvc.Rejection{Code: extprocsvc.PolicyViolation, Detail: "no numbers"}
			return r
		}
		r.Edits = append(r.Edits, extprocsvc.TextEdit{Start: f.Start, End: f.End, Text: m.With})
	}
	return r
}

// guarded is a file with the response stages of a profile.
func guarded(extra, stages string, processors ...string) string {
	return "processors:\n- " + strings.Join(processors, "\n- ") + `
profiles:
- name: q` + extra + `
  responseStages:
` + stages + `
binds: [{port: 1, listeners: [{routes: [{policies: {extProc: {profile: q}}, backends: [{host: "h:1"}]}]}]}]
`
}

const (
	one   = `  - {name: s, steps: [{name: p}]}`
	ssn   = `'\b\d{3}-\d{2}-\d{4}\b'`
	maskP = `{name: p, type: mask, params: {modify: true, reject: true, pattern: ` + ssn + `, with: "<SSN>"}}`
	stops = `{name: p, type: mask, params: {modify: true, reject: true, stop: true, pattern: ` + ssn + `}}`

	ask = `{"stream":true,"messages":[{"role":"user","content":"hi"}]}`
)

func chat(text string) string {
	return fmt.Sprintf(`data: {"id":"c","choices":[{"index":0,"delta":{"content":%q}}]}`+"\n\n", text)
}

const chatEnd = `data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\ndata: [DONE]\n\n"

// sse is an answer in pieces of n bytes.
func sse(n int, events ...string) extproctest.Message {
	m := extproctest.Message{Header: extproctest.Header{{":status", "200"}, {"content-type", "text/event-stream; charset=utf-8"}}}
	for body := []byte(strings.Join(events, "")); len(body) > 0; {
		k := min(n, len(body))
		m.Chunks = append(m.Chunks, body[:k])
		body = body[k:]
	}
	return m
}

func streamed(ref string) map[string]extproctest.Filter {
	all := readsResponse(ref)
	return map[string]extproctest.Filter{"full duplex": all["full duplex"], "agentgateway": all["agentgateway"]}
}

func TestStreamedAnswers(t *testing.T) {
	const (
		failedP  = `data: {"error":{"message":"a processor of the gateway failed: p","type":"server_error","param":null,"code":"processor_failed"}}` + "\n\n"
		rejects  = `data: {"error":{"message":"no numbers","type":"policy_violation","code":"AIGW_POLICY_VIOLATION"},"message":"no numbers"}` + "\n\n"
		cannot   = `data: {"error":{"message":"the gateway cannot read the model's response","type":"server_error","param":null,"code":"unreadable_response"}}` + "\n\n"
		tooLarge = `data: {"error":{"message":"the model's response is too large","type":"server_error","param":null,"code":"response_too_large"}}` + "\n\n"
		second   = `{name: p2, type: mask, params: {modify: true, pattern: '<SSN>!', with: "[x]"}}`
	)
	anthropic := func(text string) string {
		return fmt.Sprintf("event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":%q}}\n\n", text)
	}
	responses := func(number int, text string) string {
		return fmt.Sprintf("event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"output_index\":0,\"content_index\":0,\"delta\":%q,\"sequence_number\":%d}\n\n", text, number)
	}
	split := []string{chat("I am 123-"), chat("45-67"), chat("89! "), chat("Bye."), chatEnd}
	gone := []string{chat("I am <SSN>"), chat(""), chat("! "), chat("Bye."), chatEnd}
	for _, c := range []struct {
		name, file string
		answer     []string
		want       []string
		record     string
	}{
		{"clean", guarded("", one, maskP), []string{chat("hello"), ": ping\n\n", chatEnd}, []string{chat("hello"), ": ping\n\n", chatEnd}, "passed p:passed"},
		{"masked", guarded("", one, maskP), split, gone, "passed found:it p:passed modified"},
		{"two steps", guarded("", one+"\n  - {name: t, steps: [{name: p2}]}", maskP, second), split,
			[]string{chat("I am [x]"), chat(""), chat(" "), chat("Bye."), chatEnd}, "passed found:it p:passed modified p2:passed modified"},
		{"no right to modify", guarded("", one, strings.Replace(maskP, "modify: true", "modify: false", 1)), split, split, "passed found:it p:passed dropped modify"},
		{"no right to annotate", guarded("", one, strings.Replace(maskP, "modify: true", "modify: true, annotate: false", 1)), split, gone, "passed p:passed modified dropped annotate"},
		{"observed", guarded("", "  - {name: s, steps: [{name: p, mode: observe}]}", maskP), split, split, "passed p:passed modified"},
		{"observed profile", guarded("\n  mode: observe", one, maskP), split, split, "passed found:it p:passed modified"},
		{"observed, unreadable", guarded("\n  mode: observe", one, maskP), []string{chat("a"), "data: x\n\n", chatEnd}, []string{chat("a"), "data: x\n\n", chatEnd}, "passed unreadable_response p:passed"},
		{"observed, unreadable end", guarded("\n  mode: observe", one, maskP), []string{chat("a"), "data: x"}, []string{chat("a"), "data: x"}, "passed unreadable_response p:passed"},
		{"rejected", guarded("", one, stops), append([]string{chat("hello ")}, split...), []string{chat("hello "), rejects}, "rejected AIGW_POLICY_VIOLATION found:it p:rejected"},
		{"rejected, Anthropic", guarded("", one, stops), []string{anthropic("a "), anthropic("123-45-6789 ")},
			[]string{anthropic("a "), "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"no numbers\"}}\n\n"}, "rejected AIGW_POLICY_VIOLATION found:it p:rejected"},
		{"rejected, Responses", guarded("", one, stops), []string{responses(6, "a "), responses(7, "123-"), responses(8, "45-6789 ")},
			[]string{responses(6, "a "), "event: error\ndata: {\"type\":\"error\",\"code\":\"AIGW_POLICY_VIOLATION\",\"message\":\"no numbers\",\"param\":null,\"sequence_number\":7,\"error\":{\"message\":\"no numbers\",\"type\":\"policy_violation\",\"param\":null,\"code\":\"AIGW_POLICY_VIOLATION\"}}\n\n"},
			"rejected AIGW_POLICY_VIOLATION found:it p:rejected"},
		{"no right to reject", guarded("", one, strings.Replace(stops, "reject: true", "reject: false", 1)), split, split, "passed found:it p:passed dropped reject"},
		{"a panic", guarded("", one, strings.Replace(maskP, "with", "do: panic, with", 1)), split, []string{failedP}, "failed processor_failed p:failed"},
		{"a panic that is let pass", guarded("\n  failureMode: failOpen", one, strings.Replace(maskP, "with", "do: panic, with", 1)), split, split, "passed p:skipped"},
		{"a failure that is let pass", guarded("\n  failureMode: failOpen", one, strings.Replace(maskP, "with", "do: fail, with", 1)), split, split, "passed p:skipped"},
		{"no JSON", guarded("", one, maskP), []string{chat("a"), "data: x\n\n", chatEnd}, []string{chat("a"), cannot}, "failed unreadable_response p:passed"},
		{"cut off in an event", guarded("", one, maskP), []string{chat("a"), `data: {"choices":[{"delta":{"content":"123`}, []string{chat("a"), cannot}, "failed unreadable_response p:passed"},
		{"no end", guarded("", one, maskP), []string{chat("a 123-45-6789")}, []string{chat("a <SSN>")}, "passed found:it p:passed modified"},
		{"an event that is too large", guarded("", one, maskP), []string{chat("a"), chat(strings.Repeat("x", 5000))}, []string{chat("a"), tooLarge}, "failed response_too_large p:passed"},
		{"too much that is held", guarded("", one, `{name: p, type: mask, params: {modify: true, pattern: 'wx{1000}x{1000}x{1000}x{1000}y', with: z}}`),
			append([]string{chat("a"), chat("w")}, strings.SplitAfter(strings.Repeat(chat(strings.Repeat("x", 100)), 40), "\n\n")...), []string{chat("a"), tooLarge}, "failed response_too_large p:passed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var record string
			decided := make(chan string, 1)
			s := start(t, masks.Build, extprocsvc.Options{MaxBody: 4000, Decided: func(r *extprocsvc.Record) {
				words := append([]string{string(r.Verdict)}, r.Reason)
				words = append(words, r.Tags...)
				for _, st := range r.Steps {
					words = append(words, st.Step+":"+string(st.Verdict))
					if st.Modified {
						words = append(words, "modified")
					}
					if st.Dropped != 0 {
						words = append(words, "dropped", st.Dropped.String())
					}
				}
				decided <- strings.Join(strings.Fields(strings.Join(words, " ")), " ")
			}}, c.file)
			for name, f := range streamed(s.ref(0)) {
				for _, n := range []int{1, 7, 100, 1 << 20} {
					for _, trailers := range []extproctest.Header{nil, {{"x", "y"}}} {
						m := sse(n, c.answer...)
						m.Trailers = trailers
						if trailers != nil && strings.Contains(strings.Join(c.want, ""), `"error"`) {
							continue
						}
						out, err := f.Do(t.Context(), s.client, with(extproctest.Post(ask), "accept-encoding", "gzip"), m)
						record = <-decided
						if err != nil || out.Client == nil {
							t.Fatalf("%s, pieces of %d: %v %v", name, n, out, err)
						}
						if got, want := out.Client.Body(), strings.Join(c.want, ""); got != want {
							t.Errorf("%s, pieces of %d:\ngot  %s\nwant %s", name, n, got, want)
						}
						if enc := out.Upstream.Header.Get("accept-encoding"); enc != "identity" {
							t.Errorf("the model may answer in %s", enc)
						}
						if record != c.record {
							t.Errorf("%s, pieces of %d: record %q, want %q", name, n, record, c.record)
						}
						if tags := strings.Contains(record, "found:it"); tags != strings.Contains(fmt.Sprint(out.Metadata), "found:it") {
							t.Errorf("metadata %v", out.Metadata)
						}
					}
				}
			}
			if st := s.settled(); st.Held != 0 {
				t.Errorf("%d bytes are still held", st.Held)
			}
		})
	}
}

// What is not guarded as a stream is refused.
func TestStreamsThatAreRefused(t *testing.T) {
	const unread = "the gateway cannot read the model's response"
	encoded := sse(100, chat("a"))
	encoded.Header = append(encoded.Header, [2]string{"content-encoding", "compress"})
	twice := sse(100, chat("a"))
	twice.Header = append(twice.Header, [2]string{"content-type", "application/json"})
	charset := with(sse(100, chat("a")), "content-type", "text/event-stream; charset=utf-16")
	for _, c := range []struct {
		name, file, mode, body string
		answer                 extproctest.Message
		want                   string
	}{
		{"an encoding", guarded("", one, maskP), "full duplex", ask, encoded, failure(502, unread, "unreadable_response")},
		{"two content types", guarded("", one, maskP), "full duplex", ask, twice, failure(502, unread, "unreadable_response")},
		{"another charset", guarded("", one, maskP), "full duplex", ask, charset, failure(502, unread, "unreadable_response")},
		{"a failure at the beginning", guarded("", one, strings.Replace(maskP, "with", "do: fail, with", 1)), "full duplex", ask, sse(100, chat("a")),
			failure(500, "a processor of the gateway failed: p", "processor_failed")},
	} {
		s := start(t, masks.Build, extprocsvc.Options{}, c.file)
		out, err := readsResponse(s.ref(0))[c.mode].Do(t.Context(), s.client, extproctest.Post(c.body), c.answer)
		if err != nil || out.String() != c.want {
			t.Errorf("%s: got %v %v, want %s", c.name, out, err, c.want)
		}
	}
	s := start(t, masks.Build, extprocsvc.Options{}, guarded("", one, maskP))
	f := readsResponse(s.ref(0))["full duplex"]
	m := answer("200", "application/json", completion)
	if out, err := f.Do(t.Context(), s.client, extproctest.Post(ask), m); err != nil || out.Client == nil || out.Client.Body() != m.Body() {
		t.Errorf("got %v %v, want %s", out, err, m.Body())
	}
	// What is no stream of events, whatever it says it is, does not pass.
	lie := answer("200", "text/event-stream", `{"choices":[{"index":0,"message":{"content":"123-45-\u0036789"}}]}`)
	broken := `data: {"error":{"message":"` + unread + `","type":"server_error","param":null,"code":"unreadable_response"}}` + "\n\n"
	if out, err := f.Do(t.Context(), s.client, extproctest.Post(ask), lie); err != nil || out.Client == nil || out.Client.Body() != broken {
		t.Errorf("got %v %v, want %s", out, err, broken)
	}
	for _, media := range []string{"application/json", "application/x-ndjson", "application/jsonl", "multipart/byteranges; boundary=x", "text/plain", "application/vnd.amazon.eventstream", "text/event-stream, text/plain"} {
		want := failure(502, unread, "unreadable_response")
		if out, err := f.Do(t.Context(), s.client, extproctest.Post(ask), answer("206", media, chat("123-45-6789"))); err != nil || out.String() != want {
			t.Errorf("%s: got %v %v, want %s", media, out, err, want)
		}
	}
	if out, err := f.Do(t.Context(), s.client, extproctest.Post(`{"messages":[]}`), sse(100, chat("a 123-45-6789"), chatEnd)); err != nil || out.Client.Body() != chat("a <SSN>")+chatEnd {
		t.Errorf("a stream nobody asked for: %v %v", out.Client, err)
	}
}

func TestUnboundedHoldIsRefused(t *testing.T) {
	_, err := masks.Build(parse(t, guarded("", one, `{name: p, type: mask, params: {modify: true, pattern: 'a.*b', with: x}}`)))
	if err == nil || !strings.Contains(err.Error(), `processor "p" would have to hold texts of streamed answers without a bound`) {
		t.Errorf("got %v", err)
	}
}

// Headers and events leave as soon as they can: nothing waits for what follows
// where no match is possible.
func TestStreamsAreNotDelayed(t *testing.T) {
	s := start(t, masks.Build, extprocsvc.Options{}, guarded("", one, maskP))
	k := s.begin(t, 0)
	both := &extprocv3.ProtocolConfiguration{RequestBodyMode: extproctest.FullDuplex, ResponseBodyMode: extproctest.FullDuplex}
	first := headers(extproctest.Post(ask))
	first.ProtocolConfig = both
	k.send(first, chunk(ask, true))
	k.recv()
	k.recv()
	k.send(&extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_ResponseHeaders{
		ResponseHeaders: &extprocv3.HttpHeaders{Headers: sse(1).Header.Map()},
	}})
	if k.recv().GetResponseHeaders() == nil {
		t.Fatal("the headers wait")
	}
	body := func(b string) {
		k.send(&extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_ResponseBody{ResponseBody: &extprocv3.HttpBody{Body: []byte(b)}}})
	}
	got := func() string {
		return string(k.recv().GetResponseBody().GetResponse().GetBodyMutation().GetStreamedResponse().GetBody())
	}
	for i := range 100 {
		e := chat(fmt.Sprintf("word %d-x, ", i))
		if body(e); got() != e {
			t.Fatal("an event waits")
		}
	}
	// Half an event has no answer, and what may be a match none either.
	e := chat("it is 123-45")
	body(e[:10])
	body(e[10:])
	body(chat("-"))
	body(chat("x"))
	if want := e + chat("-") + chat("x"); got() != want {
		t.Error("held events did not leave together")
	}
	if held := s.Stats().Held; held != 0 {
		t.Errorf("%d bytes are held", held)
	}
	// The upstream is gone in the middle of a match: nothing is left behind.
	body(chat("123-45"))
	until(func() bool { return s.Stats().Held > 0 })
	k.cancel()
	until(func() bool { return s.Stats().Open == 0 })
	if held := s.Stats().Held; held != 0 {
		t.Errorf("%d bytes are held", held)
	}
}
