package e2e

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/attache-dev/attache/envoy/envoytest"
)

// One corpus, through our own Envoy and through Envoys of somebody else in each
// mode in which chains can read: the decisions are the same, and so is every byte
// that the model gets. How agentgateway fares is in extprocsvc.
func TestTheSameInEveryHome(t *testing.T) {
	profiles := []string{"closed", "brief", "watched", "open"}
	file := existingFile + "binds:\n- port: $PORT\n  listeners:\n  - routes:\n"
	model := echoModel(t)
	for _, p := range profiles {
		file += fmt.Sprintf("    - {name: %s, matches: [{path: {pathPrefix: /}, headers: [{name: x-profile, value: {exact: %s}}]}], policies: {extProc: {profile: %s}}, backends: [{host: %q}]}\n",
			p, p, p, strings.TrimPrefix(model, "http://"))
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "attache.yaml"), file)
	port := envoytest.Ports(t, 1)[0]
	gateway := &service{log: filepath.Join(dir, "log"), process: exec.Command(attache, "run", "-f", "attache.yaml", "--envoy", envoyPath(t), "--ready-file", "ready")}
	gateway.process.Dir = dir
	gateway.process.Env = append(os.Environ(), fmt.Sprintf("PORT=%d", port), "ADMIN_ADDR=off", "STATS_ADDR=off", "READINESS_ADDR=off")
	gateway.run(t)
	wait(t, "attache run is ready", func() bool { _, err := os.Stat(filepath.Join(dir, "ready")); return err == nil })

	s := extProcService(t, existingFile)
	doc, _ := printed(t, "envoy", existingFile, "--extproc", s.addresses["extproc"])
	bodies := []string{"FULL_DUPLEX_STREAMED", "BUFFERED"}
	var sites []site
	var names []string
	for _, p := range profiles {
		for _, request := range bodies {
			for _, response := range bodies {
				mode := fmt.Sprintf("request_body %s, response_body %s, response_header SEND, request_trailer SEND, response_trailer SEND", request, response)
				names = append(names, p)
				sites = append(sites, site{filter: filter{p, modes(mode), map[string]any{"allow_content_length_header": true}}.yaml()})
			}
		}
	}
	at := staticEnvoy(t, model, doc["clusters"].([]any), sites...)

	corpus := []struct {
		what, body string
		header     http.Header
	}{
		{"a question", asked, nil},
		{"an answer in a loop", asked, http.Header{"X-Loop": {"1"}}},
		{"trailers", asked, http.Header{"X-Trailer": {"1"}, "Te": {"trailers"}}},
		{"a compressed answer", asked, http.Header{"X-Gzip": {"1"}}},
		{"odd but valid", "\t{ \"messages\" : [ {\"content\":\"h\\u00e9 \\ud83d\\ude00\",\"role\":\"user\"} ],\n \"seed\":12345678901234567890, \"t\":1.0e-7 } \n", nil},
		{"content in parts", `{"messages":[{"role":"user","content":[{"type":"text","text":"hi"},{"type":"image_url","image_url":{"url":"data:,"}}]}]}`, nil},
		{"a megabyte", `{"messages":[{"role":"user","content":"` + strings.Repeat("0123456789", 100_000) + `"}]}`, nil},
		{"no JSON", "hi", nil},
		{"a key twice", `{"messages":[],"messages":[{"role":"user","content":"hi"}]}`, nil},
		{"nothing", "", nil},
		{"text", "hi", http.Header{"Content-Type": {"text/plain"}}},
		{"another charset", asked, http.Header{"Content-Type": {"application/json; charset=utf-16"}}},
		{"an encoding", asked, http.Header{"Content-Encoding": {"br"}}},
		{"a stream", `{"stream":true,"messages":[{"role":"user","content":"hi"}]}`, nil},
	}
	for _, c := range corpus {
		for i, p := range names {
			header := c.header.Clone()
			if header == nil {
				header = http.Header{}
			}
			header.Set("X-Profile", p)
			want := ask(t, fmt.Sprintf("http://127.0.0.1:%d", port), c.body, header)
			if got := ask(t, at[i], c.body, header); got != want {
				t.Errorf("%s, profile %s, site %d: somebody's Envoy %.300s, ours %.300s", c.what, p, i%4, got, want)
			}
		}
	}
}
