package translator

import (
	"cmp"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	proxyprotocolv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/proxy_protocol/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	httpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/attache-dev/attache/config"
)

// frontendHTTP puts the limits of the file over our own.
func (t *translation) frontendHTTP(hcm *hcmv3.HttpConnectionManager) {
	f := &t.cfg.Frontend
	common, http2 := hcm.CommonHttpProtocolOptions, hcm.Http2ProtocolOptions
	common.IdleTimeout = durationpb.New(cmp.Or(f.IdleTimeout, connectionIdleTimeout))
	common.MaxHeadersCount = orNothing(f.MaxHeaders)
	if f.MaxConnectionDuration > 0 {
		common.MaxConnectionDuration = durationpb.New(f.MaxConnectionDuration)
	}
	hcm.MaxRequestHeadersKb = wrapperspb.UInt32(cmp.Or(f.MaxHeaderKiB, maxRequestHeadersKiB))
	http2.InitialStreamWindowSize = wrapperspb.UInt32(cmp.Or(f.StreamWindow, streamWindow))
	http2.InitialConnectionWindowSize = wrapperspb.UInt32(cmp.Or(f.ConnectionWindow, connectionWindow))
	if f.PingInterval > 0 {
		http2.ConnectionKeepalive = &corev3.KeepaliveSettings{
			Interval:       durationpb.New(f.PingInterval),
			Timeout:        durationpb.New(f.PingTimeout),
			IntervalJitter: &typev3.Percent{}, // Envoy's default adds up to 15 %
		}
	}
}

// proxyProtocol reads the address of the client from the header in front.
func (t *translation) proxyProtocol() *listenerv3.ListenerFilter {
	p := t.cfg.Frontend.ProxyProtocol
	filter := &proxyprotocolv3.ProxyProtocol{AllowRequestsWithoutProxyProtocol: p.Optional}
	if !p.Version1 {
		filter.DisallowedVersions = append(filter.DisallowedVersions, corev3.ProxyProtocolConfig_V1)
	}
	if p.NotVersion2 {
		filter.DisallowedVersions = append(filter.DisallowedVersions, corev3.ProxyProtocolConfig_V2)
	}
	return listenerFilter("envoy.filters.listener.proxy_protocol", filter)
}

// upstream puts the settings of the file over our own. Options are nil for
// clusters that are not for HTTP.
func (t *translation) upstream(c *clusterv3.Cluster, options *httpv3.HttpProtocolOptions) {
	u := &t.cfg.Upstream
	c.ConnectTimeout = durationpb.New(cmp.Or(u.ConnectTimeout, connectTimeout))
	if u.Keepalive != nil {
		c.UpstreamConnectionOptions = &clusterv3.UpstreamConnectionOptions{TcpKeepalive: keepalive(u.Keepalive)}
	}
	if options != nil && u.IdleTimeout > 0 {
		options.CommonHttpProtocolOptions = &corev3.HttpProtocolOptions{IdleTimeout: durationpb.New(u.IdleTimeout)}
	}
}

// keepalive is nil for nil.
func keepalive(k *config.Keepalive) *corev3.TcpKeepalive {
	if k == nil {
		return nil
	}
	return &corev3.TcpKeepalive{
		KeepaliveProbes:   wrapperspb.UInt32(k.Probes),
		KeepaliveTime:     wrapperspb.UInt32(uint32(k.Time / time.Second)),
		KeepaliveInterval: wrapperspb.UInt32(uint32(k.Interval / time.Second)),
	}
}

func orNothing(n uint32) *wrapperspb.UInt32Value {
	if n == 0 {
		return nil
	}
	return wrapperspb.UInt32(n)
}
