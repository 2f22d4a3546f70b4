package translator_test

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/attache-dev/attache/envoy/envoytest"
)

// byteBackend is an upstream that says its name at once, returns what it gets,
// and ends when the client has ended. With a TLS configuration it speaks TLS.
func byteBackend(t *testing.T, name string, c *tls.Config) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				if c != nil {
					conn = tls.Server(conn, c)
				}
				fmt.Fprintf(conn, "%s:", name)
				_, _ = io.Copy(conn, conn)
			}()
		}
	}()
	return l.Addr().String()
}

// talk sends bytes and returns all that comes back.
func talk(conn net.Conn, text string) (string, error) {
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(conn, text); err != nil {
		return "", err
	}
	half, ok := conn.(interface{ CloseWrite() error })
	if !ok {
		return "", errors.New("no half-close")
	}
	if err := half.CloseWrite(); err != nil {
		return "", err
	}
	got, err := io.ReadAll(conn)
	return string(got), err
}

// Bytes go to the backends by weight, encrypted if that is asked for; without a
// route or a backend the connection is closed.
func TestTCPInEnvoy(t *testing.T) {
	ca := newAuthority(t)
	ca.issue("localhost", "localhost")
	ca.issue("other", "other.test")
	one, two := byteBackend(t, "one", nil), byteBackend(t, "two", nil)
	secure := byteBackend(t, "secure", &tls.Config{Certificates: ca.clientConfig("localhost").Certificates})
	other := byteBackend(t, "other", &tls.Config{Certificates: ca.clientConfig("other").Certificates})
	localhost := func(addr string) string {
		_, port, _ := net.SplitHostPort(addr)
		return "localhost:" + port
	}
	ports := make([]int, 7)
	replace := []string{"ONE", one, "TWO", two, "SECURE", localhost(secure), "OTHER", localhost(other), "CA", ca.path("ca.pem")}
	for i := range ports {
		ports[i] = envoytest.Ports(t, 1)[0]
		replace = append(replace, fmt.Sprintf("P%d", i), fmt.Sprint(ports[i]))
	}
	newTestbed(t, strings.NewReplacer(replace...).Replace(`
config: {dns: {lookupFamily: V4Only}}
binds:
- {port: %d, listeners: [{}]}
- port: P0
  listeners:
  - protocol: TCP
    tcpRoutes:
    - {hostnames: [named.test], backends: [{host: TWO}]}
    - {name: z, backends: [{host: TWO}]}
    - {name: a, backends: [{host: ONE}, {host: TWO, weight: 0}]}
- port: P1
  listeners: [{protocol: TCP, tcpRoutes: [{backends: [{host: ONE}, {host: TWO, weight: 2}]}]}]
- port: P2
  listeners: [{protocol: TCP, tcpRoutes: [{policies: {backendTLS: {root: CA}}, backends: [{host: SECURE}]}]}]
- port: P3
  listeners: [{protocol: TCP, tcpRoutes: [{policies: {backendTLS: {}}, backends: [{host: SECURE}]}]}]
- port: P4
  listeners: [{protocol: TCP, tcpRoutes: []}]
- port: P5
  listeners: [{protocol: TCP, tcpRoutes: [{backends: [{host: ONE, weight: 0}]}]}]
- port: P6
  listeners: [{protocol: TCP, tcpRoutes: [{policies: {backendTLS: {root: CA}}, backends: [{host: OTHER}]}]}]
`), nil)
	reach := func(i int) (string, error) {
		conn, err := dial(t.Context(), ports[i])
		if err != nil {
			t.Fatal(err)
		}
		return talk(conn, "hello")
	}
	for i, want := range map[int]string{0: "one:hello", 2: "secure:hello", 3: "", 4: "", 5: "", 6: ""} {
		if got, err := reach(i); got != want || want != "" && err != nil {
			t.Errorf("port %d: %q, %v, want %q", i, got, err, want)
		}
	}
	counts := map[string]int{}
	for range 60 {
		got, err := reach(1)
		if err != nil {
			t.Fatal(err)
		}
		counts[got]++
	}
	if counts["one:hello"] < 8 || counts["two:hello"] < 25 || len(counts) != 2 {
		t.Errorf("by weight: %v", counts)
	}
}

// The SNI chooses listener and route; with tls the encryption ends here, without
// it the client speaks with the backend.
func TestTLSConnectionsInEnvoy(t *testing.T) {
	ca := newAuthority(t)
	for _, name := range []string{"edge", "behind"} {
		ca.issue(name, name+".test")
	}
	one, two := byteBackend(t, "one", nil), byteBackend(t, "two", nil)
	behind := byteBackend(t, "behind", &tls.Config{Certificates: ca.clientConfig("behind").Certificates})
	rest := envoytest.Ports(t, 1)[0]
	b := newTestbed(t, strings.NewReplacer("ONE", one, "TWO", two, "BEHIND", behind, "DIR", ca.dir, "REST", fmt.Sprint(rest)).Replace(`
binds:
- port: %d
  listeners:
  - hostname: "*.pass.test"
    protocol: TLS
    tcpRoutes:
    - {hostnames: ["*.deep.pass.test"], backends: []}
    - {hostnames: ["*.pass.test", "x.deep.pass.test"], backends: [{host: BEHIND}]}
  - hostname: "*.end.test"
    protocol: TLS
    tls: {cert: DIR/edge.pem, key: DIR/edge.key}
    tcpRoutes:
    - {hostnames: [one.end.test], backends: [{host: ONE}]}
    - {hostnames: ["*.two.end.test"], backends: [{host: TWO}]}
- port: REST
  listeners:
  - protocol: TLS
    tcpRoutes: [{backends: [{host: BEHIND}]}]
  - hostname: "*.test"
    protocol: TLS
    tcpRoutes: [{hostnames: [a.test], backends: [{host: BEHIND}]}]
`), nil)
	for _, tc := range []struct {
		port       int
		sni        string
		cert, want string // empty: closed
	}{
		{0, "a.pass.test", "behind.test", "behind:hello"},
		{0, "b.a.pass.test", "behind.test", "behind:hello"},
		{0, "x.deep.pass.test", "behind.test", "behind:hello"},
		{0, "y.deep.pass.test", "", ""},
		{0, "pass.test", "", ""},
		{0, "one.end.test", "edge.test", "one:hello"},
		{0, "x.two.end.test", "edge.test", "two:hello"},
		{0, "three.end.test", "", ""},
		{0, noSNI, "", ""},
		{rest, noSNI, "behind.test", "behind:hello"},
		{rest, "a.example.com", "behind.test", "behind:hello"},
		{rest, "a.test", "behind.test", "behind:hello"},
		{rest, "b.test", "", ""}, // this listener's, which has no route for it
	} {
		if tc.port == 0 {
			tc.port = b.port
		}
		t.Run(fmt.Sprint(tc.port == rest, tc.sni), func(t *testing.T) {
			raw, err := dial(t.Context(), tc.port)
			if err != nil {
				t.Fatal(err)
			}
			shown := ""
			conn := tls.Client(raw, &tls.Config{ServerName: tc.sni, InsecureSkipVerify: true, VerifyConnection: func(s tls.ConnectionState) error {
				shown = s.PeerCertificates[0].Subject.CommonName
				return nil
			}})
			got, err := talk(conn, "hello")
			if got != tc.want || shown != tc.cert || (err == nil) != (tc.want != "") {
				t.Errorf("%q from %q, %v; want %q from %q", got, shown, err, tc.want, tc.cert)
			}
		})
	}
}

// The header of the PROXY protocol, version 2, tells the address of the client,
// in front of HTTP and of TLS. Whoever sends none is not served.
func TestProxyProtocolInEnvoy(t *testing.T) {
	ca := newAuthority(t)
	ca.issue("a", "a.test")
	seen := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "for=%s", r.Header.Get("X-Forwarded-For"))
	}))
	t.Cleanup(seen.Close)
	plain, secure := seen.Listener.Addr().String(), envoytest.Ports(t, 1)[0]
	b := newTestbed(t, strings.NewReplacer("PLAIN", plain, "DIR", ca.dir, "SECURE", fmt.Sprint(secure)).Replace(`
binds:
- port: %d
  tunnelProtocol: proxy
  listeners: [{routes: [{backends: [{host: PLAIN}]}]}]
- port: SECURE
  tunnelProtocol: proxy
  listeners: [{protocol: HTTPS, tls: {cert: DIR/a.pem, key: DIR/a.key}, routes: [{backends: [{host: PLAIN}]}]}]
`), nil)
	var v2 bytes.Buffer
	v2.WriteString("\r\n\r\n\x00\r\nQUIT\n\x21\x11")
	for _, field := range []any{uint16(12), [4]byte{192, 0, 2, 7}, [4]byte{192, 0, 2, 1}, uint16(4711), uint16(443)} {
		_ = binary.Write(&v2, binary.BigEndian, field)
	}
	const request = "GET /x HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n"
	for _, tc := range []struct {
		name, header string
		tls, served  bool
	}{
		{"version 2", v2.String(), false, true},
		{"version 2 and TLS", v2.String(), true, true},
		{"version 1", "PROXY TCP4 192.0.2.7 192.0.2.1 4711 443\r\n", false, false},
		{"none", "", false, false},
		{"none and TLS", "", true, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			port := map[bool]int{false: b.port, true: secure}[tc.tls]
			conn, err := dial(t.Context(), port)
			if err != nil {
				t.Fatal(err)
			}
			io.WriteString(conn, tc.header)
			if tc.tls {
				conn = tls.Client(conn, &tls.Config{ServerName: "a.test", InsecureSkipVerify: true})
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(10 * time.Second))
			io.WriteString(conn, request)
			got, err := io.ReadAll(conn)
			if served := strings.Contains(string(got), "for=192.0.2.7"); served != tc.served {
				t.Errorf("served %v: %q, %v", served, got, err)
			}
		})
	}
}
