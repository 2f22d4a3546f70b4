package extprocsvc_test

import (
	"errors"
	"strconv"
	"strings"
	"testing"

	extprocfilterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"

	"github.com/attache-dev/attache/config"
	"github.com/attache-dev/attache/extprocsvc"
	"github.com/attache-dev/attache/extprocsvc/extproctest"
)

// agentgateway is one that names a profile.
type agentgateway = extproctest.Agentgateway

// naming is the gRPC metadata that names a profile.
func naming(profile string) []string { return []string{extprocsvc.ProfileKey, profile} }

// through sends a request and a response of the model through an agentgateway.
func (s *service) through(t *testing.T, g agentgateway, request, response extproctest.Message) (extproctest.Outcome, error) {
	return g.Do(t.Context(), s.client, request, func(extproctest.Message) (extproctest.Message, error) { return response, nil })
}

// gateways are agentgateways in the modes in which chains can read.
func gateways(profile string) (all []agentgateway) {
	const full, buffered = extproctest.FullDuplex, extproctest.Buffered
	for _, g := range []agentgateway{
		{Old: true, Request: full, Response: full},
		{Request: full, Response: full},
		{Request: buffered, Response: full},
		{Request: full, Response: buffered},
		{Request: buffered, Response: buffered},
	} {
		for _, g.EmptyLast = range []bool{false, true} {
			g.Metadata = naming(profile)
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
				out, err := s.through(t, g, request, ok)
				if err != nil || out.Immediate != nil {
					t.Errorf("%v, %q, %v: %v, %v", g, chunks, trailers, out, err)
					continue
				}
				if got := out.String(); got != brief {
					t.Errorf("%v, %q, %v: %s", g, chunks, trailers, got)
				}
				if n := out.Upstream.Header.Get("content-length"); n != "" && n != strconv.Itoa(len(out.Upstream.Body())) {
					t.Errorf("%v, %q, %v: content-length %s", g, chunks, trailers, n)
				}
				if got := out.Upstream.Header.Get(":path"); got != "/v1/chat/completions" {
					t.Errorf("%v: %s", g, got)
				}
				if out.Client.Body() != ok.Body() || out.Client.Header.Get(":status") != "200" {
					t.Errorf("%v, %q, %v: the client gets %v %s", g, chunks, trailers, out.Client.Header, out.Client.Body())
				}
			}
		}
	}
	if st := s.Stats(); st.Errors != 0 {
		t.Errorf("%+v", st)
	}
}

// Requests and responses without a body end with their headers.
func TestAgentgatewayWithoutBodies(t *testing.T) {
	s := start(t, alone(""), extprocsvc.Options{}, profiles)
	for _, g := range gateways("default") {
		request := extproctest.Message{Header: extproctest.Header{{":method", "GET"}, {":scheme", "http"}, {":authority", "a"}, {":path", "/x"}, {"accept", "*/*"}}}
		out, err := s.through(t, g, request, extproctest.Message{Header: extproctest.Header{{":status", "204"}}})
		if err != nil || out.Immediate != nil || out.Upstream.Chunks != nil || out.Client.Header.Get(":status") != "204" {
			t.Errorf("%v: %+v, %v", g, out, err)
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
			out, err := s.through(t, g, extproctest.Post(c.body), ok)
			if err != nil || int32(out.Immediate.GetStatus().GetCode()) != c.status {
				t.Errorf("%v, %s: %v, %v; want %d", g, c.profile, out, err, c.status)
			}
		}
	}
	for _, g := range gateways("nobody") {
		if out, err := s.through(t, g, extproctest.Post(hello), ok); out.Immediate != nil || !errors.Is(err, extproctest.ErrEnded) {
			t.Errorf("%v: an unknown profile: %v, %v", g, out, err)
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
			out, err := s.through(t, g, extproctest.Post(`{"messages":[]}`), m)
			if err != nil || out.Immediate != nil || out.Client.Body() != `{"id":"1","choices":[],"usage":{"n":1e5}}` {
				t.Errorf("%v: %+v, %v", g, out, err)
			}
			if n := out.Client.Header.Get("content-length"); n != "" && n != strconv.Itoa(len(out.Client.Body())) {
				t.Errorf("%v: content-length %s for %d bytes", g, n, len(out.Client.Body()))
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
		{Request: extproctest.None, Response: full},
		{Request: extproctest.BufferedPartial, Response: full},
		{Request: full, Response: full, SkipRequestHeaders: true},
		{Request: extproctest.Buffered, Response: full, SkipRequestHeaders: true},
		{Request: extproctest.None, Response: extproctest.None, SkipRequestHeaders: true},
	} {
		g.Metadata = naming("default")
		out, err := s.through(t, g, extproctest.Post(hello), ok)
		if err != nil || !strings.Contains(string(out.Immediate.GetBody()), "its ext_proc filter has request_") {
			t.Errorf("%v: %v, %v", g, out, err)
		}
	}
	// Where nothing needs the response, its modes are free.
	for _, g := range []agentgateway{
		{Request: full, Response: extproctest.None},
		{Request: full, Response: extproctest.BufferedPartial},
		{Request: full, Response: extproctest.None, SkipResponseHeaders: true},
		{Request: full, Response: extproctest.Buffered, SkipResponseHeaders: true},
		{Request: full, Response: full, SkipResponseHeaders: true},
	} {
		g.Metadata = naming("default")
		out, err := s.through(t, g, extproctest.Post(hello), ok)
		if err != nil || out.Immediate != nil || out.Client.Body() != ok.Body() {
			t.Errorf("%v: %+v, %v", g, out, err)
		}
	}
}

// Without request headers it cannot be told from an Envoy, and is not left before
// its response either.
func TestAgentgatewayIsNotLeft(t *testing.T) {
	s := start(t, alone(""), extprocsvc.Options{}, "profiles: [{name: idle}]")
	for _, request := range []extprocfilterv3.ProcessingMode_BodySendMode{extproctest.FullDuplex, extproctest.Buffered, extproctest.BufferedPartial} {
		g := agentgateway{Request: request, Response: extproctest.None, SkipRequestHeaders: true, Metadata: naming("idle")}
		out, err := s.through(t, g, extproctest.Post(hello), ok)
		if err != nil || out.Immediate != nil || out.Upstream.Body() != hello || out.Client.Body() != ok.Body() {
			t.Errorf("%v: %+v, %v", g, out, err)
		}
	}
}
