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
	if net.ParseIP(host) == nil && !hostnamePattern.MatchString(strings.ToLower(strings.TrimSuffix(host, "."))) {
		return Target{}, fmt.Errorf("not a host; expected a DNS name or an IP address before the port")
	}
	return Target{Host: host, Port: uint16(n)}, nil
}

func (r *resolver) target(path, s string, into *Target) {
	t, err := ParseTarget(s)
	if err != nil {
		r.errorf(path, Invalid, "%v", err)
		return
	}
	*into = t
}
