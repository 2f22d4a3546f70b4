package translator_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	extprocfilterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// A marker is somebody's ext_proc server. It adds its name to the header x-ran
// of requests and x-back of responses, and to every body, and does what the
// request's headers say, where NAME is its own:
//
//	NAME-set: k=v    sets a header of the request
//	NAME-remove: k   removes one
//	NAME-back: k=v   sets a header of the response
//	NAME-refuse: rb  answers 418 to this message; rh, rb, sh or sb
//	NAME-slow: 300ms waits before the reply to the request's headers
type marker struct {
	extprocv3.UnimplementedExternalProcessorServer
	name string
	addr string
	stop func()

	mu   sync.Mutex
	log  []string // of messages
	last []*extprocv3.ProcessingRequest
	md   metadata.MD
}

// newMarker starts the server.
func newMarker(t *testing.T, name string) *marker {
	t.Helper()
	m := &marker{name: name}
	var server *grpc.Server
	m.addr = serve(t, "tcp", "127.0.0.1:0", func(s grpc.ServiceRegistrar) {
		server = s.(*grpc.Server)
		extprocv3.RegisterExternalProcessorServer(s, m)
	})
	m.stop = server.Stop
	return m
}

// forget returns the messages since the last call, and what they were.
func (m *marker) forget() (log string, messages []*extprocv3.ProcessingRequest, md metadata.MD) {
	m.mu.Lock()
	defer m.mu.Unlock()
	log, messages, md = strings.Join(m.log, " "), m.last, m.md
	m.log, m.last, m.md = nil, nil, nil
	return log, messages, md
}

func (m *marker) Process(stream extprocv3.ExternalProcessor_ProcessServer) error {
	md, _ := metadata.FromIncomingContext(stream.Context())
	m.mu.Lock()
	m.md = md
	m.mu.Unlock()
	x := &marking{marker: m}
	for {
		in, err := stream.Recv()
		if err != nil {
			return nil
		}
		phase, out := x.answer(in)
		m.mu.Lock()
		m.log, m.last = append(m.log, phase), append(m.last, in)
		m.mu.Unlock()
		if x.do["refuse"] == phase {
			return stream.Send(&extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_ImmediateResponse{ImmediateResponse: &extprocv3.ImmediateResponse{
				Status: &typev3.HttpStatus{Code: 418}, Body: []byte("refused by " + m.name),
			}}})
		}
		if err := stream.Send(out); err != nil {
			return nil
		}
	}
}

type marking struct {
	*marker
	do                map[string]string
	request, response extprocfilterv3.ProcessingMode_BodySendMode
}

func values(h *extprocv3.HttpHeaders) map[string]string {
	all := map[string]string{}
	for _, kv := range h.GetHeaders().GetHeaders() {
		all[kv.Key] = string(kv.RawValue)
	}
	return all
}

func (x *marking) answer(in *extprocv3.ProcessingRequest) (phase string, out *extprocv3.ProcessingResponse) {
	if c := in.GetProtocolConfig(); c != nil {
		x.request, x.response = c.RequestBodyMode, c.ResponseBodyMode
	}
	switch m := in.Request.(type) {
	case *extprocv3.ProcessingRequest_RequestHeaders:
		x.do = map[string]string{}
		headers := values(m.RequestHeaders)
		for k, v := range headers {
			if what, ok := strings.CutPrefix(k, x.name+"-"); ok {
				x.do[what] = v
			}
		}
		if d, err := time.ParseDuration(x.do["slow"]); err == nil {
			time.Sleep(d) // what the test is about
		}
		change := x.mark("x-ran", headers)
		if x.do["set"] != "" {
			k, v, _ := strings.Cut(x.do["set"], "=")
			change.SetHeaders = append(change.SetHeaders, set(k, v))
		}
		if x.do["remove"] != "" {
			change.RemoveHeaders = []string{x.do["remove"]}
		}
		return "rh", &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_RequestHeaders{RequestHeaders: &extprocv3.HeadersResponse{
			Response: &extprocv3.CommonResponse{HeaderMutation: change, ClearRouteCache: true},
		}}}
	case *extprocv3.ProcessingRequest_RequestBody:
		return "rb", &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_RequestBody{RequestBody: x.body(m.RequestBody, x.request)}}
	case *extprocv3.ProcessingRequest_RequestTrailers:
		return "rt", &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_RequestTrailers{RequestTrailers: &extprocv3.TrailersResponse{}}}
	case *extprocv3.ProcessingRequest_ResponseHeaders:
		change := x.mark("x-back", values(m.ResponseHeaders))
		if x.do["back"] != "" {
			k, v, _ := strings.Cut(x.do["back"], "=")
			change.SetHeaders = append(change.SetHeaders, set(k, v))
		}
		return "sh", &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_ResponseHeaders{ResponseHeaders: &extprocv3.HeadersResponse{
			Response: &extprocv3.CommonResponse{HeaderMutation: change},
		}}}
	case *extprocv3.ProcessingRequest_ResponseBody:
		return "sb", &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_ResponseBody{ResponseBody: x.body(m.ResponseBody, x.response)}}
	default:
		return "st", &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_ResponseTrailers{ResponseTrailers: &extprocv3.TrailersResponse{}}}
	}
}

func (x *marking) mark(header string, headers map[string]string) *extprocv3.HeaderMutation {
	return &extprocv3.HeaderMutation{SetHeaders: []*corev3.HeaderValueOption{set(header, strings.TrimPrefix(headers[header]+","+x.name, ","))}}
}

// body adds the name to the end of a body.
func (x *marking) body(b *extprocv3.HttpBody, mode extprocfilterv3.ProcessingMode_BodySendMode) *extprocv3.BodyResponse {
	body := b.Body
	if b.EndOfStream || mode == extprocfilterv3.ProcessingMode_BUFFERED_PARTIAL {
		body = append(body[:len(body):len(body)], "+"+x.name...)
	}
	if mode == fullDuplex {
		return &extprocv3.BodyResponse{Response: echoed(&extprocv3.HttpBody{Body: body, EndOfStream: b.EndOfStream})}
	}
	return &extprocv3.BodyResponse{Response: &extprocv3.CommonResponse{
		HeaderMutation: &extprocv3.HeaderMutation{SetHeaders: []*corev3.HeaderValueOption{set("content-length", fmt.Sprint(len(body)))}},
		BodyMutation:   &extprocv3.BodyMutation{Mutation: &extprocv3.BodyMutation_Body{Body: body}},
	}}
}

// An exchanged request: what it was answered.
type answered struct {
	status  int
	body    string
	headers http.Header
}

// ask sends a request; headers are "name: value". It follows no redirect.
func (b *testbed) ask(t *testing.T, method, host, target, body string, headers ...string) answered {
	t.Helper()
	var content io.Reader = http.NoBody
	if body != "" {
		content = strings.NewReader(body)
	}
	req, err := http.NewRequest(method, fmt.Sprintf("http://127.0.0.1:%d%s", b.port, target), content)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ":")
		req.Header.Add(name, strings.TrimSpace(value))
	}
	client := &http.Client{
		Timeout:       10 * time.Second,
		Transport:     &http.Transport{DisableKeepAlives: true, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Errorf("after %q: %v", got, err)
	}
	return answered{resp.StatusCode, string(got), resp.Header}
}
