package translator

import (
	"cmp"
	"math"
	"net"
	"time"

	mutationv3 "github.com/envoyproxy/go-control-plane/envoy/config/common/mutation_rules/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	headermutationv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/header_mutation/v3"
	codecv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/upstream_codec/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/attache-dev/attache/config"
)

const (
	// maxRetriedBody is how much of a request is kept to be sent again, in bytes:
	// agentgateway's figure. A longer one is sent once.
	maxRetriedBody = 64 << 10
	// noBackoff is Envoy's shortest pause.
	noBackoff = time.Millisecond
)

// retryPolicy tells when a request is sent again, and how long one attempt may
// take until the headers of the response. It is nil for once and forever.
func retryPolicy(f *config.Filters, b *config.Backend) *routev3.RetryPolicy {
	timeout := cmp.Or(b.HTTP.RequestTimeout, f.BackendTimeout)
	if f.Retry == nil && timeout == 0 {
		return nil
	}
	p := &routev3.RetryPolicy{NumRetries: wrapperspb.UInt32(0)}
	if timeout > 0 {
		p.PerTryTimeout = durationpb.New(timeout)
	}
	if f.Retry == nil {
		return p
	}
	// "reset" is every way to fail before there is a response: a connection that
	// is refused or breaks, an attempt that takes too long.
	p.RetryOn = "reset,retriable-status-codes"
	p.NumRetries = wrapperspb.UInt32(f.Retry.Attempts)
	p.RetriableStatusCodes = f.Retry.Codes
	pause := durationpb.New(max(f.Retry.Backoff, noBackoff))
	p.RetryBackOff = &routev3.RetryPolicy_RetryBackOff{BaseInterval: pause, MaxInterval: pause}
	return p
}

// keepBody bounds how much of a request is kept to be sent again, and lets filters
// that have Envoy hold bodies have them whole: for a client that speaks HTTP/2 its
// own limit is the window of a stream.
func (t *translation) keepBody(e *routev3.Route, f *config.Filters, held bool) {
	switch {
	case held:
		e.RequestBodyBufferLimit = wrapperspb.UInt64(uint64(t.opts.MaxBody))
	case f.Retry != nil && e.GetRoute() != nil:
		e.RequestBodyBufferLimit = wrapperspb.UInt64(maxRetriedBody)
	}
}

// retryAttempt tells the backend the number of the retry, and nothing with the
// first attempt: there the expression has no value, and Envoy leaves the header
// as it is.
var retryAttempt = httpFilter("backend.retryAttempt", &headermutationv3.HeaderMutation{Mutations: &headermutationv3.Mutations{
	RequestMutations: []*mutationv3.HeaderMutation{{Action: &mutationv3.HeaderMutation_Append{Append: &corev3.HeaderValueOption{
		Header: &corev3.HeaderValue{
			Key:   "x-retry-attempt",
			Value: "%CEL(upstream.request_attempt_count > 1u ? upstream.request_attempt_count - 1u : [0u][1])%",
		},
		AppendAction: corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
	}}}},
}})

// withRetryAttempt puts retryAttempt before the other filters of a cluster, of
// which the codec is the last.
func withRetryAttempt(filters []*hcmv3.HttpFilter) []*hcmv3.HttpFilter {
	if len(filters) == 0 {
		filters = []*hcmv3.HttpFilter{httpFilter("envoy.filters.http.upstream_codec", &codecv3.UpstreamCodec{})}
	}
	return append([]*hcmv3.HttpFilter{retryAttempt}, filters...)
}

// retriedBackends are the clusters to which some route sends requests again.
func retriedBackends(listeners []*config.Listener) map[string]bool {
	retried := map[string]bool{}
	for _, l := range listeners {
		for _, r := range l.Routes {
			if r.Retry == nil {
				continue
			}
			for _, b := range r.Backends {
				retried[backendCluster(b)] = true
			}
		}
	}
	return retried
}

// mirror sends copies of a share of the requests to another backend, with its
// own name as Host if it has one.
func (t *translation) mirror(m *config.Mirror) []*routev3.RouteAction_RequestMirrorPolicy {
	if m == nil {
		return nil
	}
	p := &routev3.RouteAction_RequestMirrorPolicy{
		Cluster:                       t.backendCluster(m.Backend),
		DisableShadowHostSuffixAppend: true,
		RuntimeFraction: &corev3.RuntimeFractionalPercent{DefaultValue: &typev3.FractionalPercent{
			Numerator:   uint32(math.Round(m.Share * 1e6)),
			Denominator: typev3.FractionalPercent_MILLION,
		}},
	}
	if host := m.Backend.Target.Host; host != "" && net.ParseIP(host) == nil {
		p.HostRewriteLiteral = host
	}
	return []*routev3.RouteAction_RequestMirrorPolicy{p}
}
