package translator

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/proto"

	"github.com/attache-dev/attache/config"
)

// rewriteHost sets the Host that a backend sees. Named backends get their own
// name, without the port; IP addresses leave the client's.
func rewriteHost(a *routev3.RouteAction, r *config.Route, b *config.Backend) {
	var host config.Authority
	if r.Rewrite != nil && !b.AtProvider() {
		host = r.Rewrite.Authority
	}
	switch host.Kind {
	case config.AuthorityAuto:
		autoHost(a, r, b)
	case config.AuthorityFull, config.AuthorityHost:
		a.HostRewriteSpecifier = &routev3.RouteAction_HostRewriteLiteral{HostRewriteLiteral: host.Value}
	case config.AuthorityPort:
		a.HostRewriteSpecifier = &routev3.RouteAction_HostRewrite{HostRewrite: hostWithPort("", host.Port)}
	}
}

// rewritePath sets the path that a backend sees; the query stays. The API of an
// ai backend has a path of its own.
func rewritePath(a *routev3.RouteAction, r *config.Route, api config.RegexRewrite) {
	switch {
	case api != config.RegexRewrite{}:
		a.RegexRewrite = substitution(api.Pattern, api.Substitution)
	case r.Rewrite != nil && r.Rewrite.NewPath.Kind == config.RewriteFull:
		a.RegexRewrite = wholePath(r.Rewrite.NewPath.Value)
	}
}

func wholePath(path string) *matcherv3.RegexMatchAndSubstitute {
	return substitution("^.*$", escapeSubstitution(path))
}

// rewritePrefix makes an Envoy route replace the prefix that its own match has
// matched: the routes of the other matches replace theirs.
func rewritePrefix(e *routev3.Route, r *config.Route, m *config.Match) {
	a := e.GetRoute()
	if a == nil || a.RegexRewrite != nil || r.Rewrite == nil || r.Rewrite.NewPath.Kind != config.RewritePrefix {
		return
	}
	a = proto.Clone(a).(*routev3.RouteAction)
	a.RegexRewrite = substitution(replacePrefix(m.Path.Value, r.Rewrite.NewPath.Value))
	e.Action = &routev3.Route_Route{Route: a}
}

func substitution(pattern, text string) *matcherv3.RegexMatchAndSubstitute {
	return &matcherv3.RegexMatchAndSubstitute{Pattern: &matcherv3.RegexMatcher{Regex: pattern}, Substitution: text}
}

// replacePrefix replaces what a prefix has matched, in a path with or without a
// query, and neither doubles nor loses a slash: where the prefix or what
// replaces it ends with one, it is the one that follows.
func replacePrefix(prefix, by string) (pattern, text string) {
	trimmed := strings.TrimRight(prefix, "/")
	pattern, text = "^"+regexp.QuoteMeta(trimmed), escapeSubstitution(by)
	switch {
	case strings.HasSuffix(by, "/"):
		return pattern + `/?(.*)$`, text + `\1`
	case trimmed == prefix:
		return pattern + `(.*)$`, text + `\1`
	}
	return pattern + `(?:/?(\?.*)?|(/.*))$`, text + `\1\2`
}

func escapeSubstitution(s string) string { return strings.ReplaceAll(s, `\`, `\\`) }

// hostPattern is a host without its port.
const hostPattern = `(?:\[[^\]]*\]|[^:]*)`

// hostWithPort is the format of the request's host with another port, which is
// left out if it is the default of the scheme; an empty scheme is the
// request's.
func hostWithPort(scheme string, port uint16) string {
	host := celExtract("request.host", `^(`+hostPattern+`).*$`, `\1`)
	usual, known := map[uint16]string{80: "http", 443: "https"}[port]
	suffix := ":" + strconv.Itoa(int(port))
	switch {
	case !known || scheme != "" && scheme != usual:
		return host + suffix
	case scheme == usual:
		return host
	}
	return host + "%CEL(request.scheme == " + celString(usual) + ` ? "" : ` + celString(suffix) + ")%"
}

// celExtract is a format: what the pattern's groups make of a value.
func celExtract(value, pattern, text string) string {
	return "%CEL(re.extract(" + value + ", " + celString(pattern) + ", " + celString(text) + "))%"
}

// celString is a text in CEL within a format, which ends at the next )%.
func celString(s string) string { return strings.ReplaceAll(strconv.Quote(s), "%", `\x25`) }

// onePrefix tells the prefix that all matches of a route share; routes to
// chosen backends belong to all matches alike.
func onePrefix(r *config.Route) (*config.Match, bool) {
	first := &r.Matches[0]
	other := slices.ContainsFunc(r.Matches, func(m config.Match) bool { return m.Path.Value != first.Path.Value })
	return first, !other
}
