package xds

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
)

// findEnvoy looks at $ENVOY_PATH, in PATH, and where make puts it.
func findEnvoy(t *testing.T) string {
	if path := os.Getenv("ENVOY_PATH"); path != "" {
		return path
	}
	if path, err := exec.LookPath("envoy"); err == nil {
		return path
	}
	path, err := filepath.Abs("../.envoy/envoy")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatal("there is no Envoy in $ENVOY_PATH, PATH or .envoy; get one with: make envoy")
	}
	return path
}

// A realEnvoy is a process that takes its configuration from an xds server in
// the test, over a unix socket.
type realEnvoy struct {
	t         *testing.T
	xds       *Server
	socket    string
	stop      func() // stops the server
	adminFile string

	mu        sync.Mutex
	responses []string // of the running server
}

const bootstrap = `
node: {id: real, cluster: test}
admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}
dynamic_resources:
  ads_config:
    api_type: DELTA_GRPC
    transport_api_version: V3
    set_node_on_first_message_only: true
    grpc_services:
    - envoy_grpc:
        cluster_name: xds
        retry_policy: {retry_back_off: {base_interval: 0.05s, max_interval: 0.1s}}
  cds_config: {ads: {}, resource_api_version: V3, initial_fetch_timeout: 0s}
  lds_config: {ads: {}, resource_api_version: V3, initial_fetch_timeout: 0s}
static_resources:
  clusters:
  - name: xds
    type: STATIC
    connect_timeout: 5s
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {http2_protocol_options: {connection_keepalive: {interval: 30s, timeout: 5s}}}
    load_assignment:
      cluster_name: xds
      endpoints: [{lb_endpoints: [{endpoint: {address: {pipe: {path: %q}}}}]}]
`

func startEnvoy(t *testing.T) *realEnvoy {
	t.Helper()
	path := findEnvoy(t)
	dir, err := os.MkdirTemp("", "xds") // short enough for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	e := &realEnvoy{
		t:         t,
		xds:       newServer(),
		socket:    filepath.Join(dir, "xds.sock"),
		adminFile: filepath.Join(dir, "admin"),
	}
	e.serve()

	config := filepath.Join(dir, "bootstrap.yaml")
	if err := os.WriteFile(config, fmt.Appendf(nil, bootstrap, e.socket), 0o600); err != nil {
		t.Fatal(err)
	}
	logFile := filepath.Join(dir, "log")
	cmd := exec.Command(path, "-c", config, "--admin-address-path", e.adminFile, "--disable-hot-restart",
		"--concurrency", "1", "--drain-time-s", "1", "--drain-strategy", "immediate", "-l", "warning", "--log-path", logFile)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Error("envoy: ", err)
		}
		if log, err := os.ReadFile(logFile); err == nil && t.Failed() {
			t.Logf("the log of Envoy:\n%s", log)
		}
	})
	return e
}

// serve starts the server and records what it sends.
func (e *realEnvoy) serve() {
	e.t.Helper()
	l, err := net.Listen("unix", e.socket)
	if err != nil {
		e.t.Fatal(err)
	}
	e.stop = serveOn(e.t, e.xds, l, grpc.StreamInterceptor(
		func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
			return handler(srv, recordingStream{ss, e})
		}))
}

type recordingStream struct {
	grpc.ServerStream
	envoy *realEnvoy
}

func (s recordingStream) SendMsg(m any) error {
	s.envoy.mu.Lock()
	s.envoy.responses = append(s.envoy.responses, text(m.(*discoveryv3.DeltaDiscoveryResponse)))
	s.envoy.mu.Unlock()
	return s.ServerStream.SendMsg(m)
}

func (e *realEnvoy) sent() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]string(nil), e.responses...)
}

// expectSent waits until these responses were sent, and fails for any other.
// An Envoy that has everything is in sync before it gets its empty answers.
func (e *realEnvoy) expectSent(want ...string) {
	e.t.Helper()
	eventually(e.t, fmt.Sprintf("sent %q", want), func() bool { return len(e.sent()) >= len(want) })
	if got := e.sent(); !slices.Equal(got, want) {
		e.t.Errorf("sent %q, want %q", got, want)
	}
}

// restart replaces the server by a new one, as a restart of the process does.
func (e *realEnvoy) restart(snap *Snapshot) {
	e.t.Helper()
	e.stop()
	e.mu.Lock()
	e.responses = nil
	e.mu.Unlock()
	e.xds = newServer()
	e.xds.Publish(snap)
	e.serve()
}

func (e *realEnvoy) reach(what string, done func(Status) bool) {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := e.xds.Wait(ctx, done); err != nil {
		e.t.Fatalf("never %s: %+v\nsent %q", what, e.xds.Status(), e.sent())
	}
}

// admin asks Envoy's admin interface; it returns nothing before that is there.
func (e *realEnvoy) admin(path string) string {
	addr, err := os.ReadFile(e.adminFile)
	if err != nil {
		return ""
	}
	return get(e.t, "http://"+string(addr)+path)
}

func (e *realEnvoy) stat(name string) int {
	e.t.Helper()
	_, value, _ := strings.Cut(e.admin("/stats?filter=^"+name+"$"), ": ")
	n, err := strconv.Atoi(strings.TrimSpace(value))
	if err != nil {
		e.t.Errorf("the counter %s is %q", name, value)
	}
	return n
}

// listener waits for a listener to open and returns its address. Envoy
// acknowledges it a little before that.
func (e *realEnvoy) listener(name string) (addr string) {
	e.t.Helper()
	eventually(e.t, "listener "+name+" is open", func() bool {
		var list struct {
			Statuses []struct {
				Name  string `json:"name"`
				Local struct {
					Socket struct {
						Address string `json:"address"`
						Port    int    `json:"port_value"`
					} `json:"socket_address"`
				} `json:"local_address"`
			} `json:"listener_statuses"`
		}
		if err := json.Unmarshal([]byte(e.admin("/listeners?format=json")), &list); err != nil {
			return false
		}
		for _, l := range list.Statuses {
			if l.Name == name {
				addr = net.JoinHostPort(l.Local.Socket.Address, strconv.Itoa(l.Local.Socket.Port))
			}
		}
		if addr == "" {
			return false
		}
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			return false // it is known, but its workers do not accept yet
		}
		return conn.Close() == nil
	})
	return addr
}

// eventually asks again and again, for what Envoy does not announce.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); <-tick.C {
		if done() {
			return
		}
	}
	t.Fatalf("never: %s", what)
}

// backend answers with its name and the credential that it was given, and
// with a delay when its health is checked.
func backend(t *testing.T, name string, delay time.Duration) (addr string) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/health" {
			select {
			case <-time.After(delay):
			case <-r.Context().Done():
			}
		}
		fmt.Fprint(w, name, " ", r.Header.Get("Authorization"))
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// A client keeps one connection and says what went wrong instead of the body.
type client struct {
	http *http.Client
	url  string
}

func newClient(t *testing.T, url string) *client {
	transport := &http.Transport{MaxConnsPerHost: 1}
	t.Cleanup(transport.CloseIdleConnections)
	return &client{&http.Client{Transport: transport, Timeout: 20 * time.Second}, url}
}

func (c *client) get() string {
	resp, err := c.http.Get(c.url)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err.Error()
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Sprintf("%s: %s", resp.Status, body)
	}
	return string(body)
}

// get asks over a new connection.
func get(t *testing.T, url string) string {
	c := newClient(t, url)
	defer c.http.CloseIdleConnections()
	return c.get()
}

// load keeps asking until it is stopped, and reports what fails.
func load(t *testing.T, url string) (stop func()) {
	stopped := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		c := newClient(t, url)
		wg.Go(func() {
			failures, requests := 0, 0
			for {
				select {
				case <-stopped:
					if failures > 0 {
						t.Errorf("%d of %d requests failed", failures, requests)
					}
					return
				default:
				}
				requests++
				switch got := c.get(); {
				case strings.HasPrefix(got, "a "), strings.HasPrefix(got, "b "), strings.HasPrefix(got, "slow "):
				default:
					if failures++; failures == 1 {
						t.Errorf("request %d failed: %s", requests, got)
					}
				}
			}
		})
	}
	var once sync.Once
	stop = func() { once.Do(func() { close(stopped); wg.Wait() }) }
	t.Cleanup(stop)
	return stop
}
