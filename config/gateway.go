package config

import (
	"maps"
	"slices"
	"strconv"
)

func (r *resolver) gatewayPolicy(path string, f *fileGatewayPolicy) {
	if (f.Target.Gateway == "") == (f.Target.Listener == "") {
		r.missingf(path+".target", "expected exactly one of gateway, listener")
		return
	}
	if f.Policy.ExtProc == nil {
		r.missingf(path+".policy", "expected extProc")
		return
	}
	e := r.unconditional(path+".policy.extProc", f.Policy.ExtProc)
	e.FromGateway = true
	targets := 0
	for _, l := range r.cfg.Listeners {
		if !targetsListener(&f.Target, l) {
			continue
		}
		targets++
		// A policy for the listener beats one for the gateway.
		specific := f.Target.Listener != ""
		switch other := l.ExtProc; {
		case other == nil, specific && !r.forListener[other]:
			l.ExtProc = e
		case specific == r.forListener[other]:
			r.errorf(path, Conflict, "a second extProc for this target; the first is %s", r.cfg.Where(other.Path))
		}
	}
	r.forListener[e] = f.Target.Listener != ""
	if targets == 0 {
		var known []string
		for _, l := range r.cfg.Listeners {
			known = append(known, gatewayNames(l)[0])
		}
		slices.Sort(known)
		key := "gateway"
		if f.Target.Listener != "" {
			key = "listener"
		}
		r.errorf(path+".target."+key, Reference, "no listener has this name; %s", suggestName(f.Target.Gateway+f.Target.Listener, slices.Compact(known), "listeners"))
	}
}

// gatewayNames are the names under which a policy finds a listener's gateway:
// v0.10 called an unnamed one bind/<port>, later releases default.
func gatewayNames(l *Listener) []string {
	if l.GatewayName != "" {
		return []string{l.GatewayName}
	}
	return []string{"bind/" + strconv.Itoa(int(l.Port)), "default"}
}

func targetsListener(t *fileTarget, l *Listener) bool {
	for _, g := range gatewayNames(l) {
		if t.Gateway == g || t.Listener == l.Name+"/"+g {
			return true
		}
	}
	return t.Listener != "" && t.Listener == l.Name
}

// attachGatewayPolicies gives routes without external processing that of
// their gateway: the v0.10 guide's rule is that the route replaces the gateway.
func (r *resolver) attachGatewayPolicies() {
	for _, l := range r.cfg.Listeners {
		for _, rt := range l.Routes {
			if rt.ExtProc == nil && r.split[rt] == nil {
				rt.ExtProc = l.ExtProc
			}
		}
	}
}

// GatewayPolicies are what a listener runs on every request before a route is
// chosen; what its route runs comes after them, and before them on responses.
type GatewayPolicies struct {
	// CORS is nil for none.
	CORS *CORS
	// ExtProc is nil for none. Its profiles choose no backend.
	ExtProc *ExtProc
}

func (r *resolver) gatewayPhase(ls gatewayLevels) (g GatewayPolicies) {
	if p, extProc := pick(ls, "extProc", func(p *fileGatewayPhase) *fileExtProc { return p.ExtProc }); extProc != nil {
		g.ExtProc = r.unconditional(p, extProc)
		r.beforeRoutes(g.ExtProc)
	}
	if p, cors := pick(ls, "cors", func(p *fileGatewayPhase) *fileCORS { return p.CORS }); cors != nil {
		g.CORS = r.cors(p, cors)
	}
	return g
}

// beforeRoutes refuses what external processing cannot do before a route is
// chosen.
func (r *resolver) beforeRoutes(e *ExtProc) {
	for _, c := range e.Profiles {
		if len(c.Profile.Services) > 0 {
			r.errorf(c.Path, Unsupported, "this profile has services, and so chooses a backend; in the gateway phase there is no route yet, and no backend to choose; run it on the routes")
		}
	}
	if e.ListsModels {
		r.warnf(e.Path+".schema", Unreachable, "answers every request of the listener; no route gets one")
	}
	if e.DropHeaders {
		r.errorf(e.Path+".clientHeaders", Unsupported, "in the gateway phase this would take the client's headers from the policies of the routes; drop them on the routes")
	}
}

// sameMetadata refuses metadata of one namespace that a server of the gateway
// phase and one of a route would have to see differently: Envoy has one set of
// metadata for a request.
func (r *resolver) sameMetadata(l *Listener) {
	if l.Gateway.ExtProc == nil {
		return
	}
	theirs := l.Gateway.ExtProc.Show.Metadata
	seen := map[*ExtProc]bool{nil: true, l.Gateway.ExtProc: true}
	check := func(e *ExtProc) {
		if seen[e] {
			return
		}
		seen[e] = true
		for _, namespace := range words(e.Show.Metadata) {
			if other, both := theirs[namespace]; both && !maps.Equal(other, e.Show.Metadata[namespace]) {
				r.errorf(e.Path+".metadataContext."+namespace, Unsupported, "the server of the gateway phase has other metadata in this namespace, and Envoy cannot tell them apart; use another namespace (the other is %s)", r.cfg.Where(l.Gateway.ExtProc.Path))
			}
		}
	}
	check(l.ExtProc)
	for _, rt := range l.Routes {
		check(rt.ExtProc)
	}
}
