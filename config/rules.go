package config

import (
	"fmt"
	"strconv"
)

// rules checks what no single key can know. unusedProfile says how a profile
// would be used.
func (r *resolver) rules(unusedProfile string) {
	r.uniqueListeners()
	r.sharedPorts()
	reach := reachability{lost: map[string]string{}}
	for _, l := range r.cfg.Listeners {
		r.tcpRoutes(l)
		if !r.f5 {
			r.uniqueRoutes(l) // F5's are told apart by path
			r.shadowed(l, &reach)
		}
		r.reachableHosts(l, &reach)
	}
	for _, place := range reach.places {
		if why := reach.lost[place]; why != "" {
			r.warnf(place, Unreachable, "never matches: %s", why)
		}
	}
	r.unusedGroups()
	r.unused(unusedProfile)
}

// uniquePorts: a port is configured in one place.
func (r *resolver) uniquePorts(f *file) {
	seen := map[uint16]string{}
	claim := func(path string, port uint16, listeners int) {
		if first, dup := seen[port]; dup && port != 0 {
			r.errorf(path+".port", Conflict, "port %d is configured twice; the first is %s; put the listeners into one place", port, r.cfg.Where(first))
			return
		}
		seen[port] = path
		if n := r.cfg.tree.root.at(path + ".listeners"); listeners == 0 && n.kind == sequenceNode {
			r.warnf(path+".listeners", Unreachable, "without listeners nothing is accepted; add one")
		}
	}
	for i, b := range f.Binds {
		claim(fmt.Sprintf("binds[%d]", i), b.Port, len(b.Listeners))
	}
	for _, name := range r.keys("gateways") {
		claim(join("gateways", name), f.Gateways[name].Port, len(f.Gateways[name].Listeners))
	}
}

// uniqueListeners: one listener per port and hostname, and one name per
// gateway, or agentgateway would silently keep the last.
func (r *resolver) uniqueListeners() {
	type host struct{ bind, hostname string }
	type name struct{ bind, name string }
	hosts, names := map[host]*Listener{}, map[name]*Listener{}
	for _, l := range r.cfg.Listeners {
		if first := hosts[host{l.BindPath, l.Hostname}]; first != nil {
			r.errorf(l.Path+".hostname", Conflict, "a second listener for this port and host; the first is %s", r.cfg.Where(first.Path))
		} else {
			hosts[host{l.BindPath, l.Hostname}] = l
		}
		if first := names[name{l.BindPath, l.Name}]; first != nil {
			r.errorf(l.Path+".name", Conflict, "a second listener of this name; the first is %s", r.cfg.Where(first.Path))
		} else {
			names[name{l.BindPath, l.Name}] = l
		}
	}
}

// uniqueRoutes reports routes of the same name. Unnamed ones have it if they
// match the same, see shadowed; the later one gets a name of its own.
func (r *resolver) uniqueRoutes(l *Listener) {
	seen := map[string]*Route{}
	for _, rt := range l.Routes {
		if rt.Variant != "" {
			continue // said of the last one
		}
		first := seen[rt.Name]
		switch {
		case first == nil:
		case rt.Named:
			r.errorf(rt.Path+".name", Conflict, "a second route of this name; the first is %s", r.cfg.Where(first.Path))
		default:
			for n := 2; seen[rt.Name] != nil; n++ {
				rt.Name = first.Name + "-" + strconv.Itoa(n)
			}
		}
		seen[rt.Name] = rt
	}
}

// unused warns of processors and profiles that nothing runs.
func (r *resolver) unused(unusedProfile string) {
	for _, p := range r.cfg.Processors {
		if !r.used[p] {
			r.warnf(p.Path, Unreachable, "no step runs this processor")
		}
	}
	for _, p := range r.cfg.Profiles {
		if !r.used[p] {
			r.warnf(p.Path, Unreachable, "%s", unusedProfile)
		}
	}
	if !r.f5 && len(r.cfg.Listeners) == 0 && len(r.list) == 0 {
		r.warnf("", Unreachable, "the file has no listeners, so nothing is served; add gateways or binds")
	}
}
