package e2e

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"
)

// modelCommand starts a model that answers from files: a request for the API at
// /v1/a/b and the model m with DIR/a-b/m.json, or with DIR/a-b/m.sse if it asks
// for a stream, in pieces of as many bytes as its header x-cut says. GET /last
// tells the last request.
func modelCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 || args[0] != "start" {
		ts.Fatalf("usage: model start ADDR DIR")
	}
	l, err := net.Listen("tcp", args[1])
	ts.Check(err)
	s := &http.Server{Handler: &model{dir: ts.MkAbs(args[2])}}
	go s.Serve(l)
	of(ts).servers = append(of(ts).servers, s)
}

type model struct {
	dir  string
	mu   sync.Mutex
	last any
}

func (m *model) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	defer m.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if r.URL.Path == "/last" {
		_ = json.NewEncoder(w).Encode(m.last)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var asked struct {
		Model  string
		Stream bool
	}
	if err := json.Unmarshal(body, &asked); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	m.last = map[string]any{"path": r.URL.Path, "body": string(body), "accept-encoding": r.Header.Get("Accept-Encoding")}
	name := asked.Model + ".json"
	if asked.Stream {
		name = asked.Model + ".sse"
	}
	answer, err := os.ReadFile(filepath.Join(m.dir, strings.ReplaceAll(strings.TrimPrefix(r.URL.Path, "/v1/"), "/", "-"), filepath.Base(name)))
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	if asked.Stream {
		w.Header().Set("Content-Type", "text/event-stream")
	}
	write := func(b []byte) { _, _ = w.Write(b) }
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		w.Header().Set("Content-Encoding", "gzip")
		zip := gzip.NewWriter(w)
		defer zip.Close()
		write = func(b []byte) { _, _ = zip.Write(b); _ = zip.Flush() }
	}
	cut, _ := strconv.Atoi(r.Header.Get("X-Cut"))
	for len(answer) > 0 {
		n := len(answer)
		if cut > 0 {
			n = min(cut, n)
		}
		write(answer[:n])
		w.(http.Flusher).Flush()
		answer = answer[n:]
	}
}
