package config

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// gateways reads v1.4's section of that name.
func (r *resolver) gateways(gateways map[string]fileGateway) {
	for _, name := range r.keys("gateways") {
		f := gateways[name]
		path := join("gateways", name)
		if f.Port == 0 {
			r.missingf(path+".port", "expected a port from 1 to 65535")
		}
		if len(f.Listeners) == 0 {
			r.gatewayListener(path, path, name, name, f.Port, &fileGatewayListener{Protocol: f.Protocol, fileGatewayPhase: f.fileGatewayPhase})
			continue
		}
		for _, k := range r.cfg.root.at(path).keys {
			if k.name != "port" && k.name != "listeners" {
				r.errorf(join(path, k.name), Conflict, "a gateway with listeners has a port and nothing else; write it into each listener")
			}
		}
		for i := range f.Listeners {
			l := &f.Listeners[i]
			r.gatewayListener(fmt.Sprintf("%s.listeners[%d]", path, i), path, name, cmp.Or(l.Name, "listener"+strconv.Itoa(i)), f.Port, l)
		}
	}
}

func (r *resolver) gatewayListener(path, bind, gateway, name string, port uint16, f *fileGatewayListener) {
	l := &Listener{Path: path, BindPath: bind, Name: name, GatewayName: gateway, Port: port, Hostname: r.hostname(path+".hostname", f.Hostname)}
	r.attachTo(l)
	r.cfg.Listeners = append(r.cfg.Listeners, l)
}

// attachedRoutes reads v1.4's section "routes": each is a route of every
// listener that it names.
func (r *resolver) attachedRoutes(routes []fileAttachedRoute) {
	byName := map[string][]*Listener{}
	for _, l := range r.cfg.Listeners {
		if strings.HasPrefix(l.Path, "gateways.") {
			byName[l.GatewayName] = append(byName[l.GatewayName], l)
			if l.Path != l.BindPath {
				byName[l.GatewayName+"/"+l.Name] = append(byName[l.GatewayName+"/"+l.Name], l)
			}
		}
	}
	for i := range routes {
		f := &routes[i]
		path := fmt.Sprintf("routes[%d]", i)
		listeners := r.referred(path, f.Gateways, byName)
		for _, l := range listeners {
			l.Routes = append(l.Routes, r.route(path, i, l, &f.fileRoute)...)
		}
		if len(listeners) == 0 {
			// The route serves nothing, but its mistakes are mistakes.
			nowhere := &Listener{Path: path}
			r.route(path, i, nowhere, &f.fileRoute)
		}
	}
}

// referred returns the listeners that a route names, each once.
func (r *resolver) referred(path string, refs fileNames, byName map[string][]*Listener) (listeners []*Listener) {
	if len(refs) == 0 {
		if listeners = byName["default"]; listeners == nil {
			r.warnf(path, Unreachable, "attached to no gateway; write gateways, or call a gateway default")
		}
		return listeners
	}
	for i, ref := range refs {
		at := path + ".gateways"
		if r.cfg.root.at(at).kind == sequenceNode {
			at += "[" + strconv.Itoa(i) + "]"
		}
		found := byName[ref]
		if found == nil {
			r.errorf(at, Reference, "no gateway or listener has this name; %s", suggestName(ref, words(byName), "gateways"))
		}
		for _, l := range found {
			if !slices.Contains(listeners, l) {
				listeners = append(listeners, l)
			}
		}
	}
	return listeners
}

// keys are those of a mapping, in the order of the file.
func (r *resolver) keys(path string) (names []string) {
	if n := r.cfg.root.get(path); n != nil {
		for _, k := range n.keys {
			names = append(names, k.name)
		}
	}
	return names
}
