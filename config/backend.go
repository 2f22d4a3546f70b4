package config

import (
	"fmt"
	"strings"
)

// destination is what says where a backend's requests go: the entry of the route,
// or an entry of the section "backends".
type destination struct {
	// path is the place in the file, owner what a secret in it belongs to.
	path, owner string
	file        *fileBackend
	// name is that of a named backend.
	name string
	used bool
}

// backend reads a backend of a route. owner is what a secret in it belongs to, ls
// are the policies of the route.
func (r *resolver) backend(path, owner string, f *fileBackend, ls levels) *Backend {
	to := &destination{path: path, owner: owner, file: f}
	if f.Backend != "" && r.oneKind(path, f) {
		if named := r.named(path+".backend", f.Backend); named != nil {
			to = named
		}
	}
	return r.backendAt(path, owner, f, to, ls)
}

// backendAt is backend, with what it refers to.
func (r *resolver) backendAt(path, owner string, f *fileBackend, to *destination, ls levels) *Backend {
	b := &Backend{Path: path, Weight: 1}
	if f.Weight != nil {
		b.Weight = *f.Weight
	}
	r.given[b] = r.backendName(f, to)
	var ai []placedAIPolicy
	if to.file.AI != nil {
		ai = r.aiPolicies(path, f, to, ls)
	}
	r.destination(to, ai, b)
	authGiven, tlsGiven := false, false
	places := r.backendPlaces(path, owner, f, to, ls)
	for _, p := range places {
		if p.policies.BackendAuth != nil && !authGiven {
			r.backendAuth(p.path+".backendAuth", p.owner, p.policies.BackendAuth, b)
			authGiven = true
		}
		if p.policies.BackendTLS != nil && !tlsGiven {
			b.TLS, tlsGiven = r.backendTLS(p.path+".backendTLS", p.policies.BackendTLS), true
			r.verifiable(p.path+".backendTLS", b)
		}
	}
	r.connection(places, b)
	r.backendHeaders(places, b)
	return b
}

// backendName is the name that the user gave to a backend.
func (r *resolver) backendName(f *fileBackend, to *destination) string {
	switch {
	case f.AI != nil && f.Name != "":
		r.errorf(to.path+".name", Conflict, "an ai backend has its name in ai.name")
		return f.AI.Name
	case f.AI != nil:
		return f.AI.Name
	case f.Name != "":
		return f.Name
	}
	return to.name
}

// oneKind reports an entry that says more than once where requests go.
func (r *resolver) oneKind(path string, f *fileBackend) bool {
	var given []string
	for _, kind := range []struct {
		key   string
		given bool
	}{
		{"host", f.Host != ""}, {"service", f.Service != nil}, {"backend", f.Backend != ""},
		{"dynamic", f.Dynamic != nil}, {"ai", f.AI != nil}, {"invalid", bool(f.Invalid)},
	} {
		if kind.given {
			given = append(given, kind.key)
		}
	}
	if len(given) > 1 {
		r.errorf(path, Conflict, "%s exclude each other; write two backends", strings.Join(given, " and "))
	}
	return len(given) <= 1
}

// destination reads where requests go. ai are the places with an ai policy.
func (r *resolver) destination(to *destination, ai []placedAIPolicy, b *Backend) {
	path, f := to.path, to.file
	switch {
	case !r.oneKind(path, f):
	case f.Host != "":
		r.target(path+".host", f.Host, &b.Target)
	case f.Service != nil:
		r.workloadBackend(path+".service", f.Service, b)
	case f.Dynamic != nil:
		r.dynamic(path+".dynamic", f.Dynamic, b)
	case f.AI != nil:
		r.ai(path, f.AI, ai, b)
	case bool(f.Invalid):
		b.Invalid = true
	case f.Backend != "": // reported as unknown
	case to.name != "":
		r.missingf(path, "expected one of host, dynamic, ai")
	default:
		r.missingf(path, "expected one of host, service, backend, dynamic, ai, routeGroup, invalid")
	}
}

// dynamic reads a forward proxy. One with a fixed target is an ordinary backend.
func (r *resolver) dynamic(path string, f *fileDynamic, b *Backend) {
	if f.Target == "" {
		b.Dynamic = true
		return
	}
	literal, ok := celString(string(f.Target))
	if !ok {
		r.errorf(path+".target", Unsupported, `only a string literal is supported, such as '"api.example.com:80"'`)
		return
	}
	r.target(path+".target", literal, &b.Target)
}

// backends reads v0.11's section of that name.
func (r *resolver) backends(backends []fileNamedBackend) {
	r.namedBackends = map[string]*destination{}
	for i := range backends {
		f := &backends[i]
		n := &destination{
			path: fmt.Sprintf("backends[%d]", i), owner: "backends/" + f.Name, name: f.Name,
			file: &fileBackend{Host: f.Host, Dynamic: f.Dynamic, AI: f.AI, Policies: f.Policies},
		}
		if first := r.namedBackends[f.Name]; first != nil {
			r.errorf(n.path+".name", Conflict, "a second backend of this name; the first is %s", r.cfg.Where(first.path))
			continue
		}
		if f.Name != "" {
			r.namedBackends[f.Name] = n
		}
	}
}

// named finds an entry of the section "backends", and reports one that is not
// there. Its namespace is empty, so that agentgateway writes /name.
func (r *resolver) named(path, ref string) *destination {
	n := r.namedBackends[strings.TrimPrefix(ref, "/")]
	if n == nil {
		r.errorf(path, Reference, "no backend has this name; %s", suggestName(strings.TrimPrefix(ref, "/"), words(r.namedBackends), "backends"))
		return nil
	}
	n.used = true
	return n
}

// unusedBackends warns of named backends that nothing refers to. Their mistakes
// are mistakes all the same.
func (r *resolver) unusedBackends() {
	for _, name := range words(r.namedBackends) {
		if n := r.namedBackends[name]; !n.used {
			r.backendAt(n.path, n.owner, n.file, n, nil)
			r.warnf(n.path, Unreachable, "no backend of a route refers to this one")
		}
	}
}
