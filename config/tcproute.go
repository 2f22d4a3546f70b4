package config

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// TCPRoute sends connections to its backends.
type TCPRoute struct {
	// Path is the place in the file.
	Path string
	// Name is the user's, or tcproute<index> as agentgateway has it.
	Name string
	// Named tells whether the user gave the name.
	Named bool
	// Hostnames are exact or *.suffix; empty means any name, or none. The most
	// specific one for the client's SNI counts, of all routes of the listener.
	Hostnames []string
	// Backends share the connections by weight. Without one, connections are
	// closed.
	Backends []*Backend
}

func (r *resolver) tcpRoute(path string, index int, f *fileTCPRoute) *TCPRoute {
	rt := &TCPRoute{Path: path, Name: cmp.Or(f.Name, "tcproute"+strconv.Itoa(index)), Named: f.Name != ""}
	rt.Hostnames = r.hostnames(path, f.Hostnames)
	var ls levels
	if f.Policies != nil {
		ls = levels{{path + ".policies", &filePolicies{BackendTLS: f.Policies.BackendTLS}}}
	}
	for i := range f.Backends {
		if b := r.tcpBackend(fmt.Sprintf("%s.backends[%d]", path, i), &f.Backends[i], ls); b != nil {
			rt.Backends = append(rt.Backends, b)
		}
	}
	r.name(rt.Backends)
	return rt
}

// tcpBackend is a backend of which only the address, the weight and how
// connections are made count.
func (r *resolver) tcpBackend(path string, f *fileTCPBackend, ls levels) *Backend {
	b := fileBackend{Weight: f.Weight, Host: f.Host, Service: f.Service, Invalid: f.Invalid}
	if f.Policies != nil {
		b.Policies = &fileBackendPolicies{BackendTLS: f.Policies.BackendTLS}
	}
	switch early := f.Backend; {
	case early == nil:
	case early.name != "":
		b.Backend = early.name
		if n := r.namedBackends[strings.TrimPrefix(early.name, "/")]; n != nil && n.file.Host == "" {
			n.used = true
			r.errorf(path+".backend", Unsupported, "connections can only go to a backend with a host")
			return nil
		}
	case f.Host != "" || f.Service != nil || bool(f.Invalid):
		r.errorf(path, Conflict, "host, service and invalid stand in the entry itself, or all below backend")
		return nil
	default:
		b.Host, b.Service, b.Invalid = early.keys.Host, early.keys.Service, early.keys.Invalid
	}
	if b.Host == "" && b.Service == nil && b.Backend == "" && !bool(b.Invalid) {
		r.missingf(path, "expected one of host, service, backend, invalid")
		return nil
	}
	return r.backend(path, "", &b, ls)
}

// tcpRoutes puts the routes of a listener into agentgateway's order, in which
// the name decides, and tells which of them take no connection.
func (r *resolver) tcpRoutes(l *Listener) {
	slices.SortStableFunc(l.TCPRoutes, func(a, b *TCPRoute) int { return cmp.Compare(a.Name, b.Name) })
	names, hosts := map[string]*TCPRoute{}, map[string]*TCPRoute{}
	for _, rt := range l.TCPRoutes {
		if first := names[rt.Name]; first != nil {
			r.errorf(rt.Path+".name", Conflict, "a second route of this name; the first is %s", r.cfg.Where(first.Path))
			continue
		}
		names[rt.Name] = rt
		own := rt.Hostnames
		if len(own) == 0 {
			own = []string{""}
		}
		for i, h := range own {
			path := rt.Path
			if h != "" {
				path = fmt.Sprintf("%s.hostnames[%d]", rt.Path, i)
			}
			switch first := hosts[h]; {
			case first == rt:
			case first != nil:
				r.warnf(path, Unreachable, "never matches: %s comes first by name and takes the same connections", r.cfg.Where(first.Path))
			case h != "" && !l.Protocol.OverTLS():
				r.warnf(path, Unreachable, "never matches: plain TCP does not say a name; leave hostnames out")
			default:
				hosts[h] = rt
			}
		}
	}
	if l.ExtProc != nil && !l.Protocol.HTTP() {
		r.warnf(l.ExtProc.Path, Unreachable, "never runs on the connections of %s: it is for requests", r.cfg.Where(l.Path))
	}
	if l.Hostname != "" && l.Protocol == ProtocolTCP {
		r.warnf(l.Path+".hostname", Unreachable, "takes every connection: plain TCP does not say a name; leave it out")
	}
}
