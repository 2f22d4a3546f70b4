package extproctest

import (
	"context"
	"net"
	"os"
	"regexp"
	"strings"
	"testing"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/attache-dev/attache/config"
	"github.com/attache-dev/attache/extprocsvc"
)

// Serve runs the server on an in-memory connection until the test ends, and
// returns a client of it.
func Serve(t testing.TB, s *extprocsvc.Server) extprocv3.ExternalProcessorClient {
	t.Helper()
	l := bufconn.Listen(1 << 20)
	g := grpc.NewServer(s.ServerOptions()...)
	s.Register(g)
	stopped := make(chan error, 1)
	go func() { stopped <- g.Serve(l) }()
	conn, err := grpc.NewClient("passthrough:bufconn",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(1<<30), grpc.MaxCallSendMsgSize(1<<30)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
		g.Stop()
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	})
	return extprocv3.NewExternalProcessorClient(conn)
}

// route is a listener whose only route uses the profile default.
const route = `
binds:
- port: 3000
  listeners:
  - routes:
    - policies: {extProc: {profile: default}}
      backends: [{host: "127.0.0.1:9000"}]
`

// sections are what the manual of every processor has, in this order.
var sections = []string{"## Params", "## Tags", "## Rights", "## Measured", "## What it cannot catch", "## Example"}

var (
	fence  = regexp.MustCompile("(?s)```(yaml|json)\n(.*?)\n```")
	client = regexp.MustCompile(`The client gets (\d\d\d):`)
)

// README checks that README.md in the working directory has the form of a
// processor's manual: its name, what it does, and the sections; and runs its example: the first block is the file
// without routes, with a profile named default; the second is a request; the
// third is what the client gets, after "The client gets 422:", or else the
// model.
func README(t *testing.T) {
	t.Helper()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	title, rest, _ := strings.Cut(string(text), "\n")
	name, ok := strings.CutPrefix(title, "# ")
	if !ok {
		t.Fatalf("README.md: the first line must be # and the name of the processor")
	}
	for _, s := range sections {
		before, behind, ok := strings.Cut(rest, "\n"+s+"\n")
		if !ok {
			t.Fatalf("README.md: no section %q, or not in its place", s)
		}
		if strings.TrimSpace(before) == "" {
			t.Errorf("README.md: nothing stands before %q", s)
		}
		rest = behind
	}
	example := rest
	blocks := fence.FindAllStringSubmatch(example, -1)
	if len(blocks) != 3 || blocks[0][1] != "yaml" {
		t.Fatalf("README.md: the example must be a block of yaml and two of json")
	}
	if !strings.Contains(blocks[0][2], "type: "+name+"\n") {
		t.Errorf("README.md: the example has no processor of type %s", name)
	}
	cfg, err := config.Parse("README.md", []byte(blocks[0][2]+route), config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	chains, err := extprocsvc.Build(cfg)
	if err != nil {
		t.Fatal(err)
	}
	server := extprocsvc.NewServer(extprocsvc.Options{})
	t.Cleanup(server.Close)
	server.Install(chains)
	filter := Filter{
		Request: FullDuplex, Trailers: true,
		Metadata: []string{extprocsvc.MetadataKey, chains.ForRoute(cfg.Listeners[0].Routes[0]).Ref()},
	}
	out, err := filter.Do(t.Context(), Serve(t, server), Post(blocks[1][2]), Message{})
	if err != nil {
		t.Fatal(err)
	}
	want := "the model gets " + blocks[2][2]
	if m := client.FindStringSubmatch(example); m != nil {
		want = "the client gets " + m[1] + " " + blocks[2][2]
	}
	if got := out.String(); got != want {
		t.Errorf("README.md: got\n%s\nwant\n%s", got, want)
	}
}
