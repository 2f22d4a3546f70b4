package extprocsvc_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"

	"github.com/attache-dev/attache/extprocsvc"
	"github.com/attache-dev/attache/extprocsvc/extproctest"
)

// wholes has a kind that guards streams, and one that has to see the whole of an
// answer: replier.
var wholes = func() *extprocsvc.Registry {
	var r extprocsvc.Registry
	r.Register(maskKind)
	r.Register(extprocsvc.Kind{
		Name: "replier", Phases: extprocsvc.ResponsePhase, ReadsBody: true,
		New: func(s extprocsvc.Setup) (extprocsvc.Processor, error) {
			f := &replier{}
			return f, s.Params.Decode(f)
		},
	})
	return &r
}()

// Streams whose chain has to see the whole are collected: they come through byte
// by byte but for comments, as a stream of what was made of them, or with the status
// of a refusal.
func TestCollectedStreams(t *testing.T) {
	const (
		both   = `  - {name: s, steps: [{name: p}, {name: w}]}`
		silent = `{name: w, type: replier}`
		sees   = `{name: w, type: replier, params: {reject: true, say: no}}`
	)
	said := []string{": hm\n\n", chat("it is 123-"), chat("45-6789"), chatEnd}
	for _, c := range []struct {
		name, file string
		answer     []string
		want       string // what the client gets
		record     string
	}{
		{"nothing to say", guarded("", `  - {name: s, steps: [{name: w}]}`, silent), said, strings.Join(said[1:], ""), "passed w:passed"},
		{"an incremental step before it", guarded("", both, maskP, silent), said,
			`data: {"id":"c","choices":[{"index":0,"delta":{"content":"it is <SSN>","role":"assistant"},"finish_reason":null}]}` + "\n\n" + chatEnd,
			"passed found:it p:passed w:passed"},
		{"it sees what that has left", guarded("", both, maskP, sees), said,
			`429 {"error":{"message":"no|hi|it is <SSN>","type":"rate_limit_error","code":"AIGW_RATE_LIMIT"},"message":"no|hi|it is <SSN>"}`,
			"rejected AIGW_RATE_LIMIT found:it p:passed w:rejected"},
		{"the choices are replaced", guarded("", `  - {name: s, steps: [{name: w}]}`, `{name: w, type: replier, params: {modify: true, put: '[{"message":{"content":"x"},"finish_reason":"length"}]'}}`), said,
			`data: {"id":"c","choices":[{"index":0,"delta":{"content":"x"},"finish_reason":null}]}` + "\n\n" + `data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"length"}]}` + "\n\ndata: [DONE]\n\n",
			"passed w:passed"},
		{"a stage that tags of an earlier one choose", guarded("", one+"\n  - {name: t, selector: {tags: [\"found:it\"]}, steps: [{name: w}]}", maskP, sees), said,
			`429 {"error":{"message":"no|hi|it is <SSN>","type":"rate_limit_error","code":"AIGW_RATE_LIMIT"},"message":"no|hi|it is <SSN>"}`,
			"rejected AIGW_RATE_LIMIT found:it p:passed w:rejected"},
		{"a stage that they do not choose", guarded("", one+"\n  - {name: t, selector: {tags: [\"found:it\"]}, steps: [{name: w}]}", maskP, sees), []string{chat("a"), chatEnd},
			chat("a") + chatEnd, "passed p:passed"},
		{"what cannot be read", guarded("", both, maskP, silent), []string{chat("a 123-45-6789"), "data: x\n\n", chatEnd},
			`502 {"error":{"message":"the gateway cannot read the model's response","type":"server_error","param":null,"code":"unreadable_response"}}`, "failed unreadable_response"},
		{"an answer that contradicts itself", guarded("", both, maskP, silent), []string{chat("a"), `data: {"choices":[{"index":0,"message":{"content":"123-45-6789"}}]}` + "\n\n"},
			`502 {"error":{"message":"the gateway cannot read the model's response","type":"server_error","param":null,"code":"unreadable_response"}}`, "failed unreadable_response"},
		{"too large", guarded("", both, maskP, silent), strings.SplitAfter(strings.Repeat(chat("a"), 200), "\n\n"),
			`502 {"error":{"message":"the model's response is too large","type":"server_error","param":null,"code":"response_too_large"}}`, "failed response_too_large"},
		{"a failure", guarded("", `  - {name: s, steps: [{name: w}]}`, `{name: w, type: replier, params: {do: fail}}`), said,
			`502 {"error":{"message":"a processor of the gateway failed: w","type":"server_error","param":null,"code":"processor_failed"}}`, "failed processor_failed w:failed"},
		{"a failure that is let pass", guarded("\n  failureMode: failOpen", `  - {name: s, steps: [{name: w}]}`, `{name: w, type: replier, params: {do: fail}}`), said,
			strings.Join(said[1:], ""), "passed w:skipped"},
		{"observed", guarded("\n  mode: observe", both, maskP, sees), said, strings.Join(said, ""), "passed found:it p:passed w:rejected"},
		{"observed, and it cannot be read", guarded("\n  mode: observe", both, maskP, sees), []string{chat("a"), "data: x\n\n"}, chat("a") + "data: x\n\n", "passed"},
		{"it may pass unread", strings.Replace(guarded("", both, maskP, sees), "{profile: q}", "{profile: q, unreadable: pass}", 1), []string{chat("a"), "data: x\n\n"}, chat("a") + "data: x\n\n", "passed unreadable_response"},
	} {
		t.Run(c.name, func(t *testing.T) {
			decided := make(chan string, 1)
			s := start(t, wholes.Build, extprocsvc.Options{MaxBody: 4000, Decided: func(r *extprocsvc.Record) {
				words := append([]string{string(r.Verdict), r.Reason, r.Unread}, r.Tags...)
				for _, st := range r.Steps {
					words = append(words, st.Step+":"+string(st.Verdict))
				}
				if !r.Collected {
					words = append(words, "not collected")
				}
				decided <- strings.Join(strings.Fields(strings.Join(words, " ")), " ")
			}}, c.file)
			for name, f := range readsResponse(s.ref(0)) {
				for _, n := range []int{1, 100, 1 << 20} {
					for _, coding := range []string{"", "gzip", "br"} {
						m := sse(n, c.answer...)
						if coding != "" {
							m = encoded(t, m, coding)
						}
						out, err := f.Do(t.Context(), s.client, with(extproctest.Post(ask), "accept-encoding", "gzip"), m)
						record := <-decided
						got := reaches(out, err)
						if md, _ := out.Metadata[extprocsvc.MetadataNamespace].(map[string]any); md["collected"] != "true" {
							t.Errorf("%s: the metadata are %v", name, md)
						}
						want := c.want
						if coding != "" && out.Client != nil && out.Client.Header.Get("content-encoding") != "" {
							want = m.Body() // it passes as it came
						}
						if got != want {
							t.Errorf("%s, pieces of %d, %s:\ngot  %q\nwant %q", name, n, coding, got, want)
						}
						// Why it was not read is not the same where it passes as it comes.
						if record = strings.TrimSuffix(record, " unreadable_response"); record != strings.TrimSuffix(c.record, " unreadable_response") {
							t.Errorf("%s, pieces of %d, %s: record %q, want %q", name, n, coding, record, c.record)
						}
					}
				}
			}
			until(func() bool { return s.Stats().Open == 0 })
			if st := s.Stats(); st.Held != 0 {
				t.Errorf("%d bytes are still held", st.Held)
			}
		})
	}
}

// In the dialect of the client, and with trailers.
func TestCollectedDialects(t *testing.T) {
	const text = `{"type":"text","text":""}`
	events := []string{
		"event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"type\":\"message\",\"role\":\"assistant\",\"content\":[],\"usage\":{\"input_tokens\":3}}}\n\n",
		"event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":" + text + "}\n\n",
		"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"123-\"}}\n\n",
		"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"45-6789\"}}\n\n",
		"event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
		"event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":5}}\n\n",
		"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
	}
	request := with(extproctest.Post(`{"stream":true,"max_tokens":9,"messages":[{"role":"user","content":"hi"}]}`), ":path", "/v1/messages")
	for _, c := range []struct{ name, step, want string }{
		{"masked", `{name: w, type: replier}`, strings.Join([]string{
			"event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"type\":\"message\",\"role\":\"assistant\",\"content\":[],\"usage\":{\"input_tokens\":3,\"output_tokens\":5},\"stop_reason\":null,\"stop_sequence\":null}}\n\n",
			events[1],
			"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"<SSN>\"}}\n\n",
			events[4],
			"event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":{\"input_tokens\":3,\"output_tokens\":5}}\n\n",
			events[6],
		}, "")},
		{"rejected", `{name: w, type: replier, params: {reject: true, say: no}}`, `429 {"type":"error","error":{"type":"rate_limit_error","message":"no|hi|<SSN>"}}`},
	} {
		s := start(t, wholes.Build, extprocsvc.Options{}, guarded("", `  - {name: s, steps: [{name: p}, {name: w}]}`, maskP, c.step))
		for name, f := range readsResponse(s.ref(0)) {
			for _, trailers := range []extproctest.Header{nil, {{"x", "y"}}} {
				m := sse(50, events...)
				m.Trailers = trailers
				out, err := f.Do(t.Context(), s.client, request, m)
				if got := reaches(out, err); got != c.want {
					t.Errorf("%s, %s:\ngot  %s\nwant %s", c.name, name, got, c.want)
				}
			}
		}
	}
}

// An answer that does not end is not waited for without end. What is only observed
// does not wait at all.
func TestCollectingEnds(t *testing.T) {
	begin := func(t *testing.T, extra string, limit time.Duration, route ...string) (*service, *talk) {
		file := guarded(extra, `  - {name: s, steps: [{name: w}]}`, `{name: w, type: replier}`)
		for _, limit := range route {
			file = strings.Replace(file, "policies: {", "policies: {timeout: {requestTimeout: "+limit+"}, ", 1)
		}
		s := start(t, wholes.Build, extprocsvc.Options{CollectTimeout: limit}, file)
		k := s.begin(t, 0)
		first := headers(extproctest.Post(ask))
		first.ProtocolConfig = &extprocv3.ProtocolConfiguration{RequestBodyMode: extproctest.FullDuplex, ResponseBodyMode: extproctest.FullDuplex}
		k.send(first, chunk(ask, true))
		k.recv()
		k.recv()
		k.send(&extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_ResponseHeaders{
			ResponseHeaders: &extprocv3.HttpHeaders{Headers: sse(1).Header.Map()},
		}})
		return s, k
	}
	part := func(b string, end bool) *extprocv3.ProcessingRequest {
		return &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_ResponseBody{ResponseBody: &extprocv3.HttpBody{Body: []byte(b), EndOfStream: end}}}
	}
	body := func(b string) *extprocv3.ProcessingRequest { return part(b, false) }
	s, k := begin(t, "", time.Millisecond)
	k.send(body(chat("a")))
	got := k.recv().GetImmediateResponse()
	if got.GetStatus().GetCode() != http.StatusGatewayTimeout || !strings.Contains(string(got.GetBody()), `"code":"response_timeout"`) {
		t.Errorf("got %v", got)
	}
	if err := k.end(); err == nil || err.Error() != "EOF" {
		t.Errorf("the stream goes on: %v", err)
	}
	if r := s.Latest(1)[0]; r.Reason != "response_timeout" || !r.Collected {
		t.Errorf("record %+v", r)
	}

	// The timeout of the route counts in its place.
	if _, k = begin(t, "", time.Hour, "1ms"); k.recv().GetImmediateResponse().GetStatus().GetCode() != http.StatusGatewayTimeout {
		t.Error("the route's timeout does not count")
	}
	_, k = begin(t, "", time.Nanosecond, "1h")
	k.send(body(chat("a")), part(chatEnd, true))
	if got := k.recv(); got.GetResponseHeaders() == nil {
		t.Errorf("with an hour for the route: %v", got)
	}

	_, k = begin(t, "\n  mode: observe", time.Millisecond)
	if k.recv().GetResponseHeaders() == nil {
		t.Error("the headers wait")
	}
	for range 3 {
		k.send(body(chat("a")))
		if string(k.recv().GetResponseBody().GetResponse().GetBodyMutation().GetStreamedResponse().GetBody()) != chat("a") {
			t.Error("an event waits")
		}
	}

	// The client goes away meanwhile.
	s, k = begin(t, "", time.Hour)
	k.send(body(chat("a")))
	until(func() bool { return s.Stats().Held > 0 })
	k.cancel()
	until(func() bool { return s.Stats().Open == 0 })
	if held := s.Stats().Held; held != 0 {
		t.Errorf("%d bytes are held", held)
	}
}

// A webhook sees a streamed answer as a whole.
func TestWebhookOnStreams(t *testing.T) {
	asked := make(chan string, 1)
	answers := make(chan string, 1)
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b := new(strings.Builder)
		_, _ = fmt.Fprint(b, r.URL.Path, " ")
		buf := make([]byte, 1<<16)
		n, _ := r.Body.Read(buf)
		b.Write(buf[:n])
		asked <- strings.TrimSpace(b.String())
		fmt.Fprint(w, <-answers)
	}))
	defer hook.Close()
	s := start(t, fakes.Build, extprocsvc.Options{}, guards(`{streaming: Enabled, response: [{webhook: {target: {host: "`+hook.Listener.Addr().String()+`"}}}]}`))
	said := []string{chat("it is 123-"), chat("45-6789"), chatEnd}
	for _, c := range []struct{ answer, want string }{
		{`{"action":{}}`, strings.Join(said, "")},
		{`{"action":{"body":{"choices":[{"message":{"role":"assistant","content":"it is me"}}]}}}`,
			`data: {"id":"c","choices":[{"index":0,"delta":{"content":"it is me","role":"assistant"},"finish_reason":null}]}` + "\n\n" + chatEnd},
		{`{"action":{"body":"no, no","status_code":418}}`, "418 no, no"},
	} {
		answers <- c.answer
		out, err := readsResponse(s.ref(0))["full duplex"].Do(t.Context(), s.client, extproctest.Post(`{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}`), sse(10, said...))
		if got := <-asked; got != `/response {"body":{"choices":[{"message":{"role":"assistant","content":"it is 123-45-6789"}}]}}` {
			t.Errorf("the service was asked %s", got)
		}
		if got := reaches(out, err); got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.answer, got, c.want)
		}
	}
}
