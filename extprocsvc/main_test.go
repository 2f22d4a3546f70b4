package extprocsvc_test

import (
	"os"
	"runtime"
	"testing"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"go.uber.org/goleak"

	"github.com/attache-dev/attache/config"
	"github.com/attache-dev/attache/extprocsvc"
	"github.com/attache-dev/attache/extprocsvc/extproctest"
	_ "github.com/attache-dev/attache/extprocsvc/processors"
)

func TestMain(m *testing.M) {
	if os.Getenv(benchServer) != "" {
		serveBench()
		return
	}
	goleak.VerifyTestMain(m)
}

// parse reads a configuration that must be right.
func parse(t testing.TB, yaml string) *config.Config {
	t.Helper()
	cfg, err := config.Parse("f", []byte(yaml), config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// A service is a running server with the chains of a file.
type service struct {
	*extprocsvc.Server
	client extprocv3.ExternalProcessorClient
	chains *extprocsvc.Chains
	cfg    *config.Config
}

// start serves the chains of a file.
func start(t testing.TB, build func(*config.Config) (*extprocsvc.Chains, error), o extprocsvc.Options, yaml string) *service {
	t.Helper()
	s := &service{cfg: parse(t, yaml), Server: extprocsvc.NewServer(o)}
	var err error
	if s.chains, err = build(s.cfg); err != nil {
		t.Fatal(err)
	}
	s.Install(s.chains)
	s.client = extproctest.Serve(t, s.Server)
	return s
}

// ref is the chain of the n-th route of the first listener.
func (s *service) ref(n int) string { return s.chains.ForRoute(s.cfg.Listeners[0].Routes[n]).Ref() }

// duplex is the filter that the translator makes for a chain that reads
// bodies and fails closed.
func duplex(ref string) extproctest.Filter {
	return extproctest.Filter{Request: extproctest.FullDuplex, Trailers: true, Metadata: []string{extprocsvc.MetadataKey, ref}}
}

// do sends a request and returns the outcome in words.
func (s *service) do(t testing.TB, f extproctest.Filter, m extproctest.Message) (extproctest.Outcome, string) {
	t.Helper()
	out, err := f.Do(t.Context(), s.client, m, ok)
	if err != nil {
		return out, "error: " + err.Error()
	}
	return out, out.String()
}

// settled is the counters when no stream is open. A client sees the end of its
// stream a moment before the server has counted it.
func (s *service) settled() extprocsvc.Stats {
	until(func() bool { return s.Stats().Open == 0 })
	return s.Stats()
}

// until waits for what the server does on its own.
func until(done func() bool) {
	for !done() {
		runtime.Gosched()
	}
}

// ok is a response of the upstream.
var ok = extproctest.Message{
	Header: extproctest.Header{{":status", "200"}, {"content-type", "application/json"}},
	Chunks: [][]byte{[]byte(`{"ok":`), []byte(`true}`)},
}
