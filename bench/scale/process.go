package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// patience bounds every wait.
const patience = 60 * time.Second

// until waits until done, looking every so often.
func until(ctx context.Context, what string, every time.Duration, done func() bool) error {
	limit := time.Now().Add(patience)
	for !done() {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case time.Now().After(limit):
			return fmt.Errorf("%s: not within %s", what, patience)
		}
		time.Sleep(every)
	}
	return nil
}

// process is a program that was started here.
type process struct {
	cmd   *exec.Cmd
	log   string // a file
	ended chan struct{}
}

// start runs a program in dir, which gets its log.
func start(dir string, name string, args ...string) (*process, error) {
	p := &process{cmd: exec.Command(name, args...), log: filepath.Join(dir, filepath.Base(name)+".log"), ended: make(chan struct{})}
	log, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = dir, log, log
	p.cmd.Env = append(os.Environ(), "ADMIN_ADDR=off", "STATS_ADDR=off", "READINESS_ADDR=off")
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

// end stops the program, and kills it if it does not end.
func (p *process) end() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(10 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
}

// explain adds the last lines of the log to an error.
func (p *process) explain(err error) error {
	text, _ := os.ReadFile(p.log)
	return fmt.Errorf("%w; the log of %s ends with:\n%s", err, p.cmd.Path, text[max(0, len(text)-2000):])
}

// cpu is the time that the program has had so far.
func (p *process) cpu() time.Duration {
	text, _ := os.ReadFile(p.proc("stat"))
	// The fields behind the name, which may hold anything, begin with the third.
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(string(fields[11]))
	system, _ := strconv.Atoi(string(fields[12]))
	return time.Duration(user+system) * time.Second / clockTicks
}

// clockTicks are those of a second in /proc, on every Linux.
const clockTicks = 100

// memory is the resident memory in MB: now, and the most since the last reset.
func (p *process) memory() (now, peak float64) {
	text, _ := os.ReadFile(p.proc("status"))
	for line := range strings.Lines(string(text)) {
		field := func(name string, into *float64) {
			if rest, ok := strings.CutPrefix(line, name); ok {
				kB, _ := strconv.Atoi(strings.Fields(rest)[0])
				*into = float64(kB) / 1024
			}
		}
		field("VmRSS:", &now)
		field("VmHWM:", &peak)
	}
	return now, peak
}

// resetPeak makes the peak begin anew.
func (p *process) resetPeak() { _ = os.WriteFile(p.proc("clear_refs"), []byte("5"), 0) }

func (p *process) proc(name string) string {
	return filepath.Join("/proc", strconv.Itoa(p.cmd.Process.Pid), name)
}
