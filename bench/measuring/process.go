package measuring

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Patience bounds every wait.
const Patience = 60 * time.Second

// Until waits until done, looking every so often. The error names what.
func Until(ctx context.Context, what string, every time.Duration, done func() bool) error {
	for limit := time.Now().Add(Patience); !done(); time.Sleep(every) {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case time.Now().After(limit):
			return fmt.Errorf("%s: not within %s", what, Patience)
		}
	}
	return nil
}

// A Process is a program that was started here.
type Process struct {
	// Ended is closed when it has ended.
	Ended chan struct{}

	cmd *exec.Cmd
	log string // a file
}

// Start runs a program, by its path, in dir, which gets its log. env comes on top of
// what this process has.
func Start(dir string, env []string, path string, args ...string) (*Process, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	p := &Process{cmd: exec.Command(path, args...), log: filepath.Join(dir, filepath.Base(path)+".log"), Ended: make(chan struct{})}
	log, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = dir, log, log
	p.cmd.Env = append(os.Environ(), env...)
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.Ended)
	}()
	return p, nil
}

// End stops the program, and kills it if it does not end.
func (p *Process) End() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.Ended:
	case <-time.After(10 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.Ended
	}
}

// Explain adds the last lines of the log to an error.
func (p *Process) Explain(err error) error {
	text, _ := os.ReadFile(p.log)
	return fmt.Errorf("%w; the log of %s ends with:\n%s", err, p.cmd.Path, text[max(0, len(text)-2000):])
}

// clockTicks are those of a second in /proc, on every Linux.
const clockTicks = 100

// CPU is the time that the program has had so far.
func (p *Process) CPU() (time.Duration, error) {
	text, err := os.ReadFile(p.proc("stat"))
	if err != nil {
		return 0, err
	}
	// The fields behind the name, which may hold anything, begin with the third.
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) < 13 {
		return 0, errors.New("/proc/PID/stat is not as expected")
	}
	user, err := strconv.Atoi(string(fields[11]))
	if err != nil {
		return 0, err
	}
	system, err := strconv.Atoi(string(fields[12]))
	return time.Duration(user+system) * time.Second / clockTicks, err
}

// Memory is the resident memory in bytes: now, and the most since the last reset.
func (p *Process) Memory() (now, peak int64, err error) {
	text, err := os.ReadFile(p.proc("status"))
	if err != nil {
		return 0, 0, err
	}
	for name, into := range map[string]*int64{"\nVmRSS:": &now, "\nVmHWM:": &peak} {
		_, rest, _ := strings.Cut(string(text), name)
		kB, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
		if *into, err = strconv.ParseInt(kB, 10, 64); err != nil {
			return 0, 0, fmt.Errorf("/proc/PID/status: %w", err)
		}
		*into *= 1024
	}
	return now, peak, nil
}

// ResetPeak makes the peak begin anew.
func (p *Process) ResetPeak() error { return os.WriteFile(p.proc("clear_refs"), []byte("5"), 0) }

func (p *Process) proc(name string) string {
	return filepath.Join("/proc", strconv.Itoa(p.cmd.Process.Pid), name)
}
