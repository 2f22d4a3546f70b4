package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/attache-dev/attache/envoy/envoytest"
)

// BenchmarkEditToLive edits one of many routes and asks, over a connection
// that is kept, until the answer is that of the edit. It reports the median
// and the longest time, in milliseconds; 100 of them are the quiet time that a
// file is given to be complete.
func BenchmarkEditToLive(b *testing.B) {
	for _, n := range []int{10, 1000} {
		for _, withChain := range []bool{false, true} {
			name := fmt.Sprintf("%droutes", n)
			if withChain {
				name += "-chain"
			}
			b.Run(name, func(b *testing.B) { benchmarkEdit(b, n, withChain) })
		}
	}
}

func benchmarkEdit(b *testing.B, routes int, withChain bool) {
	dir := b.TempDir()
	port := envoytest.Ports(b, 1)[0]
	upstream := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.URL.Path)
	})}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	go upstream.Serve(l)
	defer upstream.Close()

	file, ready := filepath.Join(dir, "attache.yaml"), filepath.Join(dir, "ready")
	write := func(version int) {
		tmp := file + ".tmp"
		if err := os.WriteFile(tmp, manyRoutes(port, routes, l.Addr().String(), version, withChain), 0o644); err != nil {
			b.Fatal(err)
		}
		if err := os.Rename(tmp, file); err != nil {
			b.Fatal(err)
		}
	}
	write(0)
	cmd := exec.Command(attache, "run", "-f", file, "--ready-file", ready, "--envoy", envoyPath(b))
	cmd.Env = append(os.Environ(), "ADMIN_ADDR=off", "STATS_ADDR=off", "READINESS_ADDR=off")
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	}()
	until(b, func() bool { _, err := os.Stat(ready); return err == nil })

	url := fmt.Sprintf("http://127.0.0.1:%d/api/%d", port, routes/2)
	live := func(version int) bool {
		resp, err := http.Get(url)
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return string(body) == fmt.Sprintf("/version/%d", version)
	}
	until(b, func() bool { return live(0) })

	var took []time.Duration
	version := 0
	for b.Loop() {
		version++
		write(version)
		start := time.Now()
		until(b, func() bool { return live(version) })
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)-1].Microseconds())/1000, "max-ms")
}

func until(b *testing.B, done func() bool) {
	b.Helper()
	for deadline := time.Now().Add(patience); !done(); {
		if time.Now().After(deadline) {
			b.Fatal("not in time")
		}
		time.Sleep(time.Millisecond)
	}
}

// manyRoutes is a file whose middle route leads to /version/<version>.
func manyRoutes(port, n int, upstream string, version int, withChain bool) []byte {
	var b strings.Builder
	if withChain {
		b.WriteString("processors: [{name: rules, type: system-prompt, params: {modify: true, rules: [x]}}]\nprofiles: [{name: p, inputStages: [{name: s, steps: [{name: rules}]}]}]\n")
	}
	fmt.Fprintf(&b, "binds:\n- port: %d\n  listeners:\n  - routes:\n", port)
	for i := range n {
		v := 0
		if i == n/2 {
			v = version
		}
		fmt.Fprintf(&b, "    - name: route-%d\n      matches: [{path: {pathPrefix: /api/%d}}]\n      backends: [{ai: {provider: {openAI: {}}, hostOverride: \"%s\", pathOverride: /version/%d}}]\n", i, i, upstream, v)
		if withChain {
			b.WriteString("      policies: {extProc: {profile: p}}\n")
		}
	}
	return []byte(b.String())
}
