package translator

import (
	"regexp"
	"slices"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"github.com/attache-dev/attache/config"
)

// A variant is one of the Envoy routes that a match becomes: an ai backend has
// several paths, by the end of the path that the client asks for.
type variant struct {
	// suffix is what the path ends with; empty for every path.
	suffix string
	// set gives the route its action.
	set func(*routev3.Route)
}

// always is the one variant that has an action.
func always(set func(*routev3.Route)) []variant { return []variant{{set: set}} }

// match narrows a match down to the variant's paths.
func (v *variant) match(m *routev3.RouteMatch) *routev3.RouteMatch {
	if v.suffix != "" {
		m.Headers = append(m.Headers, &routev3.HeaderMatcher{
			Name: ":path",
			HeaderMatchSpecifier: &routev3.HeaderMatcher_StringMatch{StringMatch: &matcherv3.StringMatcher{
				MatchPattern: &matcherv3.StringMatcher_SafeRegex{SafeRegex: &matcherv3.RegexMatcher{
					Regex: "[^?]*" + regexp.QuoteMeta(v.suffix) + `(?:\?.*)?`,
				}},
			}},
		})
	}
	return m
}

// upstreamPaths are the paths of a backend, by the suffix of the client's, the
// last for every other. Those that do not differ are one.
func upstreamPaths(b *config.Backend) []config.API {
	if b.AI == nil || len(b.AI.APIs) == 0 {
		return []config.API{{}}
	}
	apis := slices.Clone(b.AI.APIs)
	last := len(apis) - 1
	for last > 0 && sameTreatment(apis[last-1], apis[last]) {
		last--
	}
	apis = apis[:last+1]
	apis[last].Suffix = ""
	return apis
}

// sameTreatment tells whether one Envoy route does for two APIs.
func sameTreatment(a, b config.API) bool {
	return a.Rewrite == b.Rewrite && (a.Type == config.Untranslated) == (b.Type == config.Untranslated)
}

// otherPath returns the first backend that needs other paths than the one
// before it: one Envoy route rewrites in one way.
func otherPath(backends []*config.Backend) *config.Backend {
	same := func(a, b config.API) bool { return a.Suffix == b.Suffix && sameTreatment(a, b) }
	for i := 1; i < len(backends); i++ {
		if !slices.EqualFunc(upstreamPaths(backends[i]), upstreamPaths(backends[i-1]), same) {
			return backends[i]
		}
	}
	return nil
}
