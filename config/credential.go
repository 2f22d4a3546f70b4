package config

import (
	"slices"
	"strings"
)

// Location is where in a request a credential stands.
type Location struct {
	Kind LocationKind
	// Name is that of the header, in lower case, or of the parameter or cookie.
	Name string
	// Prefix stands before the credential; for headers only.
	Prefix string
}

// LocationKind is a part of a request.
type LocationKind int

// A credential stands in a header, or in a cookie.
const (
	LocationHeader LocationKind = iota
	LocationCookie
)

// bearer is where a credential stands unless something else is said.
var bearer = Location{Kind: LocationHeader, Name: "authorization", Prefix: "Bearer "}

// backendAuth sets how we authenticate to a backend.
func (r *resolver) backendAuth(path, owner string, f *fileBackendAuth, b *Backend) {
	switch {
	case f.Key != nil && f.Passthrough != nil:
		r.errorf(path, Conflict, "key and passthrough exclude each other")
	case f.Passthrough != nil:
		b.Passthrough = true
	case f.Key == nil:
		r.missingf(path, "expected key or passthrough")
	default:
		if b.Credential = r.key(path+".key", owner, f.Key); b.Credential == nil {
			return
		}
		if b.CredentialAt = providerLocation(b); f.Key.location != nil {
			b.CredentialAt = r.location(path+".key.location", f.Key.location, b.Credential)
		}
	}
}

// key reads a secret.
func (r *resolver) key(path, owner string, f *fileKey) *Credential {
	switch {
	case f.variable != "":
		return r.checked(path, NewCredential("env:"+f.variable, f.value))
	case f.file != "":
		return r.credentialFile(path+".file", path, f.file)
	}
	return r.checked(path, NewCredential("inline:"+owner, f.value))
}

// providerLocation is where a provider takes keys, which depends on the kind of
// key: OAuth tokens are bearer tokens everywhere.
func providerLocation(b *Backend) Location {
	key := b.Credential.value
	begins := func(prefix string) bool { return strings.HasPrefix(key, prefix) }
	switch {
	case b.AI == nil:
	case b.AI.Provider == "anthropic" && !begins("sk-ant-oat"):
		return Location{Name: "x-api-key"}
	case b.AI.Provider == "gemini" && (begins("AIza") || begins("AQ.")):
		return Location{Name: "x-goog-api-key"}
	}
	return bearer
}

// unsuitedHeaders are those that a credential in them would break.
var unsuitedHeaders = []string{"host", "content-length", "transfer-encoding", "connection", "te", "upgrade"}

func (r *resolver) location(path string, f *fileLocation, c *Credential) Location {
	given := 0
	for _, is := range []bool{f.Header != nil, f.QueryParameter != nil, f.Cookie != nil} {
		if is {
			given++
		}
	}
	switch {
	case given != 1:
		r.missingf(path, "expected exactly one of header, queryParameter, cookie")
	case f.QueryParameter != nil:
		r.errorf(path+".queryParameter", Unsupported, "a key in the query would show in access logs and traces, which have the path that Envoy sent; use header or cookie")
	case f.Cookie != nil:
		if f.Cookie.Name != "" && !tokenPattern.MatchString(f.Cookie.Name) {
			r.errorf(path+".cookie.name", Invalid, "not the name of a cookie; expected a token")
		}
		if strings.ContainsFunc(c.value, func(c rune) bool { return c <= ' ' || c >= 0x7f || strings.ContainsRune(`",;\`, c) }) {
			r.errorf(path+".cookie", Invalid, "the key holds a character that no cookie can carry")
		}
		return Location{Kind: LocationCookie, Name: f.Cookie.Name}
	default:
		name := strings.ToLower(f.Header.Name)
		if name != "" && (!tokenPattern.MatchString(name) || slices.Contains(unsuitedHeaders, name)) {
			r.errorf(path+".header.name", Invalid, "not the name of a header that can carry a key")
		}
		if strings.ContainsFunc(f.Header.Prefix, func(c rune) bool { return c < ' ' || c >= 0x7f }) {
			r.errorf(path+".header.prefix", Invalid, "expected printable ASCII")
		}
		return Location{Kind: LocationHeader, Name: name, Prefix: f.Header.Prefix}
	}
	return bearer
}
