package config

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// CORS tells browsers which scripts may use a route. It follows agentgateway's
// http/cors.rs.
type CORS struct {
	// Path is the place in the file.
	Path string
	// AnyOrigin allows every origin, whatever Origins says.
	AnyOrigin bool
	// Origins are those that are allowed.
	Origins []OriginPattern
	// Methods, Headers and Exposed are the lists of agentgateway's allowMethods,
	// allowHeaders (in lower case) and exposeHeaders (in lower case). A list with
	// the one word * stands for all of them.
	Methods, Headers, Exposed []string
	// Credentials allows them.
	Credentials bool
	// MaxAge is how long a preflight is valid, in whole seconds; nil leaves it
	// to the browser.
	MaxAge *time.Duration
}

// OriginPattern is a set of origins.
type OriginPattern struct {
	// Scheme is http or https.
	Scheme string
	// Host is in lower case; * in it stands for any text.
	Host string
	// Port is that of the scheme if the user gave none.
	Port uint16
}

func (r *resolver) cors(path string, f *fileCORS) *CORS {
	c := &CORS{
		Path:        path,
		AnyOrigin:   slices.Contains(f.AllowOrigins, "*"),
		Methods:     r.tokens(path+".allowMethods", "a method", f.AllowMethods),
		Headers:     r.tokens(path+".allowHeaders", "a header name", lower(f.AllowHeaders)),
		Exposed:     r.tokens(path+".exposeHeaders", "a header name", lower(f.ExposeHeaders)),
		Credentials: f.AllowCredentials,
	}
	for i, origin := range f.AllowOrigins {
		if p, ok := originPattern(origin); ok {
			c.Origins = append(c.Origins, p)
		} else if origin != "*" {
			r.warnf(fmt.Sprintf("%s.allowOrigins[%d]", path, i), Unreachable, "never matches: expected *, or http:// or https:// with a host, perhaps a port, and nothing more")
		}
	}
	if c.AnyOrigin {
		c.Origins = nil
	}
	if len(f.AllowOrigins) == 0 && !r.mistaken[path] {
		r.warnf(path, Unreachable, "allows no origin; add allowOrigins")
	}
	if f.MaxAge != nil {
		age := time.Duration(*f.MaxAge).Truncate(time.Second)
		c.MaxAge = &age
	}
	return c
}

// tokens checks a list of names. If one of them is *, that is all of them.
func (r *resolver) tokens(path, what string, list []string) []string {
	for i, s := range list {
		if !tokenPattern.MatchString(s) {
			r.errorf(fmt.Sprintf("%s[%d]", path, i), Invalid, "not %s; expected a token, or * for all", what)
		}
	}
	if slices.Contains(list, "*") {
		return []string{"*"}
	}
	return list
}

func lower(list []string) []string {
	list = slices.Clone(list)
	for i, s := range list {
		list[i] = strings.ToLower(s)
	}
	return list
}

// originSyntax is a scheme, a host and perhaps a port. Origins with other than
// ASCII characters match nothing.
var originSyntax = regexp.MustCompile(`^([Hh][Tt][Tt][Pp][Ss]?)://([^/?#:[:^ascii:]]+)(?::([0-9]+))?$`)

func originPattern(s string) (OriginPattern, bool) {
	m := originSyntax.FindStringSubmatch(s)
	if m == nil {
		return OriginPattern{}, false
	}
	p := OriginPattern{Scheme: strings.ToLower(m[1]), Host: strings.ToLower(m[2]), Port: 80}
	if p.Scheme == "https" {
		p.Port = 443
	}
	if m[3] != "" {
		port, err := strconv.ParseUint(m[3], 10, 16)
		if err != nil || port == 0 {
			return OriginPattern{}, false
		}
		p.Port = uint16(port)
	}
	return p, true
}
