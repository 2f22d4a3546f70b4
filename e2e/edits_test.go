package e2e

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/attache-dev/attache/envoy"
	"github.com/attache-dev/attache/envoy/envoytest"
)

// editsFile is where the outcomes are published.
const editsFile = "../docs/edits.md"

const editsHead = `# What an edit does to traffic

Made by ` + "`go test ./e2e -run TestEdits -update`" + `: each line was done to a running
Attaché with a real Envoy while clients held their connections and asked all the
time, over HTTP/1 and HTTP/2, in plain text and over TLS, with streams of events
(SSE) open on each of them. The test fails if a line is not true any more.

There are routes without a chain, routes whose chain fails closed, and routes
whose chain fails open; the chains of two more, one of each, guard the answers: they
mask an address that is in no event whole. "Connections" counts those that Envoy
closed, politely or not; "streams" those that did not reach their next event. What an
edit takes away on purpose is said in the last column. Never, in no line, is there an
event of a guarded stream that is missing or not masked, a stream that changes its
guard, or one that is cut and looks complete to its client.

Edits of several kinds in one save, made at random and often faster than they can be
put in force, are the matter of ` + "`TestRandomEdits`; `-edits 1000 -seed 2`" + ` makes more of
them. Each answer must be one that an edit has given its route, whole, and never one
that somebody has seen replaced before.

| What is done | Requests that failed | Streams that were cut | Connections that were closed | |
|---|---|---|---|---|
`

// base is the file that is edited. The comments are where edits go.
const base = `processors:
- {name: rules, type: system-prompt, params: {modify: true, rules: [Be brief.]}}
- {name: hide, type: data-security, params: {modify: true, action: mask, matchers: [email]}}
- {name: words, type: external, config: {endpoint: "http://$PROCESSOR", namespace: labs, version: 1}}
profiles:
- {name: chain, inputStages: [{name: s, steps: [{name: rules}, {name: words}]}]}
- {name: guard, responseStages: [{name: s, steps: [{name: hide}]}]}
binds:
- port: $PORT
  listeners:
  - routes:
    # first
    - name: plain
      matches: [{headers: [{name: x-route, value: {exact: plain}}]}]
      policies: {timeout: {requestTimeout: 1h}} # plain
      backends: [{host: "$A"}] # plain
    # middle
    - name: closed
      matches: [{headers: [{name: x-route, value: {exact: closed}}]}]
      policies: {extProc: {profile: chain}}
      backends: [{host: "$C"}] # closed
    - name: open
      matches: [{headers: [{name: x-route, value: {exact: open}}]}]
      policies: {extProc: {profile: chain, failureMode: failOpen}}
      backends: [{host: "$A"}]
    - name: guarded
      matches: [{headers: [{name: x-route, value: {exact: guarded}}]}]
      policies: {extProc: {profile: guard}}
      backends: [{host: "$A"}]
    - name: loosely
      matches: [{headers: [{name: x-route, value: {exact: loosely}}]}]
      policies: {extProc: {profile: guard, failureMode: failOpen}}
      backends: [{host: "$A"}]
    # last
- port: $TLS
  listeners:
  - protocol: HTTPS
    tls: {cert: cert.pem, key: key.pem}
    routes:
    - name: secure
      backends: [{host: "$A"}]
# listener
`

// scene is Attaché and an Envoy of its own, the file, and the traffic.
type scene struct {
	t      *testing.T
	dir    string
	text   string // of the file, as the latest edit left it
	vars   *strings.Replacer
	port   [4]string // plain, TLS, added, moved
	up     [3]string // the upstreams
	groups []*group

	attaches [3]*process // replicas
	envoy    *process
	rows     bytes.Buffer
}

// process is a program that the test has started.
type process struct {
	cmd   *exec.Cmd
	log   *syncBuffer
	ended chan struct{}
}

func (s *scene) start(stderr *os.File, name string, args ...string) *process {
	s.t.Helper()
	p := &process{cmd: exec.Command(name, args...), log: &syncBuffer{}, ended: make(chan struct{})}
	p.cmd.Dir = s.dir
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	if stderr != nil {
		p.cmd.Stderr = stderr
	}
	p.cmd.Env = append(os.Environ(), "ADMIN_ADDR=unix:"+filepath.Join(s.dir, "admin"), "STATS_ADDR=off", "READINESS_ADDR=off")
	if err := p.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.ended)
	}()
	s.t.Cleanup(func() {
		p.end(syscall.SIGKILL)
		if s.t.Failed() {
			text := p.log.String()
			s.t.Logf("%s\n%s", p.cmd, text[max(0, len(text)-8000):])
		}
	})
	return p
}

func (p *process) end(sig syscall.Signal) {
	_ = p.cmd.Process.Signal(sig)
	<-p.ended
}

// socket is the path of a replica's service.
func (s *scene) socket(name string, replica int) string {
	return "unix:" + filepath.Join(s.dir, name+strconv.Itoa(replica))
}

// serve starts a replica. Envoy reaches the ext_proc services of so many. Guarded
// streams have no end here, so that a replica that ends takes all of --drain.
func (s *scene) serve(replica, replicas int, stderr *os.File, more ...string) {
	var as []string
	for i := range replicas {
		as = append(as, s.socket("extproc", i))
	}
	admin := "ADMIN_ADDR=unix:" + filepath.Join(s.dir, "admin"+strconv.Itoa(replica))
	args := append([]string{admin, attache, "serve", "-f", "attache.yaml", "--xds", s.socket("xds", replica), "--extproc", s.socket("extproc", replica),
		"--extproc-as", strings.Join(as, ","), "--drain", "1s"}, more...)
	s.attaches[replica] = s.start(stderr, "env", args...)
}

// join starts the Envoy, which knows the first replica only, with so many workers.
func (s *scene) join(workers int) {
	bootstrap, err := envoy.Bootstrap(envoy.BootstrapOptions{XDS: s.socket("xds", 0), Admin: "unix:" + filepath.Join(s.dir, "envoy")})
	if err != nil {
		s.t.Fatal(err)
	}
	args := append([]string{"--config-yaml", string(bootstrap), "--concurrency", strconv.Itoa(workers)}, envoy.Flags...)
	s.envoy = s.start(nil, envoyPath(s.t), args...)
}

// write replaces the file, in one of the ways in which editors do.
func (s *scene) write(text string) {
	s.t.Helper()
	file := filepath.Join(s.dir, "attache.yaml")
	if err := os.WriteFile(file+".new", []byte(s.vars.Replace(text)), 0o644); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		s.t.Fatal(err)
	}
}

// edit replaces texts of the file, and fails if one is not there.
func (s *scene) edit(pairs ...string) {
	s.t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if strings.Count(s.text, pairs[i]) != 1 {
			s.t.Fatalf("%q is not there once:\n%s", pairs[i], s.text)
		}
		s.text = strings.Replace(s.text, pairs[i], pairs[i+1], 1)
	}
	s.write(s.text)
}

// until waits for something that shall be.
func (s *scene) until(what string, done func() error) {
	s.t.Helper()
	var err error
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if err = done(); err == nil {
			return
		}
	}
	s.t.Fatalf("%s: never: %v", what, err)
}

// answer asks a route over a connection of its own. It returns an error unless
// the status is right, and the headers are, which are pairs.
func (s *scene) answer(port int, route string, status int, headers ...string) func() error {
	return func() error {
		w := where{addr: "127.0.0.1:" + s.port[port], tls: port == 1, route: route}
		ctx, cancel := context.WithTimeout(s.t.Context(), 10*time.Second)
		defer cancel()
		resp, err := clientOf(&http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}).Do(w.request(ctx, false))
		if err != nil {
			return err
		}
		resp.Body.Close()
		if resp.StatusCode != status {
			return fmt.Errorf("%s: status %d, want %d", route, resp.StatusCode, status)
		}
		for i := 0; i < len(headers); i += 2 {
			if got := resp.Header.Get(headers[i]); got != headers[i+1] {
				return fmt.Errorf("%s: %s is %q, want %q", route, headers[i], got, headers[i+1])
			}
		}
		return nil
	}
}

// logs waits for a line of a replica's log, from which on is its length before.
func (s *scene) logs(from int, text string) func() error {
	return func() error {
		if !strings.Contains(s.attaches[0].log.String()[from:], text) {
			return fmt.Errorf("the log has no %q", text)
		}
		return nil
	}
}

// refused closes when nobody listens on a port any more.
func (s *scene) refused(port int) func() error {
	return func() error {
		conn, err := net.Dial("tcp", "127.0.0.1:"+s.port[port])
		if err == nil {
			conn.Close()
			return fmt.Errorf("somebody listens on %s", s.port[port])
		}
		return nil
	}
}

// status asks a replica.
func (s *scene) status(replica int) (status struct {
	Config  struct{ Hash string }
	XDS     struct{ Nodes []struct{ Acknowledged bool } }
	ExtProc struct{ StartedStreams int }
}, err error) {
	socket := filepath.Join(s.dir, "admin"+strconv.Itoa(replica))
	resp, err := clientOf(&http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}).Get("http://attache/status")
	if err != nil {
		return status, err
	}
	defer resp.Body.Close()
	return status, json.NewDecoder(resp.Body).Decode(&status)
}

// synced waits until the first replica's Envoy has everything.
func (s *scene) synced() error {
	status, err := s.status(0)
	if err == nil && (len(status.XDS.Nodes) == 0 || !status.XDS.Nodes[0].Acknowledged) {
		err = fmt.Errorf("%+v", status)
	}
	return err
}

// connected waits until a replica has had requests in hand.
func (s *scene) connected(replica int) func() error {
	return func() error {
		status, err := s.status(replica)
		if err == nil && status.ExtProc.StartedStreams == 0 {
			err = fmt.Errorf("no request has come to replica %d", replica)
		}
		return err
	}
}

// wordings are what the answers of each group may be: what the model says, what the
// guard makes of it, or, where a guard fails open, either.
var wordings = map[string][]*wording{
	"plain": {spoken}, "closed": {spoken}, "open": {spoken}, "secure": {spoken}, "moved": {spoken},
	"unguarded": {masked},
	"guarded":   {masked, redacted}, "loosely": {masked, redacted, spoken},
}

// leftAlone waits until a replica gets no request any more.
func (s *scene) leftAlone(replica int) func() error {
	last := -1
	return func() error {
		m := markOf(s.groups)
		status, err := s.status(replica)
		s.busy(m)
		if now := status.ExtProc.StartedStreams; err == nil && now != last {
			last, err = now, fmt.Errorf("%d requests have come to replica %d", now, replica)
		}
		return err
	}
}

// hold adds a group of clients and streams, and waits for their first rounds.
func (s *scene) hold(name string, port int, early bool) *group {
	g := hold(s.t, name, where{addr: "127.0.0.1:" + s.port[port], tls: port == 1, route: name, reads: wordings[name]}, early)
	s.groups = append(s.groups, g)
	return g
}

func (s *scene) holdAll(early bool) {
	s.hold("plain", 0, early)
	s.hold("closed", 0, early)
	s.hold("open", 0, early)
	s.hold("guarded", 0, early)
	s.hold("loosely", 0, early)
	s.hold("secure", 1, early)
}

func (s *scene) endAll() {
	for _, g := range s.groups {
		g.end()
	}
	s.groups = nil
}

// busy waits until every client has made requests since the mark, but those of
// the groups that cannot.
func (s *scene) busy(m mark, but ...string) {
	s.t.Helper()
	groups := slices.DeleteFunc(slices.Clone(s.groups), func(g *group) bool { return slices.Contains(but, g.name) })
	s.until("traffic", func() error {
		if idle := m.idle(groups); len(idle) > 0 {
			return fmt.Errorf("waiting for %q", idle)
		}
		return nil
	})
}

// allowed are the groups to which something must happen. Of those in hand, each
// client may lose the request that it has under way, so often.
type allowed struct {
	failed, cut, closed []string
	inHand              []string
	times               int
	note                string
}

// missing tells what must happen and has not yet.
func (a allowed) missing(got map[string]outcome) error {
	for _, name := range a.failed {
		if got[name].failed == 0 {
			return fmt.Errorf("no request of %s has failed", name)
		}
	}
	for _, name := range a.cut {
		if got[name].cut == 0 {
			return fmt.Errorf("no stream of %s was cut", name)
		}
	}
	for _, name := range a.closed {
		if got[name].closed == 0 {
			return fmt.Errorf("no connection of %s was closed", name)
		}
	}
	return nil
}

// step does something under load and notes what it did to each group.
func (s *scene) step(name string, but allowed, do func()) {
	s.t.Helper()
	began := time.Now()
	before := markOf(s.groups)
	do()
	s.busy(markOf(s.groups), but.failed...)
	s.until("everybody has noticed", func() error {
		got, _ := before.since(s.groups)
		return but.missing(got)
	})
	got, failures := before.since(s.groups)
	for _, name := range but.inHand {
		if o := got[name]; o.failed <= but.times*requesters {
			o.failed = 0
			got[name] = o
		}
	}
	of := func(value func(outcome) int) (groups []string) {
		for _, name := range slices.Sorted(maps.Keys(got)) {
			if value(got[name]) > 0 {
				groups = append(groups, name)
			}
		}
		return groups
	}
	cells := []string{name}
	for _, c := range []struct {
		what string
		got  []string
		want []string
	}{
		{"requests failed", of(func(o outcome) int { return o.failed }), but.failed},
		{"streams were cut", of(func(o outcome) int { return o.cut }), but.cut},
		{"connections were closed", of(func(o outcome) int { return o.closed }), but.closed},
		{"answers were wrong", of(func(o outcome) int { return o.wrong }), nil},
	} {
		if !slices.Equal(c.got, c.want) {
			s.t.Errorf("%s: %s in the groups %q, want %q: %+v\n%s", name, c.what, c.got, c.want, got, strings.Join(failures, "\n"))
		}
		if c.what != "answers were wrong" {
			cells = append(cells, counted(c.got))
			if c.what == "requests failed" && len(but.inHand) > 0 {
				cells[1] = strings.TrimPrefix(cells[1]+", ", "0, ") + counted(but.inHand) + ": those in hand"
			}
		}
	}
	s.t.Logf("%-40s %5d ms  %+v", name, time.Since(began).Milliseconds(), got)
	fmt.Fprintf(&s.rows, "%s |\n", strings.TrimRight("| "+strings.Join(append(cells, but.note), " | "), " "))
}

// counted is a cell of the table: how many, or to whom it happens.
func counted(groups []string) string {
	words := map[string]string{"closed": "fail-closed", "open": "fail-open", "plain": "no chain", "secure": "TLS", "guarded": "guarded", "loosely": "guarded and fail-open"}
	if len(groups) == 0 {
		return "0"
	}
	var out []string
	if len(groups) == len(words) {
		return "on all routes"
	}
	for _, g := range groups {
		out = append(out, words[g])
	}
	return strings.Join(out, ", ")
}

// certificate writes a certificate for everybody with a name of its own.
func (s *scene) certificate(name string) {
	s.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: name},
		NotAfter:     time.Now().Add(time.Hour),
		DNSNames:     []string{"localhost"},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		s.t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		s.t.Fatal(err)
	}
	// The pair is replaced in two writes: what stands there in between fits not.
	for file, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: cert}, "key.pem": {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(filepath.Join(s.dir, file), pem.EncodeToMemory(block), 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
}

// presented tells whose certificate a listener shows.
func (s *scene) presented(port int, name string) func() error {
	return func() error {
		conn, err := tls.Dial("tcp", "127.0.0.1:"+s.port[port], &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			return err
		}
		defer conn.Close()
		if got := conn.ConnectionState().PeerCertificates[0].Subject.CommonName; got != name {
			return fmt.Errorf("the certificate is %q, want %q", got, name)
		}
		return nil
	}
}

// TestEdits does everything to a running Attaché that one can do, under load,
// and publishes what it did to the traffic.
func TestEdits(t *testing.T) {
	dir, err := os.MkdirTemp("", "edits-") // short enough for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &scene{t: t, dir: dir, text: base}
	s.up = [3]string{modelServer(t, "a"), modelServer(t, "b"), modelServer(t, "c")}
	for i, p := range envoytest.Ports(t, len(s.port)) {
		s.port[i] = strconv.Itoa(p)
	}
	s.vars = strings.NewReplacer("$PORT", s.port[0], "$TLS", s.port[1], "$ADDED", s.port[2], "$MOVED", s.port[3], "$A", s.up[0], "$B", s.up[1], "$C", s.up[2], "$PROCESSOR", slowProcessor(t))
	s.certificate("one")
	s.write(base)

	s.beforeTheControlPlane()
	s.routes()
	s.policies()
	s.guards()
	s.backends()
	s.listeners()
	s.files()
	s.restarts()

	got := editsHead + s.rows.String()
	if *update {
		if err := os.WriteFile(editsFile, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(editsFile); err != nil || string(want) != got {
		t.Errorf("%s is not what has happened (make update rewrites it): %v\n%s", editsFile, err, got)
	}
}

// beforeTheControlPlane: an Envoy that comes first opens its ports when it has
// all that stands behind them.
func (s *scene) beforeTheControlPlane() {
	s.join(2)
	s.holdAll(true)
	s.step("Envoy starts before Attaché", allowed{note: "its ports open when everything behind them is there"}, func() {
		s.until("Envoy waits", s.refused(0))
		s.serve(0, 1, nil)
		s.until("live", s.answer(0, "plain", 200))
	})
}

const anotherRoute = `    - name: another
      matches: [{headers: [{name: x-route, value: {exact: another}}]}]
      backends: [{host: "$B"}]
`

func (s *scene) routes() {
	for _, place := range []string{"first", "middle", "last"} {
		mark := "    # " + place + "\n"
		s.step("a route is added, "+place, allowed{}, func() {
			s.edit(mark, anotherRoute+mark)
			s.until("live", s.answer(0, "another", 200, "X-Upstream", "b"))
		})
		s.step("it is removed", allowed{}, func() {
			s.edit(anotherRoute, "")
			s.until("live", s.answer(0, "another", 404))
		})
	}
	s.step("a route is renamed", allowed{}, func() {
		s.edit("name: plain", "name: renamed", "    # last\n", anotherRoute+"    # last\n")
		s.until("live", s.answer(0, "another", 200))
	})
	s.step("the whole file is put in another order", allowed{}, func() {
		before, after, _ := strings.Cut(s.text, "- port: $TLS")
		tlsBind, _, _ := strings.Cut(after, "# listener\n")
		s.text = strings.Replace(before, "binds:\n", "binds:\n- port: $TLS"+tlsBind, 1) + "# listener\n"
		s.edit(anotherRoute, "", "    # first\n", "    # first\n"+strings.Replace(anotherRoute, "$B", "$A", 1))
		s.until("live", s.answer(0, "another", 200, "X-Upstream", "a"))
	})
}

func (s *scene) policies() {
	const none = "policies: {timeout: {requestTimeout: 1h}} # plain"
	for _, p := range []struct {
		name, policies string
		headers        []string
	}{
		{"a request header modifier", "{requestHeaderModifier: {set: {x-note: hello}}}", []string{"X-Note", "hello"}},
		{"a response header modifier", "{responseHeaderModifier: {set: {x-note: bye}}}", []string{"X-Note", "bye"}},
		{"CORS", `{cors: {allowOrigins: ["*"], exposeHeaders: [x-note]}, responseHeaderModifier: {set: {x-note: cors}}}`, []string{"X-Note", "cors"}},
		{"a chain that fails closed", "{extProc: {profile: chain}}", []string{"X-Messages", "2"}},
		{"a chain that fails open", "{extProc: {profile: chain, failureMode: failOpen}, responseHeaderModifier: {set: {x-note: open}}}", []string{"X-Messages", "2", "X-Note", "open"}},
	} {
		s.step(p.name+" is switched on", allowed{}, func() {
			s.edit(none, "policies: "+p.policies+" # plain")
			s.until("live", s.answer(0, "plain", 200, p.headers...))
		})
		s.step("it is switched off", allowed{}, func() {
			s.edit("policies: "+p.policies+" # plain", none)
			s.until("live", s.answer(0, "plain", 200, "X-Messages", "1", "X-Note", ""))
		})
	}
	s.step("a processor is edited", allowed{}, func() {
		s.edit("rules: [Be brief.]", "rules: [Be brief., Be kind.]")
		s.until("live", s.answer(0, "closed", 200, "X-Messages", "3"))
	})
}

// guards edits what holds the streams while it holds them.
func (s *scene) guards() {
	const unguarded = `    - name: unguarded
      matches: [{headers: [{name: x-route, value: {exact: unguarded}}]}]
      policies: {extProc: {profile: guard}} # unguarded
      backends: [{host: "$A"}]
`
	s.edit("    # last\n", unguarded+"    # last\n")
	s.until("live", s.answer(0, "unguarded", 200))
	streams := s.hold("unguarded", 0, false)
	s.busy(markOf(s.groups))
	streams.endRequests() // their answers change
	s.step("a guard is edited", allowed{note: "answers in flight keep the guard that they began with"}, func() {
		s.edit("action: mask, matchers: [email]", "action: redact, matchers: [email]")
		s.until("live", s.says("guarded", redacted))
	})
	edited := s.hold("guarded", 0, false)
	s.busy(markOf(s.groups))
	edited.endRequests()
	s.step("it is edited back", allowed{note: "likewise"}, func() {
		s.edit("action: redact, matchers: [email]", "action: mask, matchers: [email]")
		s.until("live", s.says("guarded", masked))
	})
	s.step("a step is added to a chain that guards", allowed{note: "likewise"}, func() {
		s.edit("steps: [{name: hide}]", "steps: [{name: hide}, {name: none}]", "profiles:\n", "- {name: none, type: data-security, params: {modify: true, action: mask, matchers: [iban]}}\nprofiles:\n")
		s.until("live", s.synced)
	})
	s.step("a guard is switched off", allowed{note: "likewise"}, func() {
		s.edit("policies: {extProc: {profile: guard}} # unguarded", "policies: {} # unguarded")
		s.until("live", s.says("unguarded", spoken))
	})
	s.step("the route of guarded streams is removed", allowed{note: "likewise"}, func() {
		s.edit(strings.Replace(unguarded, "{extProc: {profile: guard}}", "{}", 1), "")
		s.until("live", s.answer(0, "unguarded", 404))
	})
	s.release(streams)
	s.release(edited)
}

// release ends a group.
func (s *scene) release(g *group) {
	g.end()
	s.groups = slices.DeleteFunc(s.groups, func(other *group) bool { return other == g })
}

// says tells whether a new answer of a route has a wording.
func (s *scene) says(route string, w *wording) func() error {
	return func() error {
		ctx, cancel := context.WithTimeout(s.t.Context(), 10*time.Second)
		defer cancel()
		return once(ctx, clientOf(&http.Transport{}), where{addr: "127.0.0.1:" + s.port[0], route: route, reads: []*wording{w}})
	}
}

func (s *scene) backends() {
	gone := strings.NewReplacer("another", "gone", "$B", "$A").Replace(anotherRoute)
	const a, b = `backends: [{host: "$A"}] # plain`, `backends: [{host: "$B"}] # plain`
	s.step("a backend is changed", allowed{note: "streams go on with the old one"}, func() {
		s.edit(a, b)
		s.until("live", s.answer(0, "plain", 200, "X-Upstream", "b"))
	})
	const both = `backends: [{host: "$A"}, {host: "$B"}] # plain`
	s.step("a second backend is added", allowed{}, func() {
		s.edit(b, both)
		s.until("live", s.answer(0, "plain", 200, "X-Upstream", "a"))
	})
	s.step("one of the two is removed", allowed{note: "streams go on with it"}, func() {
		s.edit(both, a, "    # last\n", "    # last\n"+gone)
		s.until("live", s.answer(0, "gone", 200))
	})
	s.step("it is added again", allowed{}, func() {
		s.edit(a, b, gone, "")
		s.until("live", s.answer(0, "plain", 200, "X-Upstream", "b"))
	})
	// The requests that are in our service have found their route already.
	const c, other = `backends: [{host: "$C"}] # closed`, `backends: [{host: "$A"}] # closed`
	s.step("the backend of a route with a chain is replaced, and back", allowed{}, func() {
		for range 3 {
			s.edit(c, other)
			s.until("live", s.answer(0, "closed", 200, "X-Upstream", "a"))
			s.busy(markOf(s.groups))
			s.edit(other, c)
			s.until("live", s.answer(0, "closed", 200, "X-Upstream", "c"))
		}
	})
	s.step("20 edits in a second", allowed{}, func() {
		for i := range 20 {
			if i%2 == 0 {
				s.edit(b, a)
			} else {
				s.edit(a, b)
			}
			time.Sleep(50 * time.Millisecond) // what is tested
		}
		s.edit(b, a)
		s.until("live", s.answer(0, "plain", 200, "X-Upstream", "a"))
	})
}

const addedListener = `- port: $ADDED
  listeners:
  - routes:
    - backends: [{host: "$A"}]
`

func (s *scene) listeners() {
	named := strings.Replace(anotherRoute, "another", "named", 2)
	buffered := strings.Replace(anotherRoute, "another", "buffered", 2)
	s.step("a listener is added", allowed{}, func() {
		s.edit("# listener\n", addedListener+"# listener\n")
		s.until("live", s.answer(2, "plain", 200))
	})
	// Streams only: requests on a port that is given up fail, as they should.
	moved := s.hold("moved", 2, false)
	s.busy(markOf(s.groups))
	moved.endRequests()
	encrypted := strings.Replace(addedListener, "- routes", "- protocol: HTTPS\n    tls: {cert: cert.pem, key: key.pem}\n    routes", 1)
	s.step("TLS is switched on for that listener, on the same port", allowed{note: "its streams go on, for ten minutes at most; connections in plain text are closed politely"}, func() {
		s.edit(addedListener, encrypted)
		s.until("live", s.presented(2, "one"))
	})
	s.step("it is switched off", allowed{note: "likewise"}, func() {
		s.edit(encrypted, addedListener)
		s.until("live", s.answer(2, "plain", 200))
	})
	s.step("the port of that listener is moved", allowed{note: "its streams go on, for ten minutes at most; its old port is closed"}, func() {
		s.edit("$ADDED", "$MOVED")
		s.until("live", s.answer(3, "plain", 200))
		s.until("closed", s.refused(2))
	})
	s.step("a listener is removed", allowed{note: "so do its streams"}, func() {
		s.edit(strings.Replace(addedListener, "$ADDED", "$MOVED", 1), "")
		s.until("closed", s.refused(3))
	})
	s.release(moved)
	const another = `  - protocol: HTTPS
    hostname: a.test
    tls: {cert: cert.pem, key: key.pem}
    routes: [{name: a, backends: [{host: "$A"}]}]
`
	s.step("a listener is added to a port with TLS", allowed{}, func() {
		s.edit("  - protocol: HTTPS\n", another+"  - protocol: HTTPS\n", "    # last\n", "    # last\n"+named)
		s.until("live", s.answer(0, "named", 200))
		s.until("acknowledged", s.synced)
	})
	s.step("it is removed", allowed{}, func() {
		s.edit(another, "", named, "")
		s.until("live", s.answer(0, "named", 404))
		s.until("acknowledged", s.synced)
	})
	s.step("a setting of all listeners is edited (`maxBufferSize`)", allowed{
		closed: []string{"closed", "guarded", "loosely", "open", "plain", "secure"},
		note:   "connections are closed politely, after an answer; streams go on, for ten minutes at most",
	}, func() {
		s.edit("binds:\n", "frontendPolicies: {http: {maxBufferSize: 65536}}\nbinds:\n", "    # last\n", "    # last\n"+buffered)
		s.until("live", s.answer(0, "buffered", 200))
	})
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	defer taken.Close()
	_, port, _ := net.SplitHostPort(taken.Addr().String())
	refusable := strings.Replace(addedListener, "$ADDED", port, 1)
	status := func(code int) func() error {
		return func() error {
			cmd := exec.Command(attache, "status", "--admin", "unix:"+filepath.Join(s.dir, "admin0"))
			out, _ := cmd.CombinedOutput()
			if got := cmd.ProcessState.ExitCode(); got != code {
				return fmt.Errorf("status exits with %d, want %d: %s", got, code, out)
			}
			return nil
		}
	}
	s.step("Envoy refuses an edit: a listener on a port that is taken", allowed{note: "`attache status` names it and its line"}, func() {
		s.edit("# listener\n", refusable+"# listener\n")
		s.until("refused", status(1))
	})
	s.step("it is fixed", allowed{}, func() {
		s.edit(refusable, "")
		s.until("fixed", status(0))
	})
	s.step("a certificate is swapped", allowed{}, func() {
		s.certificate("two")
		s.until("live", s.presented(1, "two"))
	})
}

func (s *scene) files() {
	log := s.attaches[0].log
	file := filepath.Join(s.dir, "attache.yaml")
	attempt := func(name, why string, do func()) {
		s.step(name, allowed{note: "the last good configuration serves"}, func() {
			from := len(log.String())
			do()
			s.until("told", s.logs(from, why))
		})
	}
	restore := func(name string) {
		s.step(name, allowed{}, func() {
			s.text = strings.Replace(s.text, "    # last\n", strings.Replace(anotherRoute, "another", "restored", 2)+"    # last\n", 1)
			s.write(s.text)
			s.until("live", s.answer(0, "restored", 200))
			s.edit(strings.Replace(anotherRoute, "another", "restored", 2), "")
			s.until("live", s.answer(0, "restored", 404))
		})
	}
	attempt("a mistake is made", "unknown key", func() { s.write(strings.Replace(s.text, "binds:", "bindz:", 1)) })
	restore("it is fixed")
	attempt("the disk is full: an editor leaves half of the file", "the last good configuration keeps serving", func() {
		if err := os.WriteFile(file, []byte(s.text[:len(s.text)/2]), 0o644); err != nil {
			s.t.Fatal(err)
		}
	})
	restore("the file is written again")
	attempt("it leaves half of the file, and that would be a good one", "ends in the middle of a line that it had", func() {
		half, _, _ := strings.Cut(s.vars.Replace(s.text), "last\n")
		if err := os.WriteFile(file, []byte(half), 0o644); err != nil {
			s.t.Fatal(err)
		}
	})
	restore("the file is written again")
	attempt("a pipe stands in its place", "not a regular file", func() {
		if err := os.Remove(file); err != nil {
			s.t.Fatal(err)
		}
		if err := syscall.Mkfifo(file, 0o600); err != nil {
			s.t.Fatal(err)
		}
	})
	restore("the file stands there again")
	attempt("the file cannot be read", "is a directory", func() {
		if err := os.Remove(file); err != nil {
			s.t.Fatal(err)
		}
		if err := os.MkdirAll(file, 0o755); err != nil {
			s.t.Fatal(err)
		}
	})
	if err := os.Remove(file); err != nil {
		s.t.Fatal(err)
	}
	restore("it can be read again")
	attempt("the file disappears", "no such file", func() {
		if err := os.Remove(file); err != nil {
			s.t.Fatal(err)
		}
	})
	restore("it returns")
}

func (s *scene) restarts() {
	closed, guarded := []string{"closed", "guarded"}, []string{"guarded", "loosely"}
	s.step("Attaché is killed (`kill -9`)", allowed{failed: closed, inHand: guarded[1:], times: 1, cut: guarded, note: "500 on fail-closed routes until it, or a second replica, is there; " + cutNote}, func() {
		s.attaches[0].end(syscall.SIGKILL)
		s.until("down", s.answer(0, "closed", 500))
	})
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	defer full.Close()
	back := s.patient("closed", "guarded", "loosely")
	s.step("it is started again, on a full disk", allowed{}, func() {
		s.serve(0, 1, full, "--state", filepath.Join(s.dir, "cert.pem", "no-directory"))
		s.until("live", s.answer(0, "closed", 200))
		back()
	})
	s.step("an edit, while neither log nor `--state` can be written", allowed{}, func() {
		s.edit("    # last\n", "    # last\n"+anotherRoute2)
		s.until("live", s.answer(0, "full", 200))
	})
	s.step("Attaché is restarted to share its work with a second replica", allowed{failed: closed, cut: guarded, note: "as when it is killed, but guarded streams may finish within `--drain`"}, func() {
		s.serve(1, 2, nil)
		s.attaches[0].end(syscall.SIGTERM)
		s.until("down", s.answer(0, "closed", 500))
	})
	back = s.patient("closed", "guarded", "loosely")
	s.serve(0, 2, nil)
	s.until("live", s.answer(0, "closed", 200))
	s.until("both replicas", s.synced)
	back()

	s.step("with two replicas, one after the other is killed (`kill -9`) and started again", allowed{inHand: guarded, times: 4, cut: guarded, note: cutNote}, func() {
		for i := range 4 {
			s.attaches[i%2].end(syscall.SIGKILL)
			s.busy(markOf(s.groups))
			s.serve(i%2, 2, nil)
			s.until("both serve", s.connected(i%2))
			s.busy(markOf(s.groups))
		}
	})
	s.step("one after the other is ended (SIGTERM) and started again", allowed{cut: guarded, note: "streams that a chain guards may finish within `--drain`"}, func() {
		for i := range 2 {
			s.attaches[i%2].end(syscall.SIGTERM)
			s.busy(markOf(s.groups))
			s.serve(i%2, 2, nil)
			s.until("both serve", s.connected(i%2))
			s.busy(markOf(s.groups))
		}
	})

	// While the first is away, all that is guarded is in the hands of the others.
	const listNote = "what is in the service stays there"
	s.attaches[0].end(syscall.SIGTERM)
	s.busy(markOf(s.groups))
	s.serve(2, 3, nil)
	s.step("the list of replicas gets longer (`--extproc-as`)", allowed{note: listNote}, func() {
		s.serve(0, 3, nil)
		s.until("all serve", s.connected(2))
	})
	s.attaches[0].end(syscall.SIGTERM)
	s.busy(markOf(s.groups))
	s.step("it gets shorter", allowed{note: listNote + ", with a replica that has left the list as well"}, func() {
		s.serve(0, 2, nil)
		s.until("the third is not asked any more", s.leftAlone(2))
	})

	s.endAll()
	s.envoy.end(syscall.SIGKILL)
	s.holdAll(true)
	s.step("Envoy is killed and started again", allowed{note: "after its start; what it had in hand is lost"}, func() { s.join(2) })
}

// cutNote is what becomes of a guarded stream without its guard.
const cutNote = "streams that it guards end with an error, which no client takes for the end"

var anotherRoute2 = strings.Replace(anotherRoute, "another", "full", 2)

// patient ends groups whose requests cannot succeed for a while, and returns what
// starts them again.
func (s *scene) patient(names ...string) (back func()) {
	s.groups = slices.DeleteFunc(s.groups, func(g *group) bool {
		ends := slices.Contains(names, g.name)
		if ends {
			g.end()
		}
		return ends
	})
	return func() {
		for _, name := range names {
			s.hold(name, 0, false)
		}
	}
}
