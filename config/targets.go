package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// target is a policy of the section "policies" with what it is attached to.
type target struct {
	level
	listener *fileGatewayTarget // one listener or gateway
	backend  *fileBackendTarget // one backend or service
	hits     int
}

// targets are the policies that are attached from afar, each list in file
// order.
type targets struct {
	rules, routes map[string][]*target // by name, see ruleName and routeName
	listeners     []*target
	gateways      []*target
	// backends and services are by name: what a backend refers to.
	backends, services map[string][]*target
	// broad are the places of policies for a listener or a gateway.
	broad map[string]bool
	// early are those of the gateway phase, which run before a route is chosen:
	// for a listener first, then for its gateway.
	early struct{ listeners, gateways []*target }
	all   []*target
}

const defaultNamespace = "default"

func routeName(namespace, name string) string {
	return cmp.Or(namespace, defaultNamespace) + "/" + name
}

func ruleName(namespace, name, rule string) string {
	return routeName(namespace, name) + "/" + cmp.Or(rule, "default")
}

// gatewayPhasePolicies are the policies that can run before a route is chosen.
var gatewayPhasePolicies = strings.Fields("oidc jwtAuth authorization extAuthz extProc cors transformations basicAuth apiKey")

// targeted files the policies by their targets. It runs before there are
// listeners and routes.
func (r *resolver) targeted(entries []fileTargetedPolicy) {
	t := &r.targets
	t.rules, t.routes = map[string][]*target{}, map[string][]*target{}
	t.backends, t.services, t.broad = map[string][]*target{}, map[string][]*target{}, map[string]bool{}
	names := named[*target]{what: "policy", list: "policies"}
	for i := range entries {
		f := &entries[i]
		path := fmt.Sprintf("policies[%d]", i)
		p := &target{level: level{path: path + ".policy", policies: &f.Policy}}
		if !r.onePolicy(p.path) {
			continue
		}
		if f.Name.Name != "" {
			names.add(r, path, routeName(f.Name.Namespace, f.Name.Name), p)
		}
		r.aim(path+".target", f, p)
	}
	for _, list := range [][]*target{t.listeners, t.gateways, t.early.listeners, t.early.gateways} {
		r.onePerTarget(list, func(p *target) string { return fmt.Sprint(*p.listener) })
	}
	for _, list := range t.rules {
		r.onePerTarget(list, func(*target) string { return "" })
	}
	for _, list := range t.routes {
		r.onePerTarget(list, func(*target) string { return "" })
	}
	for _, list := range t.backends {
		r.onePerTarget(list, func(p *target) string { return p.backend.Backend.Section })
	}
	for _, list := range t.services {
		r.onePerTarget(list, func(p *target) string { return fmt.Sprint(p.backend.Service.Port) })
	}
}

// aim reads the target of a policy.
func (r *resolver) aim(path string, f *fileTargetedPolicy, p *target) {
	t, to := &r.targets, &f.Target
	given := 0
	for _, is := range []bool{
		to.Gateway != nil, to.Listener != "", to.Route != nil, to.RouteRule != "",
		to.Backend != nil, to.SubBackend != "", to.Service != nil,
	} {
		if is {
			given++
		}
	}
	if given != 1 {
		r.missingf(path, "expected exactly one of gateway, route, backend")
		return
	}
	if to.Listener != "" {
		listener, gateway, _ := strings.Cut(to.Listener, "/")
		to.Gateway = &fileGatewayTarget{GatewayName: gateway, ListenerName: listener}
	}
	if to.RouteRule != "" {
		route, rule, _ := strings.Cut(to.RouteRule, "/")
		to.Route = &fileRouteTarget{Name: route, RuleName: rule}
	}
	if f.Phase == "gateway" {
		r.earlyPolicy(path, f, p)
		return
	}
	t.all = append(t.all, p)
	switch {
	case to.Backend != nil, to.SubBackend != "", to.Service != nil:
		r.backendPolicy(path, to, p)
	case to.Route != nil && to.Route.RuleName != "":
		name := ruleName(to.Route.Namespace, to.Route.Name, to.Route.RuleName)
		t.rules[name] = append(t.rules[name], p)
	case to.Route != nil:
		name := routeName(to.Route.Namespace, to.Route.Name)
		t.routes[name] = append(t.routes[name], p)
	default:
		p.listener = to.Gateway
		t.broad[p.path] = true
		if to.Gateway.ListenerName != "" || to.Gateway.Port != 0 {
			t.listeners = append(t.listeners, p)
		} else {
			t.gateways = append(t.gateways, p)
		}
	}
}

// earlyPolicy reads a policy of the gateway phase.
func (r *resolver) earlyPolicy(path string, f *fileTargetedPolicy, p *target) {
	if f.Target.Gateway == nil {
		r.errorf(path, Invalid, "a policy that runs before a route is chosen can only be attached to a gateway; expected gateway")
		return
	}
	key := r.policyKey(p)
	if !slices.Contains(gatewayPhasePolicies, key) {
		r.errorf(p.path+"."+key, Invalid, "cannot run before a route is chosen; only %s can", strings.Join(gatewayPhasePolicies, ", "))
		return
	}
	p.listener = f.Target.Gateway
	r.targets.all = append(r.targets.all, p)
	early := &r.targets.early
	if p.listener.ListenerName != "" || p.listener.Port != 0 {
		early.listeners = append(early.listeners, p)
	} else {
		early.gateways = append(early.gateways, p)
	}
}

// onePolicy tells whether the block at path holds exactly one policy.
func (r *resolver) onePolicy(path string) bool {
	n := r.cfg.tree.root.at(path)
	if len(n.keys()) != 1 {
		r.missingf(path, "expected exactly one policy; write an entry for each")
		return false
	}
	return true
}

// policyKey is the one key of a targeted policy.
func (r *resolver) policyKey(p *target) string { return r.cfg.tree.root.at(p.path).keys()[0].name }

// onePerTarget reports a policy for which the target has one already.
func (r *resolver) onePerTarget(list []*target, of func(*target) string) {
	first := map[string]*target{}
	for _, p := range list {
		key := of(p) + " " + r.policyKey(p)
		if f := first[key]; f != nil {
			r.errorf(p.path, Conflict, "a second %s for this target; the first is %s", r.policyKey(p), r.cfg.Where(f.path))
			continue
		}
		first[key] = p
	}
}

// on tells whether a policy for a gateway or listener is one for l.
func (p *target) on(l *Listener) bool {
	to := p.listener
	return slices.Contains(gatewayNames(l), to.GatewayName) &&
		cmp.Or(to.GatewayNamespace, defaultNamespace) == defaultNamespace &&
		(to.ListenerName == "" || to.ListenerName == l.Name) &&
		(to.Port == 0 || to.Port == l.Port)
}

// hit returns the levels of some policies and counts that they apply.
func hit(list []*target, on func(*target) bool) (ls levels) {
	for _, p := range list {
		if on(p) {
			p.hits++
			ls = append(ls, p.level)
		}
	}
	return ls
}

// routeLevels are the policies that target a route, or a rule of it.
func (r *resolver) routeLevels(index int, f *fileRoute) levels {
	t := &r.targets
	if len(t.all) == 0 {
		return nil
	}
	all := func(*target) bool { return true }
	name := cmp.Or(f.Name, fmt.Sprintf("route%d", index))
	return append(
		hit(t.rules[ruleName(f.Namespace, name, f.RuleName)], all),
		hit(t.routes[routeName(f.Namespace, name)], all)...,
	)
}

// attachTo finds the policies that are attached to a listener or its gateway:
// those that its routes inherit, and those that run before a route is chosen.
func (r *resolver) attachTo(l *Listener) {
	t := &r.targets
	on := func(p *target) bool { return p.on(l) }
	r.listenerLevels[l] = append(hit(t.listeners, on), hit(t.gateways, on)...)
	for _, p := range append(hit(t.early.listeners, on), hit(t.early.gateways, on)...) {
		early := &fileGatewayPhase{CORS: p.policies.CORS, ExtProc: p.policies.ExtProc}
		r.gatewayLevels[l] = append(r.gatewayLevels[l], levelOf[fileGatewayPhase]{p.path, early})
	}
}

// missedTargets reports policies that are attached to nothing. It runs when all
// routes have been read.
func (r *resolver) missedTargets() {
	for _, p := range r.targets.all {
		if p.hits > 0 || r.mistaken[p.path] {
			continue
		}
		path := strings.TrimSuffix(p.path, ".policy") + ".target"
		if p.backend != nil {
			r.missedBackend(path, p)
			continue
		}
		if p.listener == nil {
			r.errorf(path, Reference, "no route has this name")
			continue
		}
		if p.listener.GatewayNamespace != "" && p.listener.GatewayNamespace != defaultNamespace {
			r.errorf(path, Reference, "a gateway of a file is in the namespace default, and in no other")
			continue
		}
		var known []string
		for _, l := range r.cfg.Listeners {
			known = append(known, gatewayNames(l)...)
		}
		slices.Sort(known)
		r.errorf(path, Reference, "no listener is meant by this; %s", suggestName(p.listener.GatewayName, slices.Compact(known), "listeners"))
	}
}
