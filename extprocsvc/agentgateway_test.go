package extprocsvc_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	extprocfilterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/attache-dev/attache/config"
	"github.com/attache-dev/attache/extprocsvc"
	"github.com/attache-dev/attache/extprocsvc/extproctest"
)

// An agentgateway speaks ext_proc as that gateway does: what it sends, in which
// order, and what it makes of the answers. The sources are its releases v0.10 and
// v1.4.
type agentgateway struct {
	// old is v0.10: it tells neither modes nor attributes, and knows full duplex
	// only.
	old bool
	// request and response are processingOptions.requestBodyMode and so on.
	request, response extprocfilterv3.ProcessingMode_BodySendMode
	// skipRequestHeaders and skipResponseHeaders are header modes.
	skipRequestHeaders, skipResponseHeaders bool
	// emptyLast ends bodies with an empty chunk of their own.
	emptyLast bool
	profile   string
}

func (g agentgateway) String() string {
	return fmt.Sprintf("old %v, %v/%v, skip %v/%v, empty last %v", g.old, g.request, g.response, g.skipRequestHeaders, g.skipResponseHeaders, g.emptyLast)
}

// errEnded is what a clean close of the server is to it.
var errEnded = errors.New("ext_proc failed: no more response messages")

// A call of it is one HTTP request.
type gatewayCall struct {
	agentgateway
	rpc       extprocv3.ExternalProcessor_ProcessClient
	begun     bool
	replies   map[bool]chan *extprocv3.ProcessingResponse // of requests: false, of responses: true
	immediate *extprocv3.ImmediateResponse
}

// do sends a request and the response of the model through the server. It returns
// what the model and what the client got, or the server's own answer.
func (g agentgateway) do(ctx context.Context, client extprocv3.ExternalProcessorClient, request, response extproctest.Message) (model, back extproctest.Message, immediate *extprocv3.ImmediateResponse, err error) {
	ctx, cancel := context.WithCancel(metadata.AppendToOutgoingContext(ctx, extprocsvc.ProfileKey, g.profile))
	rpc, err := client.Process(ctx)
	if err != nil {
		cancel()
		return model, back, nil, err
	}
	c := &gatewayCall{agentgateway: g, rpc: rpc, replies: map[bool]chan *extprocv3.ProcessingResponse{
		false: make(chan *extprocv3.ProcessingResponse, 100), true: make(chan *extprocv3.ProcessingResponse, 100),
	}}
	finished := make(chan struct{})
	go c.receive(finished)
	defer func() { cancel(); <-finished }()

	if model, err = c.pass(false, request, g.request, g.skipRequestHeaders); err != nil || c.immediate != nil {
		return model, back, c.immediate, err
	}
	back, err = c.pass(true, response, g.response, g.skipResponseHeaders)
	return model, back, c.immediate, err
}

// receive sorts the answers by their kind; an immediate one is for both.
func (c *gatewayCall) receive(finished chan<- struct{}) {
	defer close(finished)
	for {
		m, err := c.rpc.Recv()
		if err != nil { // a clean end, io.EOF, is no better than any other
			close(c.replies[false])
			close(c.replies[true])
			return
		}
		switch m.Response.(type) {
		case *extprocv3.ProcessingResponse_RequestHeaders, *extprocv3.ProcessingResponse_RequestBody, *extprocv3.ProcessingResponse_RequestTrailers:
			c.replies[false] <- m
		case *extprocv3.ProcessingResponse_ResponseHeaders, *extprocv3.ProcessingResponse_ResponseBody, *extprocv3.ProcessingResponse_ResponseTrailers:
			c.replies[true] <- m
		default:
			c.replies[false] <- m
			c.replies[true] <- m
		}
	}
}

// next is the next answer of a kind; nil with an immediate one.
func (c *gatewayCall) next(response bool) (*extprocv3.ProcessingResponse, error) {
	m, ok := <-c.replies[response]
	if !ok {
		return nil, errEnded
	}
	if i := m.GetImmediateResponse(); i != nil {
		c.immediate = i
		return nil, nil
	}
	return m, nil
}

func (c *gatewayCall) send(m *extprocv3.ProcessingRequest) error {
	if !c.begun && !c.old {
		m.ProtocolConfig = &extprocv3.ProtocolConfiguration{RequestBodyMode: c.request, ResponseBodyMode: c.response}
		m.Attributes = map[string]*structpb.Struct{"envoy.filters.http.ext_proc": {}}
		m.MetadataContext = &corev3.Metadata{FilterMetadata: map[string]*structpb.Struct{"mine": {}}}
	}
	c.begun = true
	if err := c.rpc.Send(m); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// shown are headers as it sends them: raw and in order, the pseudo headers last
// and as strings.
func shown(h extproctest.Header, end bool) *extprocv3.HttpHeaders {
	m := &corev3.HeaderMap{}
	var pseudo []*corev3.HeaderValue
	for _, kv := range h {
		if strings.HasPrefix(kv[0], ":") {
			pseudo = append(pseudo, &corev3.HeaderValue{Key: kv[0], Value: kv[1]})
		} else {
			m.Headers = append(m.Headers, &corev3.HeaderValue{Key: kv[0], RawValue: []byte(kv[1])})
		}
	}
	m.Headers = append(m.Headers, pseudo...)
	return &extprocv3.HttpHeaders{Headers: m, EndOfStream: end}
}

// pass sends one direction through.
func (c *gatewayCall) pass(response bool, in extproctest.Message, mode extprocfilterv3.ProcessingMode_BodySendMode, skip bool) (out extproctest.Message, err error) {
	wrapHeaders := func(h *extprocv3.HttpHeaders) *extprocv3.ProcessingRequest {
		if response {
			return &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_ResponseHeaders{ResponseHeaders: h}}
		}
		return &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_RequestHeaders{RequestHeaders: h}}
	}
	wrapBody := func(body []byte, end bool) *extprocv3.ProcessingRequest {
		b := &extprocv3.HttpBody{Body: body, EndOfStream: end}
		if response {
			return &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_ResponseBody{ResponseBody: b}}
		}
		return &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_RequestBody{RequestBody: b}}
	}
	trailers := func() *extprocv3.ProcessingRequest {
		if response {
			return &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_ResponseTrailers{ResponseTrailers: &extprocv3.HttpTrailers{}}}
		}
		return &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_RequestTrailers{RequestTrailers: &extprocv3.HttpTrailers{}}}
	}
	out.Header = slices.Clone(in.Header)
	whole := bytes.Join(in.Chunks, nil)
	const full, buffered = extproctest.FullDuplex, extproctest.Buffered
	if in.Chunks != nil && (mode == full || mode == extproctest.BufferedPartial || mode == buffered && skip) {
		out.Header = slices.DeleteFunc(out.Header, func(kv [2]string) bool { return kv[0] == "content-length" })
	}
	if !skip {
		if err := c.send(wrapHeaders(shown(in.Header, in.Chunks == nil))); err != nil {
			return out, err
		}
	}
	// In full duplex the body does not wait for an answer.
	if mode == full && in.Chunks != nil {
		for i, chunk := range in.Chunks {
			if err := c.send(wrapBody(chunk, i == len(in.Chunks)-1 && !c.emptyLast && in.Trailers == nil)); err != nil {
				return out, err
			}
		}
		last := wrapBody(nil, true)
		if in.Trailers != nil {
			last = trailers()
		}
		if in.Trailers != nil || c.emptyLast || len(in.Chunks) == 0 {
			if err := c.send(last); err != nil {
				return out, err
			}
		}
	}
	if !skip {
		m, err := c.next(response)
		if m == nil || err != nil {
			return out, err
		}
		headers := m.GetRequestHeaders()
		if response {
			headers = m.GetResponseHeaders()
		}
		if headers == nil {
			return out, fmt.Errorf("expected an answer to headers first, got %v", m)
		}
		out.Header = changed(out.Header, headers.GetResponse().GetHeaderMutation())
	}
	switch {
	case in.Chunks == nil:
		return out, nil
	case mode == extproctest.None:
		out.Chunks = in.Chunks
		return out, nil
	case mode == full:
		return out, c.streamed(response, &out)
	}
	// Buffered: one message, after the answer to the headers.
	if err := c.send(wrapBody(whole, in.Trailers == nil)); err != nil {
		return out, err
	}
	m, err := c.next(response)
	if m == nil || err != nil {
		return out, err
	}
	body := m.GetRequestBody()
	if response {
		body = m.GetResponseBody()
	}
	out.Chunks = [][]byte{whole}
	if mutation := body.GetResponse().GetBodyMutation(); mutation != nil {
		out.Chunks = [][]byte{mutation.GetBody()}
	}
	if !skip {
		out.Header = changed(out.Header, body.GetResponse().GetHeaderMutation())
	}
	if length := out.Header.Get("content-length"); mode == buffered && !skip && length != "" && length != strconv.Itoa(len(out.Body())) {
		return out, fmt.Errorf("ext_proc failed: content-length %s for %d bytes", length, len(out.Body()))
	}
	return out, nil
}

// streamed reads a body in full duplex. What is not sent back is lost.
func (c *gatewayCall) streamed(response bool, out *extproctest.Message) error {
	for {
		m, err := c.next(response)
		if m == nil || err != nil {
			return err
		}
		if m.GetRequestTrailers() != nil || m.GetResponseTrailers() != nil {
			return nil
		}
		body := m.GetRequestBody()
		if response {
			body = m.GetResponseBody()
		}
		if body == nil {
			return fmt.Errorf("expected a chunk, got %v", m)
		}
		if body.GetResponse() == nil {
			return nil // this ends the body
		}
		chunk := body.GetResponse().GetBodyMutation().GetStreamedResponse()
		out.Chunks = append(out.Chunks, chunk.GetBody())
		if chunk.GetEndOfStream() {
			return nil
		}
	}
}

// changed applies a mutation: first what is removed, then what is set; append_action
// counts before append, and a raw value before a string.
func changed(h extproctest.Header, m *extprocv3.HeaderMutation) extproctest.Header {
	without := func(name string) {
		h = slices.DeleteFunc(h, func(kv [2]string) bool { return strings.EqualFold(kv[0], name) })
	}
	for _, name := range m.GetRemoveHeaders() {
		without(name)
	}
	for _, set := range m.GetSetHeaders() {
		value := string(set.GetHeader().GetRawValue())
		if value == "" {
			value = set.GetHeader().GetValue()
		}
		if set.GetAppendAction() != corev3.HeaderValueOption_APPEND_IF_EXISTS_OR_ADD {
			without(set.GetHeader().GetKey())
		}
		h = append(h, [2]string{set.GetHeader().GetKey(), value})
	}
	return h
}

// gateways are agentgateways in the modes in which chains can read.
func gateways(profile string) (all []agentgateway) {
	const full, buffered = extproctest.FullDuplex, extproctest.Buffered
	for _, g := range []agentgateway{
		{old: true, request: full, response: full},
		{request: full, response: full},
		{request: buffered, response: full},
		{request: full, response: buffered},
		{request: buffered, response: buffered},
	} {
		for _, g.emptyLast = range []bool{false, true} {
			g.profile = profile
			all = append(all, g)
		}
	}
	return all
}

// A chain that changes requests does so for an agentgateway, old or new, and the
// response comes back as it was.
func TestAgentgateway(t *testing.T) {
	s := start(t, alone(""), extprocsvc.Options{}, profiles)
	for _, g := range gateways("default") {
		for _, chunks := range [][]string{{hello}, {hello[:7], hello[7:]}, {"", hello}} {
			for _, trailers := range []extproctest.Header{nil, {{"x-sum", "1"}}} {
				request := extproctest.Post(hello)
				request.Chunks = nil
				for _, c := range chunks {
					request.Chunks = append(request.Chunks, []byte(c))
				}
				request.Trailers = trailers
				model, back, immediate, err := g.do(t.Context(), s.client, request, ok)
				if err != nil || immediate != nil {
					t.Errorf("%v, %q, %v: %v, %v", g, chunks, trailers, immediate, err)
					continue
				}
				if got := "the model gets " + model.Body(); got != brief {
					t.Errorf("%v, %q, %v: %s", g, chunks, trailers, got)
				}
				if n := model.Header.Get("content-length"); n != "" && n != strconv.Itoa(len(model.Body())) {
					t.Errorf("%v, %q, %v: content-length %s", g, chunks, trailers, n)
				}
				if got := model.Header.Get(":path"); got != "/v1/chat/completions" {
					t.Errorf("%v: %s", g, got)
				}
				if back.Body() != ok.Body() || back.Header.Get(":status") != "200" {
					t.Errorf("%v, %q, %v: the client gets %v %s", g, chunks, trailers, back.Header, back.Body())
				}
			}
		}
	}
	if st := s.settled(); st.Errors != 0 {
		t.Errorf("%+v", st)
	}
}

// Requests and responses without a body end with their headers.
func TestAgentgatewayWithoutBodies(t *testing.T) {
	s := start(t, alone(""), extprocsvc.Options{}, profiles)
	for _, g := range gateways("default") {
		request := extproctest.Message{Header: extproctest.Header{{":method", "GET"}, {":scheme", "http"}, {":authority", "a"}, {":path", "/x"}, {"accept", "*/*"}}}
		model, back, immediate, err := g.do(t.Context(), s.client, request, extproctest.Message{Header: extproctest.Header{{":status", "204"}}})
		if err != nil || immediate != nil || model.Chunks != nil || back.Header.Get(":status") != "204" {
			t.Errorf("%v: %v %v %v %v", g, model, back, immediate, err)
		}
	}
}

// What the server answers itself reaches the client: at the headers, at the body,
// and at the response.
func TestAgentgatewayIsRefused(t *testing.T) {
	s := start(t, alone(""), extprocsvc.Options{}, profiles)
	for _, c := range []struct {
		profile, body string
		status        int32
	}{
		{"closed", hello, 422},
		{"default", "no JSON", 400},
		{"default", "", 400},
	} {
		for _, g := range gateways(c.profile) {
			_, _, immediate, err := g.do(t.Context(), s.client, extproctest.Post(c.body), ok)
			if err != nil || int32(immediate.GetStatus().GetCode()) != c.status {
				t.Errorf("%v, %s: %v, %v; want %d", g, c.profile, immediate, err, c.status)
			}
		}
	}
	for _, g := range gateways("nobody") {
		if _, _, immediate, err := g.do(t.Context(), s.client, extproctest.Post(hello), ok); immediate != nil || !errors.Is(err, errEnded) {
			t.Errorf("%v: an unknown profile: %v, %v", g, immediate, err)
		}
	}
}

// Response stages read the response of an agentgateway, and change it.
func TestAgentgatewayResponses(t *testing.T) {
	s := start(t, func(c *config.Config) (*extprocsvc.Chains, error) { return fakes.BuildAlone(c, "q") }, extprocsvc.Options{}, replies("", `
  - {name: s, steps: [{name: p}]}`, `{name: tag, type: fake}`, `{name: p, type: replier, params: {modify: true, put: '[]'}}`))
	for _, g := range gateways("q") {
		for _, trailers := range []extproctest.Header{nil, {{"x", "y"}}} {
			m := answer("200", "application/json", completion)
			m.Trailers = trailers
			_, back, immediate, err := g.do(t.Context(), s.client, extproctest.Post(`{"messages":[]}`), m)
			if err != nil || immediate != nil || back.Body() != `{"id":"1","choices":[],"usage":{"n":1e5}}` {
				t.Errorf("%v: %s, %v, %v", g, back.Body(), immediate, err)
			}
			if n := back.Header.Get("content-length"); n != "" && n != strconv.Itoa(len(back.Body())) {
				t.Errorf("%v: content-length %s for %d bytes", g, n, len(back.Body()))
			}
		}
	}
}

// Options of an agentgateway that hide what the chain must read are told, and
// nothing passes.
func TestAgentgatewayThatHides(t *testing.T) {
	s := start(t, alone(""), extprocsvc.Options{}, profiles)
	const full = extproctest.FullDuplex
	for _, g := range []agentgateway{
		{request: extproctest.None, response: full},
		{request: extproctest.BufferedPartial, response: full},
		{request: full, response: full, skipRequestHeaders: true},
		{request: extproctest.Buffered, response: full, skipRequestHeaders: true},
		{request: extproctest.None, response: extproctest.None, skipRequestHeaders: true},
	} {
		g.profile = "default"
		_, _, immediate, err := g.do(t.Context(), s.client, extproctest.Post(hello), ok)
		if err != nil || !strings.Contains(string(immediate.GetBody()), "its ext_proc filter has request_") {
			t.Errorf("%v: %v, %v", g, immediate, err)
		}
	}
	// Where nothing needs the response, its modes are free.
	for _, g := range []agentgateway{
		{request: full, response: extproctest.None},
		{request: full, response: extproctest.BufferedPartial},
		{request: full, response: extproctest.None, skipResponseHeaders: true},
		{request: full, response: extproctest.Buffered, skipResponseHeaders: true},
		{request: full, response: full, skipResponseHeaders: true},
	} {
		g.profile = "default"
		_, back, immediate, err := g.do(t.Context(), s.client, extproctest.Post(hello), ok)
		if err != nil || immediate != nil || back.Body() != ok.Body() {
			t.Errorf("%v: %s, %v, %v", g, back.Body(), immediate, err)
		}
	}
}

// Without request headers it cannot be told from an Envoy, and is not left before
// its response either.
func TestAgentgatewayIsNotLeft(t *testing.T) {
	s := start(t, alone(""), extprocsvc.Options{}, "profiles: [{name: idle}]")
	for _, request := range []extprocfilterv3.ProcessingMode_BodySendMode{extproctest.FullDuplex, extproctest.Buffered, extproctest.BufferedPartial} {
		g := agentgateway{request: request, response: extproctest.None, skipRequestHeaders: true, profile: "idle"}
		model, back, immediate, err := g.do(t.Context(), s.client, extproctest.Post(hello), ok)
		if err != nil || immediate != nil || model.Body() != hello || back.Body() != ok.Body() {
			t.Errorf("%v: %s, %s, %v, %v", g, model.Body(), back.Body(), immediate, err)
		}
	}
}
