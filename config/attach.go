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
			l := &Listener{Path: path, BindPath: path, Name: name, GatewayName: name, Port: f.Port}
			r.gatewayListener(l, "", f.Protocol, f.TLS, &f.fileGatewayPhase)
			continue
		}
		for _, k := range r.cfg.tree.root.at(path).keys() {
			if k.name != "port" && k.name != "listeners" {
				r.errorf(join(path, k.name), Conflict, "a gateway with listeners has a port and nothing else; write it into each listener")
			}
		}
		for i := range f.Listeners {
			lf := &f.Listeners[i]
			l := &Listener{
				Path:        fmt.Sprintf("%s.listeners[%d]", path, i),
				BindPath:    path,
				Name:        cmp.Or(lf.Name, "listener"+strconv.Itoa(i)),
				GatewayName: name,
				Port:        f.Port,
			}
			r.gatewayListener(l, lf.Hostname, lf.Protocol, lf.TLS, &lf.fileGatewayPhase)
		}
	}
}

// gatewayListener adds a listener of a gateway. With a certificate it is HTTPS,
// unless it says something else.
func (r *resolver) gatewayListener(l *Listener, hostname, protocol string, tls *fileServerTLS, phase *fileGatewayPhase) {
	if protocol == "" && tls != nil {
		protocol = ProtocolHTTPS.String()
	}
	r.openListener(l, hostname, protocol, tls, levelOf[fileGatewayPhase]{l.Path, phase})
}

// attachedRoutes reads v1.4's sections "routes" and "tcpRoutes": each is a route
// of every listener that it names.
func (r *resolver) attachedRoutes(routes []fileAttachedRoute, tcpRoutes []fileAttachedTCPRoute) {
	http, tcp := map[string][]*Listener{}, map[string][]*Listener{}
	for _, l := range r.cfg.Listeners {
		if !strings.HasPrefix(l.BindPath, "gateways.") {
			continue
		}
		byName := tcp
		if l.Protocol.HTTP() {
			byName = http
		}
		byName[l.GatewayName] = append(byName[l.GatewayName], l)
		if l.Path != l.BindPath {
			name := l.GatewayName + "/" + l.Name
			byName[name] = append(byName[name], l)
		}
	}
	for i := range routes {
		f := &routes[i]
		path := fmt.Sprintf("routes[%d]", i)
		listeners := r.referred(path, f.Gateways, http, tcp)
		for _, l := range listeners {
			l.Routes = append(l.Routes, r.route(path, i, l, &f.fileRoute)...)
		}
		if len(listeners) == 0 {
			// The route serves nothing, but its mistakes are mistakes.
			r.route(path, i, &Listener{Path: path}, &f.fileRoute)
		}
	}
	for i := range tcpRoutes {
		f := &tcpRoutes[i]
		path := fmt.Sprintf("tcpRoutes[%d]", i)
		listeners := r.referred(path, f.Gateways, tcp, http)
		for _, l := range listeners {
			l.TCPRoutes = append(l.TCPRoutes, r.tcpRoute(path, i, &f.fileTCPRoute))
		}
		if len(listeners) == 0 {
			r.tcpRoute(path, i, &f.fileTCPRoute)
		}
	}
}

// referred returns the listeners that a route names, each once. Others are
// those that a route of its kind cannot belong to.
func (r *resolver) referred(path string, refs fileNames, byName, others map[string][]*Listener) (listeners []*Listener) {
	if len(refs) == 0 {
		if listeners = byName["default"]; listeners == nil {
			r.warnf(path, Unreachable, "attached to no gateway; write gateways, or call a gateway default")
		}
		return listeners
	}
	for i, ref := range refs {
		at := path + ".gateways"
		if r.cfg.tree.root.at(at).kind == sequenceNode {
			at += "[" + strconv.Itoa(i) + "]"
		}
		found := byName[ref]
		switch {
		case found != nil:
		case others[ref] != nil:
			r.errorf(at, Reference, "%s is %s; routes are for HTTP and HTTPS, tcpRoutes for TCP and TLS", r.cfg.Where(others[ref][0].Path), others[ref][0].Protocol)
		default:
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
	if n := r.cfg.tree.root.get(path); n != nil {
		for _, k := range n.keys() {
			names = append(names, k.name)
		}
	}
	return names
}
