package e2e

import (
	"bytes"
	"compress/gzip"
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
	"syscall"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/attache-dev/attache/envoy/envoytest"
)

// Envoys that somebody else configures: attache extproc is all that we run.

// existingFile has a profile that reads headers only, one that changes requests,
// one that reads responses, one that chooses, and one that fails open.
const existingFile = `
processors:
- {name: stop, type: reject, params: {detail: Not here}}
- {name: rules, type: system-prompt, params: {modify: true, rules: [Be brief.]}}
- {name: loops, type: repetition-detect, params: {reject: true}}
profiles:
- {name: closed, inputStages: [{name: all, steps: [{name: stop}]}]}
- {name: brief, inputStages: [{name: all, steps: [{name: rules}]}]}
- {name: watched, inputStages: [{name: all, steps: [{name: rules}]}], responseStages: [{name: all, steps: [{name: loops}]}]}
- {name: open, failureMode: failOpen, inputStages: [{name: all, steps: [{name: rules}]}]}
- {name: choosing, services: [{name: small, selector: {type: input.model, values: [tiny]}}, {name: large}]}
`

const (
	asked = `{"model":"m","messages":[{"role":"user","content":"hi"}]}`
	told  = `{"model":"m","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"hi"}]}`
)

// A service is a running program with the addresses of its ready file.
type service struct {
	file      string // of attache extproc
	addresses map[string]string
	log       string // a file
	process   *exec.Cmd
}

// wait repeats a look at something that should happen soon.
func wait(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

// extProcService runs attache extproc on a file.
func extProcService(t testing.TB, text string, args ...string) *service {
	t.Helper()
	dir := t.TempDir()
	file, ready := filepath.Join(dir, "attache.yaml"), filepath.Join(dir, "ready")
	write(t, file, text)
	s := &service{file: file, addresses: map[string]string{}, log: filepath.Join(dir, "log")}
	s.process = exec.Command(attache, append([]string{"extproc", "-f", file, "--ready-file", ready, "--extproc", "127.0.0.1:0"}, args...)...)
	s.process.Env = append(os.Environ(), "ADMIN_ADDR=127.0.0.1:0", "STATS_ADDR=off", "READINESS_ADDR=127.0.0.1:0")
	s.run(t)
	wait(t, "attache extproc is ready", func() bool { _, err := os.Stat(ready); return err == nil })
	content, err := os.ReadFile(ready)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(content)) {
		name, addr, _ := strings.Cut(strings.TrimSpace(line), " ")
		s.addresses[name] = addr
	}
	return s
}

// run starts the program until the test ends.
func (s *service) run(t testing.TB) {
	t.Helper()
	log, err := os.Create(s.log)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	s.process.Stdout, s.process.Stderr = log, log
	if err := s.process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = s.process.Process.Signal(syscall.SIGTERM)
		_ = s.process.Wait()
		if t.Failed() {
			t.Logf("%s:\n%s", filepath.Base(s.process.Path), s.text(t))
		}
	})
}

func (s *service) text(t testing.TB) string {
	text, err := os.ReadFile(s.log)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func write(t testing.TB, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// printed is what attache extproc --print-filter prints.
func printed(t testing.TB, home, text string, args ...string) (map[string]any, string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "attache.yaml")
	write(t, file, text)
	cmd := exec.Command(attache, append([]string{"extproc", "-f", file, "--print-filter", home}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	var doc map[string]any
	if err := yaml.Unmarshal(out, &doc); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return doc, stderr.String()
}

// A site is a listener of a static Envoy: its filter before the router, and its
// routes, of which the last leads to the model.
type site struct {
	filter any
	routes []any
	// position upstream puts the filter into the cluster of the model.
	upstream bool
}

// staticEnvoy runs an Envoy with a listener for each site and returns their
// addresses. Every cluster of models leads to the same model, which is told by
// the header x-cluster which it was.
func staticEnvoy(t testing.TB, model string, clusters []any, sites ...site) []string {
	t.Helper()
	host, port, err := net.SplitHostPort(strings.TrimPrefix(model, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	to := func(name string, filters ...any) map[string]any {
		options := map[string]any{
			"@type":                "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
			"explicit_http_config": map[string]any{"http_protocol_options": map[string]any{}},
		}
		if filters != nil {
			options["http_filters"] = append(filters, map[string]any{"name": "envoy.filters.http.upstream_codec", "typed_config": map[string]any{
				"@type": "type.googleapis.com/envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec"}})
		}
		n, _ := strconv.Atoi(port)
		return map[string]any{
			"name": name, "type": "STATIC",
			"typed_extension_protocol_options": map[string]any{"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options},
			"load_assignment": map[string]any{"cluster_name": name, "endpoints": []any{map[string]any{"lb_endpoints": []any{map[string]any{
				"endpoint": map[string]any{"address": map[string]any{"socket_address": map[string]any{"address": host, "port_value": n}}}}}}}},
		}
	}
	for _, name := range []string{"model", "small", "large"} {
		clusters = append(clusters, to(name))
	}
	var listeners []any
	var addresses []string
	for i, port := range envoytest.Ports(t, len(sites)) {
		addresses = append(addresses, fmt.Sprintf("http://127.0.0.1:%d", port))
		s := sites[i]
		filters := []any{s.filter, map[string]any{"name": "router", "typed_config": map[string]any{
			"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}}
		last := "model"
		if s.upstream {
			last = fmt.Sprintf("behind%d", i)
			clusters = append(clusters, to(last, s.filter))
			filters = filters[1:]
		}
		listeners = append(listeners, map[string]any{
			"name":    fmt.Sprintf("l%d", i),
			"address": map[string]any{"socket_address": map[string]any{"address": "127.0.0.1", "port_value": port}},
			"filter_chains": []any{map[string]any{"filters": []any{map[string]any{"name": "hcm", "typed_config": map[string]any{
				"@type":        "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
				"stat_prefix":  fmt.Sprintf("l%d", i),
				"http_filters": filters,
				"route_config": map[string]any{"virtual_hosts": []any{map[string]any{
					"name": "all", "domains": []any{"*"},
					"request_headers_to_add": []any{map[string]any{"header": map[string]any{"key": "x-cluster", "value": "%UPSTREAM_CLUSTER%"}}},
					"routes":                 append(s.routes, map[string]any{"name": "chat", "match": map[string]any{"prefix": "/"}, "route": map[string]any{"cluster": last, "timeout": "0s"}}),
				}}},
			}}}}},
		})
	}
	text, err := json.Marshal(map[string]any{"static_resources": map[string]any{"clusters": clusters, "listeners": listeners}})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "envoy.json")
	write(t, file, string(text))
	e := &service{log: filepath.Join(dir, "log"), process: exec.Command(envoyPath(t), "-c", file, "--disable-hot-restart", "--concurrency", "1", "-l", "warning")}
	e.run(t)
	for _, a := range addresses {
		wait(t, "Envoy listens", func() bool {
			conn, err := net.Dial("tcp", strings.TrimPrefix(a, "http://"))
			if err == nil {
				conn.Close()
			} else if strings.Contains(e.text(t), "[critical]") {
				t.Fatal("Envoy does not take it")
			}
			return err == nil
		})
	}
	return addresses
}

// echoModel answers like a model that says what it was asked: in the body of a
// completion, and which cluster led to it. The header x-loop makes it repeat
// itself, x-gzip compress, x-trailer send one.
func echoModel(t testing.TB) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		said := string(body)
		if r.Header.Get("x-loop") != "" {
			said = strings.Repeat("again ", 100)
		}
		answer, _ := json.Marshal(map[string]any{"cluster": r.Header.Get("x-cluster"), "choices": []any{map[string]any{
			"index": 0, "message": map[string]any{"role": "assistant", "content": said}, "finish_reason": "stop"}}})
		w.Header().Set("Content-Type", "application/json")
		if r.Header.Get("x-gzip") != "" {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			_, _ = z.Write(answer)
			z.Close()
			return
		}
		if r.Header.Get("x-trailer") != "" {
			w.Header().Set("Trailer", "X-Sum")
			defer w.Header().Set("X-Sum", "1")
		} else {
			w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
		}
		_, _ = w.Write(answer)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// ask posts a body and returns the status, and what the model was asked or else
// the error.
func ask(t testing.TB, url, body string, header http.Header) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "POST", url+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if header != nil {
		req.Header = header.Clone()
	}
	if req.Header.Get("Content-Type") == "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := client.Do(req)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	var reader io.Reader = resp.Body
	if resp.Header.Get("Content-Encoding") == "gzip" {
		if reader, err = gzip.NewReader(resp.Body); err != nil {
			return err.Error()
		}
	}
	text, err := io.ReadAll(reader)
	if err != nil {
		return err.Error()
	}
	var answer struct {
		Cluster string
		Choices []struct{ Message struct{ Content string } }
		Error   struct{ Message string }
	}
	if json.Unmarshal(text, &answer) != nil {
		return fmt.Sprintf("%d %q", resp.StatusCode, text)
	}
	said := answer.Error.Message
	if len(answer.Choices) > 0 {
		said = answer.Choices[0].Message.Content
	}
	if cluster := strings.TrimRight(answer.Cluster, "0123456789"); cluster != "" && cluster != "model" {
		said = cluster + ": " + said
	}
	return strconv.Itoa(resp.StatusCode) + " " + said
}

// What --print-filter envoy prints serves, for every kind of profile.
func TestPrintedFilterServes(t *testing.T) {
	s := extProcService(t, existingFile)
	model := echoModel(t)
	var sites []site
	var clusters []any
	profiles := []string{"closed", "brief", "watched", "open", "choosing", ""}
	for _, profile := range profiles {
		doc, _ := printed(t, "envoy", existingFile+routesFile, "--extproc", s.addresses["extproc"], "--profile", profile)
		routes, _ := doc["routes"].([]any)
		sites = append(sites, site{filter: doc["http_filters"].([]any)[0], routes: routes})
		clusters = doc["clusters"].([]any)
	}
	at := staticEnvoy(t, model, clusters, sites...)
	loop := http.Header{"X-Loop": {"1"}}
	for _, c := range []struct {
		profile, body string
		header        http.Header
		want          string
	}{
		{"closed", asked, nil, "422 Not here"},
		{"brief", asked, nil, "200 " + told},
		{"brief", asked, loop, "200 " + strings.Repeat("again ", 100)},
		{"watched", asked, nil, "200 " + told},
		{"watched", asked, http.Header{"X-Trailer": {"1"}, "Te": {"trailers"}}, "200 " + told},
		{"watched", asked, loop, "422 "},
		{"open", asked, nil, "200 " + told},
		{"choosing", `{"model":"tiny"}`, nil, `200 small: {"model":"tiny"}`},
		{"choosing", `{"model":"huge"}`, nil, `200 large: {"model":"huge"}`},
	} {
		url := at[slices.Index(profiles, c.profile)]
		if got := ask(t, url, c.body, c.header); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s, %v: got %s, want %s", c.profile, c.header, got, c.want)
		}
	}
	// A stream that names none is answered by the failure mode.
	if got := ask(t, at[len(at)-1], asked, nil); !strings.HasPrefix(got, "500") {
		t.Errorf("no profile: %s", got)
	}
	if log := s.text(t); strings.Count(log, "level=ERROR") != 1 || !strings.Contains(log, "a stream names no profile, and there is no default") || !strings.Contains(log, "--profile NAME here; or in the filter the gRPC metadata x-attache-profile") {
		t.Error(log)
	}
}

// routesFile gives the route chat a profile, and the route pick two backends to
// choose from.
const routesFile = `
binds:
- port: 1
  listeners:
  - routes:
    - {name: chat, policies: {extProc: {profile: brief}}, backends: [{host: "127.0.0.1:1"}]}
    - {name: pick, policies: {extProc: {profile: choosing}}, backends: [{name: small, host: "127.0.0.1:1"}, {name: large, host: "127.0.0.1:1"}]}
`

// Where routes choose profiles, the printed filter tells their names, and the
// printed routes lead to what they choose.
func TestProfileByRouteName(t *testing.T) {
	s := extProcService(t, existingFile+routesFile, "--profile", "closed")
	doc, _ := printed(t, "envoy", existingFile+routesFile, "--extproc", s.addresses["extproc"])
	own := func(name string) any {
		return map[string]any{"name": name, "match": map[string]any{"prefix": "/", "headers": []any{map[string]any{"name": "x-" + name}}}, "route": map[string]any{"cluster": "model"}}
	}
	at := staticEnvoy(t, echoModel(t), doc["clusters"].([]any), site{filter: doc["http_filters"].([]any)[0], routes: append(asList(doc["routes"]), own("other"), own("pick"))})
	for _, c := range []struct{ route, body, want string }{
		{"chat", asked, "200 " + told},
		{"other", asked, "422 Not here"},
		{"pick", `{"model":"tiny"}`, `200 small: {"model":"tiny"}`},
		{"pick", `{"model":"huge"}`, `200 large: {"model":"huge"}`},
	} {
		if got := ask(t, at[0], c.body, http.Header{"X-" + c.route: {"1"}}); got != c.want {
			t.Errorf("%s: got %s, want %s", c.route, got, c.want)
		}
	}
}
