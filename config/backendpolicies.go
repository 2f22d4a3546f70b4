package config

import (
	"cmp"
	"strings"
	"time"
)

// BackendHTTP is how HTTP is spoken to a backend.
type BackendHTTP struct {
	// Version is 1.1 or 2. Empty for what the backend chooses if it has TLS, and
	// else for the client's.
	Version string
	// RequestTimeout bounds the time until the headers of the response, for each
	// attempt; 0 for the route's limit.
	RequestTimeout time.Duration
}

// BackendTCP is how connections to a backend are made.
type BackendTCP struct {
	// ConnectTimeout bounds the time to connect; 0 for that of all backends.
	ConnectTimeout time.Duration
	// Keepalive are the probes on idle connections; nil for those of all backends,
	// or none if NoKeepalive.
	Keepalive   *Keepalive
	NoKeepalive bool
}

// Eviction takes endpoints that fail out of service.
type Eviction struct {
	// Duration is how long the first time. Default 3 seconds.
	Duration time.Duration
	// Failures is the number of failures in a row that lead to it. Default 1.
	Failures uint32
}

const defaultEviction = 3 * time.Second

// backendPlace is one place that says how a backend is spoken to.
type backendPlace struct {
	// path is the place of the policies, owner what a secret in them belongs to.
	path, owner string
	policies    *fileBackendPolicies
}

// backendPlaces are all of them, the most specific first: the route's entry f, the
// route, what f refers to, and what targets the route, the backend, the listener
// and the gateway. to is f itself, or the named backend that f refers to.
func (r *resolver) backendPlaces(path, owner string, f *fileBackend, to *destination, ls levels) (places []backendPlace) {
	add := func(path, key, owner string, p *fileBackendPolicies) {
		if p != nil {
			places = append(places, backendPlace{path + key, owner, p})
		}
	}
	credentials := func(path, key, owner string, auth *fileBackendAuth, tls *fileBackendTLS) {
		if auth != nil || tls != nil {
			add(path, key, owner, &fileBackendPolicies{BackendAuth: auth, BackendTLS: tls})
		}
	}
	levels := func(ls levels) {
		for _, l := range ls {
			credentials(l.path, "", owner, l.policies.BackendAuth, l.policies.BackendTLS)
		}
	}
	inline, targeted, broad := r.targets.split(ls)
	add(path, ".policies", owner, f.Policies)
	levels(inline)
	if to.file != f {
		add(to.path, ".policies", to.owner, to.file.Policies)
	}
	if ai := to.file.AI; ai != nil {
		add(to.path, ".ai.policies", to.owner, ai.Policies)
		credentials(to.path, ".ai", to.owner, ai.BackendAuth, ai.BackendTLS)
	}
	levels(targeted)
	levels(r.targets.ofBackend(to.name, to.file))
	levels(broad)
	return places
}

// pickPlace is pick for the places of a backend.
func pickPlace[T any](places []backendPlace, key string, of func(*fileBackendPolicies) *T) (path string, value *T) {
	for _, p := range places {
		if v := of(p.policies); v != nil {
			return p.path + "." + key, v
		}
	}
	return "", nil
}

// connection reads how a backend is spoken to, encryption and credentials aside.
func (r *resolver) connection(places []backendPlace, b *Backend) {
	if _, f := pickPlace(places, "http", func(p *fileBackendPolicies) *fileBackendHTTP { return p.HTTP }); f != nil {
		b.HTTP.Version = cmp.Or(strings.TrimSuffix(strings.TrimPrefix(f.Version, "HTTP/"), ".0"), b.HTTP.Version)
		b.HTTP.RequestTimeout = time.Duration(f.RequestTimeout)
	}
	if path, f := pickPlace(places, "tcp", func(p *fileBackendPolicies) *fileBackendTCP { return p.TCP }); f != nil {
		b.TCP.ConnectTimeout = f.ConnectTimeout.span
		if f.Keepalives != nil {
			b.TCP.Keepalive = r.keepalive(path+".keepalives", f.Keepalives)
			b.TCP.NoKeepalive = b.TCP.Keepalive == nil
		}
	}
	if path, f := pickPlace(places, "health", func(p *fileBackendPolicies) *fileHealth { return p.Health }); f != nil {
		b.Eviction = r.eviction(path, f, b)
	}
}

// versionsBehindTLS settles the version of HTTP for backends without TLS behind
// clients with it: what those have agreed on with us says nothing about a backend.
func (r *resolver) versionsBehindTLS() {
	for _, l := range r.cfg.Listeners {
		if !l.Protocol.OverTLS() {
			continue
		}
		for _, rt := range l.Routes {
			for _, b := range rt.Backends {
				if b.TLS == nil {
					b.HTTP.Version = cmp.Or(b.HTTP.Version, "1.1")
				}
			}
		}
	}
}

// eviction reads when endpoints are taken out of service. Where there is only one
// it would serve even so.
func (r *resolver) eviction(path string, f *fileHealth, b *Backend) *Eviction {
	if strings.TrimSpace(string(f.UnhealthyExpression)) != "" {
		r.errorf(path+".unhealthyExpression", Unsupported, "expressions are not supported here yet; without one, status 5xx and connections that fail count as failures")
	}
	if f.Eviction == nil {
		return nil
	}
	if b.Target != (Target{}) || b.Dynamic {
		if !r.mistaken[path+".eviction"] {
			r.warnf(path+".eviction", Unreachable, "without effect: a backend with one endpoint is used even if it is evicted")
		}
		return nil
	}
	e := &Eviction{Duration: cmp.Or(time.Duration(f.Eviction.Duration), defaultEviction), Failures: 1}
	if n := f.Eviction.ConsecutiveFailures; n != nil {
		if e.Failures = *n; *n == 0 {
			return nil // agentgateway: never
		}
	}
	return e
}
