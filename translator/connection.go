package translator

import (
	"cmp"
	"net"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	httpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/attache-dev/attache/config"
)

// poolIdleTimeout is agentgateway's: it closes connections to backends that carry
// no request. Envoy's hour would meet backends that have closed them long before.
const poolIdleTimeout = 90 * time.Second

// backendKeepalive are agentgateway's probes.
var backendKeepalive = &config.Keepalive{Time: 3 * time.Minute, Interval: 3 * time.Minute, Probes: 9}

const (
	// evictionCheck is how often it is seen whether an eviction is over.
	evictionCheck = 250 * time.Millisecond
	// maxEviction bounds evictions that follow each other.
	maxEviction = 5 * time.Minute
	// panicPercent is the share of endpoints in service below which all are used.
	// Envoy knows whole percents, so this is none at all.
	panicPercent = 1
)

// httpOptions tell which version of HTTP a backend is spoken to by.
func httpOptions(b *config.Backend) *httpv3.HttpProtocolOptions {
	http1 := &corev3.Http1ProtocolOptions{EnableTrailers: true}
	options := &httpv3.HttpProtocolOptions{
		CommonHttpProtocolOptions: &corev3.HttpProtocolOptions{IdleTimeout: durationpb.New(poolIdleTimeout)},
	}
	switch {
	case b.HTTP.Version == "1.1":
		options.UpstreamProtocolOptions = &httpv3.HttpProtocolOptions_ExplicitHttpConfig_{ExplicitHttpConfig: &httpv3.HttpProtocolOptions_ExplicitHttpConfig{
			ProtocolConfig: &httpv3.HttpProtocolOptions_ExplicitHttpConfig_HttpProtocolOptions{HttpProtocolOptions: http1},
		}}
	case b.HTTP.Version == "2":
		options.UpstreamProtocolOptions = &httpv3.HttpProtocolOptions_ExplicitHttpConfig_{ExplicitHttpConfig: &httpv3.HttpProtocolOptions_ExplicitHttpConfig{
			ProtocolConfig: &httpv3.HttpProtocolOptions_ExplicitHttpConfig_Http2ProtocolOptions{Http2ProtocolOptions: &corev3.Http2ProtocolOptions{}},
		}}
	case b.TLS != nil:
		options.UpstreamProtocolOptions = &httpv3.HttpProtocolOptions_AutoConfig{AutoConfig: &httpv3.HttpProtocolOptions_AutoHttpConfig{
			HttpProtocolOptions: http1,
		}}
	default:
		options.UpstreamProtocolOptions = &httpv3.HttpProtocolOptions_UseDownstreamProtocolConfig{UseDownstreamProtocolConfig: &httpv3.HttpProtocolOptions_UseDownstreamHttpConfig{
			HttpProtocolOptions:  http1,
			Http2ProtocolOptions: &corev3.Http2ProtocolOptions{},
		}}
	}
	return options
}

// connections sets how connections to a backend are made and probed, over what
// holds for all of them.
func (t *translation) connections(c *clusterv3.Cluster, b *config.Backend) {
	if b.TCP.ConnectTimeout > 0 {
		c.ConnectTimeout = durationpb.New(b.TCP.ConnectTimeout)
	}
	probes := cmp.Or(b.TCP.Keepalive, t.cfg.Upstream.Keepalive, backendKeepalive)
	off := b.TCP.NoKeepalive || b.TCP.Keepalive == nil && t.cfg.Upstream.NoKeepalive
	if c.UpstreamConnectionOptions = nil; !off && b.Target.Unix == "" {
		c.UpstreamConnectionOptions = &clusterv3.UpstreamConnectionOptions{TcpKeepalive: keepalive(probes)}
	}
}

// evictions take endpoints that fail out of service. When none is left, all are
// used.
func evictions(c *clusterv3.Cluster, e *config.Eviction) {
	if e == nil {
		return
	}
	c.OutlierDetection = &clusterv3.OutlierDetection{
		Consecutive_5Xx:                    wrapperspb.UInt32(e.Failures),
		EnforcingConsecutive_5Xx:           wrapperspb.UInt32(100),
		BaseEjectionTime:                   durationpb.New(e.Duration),
		MaxEjectionTime:                    durationpb.New(max(e.Duration, maxEviction)),
		MaxEjectionPercent:                 wrapperspb.UInt32(100),
		Interval:                           durationpb.New(evictionCheck),
		EnforcingConsecutiveGatewayFailure: wrapperspb.UInt32(0),
		EnforcingSuccessRate:               wrapperspb.UInt32(0),
	}
	c.CommonLbConfig = &clusterv3.Cluster_CommonLbConfig{HealthyPanicThreshold: &typev3.Percent{Value: panicPercent}}
}

// endpoints are those of a cluster. A name goes upstream as Host, and into SNI and
// verification; an address leaves the client's Host.
func endpoints(targets []config.Target) []*endpointv3.LocalityLbEndpoints {
	group := &endpointv3.LocalityLbEndpoints{}
	for _, t := range targets {
		endpoint := &endpointv3.Endpoint{Address: targetAddress(t)}
		if isName(t) {
			endpoint.Hostname = t.Host
		}
		group.LbEndpoints = append(group.LbEndpoints, &endpointv3.LbEndpoint{
			HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: endpoint},
		})
	}
	return []*endpointv3.LocalityLbEndpoints{group}
}

// isName tells whether DNS has to be asked for a target.
func isName(t config.Target) bool { return t.Host != "" && net.ParseIP(t.Host) == nil }
