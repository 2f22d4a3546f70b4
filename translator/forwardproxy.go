package translator

import (
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	proxyclusterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/dynamic_forward_proxy/v3"
	dnscachev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/common/dynamic_forward_proxy/v3"
	proxyfilterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/dynamic_forward_proxy/v3"
	httpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/attache-dev/attache/config"
)

// backendDynamic is the filter that looks up the host of a request.
const backendDynamic = "backend.dynamic"

// dnsCacheHosts is how many hosts a forward proxy remembers; more are answered
// 503. Envoy's default is 1,024.
const dnsCacheHosts = 1 << 16

// forwardProxy is the filter of a route that has a backend of kind dynamic. It
// does nothing for requests to others.
func (t *translation) forwardProxy(r *config.Route) []policy {
	for _, b := range r.Backends {
		if b.Dynamic {
			if r.Rewrite != nil && r.Rewrite.Authority.Kind != config.AuthorityAuto && r.Rewrite.Authority.Kind != config.AuthorityNone {
				t.errorf(b.Path+".dynamic", config.Unsupported, "a forward proxy behind a urlRewrite.authority is not supported: it goes to the host that the client names; write host instead")
			}
			return []policy{{name: backendDynamic, build: func() protoMessage {
				return &proxyfilterv3.FilterConfig{ImplementationSpecifier: &proxyfilterv3.FilterConfig_DnsCacheConfig{DnsCacheConfig: t.dnsCache()}}
			}}}
		}
	}
	return nil
}

// forwardProxyCluster makes c one that sends each request to its own host.
func (t *translation) forwardProxyCluster(c *clusterv3.Cluster) {
	c.LoadAssignment = nil
	c.LbPolicy = clusterv3.Cluster_CLUSTER_PROVIDED
	c.ClusterDiscoveryType = &clusterv3.Cluster_ClusterType{ClusterType: &clusterv3.Cluster_CustomClusterType{
		Name: "envoy.clusters.dynamic_forward_proxy",
		TypedConfig: mustAny(&proxyclusterv3.ClusterConfig{
			ClusterImplementationSpecifier: &proxyclusterv3.ClusterConfig_DnsCacheConfig{DnsCacheConfig: t.dnsCache()},
			// Whether there is TLS, and what it verifies, is ours to say.
			AllowInsecureClusterOptions: true,
		}),
	}}
}

// serverNameOfHost sends the request's host as the server name, and verifies it.
func serverNameOfHost(options *httpv3.HttpProtocolOptions, tls *config.TLS) {
	if tls == nil || tls.Name != "" {
		return
	}
	options.UpstreamHttpProtocolOptions = &corev3.UpstreamHttpProtocolOptions{
		AutoSni:           true,
		AutoSanValidation: tls.Verification == config.VerifyName && len(tls.SubjectAltNames) == 0,
	}
}

// dnsCache is the one that all forward proxies share.
func (t *translation) dnsCache() *dnscachev3.DnsCacheConfig {
	return &dnscachev3.DnsCacheConfig{
		Name:                   "dynamic",
		DnsLookupFamily:        t.dnsLookupFamily(),
		MaxHosts:               wrapperspb.UInt32(dnsCacheHosts),
		DnsCacheCircuitBreaker: &dnscachev3.DnsCacheCircuitBreakers{MaxPendingRequests: wrapperspb.UInt32(breakerLimit)},
	}
}
