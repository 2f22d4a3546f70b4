package translator

import (
	"slices"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/attache-dev/attache/config"
)

// differing returns the first backend for which something is not the same as for
// the one before it.
func differing[T comparable](backends []*config.Backend, of func(*config.Backend) T) *config.Backend {
	for i := 1; i < len(backends); i++ {
		if of(backends[i]) != of(backends[i-1]) {
			return backends[i]
		}
	}
	return nil
}

// autoHost gives named backends their own name as Host, without the port; with
// addresses the client's stays. Where a forward proxy is among them, each backend
// does it for itself: Envoy would make host:port of what the client sent.
func autoHost(a *routev3.RouteAction, r *config.Route, b *config.Backend) {
	switch {
	case !slices.ContainsFunc(r.Backends, isDynamic):
		a.HostRewriteSpecifier = &routev3.RouteAction_AutoHostRewrite{AutoHostRewrite: wrapperspb.Bool(true)}
	case a.GetWeightedClusters() != nil:
		for i, b := range validBackends(r) {
			if isName(b.Target) {
				a.GetWeightedClusters().Clusters[i].HostRewriteSpecifier = &routev3.WeightedCluster_ClusterWeight_HostRewriteLiteral{HostRewriteLiteral: b.Target.Host}
			}
		}
	case isName(b.Target):
		a.HostRewriteSpecifier = &routev3.RouteAction_HostRewriteLiteral{HostRewriteLiteral: b.Target.Host}
	}
}

// weightedClusters share the requests of a route among its backends.
func (t *translation) weightedClusters(r *config.Route) *routev3.WeightedCluster {
	weighted := &routev3.WeightedCluster{}
	for _, b := range validBackends(r) {
		weighted.Clusters = append(weighted.Clusters, &routev3.WeightedCluster_ClusterWeight{
			Name:                 t.backendCluster(b),
			Weight:               wrapperspb.UInt32(b.Weight),
			TypedPerFilterConfig: t.backendPolicies(r, b),
		})
	}
	return weighted
}

func isDynamic(b *config.Backend) bool { return b.Dynamic }

// validBackends are those of a route that can be asked.
func validBackends(r *config.Route) []*config.Backend {
	return slices.DeleteFunc(slices.Clone(r.Backends), func(b *config.Backend) bool { return b.Invalid })
}

// weights are the sum of a route's weights, and of those for invalid backends.
func weights(r *config.Route) (total, invalid uint64) {
	for _, b := range r.Backends {
		total += uint64(b.Weight)
		if b.Invalid {
			invalid += uint64(b.Weight)
		}
	}
	return total, invalid
}

// invalidShare is how many of a million requests get an invalid backend; 0 if all
// do, or none.
func invalidShare(r *config.Route) uint32 {
	total, invalid := weights(r)
	if invalid == total {
		return 0
	}
	return uint32(float64(invalid) / float64(total) * 1e6)
}

// failing is the candidate before c that takes the share of invalid backends.
func (c *candidate) failing(share uint32) *candidate {
	match := proto.CloneOf(c.envoy.bare.Match)
	match.RuntimeFraction = &corev3.RuntimeFractionalPercent{DefaultValue: &typev3.FractionalPercent{
		Numerator: share, Denominator: typev3.FractionalPercent_MILLION,
	}}
	bare := &routev3.Route{Name: c.envoy.bare.Name, Match: match, Metadata: c.envoy.bare.Metadata}
	directResponse(500, noValidBackends)(bare)
	f := *c
	f.envoy = &routeWithPolicies{bare: bare, policies: c.envoy.policies, chosen: c.envoy.chosen}
	return &f
}
