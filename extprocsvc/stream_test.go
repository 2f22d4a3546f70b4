package extprocsvc_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/attache-dev/attache/extprocsvc"
	"github.com/attache-dev/attache/extprocsvc/extproctest"
)

// fixture has a route with AI settings, one that rewrites, one that does both,
// one that rejects and one that rewrites and fails open.
const fixture = profiles + `
binds:
- port: 3000
  listeners:
  - routes:
    - {name: ai, matches: [{path: {exact: /0}}], backends: [{ai: {provider: {openAI: {model: small}}}}]}
    - {name: rules, matches: [{path: {exact: /1}}], policies: {extProc: {profile: default}}, backends: [{host: "127.0.0.1:1"}]}
    - {name: both, matches: [{path: {exact: /2}}], policies: {extProc: {profile: default}}, backends: [{ai: {provider: {openAI: {model: small}}}}]}
    - {name: stop, matches: [{path: {exact: /3}}], policies: {extProc: {profile: closed}}, backends: [{host: "127.0.0.1:1"}]}
    - {name: open, matches: [{path: {exact: /4}}], policies: {extProc: {profile: default, failureMode: failOpen}}, backends: [{host: "127.0.0.1:1"}]}
`

const (
	ai = iota
	rules
	both
	stop
	open
)

func serve(t testing.TB, o extprocsvc.Options) *service {
	return start(t, extprocsvc.Build, o, fixture)
}

const (
	hi      = `{ "model":"big", "messages":[ {"role":"user","content":"hi"}], "seed":12345678901234567890 }`
	hiBoth  = `{ "model":"small", "messages":[{"role":"system","content":"Be brief."}, {"role":"user","content":"hi"}], "seed":12345678901234567890 }`
	hiSmall = `{ "model":"small", "messages":[ {"role":"user","content":"hi"}], "seed":12345678901234567890 }`
)

func modes(ref string) map[string]extproctest.Filter {
	md := []string{extprocsvc.MetadataKey, ref}
	return map[string]extproctest.Filter{
		"full duplex":                  {Request: extproctest.FullDuplex, Trailers: true, Metadata: md},
		"full duplex, length dropped":  {Request: extproctest.FullDuplex, Trailers: true, DropLength: true, Metadata: md},
		"full duplex both ways":        {Request: extproctest.FullDuplex, Response: extproctest.FullDuplex, SendResponseHeaders: true, Trailers: true, Metadata: md},
		"agentgateway":                 {Request: extproctest.FullDuplex, Response: extproctest.FullDuplex, SendResponseHeaders: true, Trailers: true, Agentgateway: true, Metadata: md},
		"buffered":                     {Request: extproctest.Buffered, Trailers: true, Metadata: md},
		"buffered both ways":           {Request: extproctest.Buffered, Response: extproctest.Buffered, SendResponseHeaders: true, Trailers: true, Metadata: md},
		"full duplex, streamed back":   {Request: extproctest.FullDuplex, Response: extproctest.Streamed, SendResponseHeaders: true, Trailers: true, Metadata: md},
		"full duplex, response header": {Request: extproctest.FullDuplex, SendResponseHeaders: true, Trailers: true, Metadata: md},
	}
}

func TestEveryModeThatReads(t *testing.T) {
	s := serve(t, extprocsvc.Options{})
	for name, f := range modes(s.ref(both)) {
		for _, trailers := range []extproctest.Header{nil, {{"x-sum", "1"}}} {
			t.Run(fmt.Sprintf("%s, %d trailers", name, len(trailers)), func(t *testing.T) {
				m := extproctest.Post(hi)
				m.Trailers = trailers
				out, err := f.Do(t.Context(), s.client, m, ok)
				if err != nil {
					t.Fatal(err)
				}
				if got := out.Upstream.Body(); got != hiBoth {
					t.Errorf("got  %s\nwant %s", got, hiBoth)
				}
				// HTTP/1 drops trailers behind a body with a length.
				want := fmt.Sprint(len(hiBoth))
				if trailers != nil {
					want = ""
				}
				if got := out.Upstream.Header.Get("content-length"); got != want {
					t.Errorf("content-length %q, want %q", got, want)
				}
				if got := out.Client.Body(); got != ok.Body() {
					t.Errorf("response %s", got)
				}
			})
		}
	}
}

// The server ends the stream when the request is answered, so that Envoy does
// not ask about the response; but not in full duplex, where responses would be
// lost, and not with agentgateway, which takes it for a failure.
func TestLeaving(t *testing.T) {
	s := serve(t, extprocsvc.Options{})
	envoy := extproctest.Post(hi)
	agentgateway := extproctest.Post(hi)
	agentgateway.Header = append(agentgateway.Header[4:], agentgateway.Header[:4]...)
	fullDuplex := &extprocv3.ProtocolConfiguration{RequestBodyMode: extproctest.FullDuplex}
	trailers := &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_RequestTrailers{}}
	for _, c := range []struct {
		name     string
		first    extproctest.Message
		protocol *extprocv3.ProtocolConfiguration
		rest     []*extprocv3.ProcessingRequest
		replies  int
		leaves   bool
	}{
		{"full duplex", envoy, fullDuplex, []*extprocv3.ProcessingRequest{chunk(hi, true)}, 2, true},
		{"full duplex, trailers", envoy, fullDuplex, []*extprocv3.ProcessingRequest{chunk(hi, false), trailers}, 3, true},
		{"buffered", envoy, &extprocv3.ProtocolConfiguration{RequestBodyMode: extproctest.Buffered}, []*extprocv3.ProcessingRequest{chunk(hi, true)}, 2, true},
		{"no protocol_config", envoy, nil, []*extprocv3.ProcessingRequest{chunk(hi, true)}, 2, false},
		{"response in full duplex", envoy, &extprocv3.ProtocolConfiguration{RequestBodyMode: extproctest.FullDuplex, ResponseBodyMode: extproctest.FullDuplex}, []*extprocv3.ProcessingRequest{chunk(hi, true)}, 2, false},
		{"response buffered", envoy, &extprocv3.ProtocolConfiguration{RequestBodyMode: extproctest.FullDuplex, ResponseBodyMode: extproctest.Buffered}, []*extprocv3.ProcessingRequest{chunk(hi, true)}, 2, false},
		{"agentgateway", agentgateway, fullDuplex, []*extprocv3.ProcessingRequest{chunk(hi, true)}, 2, false},
	} {
		k := s.begin(t, both)
		first := headers(c.first)
		first.ProtocolConfig = c.protocol
		k.send(append([]*extprocv3.ProcessingRequest{first}, c.rest...)...)
		for range c.replies {
			k.recv()
		}
		if c.leaves {
			if m, err := k.rpc.Recv(); err == nil || err.Error() != "EOF" {
				t.Errorf("%s: got %v, %v; want the end", c.name, m, err)
			}
			continue
		}
		k.send(responseHeaders())
		if k.recv().GetResponseHeaders() == nil {
			t.Errorf("%s: no reply to the response headers", c.name)
		}
		k.cancel()
	}
}

// However a body is cut, what is sent on has the same bytes and the right
// length.
func TestChunksProperty(t *testing.T) {
	s := serve(t, extprocsvc.Options{})
	rng := rand.New(rand.NewPCG(7, 7))
	type route struct {
		n    int
		want func(string) string
	}
	asIs := func(s string) string { return s }
	small := func(s string) string { return strings.Replace(s, `"big"`, `"small"`, 1) }
	ruled := func(s string) string {
		return strings.Replace(s, `"messages":[`, `"messages":[{"role":"system","content":"Be brief."},`, 1)
	}
	routes := []route{{ai, small}, {rules, ruled}, {both, func(s string) string { return ruled(small(s)) }}}
	for i := range 300 {
		r := routes[i%len(routes)]
		body := fmt.Sprintf(`{"model":"big","messages":[{"role":"user","content":%q}],"n":%d}`, strings.Repeat("é😀 x", rng.IntN(1<<rng.IntN(15))), rng.Uint64())
		m := extproctest.Post(body)
		m.Chunks = cut(rng, body)
		if rng.IntN(2) == 0 { // a chunked request
			m.Header = m.Header[:len(m.Header)-1]
		}
		if rng.IntN(3) == 0 {
			m.Trailers = extproctest.Header{{"x", "y"}}
		}
		all := modes(s.ref(r.n))
		names := slices.Sorted(func(yield func(string) bool) {
			for n := range all {
				if !yield(n) {
					return
				}
			}
		})
		name := names[rng.IntN(len(names))]
		out, err := all[name].Do(t.Context(), s.client, m, ok)
		if err != nil {
			t.Fatalf("%s, %d chunks: %v", name, len(m.Chunks), err)
		}
		if got, want := out.Upstream.Body(), r.want(body); got != want {
			t.Fatalf("%s, %d chunks:\ngot  %.200s\nwant %.200s", name, len(m.Chunks), got, want)
		}
		if out.Client.Body() != ok.Body() {
			t.Fatalf("%s: response %s", name, out.Client.Body())
		}
		if r.want(body) == asIs(body) {
			t.Fatal("nothing was changed")
		}
	}
	if held := s.settled().Held; held != 0 {
		t.Errorf("%d bytes are still held", held)
	}
}

// cut cuts a body at random, with empty pieces among them.
func cut(rng *rand.Rand, body string) (chunks [][]byte) {
	for len(body) > 0 {
		n := min(len(body), rng.IntN(1+rng.IntN(len(body)+1)))
		chunks = append(chunks, []byte(body[:n]))
		body = body[n:]
		if len(chunks) > 50 {
			break
		}
	}
	if chunks = append(chunks, []byte(body)); rng.IntN(4) == 0 {
		chunks = append(chunks, nil)
	}
	return chunks
}

func with(m extproctest.Message, header ...string) extproctest.Message {
	for i := 0; i < len(header); i += 2 {
		m.Header = slices.DeleteFunc(slices.Clone(m.Header), func(kv [2]string) bool { return kv[0] == header[i] })
		if header[i+1] != "" {
			m.Header = append(extproctest.Header{{header[i], header[i+1]}}, m.Header...)
		}
	}
	return m
}

func bodyless(m extproctest.Message) extproctest.Message {
	m.Chunks = nil
	return with(m, "content-length", "", "content-type", "")
}

func TestWhatIsRefused(t *testing.T) {
	s := serve(t, extprocsvc.Options{MaxBody: 200})
	const mediaType = "this route accepts bodies of content-type application/json in UTF-8 only"
	for _, c := range []struct {
		name  string
		route int
		m     extproctest.Message
		want  string
	}{
		{"text", ai, with(extproctest.Post(hi), "content-type", "text/plain"), failure(415, mediaType, "unsupported_media_type")},
		{"form", rules, with(extproctest.Post(hi), "content-type", "multipart/form-data; boundary=x"), failure(415, mediaType, "unsupported_media_type")},
		{"nonsense", rules, with(extproctest.Post(hi), "content-type", ";;"), failure(415, mediaType, "unsupported_media_type")},
		{"another charset", rules, with(extproctest.Post(hi), "content-type", "application/json; charset=utf-7"), failure(415, mediaType, "unsupported_media_type")},
		{"an encoding", rules, with(extproctest.Post(hi), "content-encoding", "gzip, compress"), failure(415, "this route accepts the content-encodings gzip, deflate, br and zstd only", "unsupported_content_encoding")},
		{"no gzip", rules, with(extproctest.Post(hi), "content-encoding", "gzip"), failure(400, "the request body is not what its content-encoding says", "invalid_content_encoding")},
		{"gRPC", rules, with(extproctest.Post(hi), "content-type", "application/grpc+proto"), failure(415, "this route does not accept gRPC", "unsupported_media_type")},
		{"upgrade", ai, with(bodyless(extproctest.Post("")), ":method", "GET", "upgrade", "websocket"), failure(415, "this route does not accept upgrades", "unsupported_upgrade")},
		{"CONNECT", rules, with(bodyless(extproctest.Post("")), ":method", "CONNECT"), failure(415, "this route does not accept upgrades", "unsupported_upgrade")},
		{"too large, declared", rules, extproctest.Post(`{"a":"` + strings.Repeat("x", 200) + `"}`), failure(413, "the request body is larger than 200 bytes", "body_too_large")},
		{"too large, chunked", rules, with(extproctest.Post(`{"a":"`+strings.Repeat("x", 200)+`"}`), "content-length", ""), failure(413, "the request body is larger than 200 bytes", "body_too_large")},
		{"no JSON", ai, extproctest.Post(`hello`), failure(400, "the request body cannot be accepted: invalid JSON, expected a value at byte 0", "invalid_json")},
		{"no object", ai, extproctest.Post(`[]`), failure(400, "the request body cannot be accepted: not a JSON object at byte 0", "invalid_json")},
		{"two values for a key", ai, extproctest.Post(`{"model":"a","model":"b"}`), failure(400, "the request body cannot be accepted: duplicate key at byte 13", "invalid_json")},
		{"no messages", rules, extproctest.Post(`{"model":"a"}`), failure(400, "the request body cannot be accepted: messages is missing", "invalid_messages")},
		{"messages of another shape", rules, extproctest.Post(`{"messages":{}}`), failure(400, "the request body cannot be accepted: messages is not a list", "invalid_messages")},
		{"no body, AI", ai, with(bodyless(extproctest.Post("")), ":method", "GET"), failure(400, "this route needs a request with a JSON body", "missing_body")},
		{"empty body, AI", ai, extproctest.Post(""), failure(400, "this route needs a request with a JSON body", "missing_body")},
		{"POST without a body", rules, bodyless(extproctest.Post("")), failure(400, "this route needs a request with a JSON body", "missing_body")},
		{"PUT with an empty body", rules, with(extproctest.Post(""), ":method", "PUT"), failure(400, "this route needs a request with a JSON body", "missing_body")},
		{"empty body, ended by trailers", rules, extproctest.Message{Header: extproctest.Post("").Header[:5], Chunks: [][]byte{nil}, Trailers: extproctest.Header{{"x", "y"}}}, failure(400, "this route needs a request with a JSON body", "missing_body")},
		{"policy, with a body", stop, with(extproctest.Post(hi), "content-type", "text/plain"), rejection("Request rejected by policy")},
		{"policy, without", stop, bodyless(extproctest.Post("")), rejection("Request rejected by policy")},
	} {
		for name, f := range modes(s.ref(c.route)) {
			out, err := f.Do(t.Context(), s.client, c.m, ok)
			if err != nil || out.String() != c.want {
				t.Errorf("%s, %s:\ngot  %v %v\nwant %s", c.name, name, out, err, c.want)
				continue
			}
			body := out.Immediate.GetBody()
			if h := out.Immediate.GetHeaders().GetSetHeaders(); !json.Valid(body) || len(h) != 2 || string(h[0].GetHeader().GetRawValue()) != "application/json" || h[1].GetHeader().GetKey() != extprocsvc.IDHeader {
				t.Errorf("%s: body %s, headers %v", c.name, body, h)
			}
		}
	}
	if st := s.settled(); st.Held != 0 || st.Refusals == 0 || st.Rejections == 0 || st.Errors != 0 {
		t.Errorf("%+v", st)
	}
}

func TestWhatIsAccepted(t *testing.T) {
	s := serve(t, extprocsvc.Options{})
	for _, c := range []struct {
		name  string
		route int
		m     extproctest.Message
		want  string
	}{
		{"parameters and case", ai, with(extproctest.Post(hi), "content-type", "Application/JSON; Charset=\"UTF-8\""), hiSmall},
		{"+json", ai, with(extproctest.Post(hi), "content-type", "application/vnd.api+json"), hiSmall},
		{"no content-type", ai, with(extproctest.Post(hi), "content-type", ""), hiSmall},
		{"identity", ai, with(extproctest.Post(hi), "content-encoding", "Identity"), hiSmall},
		{"another method", ai, with(extproctest.Post(hi), ":method", "DELETE"), hiSmall},
		{"the same model: not one byte changes", ai, extproctest.Post(hiSmall), hiSmall},
		{"no messages, AI", ai, extproctest.Post(`{}`), `{"model":"small"}`},
		{"GET without a body", rules, with(bodyless(extproctest.Post("")), ":method", "GET"), ""},
		{"GET with an empty body", rules, with(extproctest.Post(""), ":method", "GET"), ""},
		{"DELETE without a body", rules, with(bodyless(extproctest.Post("")), ":method", "DELETE"), ""},
	} {
		for name, f := range modes(s.ref(c.route)) {
			out, err := f.Do(t.Context(), s.client, c.m, ok)
			if err != nil || out.String() != "the model gets "+c.want {
				t.Errorf("%s, %s:\ngot  %v %v\nwant %s", c.name, name, out, err, c.want)
			}
		}
	}
}

// A chain that does not read bodies passes them on at once, whatever they are,
// in every mode.
func TestPassingThrough(t *testing.T) {
	s := start(t, fakes.Build, extprocsvc.Options{}, stages("failClosed", `
  - {name: s, steps: [{name: p}]}`, `{name: p, type: blind, params: {tags: ["a:1"]}}`))
	md := duplex(s.ref(0)).Metadata
	big := strings.Repeat("binary\x00\xff", 300_000)
	for _, mode := range []extproctest.Filter{
		{Request: extproctest.None}, {Request: extproctest.Streamed}, {Request: extproctest.Buffered},
		{Request: extproctest.BufferedPartial}, {Request: extproctest.FullDuplex}, {Request: extproctest.FullDuplex, Agentgateway: true},
		{Request: extproctest.Streamed, SkipRequestHeaders: true}, {Request: extproctest.Buffered, SkipRequestHeaders: true},
		{Request: extproctest.FullDuplex, SkipRequestHeaders: true},
	} {
		mode.Metadata = md
		for _, trailers := range []bool{false, true} {
			mode.Trailers = trailers || mode.Request == extproctest.FullDuplex
			m := with(extproctest.Post(big), "content-type", "application/grpc", "upgrade", "websocket")
			for at := range 10 {
				n := len(big) / 10
				m.Chunks = append(m.Chunks[:at:at], []byte(big[at*n:(at+1)*n]))
			}
			if trailers {
				m.Trailers = extproctest.Header{{"x", "y"}}
			}
			out, err := mode.Do(t.Context(), s.client, m, ok)
			if err != nil {
				t.Errorf("%+v: %v", mode, err)
			} else if out.Upstream.Body() != big || out.Client.Body() != ok.Body() {
				t.Errorf("%+v: the body changed", mode)
			}
		}
	}
	if n := s.settled().Held; n != 0 {
		t.Errorf("%d bytes held", n)
	}
}

// hidden begins the message to clients whose request is not shown to us.
const hidden = "the gateway is not shown what it has to read: its ext_proc filter has "

// What the filter does not show us is not let pass.
func TestFiltersThatHideTheBody(t *testing.T) {
	var log lines
	s := serve(t, extprocsvc.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	for _, c := range []struct {
		f    extproctest.Filter
		mode string
	}{
		{extproctest.Filter{Request: extproctest.None}, "request_body_mode NONE"},
		{extproctest.Filter{Request: extproctest.Streamed}, "request_body_mode STREAMED"},
		{extproctest.Filter{Request: extproctest.BufferedPartial}, "request_body_mode BUFFERED_PARTIAL"},
		{extproctest.Filter{Request: extproctest.Buffered, SkipRequestHeaders: true}, "request_header_mode SKIP"},
		{extproctest.Filter{Request: extproctest.FullDuplex, SkipRequestHeaders: true, Trailers: true}, "request_header_mode SKIP"},
	} {
		c.f.Metadata = duplex(s.ref(open)).Metadata
		if _, got := s.do(t, c.f, extproctest.Post(hi)); got != failure(500, hidden+c.mode, "misconfigured") {
			t.Errorf("%+v: %s", c.f, got)
		}
	}
	if n := strings.Count(log.String(), "does not show us"); n != 1 || !strings.Contains(log.String(), `filter="request_body_mode NONE"`) {
		t.Errorf("logged %d times:\n%s", n, log.String())
	}
}

func TestBudget(t *testing.T) {
	s := serve(t, extprocsvc.Options{HeldBudget: int64(len(hi)) + 10})
	first := s.begin(t, ai)
	first.send(headers(extproctest.Post(hi)), chunk(hi[:20], false))
	until(func() bool { return s.Stats().Held == 20 })
	full := failure(503, "too many request bodies are being held; try again later", "overloaded")
	if _, got := s.do(t, duplex(s.ref(ai)), extproctest.Post(hi)); got != full {
		t.Errorf("got %s", got)
	}
	first.send(chunk(hi[20:], true))
	first.recv()
	if m := first.recv(); string(m.GetRequestBody().GetResponse().GetBodyMutation().GetStreamedResponse().GetBody()) != hiSmall {
		t.Errorf("got %v", m)
	}
	first.end()
	if _, got := s.do(t, duplex(s.ref(ai)), extproctest.Post(hi)); got != "the model gets "+hiSmall {
		t.Errorf("after the budget was given back: %s", got)
	}
	if st := s.settled(); st.Held != 0 || st.Errors != 1 {
		t.Errorf("%+v", st)
	}
}

// A talk is a stream that a test leads by hand.
type talk struct {
	t      testing.TB
	rpc    extprocv3.ExternalProcessor_ProcessClient
	cancel context.CancelFunc
}

func (s *service) begin(t testing.TB, route int) *talk {
	t.Helper()
	ctx, cancel := context.WithCancel(metadata.AppendToOutgoingContext(t.Context(), duplex(s.ref(route)).Metadata...))
	rpc, err := s.client.Process(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cancel)
	return &talk{t, rpc, cancel}
}

// send sends messages. Where the server has ended the stream meanwhile, recv and
// end tell how.
func (k *talk) send(ms ...*extprocv3.ProcessingRequest) {
	k.t.Helper()
	for _, m := range ms {
		if err := k.rpc.Send(m); err != nil && !errors.Is(err, io.EOF) {
			k.t.Fatal(err)
		}
	}
}

func (k *talk) recv() *extprocv3.ProcessingResponse {
	k.t.Helper()
	m, err := k.rpc.Recv()
	if err != nil {
		k.t.Fatal(err)
	}
	return m
}

// end half-closes and returns what the server then says.
func (k *talk) end() error {
	k.t.Helper()
	if err := k.rpc.CloseSend(); err != nil {
		k.t.Fatal(err)
	}
	_, err := k.rpc.Recv()
	return err
}

func headers(m extproctest.Message) *extprocv3.ProcessingRequest {
	return &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_RequestHeaders{
		RequestHeaders: &extprocv3.HttpHeaders{Headers: m.Header.Map(), EndOfStream: m.Chunks == nil},
	}}
}

func chunk(body string, end bool) *extprocv3.ProcessingRequest {
	return &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_RequestBody{
		RequestBody: &extprocv3.HttpBody{Body: []byte(body), EndOfStream: end},
	}}
}

func responseHeaders() *extprocv3.ProcessingRequest {
	return &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_ResponseHeaders{
		ResponseHeaders: &extprocv3.HttpHeaders{Headers: ok.Header.Map()},
	}}
}

// An earlier filter of Envoy's answered: the stream begins with the response.
func TestStreamThatBeginsWithTheResponse(t *testing.T) {
	s := serve(t, extprocsvc.Options{})
	k := s.begin(t, both)
	k.send(responseHeaders(), &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_ResponseBody{
		ResponseBody: &extprocv3.HttpBody{Body: []byte("Unauthorized"), EndOfStream: true},
	}})
	if k.recv().GetResponseHeaders() == nil {
		t.Error("no reply to the headers")
	}
	if c := k.recv().GetResponseBody().GetResponse().GetBodyMutation().GetStreamedResponse(); string(c.GetBody()) != "Unauthorized" || !c.GetEndOfStream() {
		t.Errorf("got %v", c)
	}
	if err := k.end(); err == nil || err.Error() != "EOF" {
		t.Error(err)
	}
}

// Envoy itself answered a request whose body we were waiting for.
func TestResponseWhileTheBodyIsHeld(t *testing.T) {
	s := serve(t, extprocsvc.Options{})
	k := s.begin(t, both)
	k.send(headers(extproctest.Post(hi)), chunk(hi[:5], false), responseHeaders())
	if m := k.recv(); m.GetResponseHeaders() == nil {
		t.Errorf("got %v", m)
	}
	if n := s.Stats().Held; n != 0 {
		t.Errorf("%d bytes held", n)
	}
	k.send(chunk(hi[5:], true), &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_RequestTrailers{}})
	if err := k.end(); err == nil || err.Error() != "EOF" {
		t.Errorf("a reply, or %v", err)
	}
}

func TestOddMessages(t *testing.T) {
	s := serve(t, extprocsvc.Options{})
	k := s.begin(t, ai)
	k.send(&extprocv3.ProcessingRequest{}, headers(extproctest.Post(hi)), &extprocv3.ProcessingRequest{}, chunk(hi, true))
	if k.recv().GetRequestHeaders() == nil || k.recv().GetRequestBody() == nil {
		t.Error("a message without content disturbs")
	}
	if err := k.end(); err == nil || err.Error() != "EOF" {
		t.Error(err)
	}

	k = s.begin(t, ai)
	for _, m := range []*extprocv3.ProcessingRequest{headers(extproctest.Post(hi)), chunk("no JSON", true)} {
		m.ObservabilityMode = true
		k.send(m)
	}
	if err := k.end(); err == nil || err.Error() != "EOF" {
		t.Errorf("observability mode: a reply, or %v", err)
	}

	k = s.begin(t, ai)
	k.send(headers(extproctest.Post(hi)), headers(extproctest.Post(hi)))
	if err := k.end(); status.Code(err) != codes.InvalidArgument {
		t.Errorf("headers twice: %v", err)
	}
}

func TestGRPCModeIsEchoedWithItsMarks(t *testing.T) {
	s := start(t, fakes.Build, extprocsvc.Options{}, stages("failClosed", `
  - {name: s, steps: [{name: p}]}`, `{name: p, type: blind}`))
	k := s.begin(t, 0)
	first := headers(extproctest.Post(hi))
	first.ProtocolConfig = &extprocv3.ProtocolConfiguration{RequestBodyMode: 5}
	in := &extprocv3.HttpBody{Body: []byte("x"), EndOfStream: true, EndOfStreamWithoutMessage: true, GrpcMessageCompressed: true}
	k.send(first, &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_RequestBody{RequestBody: in}})
	if got := k.recv().GetRequestHeaders().GetResponse().GetHeaderMutation().GetRemoveHeaders(); !slices.Equal(got, []string{"content-length"}) {
		t.Errorf("removed %v", got)
	}
	out := k.recv().GetRequestBody().GetResponse().GetBodyMutation().GetStreamedResponse()
	if string(out.GetBody()) != "x" || !out.GetEndOfStream() || !out.GetEndOfStreamWithoutMessage() || !out.GetGrpcMessageCompressed() {
		t.Errorf("got %v", out)
	}
}

// The client goes away at every point of the conversation; nothing is kept.
func TestClientGoesAway(t *testing.T) {
	s := serve(t, extprocsvc.Options{})
	parts := []*extprocv3.ProcessingRequest{headers(extproctest.Post(hi)), chunk(hi[:5], false), chunk(hi[5:], true)}
	for n := range len(parts) + 1 {
		for _, abruptly := range []bool{true, false} {
			k := s.begin(t, both)
			k.send(parts[:n]...)
			if n == len(parts) {
				k.recv()
			}
			if abruptly {
				k.cancel()
				for { // the stream is over for us at once
					if _, err := k.rpc.Recv(); err != nil {
						break
					}
				}
			} else if err := k.rpc.CloseSend(); err != nil {
				t.Fatal(err)
			} else {
				for err == nil {
					_, err = k.rpc.Recv()
				}
				if err.Error() != "EOF" {
					t.Errorf("after %d messages: %v", n, err)
				}
			}
		}
	}
	// The server notices a reset a little later.
	if st := s.settled(); st.Held != 0 || st.Errors != 0 {
		t.Errorf("%+v", st)
	}
}

// A processor that waits is told when the client goes away.
func TestClientGoesAwayWhileAStepRuns(t *testing.T) {
	for _, side := range []string{"", "concurrency: parallel, "} {
		s := start(t, fakes.Build, extprocsvc.Options{StepTimeout: 1 << 60}, stages("failOpen", `
  - {name: s, `+side+`steps: [{name: p}, {name: p}]}`, `{name: p, type: fake, params: {do: wait}}`))
		k := s.begin(t, 0)
		k.send(headers(extproctest.Post(hi)), chunk(hi, true))
		until(func() bool { return s.Stats().Held > 0 })
		k.cancel()
		until(func() bool { return s.Stats().Open == 0 })
		if st := s.Stats(); st.Held != 0 || st.Errors != 0 {
			t.Errorf("%+v", st)
		}
	}
}

func TestLargeBodies(t *testing.T) {
	s := serve(t, extprocsvc.Options{})
	body := `{"model":"big","messages":[{"role":"user","content":"` + strings.Repeat("x", 3<<20) + `"}]}`
	for name, f := range modes(s.ref(ai)) {
		m := extproctest.Post(body)
		m.Chunks = nil
		for at := 0; at < len(body); at += 100_000 {
			m.Chunks = append(m.Chunks, []byte(body[at:min(at+100_000, len(body))]))
		}
		if _, got := s.do(t, f, m); got != "the model gets "+strings.Replace(body, `"big"`, `"small"`, 1) {
			t.Errorf("%s: got %.100s", name, got)
		}
	}
}
