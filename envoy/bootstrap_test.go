package envoy_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/resource_monitors/downstream_connections/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"gopkg.in/yaml.v3"

	"github.com/attache-dev/attache/envoy"
	"github.com/attache-dev/attache/envoy/envoytest"
)

// parse reads a bootstrap as Envoy would, strictly.
func parse(t *testing.T, text []byte) *bootstrapv3.Bootstrap {
	t.Helper()
	var tree any
	if err := yaml.Unmarshal(text, &tree); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	object, err := json.Marshal(tree)
	if err != nil {
		t.Fatal(err)
	}
	bootstrap := &bootstrapv3.Bootstrap{}
	if err := protojson.Unmarshal(object, bootstrap); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	if err := bootstrap.ValidateAll(); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return bootstrap
}

func TestBootstrap(t *testing.T) {
	binary := envoytest.Find(t)
	dir := t.TempDir()
	cert, key := certificate(t, dir)

	type wants struct {
		node, cluster string
		xds           *corev3.Address
		xdsType       clusterv3.Cluster_DiscoveryType
		admin         *corev3.Address
	}
	for _, test := range []struct {
		name string
		opts envoy.BootstrapOptions
		want wants
	}{
		{
			name: "least",
			opts: envoy.BootstrapOptions{XDS: "127.0.0.1:18000"},
			want: wants{"envoy", "attache", socket("127.0.0.1", 18000), clusterv3.Cluster_STATIC, nil},
		},
		{
			name: "a name is resolved",
			opts: envoy.BootstrapOptions{XDS: "attache.example:18000", Admin: "localhost:0"},
			want: wants{"envoy", "attache", socket("attache.example", 18000), clusterv3.Cluster_STRICT_DNS, socket("127.0.0.1", 0)},
		},
		{
			name: "IPv6",
			opts: envoy.BootstrapOptions{XDS: "[::1]:18000", Admin: "[::]:15000"},
			want: wants{"envoy", "attache", socket("::1", 18000), clusterv3.Cluster_STATIC, socket("::", 15000)},
		},
		{
			name: "unix sockets",
			opts: envoy.BootstrapOptions{XDS: "unix:" + dir + "/xds.sock", Admin: "unix:" + dir + "/admin.sock"},
			want: wants{"envoy", "attache", pipe(dir+"/xds.sock", 0), clusterv3.Cluster_STATIC, pipe(dir+"/admin.sock", 0o600)},
		},
		{
			name: "values that YAML could read otherwise",
			opts: envoy.BootstrapOptions{
				NodeID: "y", NodeCluster: `{"a": 'b' # c} é \`,
				XDS: "unix:" + dir + `/a "path": with, spaces #.sock`, Admin: "unix:" + dir + "/<é>.sock",
				MaxConnections: 7,
			},
			want: wants{
				"y", `{"a": 'b' # c} é \`,
				pipe(dir+`/a "path": with, spaces #.sock`, 0), clusterv3.Cluster_STATIC,
				pipe(dir+"/<é>.sock", 0o600),
			},
		},
		{
			name: "TLS to a name",
			opts: envoy.BootstrapOptions{XDS: "attache.example:18000", TLS: &envoy.ClientTLS{CA: cert, Cert: cert, Key: key}},
			want: wants{"envoy", "attache", socket("attache.example", 18000), clusterv3.Cluster_STRICT_DNS, nil},
		},
		{
			name: "TLS to an address, without a certificate of our own",
			opts: envoy.BootstrapOptions{XDS: "127.0.0.1:18000", TLS: &envoy.ClientTLS{CA: cert}},
			want: wants{"envoy", "attache", socket("127.0.0.1", 18000), clusterv3.Cluster_STATIC, nil},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			text, err := envoy.Bootstrap(test.opts)
			if err != nil {
				t.Fatal(err)
			}
			b := parse(t, text)
			xds := b.GetStaticResources().GetClusters()[0]
			if id, cluster := b.GetNode().GetId(), b.GetNode().GetCluster(); id != test.want.node || cluster != test.want.cluster {
				t.Errorf("node %q of %q, want %q of %q", id, cluster, test.want.node, test.want.cluster)
			}
			if got := xds.GetType(); got != test.want.xdsType {
				t.Errorf("xDS cluster of type %v, want %v", got, test.want.xdsType)
			}
			same(t, "xDS address", xds.GetLoadAssignment().GetEndpoints()[0].GetLbEndpoints()[0].GetEndpoint().GetAddress(), test.want.xds)
			same(t, "admin address", b.GetAdmin().GetAddress(), test.want.admin)
			if got, want := xds.GetTransportSocket() != nil, test.opts.TLS != nil; got != want {
				t.Errorf("TLS is %v, want %v", got, want)
			}
			if err := binary.Validate(t.Context(), text); err != nil {
				t.Errorf("Envoy refuses it: %v\n%s", err, text)
			}
		})
	}
}

func TestBootstrapRefuses(t *testing.T) {
	const xds = "127.0.0.1:18000"
	for _, test := range []struct {
		opts envoy.BootstrapOptions
		want string
	}{
		{envoy.BootstrapOptions{}, `bootstrap: xDS address "": want host:port or unix:/path`},
		{envoy.BootstrapOptions{XDS: "18000"}, `bootstrap: xDS address "18000": want host:port or unix:/path`},
		{envoy.BootstrapOptions{XDS: ":18000"}, `bootstrap: xDS address ":18000": want host:port or unix:/path`},
		{envoy.BootstrapOptions{XDS: "localhost:http"}, `bootstrap: xDS address "localhost:http": port "http": want a number from 0 to 65535`},
		{envoy.BootstrapOptions{XDS: "localhost:0"}, `bootstrap: xDS address "localhost:0": port 0 cannot be connected to`},
		{envoy.BootstrapOptions{XDS: "unix:xds.sock"}, `bootstrap: xDS address "unix:xds.sock": want unix: and an absolute path`},
		{envoy.BootstrapOptions{XDS: "unix:/" + strings.Repeat("x", 107)}, "the path has 108 bytes, a socket may have 107"},
		{envoy.BootstrapOptions{XDS: "unix:/a\nb"}, `bootstrap: xDS address "unix:/a\nb": has control characters`},
		{envoy.BootstrapOptions{XDS: xds, NodeID: "\xff"}, `bootstrap: node name "\xff": not UTF-8`},
		{envoy.BootstrapOptions{XDS: xds, MaxConnections: -1}, "bootstrap: limit of -1 connections: want a positive number"},
		{envoy.BootstrapOptions{XDS: xds, Admin: "example.com:1"}, `bootstrap: admin address "example.com:1": want an IP address, Envoy cannot listen on a name`},
		{envoy.BootstrapOptions{XDS: xds, TLS: &envoy.ClientTLS{}}, "bootstrap: TLS to the control plane: no CA file"},
		{envoy.BootstrapOptions{XDS: xds, TLS: &envoy.ClientTLS{CA: "ca", Key: "key"}}, "bootstrap: TLS to the control plane: a certificate and its key go together"},
		{envoy.BootstrapOptions{XDS: "unix:/s", TLS: &envoy.ClientTLS{CA: "ca"}}, "bootstrap: TLS to the control plane: a unix socket has none"},
	} {
		_, err := envoy.Bootstrap(test.opts)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: got %v, want %s", test.opts, err, test.want)
		}
	}
}

// What Envoy refuses is said in its words, but without what it quotes.
func TestValidateQuotesNothing(t *testing.T) {
	binary := envoytest.Find(t)
	for _, test := range []struct{ name, config, want string }{
		{"a key in a refused resource", `
static_resources:
  clusters:
  - name: bad
    connect_timeout: 0s
    transport_socket:
      name: tls
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
        common_tls_context: {tls_certificates: [{private_key: {inline_string: "SECRET"}}]}
`, "ConnectTimeout: value must be greater than 0s"},
		{"a key in a file of the wrong shape", `
static_resources: {clusters: [{name: 7}], secrets: [{generic_secret: {secret: {inline_string: "SECRET"}}}]}
`, "static_resources.clusters[0].name"},
		{"an unknown field", "node: {idx: SECRET}", "idx"},
		{"no YAML", "node: [SECRET", "yaml-cpp"},
	} {
		err := binary.Validate(t.Context(), []byte(test.config))
		if err == nil {
			t.Errorf("%s: accepted", test.name)
			continue
		}
		if text := err.Error(); !strings.Contains(text, test.want) || strings.Contains(text, "SECRET") {
			t.Errorf("%s: got %q, want %q and no secret", test.name, text, test.want)
		}
	}
}

func same(t *testing.T, what string, got, want *corev3.Address) {
	t.Helper()
	if got.String() != want.String() {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func socket(host string, port uint32) *corev3.Address {
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address: host, PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: port},
	}}}
}

func pipe(path string, mode uint32) *corev3.Address {
	return &corev3.Address{Address: &corev3.Address_Pipe{Pipe: &corev3.Pipe{Path: path, Mode: mode}}}
}

// certificate writes a certificate that signs itself, and its key.
func certificate(t *testing.T, dir string) (certPath, keyPath string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("a cert.pem", "CERTIFICATE", cert), write("a key.pem", "PRIVATE KEY", private)
}
