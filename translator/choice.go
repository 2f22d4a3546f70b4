package translator

import (
	"cmp"
	"slices"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"github.com/attache-dev/attache/config"
)

// How our service chooses a backend: it writes a word for it into dynamic
// metadata and lets Envoy look for the route again. For each backend there is a
// route that matches that word and nothing else. It stands before all others,
// so that the second look cannot end at somebody else's route, whatever became
// of the path and the headers meanwhile: Envoy keeps the policies of the first
// look, and those of another route would not run. For the same reason these
// routes carry no policies.
//
// No request matches them at the first look, for clients cannot write dynamic
// metadata. A word belongs to one backend of one route, so the service cannot
// confuse two routes either, and a word that nothing matches is refused.

// choices are the routes to the backends of a route whose chain chooses. held is for
// keepBody.
func (t *translation) choices(l *config.Listener, r *config.Route, own *Chain, held bool) []*routev3.Route {
	var routes []*routev3.Route
	match, same := onePrefix(r)
	if !same && r.Rewrite != nil && r.Rewrite.NewPath.Kind == config.RewritePrefix {
		t.errorf(r.Rewrite.Path+".path.prefix", config.Unsupported, "matches with different prefixes are not supported where a profile chooses the backend; give each its own route")
	}
	for _, b := range r.Backends {
		word := own.Choice(b)
		if other := t.words[word]; word == "" || other != nil {
			t.errorf(b.Path, config.Invalid, "backend %s cannot be told from the others", b.Name)
			continue
		}
		t.words[word] = b
		for _, v := range t.toBackend(r, b) {
			t.out.RoutePlaces[choiceName(l, r, b)] = t.cfg.Place(b.Path)
			e := &routev3.Route{Name: choiceName(l, r, b), Match: v.match(&routev3.RouteMatch{
				PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: ""},
				DynamicMetadata: []*matcherv3.MetadataMatcher{choiceIs(&matcherv3.ValueMatcher{MatchPattern: &matcherv3.ValueMatcher_StringMatch{
					StringMatch: stringMatch(config.ValueMatch{Value: word}),
				}})},
			})}
			v.set(e)
			shape(e, r, match)
			t.keepBody(e, &r.Filters, held)
			routes = append(routes, e)
		}
	}
	return routes
}

// chosenRoutes are those of all the routes of a virtual host, each once.
func chosenRoutes(routes []*routeWithPolicies) (list []*routev3.Route) {
	seen := map[*routev3.Route]bool{}
	for _, r := range routes {
		if len(r.chosen) > 0 && !seen[r.chosen[0]] {
			seen[r.chosen[0]] = true
			list = append(list, r.chosen...)
		}
	}
	slices.SortStableFunc(list, func(a, b *routev3.Route) int { return cmp.Compare(a.Name, b.Name) })
	if len(list) == 0 {
		return nil
	}
	return append(list, noSuchChoice)
}

// noSuchChoice ends the routes that our service chooses.
var noSuchChoice = func() *routev3.Route {
	e := &routev3.Route{Name: "no-such-choice", Match: &routev3.RouteMatch{
		PathSpecifier:   &routev3.RouteMatch_Prefix{Prefix: ""},
		DynamicMetadata: []*matcherv3.MetadataMatcher{choiceIs(&matcherv3.ValueMatcher{MatchPattern: &matcherv3.ValueMatcher_PresentMatch{PresentMatch: true}})},
	}}
	directResponse(500, noBackendChosen)(e)
	return e
}()

const noBackendChosen = "no backend chosen"

func choiceIs(value *matcherv3.ValueMatcher) *matcherv3.MetadataMatcher {
	return &matcherv3.MetadataMatcher{
		Filter: MetadataNamespace,
		Path:   []*matcherv3.MetadataMatcher_PathSegment{{Segment: &matcherv3.MetadataMatcher_PathSegment_Key{Key: BackendKey}}},
		Value:  value,
	}
}

// decisionID tells the client the id of the decision about its request, once,
// also where the answer is our service's. Without an id Envoy leaves the header
// out.
var decisionID = &corev3.HeaderValueOption{
	Header:       &corev3.HeaderValue{Key: IDHeader, Value: "%DYNAMIC_METADATA(" + MetadataNamespace + ":" + IDKey + ")%"},
	AppendAction: corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
}
