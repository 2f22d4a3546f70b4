package translator

import (
	"fmt"
	"math"
	"slices"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	credentialv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/credential_injector/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	httpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
)

// Static returns the resources as one static Envoy configuration in JSON, for
// Envoy's validate mode: what would come over xDS stands in its place. There are
// no secrets in it, so it is not for running.
func (r *Resources) Static() ([]byte, error) {
	const xds = "attache/xds"
	b := &bootstrapv3.Bootstrap{
		Node: &corev3.Node{Id: "validate", Cluster: "validate"},
		StaticResources: &bootstrapv3.Bootstrap_StaticResources{
			Clusters: []*clusterv3.Cluster{{Name: xds}},
		},
		// Nothing is fetched in validate mode, but sources must exist.
		DynamicResources: &bootstrapv3.Bootstrap_DynamicResources{AdsConfig: &corev3.ApiConfigSource{
			ApiType:             corev3.ApiConfigSource_DELTA_GRPC,
			TransportApiVersion: corev3.ApiVersion_V3,
			GrpcServices:        []*corev3.GrpcService{grpcService(xds)},
		}},
		// What our bootstrap says of regular expressions: Envoy's own limit refuses
		// ordinary ones.
		LayeredRuntime: &bootstrapv3.LayeredRuntime{Layers: []*bootstrapv3.RuntimeLayer{{
			Name: "attache",
			LayerSpecifier: &bootstrapv3.RuntimeLayer_StaticLayer{StaticLayer: &structpb.Struct{Fields: map[string]*structpb.Value{
				"re2.max_program_size.error_level": structpb.NewNumberValue(math.MaxUint32),
			}}},
		}}},
	}
	for _, c := range r.Clusters {
		c = r.inlineEndpoints(c)
		bare, err := withoutCredentials(c)
		if err != nil {
			return nil, err
		}
		b.StaticResources.Clusters = append(b.StaticResources.Clusters, bare)
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

// inlineEndpoints returns the cluster with its endpoints in it.
func (r *Resources) inlineEndpoints(c *clusterv3.Cluster) *clusterv3.Cluster {
	for _, e := range r.Endpoints {
		if e.ClusterName != c.GetEdsClusterConfig().GetServiceName() {
			continue
		}
		c = proto.Clone(c).(*clusterv3.Cluster)
		c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC}
		c.EdsClusterConfig, c.LoadAssignment = nil, e
	}
	return c
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

// withoutCredentials returns the cluster without the filters that inject
// secrets. In validate mode Envoy 1.40 crashes over one in a cluster with fixed
// addresses, and there is nothing in it but a name.
func withoutCredentials(c *clusterv3.Cluster) (*clusterv3.Cluster, error) {
	packed := c.GetTypedExtensionProtocolOptions()[httpProtocolOptions]
	if packed == nil {
		return c, nil
	}
	options := &httpv3.HttpProtocolOptions{}
	if err := packed.UnmarshalTo(options); err != nil {
		return nil, fmt.Errorf("%s: %w", c.Name, err)
	}
	all := len(options.HttpFilters)
	options.HttpFilters = slices.DeleteFunc(options.HttpFilters, func(f *hcmv3.HttpFilter) bool {
		return f.GetTypedConfig().MessageIs(&credentialv3.CredentialInjector{})
	})
	if len(options.HttpFilters) == all {
		return c, nil
	}
	c = proto.Clone(c).(*clusterv3.Cluster)
	c.TypedExtensionProtocolOptions[httpProtocolOptions] = mustAny(options)
	return c, nil
}
