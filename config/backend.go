package config

import (
	"net"
	"strings"
)

// providerHost is where OpenAI answers unless hostOverride says otherwise, and
// chatCompletions the path of its API.
var providerHost = Target{Host: "api.openai.com", Port: 443}

const chatCompletions = "/v1/chat/completions"

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
		r.ai(path+".ai", f.AI, b)
	default:
		r.missingf(path, "expected host or ai")
	}
	tlsGiven := false
	for _, p := range places {
		if p.auth != nil && b.Credential == nil {
			b.Credential = r.credential(p.path+".backendAuth", owner, p.auth)
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

func (r *resolver) ai(path string, f *fileAI, b *Backend) {
	b.AI = &AI{Name: f.Name, Provider: "openAI"}
	if f.Provider.OpenAI == nil {
		r.missingf(path+".provider", "expected openAI")
	} else {
		b.AI.Model = f.Provider.OpenAI.Model
	}
	b.Target, b.TLS = providerHost, &TLS{}
	if f.HostOverride != "" {
		// An overridden host is spoken to in the clear unless backendTLS asks
		// for more.
		b.TLS = nil
		r.target(path+".hostOverride", f.HostOverride, &b.Target)
	}
	for _, p := range []struct{ key, value string }{{"pathOverride", f.PathOverride}, {"pathPrefix", f.PathPrefix}} {
		if p.value != "" && (!strings.HasPrefix(p.value, "/") || strings.ContainsAny(p.value, "?#\\ ")) {
			r.errorf(path+"."+p.key, Invalid, "expected a path that begins with / and has no query")
		}
	}
	switch {
	case f.PathOverride != "" && f.PathPrefix != "":
		r.errorf(path, Conflict, "pathOverride and pathPrefix exclude each other; pathOverride is the whole path")
	case f.PathOverride != "":
		b.AI.UpstreamPath = f.PathOverride
	case f.PathPrefix != "":
		b.AI.UpstreamPath = strings.TrimSuffix(f.PathPrefix, "/") + "/chat/completions"
	default:
		b.AI.UpstreamPath = chatCompletions
	}
}
