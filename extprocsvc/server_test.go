package extprocsvc_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/attache-dev/attache/config"
	"github.com/attache-dev/attache/extprocsvc"
	"github.com/attache-dev/attache/extprocsvc/extproctest"
)

func build(t testing.TB, model string) (*extprocsvc.Chains, string) {
	t.Helper()
	cfg := parse(t, `binds: [{port: 1, listeners: [{routes: [{name: r, backends: [{ai: {provider: {openAI: {model: `+model+`}}}}]}]}]}]`)
	chains, err := extprocsvc.Build(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return chains, chains.ForRoute(cfg.Listeners[0].Routes[0]).Ref()
}

func TestInstallAndForget(t *testing.T) {
	var log lines
	server := extprocsvc.NewServer(extprocsvc.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	s := &service{Server: server, client: extproctest.Serve(t, server)}
	ask := func(ref, want string) {
		t.Helper()
		if _, got := s.do(t, duplex(ref), extproctest.Post(`{}`)); got != want {
			t.Errorf("%s: got %s, want %s", ref, got, want)
		}
	}
	one, ref1 := build(t, "one")
	two, ref2 := build(t, "two")
	const model1, model2 = `the model gets {"model":"one"}`, `the model gets {"model":"two"}`
	unknown := "error: rpc error: code = Unavailable desc = no chain of that name"

	ask(ref1, unknown)
	server.Install(one)
	ask(ref1, model1)
	server.Install(two)
	ask(ref1, model1) // an Envoy that has not got the new routes yet
	ask(ref2, model2)
	server.Forget(time.Hour)
	ask(ref1, model1) // a request that had found its route before
	server.Forget(0)
	ask(ref2, model2)
	ask(ref1, model2) // by the name
	ask(ref1, model2)
	server.Install(one)
	server.Forget(0)
	ask(ref1, model1)
	ask("nobody@0", unknown)
	ask("nobody", unknown)
	ask("", unknown)
	if st := s.settled(); st.StaleRefs != 2 || st.Errors != 4 || st.Chains != 1 || st.Started != 12 {
		t.Errorf("%+v", st)
	}
	if n := strings.Count(log.String(), "a version of a chain that is not known"); n != 1 {
		t.Errorf("logged %d times:\n%s", n, log.String())
	}

	f := duplex(ref1)
	f.Metadata = nil
	if _, err := f.Do(t.Context(), s.client, extproctest.Post(`{}`), ok); status.Code(err) != codes.InvalidArgument {
		t.Errorf("no chain named: %v", err)
	}
}

// A stream keeps the chain it began with.
func TestInstallDuringAStream(t *testing.T) {
	s := serve(t, extprocsvc.Options{})
	k := s.begin(t, ai)
	k.send(headers(extproctest.Post(hi)), chunk(hi[:10], false))
	until(func() bool { return s.Stats().Held > 0 })
	other, _ := build(t, "other")
	s.Install(other)
	s.Forget(0)
	k.send(chunk(hi[10:], true))
	k.recv()
	if got := k.recv().GetRequestBody().GetResponse().GetBodyMutation().GetStreamedResponse().GetBody(); string(got) != hiSmall {
		t.Errorf("got %s", got)
	}
}

// TestMaxBodyOfTheFile: a configuration has its own limit for bodies, and the
// next one has that no longer.
func TestMaxBodyOfTheFile(t *testing.T) {
	s := start(t, extprocsvc.Build, extprocsvc.Options{}, fixture+"\nfrontendPolicies: {http: {maxBufferSize: 90}}\n")
	refused := failure(413, "the request body is larger than 90 bytes", "body_too_large")
	if _, got := s.do(t, duplex(s.ref(both)), extproctest.Post(hi)); got != refused {
		t.Errorf("got  %s\nwant %s", got, refused)
	}
	s.cfg.Frontend = config.Frontend{}
	chains, err := extprocsvc.Build(s.cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.Install(chains)
	if out, got := s.do(t, duplex(s.ref(both)), extproctest.Post(hi)); out.Upstream.Body() != hiBoth {
		t.Errorf("without the limit: %s", got)
	}
}

// Many streams, while chains are installed and clients leave.
func TestConcurrently(t *testing.T) {
	s := serve(t, extprocsvc.Options{})
	ref := s.ref(both)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for range 100 {
				if i == 0 {
					s.Install(s.chains)
					s.Forget(0)
				}
				if i == 1 {
					ctx, cancel := context.WithCancel(t.Context())
					go cancel()
					_, _ = duplex(ref).Do(ctx, s.client, extproctest.Post(hi), ok)
					cancel()
					continue
				}
				out, err := duplex(ref).Do(t.Context(), s.client, extproctest.Post(hi), ok)
				if err != nil || out.String() != "the model gets "+hiBoth {
					t.Errorf("%v %v", out, err)
					return
				}
			}
		})
	}
	all.Wait()
	if st := s.settled(); st.Held != 0 || st.Errors != 0 {
		t.Errorf("%+v", st)
	}
}

// Streams that run may end in peace.
func TestGracefulStop(t *testing.T) {
	cfg := parse(t, fixture)
	chains, err := extprocsvc.Build(cfg)
	if err != nil {
		t.Fatal(err)
	}
	server := extprocsvc.NewServer(extprocsvc.Options{})
	server.Install(chains)
	g := grpc.NewServer(server.ServerOptions()...)
	server.Register(g)
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- g.Serve(l) }()
	conn, err := grpc.NewClient("unix:"+l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	s := &service{Server: server, client: extprocv3.NewExternalProcessorClient(conn), chains: chains, cfg: cfg}
	k := s.begin(t, ai)
	k.send(headers(extproctest.Post(hi)), chunk(hi[:10], false))
	until(func() bool { return s.Stats().Held > 0 })
	stopped := make(chan struct{})
	go func() {
		g.GracefulStop()
		close(stopped)
	}()
	k.send(chunk(hi[10:], true))
	k.recv()
	if got := k.recv().GetRequestBody().GetResponse().GetBodyMutation().GetStreamedResponse().GetBody(); string(got) != hiSmall {
		t.Errorf("got %s", got)
	}
	if err := k.end(); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	<-stopped
	if err := <-served; err != nil {
		t.Error(err)
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
}
