package config

// The types of this file have the shape of what listeners need that are not
// plain HTTP.

// fileServerTLS is the tls of a listener.
type fileServerTLS struct {
	// SPIFFE takes the certificate from a SPIFFE agent.
	SPIFFE *fileEmpty `yaml:"spiffe,notyet"`

	// Mode says where certificates come from: static is the files cert and key.
	// Default: static.
	Mode string `yaml:"mode" enum:"static" enumNotYet:"dynamicCa"`
	// Cert is a PEM file with the certificate, followed by those that lead to
	// its root. It may hold the key as well. The file is watched: a new
	// certificate is shown to new connections, and open ones stay.
	// Envoy: a secret that the listener's transport socket gets by SDS.
	Cert string `yaml:"cert"`
	// Key is a PEM file with the private key of the certificate, not encrypted.
	// RSA keys have at least 2048 bits. The file is watched, as cert is.
	// Envoy: a part of the same secret.
	Key string `yaml:"key"`
	// Root is a PEM file with the certificates that verify clients. With it,
	// every client must show a certificate. The file is watched.
	// Default: clients need none.
	// Envoy: require_client_certificate, and a validation context by SDS.
	Root string `yaml:"root"`
	// MinTLSVersion is the lowest version that clients may speak.
	// Default: TLS_V1_2.
	// Envoy: tls_minimum_protocol_version.
	MinTLSVersion string `yaml:"minTLSVersion" old:"minTlsVersion" enum:"TLS_V1_2 TLS_V1_3" enumNotYet:"TLS_V1_0 TLS_V1_1"`
	// MaxTLSVersion is the highest version that clients may speak.
	// Default: TLS_V1_3.
	// Envoy: tls_maximum_protocol_version.
	MaxTLSVersion string `yaml:"maxTLSVersion" old:"maxTlsVersion" enum:"TLS_V1_2 TLS_V1_3" enumNotYet:"TLS_V1_0 TLS_V1_1"`
	// CipherSuites are the suites that clients may use, in the order of
	// preference, by their names in the TLS standards; those of TLS 1.3 may
	// begin with TLS13_ instead. Without a suite of a version, that version is
	// not spoken.
	// Default: the ECDHE suites with AES-GCM or ChaCha20, and those of TLS 1.3.
	// Envoy: cipher_suites, and the versions.
	// Differs: of the suites of TLS 1.3 all three must be there, or none, and
	// their order does not count.
	CipherSuites []string `yaml:"cipherSuites"`
	// KeyExchangeGroups are the groups for the key exchange, in the order of
	// preference: X25519_MLKEM768, X25519, P-256, P-384.
	// Default: Envoy's.
	// Envoy: ecdh_curves.
	KeyExchangeGroups []string `yaml:"keyExchangeGroups"`
}

// fileTCPRoute is a route for connections, in listeners of protocol TCP and TLS.
type fileTCPRoute struct {
	// Namespace is a part of the route's name.
	Namespace string `yaml:"namespace,notyet"`
	// RuleName names a rule within the route.
	RuleName string `yaml:"ruleName,notyet"`

	// Name is the name of the route. Of several routes for one host, the first
	// by name takes the connections.
	// Default: tcproute<index>.
	Name string `yaml:"name"`
	// Hostnames are the names, exact or *.suffix, that clients may ask for by
	// SNI. The most specific one of all routes counts.
	// Default: every name, and clients that send none.
	// Envoy: server_names of a filter chain.
	Hostnames []string `yaml:"hostnames"`
	// Policies are settings for all backends of the route.
	Policies *fileTCPPolicies `yaml:"policies"`
	// Backends share the connections by weight. Without one, connections are
	// closed.
	// Envoy: the filter tcp_proxy.
	Backends []fileTCPBackend `yaml:"backends"`
}

type fileTCPPolicies struct {
	// BackendTLS encrypts the connections to the backends.
	// Default: bytes go to the backend as they are.
	BackendTLS *fileBackendTLS `yaml:"backendTLS" old:"backendTls"`
}

type fileTCPBackend struct {
	// Dynamic goes to where the client wants to.
	Dynamic *fileDynamic `yaml:"dynamic,notyet"`

	// Weight is the share of the connections; 0 means none.
	// Default: 1.
	Weight *uint32 `yaml:"weight"`
	// Host is where the backend is: host:port, [ipv6]:port or unix:/path.
	Host string `yaml:"host"`
	// Service names an entry of the section services, with its port.
	Service *fileServiceRef `yaml:"service"`
	// Backend names an entry of the section backends, as /name or name. Early
	// releases had the address below it, as backend: {host}; write host alone.
	Backend *fileTCPTarget `yaml:"backend"`
	// Invalid closes every connection. The word invalid in place of the whole entry
	// means the same.
	Invalid filePresent `yaml:"invalid"`
	// Policies are settings for this backend; they win over those of the route.
	Policies *fileTCPBackendPolicies `yaml:"policies"`
}

type fileTCPBackendPolicies struct {
	// BackendTunnel reaches the backend through a proxy.
	BackendTunnel *fileTunnel `yaml:"backendTunnel,notyet"`

	// BackendTLS encrypts the connection to the backend.
	// Default: the route's.
	BackendTLS *fileBackendTLS `yaml:"backendTLS" old:"backendTls"`
}

func (f *fileTCPBackend) decodeNode(d *decoder, n *node) {
	type fields fileTCPBackend
	if n.kind == scalarNode && n.value == "invalid" {
		f.Invalid = true
		return
	}
	d.decode(n, (*fields)(f))
}

// fileTCPTarget is the name of a backend, or the earlier form of a TCP backend.
type fileTCPTarget struct {
	name string
	keys fileTCPTargetKeys
}

type fileTCPTargetKeys struct {
	// Service names an entry of the section services, with its port.
	Service *fileServiceRef `yaml:"service"`
	// Host is where the backend is.
	Host string `yaml:"host"`
	// Invalid closes every connection.
	Invalid filePresent `yaml:"invalid"`
}

// decodeNode tells the name of a backend from the earlier form.
func (t *fileTCPTarget) decodeNode(d *decoder, n *node) {
	if n.kind == scalarNode && n.value != "invalid" {
		d.decode(n, &t.name)
		return
	}
	if n.kind == scalarNode {
		t.keys.Invalid = true
	} else {
		d.decode(n, &t.keys)
	}
	d.deprecated = append(d.deprecated, n.errorf(d.file, Deprecated, "a deprecated form; write what it holds without backend"))
}
