package translator_test

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/attache-dev/attache/envoy/envoytest"
)

// TestConnections proves frontendPolicies and config.backend through a real
// Envoy.
func TestConnections(t *testing.T) {
	closed := make(chan struct{}, 10)
	upstreamPort := make(chan int, 10)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, port, _ := net.SplitHostPort(r.RemoteAddr)
		n, _ := strconv.Atoi(port)
		select {
		case upstreamPort <- n:
		default:
		}
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "got %d bytes", len(body))
	}))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateClosed {
			select {
			case closed <- struct{}{}:
			default:
			}
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	b := newTestbed(t, fmt.Sprintf(`
frontendPolicies:
  http:
    maxBufferSize: 5000
    http1MaxHeaders: 20
    http1IdleTimeout: 1500ms
    http2MaxHeaderSize: 2048
    http2WindowSize: 70000
    http2ConnectionWindowSize: 80000
    http2KeepaliveInterval: 200ms
    http2KeepaliveTimeout: 300ms
  tcp: {keepalives: {time: 100s}}
  connect: {mode: deny}
config:
  backend: {connectTimeout: 200ms, poolIdleTimeout: 2s, keepalives: {time: 50s}}
binds:
- port: %%d
  listeners:
  - routes:
    - name: held
      matches: [{path: {pathPrefix: /held}}]
      backends: [{host: %q}]
    - name: full
      matches: [{path: {pathPrefix: /full}}]
      backends: [{host: %q}]
    - backends: [{host: %q}]
`, server.Listener.Addr(), fullListener(t), server.Listener.Addr()), chains{"held": {ReadsBody: true, FailOpen: true}})

	many := map[string]string{}
	for i := range 30 {
		many[fmt.Sprintf("x-%d", i)] = "y"
	}
	b.run(request{name: "few headers", target: "/", want: []string{"got 0 bytes"}})
	b.run(request{name: "many headers", target: "/", headers: many, status: 431})
	b.run(request{name: "large headers", target: "/", headers: map[string]string{"x": strings.Repeat("y", 3000)}, status: 431})
	b.run(request{name: "short body", target: "/held", body: strings.Repeat("x", 2000), want: []string{"got 2008 bytes"}, id: "0123", seen: []string{"held"}})
	b.run(request{name: "long body that nobody holds", target: "/", body: strings.Repeat("x", 200000), want: []string{"got 200000 bytes"}})

	t.Run("connect timeout", func(t *testing.T) {
		began := time.Now()
		b.run(request{name: "refused", target: "/full", status: 503})
		if took := time.Since(began); took >= 10*time.Second {
			t.Errorf("it took %v, as without the key", took)
		}
	})
	t.Run("pool idle timeout", func(t *testing.T) {
		select {
		case <-closed:
		case <-time.After(20 * time.Second):
			t.Error("Envoy keeps an idle connection")
		}
	})
	t.Run("idle timeout and probes", func(t *testing.T) {
		for len(upstreamPort) > 0 {
			<-upstreamPort
		}
		began := time.Now()
		conn := b.dial(t)
		fmt.Fprint(conn, "GET / HTTP/1.1\r\nhost: a\r\n\r\n")
		r := bufio.NewReader(conn)
		if resp, err := http.ReadResponse(r, nil); err != nil {
			t.Fatal(err)
		} else if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			t.Fatal(err)
		}
		if s := probes(t, b.port, conn.LocalAddr().(*net.TCPAddr).Port); s <= 90 || s > 100 {
			t.Errorf("the first probe of a client's connection is due in %ds, want 100s", s)
		}
		if s := probes(t, <-upstreamPort, server.Listener.Addr().(*net.TCPAddr).Port); s <= 40 || s > 50 {
			t.Errorf("the first probe of a backend's connection is due in %ds, want 50s", s)
		}
		if _, err := r.ReadByte(); !errors.Is(err, io.EOF) {
			t.Errorf("the idle connection is not closed: %v", err)
		}
		if took := time.Since(began); took < time.Second {
			t.Errorf("closed after %v", took)
		}
	})
	t.Run("long body", func(t *testing.T) {
		resp, err := http.Post(fmt.Sprintf("http://127.0.0.1:%d/held", b.port), "text/plain", strings.NewReader(strings.Repeat("x", 20000)))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 413 {
			t.Errorf("status %d, want 413", resp.StatusCode)
		}
	})
	t.Run("HTTP/2", func(t *testing.T) { b.http2(t) })
	t.Run("CONNECT", func(t *testing.T) {
		conn := b.dial(t)
		fmt.Fprint(conn, "CONNECT a:80 HTTP/1.1\r\nhost: a:80\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || resp.StatusCode != 405 {
			t.Errorf("%v %v, want 405", resp, err)
		}
	})
}

// TestConnectionDuration: a connection of a certain age is closed, idle or not.
func TestConnectionDuration(t *testing.T) {
	b := newTestbed(t, fmt.Sprintf(`
frontendPolicies: {http: {maxConnectionDuration: 1s}}
binds: [{port: %%d, listeners: [{routes: [{backends: [{host: %q}]}]}]}]
`, backend(t, "a")), nil)
	began := time.Now()
	conn := b.dial(t)
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nhost: a\r\n\r\n")
	if _, err := io.Copy(io.Discard, conn); err != nil {
		t.Fatalf("it is not closed: %v", err)
	}
	if took := time.Since(began); took < 900*time.Millisecond {
		t.Errorf("closed after %v", took)
	}
}

// TestConnectionsBegin proves what frontendPolicies say about the beginning of a
// connection: the PROXY protocol header and the handshake.
func TestConnectionsBegin(t *testing.T) {
	ca := newAuthority(t)
	ca.issue("a", "a.test")
	seen := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "for=%s", r.Header.Get("X-Forwarded-For"))
	}))
	t.Cleanup(seen.Close)
	const v1 = "PROXY TCP4 192.0.2.7 192.0.2.1 4711 443\r\n"
	const v2 = "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x07\xc0\x00\x02\x01\x12\x67\x01\xbb"
	for _, tc := range []struct {
		policy string
		served map[string]string // by header
	}{
		{"version: v1", map[string]string{v1: "for=192.0.2.7", v2: "", "": ""}},
		{"version: all", map[string]string{v1: "for=192.0.2.7", v2: "for=192.0.2.7", "": ""}},
		{"mode: optional", map[string]string{v1: "", v2: "for=192.0.2.7", "": "for="}},
	} {
		t.Run(tc.policy, func(t *testing.T) {
			secure := envoytest.Ports(t, 1)[0]
			b := newTestbed(t, strings.NewReplacer("PLAIN", seen.Listener.Addr().String(), "DIR", ca.dir, "SECURE", fmt.Sprint(secure), "POLICY", tc.policy).Replace(`
frontendPolicies:
  proxyProtocol: {POLICY}
  tls: {handshakeTimeout: 500ms}
binds:
- {port: %d, tunnelProtocol: proxy, listeners: [{routes: [{backends: [{host: PLAIN}]}]}]}
- {port: SECURE, listeners: [{protocol: HTTPS, tls: {cert: DIR/a.pem, key: DIR/a.key}, routes: [{backends: [{host: PLAIN}]}]}]}
`), nil)
			for header, want := range tc.served {
				conn := b.dial(t)
				fmt.Fprint(conn, header+"GET /x HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n")
				got, _ := io.ReadAll(conn)
				if served := strings.Contains(string(got), "200 OK"); served != (want != "") || !strings.Contains(string(got), want) {
					t.Errorf("header %q: got %q, want %q", header, got, want)
				}
			}
			// One says nothing, the other stops in the middle of a handshake.
			for what, shake := range map[string]func(net.Conn) net.Conn{
				"silent": func(conn net.Conn) net.Conn { return conn },
				"halfway": func(conn net.Conn) net.Conn {
					return tls.Client(&hello{Conn: conn}, &tls.Config{InsecureSkipVerify: true})
				},
			} {
				conn, err := dial(t.Context(), secure)
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(8 * time.Second))
				if _, err := io.ReadAll(shake(conn)); errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("%s: the connection is not closed", what)
				}
			}
		})
	}
}

// hello is a connection that sends one message and no more.
type hello struct {
	net.Conn
	sent bool
}

func (h *hello) Write(b []byte) (int, error) {
	if h.sent {
		return len(b), nil
	}
	h.sent = true
	return h.Conn.Write(b)
}

func (b *testbed) dial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", b.port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	return conn
}

// http2 looks at what Envoy says by itself, and does not answer its pings.
func (b *testbed) http2(t *testing.T) {
	conn := b.dial(t)
	const noSettings = "\x00\x00\x00\x04\x00\x00\x00\x00\x00"
	fmt.Fprint(conn, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"+noSettings)
	var stream, connection uint32
	pings := 0
	for {
		var head [9]byte
		if _, err := io.ReadFull(conn, head[:]); err != nil {
			break // closed, for want of answers
		}
		payload := make([]byte, int(head[0])<<16|int(head[1])<<8|int(head[2]))
		if _, err := io.ReadFull(conn, payload); err != nil {
			t.Fatal(err)
		}
		switch head[3] {
		case 4: // SETTINGS
			for ; len(payload) >= 6; payload = payload[6:] {
				if binary.BigEndian.Uint16(payload) == 4 {
					stream = binary.BigEndian.Uint32(payload[2:])
				}
			}
		case 8: // WINDOW_UPDATE
			connection = 65535 + binary.BigEndian.Uint32(payload)
		case 6:
			pings++
		}
	}
	if stream != 70000 || connection != 80000 || pings == 0 {
		t.Errorf("windows %d and %d, %d pings; want 70000 and 80000, and some", stream, connection, pings)
	}
}

// probes returns the seconds until the next probe of a connection, by its local
// and remote port, as the kernel tells.
func probes(t *testing.T, local, remote int) int {
	t.Helper()
	for _, file := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		table, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(table)) {
			f := strings.Fields(line)
			if len(f) < 6 || !strings.HasSuffix(f[1], fmt.Sprintf(":%04X", local)) || !strings.HasSuffix(f[2], fmt.Sprintf(":%04X", remote)) {
				continue
			}
			kind, ticks, _ := strings.Cut(f[5], ":")
			if kind != "02" {
				return -1
			}
			n, err := strconv.ParseInt(ticks, 16, 64)
			if err != nil {
				t.Fatal(err)
			}
			return int((n + 99) / 100)
		}
	}
	t.Fatalf("no connection from port %d to %d", local, remote)
	return 0
}

// fullListener is an address that takes no further connection and refuses none.
func fullListener(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), syscall.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr := fmt.Sprintf("127.0.0.1:%d", name.(*syscall.SockaddrInet4).Port)
	for range 4 {
		conn, err := net.DialTimeout("tcp", addr, 200*time.Millisecond)
		if err != nil {
			return addr
		}
		t.Cleanup(func() { conn.Close() })
	}
	t.Fatal("the kernel takes every connection")
	return ""
}
