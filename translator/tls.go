package translator

import (
	"cmp"
	"net"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"

	"github.com/attache-dev/attache/config"
)

// tlsVersions are F5's words, and agentgateway's.
var tlsVersions = map[string]tlsv3.TlsParameters_TlsProtocol{
	"v1.2":     tlsv3.TlsParameters_TLSv1_2,
	"v1.3":     tlsv3.TlsParameters_TLSv1_3,
	"TLS_V1_2": tlsv3.TlsParameters_TLSv1_2,
	"TLS_V1_3": tlsv3.TlsParameters_TLSv1_3,
}

// upstreamTLS encrypts what goes to a backend, verifies whom it talks to, and
// shows our certificate if there is one. As a client, Envoy speaks TLS 1.2 at most
// unless it is told.
func (t *translation) upstreamTLS(b *config.Backend) *corev3.TransportSocket {
	common := &tlsv3.CommonTlsContext{
		TlsParams: &tlsv3.TlsParameters{
			TlsMinimumProtocolVersion: tlsVersions[b.TLS.MinVersion],
			TlsMaximumProtocolVersion: tlsv3.TlsParameters_TLSv1_3,
		},
		AlpnProtocols: b.TLS.ALPN,
	}
	for _, group := range b.TLS.KeyExchangeGroups {
		common.TlsParams.EcdhCurves = append(common.TlsParams.EcdhCurves, cmp.Or(keyExchangeGroups[group], group))
	}
	if b.TLS.Key != nil {
		common.TlsCertificateSdsSecretConfigs = []*tlsv3.SdsSecretConfig{{Name: t.clientCertificate(b), SdsConfig: adsSource()}}
	}
	socket := &tlsv3.UpstreamTlsContext{CommonTlsContext: common}
	name := serverName(b)
	switch {
	case name == "" || net.ParseIP(name) != nil: // not sent
	case b.TLS.Name == "":
		socket.AutoHostSni = true
	default:
		socket.Sni = name
	}
	if b.TLS.Verification != config.VerifyNothing {
		roots := &tlsv3.CertificateValidationContext{}
		t.trust(common, roots, b)
		if b.TLS.Verification == config.VerifyName {
			verifyName(socket, roots, name, b.TLS.SubjectAltNames)
		}
	}
	return &corev3.TransportSocket{
		Name:       "envoy.transport_sockets.tls",
		ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: mustAny(socket)},
	}
}

// serverName is what the certificate of a backend must be for: a name, which is
// also sent, or an address. It is empty where only the request knows.
func serverName(b *config.Backend) string {
	if b.TLS.Name != "" {
		return b.TLS.Name
	}
	return b.Target.Host
}

// verifyName verifies whom a certificate is for: one of the alternatives if there
// are some, and else the name.
func verifyName(socket *tlsv3.UpstreamTlsContext, roots *tlsv3.CertificateValidationContext, name string, alternatives []string) {
	switch {
	case len(alternatives) > 0:
	case net.ParseIP(name) != nil:
		alternatives = []string{name}
	default:
		socket.AutoSniSanValidation = name != ""
	}
	for _, a := range alternatives {
		kind := tlsv3.SubjectAltNameMatcher_URI
		switch ip := net.ParseIP(a); {
		case ip != nil:
			kind, a = tlsv3.SubjectAltNameMatcher_IP_ADDRESS, ip.String()
		case !strings.Contains(a, "://"):
			kind, a = tlsv3.SubjectAltNameMatcher_DNS, strings.ToLower(a)
		}
		roots.MatchTypedSubjectAltNames = append(roots.MatchTypedSubjectAltNames, &tlsv3.SubjectAltNameMatcher{
			SanType: kind,
			Matcher: stringMatch(config.ValueMatch{Value: a}),
		})
	}
}

// trust makes roots verify a backend, whatever else they say. The system's are a
// file: Envoy 1.40's system_root_certs verifies nothing. Those of the user are no
// secret, but come by SDS like one, since an edited cluster resets what filters have
// on it.
func (t *translation) trust(common *tlsv3.CommonTlsContext, roots *tlsv3.CertificateValidationContext, b *config.Backend) {
	if b.TLS.Root == nil {
		roots.TrustedCa = &corev3.DataSource{Specifier: &corev3.DataSource_Filename{Filename: t.opts.TrustedCA}}
		common.ValidationContextType = &tlsv3.CommonTlsContext_ValidationContext{ValidationContext: roots}
		return
	}
	common.ValidationContextType = &tlsv3.CommonTlsContext_CombinedValidationContext{
		CombinedValidationContext: &tlsv3.CommonTlsContext_CombinedCertificateValidationContext{
			DefaultValidationContext:         roots,
			ValidationContextSdsSecretConfig: &tlsv3.SdsSecretConfig{Name: t.roots(b.TLS.Root, b.Path), SdsConfig: adsSource()},
		},
	}
}

// clientCertificate adds the secret with a backend's client certificate and
// returns its name. Like every secret it comes by SDS.
func (t *translation) clientCertificate(b *config.Backend) string {
	name := certificateName(b.TLS.Key)
	s := &tlsv3.Secret{
		Name: name,
		Type: &tlsv3.Secret_TlsCertificate{TlsCertificate: &tlsv3.TlsCertificate{
			CertificateChain: inlineBytes(b.TLS.Cert),
			PrivateKey:       inlineBytes([]byte(b.TLS.Key.Reveal())),
		}},
	}
	if old, ok := t.secrets[name]; ok && !proto.Equal(old, s) {
		t.errorf(b.Path, config.Unsupported, "another backend uses the key %s with another certificate; give each a key file of its own", b.TLS.Key.Ref)
	}
	t.place(name, b.Path)
	t.secrets[name] = s
	return name
}

func inlineString(s string) *corev3.DataSource {
	return &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: s}}
}

func inlineBytes(b []byte) *corev3.DataSource {
	return &corev3.DataSource{Specifier: &corev3.DataSource_InlineBytes{InlineBytes: b}}
}
