package config

import (
	"fmt"
	"regexp"
	"strings"
)

var hostnamePattern = regexp.MustCompile(`^(\*\.)?[a-z0-9]([a-z0-9_-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9_-]*[a-z0-9])?)*$`)

// hostname lower-cases an exact name or *.suffix; empty and * mean any host.
func (r *resolver) hostname(path, s string) string {
	if s == "" || s == "*" {
		return ""
	}
	s = strings.ToLower(s)
	if len(s) > 253 || !hostnamePattern.MatchString(s) {
		r.errorf(path, Invalid, "not a host name; expected a name such as api.example.com or *.example.com, without a port")
	}
	return s
}

// hostnames reads those of the route at path; nil means any host.
func (r *resolver) hostnames(path string, names []string) (list []string) {
	for i, h := range names {
		h = r.hostname(fmt.Sprintf("%s.hostnames[%d]", path, i), h)
		if h == "" {
			return nil // one that means any host covers the others
		}
		list = append(list, h)
	}
	return list
}

// HostCovers tells whether every host that the pattern b matches also matches
// a. *.example.com covers a.example.com and *.a.example.com, not example.com;
// empty and * cover everything.
func HostCovers(a, b string) bool {
	if a == "" || a == "*" || a == b {
		return true
	}
	suffix, wild := strings.CutPrefix(a, "*")
	rest := strings.TrimPrefix(b, "*")
	return wild && b != "" && len(rest) > len(suffix) && strings.HasSuffix(rest, suffix)
}
