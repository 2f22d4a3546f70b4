package translator_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// An issuer signs certificates.
type issuer struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	// file holds its certificate in PEM.
	file string
}

func newIssuer(t *testing.T) *issuer {
	a := &issuer{t: t, file: filepath.Join(t.TempDir(), "ca")}
	a.key = newKey(t)
	template := &x509.Certificate{Subject: pkix.Name{CommonName: "authority"}, IsCA: true}
	a.cert = template
	var pemText []byte
	a.cert, pemText = a.sign(template, a.key)
	if err := os.WriteFile(a.file, pemText, 0o600); err != nil {
		t.Fatal(err)
	}
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (a *issuer) sign(template *x509.Certificate, key *ecdsa.PrivateKey) (*x509.Certificate, []byte) {
	a.t.Helper()
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.BasicConstraintsValid = true
	template.NotBefore = time.Now().Add(-2 * time.Hour)
	if template.NotAfter.IsZero() {
		template.NotAfter = time.Now().Add(time.Hour)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// server answers over TLS with what it saw: the server name, the protocol of ALPN,
// the version of HTTP, and the key exchange. It returns the port.
func (a *issuer) server(network, addr string, template *x509.Certificate, edit func(*tls.Config)) string {
	a.t.Helper()
	key := newKey(a.t)
	cert, _ := a.sign(template, key)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "sni=%s alpn=%s %s group=%s host=%s", r.TLS.ServerName, r.TLS.NegotiatedProtocol, r.Proto, r.TLS.CurveID, r.Host)
	}))
	l, err := net.Listen(network, addr)
	if err != nil {
		a.t.Fatal(err)
	}
	s.Listener.Close()
	s.Listener = l
	s.EnableHTTP2 = true
	s.TLS = &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{cert.Raw}, PrivateKey: key}},
		NextProtos:   []string{"h2", "http/1.1"},
	}
	if edit != nil {
		edit(s.TLS)
	}
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	s.StartTLS()
	a.t.Cleanup(s.Close)
	if network == "unix" {
		return addr
	}
	return port(l.Addr().String())
}

func names(names ...string) *x509.Certificate { return &x509.Certificate{DNSNames: names} }

// What backendTLS verifies, sends and offers.
func TestBackendTLSSettingsInEnvoy(t *testing.T) {
	a, other := newIssuer(t), newIssuer(t)
	dir, err := os.MkdirTemp("", "tr")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })

	local := a.server("tcp", "127.0.0.1:0", names("localhost"), nil)
	elsewhere := a.server("tcp", "127.0.0.1:0", names("api.example.test", "*.wild.example.test"), nil)
	foreign := other.server("tcp", "127.0.0.1:0", names("localhost"), nil)
	expired := names("localhost")
	expired.NotAfter = time.Now().Add(-time.Hour)
	old := a.server("tcp", "127.0.0.1:0", expired, nil)
	address := a.server("tcp", "127.0.0.1:0", &x509.Certificate{IPAddresses: []net.IP{net.ParseIP("127.0.0.1")}}, nil)
	v6 := a.server("tcp", "[::1]:0", &x509.Certificate{IPAddresses: []net.IP{net.ParseIP("::1")}}, nil)
	socket := a.server("unix", filepath.Join(dir, "s"), names("socket.test"), nil)
	id, err := url.Parse("spiffe://td/ns/a/sa/b")
	if err != nil {
		t.Fatal(err)
	}
	spiffe := a.server("tcp", "127.0.0.1:0", &x509.Certificate{URIs: []*url.URL{id}}, nil)
	http1 := a.server("tcp", "127.0.0.1:0", names("localhost"), func(c *tls.Config) { c.NextProtos = []string{"http/1.1"} })
	p384 := a.server("tcp", "127.0.0.1:0", names("localhost"), func(c *tls.Config) { c.CurvePreferences = []tls.CurveID{tls.CurveP384} })

	cases := []struct {
		name, host, policies string
		want                 string // 503 if empty
	}{
		{"system", "localhost:" + local, "backendTLS: {}", ""},
		{"root", "localhost:" + local, "backendTLS: {root: CA}", "sni=localhost alpn=h2 HTTP/2.0"},
		{"old-spelling", "localhost:" + local, "backendTls: {root: CA}", "sni=localhost alpn=h2 HTTP/2.0"},
		{"wrong-ca", "localhost:" + foreign, "backendTLS: {root: CA}", ""},
		{"wrong-name", "localhost:" + elsewhere, "backendTLS: {root: CA}", ""},
		{"expired", "localhost:" + old, "backendTLS: {root: CA}", ""},

		{"hostname", "localhost:" + elsewhere, "backendTLS: {root: CA, hostname: api.example.test}", "sni=api.example.test "},
		{"hostname-wild", "localhost:" + elsewhere, "backendTLS: {root: CA, hostname: A.wild.example.test}", "sni=a.wild.example.test "},
		{"hostname-wrong", "localhost:" + elsewhere, "backendTLS: {root: CA, hostname: web.example.test}", ""},
		{"hostname-keeps-host", "localhost:" + elsewhere, "backendTLS: {root: CA, hostname: api.example.test}", "sni=api.example.test alpn=h2 HTTP/2.0 group=X25519MLKEM768 host=localhost"},

		{"ip", "127.0.0.1:" + address, "backendTLS: {root: CA}", "sni= alpn=h2"},
		{"ip-named-certificate", "127.0.0.1:" + local, "backendTLS: {root: CA}", ""},
		{"ip-hostname", "127.0.0.1:" + local, "backendTLS: {root: CA, hostname: localhost}", "sni=localhost "},
		{"ip-as-hostname", "localhost:" + address, "backendTLS: {root: CA, hostname: 127.0.0.1}", "sni= "},
		{"other-ip", "localhost:" + address, "backendTLS: {root: CA, hostname: 127.0.0.2}", ""},
		{"ipv6", "[::1]:" + v6, "backendTLS: {root: CA}", "sni= "},
		{"ipv6-wrong", "[::1]:" + v6, "backendTLS: {root: CA, hostname: '::2'}", ""},
		{"unix", "unix:" + socket, "backendTLS: {root: CA, hostname: socket.test}", "sni=socket.test "},

		{"insecure", "localhost:" + foreign, "backendTLS: {insecure: true}", "sni=localhost "},
		{"insecure-expired", "localhost:" + old, "backendTLS: {insecure: true}", "sni=localhost "},
		{"insecure-host", "localhost:" + elsewhere, "backendTLS: {root: CA, insecureHost: true}", "sni=localhost "},
		{"insecure-host-wrong-ca", "localhost:" + foreign, "backendTLS: {root: CA, insecureHost: true}", ""},
		{"insecure-host-expired", "localhost:" + old, "backendTLS: {root: CA, insecureHost: true}", ""},
		{"insecure-both", "localhost:" + foreign, "backendTLS: {root: CA, insecure: true, insecureHost: true}", ""},

		{"san", "localhost:" + elsewhere, "backendTLS: {root: CA, subjectAltNames: [nobody.test, API.example.test]}", "sni=localhost "},
		{"san-in-place-of-name", "localhost:" + local, "backendTLS: {root: CA, subjectAltNames: [api.example.test]}", ""},
		{"san-uri", "localhost:" + spiffe, "backendTLS: {root: CA, subjectAltNames: ['spiffe://td/ns/a/sa/b']}", "sni=localhost "},
		{"san-other-uri", "localhost:" + spiffe, "backendTLS: {root: CA, subjectAltNames: ['spiffe://td/ns/a/sa/c']}", ""},
		{"san-ip", "localhost:" + address, "backendTLS: {root: CA, subjectAltNames: [127.0.0.1]}", "sni=localhost "},
		{"san-wrong-ca", "localhost:" + foreign, "backendTLS: {root: CA, subjectAltNames: [localhost]}", ""},

		{"alpn", "localhost:" + local, "backendTLS: {root: CA, alpn: [http/1.1]}", "sni=localhost alpn=http/1.1 HTTP/1.1"},
		{"alpn-h2", "localhost:" + local, "backendTLS: {root: CA, alpn: [h2]}", "sni=localhost alpn=h2 HTTP/2.0"},
		{"alpn-chosen", "localhost:" + http1, "backendTLS: {root: CA}", "sni=localhost alpn=http/1.1 HTTP/1.1"},
		{"version-1.1", "localhost:" + local, "http: {version: \"1.1\"}, backendTLS: {root: CA}", "sni=localhost alpn=http/1.1 HTTP/1.1"},
		{"version-2", "localhost:" + local, "http: {version: \"2\"}, backendTLS: {root: CA}", "sni=localhost alpn=h2 HTTP/2.0"},

		{"group", "localhost:" + local, "backendTLS: {root: CA, keyExchangeGroups: [P-256]}", "sni=localhost alpn=h2 HTTP/2.0 group=CurveP256"},
		{"group-x25519", "localhost:" + local, "backendTLS: {root: CA, keyExchangeGroups: [X25519]}", "sni=localhost alpn=h2 HTTP/2.0 group=X25519 "},
		{"group-hybrid", "localhost:" + local, "backendTLS: {root: CA, keyExchangeGroups: [X25519_MLKEM768]}", "sni=localhost alpn=h2 HTTP/2.0 group=X25519MLKEM768 "},
		{"group-second", "localhost:" + p384, "backendTLS: {root: CA, keyExchangeGroups: [X25519, P-384]}", "sni=localhost alpn=h2 HTTP/2.0 group=CurveP384 "},
		{"group-none", "localhost:" + p384, "backendTLS: {root: CA, keyExchangeGroups: [X25519]}", ""},
	}
	var list [][2]string
	for _, c := range cases {
		list = append(list, [2]string{c.name, fmt.Sprintf("backends: [{host: %q, policies: {%s}}]", c.host, strings.ReplaceAll(c.policies, "CA", a.file))})
	}
	list = append(list,
		[2]string{"dynamic", "backends: [{dynamic: {}, policies: {backendTLS: {root: " + a.file + "}}}]"},
		[2]string{"dynamic-insecure", "backends: [{dynamic: {}, policies: {backendTLS: {insecure: true}}}]"},
		[2]string{"dynamic-named", "backends: [{dynamic: {}, policies: {backendTLS: {root: " + a.file + ", hostname: api.example.test}}}]"},
		[2]string{"service", "backends: [{service: {name: d/web, port: 1}, policies: {backendTLS: {root: " + a.file + ", hostname: localhost}}}]"},
	)
	b := newTestbed(t, routes(`services: [{name: web, namespace: d, hostname: web, ports: {1: `+local+`}}]
workloads: [{namespace: d, workloadIps: [127.0.0.1], services: {d/web: {}}}]
`, list...), nil)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			status, body := b.get("/"+c.name, "client.test")
			if c.want == "" && status != 503 {
				t.Errorf("%d %s, want 503", status, body)
			}
			if c.want != "" && (status != 200 || !strings.HasPrefix(body, c.want)) {
				t.Errorf("%d %s, want %s", status, body, c.want)
			}
		})
	}
	b.answers("/dynamic", "localhost:"+local, "200 sni=localhost alpn=h2 ")
	b.answers("/dynamic", "localhost:"+elsewhere, "503 ")
	b.answers("/dynamic", "localhost:"+foreign, "503 ")
	b.answers("/dynamic", "127.0.0.1:"+local, "503 ")
	b.answers("/dynamic-insecure", "localhost:"+foreign, "200 sni=localhost ")
	b.answers("/dynamic-named", "localhost:"+elsewhere, "200 sni=api.example.test ")
	b.answers("/dynamic-named", "localhost:"+local, "503 ")
	b.answers("/service", "client.test", "200 sni=localhost alpn=h2 HTTP/2.0 group=X25519MLKEM768 host=client.test")
}
