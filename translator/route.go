package translator

import (
	"cmp"
	"slices"
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/attache-dev/attache/config"
)

type routeConfiguration = routev3.RouteConfiguration

// anyHost is Envoy's word for every host, and ours for a route without
// hostnames.
const anyHost = "*"

// A routeGroup is what one RouteConfiguration is for.
type routeGroup struct {
	// name is that of the RouteConfiguration.
	name string
	// listeners have the requests, by Host.
	listeners []*config.Listener
	// others have other connections of the same port: their hosts are
	// misdirected here.
	others []*config.Listener
}

// routeGroups are those of a port. Over TLS the connection has chosen the
// listener, by SNI, before there is a Host.
func (t *translation) routeGroups(port uint16) (groups []routeGroup) {
	listeners := t.byPort[port]
	if listeners[0].Protocol == config.ProtocolHTTP {
		return []routeGroup{{name: routeConfigName(port), listeners: listeners}}
	}
	for i, l := range listeners {
		if l.Protocol == config.ProtocolHTTPS {
			others := slices.Concat(listeners[:i], listeners[i+1:])
			groups = append(groups, routeGroup{tlsRouteConfigName(l), listeners[i : i+1], others})
		}
	}
	return groups
}

// routeConfig builds the routes of a group: a virtual host for each hostname
// that a listener or a route names, and one for every other host.
func (t *translation) routeConfig(g routeGroup) {
	rc := &routeConfiguration{
		Name:                           g.name,
		IgnorePortInHostMatching:       true,
		MaxDirectResponseBodySizeBytes: maxDirectResponse(g.listeners),
	}
	all := slices.Concat(g.listeners, g.others)
	claimed := map[string]bool{}
	decided := false // some requests are decided by our service
	for _, l := range g.listeners {
		gateway := t.gatewayPolicies(l)
		groups := t.hostGroups(l, gateway)
		notFound := t.notFoundPolicies(l, gateway)
		for _, domain := range domains(l.Hostname, groups) {
			// The host chooses the listener first: the most specific one has
			// it, also where another listener's route names the same host.
			if claimed[domain] || chosen(all, domain) != l {
				continue
			}
			claimed[domain] = true
			var routes []*routeWithPolicies
			for _, hostname := range covering(domain) {
				routes = append(routes, groups[hostname]...)
			}
			decided = decided || gateway.own || notFound.own || slices.ContainsFunc(routes, func(r *routeWithPolicies) bool { return r.policies.own })
			rc.VirtualHosts = append(rc.VirtualHosts, t.virtualHost(domain, routes, gateway, notFound))
		}
	}
	if misdirected := misdirectedHosts(g.others); misdirected != nil {
		rc.VirtualHosts = append(rc.VirtualHosts, misdirected)
		claimed[anyHost] = claimed[anyHost] || slices.Contains(misdirected.Domains, anyHost)
	}
	if !claimed[anyHost] {
		rc.VirtualHosts = append(rc.VirtualHosts, &routev3.VirtualHost{
			Name: anyHost, Domains: []string{anyHost}, Routes: []*routev3.Route{notFoundRoute()},
		})
	}
	if decided {
		rc.ResponseHeadersToAdd = []*corev3.HeaderValueOption{decisionID}
	}
	slices.SortFunc(rc.VirtualHosts, func(a, b *routev3.VirtualHost) int { return cmp.Compare(a.Name, b.Name) })
	t.out.Routes = append(t.out.Routes, rc)
	t.place(rc.Name, g.listeners[0].BindPath)
}

// misdirectedHosts answers for the hosts of other listeners of the port. A
// client that uses one connection for several hosts asks them again by another.
func misdirectedHosts(others []*config.Listener) *routev3.VirtualHost {
	if len(others) == 0 {
		return nil
	}
	r := &routev3.Route{
		Name:  "misdirected",
		Match: &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/"}},
	}
	directResponse(421, "misdirected request")(r)
	vh := &routev3.VirtualHost{Name: misdirectedVirtualHost, Routes: []*routev3.Route{r}}
	for _, l := range others {
		vh.Domains = append(vh.Domains, cmp.Or(l.Hostname, anyHost))
	}
	slices.Sort(vh.Domains)
	return vh
}

// routeWithPolicies is an Envoy route without its chain, and the chain.
type routeWithPolicies struct {
	bare     *routev3.Route
	policies *chain
	// full is the route with its chain, if a virtual host has needed it.
	full *routev3.Route
	// chosen are the routes to the backends that our service may choose; all
	// matches of a route have the same list.
	chosen []*routev3.Route
}

// withPolicies is the route with its chain. All virtual hosts have the same one.
func (r *routeWithPolicies) withPolicies() *routev3.Route {
	if r.full == nil {
		r.full = r.with(r.policies.packed)
	}
	return r.full
}

// with is the route with a chain. It shares everything else with that without.
func (r *routeWithPolicies) with(packed map[string]*anypb.Any) *routev3.Route {
	if packed == nil {
		return r.bare
	}
	return &routev3.Route{
		Name: r.bare.Name, Match: r.bare.Match, Action: r.bare.Action, Metadata: r.bare.Metadata,
		ResponseHeadersToAdd:   r.bare.ResponseHeadersToAdd,
		RequestBodyBufferLimit: r.bare.RequestBodyBufferLimit,
		TypedPerFilterConfig:   packed,
	}
}

// virtualHost carries the chain of the gateway phase, and one that its routes
// share. The first routes are those that our service chooses, the last is the 404.
func (t *translation) virtualHost(domain string, routes []*routeWithPolicies, gateway, notFound *chain) *routev3.VirtualHost {
	vh := &routev3.VirtualHost{Name: domain, Domains: []string{domain}, Routes: chosenRoutes(routes)}
	shared := sharedChain(routes)
	vh.TypedPerFilterConfig = gateway.then(shared)
	for _, r := range routes {
		switch {
		case shared == noPolicies:
			vh.Routes = append(vh.Routes, r.withPolicies())
		case r.policies == shared:
			vh.Routes = append(vh.Routes, r.bare)
		default:
			vh.Routes = append(vh.Routes, r.with(t.over(r.policies, shared)))
		}
	}
	last := notFoundRoute()
	last.TypedPerFilterConfig = t.over(notFound, shared)
	vh.Routes = append(vh.Routes, last)
	return vh
}

// worthSharing is how many routes of a host have a chain in common before others
// take it off, with filters that do nothing: those cost each of their requests some
// microseconds.
const worthSharing = 100

// sharedChain is the one that all routes of a host have, or most of very many.
func sharedChain(routes []*routeWithPolicies) *chain {
	count, most := map[*chain]int{}, noPolicies
	for _, r := range routes {
		if count[r.policies]++; count[r.policies] > count[most] {
			most = r.policies
		}
	}
	if n := count[most]; n > 1 && (n == len(routes) || n >= worthSharing && n > len(routes)/2) {
		return most
	}
	return noPolicies
}

// hostGroups returns the Envoy routes of a listener by hostname, each group in
// agentgateway's order.
func (t *translation) hostGroups(l *config.Listener, gateway *chain) map[string][]*routeWithPolicies {
	byHost := map[string][]*candidate{}
	for order, r := range l.Routes {
		name := routeName(l, r)
		t.out.RoutePlaces[name] = t.cfg.Place(r.Path)
		own := t.routeChain(r)
		policies := t.policies(r, own, gateway)
		held := gateway.bodies.held() || policies.bodies.held()
		action, metadata := t.action(r, own.chooses(), own != nil && own.FailOpen), routeMetadata(own)
		var chosen []*routev3.Route
		if own.chooses() {
			chosen = t.choices(l, r, own, held)
		}
		share := uint32(0)
		if r.DirectResponse == nil && (!own.chooses() || own.FailOpen) {
			share = invalidShare(r)
		}
		hostnames := r.Hostnames
		if len(hostnames) == 0 {
			hostnames = []string{anyHost}
		}
		for i := range r.Matches {
			for j, v := range action {
				bare := &routev3.Route{Name: name, Match: v.match(routeMatch(&r.Matches[i], r.If)), Metadata: metadata}
				v.set(bare)
				shape(bare, r, &r.Matches[i])
				t.keepBody(bare, &r.Filters, held)
				c := &candidate{route: r, match: &r.Matches[i], index: i, order: order, variant: j, envoy: &routeWithPolicies{bare: bare, policies: policies, chosen: chosen}}
				for _, h := range hostnames {
					if share > 0 {
						byHost[h] = append(byHost[h], c.failing(share))
					}
					byHost[h] = append(byHost[h], c)
				}
			}
		}
	}
	groups := make(map[string][]*routeWithPolicies, len(byHost))
	for h, cs := range byHost {
		slices.SortStableFunc(cs, compare)
		routes := make([]*routeWithPolicies, len(cs))
		for i, c := range cs {
			routes[i] = c.envoy
		}
		groups[h] = routes
	}
	return groups
}

// candidate is one match of one route.
type candidate struct {
	route *config.Route
	match *config.Match
	index int
	order int // of the route
	// variant is the place among the variants of the match.
	variant int
	envoy   *routeWithPolicies
}

// compare is agentgateway's precedence within a group of hostnames. Routes of a
// route group come where the route stands that hands its requests to them.
func compare(a, b *candidate) int {
	if a.route.Parent == nil && b.route.Parent == nil {
		return compareMatches(a, b)
	}
	as, bs := a.lineage(), b.lineage()
	for i := range min(len(as), len(bs)) {
		if c := compareMatches(as[i], bs[i]); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(bs), len(as))
}

// lineage is the candidate with those above it, the topmost first.
func (c *candidate) lineage() []*candidate {
	if c.route.Parent == nil {
		return []*candidate{c}
	}
	parent := &candidate{route: c.route.Parent, match: &c.route.Parent.Matches[c.match.Parent], index: c.match.Parent}
	return append(parent.lineage(), c)
}

func compareMatches(a, b *candidate) int {
	return cmp.Or(
		-compareBool(a.match.Path.Kind == config.PathExact, b.match.Path.Kind == config.PathExact),
		-cmp.Compare(len(a.match.Path.Value), len(b.match.Path.Value)),
		-compareBool(a.match.Method != "", b.match.Method != ""),
		-cmp.Compare(len(a.match.Headers), len(b.match.Headers)),
		-cmp.Compare(len(a.match.Query), len(b.match.Query)),
		cmp.Compare(a.route.Key, b.route.Key),
		cmp.Compare(a.index, b.index),
		cmp.Compare(a.order, b.order), // of the variants of one route
		cmp.Compare(a.variant, b.variant),
	)
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// domains are the virtual hosts that a listener for some hostname needs, most
// specific rules being Envoy's own.
func domains[T any](hostname string, groups map[string]T) []string {
	own := cmp.Or(hostname, anyHost)
	found := []string{own}
	for h := range groups {
		if d, ok := intersect(h, own); ok {
			found = append(found, d)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// intersect returns the hosts that both patterns match.
func intersect(a, b string) (string, bool) {
	switch {
	case config.HostCovers(a, b):
		return b, true
	case config.HostCovers(b, a):
		return a, true
	}
	return "", false
}

// covering lists the patterns that cover a domain, most specific first.
func covering(domain string) []string {
	if domain == anyHost {
		return []string{anyHost}
	}
	list := []string{domain}
	rest := strings.TrimPrefix(domain, "*.")
	for {
		_, after, ok := strings.Cut(rest, ".")
		if !ok {
			return append(list, anyHost)
		}
		list = append(list, "*."+after)
		rest = after
	}
}

// chosen is the listener that a host selects: exact name, then the longest
// wildcard, then the one without a hostname.
func chosen(listeners []*config.Listener, domain string) *config.Listener {
	for _, pattern := range covering(domain) {
		for _, l := range listeners {
			if cmp.Or(l.Hostname, anyHost) == pattern {
				return l
			}
		}
	}
	return nil
}

// routeMatch accepts what m accepts, if the conditions hold too.
func routeMatch(m *config.Match, conditions []config.ValueMatch) *routev3.RouteMatch {
	rm := &routev3.RouteMatch{}
	switch path := m.Path; path.Kind {
	case config.PathExact:
		rm.PathSpecifier = &routev3.RouteMatch_Path{Path: path.Value}
	case config.PathRegex:
		rm.PathSpecifier = &routev3.RouteMatch_SafeRegex{SafeRegex: &matcherv3.RegexMatcher{Regex: path.Value}}
	default:
		// Trailing slashes of a prefix do not count.
		if prefix := strings.TrimRight(path.Value, "/"); prefix != "" {
			rm.PathSpecifier = &routev3.RouteMatch_PathSeparatedPrefix{PathSeparatedPrefix: prefix}
		} else {
			rm.PathSpecifier = &routev3.RouteMatch_Prefix{Prefix: "/"}
		}
	}
	if m.Method != "" {
		rm.Headers = append(rm.Headers, headerMatch(config.ValueMatch{Name: ":method", Value: m.Method}))
	}
	for _, h := range slices.Concat(m.Headers, conditions) {
		rm.Headers = append(rm.Headers, headerMatch(h))
	}
	for _, q := range m.Query {
		rm.QueryParameters = append(rm.QueryParameters, queryMatch(q))
	}
	return rm
}

func headerMatch(h config.ValueMatch) *routev3.HeaderMatcher {
	return &routev3.HeaderMatcher{
		Name:                 h.Name,
		HeaderMatchSpecifier: &routev3.HeaderMatcher_StringMatch{StringMatch: stringMatch(h)},
	}
}

func stringMatch(v config.ValueMatch) *matcherv3.StringMatcher {
	if v.Regex {
		return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_SafeRegex{SafeRegex: &matcherv3.RegexMatcher{Regex: v.Value}}}
	}
	return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: v.Value}}
}

// action returns what sets the action of each of a route's Envoy routes, in its
// variants. Where our service chooses, it is for requests for which it did not:
// they are refused, or, if it may be missing, shared by weight as ever.
func (t *translation) action(r *config.Route, chooses, failOpen bool) []variant {
	switch {
	case r.Redirect != nil:
		return always(func(*routev3.Route) {}) // see shape
	case r.DirectResponse != nil:
		return always(answer(r.DirectResponse))
	case r.Delegates:
		return always(directResponse(404, routeNotFound))
	}
	total, invalid := weights(r)
	if total > 1<<32-1 {
		t.errorf(r.Path+".backends", config.Invalid, "the weights add up to %d; at most %d", total, uint32(1<<32-1))
	}
	backends := validBackends(r)
	used := slices.DeleteFunc(slices.Clone(backends), func(b *config.Backend) bool { return b.Weight == 0 })
	switch other := otherPath(used); {
	case total == invalid:
		return always(directResponse(500, noValidBackends))
	case chooses && !failOpen:
		return always(directResponse(500, noBackendChosen))
	case other != nil && chooses:
		return t.toBackend(r, heaviest(used))
	case other != nil:
		t.errorf(other.Path, config.Unsupported, "backends of one route that need different paths are not supported here; give each its own route")
	}
	if other := differing(used, func(b *config.Backend) time.Duration { return b.HTTP.RequestTimeout }); other != nil {
		t.errorf(other.Path, config.Unsupported, "backends of one route with different http.requestTimeout are not supported here; give each its own route")
	}
	if len(backends) == 1 {
		return t.toBackend(r, used[0])
	}
	weighted := t.weightedClusters(r)
	return t.forward(r, used[0], func(a *routev3.RouteAction) {
		a.ClusterSpecifier = &routev3.RouteAction_WeightedClusters{WeightedClusters: weighted}
	})
}

// toBackend sends requests of a route to one of its backends.
func (t *translation) toBackend(r *config.Route, b *config.Backend) []variant {
	if b.Invalid {
		return always(directResponse(500, noValidBackends))
	}
	cluster := t.backendCluster(b)
	return t.forward(r, b, func(a *routev3.RouteAction) {
		a.ClusterSpecifier = &routev3.RouteAction_Cluster{Cluster: cluster}
	})
}

// shape gives an Envoy route what depends on its own match, or stands beside
// the action.
func shape(e *routev3.Route, r *config.Route, m *config.Match) {
	if r.Redirect != nil {
		redirect(e, r.Redirect, m)
	}
	rewritePrefix(e, r, m)
}

// forward sends requests of a route on, to where to says, with the paths of a
// backend.
func (t *translation) forward(r *config.Route, b *config.Backend, to func(*routev3.RouteAction)) (list []variant) {
	for _, p := range upstreamPaths(b) {
		if p.Type == config.Untranslated {
			list = append(list, variant{suffix: p.Suffix, set: directResponse(501, notTranslated)})
			continue
		}
		a := &routev3.RouteAction{
			// Envoy's default of 15 s would cut a streamed answer. The time runs
			// from when the router has the whole request: what our service or
			// somebody's takes before that does not count.
			Timeout:               routeTimeout(r.Timeout),
			RetryPolicy:           retryPolicy(&r.Filters, b),
			RequestMirrorPolicies: t.mirror(r.Mirror),
		}
		to(a)
		rewriteHost(a, r, b)
		rewritePath(a, r, p.Rewrite)
		list = append(list, variant{suffix: p.Suffix, set: func(e *routev3.Route) { e.Action = &routev3.Route_Route{Route: a} }})
	}
	return list
}

// routeTimeout is a limit for a request. Most routes have none, and share it.
func routeTimeout(d time.Duration) *durationpb.Duration {
	if d == 0 {
		return noTimeout
	}
	return durationpb.New(d)
}

var noTimeout = durationpb.New(0)

// heaviest is the backend with the largest share, the first of several.
func heaviest(backends []*config.Backend) *config.Backend {
	return slices.MaxFunc(backends, func(a, b *config.Backend) int { return cmp.Compare(a.Weight, b.Weight) })
}

// notTranslated answers requests of an API that the provider does not speak.
const notTranslated = "the provider does not speak this API, and it is not translated yet"

func directResponse(status uint32, body string) func(*routev3.Route) {
	return func(e *routev3.Route) {
		e.Action = &routev3.Route_DirectResponse{DirectResponse: &routev3.DirectResponseAction{
			Status: status,
			Body:   inlineString(body),
		}}
	}
}

// These answers are agentgateway's.
const (
	routeNotFound   = "route not found"
	noValidBackends = "no valid backends"
)

// notFoundRoute ends every virtual host: a request that matches no route would
// run no policy at all, not even those of the gateway.
func notFoundRoute() *routev3.Route {
	r := &routev3.Route{
		Name:  "not-found",
		Match: &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/"}},
	}
	directResponse(404, routeNotFound)(r)
	return r
}
