package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	extprocfilterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
)

// A way is how streams get to the service.
type way interface {
	// open begins a request for a stream, and returns when its headers have come
	// back. take is then called with whatever comes of the answer, from one
	// goroutine, until the answer has ended and ended is called.
	open(ctx context.Context, id int, take func([]byte), ended func(error)) (sender, error)
	close()
}

// A sender is the model's side of a stream.
type sender interface {
	// send sends an event. last tells that it is the end.
	send(event []byte, last bool) error
}

const question = `{"model":"gpt-4o-mini","stream":true,"messages":[{"role":"user","content":"Tell me a long story."}]}`

// A conversation plays Envoy's filter, in full duplex.
type conversation struct {
	profile string
	conns   []*grpc.ClientConn
}

// connections is about what an Envoy with a few threads has.
const connections = 4

func converse(addr, profile string) (*conversation, error) {
	w := &conversation{profile: profile}
	for range connections {
		conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			w.close()
			return nil, err
		}
		w.conns = append(w.conns, conn)
	}
	return w, nil
}

func (w *conversation) close() {
	for _, c := range w.conns {
		_ = c.Close()
	}
}

func header(kv ...string) *extprocv3.HttpHeaders {
	m := &corev3.HeaderMap{}
	for i := 0; i < len(kv); i += 2 {
		m.Headers = append(m.Headers, &corev3.HeaderValue{Key: kv[i], RawValue: []byte(kv[i+1])})
	}
	return &extprocv3.HttpHeaders{Headers: m}
}

func (w *conversation) open(ctx context.Context, id int, take func([]byte), ended func(error)) (sender, error) {
	ctx = metadata.AppendToOutgoingContext(ctx, "x-attache-profile", w.profile)
	rpc, err := extprocv3.NewExternalProcessorClient(w.conns[id%len(w.conns)]).Process(ctx)
	if err != nil {
		return nil, err
	}
	full := extprocfilterv3.ProcessingMode_FULL_DUPLEX_STREAMED
	for _, m := range []*extprocv3.ProcessingRequest{
		{
			ProtocolConfig: &extprocv3.ProtocolConfiguration{RequestBodyMode: full, ResponseBodyMode: full},
			Request: &extprocv3.ProcessingRequest_RequestHeaders{RequestHeaders: header(
				":method", "POST", ":path", "/v1/chat/completions", ":authority", "gateway", ":scheme", "http",
				"content-type", "application/json", "content-length", fmt.Sprint(len(question)), "user-agent", "OpenAI/Python 1.51.0", "x-request-id", fmt.Sprint(id))},
		},
		{Request: &extprocv3.ProcessingRequest_RequestBody{RequestBody: &extprocv3.HttpBody{Body: []byte(question), EndOfStream: true}}},
	} {
		if err := rpc.Send(m); err != nil {
			return nil, err
		}
	}
	for done := false; !done; {
		m, err := rpc.Recv()
		if err != nil {
			return nil, err
		}
		if m.GetImmediateResponse() != nil {
			return nil, fmt.Errorf("refused: %s", m.GetImmediateResponse().GetBody())
		}
		done = m.GetRequestBody().GetResponse().GetBodyMutation().GetStreamedResponse().GetEndOfStream()
	}
	if err := rpc.Send(&extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_ResponseHeaders{
		ResponseHeaders: header(":status", "200", "content-type", "text/event-stream", "x-envoy-upstream-service-time", "1")}}); err != nil {
		return nil, err
	}
	if m, err := rpc.Recv(); err != nil || m.GetResponseHeaders() == nil {
		return nil, fmt.Errorf("expected an answer to the headers: %v, %w", m, err)
	}
	go func() {
		for {
			m, err := rpc.Recv()
			if err != nil {
				if errors.Is(err, io.EOF) {
					err = errors.New("the service left")
				}
				ended(err)
				return
			}
			chunk := m.GetResponseBody().GetResponse().GetBodyMutation().GetStreamedResponse()
			if chunk == nil {
				ended(fmt.Errorf("expected a chunk, got %v", m))
				return
			}
			take(chunk.GetBody())
			if chunk.GetEndOfStream() {
				break
			}
		}
		err := rpc.CloseSend()
		if err == nil {
			if _, err = rpc.Recv(); errors.Is(err, io.EOF) {
				err = nil
			}
		}
		ended(err)
	}()
	return &spoken{rpc: rpc}, nil
}

// A spoken stream sends its events in one message that is used again.
type spoken struct {
	rpc     extprocv3.ExternalProcessor_ProcessClient
	message extprocv3.ProcessingRequest
	part    extprocv3.ProcessingRequest_ResponseBody
	body    extprocv3.HttpBody
}

func (s *spoken) send(event []byte, last bool) error {
	s.body.Body, s.body.EndOfStream = event, last
	s.part.ResponseBody = &s.body
	s.message.Request = &s.part
	return s.rpc.Send(&s.message)
}
