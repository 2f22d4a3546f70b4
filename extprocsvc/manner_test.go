package extprocsvc_test

import (
	"log/slog"
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	extprocfilterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"

	"github.com/attache-dev/attache/extprocsvc"
	"github.com/attache-dev/attache/extprocsvc/extproctest"
)

// In observability mode the chain runs on what comes by, and is recorded; no reply
// is sent.
func TestOnlyLookingOn(t *testing.T) {
	var log lines
	s := serve(t, extprocsvc.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	for _, c := range []struct {
		route   int
		body    string
		verdict extprocsvc.Verdict
		reason  string
	}{
		{rules, hi, extprocsvc.Passed, ""},
		{rules, "no JSON", extprocsvc.Refused, "invalid_json"},
		{stop, hi, extprocsvc.Rejected, extprocsvc.PolicyViolation},
	} {
		k := s.begin(t, c.route)
		first := headers(extproctest.Post(c.body))
		first.ProtocolConfig = &extprocv3.ProtocolConfiguration{RequestBodyMode: extproctest.Streamed, ResponseBodyMode: extproctest.Streamed}
		for _, m := range []*extprocv3.ProcessingRequest{first, chunk(c.body[:3], false), chunk(c.body[3:], true)} {
			m.ObservabilityMode = true
			k.send(m)
		}
		if err := k.end(); err == nil || err.Error() != "EOF" {
			t.Errorf("a reply, or %v", err)
		}
		r := s.Latest(1)[0]
		if !r.Unheard || r.Verdict != c.verdict || r.Reason != c.reason {
			t.Errorf("%s: %+v", c.body, r)
		}
	}
	// With other body modes Envoy shows headers only, and does not tell its modes.
	k := s.begin(t, rules)
	for _, m := range []*extprocv3.ProcessingRequest{
		headers(extproctest.Post(hi)),
		{Request: &extprocv3.ProcessingRequest_ResponseHeaders{ResponseHeaders: &extprocv3.HttpHeaders{Headers: ok.Header.Map()}}},
	} {
		m.ObservabilityMode = true
		k.send(m)
	}
	if err := k.end(); err == nil || err.Error() != "EOF" {
		t.Errorf("a reply, or %v", err)
	}
	if r := s.Latest(1)[0]; !r.Unheard || r.Verdict != extprocsvc.Failed || r.Reason != "misconfigured" {
		t.Errorf("%+v", r)
	}
	if want := `requests are not decided about" chain=`; !strings.Contains(log.String(), want) || !strings.Contains(log.String(), "body modes STREAMED") {
		t.Errorf("the log has no %s:\n%s", want, log.String())
	}
	if n := strings.Count(log.String(), "is in observability_mode"); n != 2 {
		t.Errorf("told %d times of two chains:\n%s", n, log.String())
	}
	if n := s.settled().Held; n != 0 {
		t.Errorf("%d bytes held", n)
	}
}

// An old Envoy does not tell its modes, and an old agentgateway has but one.
func TestAssumedModes(t *testing.T) {
	s := serve(t, extprocsvc.Options{AssumeBodyMode: extproctest.Buffered})
	agentgateway := extproctest.Post(hi)
	agentgateway.Header = append(agentgateway.Header[4:], agentgateway.Header[:4]...)

	k := s.begin(t, both)
	k.send(headers(extproctest.Post(hi)))
	if k.recv().GetRequestHeaders() == nil {
		t.Error("no reply to the headers, for which an Envoy that buffers waits")
	}
	k.send(chunk(hi, true))
	if got := k.recv().GetRequestBody().GetResponse().GetBodyMutation().GetBody(); string(got) != hiBoth {
		t.Errorf("got %s", got)
	}

	k = s.begin(t, both)
	k.send(headers(agentgateway), chunk(hi, true))
	if k.recv().GetRequestHeaders() == nil {
		t.Error("no reply to the headers")
	}
	if got := k.recv().GetRequestBody().GetResponse().GetBodyMutation().GetStreamedResponse().GetBody(); string(got) != hiBoth {
		t.Errorf("got %s", got)
	}
}

// A stream may begin with a response. That of an earlier filter passes; that of an
// upstream has had a request that we were not shown.
func TestStreamsThatBeginWithAResponse(t *testing.T) {
	s := serve(t, extprocsvc.Options{})
	mark := &corev3.HeaderValue{Key: "x-envoy-upstream-service-time", RawValue: []byte("3")}
	for _, c := range []struct {
		name   string
		route  int
		mode   extprocfilterv3.ProcessingMode_BodySendMode
		from   []*corev3.HeaderValue
		status int32 // 0: it passes
	}{
		{"an earlier filter's", rules, extproctest.FullDuplex, nil, 0},
		{"an earlier filter's, and no mode to read a request", rules, extproctest.None, nil, 500},
		{"an upstream's", rules, extproctest.FullDuplex, []*corev3.HeaderValue{mark}, 500},
		{"an upstream's, and a chain that reads nothing", stop, extproctest.None, []*corev3.HeaderValue{mark}, 422},
		{"agentgateway's", rules, extproctest.FullDuplex, []*corev3.HeaderValue{{Key: "x", RawValue: []byte("y")}, {Key: ":status", Value: "200"}}, 500},
	} {
		k := s.begin(t, c.route)
		m := &extprocv3.ProcessingRequest{
			Request:        &extprocv3.ProcessingRequest_ResponseHeaders{ResponseHeaders: &extprocv3.HttpHeaders{Headers: &corev3.HeaderMap{Headers: c.from}}},
			ProtocolConfig: &extprocv3.ProtocolConfiguration{RequestBodyMode: c.mode, ResponseBodyMode: extproctest.None},
		}
		k.send(m)
		got := k.recv()
		if status := int32(got.GetImmediateResponse().GetStatus().GetCode()); status != c.status || c.status == 0 && got.GetResponseHeaders() == nil {
			t.Errorf("%s: got %v", c.name, got)
		}
	}
}
