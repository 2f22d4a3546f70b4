package config

import "net"

func (r *resolver) backend(path, owner string, f *fileBackend, ls levels) *Backend {
	b := &Backend{Path: path, Weight: 1}
	if f.Weight != nil {
		b.Weight = *f.Weight
	}
	type place struct {
		path string
		auth *fileBackendAuth
		tls  *fileBackendTLS
	}
	// The first place that has a policy wins: the backend's entry, the route and
	// what stands above it, the provider.
	var places []place
	if f.Policies != nil {
		places = append(places, place{path + ".policies", f.Policies.BackendAuth, f.Policies.BackendTLS})
	}
	for _, l := range ls {
		places = append(places, place{l.path, l.policies.BackendAuth, l.policies.BackendTLS})
	}
	if f.AI != nil {
		if p := f.AI.Policies; p != nil {
			places = append(places, place{path + ".ai.policies", p.BackendAuth, p.BackendTLS})
		}
		places = append(places, place{path + ".ai", f.AI.BackendAuth, f.AI.BackendTLS})
	}
	r.given[b] = f.Name
	if f.AI != nil {
		r.given[b] = f.AI.Name
		if f.Name != "" {
			r.errorf(path+".name", Conflict, "an ai backend has its name in ai.name")
		}
	}
	switch {
	case f.Host != "" && f.AI != nil:
		r.errorf(path, Conflict, "host and ai exclude each other; write two backends")
	case f.Host != "":
		r.target(path+".host", f.Host, &b.Target)
	case f.AI != nil:
		r.ai(path, f, ls, b)
	default:
		r.missingf(path, "expected host or ai")
	}
	r.backendHeaders(path, f, b)
	authGiven, tlsGiven := false, false
	for _, p := range places {
		if p.auth != nil && !authGiven {
			r.backendAuth(p.path+".backendAuth", owner, p.auth, b)
			authGiven = true
		}
		if p.tls != nil && !tlsGiven {
			b.TLS, tlsGiven = r.backendTLS(p.path+".backendTLS", p.tls), true
		}
	}
	if b.TLS != nil && net.ParseIP(b.Target.Host) != nil {
		r.errorf(path, Unsupported, "TLS to an IP address needs backendTLS.hostname, which is not supported yet; use a host name")
	}
	return b
}
