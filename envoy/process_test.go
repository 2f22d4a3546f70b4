package envoy_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"go.uber.org/goleak"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/attache-dev/attache/envoy"
	"github.com/attache-dev/attache/envoy/envoytest"
)

// TestMain lets the test binary also be a child of a test.
func TestMain(m *testing.M) {
	switch os.Getenv("ATTACHE_TEST_ROLE") {
	case "stubborn": // an Envoy that does not want to stop
		signal.Ignore(syscall.SIGTERM)
		_, _ = io.WriteString(os.Stderr, "[info][main] here\n")
		select {}
	case "parent": // of an Envoy
		runParent()
	default:
		goleak.VerifyTestMain(m)
	}
}

// runParent runs an Envoy until somebody ends this process.
func runParent() {
	process := envoy.Process{
		Binary:    envoy.Binary{Path: os.Getenv("ATTACHE_TEST_ENVOY")},
		Bootstrap: []byte(os.Getenv("ATTACHE_TEST_BOOTSTRAP")),
		Log:       slog.New(slog.NewTextHandler(os.Stdout, nil)),
	}
	_ = process.Run(context.Background())
}

// running is an Envoy under a Process.
type running struct {
	t       *testing.T
	control *controlPlane
	pids    chan int // of each start
	log     *transcript
	stop    context.CancelFunc
	ended   chan error
}

// run starts an Envoy that joins control.
func run(t *testing.T, control *controlPlane) *running {
	t.Helper()
	bootstrap, err := envoy.Bootstrap(envoy.BootstrapOptions{
		XDS: control.address, Admin: "unix:" + t.TempDir() + "/admin",
	})
	if err != nil {
		t.Fatal(err)
	}
	return start(t, control, envoy.Process{Binary: envoytest.Find(t), Bootstrap: bootstrap, Concurrency: 1})
}

func start(t *testing.T, control *controlPlane, process envoy.Process) *running {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	r := &running{
		t: t, control: control, stop: stop,
		pids: make(chan int, 10), log: newTranscript(), ended: make(chan error, 1),
	}
	process.Log = slog.New(pidHandler{slog.NewTextHandler(r.log, nil), func(pid int) { r.pids <- pid }})
	go func() { r.ended <- process.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		<-r.ended
	})
	return r
}

// end stops the process and checks that this was no failure.
func (r *running) end() {
	r.t.Helper()
	r.stop()
	if err := receive(r.t, r.ended, "the end of Run"); err != nil {
		r.t.Error(err)
	}
	r.ended <- nil // for the cleanup
}

// receive returns what comes next from a channel.
func receive[T any](t *testing.T, from <-chan T, what string) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	select {
	case value := <-from:
		return value
	case <-ctx.Done():
		t.Fatalf("waited in vain for %s", what)
		panic("unreachable")
	}
}

// pidHandler is a log that tells the pids of the Envoys.
type pidHandler struct {
	slog.Handler
	tell func(pid int)
}

func (pidHandler) Enabled(context.Context, slog.Level) bool { return true }

func (h pidHandler) Handle(ctx context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "pid" {
			h.tell(int(a.Value.Int64()))
		}
		return true
	})
	if h.Handler == slog.DiscardHandler {
		return nil
	}
	return h.Handler.Handle(ctx, r)
}

// transcript keeps what is written to it.
type transcript struct {
	mu    sync.Mutex
	text  strings.Builder
	lines chan string
}

func newTranscript() *transcript { return &transcript{lines: make(chan string, 1000)} }

func (w *transcript) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines <- string(p)
	return w.text.Write(p)
}

func (w *transcript) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

func TestRunAndStop(t *testing.T) {
	control := newControlPlane(t)
	r := run(t, control)
	node := receive(t, control.joined, "Envoy")
	if node.GetId() != "envoy" || node.GetCluster() != "attache" {
		t.Errorf("node %q of %q joined", node.GetId(), node.GetCluster())
	}
	pid := receive(t, r.pids, "its pid")
	r.end()
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("Envoy outlived Run: %v", err)
	}
	if len(r.pids) > 0 {
		t.Error("Envoy was restarted while it was stopped")
	}
}

// Envoy and the control plane recognise each other by certificates, whether the
// control plane has a name or an address.
func TestJoinsOverTLS(t *testing.T) {
	cert, key := certificate(t, t.TempDir())
	own, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	trusted := x509.NewCertPool()
	trusted.AddCert(own.Leaf)
	creds := credentials.NewTLS(&tls.Config{
		Certificates: []tls.Certificate{own},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    trusted,
	})
	for _, host := range []string{"127.0.0.1", "localhost"} {
		t.Run(host, func(t *testing.T) {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			_, port, _ := net.SplitHostPort(listener.Addr().String())
			control := serve(t, listener, net.JoinHostPort(host, port), creds)
			bootstrap, err := envoy.Bootstrap(envoy.BootstrapOptions{
				XDS: control.address, TLS: &envoy.ClientTLS{CA: cert, Cert: cert, Key: key},
			})
			if err != nil {
				t.Fatal(err)
			}
			start(t, control, envoy.Process{Binary: envoytest.Find(t), Bootstrap: bootstrap})
			receive(t, control.joined, "Envoy")
		})
	}
}

func TestDeadEnvoyIsRestarted(t *testing.T) {
	control := newControlPlane(t)
	r := run(t, control)
	first := receive(t, r.pids, "the first pid")
	receive(t, control.joined, "the first Envoy")
	if err := syscall.Kill(first, syscall.SIGSEGV); err != nil {
		t.Fatal(err)
	}
	receive(t, control.left, "its end")
	second := receive(t, r.pids, "the second pid")
	receive(t, control.joined, "the second Envoy, on the same admin socket")
	if first == second {
		t.Error("it is the same")
	}
	r.end()
	if !strings.Contains(r.log.String(), `level=ERROR msg="envoy: Caught Segmentation fault`) {
		t.Errorf("the crash was not told: %q", r.log)
	}
}

func TestStubbornEnvoyIsKilled(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("ATTACHE_TEST_ROLE", "stubborn")
	r := start(t, nil, envoy.Process{Binary: envoy.Binary{Path: self}, Grace: 50 * time.Millisecond})
	for !strings.Contains(receive(t, r.log.lines, "its first line"), "envoy: here") {
	}
	r.end()
}

func TestEnvoyThatCannotBeStarted(t *testing.T) {
	process := envoy.Process{Binary: envoy.Binary{Path: t.TempDir() + "/envoy"}, Log: slog.New(slog.DiscardHandler)}
	if err := process.Run(t.Context()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// A refused resource is quoted in Envoy's log, private keys included. None of
// that may come through.
func TestRefusedSecretsAreNotLogged(t *testing.T) {
	const private = "THE-PRIVATE-KEY"
	inline := func(text string) *corev3.DataSource {
		return &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: text}}
	}
	certificates := &tlsv3.CommonTlsContext{TlsCertificates: []*tlsv3.TlsCertificate{{
		CertificateChain: inline("a certificate"), PrivateKey: inline(private),
	}}}
	socket := func(config proto.Message) *corev3.TransportSocket {
		content, err := anypb.New(config)
		if err != nil {
			t.Fatal(err)
		}
		return &corev3.TransportSocket{Name: "tls", ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: content}}
	}
	control := newControlPlane(t,
		// Refused as a whole, before Envoy looks at it.
		&clusterv3.Cluster{
			Name:                 "bad",
			ConnectTimeout:       durationpb.New(0),
			ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC},
			TransportSocket:      socket(&tlsv3.UpstreamTlsContext{CommonTlsContext: certificates}),
		},
		// Refused when Envoy unpacks what is inside.
		&listenerv3.Listener{
			Name:    "bad",
			Address: &corev3.Address{Address: &corev3.Address_Pipe{Pipe: &corev3.Pipe{Path: t.TempDir() + "/bad"}}},
			FilterChains: []*listenerv3.FilterChain{{TransportSocket: socket(&tlsv3.DownstreamTlsContext{
				CommonTlsContext: certificates,
				OcspStaplePolicy: 77,
			})}},
		},
	)
	r := run(t, control)
	for _, kind := range []string{"cluster", "listener"} {
		if why := receive(t, control.refused, "the refusal of the "+kind); !strings.Contains(why, private) {
			t.Errorf("the refusal of the %s quotes no key, so this test shows nothing: %s", kind, why)
		}
	}
	r.end()
	if log := r.log.String(); strings.Contains(log, private) {
		t.Errorf("the key is in the log:\n%s", log)
	}
}
