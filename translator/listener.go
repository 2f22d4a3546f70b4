package translator

import (
	"cmp"
	"time"

	mutationv3 "github.com/envoyproxy/go-control-plane/envoy/config/common/mutation_rules/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	filterchainv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/filter_chain/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	tlsinspectorv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/tls_inspector/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	earlyv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/http/early_header_mutation/header_mutation/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/attache-dev/attache/config"
)

type listener = listenerv3.Listener

// Limits towards clients. Envoy's own defaults are unbounded, or meant for
// another use.
const (
	// streamIdleTimeout ends a request on which neither side sends a byte. A
	// model may think for long; nobody waits for an hour of silence.
	streamIdleTimeout = time.Hour
	// connectionIdleTimeout closes connections without requests; it is
	// agentgateway's http1IdleTimeout.
	connectionIdleTimeout = 10 * time.Minute
	requestHeadersTimeout = time.Minute
	maxRequestHeadersKiB  = 60
	maxConcurrentStreams  = 1024
	streamWindow          = 256 << 10
	connectionWindow      = 1 << 20
)

// listener is the same for every policy, so that no edit of a policy drains a
// connection.
func (t *translation) listener(port uint16) {
	listeners := t.byPort[port]
	l := &listener{
		Name:                          listenerName(port),
		Address:                       t.address(listeners[0]),
		PerConnectionBufferLimitBytes: wrapperspb.UInt32(t.opts.MaxBody),
		TcpKeepalive:                  keepalive(t.cfg.Frontend.Keepalive),
	}
	if listeners[0].ProxyProtocol {
		l.ListenerFilters = append(l.ListenerFilters, t.proxyProtocol())
	}
	switch p := listeners[0].Protocol; {
	case p.OverTLS():
		l.ListenerFilters = append(l.ListenerFilters, listenerFilter("envoy.filters.listener.tls_inspector", &tlsinspectorv3.TlsInspector{}))
		l.FilterChains = t.tlsFilterChains(listeners)
		if d := t.cfg.Frontend.HandshakeTimeout; d > 0 {
			l.ListenerFiltersTimeout = durationpb.New(d)
		}
	case p == config.ProtocolTCP:
		l.PerConnectionBufferLimitBytes = nil // no body is ever held
		l.FilterChains = t.tcpFilterChains(listeners[0])
	default:
		l.FilterChains = []*listenerv3.FilterChain{{Filters: t.httpConnectionManager(listenerName(port), routeConfigName(port))}}
	}
	t.out.Listeners = append(t.out.Listeners, l)
	t.place(listenerName(port), listeners[0].BindPath)
}

// httpConnectionManager is the one network filter of requests.
func (t *translation) httpConnectionManager(statPrefix, routeConfig string) []*listenerv3.Filter {
	hcm := &hcmv3.HttpConnectionManager{
		StatPrefix: statPrefix,
		RouteSpecifier: &hcmv3.HttpConnectionManager_Rds{Rds: &hcmv3.Rds{
			ConfigSource:    adsSource(),
			RouteConfigName: routeConfig,
		}},
		HttpFilters: []*hcmv3.HttpFilter{
			httpFilter(policiesFilter, &filterchainv3.FilterChainConfig{}),
			httpFilter("envoy.filters.http.router", &routerv3.Router{SuppressEnvoyHeaders: true}),
		},
		// Headers in which we would believe are not for clients to send.
		EarlyHeaderMutationExtensions: []*corev3.TypedExtensionConfig{{
			Name: "envoy.http.early_header_mutation.header_mutation",
			TypedConfig: mustAny(&earlyv3.HeaderMutation{Mutations: []*mutationv3.HeaderMutation{{
				Action: &mutationv3.HeaderMutation_RemoveOnMatch_{RemoveOnMatch: &mutationv3.HeaderMutation_RemoveOnMatch{
					KeyMatcher: &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Prefix{Prefix: ownHeaders}},
				}},
			}}}),
		}},
		// The client's x-request-id is its own, and nothing is invented for one
		// that sends none: agentgateway's way, and F5's.
		GenerateRequestId:         wrapperspb.Bool(false),
		PreserveExternalRequestId: true,

		LocalReplyConfig:           localReplies(),
		UseRemoteAddress:           wrapperspb.Bool(true),
		ServerHeaderTransformation: hcmv3.HttpConnectionManager_PASS_THROUGH,
		CommonHttpProtocolOptions: &corev3.HttpProtocolOptions{
			HeadersWithUnderscoresAction: corev3.HttpProtocolOptions_ALLOW,
		},
		// Trailers are part of a message; Envoy drops HTTP/1's by default.
		HttpProtocolOptions: &corev3.Http1ProtocolOptions{EnableTrailers: true},
		Http2ProtocolOptions: &corev3.Http2ProtocolOptions{
			MaxConcurrentStreams: wrapperspb.UInt32(maxConcurrentStreams),
		},
		RequestHeadersTimeout: durationpb.New(requestHeadersTimeout),
		StreamIdleTimeout:     durationpb.New(streamIdleTimeout),
		// Without these, /x/../admin and %2e%2e pass a rule for /admin.
		NormalizePath:                wrapperspb.Bool(true),
		MergeSlashes:                 true,
		PathWithEscapedSlashesAction: hcmv3.HttpConnectionManager_UNESCAPE_AND_REDIRECT,
	}
	t.frontendHTTP(hcm)
	return []*listenerv3.Filter{networkFilter("envoy.filters.network.http_connection_manager", hcm)}
}

// address is where Envoy listens: the one address, or every one of the
// machine, where [::] takes IPv4 as well. The listeners of a port share it.
func (t *translation) address(l *config.Listener) *corev3.Address {
	a := &corev3.SocketAddress{
		Address:       cmp.Or(l.Address, "0.0.0.0"),
		PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: uint32(l.Port)},
	}
	if l.Address == "" && t.cfg.Process.EnableIPv6 {
		a.Address, a.Ipv4Compat = "::", true
	}
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: a}}
}

func listenerFilter(name string, m protoMessage) *listenerv3.ListenerFilter {
	return &listenerv3.ListenerFilter{Name: name, ConfigType: &listenerv3.ListenerFilter_TypedConfig{TypedConfig: mustAny(m)}}
}

func networkFilter(name string, m protoMessage) *listenerv3.Filter {
	return &listenerv3.Filter{Name: name, ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: mustAny(m)}}
}

func httpFilter(name string, m protoMessage) *hcmv3.HttpFilter {
	return &hcmv3.HttpFilter{Name: name, ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: mustAny(m)}}
}

// adsSource: everything comes over the one stream, in our order.
func adsSource() *corev3.ConfigSource {
	return &corev3.ConfigSource{
		ResourceApiVersion:    corev3.ApiVersion_V3,
		ConfigSourceSpecifier: &corev3.ConfigSource_Ads{Ads: &corev3.AggregatedConfigSource{}},
	}
}
