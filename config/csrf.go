package config

import (
	"fmt"
	"regexp"
	"slices"
)

// CSRF refuses requests that pages of other origins make browsers send. It
// follows agentgateway's http/csrf.rs.
type CSRF struct {
	// Path is the place in the file.
	Path string
	// Origins are trusted besides the one that a request goes to: sorted, each
	// once.
	Origins []string
}

// sentOrigin is what browsers send as Origin.
var sentOrigin = regexp.MustCompile(`^[a-z][a-z0-9+.-]*://[^/?#*@A-Z\x00-\x20\x7f]+$`)

func (r *resolver) csrf(path string, f *fileCSRF) *CSRF {
	for i, origin := range f.AdditionalOrigins {
		if !sentOrigin.MatchString(origin) {
			r.warnf(fmt.Sprintf("%s.additionalOrigins[%d]", path, i), Unreachable, "never matches: browsers send an origin as scheme://host or scheme://host:port, in lower case")
		}
	}
	c := &CSRF{Path: path, Origins: slices.Sorted(slices.Values(f.AdditionalOrigins))}
	c.Origins = slices.Compact(c.Origins)
	return c
}
