package extproctest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	extprocfilterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/structpb"
)

// Agentgateway speaks ext_proc as that gateway does: what it sends, in which
// order, and what it makes of the answers. The sources are its releases v0.10
// and v1.4.
type Agentgateway struct {
	// Old is v0.10: it tells neither modes nor attributes, and knows full duplex
	// only.
	Old bool
	// Request and Response are processingOptions.requestBodyMode and so on.
	Request, Response extprocfilterv3.ProcessingMode_BodySendMode
	// SkipRequestHeaders and SkipResponseHeaders are header modes.
	SkipRequestHeaders, SkipResponseHeaders bool
	// EmptyLast ends bodies with an empty chunk of their own.
	EmptyLast bool
	// Metadata is sent when the stream opens: keys and values in turn.
	Metadata []string
}

func (g Agentgateway) String() string {
	return fmt.Sprintf("agentgateway: old %v, %v/%v, skip %v/%v, empty last %v", g.Old, g.Request, g.Response, g.SkipRequestHeaders, g.SkipResponseHeaders, g.EmptyLast)
}

// ErrEnded is what a clean close by the server is to an agentgateway: a failure
// like any other.
var ErrEnded = errors.New("ext_proc failed: no more response messages")

// Do sends a request through the server, and what model answers if the request
// gets there. The error is what the client would see as a failure of ext_proc.
func (g Agentgateway) Do(ctx context.Context, client extprocv3.ExternalProcessorClient, request Message, model func(Message) (Message, error)) (out Outcome, err error) {
	ctx, cancel := context.WithCancel(metadata.AppendToOutgoingContext(ctx, g.Metadata...))
	rpc, err := client.Process(ctx)
	if err != nil {
		cancel()
		return out, err
	}
	c := &gatewayCall{Agentgateway: g, rpc: rpc, replies: map[bool]*mailbox{false: newMailbox(), true: newMailbox()}}
	finished := make(chan struct{})
	go c.receive(finished)
	defer func() { cancel(); <-finished }()

	up, err := c.pass(false, request, g.Request, g.SkipRequestHeaders)
	if out.Immediate = c.immediate; err != nil || out.Immediate != nil {
		return out, err
	}
	out.Upstream = &up
	response, err := model(up)
	if err != nil {
		return out, err
	}
	down, err := c.pass(true, response, g.Response, g.SkipResponseHeaders)
	if out.Immediate = c.immediate; err == nil && out.Immediate == nil {
		out.Client = &down
	}
	return out, err
}

// A gatewayCall is one HTTP request.
type gatewayCall struct {
	Agentgateway
	rpc       extprocv3.ExternalProcessor_ProcessClient
	begun     bool
	replies   map[bool]*mailbox // of requests: false, of responses: true
	immediate *extprocv3.ImmediateResponse
}

// receive sorts the answers by their kind; an immediate one is for both. A clean
// end, io.EOF, is no better than any other.
func (c *gatewayCall) receive(finished chan<- struct{}) {
	defer close(finished)
	for {
		m, err := c.rpc.Recv()
		if err != nil {
			c.replies[false].put(reply{err: ErrEnded})
			c.replies[true].put(reply{err: ErrEnded})
			return
		}
		switch m.Response.(type) {
		case *extprocv3.ProcessingResponse_RequestHeaders, *extprocv3.ProcessingResponse_RequestBody, *extprocv3.ProcessingResponse_RequestTrailers:
			c.replies[false].put(reply{message: m})
		case *extprocv3.ProcessingResponse_ResponseHeaders, *extprocv3.ProcessingResponse_ResponseBody, *extprocv3.ProcessingResponse_ResponseTrailers:
			c.replies[true].put(reply{message: m})
		default:
			c.replies[false].put(reply{message: m})
			c.replies[true].put(reply{message: m})
		}
	}
}

// next is the next answer of a kind; nil with an immediate one.
func (c *gatewayCall) next(response bool) (*extprocv3.ProcessingResponse, error) {
	r := c.replies[response].take()
	if r.err != nil {
		return nil, r.err
	}
	if i := r.message.GetImmediateResponse(); i != nil {
		c.immediate = i
		return nil, nil
	}
	return r.message, nil
}

func (c *gatewayCall) send(m *extprocv3.ProcessingRequest) error {
	if !c.begun && !c.Old {
		m.ProtocolConfig = &extprocv3.ProtocolConfiguration{RequestBodyMode: c.Request, ResponseBodyMode: c.Response}
		m.Attributes = map[string]*structpb.Struct{"envoy.filters.http.ext_proc": {}}
		m.MetadataContext = &corev3.Metadata{FilterMetadata: map[string]*structpb.Struct{"mine": {}}}
	}
	c.begun = true
	if err := c.rpc.Send(m); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// pass sends one direction through.
func (c *gatewayCall) pass(response bool, in Message, mode extprocfilterv3.ProcessingMode_BodySendMode, skip bool) (out Message, err error) {
	wrap := wrapRequest
	if response {
		wrap = wrapResponse
	}
	out.Header, out.Trailers = slices.Clone(in.Header), in.Trailers
	whole := bytes.Join(in.Chunks, nil)
	if in.Chunks != nil && (mode == FullDuplex || mode == BufferedPartial || mode == Buffered && skip) {
		out.Header = slices.DeleteFunc(out.Header, isLength)
	}
	if !skip {
		if err := c.send(wrap(&extprocv3.HttpHeaders{Headers: headerMap(in.Header, true), EndOfStream: in.Chunks == nil})); err != nil {
			return out, err
		}
	}
	if mode == FullDuplex && in.Chunks != nil { // the body does not wait for an answer
		out.Trailers = nil // an answer to trailers ends the body, and they are lost
		for _, part := range c.parts(in) {
			if err := c.send(wrap(part)); err != nil {
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
	case mode == None:
		out.Chunks = in.Chunks
		return out, nil
	case mode == FullDuplex:
		return out, c.streamed(response, &out)
	}
	// Buffered: one message, after the answer to the headers.
	if err := c.send(wrap(&extprocv3.HttpBody{Body: whole, EndOfStream: in.Trailers == nil})); err != nil {
		return out, err
	}
	m, err := c.next(response)
	if m == nil || err != nil {
		return out, err
	}
	body := bodyOf(m, response)
	out.Chunks = [][]byte{whole}
	if mutation := body.GetResponse().GetBodyMutation(); mutation != nil {
		out.Chunks = [][]byte{mutation.GetBody()}
	}
	if !skip {
		out.Header = changed(out.Header, body.GetResponse().GetHeaderMutation())
	}
	if length := out.Header.Get("content-length"); mode == Buffered && !skip && length != "" && length != strconv.Itoa(len(out.Body())) {
		return out, fmt.Errorf("ext_proc failed: content-length %s for %d bytes", length, len(out.Body()))
	}
	return out, nil
}

// parts are the messages of a body and its trailers in full duplex.
func (c *gatewayCall) parts(in Message) (parts []any) {
	for i, chunk := range in.Chunks {
		parts = append(parts, &extprocv3.HttpBody{Body: chunk, EndOfStream: i == len(in.Chunks)-1 && !c.EmptyLast && in.Trailers == nil})
	}
	switch {
	case in.Trailers != nil:
		parts = append(parts, &extprocv3.HttpTrailers{})
	case c.EmptyLast, len(in.Chunks) == 0:
		parts = append(parts, &extprocv3.HttpBody{EndOfStream: true})
	}
	return parts
}

func bodyOf(m *extprocv3.ProcessingResponse, response bool) *extprocv3.BodyResponse {
	if response {
		return m.GetResponseBody()
	}
	return m.GetRequestBody()
}

// streamed reads a body in full duplex. What is not sent back is lost.
func (c *gatewayCall) streamed(response bool, out *Message) error {
	for {
		m, err := c.next(response)
		if m == nil || err != nil {
			return err
		}
		if m.GetRequestTrailers() != nil || m.GetResponseTrailers() != nil {
			return nil
		}
		body := bodyOf(m, response)
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
func changed(h Header, m *extprocv3.HeaderMutation) Header {
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
