package extproctest

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A script is a server that answers every message in turn, whatever it is, and
// ends the stream after the last answer.
type script struct {
	extprocv3.UnimplementedExternalProcessorServer
	answers []*extprocv3.ProcessingResponse
}

func (s script) Process(conn extprocv3.ExternalProcessor_ProcessServer) error {
	for _, a := range s.answers {
		if _, err := conn.Recv(); err != nil {
			return err
		}
		if err := conn.Send(a); err != nil {
			return err
		}
	}
	return nil
}

func headersReply(set ...string) *extprocv3.ProcessingResponse {
	m := &extprocv3.HeaderMutation{}
	for i := 0; i < len(set); i += 2 {
		m.SetHeaders = append(m.SetHeaders, &corev3.HeaderValueOption{
			Header: &corev3.HeaderValue{Key: set[i], RawValue: []byte(set[i+1])},
			//lint:ignore SA1019 Envoy 1.40 looks at nothing else
			Append:       wrapperspb.Bool(false),
			AppendAction: corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
		})
	}
	return &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_RequestHeaders{
		RequestHeaders: &extprocv3.HeadersResponse{Response: &extprocv3.CommonResponse{HeaderMutation: m}},
	}}
}

func bodyReply(m *extprocv3.BodyMutation) *extprocv3.ProcessingResponse {
	return &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_RequestBody{
		RequestBody: &extprocv3.BodyResponse{Response: &extprocv3.CommonResponse{BodyMutation: m}},
	}}
}

func streamedReply(body string, end bool) *extprocv3.ProcessingResponse {
	return bodyReply(&extprocv3.BodyMutation{Mutation: &extprocv3.BodyMutation_StreamedResponse{
		StreamedResponse: &extprocv3.StreamedBodyResponse{Body: []byte(body), EndOfStream: end},
	}})
}

func replaced(body string) *extprocv3.ProcessingResponse {
	return bodyReply(&extprocv3.BodyMutation{Mutation: &extprocv3.BodyMutation_Body{Body: []byte(body)}})
}

// What Envoy would not accept, or would accept and suffer from, is an error.
func TestBadServers(t *testing.T) {
	contradiction := headersReply("x", "y")
	contradiction.GetRequestHeaders().GetResponse().GetHeaderMutation().GetSetHeaders()[0].AppendAction = corev3.HeaderValueOption_APPEND_IF_EXISTS_OR_ADD
	trailers := &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_RequestTrailers{}}
	for _, c := range []struct {
		name    string
		filter  Filter
		answers []*extprocv3.ProcessingResponse
		want    string // in the error, or the body that the upstream gets
	}{
		{"full duplex, right", Filter{Request: FullDuplex}, []*extprocv3.ProcessingResponse{headersReply("content-length", "3"), streamedReply("abc", true)}, "abc"},
		{"full duplex, stale length", Filter{Request: FullDuplex}, []*extprocv3.ProcessingResponse{headersReply(), streamedReply("abc", true)}, "content-length 2 with a body of 3 bytes"},
		{"full duplex, length dropped", Filter{Request: FullDuplex, DropLength: true}, []*extprocv3.ProcessingResponse{headersReply(), streamedReply("abc", true)}, "abc"},
		{"full duplex, body first", Filter{Request: FullDuplex}, []*extprocv3.ProcessingResponse{streamedReply("abc", true)}, "spurious"},
		{"full duplex, no streamed_response", Filter{Request: FullDuplex}, []*extprocv3.ProcessingResponse{headersReply(), replaced("abc")}, "spurious"},
		{"full duplex, trailers that never came", Filter{Request: FullDuplex}, []*extprocv3.ProcessingResponse{headersReply(), trailers}, "spurious"},
		{"full duplex, leaves", Filter{Request: FullDuplex}, []*extprocv3.ProcessingResponse{headersReply()}, "the body is lost"},
		{"buffered, right", Filter{Request: Buffered}, []*extprocv3.ProcessingResponse{headersReply(), replaced("xy")}, "xy"},
		{"buffered, stale length", Filter{Request: Buffered}, []*extprocv3.ProcessingResponse{headersReply(), replaced("abc")}, "content-length 2 with a body of 3 bytes"},
		{"buffered, streamed_response", Filter{Request: Buffered}, []*extprocv3.ProcessingResponse{headersReply(), streamedReply("abc", true)}, "spurious"},
		{"buffered, leaves: the rest goes on as it was", Filter{Request: Buffered}, []*extprocv3.ProcessingResponse{headersReply()}, "ab"},
		{"buffered, headers twice", Filter{Request: Buffered}, []*extprocv3.ProcessingResponse{headersReply(), headersReply()}, "spurious"},
		{"append and append_action disagree", Filter{}, []*extprocv3.ProcessingResponse{contradiction}, "disagree"},
	} {
		out, err := c.filter.Do(t.Context(), serveScript(t, c.answers), Post("ab"), Message{})
		got := ""
		if err != nil {
			got = err.Error()
		} else {
			got = out.Upstream.Body()
		}
		if !strings.Contains(got, c.want) {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

func serveScript(t *testing.T, answers []*extprocv3.ProcessingResponse) extprocv3.ExternalProcessorClient {
	t.Helper()
	l := bufconn.Listen(1 << 16)
	g := grpc.NewServer(grpc.WaitForHandlers(true))
	extprocv3.RegisterExternalProcessorServer(g, script{answers: answers})
	served := make(chan error, 1)
	go func() { served <- g.Serve(l) }()
	conn, err := grpc.NewClient("passthrough:bufconn", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
		g.Stop()
		if err := <-served; err != nil && !errors.Is(err, io.EOF) {
			t.Error(err)
		}
	})
	return extprocv3.NewExternalProcessorClient(conn)
}
