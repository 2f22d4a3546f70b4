package xds

import (
	"slices"
	"testing"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
)

// A refused table is traced to those of its routes that are new in it, and among
// them to the one that Envoy quotes.
func TestSuspects(t *testing.T) {
	places := map[string]string{"one": "gw.yaml:1:1", "two": "gw.yaml:2:1", "three": "gw.yaml:3:1"}
	named := func(name, regex string) *routev3.Route {
		r := route("/", "a")
		r.Name = name
		if regex != "" {
			r.Match.PathSpecifier = &routev3.RouteMatch_SafeRegex{SafeRegex: &matcherv3.RegexMatcher{Regex: regex}}
		}
		return r
	}
	host := func(rs ...*routev3.Route) *routev3.RouteConfiguration {
		return &routev3.RouteConfiguration{Name: "r", VirtualHosts: []*routev3.VirtualHost{{Name: "all", Domains: []string{"*"}, Routes: rs}}}
	}
	good := host(named("one", ""), named("two", ""))
	withChain := host(named("one", ""), named("two", ""))
	withChain.VirtualHosts[0].RequestHeadersToRemove = []string{"x"}
	for _, tt := range []struct {
		name      string
		good, bad *routev3.RouteConfiguration
		reason    string
		want      []string
	}{
		{"one has changed", good, host(named("one", ""), named("two", "(bad")), "no", []string{"gw.yaml:2:1"}},
		{"one is new, others moved", good, host(named("three", ""), named("two", ""), named("one", "")), "no", []string{"gw.yaml:3:1"}},
		{"one is gone", good, host(named("two", "")), "no", nil},
		{"two have changed", good, host(named("one", "good"), named("two", "(bad")), "no", []string{"gw.yaml:1:1", "gw.yaml:2:1"}},
		{"two have changed and one is quoted", good, host(named("one", "bad"), named("two", "(bad")), "missing ): (bad", []string{"gw.yaml:2:1"}},
		{"what they share has changed", good, withChain, "no", []string{"gw.yaml:1:1", "gw.yaml:2:1"}},
		{"nothing was accepted", nil, good, "no", []string{"gw.yaml:1:1", "gw.yaml:2:1"}},
		{"nothing was accepted and one is quoted", nil, host(named("one", ""), named("two", "(bad")), "missing ): (bad", []string{"gw.yaml:2:1"}},
		{"a route that is not of the file", good, host(named("one", ""), named("not-found", "(bad")), "missing ): (bad", nil},
	} {
		item := func(rc *routev3.RouteConfiguration) *Snapshot { return snapshot(t, cluster("a", 1), rc) }
		s := item(tt.bad)
		var before *Snapshot
		if tt.good != nil {
			before = item(tt.good)
		} else {
			before = snapshot(t)
		}
		if got := suspects(before.find(routes, "r"), s.find(routes, "r"), tt.reason, places); !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}
