package config

import (
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
	e := r.extProc(path+".policy.extProc", f.Policy.ExtProc)
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
			if rt.ExtProc == nil {
				rt.ExtProc = l.ExtProc
			}
		}
	}
}
