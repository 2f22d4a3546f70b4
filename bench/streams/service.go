package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/attache-dev/attache/bench/measuring"
)

// programs are what is started.
type programs struct{ attache, envoy string }

// ownCPU is the CPU time of this process, in seconds.
func ownCPU() float64 {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return float64(u.Utime.Sec+u.Stime.Sec) + float64(u.Utime.Usec+u.Stime.Usec)/1e6
}

// file is what the service serves: a profile for those who are only passed on, and
// one that masks answers.
const file = `
processors: [{name: p, type: data-security, params: {modify: true, action: mask}}]
profiles:
- {name: idle}
- {name: guarded, responseStages: [{name: s, steps: [{name: p}]}]}
`

// A service is attache extproc.
type service struct {
	*measuring.Process
	addr, stats string
}

func startService(ctx context.Context, p programs, dir string) (*service, error) {
	path, ready := filepath.Join(dir, "attache.yaml"), filepath.Join(dir, "ready")
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		return nil, err
	}
	env := []string{"ADMIN_ADDR=off", "READINESS_ADDR=off", "STATS_ADDR=127.0.0.1:0"}
	proc, err := measuring.Start(dir, env, p.attache, "extproc", "-f", path, "--extproc", "127.0.0.1:0", "--ready-file", ready)
	if err != nil {
		return nil, err
	}
	s := &service{Process: proc}
	err = measuring.Until(ctx, "attache extproc is ready", 10*time.Millisecond, func() bool {
		select {
		case <-proc.Ended:
			return true
		default:
		}
		_, err := os.Stat(ready)
		return err == nil
	})
	var text []byte
	if err == nil {
		text, err = os.ReadFile(ready)
	}
	if err != nil {
		proc.End()
		return nil, proc.Explain(err)
	}
	for line := range strings.Lines(string(text)) {
		switch name, addr, _ := strings.Cut(strings.TrimSpace(line), " "); name {
		case "extproc":
			s.addr = addr
		case "stats":
			s.stats = addr
		}
	}
	return s, nil
}

// metric is a value that the service publishes.
func (s *service) metric(name string) (float64, error) {
	resp, err := http.Get("http://" + s.stats + "/metrics")
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if key, value, _ := strings.Cut(strings.TrimSpace(line), " "); key == name {
			return strconv.ParseFloat(value, 64)
		}
	}
	return 0, fmt.Errorf("there is no metric %s", name)
}

// startEnvoy starts one with the filter that the service prints, in front of a
// model.
func startEnvoy(ctx context.Context, p programs, dir string, s *service, profile, model string) (proc *measuring.Process, addr string, err error) {
	printed, err := exec.CommandContext(ctx, p.attache, "extproc", "-f", filepath.Join(dir, "attache.yaml"), "--profile", profile, "--extproc", s.addr, "--print-filter", "envoy").Output()
	if err != nil {
		return nil, "", err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", err
	}
	addr = l.Addr().String()
	l.Close()
	text, err := bootstrap(printed, addr, model)
	if err != nil {
		return nil, "", err
	}
	path := filepath.Join(dir, "envoy.yaml")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return nil, "", err
	}
	proc, err = measuring.Start(dir, nil, p.envoy, "-c", path, "--disable-hot-restart", "--concurrency", "1", "-l", "error")
	if err != nil {
		return nil, "", err
	}
	err = measuring.Until(ctx, "Envoy listens", 10*time.Millisecond, func() bool {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	if err != nil {
		proc.End()
		return nil, "", proc.Explain(err)
	}
	return proc, addr, nil
}
