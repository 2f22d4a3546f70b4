package extproctest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	extprocfilterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/attache-dev/attache/extprocsvc"
)

// Short names of the body modes.
const (
	None            = extprocfilterv3.ProcessingMode_NONE
	Streamed        = extprocfilterv3.ProcessingMode_STREAMED
	Buffered        = extprocfilterv3.ProcessingMode_BUFFERED
	BufferedPartial = extprocfilterv3.ProcessingMode_BUFFERED_PARTIAL
	FullDuplex      = extprocfilterv3.ProcessingMode_FULL_DUPLEX_STREAMED
)

// Filter is the configuration of an ext_proc filter. The zero Filter shows
// request headers only.
type Filter struct {
	// Request and Response are the body modes.
	Request, Response extprocfilterv3.ProcessingMode_BodySendMode
	// SkipRequestHeaders and SendResponseHeaders are the header modes that are
	// not Attaché's usual ones.
	SkipRequestHeaders, SendResponseHeaders bool
	// Trailers is the trailer mode SEND, in both directions.
	Trailers bool
	// Agentgateway makes the first message as agentgateway v0.10 does: without
	// protocol_config, pseudo headers last and in value.
	Agentgateway bool
	// DropLength is allow_content_length_header: false.
	DropLength bool
	// Metadata is sent when the stream opens: keys and values in turn.
	Metadata []string
	// RouteName is the attribute xds.route_name of the first message; empty for
	// none.
	RouteName string
}

// Header is a list of names and values, in order. Names are in lower case.
type Header [][2]string

// Get returns the value of a header, with those of further ones of the same
// name behind commas.
func (h Header) Get(name string) string {
	var values []string
	for _, kv := range h {
		if kv[0] == name {
			values = append(values, kv[1])
		}
	}
	return strings.Join(values, ",")
}

// Message is a request or a response.
type Message struct {
	Header Header
	// Chunks are the pieces in which the body is sent. With nil the message
	// ends with its headers; an empty list is an empty body.
	Chunks   [][]byte
	Trailers Header
}

// Post is a POST of JSON in one piece with its content-length.
func Post(body string) Message {
	return Message{
		Header: Header{
			{":method", "POST"},
			{":path", "/v1/chat/completions"},
			{":authority", "gateway.test"},
			{":scheme", "http"},
			{"content-type", "application/json"},
			{"content-length", strconv.Itoa(len(body))},
		},
		Chunks: [][]byte{[]byte(body)},
	}
}

// Body returns the chunks together.
func (m Message) Body() string { return string(bytes.Join(m.Chunks, nil)) }

// Outcome is what became of a request.
type Outcome struct {
	// Upstream is what the upstream got; nil if the server answered.
	Upstream *Message
	// Immediate is the server's own answer.
	Immediate *extprocv3.ImmediateResponse
	// Client is the upstream's response as the client got it.
	Client *Message
	// Left tells that the server ended the stream before Envoy did.
	Left bool
	// Metadata is the dynamic metadata that the server has set, by namespace,
	// later values over earlier ones.
	Metadata map[string]any
	// Rerouted tells that Envoy looked for the route again.
	Rerouted bool
}

// String is "the client gets STATUS BODY" or "the model gets BODY".
func (o Outcome) String() string {
	switch {
	case o.Immediate != nil:
		return fmt.Sprintf("the client gets %d %s", o.Immediate.GetStatus().GetCode(), o.Immediate.GetBody())
	case o.Upstream != nil:
		return "the model gets " + o.Upstream.Body()
	}
	return "nothing"
}

// Do sends a request through the filter, and the response of the upstream, if
// the request gets there. The error is the server's gRPC error, or tells what
// the server did that Envoy would not have accepted.
func (f Filter) Do(ctx context.Context, client extprocv3.ExternalProcessorClient, request, response Message) (out Outcome, err error) {
	// Ending the context is how Envoy ends a stream: by resetting it.
	ctx, cancel := context.WithCancel(metadata.AppendToOutgoingContext(ctx, f.Metadata...))
	defer cancel()
	rpc, err := client.Process(ctx)
	if err != nil {
		return Outcome{}, err
	}
	x := &exchange{filter: f, rpc: rpc, replies: newMailbox(), metadata: map[string]any{}}
	finished := make(chan struct{})
	go x.receive(finished)
	defer func() {
		cancel()
		<-finished
		out.Metadata, out.Rerouted = x.metadata, x.rerouted
	}()

	up, err := x.through(&direction{
		name: "request", mode: f.Request, headers: !f.SkipRequestHeaders, trailers: f.Trailers, wrap: wrapRequest, unwrap: unwrapRequest,
	}, request)
	switch {
	case err != nil:
		return out, err
	case x.immediate != nil:
		out.Immediate = x.immediate
		return out, nil
	}
	out.Upstream, out.Left = up, x.left
	if err := framed("request", up); err != nil {
		return out, err
	}
	down, err := x.through(&direction{
		name: "response", mode: f.Response, headers: f.SendResponseHeaders, trailers: f.Trailers, wrap: wrapResponse, unwrap: unwrapResponse,
	}, response)
	switch {
	case err != nil:
		return out, err
	case x.immediate != nil:
		out.Immediate = x.immediate
		return out, nil
	}
	out.Client, out.Left = down, x.left
	return out, framed("response", down)
}

// framed checks what HTTP/1 readers rely on.
func framed(what string, m *Message) error {
	length := m.Header.Get("content-length")
	if length == "" {
		return nil
	}
	if n, err := strconv.Atoi(length); err != nil || n != len(m.Body()) {
		return fmt.Errorf("%s: content-length %s with a body of %d bytes", what, length, len(m.Body()))
	}
	return nil
}

// An exchange is one stream.
type exchange struct {
	filter    Filter
	rpc       extprocv3.ExternalProcessor_ProcessClient
	replies   *mailbox
	begun     bool // the first message was sent
	left      bool // the server ended the stream with OK
	immediate *extprocv3.ImmediateResponse
	metadata  map[string]any
	rerouted  bool
}

// receive keeps replies as they come, since Envoy never stops reading.
func (x *exchange) receive(finished chan<- struct{}) {
	defer close(finished)
	for {
		m, err := x.rpc.Recv()
		x.replies.put(reply{m, err})
		if err != nil {
			return
		}
	}
}

// next waits for a reply. ok is false if there will be none that continues the
// exchange: the server left, or answered the request itself.
func (x *exchange) next() (m *extprocv3.ProcessingResponse, ok bool, err error) {
	r := x.replies.take()
	switch {
	case errors.Is(r.err, io.EOF):
		x.left = true
		return nil, false, nil
	case r.err != nil:
		return nil, false, r.err
	}
	maps.Copy(x.metadata, r.message.GetDynamicMetadata().AsMap())
	for _, c := range []*extprocv3.CommonResponse{r.message.GetRequestHeaders().GetResponse(), r.message.GetRequestBody().GetResponse()} {
		// Envoy ignores the wish without a mutation of headers.
		m := c.GetHeaderMutation()
		x.rerouted = x.rerouted || c.GetClearRouteCache() && len(m.GetSetHeaders())+len(m.GetRemoveHeaders()) > 0
	}
	switch {
	case r.message.GetImmediateResponse() != nil:
		x.immediate = r.message.GetImmediateResponse()
		return nil, false, nil
	case r.message.GetStreamedImmediateResponse() != nil:
		return nil, false, errors.New("streamed_immediate_response is not expected")
	}
	return r.message, true, nil
}

// A direction is the request or the response.
type direction struct {
	name              string
	mode              extprocfilterv3.ProcessingMode_BodySendMode
	headers, trailers bool
	wrap              func(part any) *extprocv3.ProcessingRequest
	unwrap            func(*extprocv3.ProcessingResponse) (part any)
}

// send sends a part of the message. A server that is gone is found out when a
// reply is missing.
func (x *exchange) send(d *direction, part any) error {
	if x.left || x.immediate != nil {
		return nil
	}
	m := d.wrap(part)
	if !x.begun && !x.filter.Agentgateway {
		m.ProtocolConfig = &extprocv3.ProtocolConfiguration{RequestBodyMode: x.filter.Request, ResponseBodyMode: x.filter.Response}
	}
	if !x.begun && x.filter.RouteName != "" {
		m.Attributes = map[string]*structpb.Struct{"envoy.filters.http.ext_proc": {
			Fields: map[string]*structpb.Value{extprocsvc.RouteAttribute: structpb.NewStringValue(x.filter.RouteName)},
		}}
	}
	x.begun = true
	if err := x.rpc.Send(m); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// through sends a message through the server and returns what came out.
func (x *exchange) through(d *direction, in Message) (*Message, error) {
	out := &Message{Header: slices.Clone(in.Header), Trailers: in.Trailers}
	if d.mode == FullDuplex || d.mode == Streamed || d.mode == BufferedPartial {
		if x.filter.DropLength {
			out.Header = slices.DeleteFunc(out.Header, isLength)
		}
	}
	if x.left {
		out.Chunks = in.Chunks
		return out, nil
	}
	if d.mode == FullDuplex {
		return out, x.duplex(d, in, out)
	}
	return out, x.lockstep(d, in, out)
}

func isLength(kv [2]string) bool { return kv[0] == "content-length" }

// parts are the messages of a body and trailers, as Envoy makes them.
func (d *direction) parts(in Message) (parts []any) {
	if in.Chunks == nil {
		return nil
	}
	last := len(in.Trailers) == 0
	chunks := in.Chunks
	if d.mode == Buffered || d.mode == BufferedPartial {
		chunks = [][]byte{bytes.Join(in.Chunks, nil)}
		if len(chunks[0]) == 0 && !last {
			chunks = nil // seen on Envoy 1.40: only the trailers are shown
		}
	}
	if len(chunks) == 0 && last {
		chunks = [][]byte{nil}
	}
	if d.mode != None {
		for i, c := range chunks {
			parts = append(parts, &extprocv3.HttpBody{Body: c, EndOfStream: last && i == len(chunks)-1})
		}
	}
	if !last && d.trailers {
		parts = append(parts, &extprocv3.HttpTrailers{Trailers: headerMap(in.Trailers, false)})
	}
	return parts
}

// lockstep sends the parts one by one and applies the reply to each.
func (x *exchange) lockstep(d *direction, in Message, out *Message) error {
	if d.mode == None {
		out.Chunks = in.Chunks
	}
	parts := d.parts(in)
	if d.headers {
		parts = append([]any{&extprocv3.HttpHeaders{
			Headers: headerMap(in.Header, x.filter.Agentgateway), EndOfStream: in.Chunks == nil,
		}}, parts...)
	}
	for i, part := range parts {
		if err := x.send(d, part); err != nil {
			return err
		}
		m, ok, err := x.next()
		if err != nil {
			return err
		}
		if !ok { // the rest goes on unmodified
			for _, rest := range parts[i:] {
				if body, ok := rest.(*extprocv3.HttpBody); ok {
					out.Chunks = append(out.Chunks, body.GetBody())
				}
			}
			return nil
		}
		if err := d.apply(part, m, out); err != nil {
			return err
		}
	}
	return nil
}

// apply takes one reply outside full duplex.
func (d *direction) apply(part any, m *extprocv3.ProcessingResponse, out *Message) error {
	got := d.unwrap(m)
	switch part := part.(type) {
	case *extprocv3.HttpHeaders:
		h, ok := got.(*extprocv3.HeadersResponse)
		if !ok {
			return d.spurious("a reply to the headers", m)
		}
		return out.mutate(h.GetResponse().GetHeaderMutation())
	case *extprocv3.HttpBody:
		b, ok := got.(*extprocv3.BodyResponse)
		if !ok {
			return d.spurious("a reply to the body", m)
		}
		body := part.GetBody()
		switch mutation := b.GetResponse().GetBodyMutation().GetMutation().(type) {
		case *extprocv3.BodyMutation_Body:
			body = mutation.Body
		case *extprocv3.BodyMutation_ClearBody:
			body = nil
		case *extprocv3.BodyMutation_StreamedResponse:
			return d.spurious("no streamed_response outside full duplex", m)
		}
		out.Chunks = append(out.Chunks, body)
		if d.mode == Buffered {
			return out.mutate(b.GetResponse().GetHeaderMutation())
		}
	case *extprocv3.HttpTrailers:
		if _, ok := got.(*extprocv3.TrailersResponse); !ok {
			return d.spurious("a reply to the trailers", m)
		}
	}
	return nil
}

// duplex sends everything without waiting, and takes what the server makes of
// it in whatever pieces it likes.
func (x *exchange) duplex(d *direction, in Message, out *Message) error {
	headers := &extprocv3.HttpHeaders{Headers: headerMap(in.Header, x.filter.Agentgateway), EndOfStream: in.Chunks == nil}
	if d.headers {
		if err := x.send(d, headers); err != nil {
			return err
		}
	}
	for _, part := range d.parts(in) {
		if err := x.send(d, part); err != nil {
			return err
		}
	}
	if d.headers {
		m, ok, err := x.next()
		switch {
		case err != nil:
			return err
		case !ok:
			return x.lost(d, in)
		}
		if err := d.apply(headers, m, out); err != nil {
			return err
		}
	}
	if in.Chunks == nil {
		return nil
	}
	out.Chunks = [][]byte{}
	for {
		m, ok, err := x.next()
		switch {
		case err != nil:
			return err
		case !ok:
			return x.lost(d, in)
		}
		switch got := d.unwrap(m).(type) {
		case *extprocv3.BodyResponse:
			chunk := got.GetResponse().GetBodyMutation().GetStreamedResponse()
			if chunk == nil {
				return d.spurious("streamed_response in full duplex", m)
			}
			out.Chunks = append(out.Chunks, chunk.GetBody())
			if chunk.GetEndOfStream() {
				if len(in.Trailers) > 0 {
					return d.spurious("no end of stream where trailers follow", m)
				}
				return nil
			}
		case *extprocv3.TrailersResponse:
			if len(in.Trailers) == 0 {
				return d.spurious("no reply to trailers that never came", m)
			}
			return nil
		default:
			return d.spurious("a chunk or a reply to the trailers", m)
		}
	}
}

// lost is the error for a server that leaves while Envoy relies on it to send
// the body back.
func (x *exchange) lost(d *direction, in Message) error {
	if x.immediate != nil || in.Chunks == nil {
		return nil
	}
	return fmt.Errorf("%s: the server left in full duplex; the body is lost", d.name)
}

func (d *direction) spurious(want string, m *extprocv3.ProcessingResponse) error {
	return fmt.Errorf("%s: spurious reply %T: expected %s", d.name, m.GetResponse(), want)
}

// mutate applies a header mutation as Envoy does: removals first, raw_value
// only, and append decides.
func (m *Message) mutate(by *extprocv3.HeaderMutation) error {
	for _, name := range by.GetRemoveHeaders() {
		m.Header = slices.DeleteFunc(m.Header, func(kv [2]string) bool { return kv[0] == name })
	}
	for _, o := range by.GetSetHeaders() {
		key, value := o.GetHeader().GetKey(), string(o.GetHeader().GetRawValue())
		//lint:ignore SA1019 append is deprecated, but all that Envoy 1.40 looks at
		appends := o.GetAppend().GetValue()
		if !appends && o.GetAppendAction() != corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD {
			return fmt.Errorf("header %s: append and append_action disagree", key)
		}
		if !appends {
			m.Header = slices.DeleteFunc(m.Header, func(kv [2]string) bool { return kv[0] == key })
		}
		m.Header = append(m.Header, [2]string{key, value})
	}
	return nil
}

// Map returns the header as Envoy sends it: every value in raw_value.
func (h Header) Map() *corev3.HeaderMap { return headerMap(h, false) }

// headerMap makes the headers of a message, in Envoy's way or agentgateway's.
func headerMap(h Header, agentgateway bool) *corev3.HeaderMap {
	var first, last []*corev3.HeaderValue
	for _, kv := range h {
		pseudo := strings.HasPrefix(kv[0], ":")
		switch {
		case pseudo && agentgateway:
			last = append(last, &corev3.HeaderValue{Key: kv[0], Value: kv[1]})
		default:
			first = append(first, &corev3.HeaderValue{Key: kv[0], RawValue: []byte(kv[1])})
		}
	}
	return &corev3.HeaderMap{Headers: append(first, last...)}
}

func wrapRequest(part any) *extprocv3.ProcessingRequest {
	switch part := part.(type) {
	case *extprocv3.HttpHeaders:
		return &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_RequestHeaders{RequestHeaders: part}}
	case *extprocv3.HttpBody:
		return &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_RequestBody{RequestBody: part}}
	default:
		return &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_RequestTrailers{RequestTrailers: part.(*extprocv3.HttpTrailers)}}
	}
}

func wrapResponse(part any) *extprocv3.ProcessingRequest {
	switch part := part.(type) {
	case *extprocv3.HttpHeaders:
		return &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_ResponseHeaders{ResponseHeaders: part}}
	case *extprocv3.HttpBody:
		return &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_ResponseBody{ResponseBody: part}}
	default:
		return &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_ResponseTrailers{ResponseTrailers: part.(*extprocv3.HttpTrailers)}}
	}
}

func unwrapRequest(m *extprocv3.ProcessingResponse) any {
	switch m := m.GetResponse().(type) {
	case *extprocv3.ProcessingResponse_RequestHeaders:
		return m.RequestHeaders
	case *extprocv3.ProcessingResponse_RequestBody:
		return m.RequestBody
	case *extprocv3.ProcessingResponse_RequestTrailers:
		return m.RequestTrailers
	}
	return nil
}

func unwrapResponse(m *extprocv3.ProcessingResponse) any {
	switch m := m.GetResponse().(type) {
	case *extprocv3.ProcessingResponse_ResponseHeaders:
		return m.ResponseHeaders
	case *extprocv3.ProcessingResponse_ResponseBody:
		return m.ResponseBody
	case *extprocv3.ProcessingResponse_ResponseTrailers:
		return m.ResponseTrailers
	}
	return nil
}
