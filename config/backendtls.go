package config

import (
	"fmt"
	"net"
	"strings"
)

// Verification is how much of a backend's certificate is verified.
type Verification int

const (
	// VerifyName wants a certificate that is valid, from an issuer that we trust,
	// and for the name that we expect.
	VerifyName Verification = iota
	// VerifyIssuer wants all but the name.
	VerifyIssuer
	// VerifyNothing takes any certificate.
	VerifyNothing
)

// backendTLS reads how a backend is encrypted, once for all that share the block.
func (r *resolver) backendTLS(path string, f *fileBackendTLS) *TLS {
	if t := r.tls[f]; t != nil {
		return t
	}
	t := r.clientTLS(path, clientTLSKeys{"root", "cert", "key", "minVersion"}, f)
	r.tls[f] = t
	switch {
	case f.InsecureHost: // agentgateway looks at this one first
		t.Verification = VerifyIssuer
	case f.Insecure:
		t.Verification = VerifyNothing
	}
	if f.Hostname != "" {
		if t.Name = strings.ToLower(f.Hostname); !isServerName(t.Name) {
			r.errorf(path+".hostname", Invalid, "expected a host name without a port, or an IP address")
		}
	}
	t.SubjectAltNames = r.strings(path+".subjectAltNames", f.SubjectAltNames, "expected a host name, an IP address, or a URI such as spiffe://domain/workload", func(name string) bool {
		return strings.Contains(name, "://") || isServerName(strings.ToLower(name))
	})
	t.ALPN = r.strings(path+".alpn", f.ALPN, "expected the name of a protocol, such as h2", func(name string) bool {
		// Envoy joins the names by commas.
		return name != "" && len(name) < 256 && !strings.Contains(name, ",")
	})
	t.KeyExchangeGroups = r.strings(path+".keyExchangeGroups", f.KeyExchangeGroups, "", func(string) bool { return true })
	return t
}

// strings checks the items of a list, which must not be empty.
func (r *resolver) strings(path string, list *[]string, expected string, valid func(string) bool) []string {
	if list == nil {
		return nil
	}
	if len(*list) == 0 {
		r.errorf(path, Invalid, "an empty list allows nothing; leave the key out for the default")
	}
	for i, item := range *list {
		if !valid(item) {
			r.errorf(fmt.Sprintf("%s[%d]", path, i), Invalid, "%s", expected)
		}
	}
	return *list
}

// isServerName tells whether a certificate can be for s.
func isServerName(s string) bool {
	return net.ParseIP(s) != nil || len(s) <= 253 && !strings.HasPrefix(s, "*") && hostnamePattern.MatchString(s)
}

// verifiable reports a certificate of which nothing says whom it must be for.
func (r *resolver) verifiable(path string, b *Backend) {
	t := b.TLS
	if t == nil || t.Verification != VerifyName || t.Name != "" || t.SubjectAltNames != nil {
		return
	}
	switch {
	case b.Service != nil:
		r.errorf(path, Unsupported, "a service is reached by the addresses of its workloads, and certificates for those are not verified one by one; expected hostname, subjectAltNames or insecureHost")
	case b.Target.Unix != "":
		r.errorf(path, Invalid, "a socket has no name that a certificate could be for; expected hostname, subjectAltNames or insecureHost")
	}
}
