package external

import (
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"

	"github.com/attache-dev/attache/config"
	"github.com/attache-dev/attache/extprocsvc"
	"github.com/attache-dev/attache/extprocsvc/extproctest"
)

// TestReadme runs the example of the manual against a processor that does what
// the manual says, on a port that is free.
func TestReadme(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/api/v1/signature/acme/redact":
			_, _ = io.WriteString(w, `{"fields":[{"type":"input.messages","required":true}]}`)
			return
		case "/api/v1/execute/acme/redact":
		default:
			t.Errorf("path %s", r.URL.Path)
		}
		say("metadata", `{"tags":{"redacted":["true"]}}`, "input.messages", `{"messages":[{"role":"user","content":"I am XXXX, who are you?"}]}`)(w, r)
	})
	const endpoint = "http://redact.example:8000"
	if !strings.Contains(string(text), endpoint) {
		t.Fatalf("README.md does not call %s any more", endpoint)
	}
	t.Chdir(t.TempDir())
	if err := os.WriteFile("README.md", []byte(strings.ReplaceAll(string(text), endpoint, s.URL)), 0o600); err != nil {
		t.Fatal(err)
	}
	extproctest.README(t)
}

func TestConfig(t *testing.T) {
	ca := newAuthority(t)
	cert, key := ca.leaf(t, "a")
	_, other := ca.leaf(t, "b")
	empty := filepath.Join(ca.dir, "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ conf, want string }{
		{at("http://h:1", ""), ""},
		{at("h:1", ""), ""},
		{at("localhost", ""), ""},
		{at("https://[::1]:1/", ""), ""},
		{at("https://h", ", tlsMinVersion: v1.2, caPath: "+ca.file), ""},
		{at("https://h", ", clientCertPath: "+cert+", clientKeyPath: "+key), ""},
		{``, "external processors need endpoint|external processors need namespace|external processors need version"},
		{at("ftp://h", ""), "endpoint: not an address"},
		{at("http://u:p@h", ""), "endpoint: not an address"},
		{at("http://h/api", ""), "endpoint: not an address"},
		{at("http://h?", ""), "endpoint: not an address"},
		{at("http://h#", ""), "endpoint: not an address"},
		{at("http://:80", ""), "endpoint: not an address"},
		{at("http://h:", ""), "endpoint: not an address"},
		{at("http://h:70000", ""), "endpoint: not an address"},
		{at("", ""), "endpoint: not an address"},
		{`{endpoint: h, namespace: "a b", version: 0}`, "namespace: not a namespace|version: expected a number from 1 on"},
		{`{endpoint: h, namespace: "..", version: 1}`, "namespace: not a namespace"},
		{`{endpoint: h, namespace: x, version: "1"}`, "version: expected"},
		{at("h", ", caPath: x, tlsMinVersion: v1.2"), "caPath: the endpoint is not https|tlsMinVersion: the endpoint is not https"},
		{at("https://h", ", tlsMinVersion: v1.1"), "tlsMinVersion: expected v1.2 or v1.3"},
		{at("https://h", ", caPath: /absent"), "caPath: cannot read the file: no such file or directory"},
		{at("https://h", ", caPath: "+key), "caPath: the file holds no certificate"},
		{at("https://h", ", caPath: "+empty), "caPath: the file is empty"},
		{at("https://h", ", clientCertPath: "+cert), "clientCertPath: a client certificate needs its key"},
		{at("https://h", ", clientKeyPath: "+key), "clientKeyPath: a client key needs its certificate"},
		{at("https://h", ", clientCertPath: "+cert+", clientKeyPath: "+other), "clientCertPath: not a certificate with the key of clientKeyPath"},
		{at("h", ", capath: x"), `capath: unknown key; did you mean "caPath"?`},
		{at("h", ", params: {modify: true}"), "params: params stand beside config, not in it; move them out"},
	} {
		_, err := build(extprocsvc.Setup{Name: "p", Phase: in, Config: raw(t, c.conf), ReadFile: os.ReadFile})
		errs := config.Errors(err)
		wanted := strings.Split(c.want, "|")
		if c.want == "" {
			wanted = nil
		}
		if len(errs) != len(wanted) {
			t.Errorf("%s: got %v", c.conf, err)
			continue
		}
		for i, want := range wanted {
			if !strings.Contains(errs[i].Error(), want) {
				t.Errorf("%s: got %v, want %s", c.conf, errs[i], want)
			}
		}
	}
	for name, ok := range map[string]bool{"p": true, "a/b": true, "": false, "a b": false, "..": false} {
		if _, err := build(extprocsvc.Setup{Name: name, Phase: in, Config: raw(t, at("h", "")), ReadFile: os.ReadFile}); (err == nil) != ok {
			t.Errorf("name %q: %v", name, err)
		}
	}
	p := made(t, "A/b%", at("h", ""), ``, in)
	if got := p.execute.String(); got != "http://h/api/v1/execute/test/a%2Fb%25" {
		t.Errorf("address %s", got)
	}
}

// TestFailOpen: a failure mode covers processors that are away. It does not
// let a client around one that is there.
func TestFailOpen(t *testing.T) {
	changes := serve(t, say("metadata", `{}`, "input.messages", `{"messages":[{"role":"user","content":"*****"}]}`))
	cannotRead := serve(t, answers(400, "application/json", `{}`))
	away := serve(t, answers(503, "text/plain", ``))
	const list = `{"messages":[{"role":"user","content":[{"type":"text","text":"secret"},"and more"]}]}`
	for endpoint, want := range map[string]string{
		changes.URL:    "the client gets 502",
		cannotRead.URL: "the client gets 500",
		away.URL:       "the model gets " + list,
	} {
		filter, client := chain(t, `
processors: [{name: p, type: external, config: `+at(endpoint, "")+`, params: {modify: true}}]
profiles: [{name: q, inputStages: [{name: s, steps: [{name: p}]}]}]
binds: [{port: 1, listeners: [{routes: [{policies: {extProc: {profile: q, failureMode: failOpen}}, backends: [{host: "h:1"}]}]}]}]`)
		got, err := filter.Do(t.Context(), client, extproctest.Post(list), extproctest.Message{})
		if err != nil || !strings.HasPrefix(got.String(), want) {
			t.Errorf("got %s, %v, want %s", got, err, want)
		}
	}
}

// chain serves the chain of a file's first route.
func chain(t *testing.T, file string) (extproctest.Filter, extprocv3.ExternalProcessorClient) {
	t.Helper()
	cfg, err := config.Parse("f", []byte(file), config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	chains, err := extprocsvc.Build(cfg)
	if err != nil {
		t.Fatal(err)
	}
	server := extprocsvc.NewServer(extprocsvc.Options{})
	server.Install(chains)
	t.Cleanup(server.Close)
	return extproctest.Filter{
		Request: extproctest.FullDuplex, Response: extproctest.FullDuplex, SendResponseHeaders: true, Trailers: true,
		Metadata: []string{extprocsvc.MetadataKey, chains.ForRoute(cfg.Listeners[0].Routes[0]).Ref()},
	}, extproctest.Serve(t, server)
}

// TestStreams: a processor gets a streamed answer as the choices of a completion,
// and what it makes of them is a stream again.
func TestStreams(t *testing.T) {
	events := []string{
		`{"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"role":"assistant","content":"I "},"finish_reason":null}]}`,
		`{"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"look"},"finish_reason":null}]}`,
		`{"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"t","type":"function","function":{"name":"f","arguments":"{}"}}]},"finish_reason":null}]}`,
		`{"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}`,
		`{"id":"c","object":"chat.completion.chunk","choices":[],"usage":{"total_tokens":5}}`,
		`[DONE]`,
	}
	stream := func(events ...string) string { return "data: " + strings.Join(events, "\n\ndata: ") + "\n\n" }
	for processor, want := range map[string]string{
		"nothing": stream(events...),
		"louder": stream(
			`{"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"I LOOK","role":"assistant","tool_calls":[{"index":0,"id":"t","type":"function","function":{"name":"f","arguments":"{}"}}]},"finish_reason":null}]}`,
			events[3], events[4], events[5]),
	} {
		filter, client := chain(t, `
processors: [{name: `+processor+`, type: external, config: `+at(pythonServer(t), "")+`, params: {modify: true}}]
profiles: [{name: q, responseStages: [{name: s, steps: [{name: `+processor+`}]}]}]
binds: [{port: 1, listeners: [{routes: [{policies: {extProc: {profile: q}}, backends: [{host: "h:1"}]}]}]}]`)
		answer := extproctest.Message{
			Header: extproctest.Header{{":status", "200"}, {"content-type", "text/event-stream"}}, Chunks: [][]byte{[]byte(stream(events...))},
		}
		got, err := filter.Do(t.Context(), client, extproctest.Post(`{"stream":true,"messages":[{"role":"user","content":"hi"}]}`), answer)
		if err != nil || got.Client == nil || got.Client.Body() != want {
			t.Errorf("%s: got %v %v, want %s", processor, got, got.Client, want)
		}
	}
}

// A processor that is known to refuse its params answers 400 to everything:
// nobody has brought that about, and the failure mode decides.
func TestRefusedParams(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			_, _ = io.WriteString(w, `{"fields":[{"type":"input.messages","required":true}]}`)
			return
		}
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"validation":{"valid":false,"errors":["Field required: must"]}}`)
	})
	p := made(t, "p", at(s.URL, ""), "", extprocsvc.InputPhase)
	const before, after = "Internal Server Error for good: ", "Internal Server Error: "
	if got := ask(t.Context(), t, p, `{"messages":[]}`); !strings.HasPrefix(got, before) {
		t.Errorf("before the check: %s", got)
	}
	if err := p.Check(t.Context()); !errors.Is(err, extprocsvc.ErrRefused) {
		t.Errorf("the check says %v", err)
	}
	if got := ask(t.Context(), t, p, `{"messages":[]}`); !strings.HasPrefix(got, after) {
		t.Errorf("after the check: %s", got)
	}
}
