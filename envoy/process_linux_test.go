package envoy_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/attache-dev/attache/envoy"
	"github.com/attache-dev/attache/envoy/envoytest"
)

// Envoy dies with its parent, even if that is killed and can do nothing.
func TestEnvoyDiesWithItsParent(t *testing.T) {
	control := newControlPlane(t)
	bootstrap, err := envoy.Bootstrap(envoy.BootstrapOptions{XDS: control.address})
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	parent := exec.Command(self)
	parent.Env = append(os.Environ(), "ATTACHE_TEST_ROLE=parent",
		"ATTACHE_TEST_ENVOY="+envoytest.Find(t).Path, "ATTACHE_TEST_BOOTSTRAP="+string(bootstrap))
	log, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = parent.Process.Kill()
		_ = parent.Wait()
	}()

	line, err := bufio.NewReader(log).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	match := regexp.MustCompile(`msg="envoy started" .*pid=(\d+)`).FindStringSubmatch(line)
	if match == nil {
		t.Fatalf("no pid in %q", line)
	}
	pid, err := strconv.Atoi(match[1])
	if err != nil {
		t.Fatal(err)
	}
	child, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(child)
	receive(t, control.joined, "Envoy")

	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	// A pidfd becomes readable when its process ends.
	poll := []unix.PollFd{{Fd: int32(child), Events: unix.POLLIN}}
	n, err := unix.Poll(poll, 30_000)
	for errors.Is(err, unix.EINTR) {
		n, err = unix.Poll(poll, 30_000)
	}
	if err != nil || n != 1 {
		t.Errorf("Envoy is still alive: %v", err)
	}
	receive(t, control.left, "the end of its stream")
}

// Threads of this process come and go. Envoy must not die with the one that
// happened to start it.
func TestEnvoyOutlivesThreads(t *testing.T) {
	control := newControlPlane(t)
	admin := filepath.Join(t.TempDir(), "admin")
	bootstrap, err := envoy.Bootstrap(envoy.BootstrapOptions{XDS: control.address, Admin: "unix:" + admin})
	if err != nil {
		t.Fatal(err)
	}
	hold := make(chan struct{})
	process := envoy.Process{
		Binary:    envoytest.Find(t),
		Bootstrap: bootstrap,
		// Run waits here, and its thread is free for others unless it holds it.
		Log: slog.New(pidHandler{slog.DiscardHandler, func(int) { <-hold }}),
	}
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = process.Run(ctx) })
	defer running.Wait()
	defer stop()
	defer close(hold)
	receive(t, control.joined, "Envoy")

	var tasks []string
	var threads sync.WaitGroup
	end := make(chan struct{})
	for range 100 {
		task := make(chan string)
		threads.Go(func() {
			runtime.LockOSThread() // so the thread ends with its goroutine
			task <- fmt.Sprintf("/proc/self/task/%d", unix.Gettid())
			<-end
		})
		tasks = append(tasks, <-task)
	}
	close(end)
	threads.Wait()
	for _, task := range tasks {
		for _, err := os.Stat(task); err == nil && task != mainTask(); _, err = os.Stat(task) {
			runtime.Gosched()
		}
	}

	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", admin)
		},
	}}
	response, err := client.Get("http://envoy/server_info")
	if err != nil {
		t.Fatalf("Envoy is gone: %v", err)
	}
	response.Body.Close()
}

// mainTask is the thread that never ends: the runtime parks it instead.
func mainTask() string { return fmt.Sprintf("/proc/self/task/%d", os.Getpid()) }
