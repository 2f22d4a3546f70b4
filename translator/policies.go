package translator

import (
	"fmt"
	"slices"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	filterchainv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/filter_chain/v3"
	headermutationv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/header_mutation/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/attache-dev/attache/config"
)

// The policies of a request, in the order in which they run on it; responses
// pass them in reverse. Names tell phase and policy, and are unique within a
// chain: Envoy concatenates the chains of several levels, and a later filter of
// the same name would replace an earlier one.
//
//	route.cors            answers preflights, and queues headers of the response
//	route.extProc         somebody's ext_proc server, or a profile of ours
//	route.csrf            refuses what pages of other origins send
//	route.directResponse  headers of the route's own answer
//	backend.ai            our ext_proc service: settings of an ai backend
//
// A profile and the settings of an ai backend are both ours, so they share one
// filter and one gRPC stream.
//
// Where all routes of a virtual host have the same chain, the virtual host
// carries it once: Envoy then builds it once, and not for every route.
const (
	routeCORS           = "route.cors"
	routeExtProc        = "route.extProc"
	backendAI           = "backend.ai"
	routeCSRF           = "route.csrf"
	routeDirectResponse = "route.directResponse"
)

// policy is one filter of a chain, before it is built.
type policy struct {
	// name tells phase and policy.
	name string
	// key tells the filter apart from others of the same name: equal keys mean
	// equal filters. It holds no secret.
	key string
	// build returns the filter's configuration.
	build func() protoMessage
	// own tells that the filter is our service.
	own bool
}

// chain is the filters of a route, in order.
type chain struct {
	filters []*corev3.TypedExtensionConfig
	// packed is the chain as a route carries it; nil for no filters.
	packed map[string]*anypb.Any
	// own tells that our service is one of the filters.
	own bool
}

// noPolicies is the empty chain.
var noPolicies = &chain{}

// chainOf returns the one chain for some policies: routes with equal policies
// share it, so that comparing pointers compares policies.
func (t *translation) chainOf(policies []policy) *chain {
	if len(policies) == 0 {
		return noPolicies
	}
	var key strings.Builder
	for _, p := range policies {
		key.WriteString(p.name + " " + p.key + "\n")
	}
	c := t.chains[key.String()]
	if c == nil {
		c = &chain{}
		for _, p := range policies {
			c.filters = append(c.filters, filter(p.name, p.build()))
			c.own = c.own || p.own
		}
		c.packed = packChain(c.filters)
		t.chains[key.String()] = c
	}
	return c
}

func packChain(filters []*corev3.TypedExtensionConfig) map[string]*anypb.Any {
	return map[string]*anypb.Any{policiesFilter: mustAny(&filterchainv3.FilterChainConfigPerRoute{
		FilterChain: &filterchainv3.FilterChain{Filters: filters},
	})}
}

// policies is the chain of a route.
func (t *translation) policies(r *config.Route, own *Chain) *chain {
	name := backendAI
	if r.ExtProc != nil && len(r.ExtProc.Profiles) > 0 {
		name = routeExtProc
	}
	extProcs := t.extProcs(r.ExtProc, name, own)
	route := len(extProcs)
	if own != nil && name == backendAI {
		route-- // the settings of a backend come after all that is the route's
	}
	return t.chainOf(slices.Concat(
		cors(routeCORS, r.CORS),
		extProcs[:route],
		csrf(r.CSRF),
		responseHeaders(r.DirectResponse),
		extProcs[route:],
	))
}

// gatewayPolicies is the chain of requests that match no route. External
// processing fails open there, whatever the file says: it guards what lies
// behind it, and behind the 404 there is nothing.
func (t *translation) gatewayPolicies(l *config.Listener) *chain {
	var external *config.ExtProc
	if l.ExtProc != nil {
		open := *l.ExtProc
		open.FailOpen = true
		external = &open
	}
	own := t.opts.ListenerChain(l)
	if own != nil {
		open := *own
		open.FailOpen = true
		own = &open
	}
	return t.chainOf(t.extProcs(external, routeExtProc, own))
}

// extProcs is somebody's ext_proc server, then ours under the name ownName.
func (t *translation) extProcs(e *config.ExtProc, ownName string, own *Chain) (policies []policy) {
	if e != nil && e.Target != nil {
		policies = append(policies, policy{
			name:  routeExtProc,
			key:   fmt.Sprintf("external %s %v %v", address(*e.Target), e.FailOpen, own.chooses()),
			build: func() protoMessage { return t.externalExtProc(e, own.chooses()) },
		})
	}
	if own != nil {
		policies = append(policies, policy{
			name:  ownName,
			key:   fmt.Sprintf("own %s %v %v %v %v", own.Ref, own.ReadsBody, own.ReadsResponse, own.FailOpen, own.chooses()),
			build: func() protoMessage { return t.ownExtProc(ownName, own) },
			own:   true,
		})
	}
	return policies
}

// over is the chain c in a route of a virtual host that carries the chain
// inherited. Envoy would run both, so each inherited filter that c does not
// replace becomes one that does nothing.
func (c *chain) over(inherited *chain) map[string]*anypb.Any {
	if inherited == noPolicies {
		return c.packed
	}
	filters := slices.Clone(c.filters)
	for _, f := range inherited.filters {
		if !slices.ContainsFunc(filters, func(own *corev3.TypedExtensionConfig) bool { return own.Name == f.Name }) {
			filters = append(filters, filter(f.Name, &headermutationv3.HeaderMutation{Mutations: &headermutationv3.Mutations{}}))
		}
	}
	return packChain(filters)
}
