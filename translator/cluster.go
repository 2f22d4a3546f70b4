package translator

import (
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	caresv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/network/dns_resolver/cares/v3"
	httpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/attache-dev/attache/config"
)

const (
	// connectTimeout is agentgateway's.
	connectTimeout = 10 * time.Second
	// breakerLimit stands in place of Envoy's 1,024 connections, requests and
	// waiting requests per backend: a cliff for models that answer slowly.
	// Clients are bounded at the listener.
	breakerLimit = 1 << 20
	// extProcWindow makes Envoy stop reading from a client while an ext_proc
	// server does not read; with the default of 16 MiB it holds that much for
	// each request.
	extProcWindow           = 64 << 10
	extProcConnectionWindow = 1 << 20

	http2KeepaliveInterval = 30 * time.Second
	http2KeepaliveTimeout  = 5 * time.Second
)

// httpProtocolOptions is the key of the HTTP settings in a cluster.
const httpProtocolOptions = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"

// backendCluster adds the cluster of a backend and returns its name.
func (t *translation) backendCluster(b *config.Backend) string {
	name := backendCluster(b)
	t.place(name, b.Path)
	if _, ok := t.clusters[name]; ok {
		return name
	}
	options := httpOptions(b)
	options.HttpFilters = t.upstreamFilters(b)
	if b.Dynamic {
		serverNameOfHost(options, b.TLS)
	}
	if t.retried[name] {
		options.HttpFilters = withRetryAttempt(options.HttpFilters)
	}
	c := t.cluster(name, b.Target, options)
	switch {
	case b.Service != nil:
		c.LoadAssignment.Endpoints = endpoints(b.Service.Endpoints)
		c.LbPolicy = clusterv3.Cluster_LEAST_REQUEST
	case b.Dynamic:
		t.forwardProxyCluster(c)
	}
	t.connections(c, b)
	evictions(c, b.Eviction)
	if b.TLS != nil {
		c.TransportSocket = t.upstreamTLS(b)
	}
	return name
}

// extProcCluster adds the cluster of an ext_proc server and returns its name.
// tls is nil for plain text.
func (t *translation) extProcCluster(name string, target config.Target, tls *config.TLS, path string) string {
	t.place(name, path)
	if _, ok := t.clusters[name]; !ok {
		c := t.cluster(name, target, &httpv3.HttpProtocolOptions{
			UpstreamProtocolOptions: &httpv3.HttpProtocolOptions_ExplicitHttpConfig_{ExplicitHttpConfig: &httpv3.HttpProtocolOptions_ExplicitHttpConfig{
				ProtocolConfig: &httpv3.HttpProtocolOptions_ExplicitHttpConfig_Http2ProtocolOptions{Http2ProtocolOptions: &corev3.Http2ProtocolOptions{
					InitialStreamWindowSize:     wrapperspb.UInt32(extProcWindow),
					InitialConnectionWindowSize: wrapperspb.UInt32(extProcConnectionWindow),
					ConnectionKeepalive: &corev3.KeepaliveSettings{
						Interval: durationpb.New(http2KeepaliveInterval),
						Timeout:  durationpb.New(http2KeepaliveTimeout),
					},
				}},
			}},
		})
		// When a cluster is edited, Envoy resets the streams that its filters have on
		// it, unlike those of routes. So no setting of the file reaches it: what
		// differs in TLS is another cluster.
		c.PerConnectionBufferLimitBytes = wrapperspb.UInt32(DefaultMaxBody)
		t.out.Held[name] = true
		if tls != nil {
			c.TransportSocket = t.upstreamTLS(&config.Backend{Path: path, Target: target, TLS: tls})
		}
	}
	return name
}

// cluster adds what all clusters have in common. Without options it is not for
// HTTP.
func (t *translation) cluster(name string, target config.Target, options *httpv3.HttpProtocolOptions) *clusterv3.Cluster {
	c := &clusterv3.Cluster{
		Name:                          name,
		ClusterDiscoveryType:          &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC},
		PerConnectionBufferLimitBytes: wrapperspb.UInt32(t.opts.MaxBody),
		CircuitBreakers: &clusterv3.CircuitBreakers{Thresholds: []*clusterv3.CircuitBreakers_Thresholds{{
			MaxConnections:     wrapperspb.UInt32(breakerLimit),
			MaxPendingRequests: wrapperspb.UInt32(breakerLimit),
			MaxRequests:        wrapperspb.UInt32(breakerLimit),
			MaxRetries:         wrapperspb.UInt32(breakerLimit),
		}}},
		LoadAssignment: &endpointv3.ClusterLoadAssignment{
			ClusterName: name,
			Endpoints:   endpoints([]config.Target{target}),
		},
	}
	t.upstream(c, options)
	if options != nil {
		c.TypedExtensionProtocolOptions = map[string]*anypb.Any{httpProtocolOptions: mustAny(options)}
	}
	if isName(target) {
		c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STRICT_DNS}
		c.DnsLookupFamily = t.dnsLookupFamily()
		// Envoy waits for the first answer about a name: at its start with the
		// listeners, later with the routes and with other clusters, so that no
		// request fails. It must not wait for long: its resolver would ask for
		// 20 s.
		c.TypedDnsResolverConfig = &corev3.TypedExtensionConfig{
			Name: "envoy.network.dns_resolver.cares",
			TypedConfig: mustAny(&caresv3.CaresDnsResolverConfig{
				QueryTimeoutSeconds: wrapperspb.UInt64(1),
				QueryTries:          wrapperspb.UInt32(1),
			}),
		}
	}
	t.clusters[name] = c
	return c
}

// dnsLookupFamilies are agentgateway's words. Auto depends on enableIpv6.
var dnsLookupFamilies = map[string]clusterv3.Cluster_DnsLookupFamily{
	"All":         clusterv3.Cluster_ALL,
	"V4Preferred": clusterv3.Cluster_V4_PREFERRED,
	"V4Only":      clusterv3.Cluster_V4_ONLY,
	"V6Only":      clusterv3.Cluster_V6_ONLY,
}

func (t *translation) dnsLookupFamily() clusterv3.Cluster_DnsLookupFamily {
	if f, ok := dnsLookupFamilies[t.cfg.Process.DNSLookupFamily]; ok {
		return f
	}
	if t.cfg.Process.EnableIPv6 {
		return clusterv3.Cluster_V4_PREFERRED
	}
	return clusterv3.Cluster_V4_ONLY
}

func targetAddress(t config.Target) *corev3.Address {
	if t.Unix != "" {
		return &corev3.Address{Address: &corev3.Address_Pipe{Pipe: &corev3.Pipe{Path: t.Unix}}}
	}
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address:       t.Host,
		PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: uint32(t.Port)},
	}}}
}
