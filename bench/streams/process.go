package main

import (
	"context"
	"errors"
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
)

// programs are what is started.
type programs struct{ attache, envoy string }

// patience bounds every wait.
const patience = 60 * time.Second

// until looks every so often until something is done.
func until(ctx context.Context, what string, done func() bool) error {
	for limit := time.Now().Add(patience); !done(); time.Sleep(10 * time.Millisecond) {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case time.Now().After(limit):
			return fmt.Errorf("%s: not within %v", what, patience)
		}
	}
	return nil
}

// A process is a program that was started here.
type process struct {
	cmd   *exec.Cmd
	log   string // a file
	ended chan struct{}
}

// start runs a program in dir, which gets its log.
func start(dir string, env []string, name string, args ...string) (*process, error) {
	p := &process{cmd: exec.Command(name, args...), log: filepath.Join(dir, filepath.Base(name)+".log"), ended: make(chan struct{})}
	log, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p.cmd.Stdout, p.cmd.Stderr, p.cmd.Env = log, log, append(os.Environ(), env...)
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(10 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
}

// resident is the memory of a process, in bytes.
func (p *process) resident() (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0, errors.New("statm is not as expected")
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize()), err
}

// ticks are the parts of a second in which the kernel counts CPU time.
const ticks = 100

// cpu is the time that a process has used, in seconds.
func (p *process) cpu() (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	// The name, in parentheses, may hold anything.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) < 13 {
		return 0, errors.New("stat is not as expected")
	}
	user, err := strconv.ParseFloat(fields[11], 64)
	if err != nil {
		return 0, err
	}
	system, err := strconv.ParseFloat(fields[12], 64)
	return (user + system) / ticks, err
}

// ownCPU is the same for this process.
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
	*process
	addr, stats string
}

func startService(ctx context.Context, p programs, dir string) (*service, error) {
	path, ready := filepath.Join(dir, "attache.yaml"), filepath.Join(dir, "ready")
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		return nil, err
	}
	env := []string{"ADMIN_ADDR=off", "READINESS_ADDR=off", "STATS_ADDR=127.0.0.1:0"}
	proc, err := start(dir, env, p.attache, "extproc", "-f", path, "--extproc", "127.0.0.1:0", "--ready-file", ready)
	if err != nil {
		return nil, err
	}
	s := &service{process: proc}
	err = until(ctx, "attache extproc is ready", func() bool {
		select {
		case <-proc.ended:
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
		proc.stop()
		log, _ := os.ReadFile(proc.log)
		return nil, fmt.Errorf("%w\n%s", err, log)
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
func startEnvoy(ctx context.Context, p programs, dir string, s *service, profile, model string) (proc *process, addr string, err error) {
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
	proc, err = start(dir, nil, p.envoy, "-c", path, "--disable-hot-restart", "--concurrency", "1", "-l", "error")
	if err != nil {
		return nil, "", err
	}
	err = until(ctx, "Envoy listens", func() bool {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	if err != nil {
		proc.stop()
		return nil, "", err
	}
	return proc, addr, nil
}
