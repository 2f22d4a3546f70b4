package envoy

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

// Process is an Envoy that runs as a child of this process.
type Process struct {
	Binary      Binary
	Bootstrap   []byte
	Concurrency int           // worker threads; 0 is Envoy's choice, one per CPU
	Grace       time.Duration // between asking it to stop and killing it; default 5 s

	// Stdout gets what Envoy writes there, unchanged: access logs, if the
	// configuration sends them there. Nil discards it.
	Stdout io.Writer
	// Log gets starts, deaths and restarts, and the records of Envoy's own log with
	// the prefix "envoy: "; required. What may quote secrets does not come through.
	Log *slog.Logger

	// Admin is the admin address of the bootstrap. With it, Envoy is drained before
	// it is asked to stop: for Drain at most, or until it has nothing in hand.
	Admin string
	Drain time.Duration
}

// Run keeps Envoy running until ctx is done, then stops it and returns nil when
// it has ended. An Envoy that dies is started again, after 0.2 s at first and
// 10 s at most. An error means that it could not be started at all, or that the
// first one gave up at once: the error tells why.
//
// If this process dies, however suddenly, the kernel kills Envoy (on Linux).
func (p Process) Run(ctx context.Context) error {
	// The kernel counts the thread that started a child as its parent. The
	// runtime ends idle threads, so this one is held (golang.org/issue/27505).
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	var delay time.Duration
	for ctx.Err() == nil {
		began := time.Now()
		started, err := p.once(ctx)
		if ctx.Err() != nil {
			break
		}
		if delay == 0 && (!started || gaveUp(err) && time.Since(began) < stableLife) {
			return fmt.Errorf("envoy cannot run: %w", err)
		}
		delay = nextDelay(delay, time.Since(began))
		p.Log.Warn("envoy died", "error", err, "restart_in", delay.String())
		select {
		case <-ctx.Done():
		case <-time.After(delay):
		}
	}
	return nil
}

// Flags are the command line of every Envoy that works for Attaché, but for its
// bootstrap.
var Flags = []string{
	"--disable-hot-restart",
	"--use-dynamic-base-id",
	// A connection on an old listener is closed after its next response; a
	// stream that is under way has ten minutes.
	"--drain-strategy", "immediate",
	"--drain-time-s", "600",
	"--log-level", "warning",
	"--component-log-level", quietComponents,
	"--log-format", logFormat,
}

// once runs Envoy until it dies or ctx is done. It reports whether Envoy could
// be started, and why it ended.
func (p Process) once(ctx context.Context) (started bool, err error) {
	args := append([]string{"--config-yaml", string(p.Bootstrap)}, Flags...)
	if p.Concurrency > 0 {
		args = append(args, "--concurrency", strconv.Itoa(p.Concurrency))
	}
	stderr := &logWriter{to: p.Log}

	life, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	stop := context.AfterFunc(ctx, func() {
		p.drain(life)
		end()
	})
	defer stop()
	cmd := exec.CommandContext(life, p.Binary.Path, args...)
	cmd.Stdout = p.Stdout
	cmd.Stderr = stderr
	cmd.SysProcAttr = childAttributes()
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = orDefault(p.Grace, 5*time.Second)

	if err := cmd.Start(); err != nil {
		return false, err
	}
	p.Log.Info("envoy started", "path", p.Binary.Path, "pid", cmd.Process.Pid)
	err = cmd.Wait()
	stderr.flush()
	return true, deathError(err, stderr.lastWords)
}

// drain lets Envoy finish what it has in hand, within bounds.
func (p Process) drain(ctx context.Context) {
	if p.Admin == "" || p.Drain <= 0 {
		return
	}
	bounded, cancel := context.WithTimeout(ctx, p.Drain)
	defer cancel()
	switch err := drain(bounded, p.Admin); {
	case err == nil || ctx.Err() != nil:
	case bounded.Err() != nil:
		p.Log.Warn("envoy is stopped before it has finished", "after", p.Drain, "error", err)
	default:
		p.Log.Warn("envoy is stopped at once, it cannot be asked to finish", "error", err)
	}
}
