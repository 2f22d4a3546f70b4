package extprocsvc_test

import (
	"strings"
	"testing"

	"github.com/attache-dev/attache/extprocsvc"
	"github.com/attache-dev/attache/extprocsvc/extproctest"
)

// replies is a file whose profile has these response stages.
func replies(extra, stages string, processors ...string) string {
	return "processors:\n- " + strings.Join(processors, "\n- ") + `
profiles:
- name: q` + extra + `
  inputStages: [{name: in, steps: [{name: tag}]}]
  responseStages:
` + stages + `
binds: [{port: 1, listeners: [{routes: [{policies: {extProc: {profile: q}}, backends: [{host: "h:1"}]}]}]}]
`
}

func readsResponse(ref string) map[string]extproctest.Filter {
	md := []string{extprocsvc.MetadataKey, ref}
	return map[string]extproctest.Filter{
		"full duplex":       {Request: extproctest.FullDuplex, Response: extproctest.FullDuplex, SendResponseHeaders: true, Trailers: true, Metadata: md},
		"agentgateway":      {Request: extproctest.FullDuplex, Response: extproctest.FullDuplex, SendResponseHeaders: true, Trailers: true, Agentgateway: true, Metadata: md},
		"buffered":          {Request: extproctest.Buffered, Response: extproctest.Buffered, SendResponseHeaders: true, Trailers: true, Metadata: md},
		"buffered response": {Request: extproctest.FullDuplex, Response: extproctest.Buffered, SendResponseHeaders: true, Trailers: true, Metadata: md},
	}
}

// reaches is what reaches the client, or why nothing does.
func reaches(out extproctest.Outcome, err error) string {
	switch {
	case err != nil:
		return err.Error()
	case out.Immediate != nil:
		return strings.TrimPrefix(out.String(), "the client gets ")
	}
	return out.Client.Body()
}

const completion = `{"id":"1","choices":[{"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}],"usage":{"n":1e5}}`

func answer(status, contentType, body string) extproctest.Message {
	return extproctest.Message{
		Header: extproctest.Header{{":status", status}, {"content-type", contentType}},
		Chunks: [][]byte{[]byte(body[:len(body)/2]), []byte(body[len(body)/2:])},
	}
}

func TestResponseStages(t *testing.T) {
	const tag = `{name: tag, type: fake, params: {tags: ["in:1"]}}`
	for _, c := range []struct {
		name, file string
		answer     extproctest.Message
		want       string // what the client gets
	}{
		{
			"nothing to say", replies("", `
  - {name: s, steps: [{name: p}]}`, tag, `{name: p, type: replier, params: {tags: ["a:b"]}}`),
			answer("200", "application/json", completion), completion,
		},
		{
			"choices replaced, the rest stays", replies("", `
  - {name: s, steps: [{name: p}]}`, tag, `{name: p, type: replier, params: {modify: true, put: '[{"message":{"content":"x"}}]'}}`),
			answer("200", "application/json", completion), `{"id":"1","choices":[{"message":{"content":"x"}}],"usage":{"n":1e5}}`,
		},
		{
			"without the right", replies("", `
  - {name: s, steps: [{name: p}]}`, tag, `{name: p, type: replier, params: {put: '[]'}}`),
			answer("200", "application/json", completion), completion,
		},
		{
			"a later step sees what an earlier one left, and the prompt", replies("", `
  - {name: s, steps: [{name: p}, {name: say}]}`, tag, `{name: p, type: replier, params: {modify: true, put: '[{"message":{"content":"x"}}]'}}`,
				`{name: say, type: replier, params: {reject: true, say: no}}`),
			answer("200", "application/json", completion),
			`429 {"error":{"message":"no|hi|x","type":"rate_limit_error","code":"AIGW_RATE_LIMIT"},"message":"no|hi|x"}`,
		},
		{
			"tags of the request select", replies("", `
  - {name: s, selector: {tags: ["in:2"]}, steps: [{name: say}]}
  - {name: u, selector: {tags: ["in:1"]}, steps: [{name: p}]}`, tag, `{name: p, type: replier, params: {modify: true, put: '[]'}}`,
				`{name: say, type: replier, params: {reject: true, say: no}}`),
			answer("200", "application/json", completion), `{"id":"1","choices":[],"usage":{"n":1e5}}`,
		},
		{
			"a replacement that is no list", replies("", `
  - {name: s, steps: [{name: p}]}`, tag, `{name: p, type: replier, params: {modify: true, put: '[],"usage":1'}}`),
			answer("200", "application/json", completion),
			`502 {"error":{"message":"a processor of the gateway failed: p","type":"server_error","param":null,"code":"processor_failed"}}`,
		},
		{
			"a failure, by its status", replies("", `
  - {name: s, steps: [{name: p}]}`, tag, `{name: p, type: replier, params: {do: fail}}`),
			answer("200", "application/json", completion),
			`502 {"error":{"message":"a processor of the gateway failed: p","type":"server_error","param":null,"code":"processor_failed"}}`,
		},
		{
			"too late", replies("", `
  - {name: s, steps: [{name: p, timeout: 1ms}]}`, tag, `{name: p, type: replier, params: {do: wait}}`),
			answer("200", "application/json", completion),
			`504 {"error":{"message":"a processor of the gateway took too long: p","type":"server_error","param":null,"code":"processor_timeout"}}`,
		},
		{
			"a processor that fails open", replies("", `
  - {name: s, steps: [{name: p}]}`, tag, `{name: p, type: replier, failureMode: failOpen, params: {do: fail}}`),
			answer("200", "application/json", completion), completion,
		},
		{
			"a profile that fails open", replies("\n  failureMode: failOpen", `
  - {name: s, steps: [{name: p}]}`, tag, `{name: p, type: replier, params: {do: fail}}`),
			answer("200", "application/json", completion), completion,
		},
		{
			"a step that is observed", replies("", `
  - {name: s, steps: [{name: p, mode: observe}, {name: say, mode: observe}]}`, tag, `{name: p, type: replier, params: {modify: true, put: '[]'}}`,
				`{name: say, type: replier, params: {reject: true, say: no}}`),
			answer("200", "application/json", completion), completion,
		},
		{
			"a profile that is observed", replies("\n  mode: observe", `
  - {name: s, steps: [{name: p}, {name: say}]}`, tag, `{name: p, type: replier, params: {modify: true, put: '[]'}}`,
				`{name: say, type: replier, params: {reject: true, say: no}}`),
			answer("200", "application/json", completion), completion,
		},
		{
			"observed: what cannot be read passes", replies("\n  mode: observe", `
  - {name: s, steps: [{name: say}]}`, tag, `{name: say, type: replier, params: {reject: true, say: no}}`),
			answer("200", "text/event-stream", "data: [DONE]\n\n"), "data: [DONE]\n\n",
		},
		{
			"errors of the model pass", replies("", `
  - {name: s, steps: [{name: say}]}`, tag, `{name: say, type: replier, params: {reject: true, say: no}}`),
			answer("500", "text/plain", "oops!"), "oops!",
		},
		{
			"a stream of nothing", replies("", `
  - {name: s, steps: [{name: p}]}`, tag, `{name: p, type: replier}`),
			answer("200", "text/event-stream", "data: [DONE]\n\n"),
			`502 {"error":{"message":"the gateway cannot read the model's response","type":"server_error","param":null,"code":"unreadable_response"}}`,
		},
		{
			"no JSON", replies("", `
  - {name: s, steps: [{name: p}]}`, tag, `{name: p, type: replier}`),
			answer("200", "application/json", "oops!"),
			`502 {"error":{"message":"the gateway cannot read the model's response","type":"server_error","param":null,"code":"unreadable_response"}}`,
		},
		{
			"no choices", replies("", `
  - {name: s, steps: [{name: p}]}`, tag, `{name: p, type: replier}`),
			answer("200", "application/json", `{"a":1}`),
			`502 {"error":{"message":"the gateway cannot read the model's response","type":"server_error","param":null,"code":"unreadable_response"}}`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := start(t, fakes.Build, extprocsvc.Options{}, c.file)
			for name, f := range readsResponse(s.ref(0)) {
				m := with(extproctest.Post(`{"messages":[{"role":"user","content":"hi"}]}`), "accept-encoding", "gzip")
				out, err := f.Do(t.Context(), s.client, m, c.answer)
				got := reaches(out, err)
				if out.Client != nil {
					if enc := out.Upstream.Header.Get("accept-encoding"); enc != "identity" {
						t.Errorf("%s: the model may answer in %s", name, enc)
					}
				}
				if got != c.want {
					t.Errorf("%s:\ngot  %s\nwant %s", name, got, c.want)
				}
			}
			if st := s.settled(); st.Held != 0 {
				t.Errorf("%d bytes are still held", st.Held)
			}
		})
	}
}

func TestResponseStagesNeedToSeeEverything(t *testing.T) {
	s := start(t, fakes.Build, extprocsvc.Options{MaxBody: 200}, replies("", `
  - {name: s, steps: [{name: p}]}`, `{name: tag, type: fake}`, `{name: p, type: replier}`))
	full := readsResponse(s.ref(0))["full duplex"]
	blind := full
	blind.Response, blind.SendResponseHeaders = extproctest.None, false
	headless := full
	headless.SendResponseHeaders = false
	headlessBuffered := headless
	headlessBuffered.Response = extproctest.Buffered
	large := answer("200", "application/json", completion+strings.Repeat(" ", 200))
	for _, c := range []struct {
		name   string
		f      extproctest.Filter
		body   string
		answer extproctest.Message
		want   string
	}{
		{"no response headers", headless, `{"messages":[]}`, ok, failure(500, hidden+"response_header_mode SKIP", "misconfigured")},
		{"no response headers, buffered", headlessBuffered, `{"messages":[]}`, ok, failure(500, hidden+"response_header_mode SKIP", "misconfigured")},
		{"no response body", blind, `{"messages":[]}`, ok, failure(500, hidden+"response_body_mode NONE", "misconfigured")},
		{"too large", full, `{"messages":[]}`, large, failure(502, "the model's response is too large", "response_too_large")},
	} {
		if out, err := c.f.Do(t.Context(), s.client, extproctest.Post(c.body), c.answer); err != nil || out.String() != c.want {
			t.Errorf("%s: got %v %v, want %s", c.name, out, err, c.want)
		}
	}
}

// A response with trailers has no content-length; neither has what we make of
// it.
func TestResponseTrailers(t *testing.T) {
	s := start(t, fakes.Build, extprocsvc.Options{}, replies("", `
  - {name: s, steps: [{name: p}]}`, `{name: tag, type: fake}`, `{name: p, type: replier, params: {modify: true, put: '[]'}}`))
	m := answer("200", "application/json", completion)
	m.Trailers = extproctest.Header{{"x", "y"}}
	for name, f := range readsResponse(s.ref(0)) {
		out, err := f.Do(t.Context(), s.client, extproctest.Post(`{"messages":[]}`), m)
		if err != nil || out.Client == nil || out.Client.Body() != `{"id":"1","choices":[],"usage":{"n":1e5}}` || out.Client.Header.Get("content-length") != "" {
			t.Errorf("%s: %+v %v", name, out, err)
		}
	}
}

// The timeout of a route bounds what is done with its request. Envoy bounds the
// time that an answer takes, and each step has a deadline of its own.
func TestResponseStepsOutliveTheRoutesTimeout(t *testing.T) {
	s := start(t, extprocsvc.Build, extprocsvc.Options{}, `
processors: [{name: d, type: data-security, params: {modify: true, action: mask, matchers: [email]}}]
profiles: [{name: e, responseStages: [{name: s, steps: [{name: d}]}]}]
binds: [{port: 1, listeners: [{routes: [{policies: {extProc: {profile: e}, timeout: {requestTimeout: 1us}}, backends: [{host: "h:1"}]}]}]}]
`)
	const said = `{"choices":[{"index":0,"message":{"role":"assistant","content":"ada@example.com"}}]}`
	for name, f := range readsResponse(s.ref(0)) {
		out, err := f.Do(t.Context(), s.client, extproctest.Post(`{"messages":[]}`), answer("200", "application/json", said))
		if got, want := reaches(out, err), strings.Replace(said, "ada@example.com", "<EMAIL_ADDRESS>", 1); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}
