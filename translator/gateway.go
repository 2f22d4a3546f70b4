package translator

import (
	"maps"
	"slices"
	"strings"

	"github.com/attache-dev/attache/config"
)

// The gateway phase is what a listener runs before a route is chosen, in
// agentgateway. Envoy has found the route by then, and keeps it: another one's
// policies would not run. So nothing in the gateway phase may change what routes
// are found by. Its chain is carried by each virtual host of the listener, so
// that several listeners of a port have their own, and also runs on the last
// route, the 404.

// gatewayPolicies is the chain of a listener's gateway phase.
func (t *translation) gatewayPolicies(l *config.Listener) *chain {
	x := extProcs{external: l.Gateway.ExtProc, name: gatewayExtProc, rules: mutationRules{routedBy: t.routedBy(l)}}
	if own := t.opts.GatewayChain(l); own != nil {
		x.own, x.ownName, x.chain = own, gatewayExtProc, own.Ref
	}
	return t.chainOf(slices.Concat(cors(gatewayCORS, l.Gateway.CORS), t.extProcs(x)))
}

// routedBy are the headers by which the routes of a listener are found, if
// somebody's server could change them.
func (t *translation) routedBy(l *config.Listener) []string {
	if e := l.Gateway.ExtProc; e == nil || e.Target == nil {
		return nil
	}
	found := map[string]bool{}
	for _, r := range l.Routes {
		if len(r.Hostnames) > 0 || t.routeChain(r).chooses() {
			found[":authority"], found["host"] = true, true
		}
		for i := range r.Matches {
			m := &r.Matches[i]
			if m.Path.Kind != config.PathPrefix || strings.Trim(m.Path.Value, "/") != "" || len(m.Query) > 0 {
				found[":path"] = true
			}
			if m.Method != "" {
				found[":method"] = true
			}
			for _, h := range slices.Concat(m.Headers, r.If) {
				found[h.Name] = true
			}
		}
	}
	if found[":authority"] || found["host"] {
		found[":authority"], found["host"] = true, true
	}
	return slices.Sorted(maps.Keys(found))
}
