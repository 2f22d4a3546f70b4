package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/attache-dev/attache/envoy"
	"github.com/attache-dev/attache/envoy/envoytest"
)

var update = flag.Bool("update", false, "rewrite the files that scripts compare with")

// patience is how long a script waits for something that should happen soon.
// It is generous, since the machine may be busy.
const patience = 30 * time.Second

// attache is the program under test, built once.
var attache string

// A program that looks for races sleeps for a second before it exits, unless
// GORACE says otherwise. Programs that do not inherit the environment of the tests
// are given this one.
const goRace = "atexit_sleep_ms=0"

func TestMain(m *testing.M) {
	flag.Parse()
	os.Setenv("GORACE", goRace)
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "attache-e2e-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		attache = filepath.Join(dir, "attache")
		build := exec.Command("go", append(append([]string{"build"}, buildFlags...), "-o", attache, "../cmd/attache")...)
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "cannot build attache: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

// envoyPath is the Envoy of the tests. One that is missing is a failure, never
// a skip.
func envoyPath(t testing.TB) string {
	if local, err := filepath.Abs("../.envoy/envoy"); err == nil && os.Getenv("ENVOY_PATH") == "" {
		if _, err := os.Stat(local); err == nil {
			return local
		}
	}
	b, err := envoy.Find("")
	if err != nil {
		t.Fatalf("%v\nhint: make envoy gets it", err)
	}
	return b.Path
}

// TestScripts runs testdata/*.txtar. Beside testscript's commands there are:
//
//	start NAME PROG ARG...   run a program in the background; what it prints
//	                         goes to NAME.log
//	end NAME [CODE]          end it with SIGTERM and wait; it must exit with
//	                         CODE (default 0)
//	kill9 NAME               end it with SIGKILL and wait
//	await CMD ARG...         repeat a command of this list until it succeeds
//	exists FILE...           testscript's, for await
//	logged FILE REGEXP       the file has a line that matches
//	request [FLAGS] URL      an HTTP request; prints status, headers and body.
//	                         -status N is expected (default 200), -X METHOD,
//	                         -H 'name: value', -d BODY or @FILE, -chunked,
//	                         -T 'name: value' for a trailer, -cacert FILE as
//	                         in load; then it prints the subject of the server's
//	                         certificate, and -certificate SUBJECT is expected
//	load start NAME URL [FILE], load stop NAME
//	                         keep-alive clients that ask all the time; stop
//	                         fails if a request failed or a connection was
//	                         closed. FILE has the certificates that verify the
//	                         server, whose host is then at 127.0.0.1
//	extproc start|stop NAME ADDR   an ext_proc server, see extproc_test.go
//	echo start ADDR          an upstream that answers with what it got
//	processor start ADDR [FILE]  a processor of F5's protocol, see processor_test.go
//	hostile ADDR             clients that lie, see hostile_test.go
//	model start ADDR DIR     a model that answers from files, see model_test.go
//	python FILE ARG...       python3 with the packages that FILE requires
//
// Each script has PORT, PORT2 … PORT9 that nobody listens on, and ENVOY_PATH.
func TestScripts(t *testing.T) {
	path := envoyPath(t)
	noneStops(t)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", filepath.Dir(attache)+string(os.PathListSeparator)+env.Getenv("PATH"))
			env.Setenv("ENVOY_PATH", path)
			env.Setenv("REPO", repo())
			env.Setenv("GORACE", goRace)
			for i, port := range envoytest.Ports(t, 9) {
				name := "PORT"
				if i > 0 {
					name += strconv.Itoa(i + 1)
				}
				env.Setenv(name, strconv.Itoa(port))
			}
			for _, name := range []string{"ADMIN_ADDR", "STATS_ADDR", "READINESS_ADDR"} {
				env.Setenv(name, "127.0.0.1:0")
			}
			s := &script{programs: map[string]*program{}, loads: map[string]*load{}, extprocs: map[string]*extprocServer{}}
			env.Values[scriptKey{}] = s
			env.Defer(s.close)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"start":   start,
			"end":     end,
			"kill9":   kill9,
			"await":   await,
			"logged":  single(logged),
			"request": single(request),
			"load":    loadCommand,
			"extproc": extprocCommand,
			"echo":    echoCommand,

			"processor": processorCommand,
			"hostile":   hostileCommand,
			"model":     modelCommand,
			"python":    pythonCommand,
		},
	})
}

// noneStops refuses testscript's own command stop, which passes the script there
// and then: what is behind it would never run.
func noneStops(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	stops := regexp.MustCompile(`(?m)^(\[.*\] *)?stop( |$)`)
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if stops.Match(text) {
			t.Errorf("%s: stop ends the script as passed; end NAME ends a program", f)
		}
	}
}

func repo() string {
	dir, err := filepath.Abs("..")
	if err != nil {
		panic(err)
	}
	return dir
}

type scriptKey struct{}

// script is what one script has started.
type script struct {
	programs map[string]*program
	loads    map[string]*load
	extprocs map[string]*extprocServer
	servers  []*http.Server
}

func of(ts *testscript.TestScript) *script { return ts.Value(scriptKey{}).(*script) }

func (s *script) close() {
	for _, l := range s.loads {
		l.cancel()
	}
	for _, p := range s.programs {
		p.signal(syscall.SIGTERM)
		select {
		case <-p.ended:
		case <-time.After(10 * time.Second):
			p.signal(syscall.SIGKILL)
			<-p.ended
		}
	}
	for _, e := range s.extprocs {
		e.stop()
	}
	for _, e := range s.servers {
		e.Close()
	}
}

// program runs in the background.
type program struct {
	cmd   *exec.Cmd
	log   *os.File
	ended chan struct{}
}

func (p *program) signal(sig syscall.Signal) {
	select {
	case <-p.ended:
	default:
		_ = p.cmd.Process.Signal(sig)
	}
}

func start(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: start NAME PROG ARG...")
	}
	name := args[0]
	prog := args[1]
	if prog == "attache" {
		prog = attache
	}
	log, err := os.OpenFile(ts.MkAbs(name+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	ts.Check(err)
	cmd := exec.Command(prog, args[2:]...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = scriptEnv(ts)
	ts.Check(cmd.Start())
	p := &program{cmd: cmd, log: log, ended: make(chan struct{})}
	go func() {
		_ = cmd.Wait()
		log.Close()
		close(p.ended)
	}()
	of(ts).programs[name] = p
}

// scriptEnv is the environment of the script, which testscript does not give
// away but for single variables.
func scriptEnv(ts *testscript.TestScript) []string {
	var env []string
	for _, name := range append(strings.Fields(ts.Getenv("EXPORT")), "PATH", "HOME", "TMPDIR", "GORACE", "ENVOY_PATH", "ADMIN_ADDR", "STATS_ADDR", "READINESS_ADDR", "OPEN_AI_APIKEY", "WORK",
		"PORT", "PORT2", "PORT3", "PORT4", "PORT5", "PORT6", "PORT7", "PORT8", "PORT9") {
		if v := ts.Getenv(name); v != "" {
			env = append(env, name+"="+v)
		}
	}
	return env
}

func end(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: end NAME [CODE]")
	}
	want := 0
	if len(args) == 2 {
		var err error
		want, err = strconv.Atoi(args[1])
		ts.Check(err)
	}
	p := of(ts).programs[args[0]]
	if p == nil {
		ts.Fatalf("no program is called %s", args[0])
	}
	p.signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(patience):
		ts.Fatalf("%s does not end\n%s", args[0], ts.ReadFile(args[0]+".log"))
	}
	delete(of(ts).programs, args[0])
	if got := p.cmd.ProcessState.ExitCode(); got != want {
		ts.Fatalf("%s ended with %d, want %d\n%s", args[0], got, want, ts.ReadFile(args[0]+".log"))
	}
}

func kill9(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 || of(ts).programs[args[0]] == nil {
		ts.Fatalf("usage: kill9 NAME")
	}
	p := of(ts).programs[args[0]]
	p.signal(syscall.SIGKILL)
	<-p.ended
	delete(of(ts).programs, args[0])
}

// check is a command that can be repeated: it returns what it saw and an error.
type check func(ts *testscript.TestScript, args []string) (output string, err error)

var checks = map[string]check{
	"request": request,
	"logged":  logged,
	"exists": func(ts *testscript.TestScript, args []string) (string, error) {
		for _, f := range args {
			if _, err := os.Stat(ts.MkAbs(f)); err != nil {
				return "", err
			}
		}
		return "", nil
	},
	"exec": func(ts *testscript.TestScript, args []string) (string, error) {
		cmd := exec.Command(args[0], args[1:]...)
		if args[0] == "attache" {
			cmd.Path = attache
			cmd.Err = nil
		}
		cmd.Dir = ts.MkAbs(".")
		cmd.Env = scriptEnv(ts)
		out, err := cmd.CombinedOutput()
		return string(out), err
	},
}

// single makes a command of a check. A leading ! expects it to fail.
func single(c check) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		output, err := c(ts, args)
		fmt.Fprint(ts.Stdout(), output)
		switch {
		case err != nil && !neg:
			ts.Fatalf("%v\n%s%s", err, output, allLogs(ts))
		case err == nil && neg:
			ts.Fatalf("unexpected success\n%s", output)
		}
	}
}

func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 || checks[args[0]] == nil {
		ts.Fatalf("usage: await request|logged|exists|exec ARG...")
	}
	deadline := time.Now().Add(patience)
	for {
		output, err := checks[args[0]](ts, args[1:])
		if err == nil {
			fmt.Fprint(ts.Stdout(), output)
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%s: not within %v: %v\n%s%s", strings.Join(args, " "), patience, err, output, allLogs(ts))
		}
		time.Sleep(10 * time.Millisecond) // between two looks, not instead of one
	}
}

// allLogs is what the programs have printed, for failures.
func allLogs(ts *testscript.TestScript) string {
	var b strings.Builder
	for name := range of(ts).programs {
		text, _ := os.ReadFile(ts.MkAbs(name + ".log"))
		if len(text) > 8000 {
			text = text[len(text)-8000:]
		}
		fmt.Fprintf(&b, "--- %s.log\n%s", name, text)
	}
	return b.String()
}

func logged(ts *testscript.TestScript, args []string) (string, error) {
	if len(args) != 2 {
		ts.Fatalf("usage: logged FILE REGEXP")
	}
	re, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	text, err := os.ReadFile(ts.MkAbs(args[0]))
	if err != nil {
		return "", err
	}
	if !re.Match(text) {
		return "", fmt.Errorf("%s has no line that matches %s", args[0], args[1])
	}
	return "", nil
}

// client keeps no connection, so that each request sees the newest listener.
var client = clientOf(&http.Transport{})

func clientOf(t *http.Transport) *http.Client {
	t.DisableKeepAlives, t.DisableCompression = true, true
	return &http.Client{
		Timeout:       20 * time.Second,
		Transport:     t,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// transport returns one that reaches every host at 127.0.0.1 and verifies it
// with the certificates of a file; without a file, one that does nothing special.
func transport(ts *testscript.TestScript, cacert string) *http.Transport {
	if cacert == "" {
		return &http.Transport{}
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(ts.ReadFile(cacert))) {
		ts.Fatalf("%s holds no certificate", cacert)
	}
	return &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots},
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			_, port, err := net.SplitHostPort(addr)
			if err != nil {
				return nil, err
			}
			return (&net.Dialer{}).DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
		},
	}
}

func request(ts *testscript.TestScript, args []string) (string, error) {
	fs := flag.NewFlagSet("request", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	status := fs.Int("status", 200, "")
	method := fs.String("X", "", "")
	data := fs.String("d", "", "")
	chunked := fs.Bool("chunked", false, "")
	cacert := fs.String("cacert", "", "")
	certificate := fs.String("certificate", "", "")
	header, trailer := http.Header{}, http.Header{}
	fs.Func("H", "", addTo(header))
	fs.Func("T", "", addTo(trailer))
	if err := fs.Parse(args); err != nil || fs.NArg() != 1 {
		ts.Fatalf("usage: request [FLAGS] URL: %v", err)
	}
	body := []byte(*data)
	if file, ok := strings.CutPrefix(*data, "@"); ok {
		body = []byte(ts.ReadFile(file))
	}
	if *method == "" {
		*method = "GET"
		if len(body) > 0 {
			*method = "POST"
		}
	}
	var reader io.Reader = bytes.NewReader(body)
	if *chunked {
		reader = io.MultiReader(reader) // of unknown length
	}
	req, err := http.NewRequest(*method, fs.Arg(0), reader)
	ts.Check(err)
	req.Header, req.Trailer = header, trailer
	if len(body) > 0 && header.Get("Content-Type") == "" {
		header.Set("Content-Type", "application/json")
	}
	if host := header.Get("Host"); host != "" {
		req.Host = host
	}
	resp, err := clientOf(transport(ts, *cacert)).Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	var out strings.Builder
	if resp.TLS != nil {
		subject := resp.TLS.PeerCertificates[0].Subject.String()
		fmt.Fprintf(&out, "certificate: %s\n", subject)
		if *certificate != "" && subject != *certificate {
			return out.String(), fmt.Errorf("certificate %s, want %s", subject, *certificate)
		}
	}
	fmt.Fprintf(&out, "%d\n", resp.StatusCode)
	_ = resp.Header.Write(&out)
	fmt.Fprintf(&out, "\n%s\n", content)
	_ = resp.Trailer.Write(&out)
	if err != nil {
		return out.String(), err
	}
	if resp.StatusCode != *status {
		return out.String(), fmt.Errorf("status %d, want %d", resp.StatusCode, *status)
	}
	return out.String(), nil
}

// addTo reads a flag "name: value".
func addTo(h http.Header) func(string) error {
	return func(s string) error {
		k, v, ok := strings.Cut(s, ":")
		if !ok {
			return fmt.Errorf("%q has no colon", s)
		}
		h.Add(k, strings.TrimSpace(v))
		return nil
	}
}

// load is a few keep-alive clients that ask one after the other, all the time.
type load struct {
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu       sync.Mutex
	requests int
	failures []string
	closed   int // connections that the other side has closed, or told to close
}

const loadClients = 4

func loadCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: load start NAME URL [FILE] | load stop NAME")
	}
	s := of(ts)
	switch {
	case args[0] == "start" && (len(args) == 3 || len(args) == 4):
		cacert := ""
		if len(args) == 4 {
			cacert = args[3]
		}
		s.loads[args[1]] = startLoad(args[2], func() *http.Transport { return transport(ts, cacert) })
	case args[0] == "stop" && s.loads[args[1]] != nil:
		l := s.loads[args[1]]
		l.cancel()
		l.wg.Wait()
		delete(s.loads, args[1])
		fmt.Fprintf(ts.Stdout(), "%d requests, %d failed, %d connections closed\n", l.requests, len(l.failures), l.closed)
		if len(l.failures) > 0 {
			ts.Fatalf("%d of %d requests failed, the first: %s\n%s", len(l.failures), l.requests, l.failures[0], allLogs(ts))
		}
		if l.requests < loadClients {
			ts.Fatalf("only %d requests were made", l.requests)
		}
		if l.closed > 0 {
			ts.Fatalf("%d connections of %d clients were closed", l.closed, loadClients)
		}
	default:
		ts.Fatalf("usage: load start NAME URL [FILE] | load stop NAME")
	}
}

func startLoad(url string, newTransport func() *http.Transport) *load {
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{cancel: cancel}
	closed := func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.closed++
	}
	for range loadClients {
		transport := newTransport()
		transport.MaxConnsPerHost = 1
		dial := transport.DialContext
		if dial == nil {
			dial = (&net.Dialer{}).DialContext
		}
		transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dial(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			return observedConn{conn, closed}, nil
		}
		l.wg.Go(func() {
			defer transport.CloseIdleConnections()
			c := &http.Client{Transport: observed{transport, closed}, Timeout: 20 * time.Second}
			for ctx.Err() == nil {
				l.one(c, url)
			}
		})
	}
	return l
}

func (l *load) one(c *http.Client, url string) {
	failure := ""
	resp, err := c.Post(url, "application/json", strings.NewReader(`{"model":"m","messages":[{"role":"user","content":"load"}]}`))
	if err != nil {
		failure = err.Error()
	} else {
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			failure = err.Error()
		} else if resp.StatusCode != 200 {
			failure = fmt.Sprintf("%d %s", resp.StatusCode, body)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.requests++
	if failure != "" {
		l.failures = append(l.failures, failure)
	}
}
