package translator_test

import (
	"bufio"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/attache-dev/attache/config"
	"github.com/attache-dev/attache/envoy/envoytest"
	"github.com/attache-dev/attache/translator"
	"github.com/attache-dev/attache/xds"
)

// An authority issues certificates, each into the files <file>.pem and
// <file>.key of its directory. Its own certificate is ca.pem.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  crypto.Signer
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	a.cert = a.issue("ca", "authority")
	return a
}

func (a *authority) path(file string) string { return filepath.Join(a.dir, file) }

func (a *authority) issue(file, name string) *x509.Certificate {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	return a.issueTo(file, name, key)
}

func (a *authority) issueTo(file, name string, key crypto.Signer) *x509.Certificate {
	a.t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: a.cert == nil, BasicConstraintsValid: true,
		DNSNames: []string{name},
	}
	parent := a.cert
	if parent == nil {
		parent, a.key = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	for end, block := range map[string]*pem.Block{".pem": {Type: "CERTIFICATE", Bytes: der}, ".key": {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(a.path(file+end), pem.EncodeToMemory(block), 0o600); err != nil {
			a.t.Fatal(err)
		}
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert
}

// clientConfig trusts the authority. With a file, it shows that certificate.
func (a *authority) clientConfig(file string) *tls.Config {
	a.t.Helper()
	c := &tls.Config{RootCAs: x509.NewCertPool()}
	c.RootCAs.AddCert(a.cert)
	if file != "" {
		pair, err := tls.LoadX509KeyPair(a.path(file+".pem"), a.path(file+".key"))
		if err != nil {
			a.t.Fatal(err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c
}

// An ask is one request over a TLS connection of its own.
type ask struct {
	name      string
	port      int
	sni, host string
	edit      func(*tls.Config)
	http2     bool

	fails  bool   // before there is an answer
	status int    // default 200
	cert   string // the name in the server's certificate
	want   string // in the body
}

// noSNI is an address, and an address is never sent as SNI.
const noSNI = "127.0.0.1"

func (k ask) run(t *testing.T, ca *authority) {
	t.Run(k.name, func(t *testing.T) {
		shown := ""
		c := ca.clientConfig("")
		c.ServerName, c.InsecureSkipVerify = k.sni, true // what is shown is compared
		c.VerifyConnection = func(s tls.ConnectionState) error {
			shown = s.PeerCertificates[0].Subject.CommonName
			_, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: c.RootCAs})
			return err
		}
		if k.edit != nil {
			k.edit(c)
		}
		transport := &http.Transport{
			TLSClientConfig: c, DisableKeepAlives: true, ForceAttemptHTTP2: k.http2,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx, k.port) },
		}
		req, err := http.NewRequest("GET", "https://"+k.host+"/x", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := (&http.Client{Transport: transport, Timeout: 10 * time.Second}).Do(req)
		if k.fails {
			if err == nil {
				t.Errorf("unexpected answer %d", resp.StatusCode)
				resp.Body.Close()
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != max(k.status, 200) {
			t.Errorf("status %d, want %d: %s", resp.StatusCode, max(k.status, 200), body)
		}
		if shown != k.cert {
			t.Errorf("the certificate is of %q, want %q", shown, k.cert)
		}
		if !strings.Contains(string(body), k.want) {
			t.Errorf("got %s, want %s", body, k.want)
		}
		if want := map[bool]int{true: 2, false: 1}[k.http2]; resp.ProtoMajor != want {
			t.Errorf("HTTP/%d, want HTTP/%d", resp.ProtoMajor, want)
		}
	})
}

// dial connects to a listener that is about to open.
func dial(ctx context.Context, port int) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil || ctx.Err() != nil {
			return conn, err
		}
		time.Sleep(5 * time.Millisecond) // acknowledged is not yet open
	}
}

// publish makes the file take effect.
func (b *testbed) publish(text string) {
	b.t.Helper()
	c, err := config.Parse("c.yaml", []byte(text), config.Options{})
	if err != nil {
		b.t.Fatal(err)
	}
	r, err := translator.Translate(c, translator.Options{})
	if err != nil {
		b.t.Fatal(err)
	}
	s, err := xds.NewSnapshot(r)
	if err != nil {
		b.t.Fatal(err)
	}
	b.xds.Publish(s)
	ctx, cancel := context.WithTimeout(b.t.Context(), 10*time.Second)
	defer cancel()
	if err := b.xds.Wait(ctx, func(st xds.Status) bool { return st.Acknowledged }); err != nil {
		b.t.Fatalf("Envoy does not take it: %+v", b.xds.Status())
	}
}

// The SNI chooses the listener and its certificate, Host the route; what belongs
// to another listener is 421, what belongs to none 404.
func TestHTTPSInEnvoy(t *testing.T) {
	ca := newAuthority(t)
	for _, name := range []string{"a.test", "wild.test", "default.test", "pass.test"} {
		ca.issue(name, name)
	}
	plain := backend(t, "plain")
	pass := tlsBackend(t, ca, "pass.test")
	second := envoytest.Ports(t, 1)[0]
	text := strings.NewReplacer("DIR", ca.dir, "PLAIN", plain, "PASS", pass, "SECOND", fmt.Sprint(second)).Replace(`
binds:
- port: %d
  listeners:
  - hostname: a.test
    protocol: HTTPS
    tls: {cert: DIR/a.test.pem, key: DIR/a.test.key}
    routes:
    - {matches: [{path: {exact: /x}}], backends: [{host: PLAIN}]}
  - hostname: "*.wild.test"
    protocol: HTTPS
    tls: {cert: DIR/wild.test.pem, key: DIR/wild.test.key}
    routes:
    - {hostnames: [one.wild.test], backends: [{host: PLAIN}]}
    - {backends: [], matches: [{path: {exact: /x}}]}
  - protocol: HTTPS
    tls: {cert: DIR/default.test.pem, key: DIR/default.test.key}
  - hostname: pass.test
    protocol: TLS
    tcpRoutes: [{backends: [{host: PASS}]}]
- port: SECOND
  listeners:
  - hostname: a.test
    protocol: HTTPS
    tls: {cert: DIR/a.test.pem, key: DIR/a.test.key}
    routes: [{backends: [{host: PLAIN}]}]
  - hostname: b.test
    protocol: HTTPS
    tls: {cert: DIR/wild.test.pem, key: DIR/wild.test.key}
`)
	b := newTestbed(t, text, nil)
	for _, k := range []ask{
		{name: "exact", sni: "a.test", host: "a.test", cert: "a.test", want: "plain got /x host=a.test"},
		{name: "upper case", sni: "A.test", host: "A.TEST", cert: "a.test", want: "plain got /x"},
		{name: "port in host", sni: "a.test", host: "a.test:8443", cert: "a.test", want: "plain got /x host=a.test:8443"},
		{name: "h2", sni: "a.test", host: "a.test", cert: "a.test", http2: true, want: "plain got /x"},
		{name: "wildcard", sni: "one.wild.test", host: "one.wild.test", cert: "wild.test", want: "plain got /x"},
		{name: "deep wildcard", sni: "two.one.wild.test", host: "two.one.wild.test", cert: "wild.test", status: 500, want: "no valid backends"},
		{name: "another name of the listener", sni: "two.wild.test", host: "one.wild.test", cert: "wild.test", want: "plain got /x"},
		{name: "apex", sni: "wild.test", host: "wild.test", cert: "default.test", status: 404, want: "route not found"},
		{name: "no SNI", sni: noSNI, host: "nobody.test", cert: "default.test", status: 404, want: "route not found"},
		{name: "misdirected to a wildcard", sni: "a.test", host: "one.wild.test", cert: "a.test", status: 421, want: "misdirected request"},
		{name: "misdirected to an exact name", sni: "one.wild.test", host: "a.test", cert: "wild.test", http2: true, status: 421, want: "misdirected request"},
		{name: "misdirected to the rest", sni: "a.test", host: "nobody.test", cert: "a.test", status: 421, want: "misdirected request"},
		{name: "misdirected from the rest", sni: "nobody.test", host: "a.test", cert: "default.test", status: 421, want: "misdirected request"},
		{name: "misdirected to a passthrough", sni: "a.test", host: "pass.test", cert: "a.test", status: 421, want: "misdirected request"},
		{name: "passthrough", sni: "pass.test", host: "pass.test", cert: "pass.test", http2: true, want: "behind got /x host=pass.test"},
		{name: "nobody's host", port: second, sni: "a.test", host: "nobody.test", cert: "a.test", status: 404, want: "route not found"},
		{name: "without routes", port: second, sni: "b.test", host: "b.test", cert: "wild.test", status: 404, want: "route not found"},
		{name: "nobody's SNI", port: second, sni: "nobody.test", host: "a.test", fails: true},
		{name: "no SNI for anybody", port: second, sni: noSNI, host: "a.test", fails: true},
	} {
		if k.port == 0 {
			k.port = b.port
		}
		k.run(t, ca)
	}
	t.Run("not TLS", func(t *testing.T) {
		conn, err := dial(t.Context(), b.port)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprint(conn, "GET /x HTTP/1.1\r\nHost: a.test\r\n\r\n")
		if got, _ := io.ReadAll(conn); len(got) > 0 {
			t.Errorf("got %q", got)
		}
	})
}

// tlsBackend is an upstream that speaks TLS itself, also HTTP/2.
func tlsBackend(t *testing.T, ca *authority, file string) (addr string) {
	t.Helper()
	s := httptest.NewUnstartedServer(echo("behind"))
	s.TLS = &tls.Config{Certificates: ca.clientConfig(file).Certificates}
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// Clients must show a certificate if there is a root, and speak what is allowed.
func TestTLSParametersInEnvoy(t *testing.T) {
	ca, stranger := newAuthority(t), newAuthority(t)
	ca.issue("a", "a.test")
	ca.issue("client", "client")
	stranger.issue("client", "client")
	plain := backend(t, "plain")
	var text strings.Builder
	text.WriteString("binds:\n- port: %d\n  listeners:\n")
	for _, l := range []struct{ host, keys string }{
		{"mutual.test", "root: DIR/ca.pem"},
		{"new.test", "minTLSVersion: TLS_V1_3"},
		{"old.test", "maxTLSVersion: TLS_V1_2"},
		{"both.test", "minTLSVersion: TLS_V1_2, maxTLSVersion: TLS_V1_3"},
		{"suite.test", "cipherSuites: [TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]"},
		{"modern.test", "cipherSuites: [TLS_AES_128_GCM_SHA256, TLS_AES_256_GCM_SHA384, TLS_CHACHA20_POLY1305_SHA256]"},
		{"group.test", "keyExchangeGroups: [P-384]"},
		{"kyber.test", "keyExchangeGroups: [X25519_MLKEM768]"},
		{"groups.test", "keyExchangeGroups: [X25519_MLKEM768, X25519, P-256, P-384]"},
	} {
		fmt.Fprintf(&text, "  - {hostname: %s, protocol: HTTPS, tls: {cert: DIR/a.pem, key: DIR/a.key, %s}, routes: [{backends: [{host: %q}]}]}\n", l.host, l.keys, plain)
	}
	b := newTestbed(t, strings.ReplaceAll(text.String(), "DIR", ca.dir), nil)
	version := func(v uint16) func(*tls.Config) {
		return func(c *tls.Config) { c.MinVersion, c.MaxVersion = v, v }
	}
	suite := func(id uint16) func(*tls.Config) {
		return func(c *tls.Config) { c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{id} }
	}
	group := func(id tls.CurveID) func(*tls.Config) {
		return func(c *tls.Config) { c.CurvePreferences = []tls.CurveID{id} }
	}
	for _, k := range []ask{
		{name: "client certificate", sni: "mutual.test", edit: func(c *tls.Config) { c.Certificates = ca.clientConfig("client").Certificates }},
		{name: "no client certificate", sni: "mutual.test", fails: true},
		{name: "a stranger's certificate", sni: "mutual.test", fails: true, edit: func(c *tls.Config) { c.Certificates = stranger.clientConfig("client").Certificates }},
		{name: "1.2 at least 1.3", sni: "new.test", edit: version(tls.VersionTLS12), fails: true},
		{name: "1.3 at least 1.3", sni: "new.test", edit: version(tls.VersionTLS13)},
		{name: "1.2 at most 1.2", sni: "old.test", edit: version(tls.VersionTLS12)},
		{name: "1.3 at most 1.2", sni: "old.test", edit: version(tls.VersionTLS13), fails: true},
		{name: "1.1", sni: "both.test", edit: version(tls.VersionTLS11), fails: true},
		{name: "1.2 of both", sni: "both.test", edit: version(tls.VersionTLS12)},
		{name: "1.3 of both", sni: "both.test", edit: version(tls.VersionTLS13)},
		{name: "the first suite", sni: "suite.test", edit: suite(tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256)},
		{name: "the second suite", sni: "suite.test", edit: suite(tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384)},
		{name: "another suite", sni: "suite.test", edit: suite(tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256), fails: true},
		{name: "no suite of 1.3", sni: "suite.test", edit: version(tls.VersionTLS13), fails: true},
		{name: "suites of 1.3 alone", sni: "modern.test", edit: version(tls.VersionTLS13)},
		{name: "no suite of 1.2", sni: "modern.test", edit: version(tls.VersionTLS12), fails: true},
		{name: "the group", sni: "group.test", edit: group(tls.CurveP384)},
		{name: "another group", sni: "group.test", edit: group(tls.X25519), fails: true},
		{name: "a post-quantum group", sni: "kyber.test", edit: group(tls.X25519MLKEM768)},
		{name: "not post-quantum", sni: "kyber.test", edit: group(tls.CurveP256), fails: true},
		{name: "one of four groups", sni: "groups.test", edit: group(tls.CurveP256)},
		{name: "the preferred suite", sni: "suite.test", edit: func(c *tls.Config) {
			c.MaxVersion = tls.VersionTLS12
			verify := c.VerifyConnection
			c.VerifyConnection = func(s tls.ConnectionState) error {
				if s.CipherSuite != tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 {
					return errors.New("not the first of the list")
				}
				return verify(s)
			}
		}},
	} {
		k.port, k.host, k.cert = b.port, k.sni, "a.test"
		k.run(t, ca)
	}
}

// Every kind of key that the file may name is one that Envoy takes.
func TestServerKeysInEnvoy(t *testing.T) {
	ca := newAuthority(t)
	keys := map[string]func() (crypto.Signer, error){
		"p256": func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) },
		"p384": func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P384(), rand.Reader) },
		"p521": func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P521(), rand.Reader) },
		"rsa":  func() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, 2048) },
		"ed25519": func() (crypto.Signer, error) {
			_, key, err := ed25519.GenerateKey(rand.Reader)
			return key, err
		},
	}
	plain := backend(t, "plain")
	text := "binds:\n- port: %d\n  listeners:\n"
	for kind, generate := range keys {
		key, err := generate()
		if err != nil {
			t.Fatal(err)
		}
		ca.issueTo(kind, kind+".test", key)
		text += fmt.Sprintf("  - {hostname: %s.test, protocol: HTTPS, tls: {cert: %s, key: %s}, routes: [{backends: [{host: %q}]}]}\n", kind, ca.path(kind+".pem"), ca.path(kind+".key"), plain)
	}
	b := newTestbed(t, text, nil)
	for kind := range keys {
		ask{name: kind, port: b.port, sni: kind + ".test", host: kind + ".test", cert: kind + ".test"}.run(t, ca)
	}
}

// A new certificate is for new connections: it comes by itself, and open
// connections stay. So do new roots for clients.
func TestCertificateRotationInEnvoy(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	ca.issue("a", "first.test")
	ca.issue("client", "client")
	other.issue("client", "client")
	plain := backend(t, "plain")
	text := fmt.Sprintf("binds: [{port: %%d, listeners: [{protocol: HTTPS, tls: {cert: %s, key: %s, root: %s}, routes: [{backends: [{host: %q}]}]}]}]",
		ca.path("a.pem"), ca.path("a.key"), ca.path("ca.pem"), plain)
	b := newTestbed(t, text, nil)
	text = fmt.Sprintf(text, b.port)
	show := func(from *authority) func(*tls.Config) {
		return func(c *tls.Config) { c.Certificates = from.clientConfig("client").Certificates }
	}
	ask{name: "before", port: b.port, sni: "a.test", host: "a.test", cert: "first.test", edit: show(ca)}.run(t, ca)
	ask{name: "a stranger before", port: b.port, sni: "a.test", host: "a.test", fails: true, edit: show(other)}.run(t, ca)

	c := ca.clientConfig("client")
	c.ServerName = "first.test"
	held, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", b.port), c)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	answers := bufio.NewReader(held)
	held.SetDeadline(time.Now().Add(30 * time.Second))
	again := func() {
		t.Helper()
		fmt.Fprint(held, "GET /held HTTP/1.1\r\nHost: a.test\r\n\r\n")
		resp, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatalf("the connection that was held: %v", err)
		}
		io.Copy(io.Discard, resp.Body)
		if resp.StatusCode != 200 || resp.Close {
			t.Errorf("status %d, close %v", resp.StatusCode, resp.Close)
		}
	}
	again()
	version := b.xds.Status().Version
	ca.issue("a", "second.test")
	root, err := os.ReadFile(other.path("ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(ca.path("ca.pem"), root, 0o600); err != nil {
		t.Fatal(err)
	}
	b.publish(text)
	if version == b.xds.Status().Version {
		t.Error("nothing has changed")
	}
	again()
	ask{name: "after", port: b.port, sni: "a.test", host: "a.test", cert: "second.test", edit: show(other)}.run(t, ca)
	ask{name: "a stranger after", port: b.port, sni: "a.test", host: "a.test", fails: true, edit: show(ca)}.run(t, ca)
	again()
}
