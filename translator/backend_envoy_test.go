package translator_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	caresv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/network/dns_resolver/cares/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/attache-dev/attache/config"
	"github.com/attache-dev/attache/translator"
	"github.com/attache-dev/attache/xds"
)

// routes is a file with one listener, whose routes answer to /<name>. Each is the
// name and what follows it in YAML.
func routes(before string, list ...[2]string) string {
	var b strings.Builder
	b.WriteString("config: {dns: {lookupFamily: V4Only}}\n" + before + "binds:\n- port: %d\n  listeners:\n  - routes:\n")
	for _, r := range list {
		fmt.Fprintf(&b, "    - {name: %s, matches: [{path: {exact: /%s}}], %s}\n", r[0], r[0], r[1])
	}
	return b.String()
}

// port is that of an address.
func port(addr string) string {
	_, p, _ := net.SplitHostPort(addr)
	return p
}

// backendOn is a backend that listens on some network.
func backendOn(t *testing.T, network, addr, name string) string {
	t.Helper()
	l, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(echo(name))
	s.Listener.Close()
	s.Listener = l
	s.Start()
	t.Cleanup(s.Close)
	return l.Addr().String()
}

// answers sends a request until it has got all that is wanted, and fails for
// anything else.
func (b *testbed) answers(target, host string, want ...string) {
	b.t.Helper()
	missing := map[string]bool{}
	for _, w := range want {
		missing[w] = true
	}
	for range 500 {
		status, body := b.get(target, host)
		answer := fmt.Sprint(status, " ", body)
		found := false
		for _, w := range want {
			if strings.HasPrefix(answer, w) {
				found = true
				delete(missing, w)
			}
		}
		if !found {
			b.t.Fatalf("%s: got %q, want one of %q", target, answer, want)
		}
		if len(missing) == 0 {
			return
		}
	}
	b.t.Errorf("%s: never got %v", target, missing)
}

func (b *testbed) get(target, host string) (int, string) {
	b.t.Helper()
	req, err := http.NewRequest("GET", fmt.Sprintf("http://127.0.0.1:%d%s", b.port, target), nil)
	if err != nil {
		b.t.Fatal(err)
	}
	req.Host = host
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		b.t.Fatalf("%s: %v", target, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatalf("%s: %v", target, err)
	}
	return resp.StatusCode, string(body)
}

// A name goes to the backend as Host, without the port; with an address or a socket
// the client's stays, also where requests are shared among them.
func TestHostsInEnvoy(t *testing.T) {
	dir, err := os.MkdirTemp("", "tr")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	v4, v6 := backend(t, "v4"), backendOn(t, "tcp", "[::1]:0", "v6")
	socket := backendOn(t, "unix", filepath.Join(dir, "s"), "unix")
	b := newTestbed(t, routes("",
		[2]string{"name", "backends: [{host: \"localhost:" + port(v4) + "\"}]"},
		[2]string{"v4", "backends: [{host: \"" + v4 + "\"}]"},
		[2]string{"v6", "backends: [{host: \"" + v6 + "\"}]"},
		[2]string{"unix", "backends: [{host: \"unix:" + socket + "\"}]"},
		[2]string{"mix", "backends: [{host: \"localhost:" + port(v4) + "\"}, {host: \"" + v6 + "\"}, {host: \"unix:" + socket + "\"}]"},
		[2]string{"zero", "backends: [{host: \"" + v4 + "\", weight: 0}, {host: \"" + v6 + "\"}]"},
		[2]string{"all-zero", "backends: [{host: \"" + v4 + "\", weight: 0}]"},
		[2]string{"none", "backends: []"},
	), nil)
	b.answers("/name", "client.test:81", "200 v4 got /name host=localhost ")
	b.answers("/v4", "client.test:81", "200 v4 got /v4 host=client.test:81 ")
	b.answers("/v6", "client.test:81", "200 v6 got /v6 host=client.test:81 ")
	b.answers("/unix", "client.test:81", "200 unix got /unix host=client.test:81 ")
	b.answers("/mix", "client.test:81", "200 v4 got /mix host=localhost ", "200 v6 got /mix host=client.test:81 ", "200 unix got /mix host=client.test:81 ")
	for range 20 {
		b.answers("/zero", "client.test", "200 v6 got ")
	}
	b.answers("/all-zero", "client.test", "500 no valid backends")
	b.answers("/none", "client.test", "500 no valid backends")
}

// A name that DNS does not know, or that it says nothing about, hinders nobody
// else.
func TestUnresolvableNameInEnvoy(t *testing.T) {
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	b := newTestbed(t, routes("",
		[2]string{"good", "backends: [{host: \"" + backend(t, "good") + "\"}]"},
		[2]string{"unknown", "backends: [{host: \"unknown.invalid:80\"}]"},
		[2]string{"silent", "backends: [{host: \"silent.test:80\"}]"},
	), nil, func(r *translator.Resources) {
		resolveBy(t, r, "silent.test:80", silent.LocalAddr().(*net.UDPAddr).Port)
	})
	b.answers("/good", "client.test", "200 good got ")
	b.answers("/unknown", "client.test", "503 ")
	b.answers("/silent", "client.test", "503 ")

	// An edit with such a name takes what else is new with it.
	b.edit(routes("",
		[2]string{"new", "backends: [{host: \"" + backend(t, "new") + "\"}]"},
		[2]string{"mute", "backends: [{host: \"mute.test:80\"}]"},
	), func(r *translator.Resources) { resolveBy(t, r, "mute.test:80", silent.LocalAddr().(*net.UDPAddr).Port) })
	b.acknowledged()
	b.answers("/new", "client.test", "200 new got ")
	b.answers("/mute", "client.test", "503 ")
}

// An edit that sends a route to a name fails no request while DNS is asked.
func TestEditToNameInEnvoy(t *testing.T) {
	before, after := backend(t, "before"), backend(t, "after")
	server := newDNS(t)
	b := newTestbed(t, routes("", [2]string{"x", "backends: [{host: \"" + before + "\"}]"}), nil)
	b.edit(routes("", [2]string{"x", "backends: [{host: \"after.test:" + port(after) + "\"}]"}), func(r *translator.Resources) {
		resolveBy(t, r, "after.test:"+port(after), server.port)
	})
	<-server.asked
	for range 20 {
		b.answers("/x", "client.test", "200 before got ")
	}
	close(server.answer)
	for range 5000 {
		status, body := b.get("/x", "client.test")
		if status != 200 {
			t.Fatalf("%d %s", status, body)
		}
		if strings.HasPrefix(body, "after got ") {
			return
		}
	}
	t.Error("the edit does not take effect")
}

// A dnsServer says that every name is 127.0.0.1, when it may answer.
type dnsServer struct {
	port          int
	asked, answer chan struct{}
}

func newDNS(t *testing.T) *dnsServer {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	s := &dnsServer{conn.LocalAddr().(*net.UDPAddr).Port, make(chan struct{}), make(chan struct{})}
	go func() {
		for first := true; ; first = false {
			query := make([]byte, 512)
			n, client, err := conn.ReadFrom(query)
			if err != nil {
				return
			}
			if first {
				close(s.asked)
			}
			go func() {
				<-s.answer
				conn.WriteTo(answerDNS(query[:n]), client)
			}()
		}
	}()
	return s
}

// answerDNS answers a query for A records.
func answerDNS(query []byte) []byte {
	end := 12 // of the header
	for query[end] != 0 {
		end += int(query[end]) + 1
	}
	end += 5 // the root, type and class
	answer := append([]byte{}, query[:end]...)
	answer[2], answer[3] = 0x81, 0x80 // a response, without an error
	copy(answer[6:12], []byte{0, 1, 0, 0, 0, 0})
	return append(answer, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1)
}

// edit replaces the configuration.
func (b *testbed) edit(text string, edit func(*translator.Resources)) {
	b.t.Helper()
	c, err := config.Parse("c.yaml", []byte(strings.Replace(text, "%d", fmt.Sprint(b.port), 1)), config.Options{})
	if err != nil {
		b.t.Fatal(err)
	}
	r, err := translator.Translate(c, translator.Options{})
	if err != nil {
		b.t.Fatal(err)
	}
	edit(r)
	snapshot, err := xds.NewSnapshot(r)
	if err != nil {
		b.t.Fatal(err)
	}
	b.xds.Publish(snapshot)
}

// acknowledged waits until Envoy has taken all of the configuration.
func (b *testbed) acknowledged() {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 20*time.Second)
	defer cancel()
	if err := b.xds.Wait(ctx, func(s xds.Status) bool { return len(s.Nodes) == 1 && s.Acknowledged }); err != nil {
		b.t.Fatalf("Envoy does not take it: %+v", b.xds.Status())
	}
}

// resolveBy makes one cluster ask a DNS server of its own.
func resolveBy(t *testing.T, r *translator.Resources, name string, port int) {
	for _, c := range r.Clusters {
		if c.Name != name {
			continue
		}
		cares := &caresv3.CaresDnsResolverConfig{}
		if err := c.TypedDnsResolverConfig.TypedConfig.UnmarshalTo(cares); err != nil {
			t.Fatal(err)
		}
		cares.Resolvers = []*corev3.Address{{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
			Address: "127.0.0.1", PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: uint32(port)},
		}}}}
		packed, err := anypb.New(cares)
		if err != nil {
			t.Fatal(err)
		}
		c.TypedDnsResolverConfig.TypedConfig = packed
		return
	}
	t.Fatalf("no cluster %s in %v", name, clusterNames(r.Clusters))
}

func clusterNames(clusters []*clusterv3.Cluster) (names []string) {
	for _, c := range clusters {
		names = append(names, c.Name)
	}
	return names
}

func TestNamedAndInvalidBackendsInEnvoy(t *testing.T) {
	a := backend(t, "a")
	b := newTestbed(t, routes("backends:\n- {name: up, host: \"localhost:"+port(a)+"\"}\n- {name: proxy, dynamic: {}}\n",
		[2]string{"slash", "backends: [{backend: /up}]"},
		[2]string{"plain", "backends: [{backend: up}]"},
		[2]string{"dynamic", "backends: [{backend: /proxy}]"},
		[2]string{"null", "backends: [{invalid: null}]"},
		[2]string{"word", "backends: [invalid]"},
		[2]string{"some", "backends: [{backend: /up}, invalid]"},
		[2]string{"never", "backends: [{backend: /up}, {invalid: null, weight: 0}]"},
	), nil)
	b.answers("/slash", "client.test", "200 a got /slash host=localhost ")
	b.answers("/plain", "client.test", "200 a got /plain host=localhost ")
	b.answers("/dynamic", a, "200 a got /dynamic ")
	b.answers("/null", "client.test", "500 no valid backends")
	b.answers("/word", "client.test", "500 no valid backends")
	b.answers("/some", "client.test", "500 no valid backends", "200 a got ")
	for range 20 {
		b.answers("/never", "client.test", "200 a got ")
	}
}

// A service is its healthy workloads, with the ports that stand for its own. Host
// is left alone.
func TestServicesInEnvoy(t *testing.T) {
	a, c, v6 := backend(t, "a"), backend(t, "c"), backendOn(t, "tcp", "[::1]:0", "v6")
	b := newTestbed(t, routes(`services:
- {name: web, namespace: default, hostname: web.internal, vips: ["/10.0.0.1"], ports: {80: `+port(a)+`, 81: 0}}
- {name: none, namespace: default, hostname: none.internal, vips: [], ports: {"80": 8080}}
workloads:
- {uid: a, namespace: default, workloadIps: [127.0.0.1], services: {default/web.internal: {}}}
- {uid: c, namespace: default, workloadIps: [127.0.0.1, 10.255.255.1], services: {default/web.internal: {80: `+port(c)+`, 81: `+port(c)+`}}}
- {uid: v6, namespace: default, workloadIps: ["::1"], services: {default/web.internal: {80: `+port(v6)+`}}}
- {uid: sick, status: Unhealthy, namespace: default, workloadIps: [127.0.0.1], services: {default/web.internal: {80: 1}}}
`,
		[2]string{"web", "backends: [{service: {name: default/web.internal, port: 80}}]"},
		[2]string{"mapped", "backends: [{service: {name: {namespace: default, hostname: web.internal}, port: 81}}]"},
		[2]string{"none", "backends: [{service: {name: default/none.internal, port: 80}}]"},
	), nil)
	b.answers("/web", "client.test:81", "200 a got /web host=client.test:81 ", "200 c got /web host=client.test:81 ", "200 v6 got /web host=client.test:81 ")
	for range 20 {
		b.answers("/mapped", "client.test", "200 c got ")
	}
	b.answers("/none", "client.test", "503 ")
}

// A forward proxy sends each request to its own host.
func TestForwardProxyInEnvoy(t *testing.T) {
	a, c := backend(t, "a"), backend(t, "c")
	b := newTestbed(t, routes("",
		[2]string{"any", "backends: [{dynamic: {}}]"},
		[2]string{"fixed", "backends: [{dynamic: {target: '\"localhost:" + port(c) + "\"'}}]"},
		[2]string{"mix", "backends: [{dynamic: {}}, {host: \"localhost:" + port(c) + "\"}]"},
	), nil)
	b.answers("/any", a, "200 a got /any host="+a+" ")
	b.answers("/any", c, "200 c got /any host="+c+" ")
	b.answers("/any", "localhost:"+port(a), "200 a got /any host=localhost:"+port(a)+" ")
	b.answers("/any", "unknown.invalid", "503 ")
	b.answers("/fixed", "client.test", "200 c got /fixed host=localhost ")
	b.answers("/mix", a, "200 a got /mix host="+a+" ", "200 c got /mix host=localhost ")
}

// A look-up that holds up a request behind a server that streams its body loses no
// byte of it.
func TestBodyBeforeAForwardProxyInEnvoy(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n, err)
	}))
	t.Cleanup(s.Close)
	b := newTestbed(t, `
config: {dns: {lookupFamily: V4Only}}
binds:
- port: %d
  listeners:
  - routes:
    - name: r
      policies: {extProc: {host: EXTERNAL}}
      backends: [{dynamic: {}}]
`, chains{"r": {}})
	big := strings.Repeat("0123456789abcdef", 1<<16)
	want := fmt.Sprint(len(big)+len("external"), " <nil>") // which adds its name
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			host := fmt.Sprintf("h%d.localhost:%s", i, port(s.Listener.Addr().String()))
			if got := b.ask(t, "POST", host, "/", big); got.body != want {
				t.Errorf("the backend got %d %.100s, want %s", got.status, got.body, want)
			}
		})
	}
	all.Wait()
}
