package config

import (
	"slices"
	"strings"
)

// targetedAtBackends are the policies that can be attached to a backend.
var targetedAtBackends = []string{"backendTLS", "backendAuth", "ai"}

// backendPolicy files a policy that is attached to a backend or a service.
func (r *resolver) backendPolicy(path string, to *filePolicyTarget, p *target) {
	p.backend = &fileBackendTarget{}
	switch {
	case to.SubBackend != "":
		i := strings.LastIndexByte(to.SubBackend, '/')
		if i < 0 {
			r.errorf(path+".subBackend", Invalid, "expected <backend>/<provider>")
			return
		}
		to.Backend = &fileBackendTarget{Backend: &fileBackendName{Name: to.SubBackend[:i], Section: to.SubBackend[i+1:]}}
	case to.Service != nil:
		to.Backend = &fileBackendTarget{Service: to.Service}
	}
	p.backend = to.Backend
	if (p.backend.Backend == nil) == (p.backend.Service == nil) {
		r.missingf(path+".backend", "expected exactly one of backend, service")
		return
	}
	if key := r.policyKey(p); !slices.Contains(targetedAtBackends, key) && !r.mistaken[p.path] {
		r.errorf(p.path+"."+key, Unsupported, "cannot be attached to a backend here; only %s can", strings.Join(targetedAtBackends, ", "))
	}
	t := &r.targets
	if b := p.backend.Backend; b != nil {
		if b.Name = strings.TrimPrefix(b.Name, "/"); b.Namespace == "" {
			t.backends[b.Name] = append(t.backends[b.Name], p)
		}
		return
	}
	name := p.backend.Service.Namespace + "/" + p.backend.Service.Hostname
	t.services[name] = append(t.services[name], p)
}

// ofBackend are the policies that target what a backend is: its provider first,
// or the port of its service.
func (t *targets) ofBackend(name string, f *fileBackend) (ls levels) {
	if len(t.all) == 0 {
		return nil
	}
	if list := t.backends[name]; list != nil {
		section := ""
		if f.AI != nil {
			section = f.AI.Name
		}
		ls = append(
			hit(list, func(p *target) bool { return p.backend.Backend.Section != "" && p.backend.Backend.Section == section }),
			hit(list, func(p *target) bool { return p.backend.Backend.Section == "" })...,
		)
	}
	if s := f.Service; s != nil {
		list := t.services[s.Name.Namespace+"/"+s.Name.Hostname]
		ls = append(ls, hit(list, func(p *target) bool { return p.backend.Service.Port == s.Port })...)
		ls = append(ls, hit(list, func(p *target) bool { return p.backend.Service.Port == 0 })...)
	}
	return ls
}

// split parts the levels of a route into its own policies, those that target it,
// and those for its listener or gateway.
func (t *targets) split(ls levels) (inline, targeted, broad levels) {
	first := func(ls levels, is func(level) bool) int {
		if i := slices.IndexFunc(ls, is); i >= 0 {
			return i
		}
		return len(ls)
	}
	i := first(ls, func(l level) bool { return strings.HasPrefix(l.path, "policies[") })
	j := i + first(ls[i:], func(l level) bool { return t.broad[l.path] })
	return ls[:i], ls[i:j], ls[j:]
}

// missedBackend reports a policy for a backend that there is not. One that there
// is, and that no route uses, is told by itself.
func (r *resolver) missedBackend(path string, p *target) {
	switch b, s := p.backend.Backend, p.backend.Service; {
	case b != nil && b.Namespace != "":
		r.errorf(path, Reference, `a backend of a file has no namespace; expected ""`)
	case b != nil && r.namedBackends[b.Name] == nil:
		r.errorf(path, Reference, "no backend has this name; %s", suggestName(b.Name, words(r.namedBackends), "backends"))
	case b != nil && b.Section != "":
		r.errorf(path, Reference, "the backend has no provider of this name")
	case s != nil && r.meshServices[s.Namespace+"/"+s.Hostname] == nil:
		r.errorf(path, Reference, "no service has this name; %s", suggestName(s.Namespace+"/"+s.Hostname, words(r.meshServices), "services"))
	case s != nil && s.Port != 0:
		r.warnf(path, Unreachable, "no backend refers to this port of the service")
	}
}
