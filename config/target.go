package config

import (
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
)

// ParseTarget reads an address: host:port, [ipv6]:port or unix:/path.
func ParseTarget(s string) (Target, error) {
	if path, ok := strings.CutPrefix(s, "unix:"); ok {
		if !filepath.IsAbs(path) || len(path) > 107 {
			return Target{}, fmt.Errorf("not a socket; expected unix: and an absolute path of at most 107 bytes")
		}
		return Target{Unix: path}, nil
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil || host == "" {
		return Target{}, fmt.Errorf("not an address; expected host:port, [ipv6]:port or unix:/path")
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return Target{}, fmt.Errorf("not a port; expected a number from 1 to 65535 after the colon")
	}
	if net.ParseIP(host) == nil && (strings.HasPrefix(host, "*") || !hostnamePattern.MatchString(strings.ToLower(strings.TrimSuffix(host, ".")))) {
		return Target{}, fmt.Errorf("not a host; expected a DNS name or an IP address before the port")
	}
	return Target{Host: host, Port: uint16(n)}, nil
}

// parseServer reads the address of a server that is not a backend: a target,
// or a URI, whose https asks for TLS and whose port may be that of its scheme.
func parseServer(s string) (t Target, encrypted bool, err error) {
	for _, scheme := range []struct{ prefix, port string }{{"http://", "80"}, {"https://", "443"}} {
		host, ok := strings.CutPrefix(s, scheme.prefix)
		if !ok {
			continue
		}
		host = strings.TrimSuffix(host, "/") // an empty path
		if strings.ContainsAny(host, "/?#@") {
			return t, false, fmt.Errorf("a server is called by its address alone; expected no path, query or user behind %s", scheme.prefix)
		}
		if bare := strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"); net.ParseIP(bare) != nil || !strings.Contains(host, ":") {
			host = net.JoinHostPort(bare, scheme.port)
		}
		t, err = ParseTarget(host)
		return t, scheme.port == "443", err
	}
	t, err = ParseTarget(s)
	return t, false, err
}

func (r *resolver) target(path, s string, into *Target) {
	if strings.Contains(s, "://") {
		r.errorf(path, Invalid, "a URL, not an address; expected host:port, and for https backendTLS among the policies")
		return
	}
	t, err := ParseTarget(s)
	if err != nil {
		r.errorf(path, Invalid, "%v", err)
		return
	}
	*into = t
}
