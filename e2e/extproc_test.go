package e2e

import (
	"bytes"
	"fmt"
	"net"
	"slices"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	extprocfilterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"github.com/rogpeppe/go-internal/testscript"
	"google.golang.org/grpc"
)

// extprocServer is somebody's ext_proc server: it reads and changes headers,
// bodies and trailers in both directions, and ends a request or response where
// the client asks for it.
//
//   - headers: adds x-ext-request: NAME and x-ext-response: NAME
//   - bodies: replaces the word EXT by NAME
//   - trailers: adds x-ext-trailer: NAME
//   - the request header x-end-at: PHASE, with one of request-headers,
//     request-body, response-headers, or response-stream (the second part of
//     the body), ends it there with 409
type extprocServer struct {
	extprocv3.UnimplementedExternalProcessorServer
	name string
	grpc *grpc.Server
}

func extprocCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: extproc start NAME ADDR | extproc stop NAME")
	}
	s := of(ts)
	switch {
	case args[0] == "start" && len(args) == 3:
		l, err := net.Listen("tcp", args[2])
		ts.Check(err)
		e := &extprocServer{name: args[1], grpc: grpc.NewServer(grpc.MaxRecvMsgSize(64 << 20))}
		extprocv3.RegisterExternalProcessorServer(e.grpc, e)
		go e.grpc.Serve(l)
		s.extprocs[args[1]] = e
	case args[0] == "stop" && s.extprocs[args[1]] != nil:
		s.extprocs[args[1]].stop()
		delete(s.extprocs, args[1])
	default:
		ts.Fatalf("usage: extproc start NAME ADDR | extproc stop NAME")
	}
}

func (e *extprocServer) stop() { e.grpc.Stop() }

func (e *extprocServer) Process(stream extprocv3.ExternalProcessor_ProcessServer) error {
	c := &conversation{server: e}
	for {
		in, err := stream.Recv()
		if err != nil {
			return nil // Envoy is done
		}
		if p := in.GetProtocolConfig(); p != nil {
			c.requestMode = p.GetRequestBodyMode()
		}
		out := c.answer(in)
		if err := stream.Send(out); err != nil {
			return nil
		}
		if out.GetImmediateResponse() != nil {
			return nil
		}
	}
}

type conversation struct {
	server        *extprocServer
	endAt         string
	requestMode   extprocfilterv3.ProcessingMode_BodySendMode
	responseParts int
}

func (c *conversation) answer(in *extprocv3.ProcessingRequest) *extprocv3.ProcessingResponse {
	name := c.server.name
	switch m := in.Request.(type) {
	case *extprocv3.ProcessingRequest_RequestHeaders:
		c.endAt = header(m.RequestHeaders.GetHeaders(), "x-end-at")
		if c.endAt == "request-headers" {
			return c.end()
		}
		return &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_RequestHeaders{RequestHeaders: &extprocv3.HeadersResponse{
			Response: &extprocv3.CommonResponse{HeaderMutation: set("x-ext-request", name)},
		}}}
	case *extprocv3.ProcessingRequest_RequestBody:
		if c.endAt == "request-body" {
			return c.end()
		}
		return &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_RequestBody{RequestBody: &extprocv3.BodyResponse{
			Response: c.body(m.RequestBody, c.requestMode),
		}}}
	case *extprocv3.ProcessingRequest_RequestTrailers:
		return &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_RequestTrailers{RequestTrailers: &extprocv3.TrailersResponse{
			HeaderMutation: set("x-ext-trailer", name),
		}}}
	case *extprocv3.ProcessingRequest_ResponseHeaders:
		if c.endAt == "response-headers" {
			return c.end()
		}
		return &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_ResponseHeaders{ResponseHeaders: &extprocv3.HeadersResponse{
			Response: &extprocv3.CommonResponse{HeaderMutation: set("x-ext-response", name)},
		}}}
	case *extprocv3.ProcessingRequest_ResponseBody:
		if c.responseParts++; c.endAt == "response-stream" && c.responseParts == 2 {
			return c.end()
		}
		return &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_ResponseBody{ResponseBody: &extprocv3.BodyResponse{
			Response: c.body(m.ResponseBody, extprocfilterv3.ProcessingMode_FULL_DUPLEX_STREAMED),
		}}}
	default:
		return &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_ResponseTrailers{ResponseTrailers: &extprocv3.TrailersResponse{
			HeaderMutation: set("x-ext-trailer", name),
		}}}
	}
}

// body answers one message in the shape that the mode wants.
func (c *conversation) body(b *extprocv3.HttpBody, mode extprocfilterv3.ProcessingMode_BodySendMode) *extprocv3.CommonResponse {
	text := bytes.ReplaceAll(b.GetBody(), []byte("EXT"), []byte(c.server.name))
	if mode == extprocfilterv3.ProcessingMode_FULL_DUPLEX_STREAMED {
		return &extprocv3.CommonResponse{BodyMutation: &extprocv3.BodyMutation{Mutation: &extprocv3.BodyMutation_StreamedResponse{
			StreamedResponse: &extprocv3.StreamedBodyResponse{Body: text, EndOfStream: b.GetEndOfStream()},
		}}}
	}
	return &extprocv3.CommonResponse{
		HeaderMutation: set("content-length", fmt.Sprint(len(text))),
		BodyMutation:   &extprocv3.BodyMutation{Mutation: &extprocv3.BodyMutation_Body{Body: text}},
	}
}

func (c *conversation) end() *extprocv3.ProcessingResponse {
	return &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_ImmediateResponse{ImmediateResponse: &extprocv3.ImmediateResponse{
		Status:  &typev3.HttpStatus{Code: typev3.StatusCode_Conflict},
		Headers: set("x-ended-by", c.server.name),
		Body:    []byte("ended at " + c.endAt),
	}}}
}

func set(name, value string) *extprocv3.HeaderMutation {
	return &extprocv3.HeaderMutation{SetHeaders: []*corev3.HeaderValueOption{{
		Header:       &corev3.HeaderValue{Key: name, RawValue: []byte(value)},
		AppendAction: corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
	}}}
}

func header(h *corev3.HeaderMap, name string) string {
	i := slices.IndexFunc(h.GetHeaders(), func(v *corev3.HeaderValue) bool { return strings.EqualFold(v.Key, name) })
	if i < 0 {
		return ""
	}
	return string(h.Headers[i].RawValue) + h.Headers[i].Value
}
