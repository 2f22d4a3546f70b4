package config

import (
	"fmt"
	"slices"
	"strings"
)

func (r *resolver) extProc(path string, f *fileExternal) *ExtProc {
	e := &ExtProc{Path: path, FailOpen: r.failureMode(path, f.FailureMode) == FailOpen, Show: r.processing(path, f)}
	ways := 0
	for _, given := range []bool{f.Host != "" || f.Backend != "", f.Profile != "", f.Profiles != nil} {
		if given {
			ways++
		}
	}
	switch {
	case ways > 1:
		r.errorf(path, Conflict, "host, profile and profiles exclude each other; host is somebody's ext_proc server, profile a chain of this file, profiles several to choose from")
	case f.Host != "" && f.Backend != "":
		r.errorf(path, Conflict, "host and backend exclude each other")
	case f.Host != "":
		e.Target, e.TLS = r.server(path, f.Host, f.Policies)
	case f.Backend != "":
		e.Target, e.TLS = r.namedServer(path, f.Backend, f.Policies)
	case f.Profile != "":
		p := path + ".profile"
		r.candidate(e, p, p, &fileCandidate{Name: f.Profile})
	case len(f.Profiles) > 0:
		for i := range f.Profiles {
			p := fmt.Sprintf("%s.profiles[%d]", path, i)
			r.candidate(e, p, p+".name", &f.Profiles[i])
		}
	default:
		r.missingf(path, "expected host, profile or profiles")
	}
	if f.Authentication != nil {
		if ways == 1 && f.Profiles == nil {
			r.errorf(path+".authentication", Conflict, "authentication is for jwt selectors, which only profiles can have")
		}
		e.Authentication = r.authentication(path+".authentication", f.Authentication)
	}
	r.candidates(path, e)
	switch f.ClientHeaders {
	case "", "forward":
	case "drop":
		e.DropHeaders = true
	default:
		r.errorf(path+".clientHeaders", Invalid, "expected forward or drop")
	}
	e.PassUnreadable = f.Unreadable == "pass"
	server := f.Host != "" || f.Backend != ""
	if f.Unreadable != "" && server {
		r.errorf(path+".unreadable", Conflict, "unreadable goes with profile and profiles; a server behind host decides by itself")
	}
	if f.ClientHeaders != "" && server {
		r.errorf(path+".clientHeaders", Conflict, "clientHeaders goes with profile and profiles; a server behind host decides by itself")
	}
	if !server && ways > 0 {
		r.onlyForServers(path, f)
	}
	if f.Schema != "" && server {
		r.errorf(path+".schema", Conflict, "schema goes with profile and profiles; a server behind host decides by itself")
		return e
	}
	if f.Schema != "" {
		r.schema(path+".schema", f.Schema, e)
	}
	return e
}

// onlyForServers refuses what a profile knows by itself.
func (r *resolver) onlyForServers(path string, f *fileExternal) {
	for _, k := range []struct {
		key   string
		given bool
	}{
		{"policies", f.Policies != nil},
		{"metadataContext", f.MetadataContext != nil},
		{"requestAttributes", f.RequestAttributes != nil},
		{"responseAttributes", f.ResponseAttributes != nil},
		{"processingOptions", f.ProcessingOptions != nil},
	} {
		if k.given {
			r.errorf(path+"."+k.key, Conflict, "this is for the server behind host; a profile knows by itself what it has to see")
		}
	}
}

// server is where somebody's server is, and how to encrypt towards it.
func (r *resolver) server(path, host string, f *fileServerPolicies) (*Target, *TLS) {
	t, encrypted, err := parseServer(host)
	if err != nil {
		r.errorf(path+".host", Invalid, "%v", err)
		return nil, nil
	}
	var tls *TLS
	if encrypted {
		tls = &TLS{}
	}
	if f != nil && f.BackendTLS != nil {
		tls = r.backendTLS(path+".policies.backendTLS", f.BackendTLS)
	}
	r.verifiable(path+".policies.backendTLS", &Backend{Target: t, TLS: tls})
	return &t, tls
}

// namedServer is a server of the section "backends".
func (r *resolver) namedServer(path, name string, f *fileServerPolicies) (*Target, *TLS) {
	to := r.named(path+".backend", name)
	if to == nil {
		return nil, nil
	}
	b := r.backendAt(path, to.owner, &fileBackend{}, to, nil)
	if b.Target == (Target{}) || b.AI != nil || b.Credential != nil {
		r.errorf(path+".backend", Unsupported, "an ext_proc server is a backend of kind host, of which only backendTLS is used")
		return nil, nil
	}
	if f != nil && f.BackendTLS != nil {
		b.TLS = r.backendTLS(path+".policies.backendTLS", f.BackendTLS)
		r.verifiable(path+".policies.backendTLS", b)
	}
	return &b.Target, b.TLS
}

// candidate adds a profile that may be chosen; namePath is the place of its
// name.
func (r *resolver) candidate(e *ExtProc, path, namePath string, f *fileCandidate) {
	p := r.profiles[f.Name]
	if p == nil {
		if f.Name != "" {
			r.errorf(namePath, Reference, "no profile has this name; %s", suggestName(f.Name, words(r.profiles), "profiles"))
		}
		return
	}
	r.used[p] = true
	e.Profiles = append(e.Profiles, &Candidate{Path: path, Profile: p, Selector: r.selector(path+".selector", f.Selector, onCandidate)})
}

// candidates checks the list as a whole; path is its owner's.
func (r *resolver) candidates(path string, e *ExtProc) {
	var selectors []*Selector
	for _, c := range e.Profiles {
		if total(selectors) {
			r.warnf(c.Path, Unreachable, "never chosen: one of the entries before it always holds")
		}
		selectors = append(selectors, c.Selector)
		if s := c.Selector; s != nil && s.Kind == SelectJWT && e.Authentication == nil && !r.mistaken[path] {
			r.errorf(s.Path, Invalid, "a jwt selector needs authentication, with jwtSigningKeyFile and jwtSigningKeyType")
		}
	}
	jwt := slices.ContainsFunc(selectors, func(s *Selector) bool { return s != nil && s.Kind == SelectJWT })
	if a := e.Authentication; a != nil && !jwt && len(selectors) > 0 {
		r.warnf(a.Path, Unreachable, "without effect: no selector of type jwt looks at a token, and nothing else wants one")
	}
	if len(selectors) > 0 && !total(selectors) {
		r.warnf(path, Unreachable, "a request for which no selector holds is answered 404; add an entry without selector if that is not meant")
	}
}

// schemas are F5's words for what a route serves.
var schemas = map[string]bool{"v1/chat_completions": false, "v1/models": true}

func (r *resolver) schema(path, word string, e *ExtProc) {
	if word == "" {
		return
	}
	lists, known := schemas[word]
	switch instead := earlySchemas[word]; {
	case instead != "":
		r.errorf(path, Unsupported, "%s", instead)
	case !known:
		r.errorf(path, Invalid, "unknown schema; expected %s", alternatives(words(schemas)))
	}
	if e.ListsModels = lists; !lists {
		return
	}
	for _, c := range e.Profiles {
		if c.Profile.ModelRule != ModelsListed {
			r.errorf(path, Invalid, "v1/models lists the models of a profile, and %s has none; give it models", r.cfg.Where(c.Profile.Path))
		}
	}
}

// signingAlgorithms are those of RFC 7518 and RFC 8037 that verify a token.
var signingAlgorithms = strings.Fields("HS256 HS384 HS512 RS256 RS384 RS512 ES256 ES384 ES512 PS256 PS384 PS512 EdDSA")

func (r *resolver) authentication(path string, f *fileAuthentication) *Authentication {
	a := &Authentication{Path: path, SigningKeyType: f.SigningKeyType, AllowUnverified: f.AllowUnverified}
	for _, k := range []struct{ key, value string }{{"jwtSigningKeyFile", f.SigningKeyFile}, {"jwtSigningKeyType", f.SigningKeyType}} {
		if k.value == "" && !f.AllowUnverified {
			r.missingf(path, "expected jwtSigningKeyFile and jwtSigningKeyType")
			return a
		}
	}
	if f.SigningKeyType != "" && !slices.Contains(signingAlgorithms, f.SigningKeyType) {
		r.errorf(path+".jwtSigningKeyType", Invalid, "unknown algorithm; expected %s", alternatives(signingAlgorithms))
	}
	if f.SigningKeyFile == "" {
		return a
	}
	content, _, ok := r.readNamed(path+".jwtSigningKeyFile", f.SigningKeyFile)
	if strings.HasPrefix(f.SigningKeyType, "HS") {
		content = []byte(strings.TrimSpace(string(content))) // editors end files with a line break
	}
	if a.SigningKey = content; ok && len(content) == 0 {
		r.errorf(path+".jwtSigningKeyFile", Invalid, "the file is empty")
	}
	return a
}
