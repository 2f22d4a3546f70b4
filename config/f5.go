package config

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

// resolveF5 turns F5's own file into the model: its routes are those of one
// listener, a policy is what our file writes under extProc, and each service of
// a profile is a backend of the routes that may choose the profile.
func (r *resolver) resolveF5(f *f5File) {
	r.f5 = true
	r.process(nil)
	r.sections(f.Processors, f.Profiles)
	for i := range f.Services {
		path, s := fmt.Sprintf("services[%d]", i), &f.Services[i]
		r.upstreams.add(r, path, s.Name, r.f5Service(path, s))
	}
	for i := range f.Policies {
		path, p := fmt.Sprintf("policies[%d]", i), &f.Policies[i]
		r.policies.add(r, path, p.Name, r.f5Policy(path, p))
	}
	for _, p := range r.cfg.Profiles {
		r.f5ProfileServices(p)
	}
	l := &Listener{Path: "server", BindPath: "server", Name: "listener0"}
	l.Address, l.Port = r.f5Address(f.Server.Address)
	if l.TLS = r.f5ServerTLS(&f.Server); l.TLS != nil {
		l.Protocol = ProtocolHTTPS
	}
	r.cfg.Listeners = []*Listener{l}
	for i := range f.Routes {
		l.Routes = append(l.Routes, r.f5Route(fmt.Sprintf("routes[%d]", i), l, &f.Routes[i]))
	}
	r.versionsBehindTLS()
	r.services()
	r.policies.unused(r, "no route uses this policy")
	r.upstreams.unused(r, "no profile uses this service")
	r.rules("no policy uses this profile")
}

// named are the entries of one of F5's lists, which others refer to by name.
type named[T any] struct {
	what, list string
	entries    map[string]*namedEntry[T]
	inOrder    []*namedEntry[T]
}

type namedEntry[T any] struct {
	path string
	is   T
	used bool
}

func (n *named[T]) add(r *resolver, path, name string, is T) {
	if name == "" {
		return // reported as missing
	}
	if first := n.entries[name]; first != nil {
		r.errorf(path+".name", Conflict, "a second %s with this name; the first is %s", n.what, r.cfg.Where(first.path))
		return
	}
	if n.entries == nil {
		n.entries = map[string]*namedEntry[T]{}
	}
	e := &namedEntry[T]{path: path, is: is}
	n.entries[name], n.inOrder = e, append(n.inOrder, e)
}

// find returns what a name refers to; path is the place of the name.
func (n *named[T]) find(r *resolver, path, name string) (is T, ok bool) {
	e := n.entries[name]
	if e == nil {
		if name != "" {
			r.errorf(path, Reference, "no %s has this name; %s", n.what, suggestName(name, words(n.entries), n.list))
		}
		return is, false
	}
	e.used = true
	return e.is, true
}

func (n *named[T]) unused(r *resolver, says string) {
	for _, e := range n.inOrder {
		if !e.used {
			r.warnf(e.path, Unreachable, "%s", says)
		}
	}
}

// f5ServerTLS is how clients are spoken to; nil for in the clear.
func (r *resolver) f5ServerTLS(f *f5Server) *ServerTLS {
	mutual := f.MTLS != nil && (f.MTLS.Enabled == nil || *f.MTLS.Enabled)
	if f.TLS == nil || f.TLS.Enabled != nil && !*f.TLS.Enabled {
		if mutual {
			r.errorf("server.mtls", Conflict, "clients have no certificates without TLS; expected tls, or enabled: false")
		}
		return nil
	}
	t := &ServerTLS{Path: "server.tls"}
	if f.TLS.ServerCert == "" || f.TLS.ServerKey == "" {
		r.missingf("server.tls", "expected serverCertPath and serverKeyPath")
	} else {
		t.Certificate = r.certificate("server.tls.serverCertPath", f.TLS.ServerCert, "server.tls.serverKeyPath", f.TLS.ServerKey)
	}
	switch {
	case mutual && f.MTLS.ClientCert == "":
		r.missingf("server.mtls", "expected clientCertPath")
	case mutual:
		t.ClientRoots = r.roots("server.mtls.clientCertPath", f.MTLS.ClientCert)
	}
	return t
}

func (r *resolver) f5Address(text string) (address string, port uint16) {
	if text == "" {
		return "", 0 // reported as missing
	}
	host, service, err := net.SplitHostPort(text)
	n, portErr := strconv.ParseUint(service, 10, 16)
	address, ok := listenAddress(host)
	switch {
	case err != nil || portErr != nil || n == 0:
		r.errorf("server.address", Invalid, "expected a colon and a port from 1 to 65535, such as \":4141\"")
	case !ok:
		r.errorf("server.address", Invalid, "expected an IP address, localhost or nothing before the colon")
	}
	return address, uint16(n)
}

// f5Policy is what all routes of a policy share of their ExtProc.
func (r *resolver) f5Policy(path string, f *f5Policy) *ExtProc {
	e := &ExtProc{Path: path}
	if f.Authentication != nil {
		e.Authentication = r.authentication(path+".authentication", f.Authentication)
	}
	for i := range f.Profiles {
		p := fmt.Sprintf("%s.profiles[%d]", path, i)
		r.candidate(e, p, p+".name", &f.Profiles[i])
	}
	if f.Profiles != nil && len(f.Profiles) == 0 {
		r.errorf(path+".profiles", Invalid, "expected at least one profile")
	}
	r.candidates(path, e)
	return e
}

// f5ProfileServices checks the names of a profile's services.
func (r *resolver) f5ProfileServices(p *Profile) {
	for _, s := range p.Services {
		r.upstreams.find(r, s.Path+".name", s.Name)
	}
	if len(p.Services) == 0 {
		r.missingf(p.Path, "expected services, with at least one entry")
	}
}

func (r *resolver) f5Route(path string, l *Listener, f *f5Route) *Route {
	rt := &Route{
		Path: path, Name: f.Path, Named: true, Key: routeName("", f.Path),
		Matches: []Match{{Path: PathMatch{PathExact, f.Path}}},
		Filters: Filters{Timeout: time.Duration(f.TimeoutSeconds) * time.Second},
	}
	switch {
	case f.Path == "": // reported as missing
	case !strings.HasPrefix(f.Path, "/") || strings.ContainsAny(f.Path, "?#"):
		r.errorf(path+".path", Invalid, "expected a path that begins with / and has no ? or #")
	case strings.HasSuffix(f.Path, "/"):
		r.errorf(path+".path", Invalid, "a path must not end with /")
	}
	for _, other := range l.Routes {
		if other.Name == f.Path && f.Path != "" {
			r.errorf(path+".path", Conflict, "a second route for this path; the first is %s", r.cfg.Where(other.Path))
		}
	}
	policy, ok := r.policies.find(r, path+".policy", f.Policy)
	if !ok {
		return rt
	}
	rt.ExtProc = &ExtProc{Path: path + ".policy", Profiles: policy.Profiles, Authentication: policy.Authentication}
	r.schema(path+".schema", f.Schema, rt.ExtProc)
	rt.ExtProc.DropHeaders = !rt.ExtProc.ListsModels
	if rt.ExtProc.ListsModels {
		return rt // answered without a backend
	}
	for _, c := range rt.ExtProc.Profiles {
		for _, s := range c.Profile.Services {
			r.f5Backend(rt, s.Name)
		}
	}
	return rt
}

// f5Backend adds a service to the backends of a route, unless it is there.
func (r *resolver) f5Backend(rt *Route, service string) {
	e := r.upstreams.entries[service]
	if e == nil || slices.ContainsFunc(rt.Backends, func(b *Backend) bool { return b.Name == service }) {
		return
	}
	own, ai := *e.is, *e.is.AI
	own.AI = &ai
	rt.Backends = append(rt.Backends, &own)
}
