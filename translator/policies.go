package translator

import (
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
//	gateway.cors          answers preflights, and queues headers of the response
//	gateway.extProc       somebody's ext_proc server, or a profile of ours
//	route.cors            as in the gateway phase
//	route.buffer          the whole body of a request
//	route.delay           artificial latency
//	route.extProc         as in the gateway phase
//	route.csrf            refuses what pages of other origins send
//	backend.responseHeaderModifier
//	route.headerModifier  request and response headers
//	route.directResponse  headers of the route's own answer
//	backend.requestHeaderModifier
//	backend.ai            our ext_proc service: settings of an ai backend
//	backend.dynamic       looks up the host that a request goes to
//
// What a policy needs beside its own filter stands right before it, under its
// name with a word behind: route.extProc.metadata.
//
// A route's profile and the settings of an ai backend are both ours and
// adjacent, so they share one filter and one gRPC stream.
//
// The virtual host carries the gateway phase, see gateway.go. Where all its
// routes have the same chain, or most of very many, it carries that too: Envoy
// then builds it once, and not for every route.
const (
	gatewayCORS         = "gateway.cors"
	gatewayExtProc      = "gateway.extProc"
	routeCORS           = "route.cors"
	routeBuffer         = "route.buffer"
	routeDelay          = "route.delay"
	routeExtProc        = "route.extProc"
	routeCSRF           = "route.csrf"
	routeHeaderModifier = "route.headerModifier"
	routeDirectResponse = "route.directResponse"
	backendAI           = "backend.ai"

	backendRequestHeaders  = "backend.requestHeaderModifier"
	backendResponseHeaders = "backend.responseHeaderModifier"
	routeResponseHeaders   = "route.responseHeaderModifier"
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
	// bodies tell what the filter does with bodies.
	bodies bodies
}

// chain is the filters of a route, in order.
type chain struct {
	filters []*corev3.TypedExtensionConfig
	// packed is the chain as a route carries it; nil for no filters.
	packed map[string]*anypb.Any
	// own tells that our service is one of the filters.
	own bool
	// bodies tell what the filters do with bodies.
	bodies bodies
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
			c.bodies.request = c.bodies.request.then(p.bodies.request)
			c.bodies.response = c.bodies.response.then(p.bodies.response)
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

// policies is the chain of a route. gateway is that of its listener's gateway
// phase.
func (t *translation) policies(r *config.Route, own *Chain, gateway *chain) *chain {
	x := extProcs{external: r.ExtProc, name: routeExtProc, own: own, ownName: backendAI, chain: chainOfRoute}
	if r.ExtProc != nil && len(r.ExtProc.Profiles) > 0 {
		x.ownName = routeExtProc
	}
	// A choice looks for the route again, which must not be that of another
	// host, whose policies would not run.
	x.rules.keepHost = own.chooses()
	x.continues, x.streamed = gateway.own, gateway.bodies.request.streams
	extProcs, service := t.extProcs(x), []policy(nil)
	if last := len(extProcs) - 1; last >= 0 && extProcs[last].name == backendAI {
		extProcs, service = extProcs[:last], extProcs[last:]
	}
	only := &config.Backend{}
	routeResponse := r.ResponseHeaders
	switch {
	case len(r.Backends) == 1:
		only = r.Backends[0]
	case t.backendsDiffer(r, own):
		routeResponse = nil // see backendPolicies
	}
	c := t.chainOf(slices.Concat(
		cors(routeCORS, r.CORS),
		buffer(&r.Filters),
		delay(&r.Filters),
		extProcs,
		csrf(r.CSRF),
		headerModifiers(backendResponseHeaders, nil, only.ResponseHeaders),
		headerModifiers(routeHeaderModifier, r.RequestHeaders, routeResponse),
		responseHeaders(r.DirectResponse),
		headerModifiers(backendRequestHeaders, only.RequestHeaders, nil),
		service,
		t.forwardProxy(r),
	))
	t.unseen(gateway.bodies, c.bodies)
	return c
}

// backendPolicies is the chain of one of several backends of a route. It stands
// behind that of the route. Of the modifiers of a response the route's comes
// first, so that it is in this chain too.
func (t *translation) backendPolicies(r *config.Route, b *config.Backend) map[string]*anypb.Any {
	if !slices.ContainsFunc(r.Backends, modifiesHeaders) {
		return nil
	}
	return t.chainOf(slices.Concat(
		headerModifiers(backendResponseHeaders, nil, b.ResponseHeaders),
		headerModifiers(routeResponseHeaders, nil, r.ResponseHeaders),
		headerModifiers(backendRequestHeaders, b.RequestHeaders, nil),
	)).packed
}

func modifiesHeaders(b *config.Backend) bool {
	return b.RequestHeaders != nil || b.ResponseHeaders != nil
}

// backendsDiffer tells whether backends of a route have chains of their own.
// Routes to chosen backends have none.
func (t *translation) backendsDiffer(r *config.Route, own *Chain) bool {
	i := slices.IndexFunc(r.Backends, modifiesHeaders)
	if i >= 0 && own.chooses() {
		t.errorf(r.Backends[i].Path+".policies", config.Unsupported, "header modifiers of one backend are not supported where a profile chooses among several; put them on the route")
	}
	return i >= 0
}

// notFoundPolicies is the chain of requests that match no route. External
// processing fails open there, whatever the file says: it guards what lies
// behind it, and behind the 404 there is nothing.
func (t *translation) notFoundPolicies(l *config.Listener, gateway *chain) *chain {
	x := extProcs{name: routeExtProc, ownName: routeExtProc, continues: gateway.own, streamed: gateway.bodies.request.streams}
	if l.ExtProc != nil {
		open := *l.ExtProc
		open.FailOpen = true
		if open.Show.Request.Body == config.BodyFullDuplex {
			open.Show.Request.Body = config.BodyBuffered
		}
		x.external = &open
	}
	if own := t.opts.ListenerChain(l); own != nil {
		open := *own
		open.FailOpen = true
		x.own, x.chain = &open, open.Ref
	}
	return t.chainOf(t.extProcs(x))
}

// then is the chain c followed by next, as one level carries both.
func (c *chain) then(next *chain) map[string]*anypb.Any {
	switch {
	case next == noPolicies:
		return c.packed
	case c == noPolicies:
		return next.packed
	}
	return packChain(slices.Concat(c.filters, next.filters))
}

// over is the chain c in a route of a virtual host that carries the chain
// inherited. Envoy would run both, so each inherited filter that c does not
// replace becomes one that does nothing.
func (t *translation) over(c, inherited *chain) map[string]*anypb.Any {
	both := [2]*chain{c, inherited}
	if t.overs[both] == nil {
		t.overs[both] = c.over(inherited)
	}
	return t.overs[both]
}

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
