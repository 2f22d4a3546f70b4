package config

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
)

// route reads a route of a listener, and the routes of the group that it hands
// its requests to.
func (r *resolver) route(path string, index int, l *Listener, f *fileRoute) []*Route {
	return r.routeWith(path, index, l, f, r.listenerLevels[l])
}

// routeWith is route below some levels.
func (r *resolver) routeWith(path string, index int, l *Listener, f *fileRoute, above levels) []*Route {
	rt := &Route{
		Path:      path,
		Name:      f.Name,
		Named:     f.Name != "",
		Key:       routeName(f.Namespace, cmp.Or(f.Name, "route"+strconv.Itoa(index))),
		Hostnames: r.hostnames(path, f.Hostnames),
	}
	if rt.Named && f.Namespace != "" && f.Namespace != defaultNamespace {
		rt.Name = rt.Key
	}
	for i := range f.Matches {
		rt.Matches = append(rt.Matches, r.match(fmt.Sprintf("%s.matches[%d]", path, i), &f.Matches[i]))
	}
	if len(rt.Matches) == 0 {
		rt.Matches = []Match{{Path: PathMatch{PathPrefix, "/"}}}
	}
	if !rt.Named {
		rt.Name = derivedName(rt)
	}
	ls := append(r.levels(path, index, f), above...)
	if group := delegation(f); group != "" {
		rt.Delegates = true
		if len(f.Backends) > 1 {
			r.errorf(path+".backends", Invalid, "a group takes all requests of a route; expected it as the only backend")
		}
		return append(r.delegate(path+".backends[0].routeGroup", l, rt, ls, group), rt)
	}
	if p, extProc := pick(ls, "extProc", func(p *filePolicies) *fileExtProc { return p.ExtProc }); extProc != nil {
		r.routeExtProc(p, rt, extProc)
	}
	if p, cors := pick(ls, "cors", func(p *filePolicies) *fileCORS { return p.CORS }); cors != nil {
		rt.CORS = r.cors(p, cors)
	}
	if p, csrf := pick(ls, "csrf", func(p *filePolicies) *fileCSRF { return p.CSRF }); csrf != nil {
		rt.CSRF = r.csrf(p, csrf)
	}
	if p, answer := pick(ls, "directResponse", func(p *filePolicies) *fileDirectResponse { return p.DirectResponse }); answer != nil {
		rt.DirectResponse = r.directResponse(p, answer)
		if len(f.Backends) > 0 && strings.HasPrefix(p, path+".") {
			r.warnf(path+".backends", Unreachable, "never used: directResponse answers every request of this route")
		}
	}
	for i := range f.Backends {
		owner := fmt.Sprintf("%d/%s/%s/backend%d", l.Port, l.Name, rt.Name, i)
		rt.Backends = append(rt.Backends, r.backend(fmt.Sprintf("%s.backends[%d]", path, i), owner, &f.Backends[i], ls))
	}
	r.name(rt.Backends)
	r.filters(rt, ls)
	r.aiForNothing(rt, f, path)
	return []*Route{rt}
}

// derivedName is made of what a route matches, so that it stays the same when
// other routes come and go, or its policies and backends change.
func derivedName(rt *Route) string {
	var b []byte
	text := func(words ...string) {
		for _, w := range words {
			b = append(strconv.AppendQuote(b, w), ' ')
		}
	}
	text(rt.Hostnames...)
	for _, m := range rt.Matches {
		b = append(b, '\n')
		text(strconv.Itoa(int(m.Path.Kind)), m.Path.Value, m.Method)
		for _, values := range [][]ValueMatch{m.Headers, m.Query} {
			b = append(b, '|')
			for _, v := range values {
				text(v.Name, v.Value, strconv.FormatBool(v.Regex))
			}
		}
	}
	sum := sha256.Sum256(b)
	return "route-" + hex.EncodeToString(sum[:6])
}

func (r *resolver) match(path string, f *fileMatch) Match {
	m := Match{Path: PathMatch{PathPrefix, "/"}, Method: f.Method}
	if f.Path != nil {
		m.Path = r.pathMatch(path+".path", f.Path)
	}
	if f.Method != "" && !tokenPattern.MatchString(f.Method) {
		r.errorf(path+".method", Invalid, "not an HTTP method")
	}
	for i := range f.Headers {
		p := fmt.Sprintf("%s.headers[%d]", path, i)
		v := r.valueMatch(p, &f.Headers[i])
		if v.Name = strings.ToLower(v.Name); v.Name != "" && !tokenPattern.MatchString(v.Name) && !slices.Contains([]string{":method", ":path", ":authority", ":scheme"}, v.Name) {
			r.errorf(p+".name", Invalid, "not a header name; expected a token, or one of :method, :path, :authority, :scheme")
		}
		m.Headers = append(m.Headers, v)
	}
	for i := range f.Query {
		m.Query = append(m.Query, r.valueMatch(fmt.Sprintf("%s.query[%d]", path, i), &f.Query[i]))
	}
	return m
}

// tokenPattern is RFC 9110's token.
var tokenPattern = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")

func (r *resolver) pathMatch(path string, f *filePath) PathMatch {
	var found []PathMatch
	for _, p := range []struct {
		value *string
		kind  PathKind
	}{{f.PathPrefix, PathPrefix}, {f.Exact, PathExact}, {(*string)(f.Regex), PathRegex}} {
		if p.value != nil {
			found = append(found, PathMatch{p.kind, *p.value})
		}
	}
	if len(found) != 1 {
		r.missingf(path, "expected exactly one of exact, pathPrefix, regex")
		return PathMatch{PathPrefix, "/"}
	}
	m := found[0]
	switch {
	case m.Kind == PathRegex && m.Value == "":
		r.errorf(path+".regex", Invalid, "matches no path; expected an expression for the whole path")
	case m.Kind == PathRegex:
		r.regex(path+".regex", m.Value)
	case !strings.HasPrefix(m.Value, "/") || strings.ContainsAny(m.Value, "?#"):
		r.errorf(path, Invalid, "expected a path that begins with / and has no ? or #")
	}
	return m
}

func (r *resolver) regex(path, pattern string) {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		why := "it does not parse"
		if e, ok := err.(*syntax.Error); ok {
			why = string(e.Code) // without the pattern, which may hold a variable's value
		}
		r.errorf(path, Invalid, "not a regular expression: %s; expected RE2 syntax", why)
	} else if regexSize(re) > maxRegexSize {
		r.errorf(path, Unsupported, "a regular expression that is too large for Envoy")
	}
}

func (r *resolver) valueMatch(path string, f *fileValueMatch) ValueMatch {
	m := ValueMatch{Name: f.Name}
	switch {
	case f.Value.Exact != nil && f.Value.Regex == nil:
		m.Value = *f.Value.Exact
	case f.Value.Regex != nil && f.Value.Exact == nil:
		m.Value, m.Regex = *f.Value.Regex, *f.Value.Regex != "" // Envoy takes no empty ones
		r.regex(path+".value.regex", m.Value)
	default:
		r.missingf(path+".value", "expected exactly one of exact, regex")
	}
	return m
}

// levels are the policies of a route and those that target it.
func (r *resolver) levels(path string, index int, f *fileRoute) (ls levels) {
	if f.Policies != nil {
		ls = levels{{path + ".policies", f.Policies}}
	}
	return append(ls, r.routeLevels(index, f)...)
}
