package extprocsvc

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// Replies that let a message pass as it is. They are shared by all streams and
// never change.
var (
	passRequestHeaders = &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_RequestHeaders{
		RequestHeaders: &extprocv3.HeadersResponse{},
	}}
	passRequestBody = &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_RequestBody{
		RequestBody: &extprocv3.BodyResponse{},
	}}
	passRequestTrailers = &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_RequestTrailers{
		RequestTrailers: &extprocv3.TrailersResponse{},
	}}
	passResponseHeaders = &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_ResponseHeaders{
		ResponseHeaders: &extprocv3.HeadersResponse{},
	}}
	passResponseBody = &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_ResponseBody{
		ResponseBody: &extprocv3.BodyResponse{},
	}}
	passResponseTrailers = &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_ResponseTrailers{
		ResponseTrailers: &extprocv3.TrailersResponse{},
	}}
)

var noAppend, doAppend = wrapperspb.Bool(false), wrapperspb.Bool(true)

// addHeader makes a header that is to be set one that is to be added.
func addHeader(o *corev3.HeaderValueOption) {
	//lint:ignore SA1019 see setHeader
	o.Append = doAppend
	o.AppendAction = corev3.HeaderValueOption_APPEND_IF_EXISTS_OR_ADD
}

// setHeader replaces a header or adds it. Envoy 1.40 looks at the deprecated
// append alone, agentgateway at append_action first: both are set, and agree.
// The value is in raw_value: a lone value sets an empty header.
func setHeader(name string, value []byte) *corev3.HeaderValueOption {
	return &corev3.HeaderValueOption{
		Header: &corev3.HeaderValue{Key: name, RawValue: value},
		//lint:ignore SA1019 see above
		Append:       noAppend,
		AppendAction: corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
	}
}

// attach adds the field dynamic_metadata, which is encoded already.
func attach(m *extprocv3.ProcessingResponse, metadata []byte) *extprocv3.ProcessingResponse {
	m.ProtoReflect().SetUnknown(metadata)
	return m
}

// A headersReply is a reply to request headers together with everything it
// points to, so that a stream makes it in one piece and uses it again.
type headersReply struct {
	message  extprocv3.ProcessingResponse
	response extprocv3.ProcessingResponse_RequestHeaders
	headers  extprocv3.HeadersResponse
	common   extprocv3.CommonResponse
	mutation extprocv3.HeaderMutation
}

// with returns the reply with a mutation of headers, metadata, and whether
// Envoy is to look for the route again.
func (r *headersReply) with(set []*corev3.HeaderValueOption, remove []string, metadata []byte, reroute bool) *extprocv3.ProcessingResponse {
	if len(set) == 0 && len(remove) == 0 && metadata == nil {
		return passRequestHeaders
	}
	r.mutation.SetHeaders, r.mutation.RemoveHeaders = set, remove
	r.common.HeaderMutation = &r.mutation
	r.common.ClearRouteCache = reroute
	r.headers.Response = &r.common
	r.response.RequestHeaders = &r.headers
	r.message.Response = &r.response
	return attach(&r.message, metadata)
}

// A streamedReply is a chunk of a body in full duplex, in one piece likewise.
type streamedReply struct {
	message  extprocv3.ProcessingResponse
	request  extprocv3.ProcessingResponse_RequestBody
	response extprocv3.ProcessingResponse_ResponseBody
	body     extprocv3.BodyResponse
	common   extprocv3.CommonResponse
	mutation extprocv3.BodyMutation
	streamed extprocv3.BodyMutation_StreamedResponse
	chunk    extprocv3.StreamedBodyResponse
}

func (r *streamedReply) of(chunk []byte, end bool) *extprocv3.BodyResponse {
	r.chunk.Body, r.chunk.EndOfStream = chunk, end
	r.streamed.StreamedResponse = &r.chunk
	r.mutation.Mutation = &r.streamed
	r.common.BodyMutation = &r.mutation
	r.body.Response = &r.common
	return &r.body
}

// requestChunk returns the reply that sends a chunk of the request.
func (r *streamedReply) requestChunk(chunk []byte, end bool) *extprocv3.ProcessingResponse {
	r.request.RequestBody = r.of(chunk, end)
	r.message.Response = &r.request
	return &r.message
}

// echo returns the reply that sends a chunk on as it came, with the marks of
// gRPC mode.
func (r *streamedReply) echo(in *extprocv3.HttpBody, response bool) *extprocv3.ProcessingResponse {
	body := r.of(in.GetBody(), in.GetEndOfStream())
	r.chunk.EndOfStreamWithoutMessage = in.GetEndOfStreamWithoutMessage()
	r.chunk.GrpcMessageCompressed = in.GetGrpcMessageCompressed()
	if response {
		r.response.ResponseBody = body
		r.message.Response = &r.response
	} else {
		r.request.RequestBody = body
		r.message.Response = &r.request
	}
	return &r.message
}

// responseChunk returns the reply that sends a chunk of the response.
func (r *streamedReply) responseChunk(chunk []byte, end bool) *extprocv3.ProcessingResponse {
	r.response.ResponseBody = r.of(chunk, end)
	r.message.Response = &r.response
	return &r.message
}

// wholeBody is the reply to a buffered body, which it replaces if body is not
// nil.
func wholeBody(body []byte, set []*corev3.HeaderValueOption, remove []string, metadata []byte, reroute bool) *extprocv3.ProcessingResponse {
	return attach(&extprocv3.ProcessingResponse{
		Response: &extprocv3.ProcessingResponse_RequestBody{RequestBody: bodyResponse(body, set, remove, reroute)},
	}, metadata)
}

// wholeResponse is the same for the body of a response.
func wholeResponse(body []byte, set []*corev3.HeaderValueOption, remove []string, metadata []byte) *extprocv3.ProcessingResponse {
	return attach(&extprocv3.ProcessingResponse{
		Response: &extprocv3.ProcessingResponse_ResponseBody{ResponseBody: bodyResponse(body, set, remove, false)},
	}, metadata)
}

func bodyResponse(body []byte, set []*corev3.HeaderValueOption, remove []string, reroute bool) *extprocv3.BodyResponse {
	common := &extprocv3.CommonResponse{ClearRouteCache: reroute}
	if len(set) > 0 || len(remove) > 0 {
		common.HeaderMutation = &extprocv3.HeaderMutation{SetHeaders: set, RemoveHeaders: remove}
	}
	if body != nil {
		common.BodyMutation = &extprocv3.BodyMutation{Mutation: &extprocv3.BodyMutation_Body{Body: body}}
	}
	return &extprocv3.BodyResponse{Response: common}
}

// responseTrailers is the reply to the trailers of a response.
func responseTrailers(metadata []byte) *extprocv3.ProcessingResponse {
	return attach(&extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_ResponseTrailers{
		ResponseTrailers: &extprocv3.TrailersResponse{},
	}}, metadata)
}

// responseHeaders is the reply to the headers of a response.
func responseHeaders(set []*corev3.HeaderValueOption, remove []string, metadata []byte) *extprocv3.ProcessingResponse {
	return attach(&extprocv3.ProcessingResponse{
		Response: &extprocv3.ProcessingResponse_ResponseHeaders{ResponseHeaders: &extprocv3.HeadersResponse{
			Response: &extprocv3.CommonResponse{HeaderMutation: &extprocv3.HeaderMutation{SetHeaders: set, RemoveHeaders: remove}},
		}},
	}, metadata)
}
