package extprocsvc_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"github.com/attache-dev/attache/config"
	"github.com/attache-dev/attache/extprocsvc"
	"github.com/attache-dev/attache/extprocsvc/extproctest"
)

// benchServer is the environment variable that makes the test binary a server
// instead: its value is the name of a contender and the path of a socket. The
// server is a process of its own so that its CPU time is known apart from the
// client's.
const benchServer = "ATTACHE_BENCH_SERVER"

// contenders are the servers that are compared.
var contenders = map[string]func() (*grpc.Server, error){
	"noop": func() (*grpc.Server, error) {
		g := grpc.NewServer()
		extprocv3.RegisterExternalProcessorServer(g, noop{})
		return g, nil
	},
	"noop-leaving": func() (*grpc.Server, error) {
		g := grpc.NewServer()
		extprocv3.RegisterExternalProcessorServer(g, noop{leave: true})
		return g, nil
	},
	"routing": func() (*grpc.Server, error) { return ours(fixture) },
	"profile": func() (*grpc.Server, error) { return ours(fixture) },
	"guard":   func() (*grpc.Server, error) { return ours(guardFile) },
}

// guardFile is a route with settings of a backend and a chain that looks for all
// that data-security knows.
const guardFile = `
processors: [{name: p, type: data-security, params: {modify: true, action: mask}}]
profiles: [{name: q, inputStages: [{name: s, steps: [{name: p}]}]}]
binds: [{port: 1, listeners: [{routes: [{policies: {extProc: {profile: q}}, backends: [{ai: {provider: {openAI: {model: m}}}}]}]}]}]
`

func ours(file string) (*grpc.Server, error) {
	cfg, err := config.Parse("f", []byte(file), config.Options{})
	if err != nil {
		return nil, err
	}
	chains, err := extprocsvc.Build(cfg)
	if err != nil {
		return nil, err
	}
	s := extprocsvc.NewServer(extprocsvc.Options{})
	s.Install(chains)
	g := grpc.NewServer(s.ServerOptions()...)
	s.Register(g)
	return g, nil
}

// noop is the least that an ext_proc server in full duplex can do.
type noop struct {
	extprocv3.UnimplementedExternalProcessorServer
	leave bool
}

func (n noop) Process(conn extprocv3.ExternalProcessor_ProcessServer) error {
	for {
		m, err := conn.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		reply := &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_RequestHeaders{RequestHeaders: &extprocv3.HeadersResponse{}}}
		body := m.GetRequestBody()
		if body != nil {
			reply.Response = &extprocv3.ProcessingResponse_RequestBody{RequestBody: &extprocv3.BodyResponse{
				Response: &extprocv3.CommonResponse{BodyMutation: &extprocv3.BodyMutation{Mutation: &extprocv3.BodyMutation_StreamedResponse{
					StreamedResponse: &extprocv3.StreamedBodyResponse{Body: body.GetBody(), EndOfStream: body.GetEndOfStream()},
				}}},
			}}
		}
		if err := conn.Send(reply); err != nil {
			return err
		}
		if n.leave && body.GetEndOfStream() {
			return nil
		}
	}
}

// serveBench runs a contender until its input ends, and answers every line of
// it with the CPU time used so far, in microseconds.
func serveBench() {
	name, socket, _ := strings.Cut(os.Getenv(benchServer), " ")
	g, err := contenders[name]()
	if err == nil {
		var l net.Listener
		if l, err = net.Listen("unix", socket); err == nil {
			go func() { _ = g.Serve(l) }()
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("ready")
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println((u.Utime.Sec+u.Stime.Sec)*1e6 + u.Utime.Usec + u.Stime.Usec)
	}
	g.Stop()
}

// recorded is what Envoy sends for a chat request of about as many KB.
func recorded(kb int) []*extprocv3.ProcessingRequest {
	body := `{"model":"gpt-4o-mini","temperature":0.7,"stream":true,"messages":[{"role":"system","content":"You are helpful."},{"role":"user","content":"` +
		strings.Repeat("Lorem ipsum dolor sit amet. ", 30+36*(kb-1)) + `"}],"max_tokens":512}`
	m := extproctest.Post(body)
	m.Header = append(m.Header, extproctest.Header{
		{"accept", "application/json"}, {"accept-encoding", "gzip, deflate"}, {"user-agent", "OpenAI/Python 1.51.0"},
		{"x-stainless-lang", "python"}, {"x-stainless-package-version", "1.51.0"}, {"x-stainless-os", "Linux"},
		{"x-stainless-arch", "x64"}, {"x-stainless-runtime", "CPython"}, {"x-stainless-runtime-version", "3.12.4"},
		{"authorization", "Bearer sk-0123456789012345678901234567890123456789"}, {"x-forwarded-proto", "http"},
		{"x-request-id", "9a1f3f62-3e2c-4f43-8a2e-9b2f5d0c7a10"}, {"x-forwarded-for", "10.0.0.7"}, {"traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
	}...)
	first := headers(m)
	first.ProtocolConfig = &extprocv3.ProtocolConfiguration{RequestBodyMode: extproctest.FullDuplex}
	return []*extprocv3.ProcessingRequest{first, chunk(body, true)}
}

// BenchmarkStream plays one recorded request to servers on a unix socket.
// server-µs/stream is the CPU time of the server's process.
func BenchmarkStream(b *testing.B) {
	cfg := parse(b, fixture)
	chains, err := extprocsvc.Build(cfg)
	if err != nil {
		b.Fatal(err)
	}
	routes := cfg.Listeners[0].Routes
	refs := map[string]string{"routing": chains.ForRoute(routes[ai]).Ref(), "profile": chains.ForRoute(routes[rules]).Ref()}
	for _, name := range []string{"noop", "noop-leaving", "routing", "profile"} {
		benchStream(b, name, name, refs[name], 1)
	}
}

// BenchmarkGuard compares routing and a scan for personal data and secrets with
// a server that does nothing, for requests of 1 KB and 10 KB.
func BenchmarkGuard(b *testing.B) {
	cfg := parse(b, guardFile)
	chains, err := extprocsvc.Build(cfg)
	if err != nil {
		b.Fatal(err)
	}
	ref := chains.ForRoute(cfg.Listeners[0].Routes[0]).Ref()
	for _, kb := range []int{1, 10} {
		for _, name := range []string{"noop", "guard"} {
			benchStream(b, fmt.Sprintf("%s/%dKB", name, kb), name, ref, kb)
		}
	}
}

// benchStream plays a request of about as many KB to a contender.
func benchStream(b *testing.B, title, name, ref string, kb int) {
	b.Run(title, func(b *testing.B) {
		client, cpu := contender(b, name)
		ctx := metadata.AppendToOutgoingContext(b.Context(), extprocsvc.MetadataKey, ref)
		b.SetParallelism(8)
		b.ReportAllocs()
		before := cpu()
		b.ResetTimer()
		b.RunParallel(func(pb *testing.PB) {
			messages := recorded(kb)
			for pb.Next() {
				rpc, err := client.Process(ctx)
				if err != nil {
					b.Error(err)
					return
				}
				for _, m := range messages {
					if err := rpc.Send(m); err != nil {
						b.Error(err)
						return
					}
				}
				for range messages {
					if _, err := rpc.Recv(); err != nil {
						b.Error(err)
						return
					}
				}
				if err := rpc.CloseSend(); err != nil {
					b.Error(err)
					return
				}
				if _, err := rpc.Recv(); !errors.Is(err, io.EOF) {
					b.Error(err)
					return
				}
			}
		})
		b.StopTimer()
		b.ReportMetric(float64(cpu()-before)/float64(b.N), "server-µs/stream")
	})
}

// contender starts a server process. cpu returns the CPU time, in
// microseconds, that it has used.
func contender(b *testing.B, name string) (client extprocv3.ExternalProcessorClient, cpu func() int64) {
	b.Helper()
	socket := filepath.Join(b.TempDir(), "s")
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), benchServer+"="+name+" "+socket)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	out := bufio.NewScanner(pipe)
	if !out.Scan() {
		b.Fatalf("%s did not start", name)
	}
	conn, err := grpc.NewClient("unix:"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = conn.Close()
		_ = in.Close()
		if err := cmd.Wait(); err != nil {
			b.Error(err)
		}
	})
	return extprocv3.NewExternalProcessorClient(conn), func() int64 {
		if _, err := fmt.Fprintln(in); err != nil || !out.Scan() {
			b.Fatalf("%s is gone: %v", name, err)
		}
		n, err := strconv.ParseInt(out.Text(), 10, 64)
		if err != nil {
			b.Fatal(err)
		}
		return n
	}
}

// BenchmarkParallel compares a stage of four steps side by side with its
// slowest step alone: 20 ms of waiting, as for a processor on another machine.
func BenchmarkParallel(b *testing.B) {
	slow := `{name: slow, type: sleepy, params: {ms: 20}}`
	for _, c := range []struct{ name, stage string }{
		{"one", `
  - {name: s, steps: [{name: slow}]}`},
		{"four", `
  - {name: s, concurrency: parallel, steps: [{name: slow, params: {ms: 5}}, {name: slow, params: {ms: 10}}, {name: slow}, {name: slow, params: {ms: 15}}]}`},
	} {
		b.Run(c.name, func(b *testing.B) {
			s := start(b, fakes.Build, extprocsvc.Options{}, stages("failClosed", c.stage, slow))
			for b.Loop() {
				s.do(b, duplex(s.ref(0)), extproctest.Post(`{"messages":[]}`))
			}
		})
	}
}

// BenchmarkHeldBody measures what a request occupies while it is decided
// about, and behind that: heap-while/body and heap-after/body are ratios.
func BenchmarkHeldBody(b *testing.B) {
	const size = 8 << 20
	body := `{"messages":[{"role":"user","content":"` + strings.Repeat("a", size) + `"}]}`
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	s := start(b, fakes.Build, extprocsvc.Options{}, stages("failClosed", `
  - {name: s, steps: [{name: meet}]}`, `{name: meet, type: meeting}`))
	b.ReportAllocs()
	for b.Loop() {
		k := s.begin(b, 0)
		before := heap()
		m := extproctest.Post(body)
		k.send(headers(m))
		for at := 0; at < len(body); at += 64 << 10 {
			end := min(at+64<<10, len(body))
			k.send(chunk(body[at:end], end == len(body)))
		}
		meetings <- struct{}{}
		b.ReportMetric(float64(heap()-before)/size, "heap-while/body")
		meetings <- struct{}{}
		for got := 0; got < len(body); {
			got += len(k.recv().GetRequestBody().GetResponse().GetBodyMutation().GetStreamedResponse().GetBody())
		}
		b.ReportMetric(float64(heap()-before)/size, "heap-after/body")
		if err := k.end(); !errors.Is(err, io.EOF) {
			b.Fatal(err)
		}
	}
}
