package translator

import (
	"net"
	"slices"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"

	"github.com/attache-dev/attache/config"
)

// The secrets of an Envoy's bootstrap: what it shows, and what verifies others. They
// are files on its machine, and no key travels.
const (
	BootstrapCertificate = "attache_certificate"
	BootstrapRoots       = "attache_roots"
)

// serviceTLS encrypts what goes to our service, at one of the targets, and proves
// to each end who the other is.
func serviceTLS(targets []config.Target) *corev3.TransportSocket {
	roots := &tlsv3.CertificateValidationContext{}
	socket := &tlsv3.UpstreamTlsContext{CommonTlsContext: &tlsv3.CommonTlsContext{
		TlsParams: &tlsv3.TlsParameters{
			TlsMinimumProtocolVersion: tlsv3.TlsParameters_TLSv1_3,
			TlsMaximumProtocolVersion: tlsv3.TlsParameters_TLSv1_3,
		},
		AlpnProtocols:                  []string{"h2"},
		TlsCertificateSdsSecretConfigs: []*tlsv3.SdsSecretConfig{{Name: BootstrapCertificate}},
		ValidationContextType: &tlsv3.CommonTlsContext_CombinedValidationContext{
			CombinedValidationContext: &tlsv3.CommonTlsContext_CombinedCertificateValidationContext{
				DefaultValidationContext:         roots,
				ValidationContextSdsSecretConfig: &tlsv3.SdsSecretConfig{Name: BootstrapRoots},
			},
		},
	}}
	if i := slices.IndexFunc(targets, isName); i >= 0 {
		socket.Sni = targets[i].Host
	}
	var hosts []string
	for _, t := range targets {
		if net.ParseIP(t.Host) != nil || isName(t) {
			hosts = append(hosts, t.Host)
		}
	}
	verifyName(socket, roots, "", hosts)
	return &corev3.TransportSocket{
		Name:       "envoy.transport_sockets.tls",
		ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: mustAny(socket)},
	}
}
