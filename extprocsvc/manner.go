package extprocsvc

import (
	"log/slog"
	"strings"

	extprocfilterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
)

// learn finds out from the first message of a stream how it is to be talked to.
// An Envoy since 1.33 and an agentgateway since v1.3 say it. One that does not,
// and puts pseudo headers last, is an agentgateway in full duplex; of others we
// know only what we are told.
func (s *stream) learn(m *extprocv3.ProcessingRequest) {
	switch c := m.GetProtocolConfig(); {
	case c != nil:
		s.mode(c.GetRequestBodyMode(), c.GetResponseBodyMode())
	case s.server.assumed != extprocfilterv3.ProcessingMode_NONE && !readHead(m.GetRequestHeaders().GetHeaders().GetHeaders()).pseudoLast:
		s.mode(s.server.assumed, s.server.assumed)
	default:
		s.mode(extprocfilterv3.ProcessingMode_FULL_DUPLEX_STREAMED, extprocfilterv3.ProcessingMode_FULL_DUPLEX_STREAMED)
	}
	if m.GetProtocolConfig() == nil {
		s.responseNone = false
	}
	if m.GetObservabilityMode() {
		s.onlyLooksOn()
	}
}

// onlyLooksOn is for observability_mode: Envoy shows a copy of everything and
// takes no answer. The chain runs, and its decisions are recorded; nobody
// follows them. What comes in pieces can be read as a whole then, since nobody
// waits for it.
func (s *stream) onlyLooksOn() {
	s.conn = unheard{s.conn}
	s.record.Unheard = true
	if s.requestMode == extprocfilterv3.ProcessingMode_STREAMED {
		s.request.reads, s.request.state = true, holding
	}
	if s.responseMode == extprocfilterv3.ProcessingMode_STREAMED {
		s.response.reads, s.response.state = true, holding
	}
	if s.chain.looksOn.CompareAndSwap(false, true) {
		s.server.log.LogAttrs(s.conn.Context(), slog.LevelWarn,
			"the ext_proc filter is in observability_mode: the chain runs and is recorded, and nothing that it says has an effect",
			slog.String("chain", s.chain.ref))
	}
}

// unheard is a connection to somebody who takes no answer.
type unheard struct {
	extprocv3.ExternalProcessor_ProcessServer
}

func (unheard) Send(*extprocv3.ProcessingResponse) error { return nil }

// beginsWithResponse is for a stream without a request: an earlier filter has
// answered it, and there is nothing to decide about; or the request went to the
// upstream and we were not shown it. Envoy's router marks responses of upstreams,
// and agentgateway shows no others.
func (s *stream) beginsWithResponse(m *extprocv3.HttpHeaders) (done bool, err error) {
	h := readHead(m.GetHeaders().GetHeaders())
	if h.first("x-envoy-upstream-service-time") != "" || h.pseudoLast {
		return s.headless(func() (bool, error) { return false, nil })
	}
	if s.chain.readsAll && !s.request.reads {
		return s.misconfigured("request_body_mode " + s.requestMode.String())
	}
	if s.chain.late.CompareAndSwap(false, true) {
		level, hint := slog.LevelDebug, ""
		if s.server.chains.Load().alone != nil { // we have not made the filter
			level, hint = slog.LevelWarn, "; or else the filter has request_header_mode SKIP and the router suppress_envoy_headers, and nothing is guarded"
		}
		s.server.log.LogAttrs(s.conn.Context(), level,
			"a stream begins with a response that is no upstream's, and passes: an earlier filter has answered, or Envoy itself"+hint,
			slog.String("chain", s.chain.ref))
	}
	return false, nil
}

// misconfiguration is a refusal that tells the client's owner which mode of the
// filter keeps us from reading.
func misconfiguration(mode string) *refusal {
	r := broken(500, "misconfigured", "the gateway is not shown what it has to read: its ext_proc filter has "+mode)
	r.details = "attache_failed{misconfigured:" + strings.ReplaceAll(mode, " ", "=") + "}"
	return r
}
