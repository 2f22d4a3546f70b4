package config

import (
	"fmt"
	"net"
)

// resolver turns the decoded file into the model. Paths name places; the tree
// turns them into lines.
type resolver struct {
	cfg  *Config
	opts Options
	mistakes

	processors map[string]*Processor
	profiles   map[string]*Profile
	used       map[any]bool // processors and profiles that something refers to
	// mistaken holds the places that have a key or value which the decoder
	// refused: what is absent there may only be misspelt.
	mistaken map[string]bool
	// forListener tells which gateway policies target one listener.
	forListener map[*ExtProc]bool
	// split are the conditional extProcs of routes.
	split map[*Route][]conditionalExtProc
	// targets are the policies of the section "policies"; listenerLevels those
	// that a listener gives to its routes, gatewayLevels those that run before a
	// route is chosen.
	targets        targets
	listenerLevels map[*Listener]levels
	gatewayLevels  map[*Listener]gatewayLevels
	// groups are the section "routeGroups" by name, entered the names of those
	// that are being read.
	groups  map[string]*routeGroup
	entered []string
	// namedBackends are the section "backends" by name, meshServices the section
	// "services" by namespace/hostname. tls is what blocks of that name say.
	namedBackends map[string]*destination
	meshServices  map[string]*workloadService
	tls           map[*fileBackendTLS]*TLS
	warned        map[string]bool
	// given are the names that the user gave to backends.
	given map[*Backend]string
	// f5 tells that the file is F5's own, which has policies and services.
	f5        bool
	policies  named[*ExtProc]
	upstreams named[*Backend]
}

func newResolver(name string, t *tree, opts Options) *resolver {
	return &resolver{
		cfg:         &Config{File: name, tree: t, readFile: opts.ReadFile},
		opts:        opts,
		processors:  map[string]*Processor{},
		profiles:    map[string]*Profile{},
		used:        map[any]bool{},
		mistaken:    map[string]bool{},
		forListener: map[*ExtProc]bool{},
		split:       map[*Route][]conditionalExtProc{},
		given:       map[*Backend]string{},
		tls:         map[*fileBackendTLS]*TLS{},
		warned:      map[string]bool{},

		listenerLevels: map[*Listener]levels{},
		gatewayLevels:  map[*Listener]gatewayLevels{},
		policies:       named[*ExtProc]{what: "policy", list: "policies"},
		upstreams:      named[*Backend]{what: "service", list: "services"},
	}
}

// refused notes what the decoder has refused.
func (r *resolver) refused(errs []*Error) {
	for _, e := range errs {
		r.mistaken[e.Path] = true
		r.mistaken[parentPath(e.Path)] = true
	}
}

func (r *resolver) errorf(path string, kind Kind, format string, args ...any) {
	if !r.full() {
		r.add(r.cfg.Errorf(path, kind, format, args...))
	}
}

// missingf is errorf for something that is absent. It is silent where the
// decoder has refused what stands there instead.
func (r *resolver) missingf(path string, format string, args ...any) {
	if !r.mistaken[path] {
		r.errorf(path, Invalid, format, args...)
	}
}

// warnf reports a remark, once: what several routes use is read for each.
func (r *resolver) warnf(path string, kind Kind, format string, args ...any) {
	e := r.cfg.Errorf(path, kind, format, args...)
	if text := e.Error(); !r.warned[text] {
		r.warned[text] = true
		r.cfg.Warnings = append(r.cfg.Warnings, e)
	}
}

func (r *resolver) resolve(f *file) {
	r.process(f.Config)
	r.connections(f)
	r.sections(f.Processors, f.Profiles)
	r.targeted(f.Policies)
	r.backends(f.Backends)
	r.workloadServices(f.Services, f.Workloads)
	r.routeGroups(f.RouteGroups)
	for i := range f.Binds {
		b := &f.Binds[i]
		path := fmt.Sprintf("binds[%d]", i)
		if b.Port == 0 {
			r.errorf(path+".port", Invalid, "expected a port from 1 to 65535")
		}
		address, ok := listenAddress(b.Address)
		if !ok {
			r.errorf(path+".address", Invalid, "expected an IP address, or localhost")
		}
		for j := range b.Listeners {
			l := &Listener{BindPath: path, Address: address, Port: b.Port, ProxyProtocol: b.TunnelProtocol == "proxy"}
			r.listener(fmt.Sprintf("%s.listeners[%d]", path, j), j, l, &b.Listeners[j])
		}
	}
	r.gateways(f.Gateways)
	r.attachedRoutes(f.Routes, f.TCPRoutes)
	r.unusedBackends()
	r.unusedServices()
	r.versionsBehindTLS()
	r.missedTargets()
	for i := range f.GatewayPolicies {
		r.gatewayPolicy(fmt.Sprintf("gatewayPolicies[%d]", i), &f.GatewayPolicies[i])
	}
	r.attachGatewayPolicies()
	r.splitRoutes()
	r.services()
	r.uniquePorts(f)
	r.rules("no extProc uses this profile")
}

// listenAddress is the address of a listener: empty for every one that the
// machine has.
func listenAddress(host string) (address string, ok bool) {
	if host == "localhost" {
		host = "127.0.0.1"
	}
	ip := net.ParseIP(host)
	switch {
	case host == "" || ip != nil && ip.IsUnspecified():
		return "", true
	case ip == nil:
		return "", false
	}
	return ip.String(), true
}

// sections reads F5's two.
func (r *resolver) sections(processors []fileProcessor, profiles []fileProfile) {
	for i := range processors {
		r.processor(fmt.Sprintf("processors[%d]", i), &processors[i])
	}
	for i := range profiles {
		r.profile(fmt.Sprintf("profiles[%d]", i), &profiles[i])
	}
}

// suggestName proposes an existing name, or tells which there are.
func suggestName(name string, known []string, section string) string {
	if len(known) == 0 {
		return "the file has no " + section
	}
	return suggest(name, known, known)
}
