package translator

import (
	"fmt"
	"slices"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// Static returns the resources as one static Envoy configuration in JSON, for
// Envoy's validate mode: what would come over xDS stands in its place. There are
// no secrets in it, so it is not for running.
func (r *Resources) Static() ([]byte, error) {
	const xds = "attache/xds"
	b := &bootstrapv3.Bootstrap{
		Node: &corev3.Node{Id: "validate", Cluster: "validate"},
		StaticResources: &bootstrapv3.Bootstrap_StaticResources{
			Clusters: append(slices.Clone(r.Clusters), &clusterv3.Cluster{Name: xds}),
		},
		// Nothing is fetched in validate mode, but sources must exist.
		DynamicResources: &bootstrapv3.Bootstrap_DynamicResources{AdsConfig: &corev3.ApiConfigSource{
			ApiType:             corev3.ApiConfigSource_DELTA_GRPC,
			TransportApiVersion: corev3.ApiVersion_V3,
			GrpcServices:        []*corev3.GrpcService{grpcService(xds)},
		}},
	}
	for _, l := range r.Listeners {
		inlined, err := r.inlineRoutes(l)
		if err != nil {
			return nil, err
		}
		b.StaticResources.Listeners = append(b.StaticResources.Listeners, inlined)
	}
	return protojson.MarshalOptions{UseProtoNames: true}.Marshal(b)
}

// inlineRoutes returns the listener with its RouteConfiguration in it.
func (r *Resources) inlineRoutes(l *listener) (*listener, error) {
	l = proto.Clone(l).(*listener)
	for _, chain := range l.FilterChains {
		for _, f := range chain.Filters {
			hcm := &hcmv3.HttpConnectionManager{}
			if !f.GetTypedConfig().MessageIs(hcm) {
				continue
			}
			if err := f.GetTypedConfig().UnmarshalTo(hcm); err != nil {
				return nil, fmt.Errorf("%s: %w", l.Name, err)
			}
			i := slices.IndexFunc(r.Routes, func(rc *routeConfiguration) bool { return rc.Name == hcm.GetRds().GetRouteConfigName() })
			if i < 0 {
				continue
			}
			hcm.RouteSpecifier = &hcmv3.HttpConnectionManager_RouteConfig{RouteConfig: r.Routes[i]}
			f.ConfigType = &listenerv3.Filter_TypedConfig{TypedConfig: mustAny(hcm)}
		}
	}
	return l, nil
}
