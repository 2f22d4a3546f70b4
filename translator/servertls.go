package translator

import (
	"cmp"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/attache-dev/attache/config"
)

// handshakeTimeout is agentgateway's. Envoy's default is none.
const handshakeTimeout = 15 * time.Second

// alpnProtocols are what agentgateway offers, whatever is behind TLS.
var alpnProtocols = []string{"h2", "http/1.1"}

// tlsFilterChains are those of a port of HTTPS and TLS. The client's SNI chooses
// a listener as a Host does elsewhere, and within one of TLS the route; Envoy
// chooses filter chains by the same rule. A name for which there is no listener,
// and what is no TLS handshake, have none, and the connection is closed.
func (t *translation) tlsFilterChains(listeners []*config.Listener) (chains []*listenerv3.FilterChain) {
	for _, l := range listeners {
		if l.Protocol == config.ProtocolHTTPS {
			filters := t.httpConnectionManager(listenerName(l.Port), tlsRouteConfigName(l))
			chains = append(chains, t.tlsFilterChain(l, cmp.Or(l.Hostname, anyHost), filters))
			continue
		}
		routes := tcpRoutesByHost(l)
		for _, domain := range domains(l.Hostname, routes) {
			if chosen(listeners, domain) != l {
				continue
			}
			chains = append(chains, t.tlsFilterChain(l, domain, t.tcpFilters(l, covered(routes, domain))))
		}
	}
	return chains
}

// covered is the route with the most specific hostname for a domain, or nil.
func covered(routes map[string]*config.TCPRoute, domain string) *config.TCPRoute {
	for _, pattern := range covering(domain) {
		if r := routes[pattern]; r != nil {
			return r
		}
	}
	return nil
}

// tlsFilterChain is for the clients that ask for a name: exact, *.suffix, or *
// for every other one, and for clients that ask for none.
func (t *translation) tlsFilterChain(l *config.Listener, name string, filters []*listenerv3.Filter) *listenerv3.FilterChain {
	c := &listenerv3.FilterChain{
		Name:             name,
		FilterChainMatch: &listenerv3.FilterChainMatch{TransportProtocol: "tls"},
		Filters:          filters,
	}
	if name != anyHost {
		c.FilterChainMatch.ServerNames = []string{name}
	}
	if l.TLS != nil && len(filters) > 0 {
		c.TransportSocket = t.downstreamTLS(l.TLS)
		c.TransportSocketConnectTimeout = durationpb.New(cmp.Or(t.cfg.Frontend.HandshakeTimeout, handshakeTimeout))
	}
	return c
}

// cipherSuites are BoringSSL's names for the suites of TLS 1.2.
var cipherSuites = map[string]string{
	"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256":       "ECDHE-ECDSA-AES128-GCM-SHA256",
	"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384":       "ECDHE-ECDSA-AES256-GCM-SHA384",
	"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
	"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256":         "ECDHE-RSA-AES128-GCM-SHA256",
	"TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384":         "ECDHE-RSA-AES256-GCM-SHA384",
	"TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256":   "ECDHE-RSA-CHACHA20-POLY1305",
}

// keyExchangeGroups are BoringSSL's names for the groups that it calls
// otherwise.
var keyExchangeGroups = map[string]string{"X25519_MLKEM768": "X25519MLKEM768"}

// downstreamTLS ends the encryption of clients. Certificates come by SDS: a new
// one is for new connections, and neither the listener nor its connections
// change.
func (t *translation) downstreamTLS(s *config.ServerTLS) *corev3.TransportSocket {
	params := &tlsv3.TlsParameters{
		TlsMinimumProtocolVersion: tlsVersions[s.MinVersion],
		TlsMaximumProtocolVersion: tlsVersions[s.MaxVersion],
	}
	for _, suite := range s.CipherSuites {
		params.CipherSuites = append(params.CipherSuites, cipherSuites[suite])
	}
	for _, group := range s.KeyExchangeGroups {
		params.EcdhCurves = append(params.EcdhCurves, cmp.Or(keyExchangeGroups[group], group))
	}
	context := &tlsv3.DownstreamTlsContext{CommonTlsContext: &tlsv3.CommonTlsContext{
		TlsParams:                      params,
		AlpnProtocols:                  alpnProtocols,
		TlsCertificateSdsSecretConfigs: []*tlsv3.SdsSecretConfig{{Name: t.serverCertificate(s), SdsConfig: adsSource()}},
	}}
	if s.ClientRoots != nil {
		context.RequireClientCertificate = wrapperspb.Bool(true)
		context.CommonTlsContext.ValidationContextType = &tlsv3.CommonTlsContext_ValidationContextSdsSecretConfig{
			ValidationContextSdsSecretConfig: &tlsv3.SdsSecretConfig{Name: t.roots(s.ClientRoots, s.Path), SdsConfig: adsSource()},
		}
	}
	return &corev3.TransportSocket{
		Name:       "envoy.transport_sockets.tls",
		ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: mustAny(context)},
	}
}

// serverCertificate adds the secret with a listener's certificate and returns
// its name.
func (t *translation) serverCertificate(s *config.ServerTLS) string {
	name := serverCertificateName(s.Certificate)
	t.place(name, s.Path)
	t.secrets[name] = &tlsv3.Secret{Name: name, Type: &tlsv3.Secret_TlsCertificate{TlsCertificate: &tlsv3.TlsCertificate{
		CertificateChain: inlineBytes(s.Certificate.Chain),
		PrivateKey:       inlineBytes([]byte(s.Certificate.Key.Reveal())),
	}}}
	return name
}

// roots adds what verifies others and returns its name.
func (t *translation) roots(r *config.Roots, path string) string {
	name := rootsName(r)
	t.place(name, path)
	t.secrets[name] = &tlsv3.Secret{Name: name, Type: &tlsv3.Secret_ValidationContext{ValidationContext: &tlsv3.CertificateValidationContext{
		TrustedCa: inlineBytes(r.PEM),
	}}}
	return name
}
