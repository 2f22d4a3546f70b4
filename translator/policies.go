package translator

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/attache-dev/attache/config"
)

// The policies of a request, in the order in which they run on it; responses
// pass them in reverse. Names tell phase and policy, and are unique within a
// chain: Envoy concatenates the chains of several levels, and a later filter of
// the same name would replace an earlier one.
//
//	route.extProc   somebody's ext_proc server, or a profile of ours
//	backend.ai      our ext_proc service: settings of an ai backend
//
// A profile and the settings of an ai backend are both ours and adjacent, so
// they share one filter and one gRPC stream.
const (
	routeExtProc = "route.extProc"
	backendAI    = "backend.ai"
)

// policies are the filters of a route.
func (t *translation) policies(r *config.Route) map[string]*anypb.Any {
	var filters []*corev3.TypedExtensionConfig
	ours := backendAI
	if e := r.ExtProc; e != nil {
		if e.Target != nil {
			filters = append(filters, t.externalExtProc(e, e.FailOpen))
		} else {
			ours = routeExtProc
		}
	}
	if chain := t.opts.RouteChain(r); chain != nil {
		filters = append(filters, t.ownExtProc(ours, chain))
	}
	return filterChain(filters)
}

// gatewayPolicies are the filters of requests that match no route. External
// processing fails open there, whatever the file says: it guards what lies
// behind it, and behind the 404 there is nothing.
func (t *translation) gatewayPolicies(l *config.Listener) map[string]*anypb.Any {
	var filters []*corev3.TypedExtensionConfig
	if e := l.ExtProc; e != nil && e.Target != nil {
		filters = append(filters, t.externalExtProc(e, true))
	}
	if chain := t.opts.ListenerChain(l); chain != nil {
		open := *chain
		open.FailOpen = true
		filters = append(filters, t.ownExtProc(routeExtProc, &open))
	}
	return filterChain(filters)
}
