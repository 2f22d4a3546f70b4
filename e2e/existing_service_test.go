package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// An authority signs certificates for 127.0.0.1.
type authority struct {
	t    testing.TB
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	n    int64
}

func newAuthority(t testing.TB) *authority {
	a := &authority{t: t}
	a.key, a.cert = a.sign(&x509.Certificate{Subject: pkix.Name{CommonName: "ca"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	return a
}

func (a *authority) sign(c *x509.Certificate) (*ecdsa.PrivateKey, *x509.Certificate) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	a.n++
	c.SerialNumber = big.NewInt(a.n)
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), signer)
	if err != nil {
		a.t.Fatal(err)
	}
	signed, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return key, signed
}

func block64(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// pair is a new certificate and its key, in PEM.
func (a *authority) pair(name string) (cert, key string) {
	a.t.Helper()
	k, c := a.sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	})
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		a.t.Fatal(err)
	}
	return block64("CERTIFICATE", c.Raw), block64("PRIVATE KEY", der)
}

// presents connects and returns the name in the certificate of the service.
func presents(t testing.TB, addr string, c *tls.Config) string {
	t.Helper()
	conn, err := tls.Dial("tcp", addr, c)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].Subject.CommonName
}

// The printed filter reaches a service with mTLS. Its certificate may be replaced
// at any time; a broken one changes nothing. Who shows no certificate is not let in.
func TestExtProcTLS(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	a := newAuthority(t)
	cert, key := a.pair("first")
	write(t, in("cert.pem"), cert)
	write(t, in("key.pem"), key)
	write(t, in("ca.pem"), block64("CERTIFICATE", a.cert.Raw))
	flags := []string{"--tls-cert", in("cert.pem"), "--tls-key", in("key.pem"), "--tls-client-ca", in("ca.pem")}
	s := extProcService(t, existingFile, flags...)
	addr := s.addresses["extproc"]

	clientCert, clientKey := a.pair("client")
	write(t, in("client.pem"), clientCert)
	write(t, in("client.key"), clientKey)
	doc, _ := printed(t, "envoy", existingFile, append(flags, "--profile", "brief", "--extproc", addr)...)
	text, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(strings.ReplaceAll(string(text), "/etc/attache", dir)), &doc); err != nil {
		t.Fatal(err)
	}
	at := staticEnvoy(t, echoModel(t), doc["clusters"].([]any), site{filter: doc["http_filters"].([]any)[0]})
	if got := ask(t, at[0], asked, nil); got != "200 "+told {
		t.Fatal(got)
	}

	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	pair, err := tls.X509KeyPair([]byte(clientCert), []byte(clientKey))
	if err != nil {
		t.Fatal(err)
	}
	client := &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2"}}
	if got := healthOf(t, addr, credentials.NewTLS(client)); got != "SERVING" {
		t.Errorf("health: %s", got)
	}
	for name, c := range map[string]credentials.TransportCredentials{
		"no certificate": credentials.NewTLS(&tls.Config{RootCAs: roots}), "plain text": insecure.NewCredentials(),
	} {
		if got := healthOf(t, addr, c); got == "SERVING" {
			t.Errorf("%s is let in", name)
		}
	}

	if got := presents(t, addr, client); got != "first" {
		t.Errorf("got %s", got)
	}
	cert, key = a.pair("second")
	write(t, in("cert.pem"), cert)
	wait(t, "half a pair is refused", func() bool { return strings.Contains(s.text(t), "the TLS files are refused") })
	if got := presents(t, addr, client); got != "first" {
		t.Errorf("got %s", got)
	}
	write(t, in("key.pem"), key)
	wait(t, "the second certificate", func() bool { return presents(t, addr, client) == "second" })
	if got := ask(t, at[0], asked, nil); got != "200 "+told {
		t.Fatal(got)
	}
	if strings.Contains(s.text(t), "PRIVATE") {
		t.Error("the log has the key")
	}
}

func dial(t testing.TB, addr string, c credentials.TransportCredentials) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(c))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func healthOf(t testing.TB, addr string, c credentials.TransportCredentials) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r, err := healthv1.NewHealthClient(dial(t, addr, c)).Check(ctx, &healthv1.HealthCheckRequest{Service: "envoy.service.ext_proc.v3.ExternalProcessor"})
	if err != nil {
		return err.Error()
	}
	return r.GetStatus().String()
}

// An edit of the file is for the next request; a bad one changes nothing.
func TestExtProcEdits(t *testing.T) {
	s := extProcService(t, existingFile)
	doc, _ := printed(t, "envoy", existingFile, "--profile", "brief", "--extproc", s.addresses["extproc"])
	at := staticEnvoy(t, echoModel(t), doc["clusters"].([]any), site{filter: doc["http_filters"].([]any)[0]})
	if got := ask(t, at[0], asked, nil); got != "200 "+told {
		t.Fatal(got)
	}
	write(t, s.file, strings.ReplaceAll(existingFile, "Be brief.", "Be kind."))
	wait(t, "the edit", func() bool { return strings.Contains(ask(t, at[0], asked, nil), "Be kind.") })
	write(t, s.file, strings.ReplaceAll(existingFile, "system-prompt", "system-promt"))
	wait(t, "the mistake", func() bool {
		return strings.Contains(s.text(t), `attache.yaml:4:23: processors[1].type: unknown processor type "system-promt"`)
	})
	if got := ask(t, at[0], asked, nil); !strings.Contains(got, "Be kind.") {
		t.Error(got)
	}
	wait(t, "the status", func() bool {
		status := run(t, 1, "status", "--admin", s.addresses["admin"])
		return strings.Contains(status, "ext_proc streams: 0 open") && strings.Contains(status, "is refused")
	})
}

// run runs attache to its end and returns what it prints.
func run(t testing.TB, code int, args ...string) string {
	t.Helper()
	cmd := exec.Command(attache, args...)
	out, _ := cmd.CombinedOutput()
	if got := cmd.ProcessState.ExitCode(); got != code {
		t.Fatalf("attache %s: exit code %d, want %d\n%s", strings.Join(args, " "), got, code, out)
	}
	return string(out)
}

// At the end no stream begins, and those that are open finish.
func TestExtProcDrains(t *testing.T) {
	s := extProcService(t, existingFile, "--profile", "brief")
	conn := dial(t, s.addresses["extproc"], insecure.NewCredentials())
	stream, err := extprocv3.NewExternalProcessorClient(conn).Process(metadata.AppendToOutgoingContext(t.Context(), "x-attache-profile", "brief"))
	if err != nil {
		t.Fatal(err)
	}
	send := func(m *extprocv3.ProcessingRequest) {
		t.Helper()
		if err := stream.Send(m); err != nil {
			t.Fatal(err)
		}
	}
	send(&extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_RequestHeaders{RequestHeaders: &extprocv3.HttpHeaders{Headers: &corev3.HeaderMap{Headers: []*corev3.HeaderValue{
		{Key: ":method", RawValue: []byte("POST")}, {Key: ":path", RawValue: []byte("/")}, {Key: "content-type", RawValue: []byte("application/json")},
	}}}}})
	ready := func() string {
		resp, err := http.Get("http://" + s.addresses["readiness"] + "/healthz/ready")
		if err != nil {
			return err.Error()
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		return strings.TrimSpace(string(text))
	}
	if got := ready(); got != "ready" {
		t.Error(got)
	}
	wait(t, "the stream is open", func() bool {
		return strings.Contains(run(t, 0, "status", "--admin", s.addresses["admin"]), "ext_proc streams: 1 open")
	})
	if err := s.process.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	wait(t, "unready", func() bool { return ready() == "about to end" })
	send(&extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_RequestBody{RequestBody: &extprocv3.HttpBody{Body: []byte(asked), EndOfStream: true}}})
	for range 2 {
		if _, err := stream.Recv(); err != nil {
			t.Fatal(err)
		}
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if err := s.process.Wait(); err != nil {
		t.Error(err)
	}
}

// What the command line cannot mean.
func TestExtProcUsage(t *testing.T) {
	file := filepath.Join(t.TempDir(), "attache.yaml")
	write(t, file, existingFile)
	for _, c := range []struct {
		code int
		args string
		want string
	}{
		{2, "--extproc 0.0.0.0:0", "others than this machine would reach the service without TLS"},
		{2, "--extproc :0", "others than this machine"},
		{2, "--tls-cert x", "go together"},
		{2, "--tls-client-ca x", "needs --tls-cert"},
		{2, "--tls-cert /nowhere --tls-key /nowhere", "--tls-cert /nowhere"},
		{2, "--assume-body-mode none", "expected buffered or fullDuplexStreamed"},
		{2, "--max-streams 0", "at least 1"},
		{2, "--max-held 0", "at least 1"},
		{2, "--collect-timeout 0s", "more than 0"},
		{2, "--print-filter nginx", "expected envoy, istio, envoy-gateway or agentgateway"},
		{2, "--print-filter envoy --extproc 0.0.0.0:1", "--extproc-as tells where it is reached"},
		{2, "--print-filter envoy --tls-cert x --tls-key y --extproc unix:/x", "a socket has no name"},
		{1, "--profile nobody", "--profile nobody: the file has no profile of this name"},
		{1, "--print-filter envoy --profile nobody", "--profile nobody: the file has no profile of this name"},
	} {
		if got := run(t, c.code, append([]string{"extproc", "-f", file}, strings.Fields(c.args)...)...); !strings.Contains(got, c.want) {
			t.Errorf("%s: %s", c.args, got)
		}
	}
	for text, want := range map[string]string{
		"binds: []":                        "the file has no profiles",
		`profiles: [{name: "two\nlines"}]`: `profile "two\nlines": gRPC metadata cannot carry its name`,
	} {
		write(t, file, text)
		if got := run(t, 1, "extproc", "-f", file, "--print-filter", "envoy"); !strings.Contains(got, want) {
			t.Error(got)
		}
	}
}

// Where the service does not decide, the failure mode of the printed filter does:
// that of the profile.
func TestExtProcFailureModes(t *testing.T) {
	s := extProcService(t, existingFile)
	model := echoModel(t)
	var sites []site
	var clusters []any
	for _, profile := range []string{"open", "brief"} {
		doc, _ := printed(t, "envoy", existingFile, "--profile", profile, "--extproc", s.addresses["extproc"])
		sites = append(sites, site{filter: doc["http_filters"].([]any)[0]})
		clusters = doc["clusters"].([]any)
	}
	for _, f := range sites[:2] { // the same for a profile that the file has no more
		copied, _ := json.Marshal(f.filter)
		var other any
		if err := json.Unmarshal([]byte(strings.NewReplacer(`"open"`, `"gone"`, `"brief"`, `"gone"`).Replace(string(copied))), &other); err != nil {
			t.Fatal(err)
		}
		sites = append(sites, site{filter: other})
	}
	at := staticEnvoy(t, model, clusters, sites...)
	want := func(when string, answers ...string) {
		t.Helper()
		for i, w := range answers {
			if got := ask(t, at[i], asked, nil); !strings.HasPrefix(got, w) {
				t.Errorf("%s, site %d: got %s, want %s", when, i, got, w)
			}
		}
	}
	want("it decides", "200 "+told, "200 "+told, "200 "+asked, "500")
	if err := s.process.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = s.process.Wait()
	want("it is gone", "200 "+asked, "500")
}

// At a limit requests are refused, and told of, and all is well again when there is
// room.
func TestExtProcLimits(t *testing.T) {
	s := extProcService(t, existingFile, "--max-streams", "1", "--max-held", "1000")
	var sites []site
	var clusters []any
	for _, profile := range []string{"brief", "open"} {
		doc, _ := printed(t, "envoy", existingFile, "--profile", profile, "--extproc", s.addresses["extproc"])
		sites = append(sites, site{filter: doc["http_filters"].([]any)[0]})
		clusters = doc["clusters"].([]any)
	}
	at := staticEnvoy(t, echoModel(t), clusters, sites...)
	status := func(key string) float64 {
		var report struct{ ExtProc map[string]float64 }
		if err := json.Unmarshal([]byte(run(t, 0, "status", "--json", "--admin", s.addresses["admin"])), &report); err != nil {
			t.Fatal(err)
		}
		return report.ExtProc[key]
	}

	large := `{"messages":[{"role":"user","content":"` + strings.Repeat("a", 1000) + `"}]}`
	if got := ask(t, at[0], large, nil); got != "503 too many request bodies are being held; try again later" {
		t.Error(got)
	}
	if n := status("overloaded"); n != 1 {
		t.Errorf("overloaded: %v", n)
	}

	wait(t, "no request in hand", func() bool { return status("openStreams") == 0 })
	body, rest := io.Pipe()
	answered := make(chan string)
	go func() {
		resp, err := http.Post(at[0]+"/", "application/json", body)
		if err != nil {
			answered <- err.Error()
			return
		}
		resp.Body.Close()
		answered <- resp.Status
	}()
	if _, err := io.WriteString(rest, asked[:10]); err != nil {
		t.Fatal(err)
	}
	wait(t, "a request in hand", func() bool { return status("openStreams") == 1 })
	if got := ask(t, at[0], asked, nil); !strings.HasPrefix(got, "500 ") {
		t.Errorf("closed: %s", got)
	}
	if got := ask(t, at[1], asked, nil); got != "200 "+asked {
		t.Errorf("open: %s", got)
	}
	if n := status("crowded"); n != 2 {
		t.Errorf("crowded: %v", n)
	}
	if _, err := io.WriteString(rest, asked[10:]); err != nil {
		t.Fatal(err)
	}
	rest.Close()
	if got := <-answered; got != "200 OK" {
		t.Errorf("the request in hand: %s", got)
	}
	wait(t, "room again", func() bool { return ask(t, at[0], asked, nil) == "200 "+told })
	log := s.text(t)
	for _, want := range []string{
		`level=WARN msg="the bodies that are held are as large together as they may be; requests are answered with 503" limit=1000 set="--max-held, or more replicas"`,
		`level=WARN msg="as many requests are in hand as there may be; the failure mode of the filter answers more" limit=1 set="--max-streams, or more replicas"`,
	} {
		if strings.Count(log, want) != 1 {
			t.Errorf("the log has not once %s", want)
		}
	}
}

// The port tells whether it serves, and nobody what it is made of.
func TestExtProcHasNoReflection(t *testing.T) {
	s := extProcService(t, existingFile)
	if got := healthOf(t, s.addresses["extproc"], insecure.NewCredentials()); got != "SERVING" {
		t.Errorf("health: %s", got)
	}
	conn := dial(t, s.addresses["extproc"], insecure.NewCredentials())
	for _, version := range []string{"v1", "v1alpha"} {
		rpc, err := conn.NewStream(t.Context(), &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, "/grpc.reflection."+version+".ServerReflection/ServerReflectionInfo")
		if err == nil {
			err = rpc.RecvMsg(&healthv1.HealthCheckResponse{})
		}
		if status.Code(err) != codes.Unimplemented {
			t.Errorf("%s: %v", version, err)
		}
	}
}
