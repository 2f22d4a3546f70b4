package e2e

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/attache-dev/attache/envoy"
	"github.com/attache-dev/attache/envoy/envoytest"
)

type composeFile struct {
	Services map[string]composeService `yaml:"services"`
	Volumes  map[string]any            `yaml:"volumes"`
}

type composeService struct {
	Image       string            `yaml:"image"`
	User        string            `yaml:"user"`
	Command     []string          `yaml:"command"`
	Environment map[string]string `yaml:"environment"`
	Volumes     []string          `yaml:"volumes"`
	Ports       []string          `yaml:"ports"`
}

// TestCompose runs docker-compose.yml without Docker: its command lines, its
// bootstrap, its configuration and its volumes, with the wheel's Envoy. Only
// paths, ports and names of hosts are changed to ones of this machine.
func TestCompose(t *testing.T) {
	text, err := os.ReadFile("../docker-compose.yml")
	if err != nil {
		t.Fatal(err)
	}
	var file composeFile
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}

	// Both ends of the sockets are one user, and no port is published beyond
	// this machine.
	user := file.Services["attache"].User
	for name, s := range file.Services {
		if s.User == "" || s.User != user {
			t.Errorf("service %s runs as %q, not as %q: it could not open the sockets", name, s.User, user)
		}
		for _, p := range s.Ports {
			if !strings.HasPrefix(p, "127.0.0.1:") {
				t.Errorf("service %s publishes %s on every address of the host", name, p)
			}
		}
	}
	if image, want := file.Services["envoy"].Image, envoy.Pinned.String(); !strings.HasSuffix(image, "v"+want) {
		t.Errorf("the image %s is not Envoy %s, for which resources are generated", image, want)
	}

	c := newContainers(t, &file)
	c.start("mock-llm", attache)
	c.start("attache", attache)
	c.start("envoy", envoyPath(t))

	ask := func() (int, string) {
		resp, err := client.Post("http://127.0.0.1:"+c.port("3000")+"/v1/chat/completions", "application/json",
			strings.NewReader(`{"model":"any","messages":[{"role":"user","content":"Hello!"}]}`))
		if err != nil {
			return 0, err.Error()
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(body)
	}
	c.until(func() bool { status, _ := ask(); return status == 200 })
	if _, body := ask(); !strings.Contains(body, "Answer in one sentence.") || !strings.Contains(body, "gpt-4o-mini") {
		t.Errorf("the chain did not run: %s", body)
	}

	// The directory is mounted, so an editor's rename is seen.
	config := filepath.Join(c.path("/etc/attache"), "attache.yaml")
	old, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	edited := config + "~"
	if err := os.WriteFile(edited, bytes.ReplaceAll(old, []byte("gpt-4o-mini"), []byte("gpt-5")), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(edited, config); err != nil {
		t.Fatal(err)
	}
	c.until(func() bool { _, body := ask(); return strings.Contains(body, "gpt-5") })

	for _, url := range []string{c.port("15000") + "/status", c.port("15020") + "/metrics", c.port("15021") + "/healthz/ready", c.port("9901") + "/ready"} {
		resp, err := client.Get("http://127.0.0.1:" + url)
		if err != nil {
			t.Error(err)
			continue
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("%s answers %s", url, resp.Status)
		}
	}
}

// containers stand in for Docker: a service is a process, a mounted path is a
// directory of the test, a port is a free one.
type containers struct {
	t     *testing.T
	file  *composeFile
	paths map[string]string // mount point to directory of this machine
	ports map[string]string
}

func newContainers(t *testing.T, file *composeFile) *containers {
	c := &containers{t: t, file: file, paths: map[string]string{}, ports: map[string]string{}}
	// Sockets have short names: not below the test's own directory.
	root, err := os.MkdirTemp("", "compose-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	free := envoytest.Ports(t, 6)
	for i, p := range []string{"3000", "8080", "9901", "15000", "15020", "15021"} {
		c.ports[p] = strconv.Itoa(free[i])
	}
	for _, s := range file.Services {
		for _, v := range s.Volumes {
			source, target, _ := strings.Cut(v, ":")
			target = strings.TrimSuffix(target, ":ro")
			c.mount(root, source, target)
		}
	}
	// Files name the paths, ports and hosts of the containers.
	for _, dir := range c.paths {
		c.rewrite(dir)
	}
	return c
}

// mount copies what is mounted from the repository, and makes a directory for a
// named volume.
func (c *containers) mount(root, source, target string) {
	if _, ok := c.paths[target]; ok {
		return
	}
	here := filepath.Join(root, strconv.Itoa(len(c.paths)))
	c.paths[target] = here
	if _, named := c.file.Volumes[source]; named {
		if err := os.Mkdir(here, 0o750); err != nil {
			c.t.Fatal(err)
		}
		return
	}
	info, err := os.Stat(filepath.Join("..", source))
	if err != nil {
		c.t.Fatal(err)
	}
	if info.IsDir() {
		err = os.CopyFS(here, os.DirFS(filepath.Join("..", source)))
	} else {
		var text []byte
		if text, err = os.ReadFile(filepath.Join("..", source)); err == nil {
			here += filepath.Ext(target) // Envoy tells formats by the name
			c.paths[target] = here
			err = os.WriteFile(here, text, 0o644)
		}
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *containers) rewrite(path string) {
	err := filepath.WalkDir(path, func(file string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		return os.WriteFile(file, []byte(c.local(string(text))), 0o644)
	})
	if err != nil {
		c.t.Fatal(err)
	}
}

var composePorts = regexp.MustCompile(`\b(3000|8080|9901|15000|15020|15021)\b`)

// local replaces what is of a container by what is of this machine.
func (c *containers) local(s string) string {
	for target, here := range c.paths {
		s = strings.ReplaceAll(s, target, here)
	}
	for name := range c.file.Services {
		s = strings.ReplaceAll(s, name+":8080", "127.0.0.1:8080")
	}
	s = strings.ReplaceAll(s, "0.0.0.0", "127.0.0.1")
	return composePorts.ReplaceAllStringFunc(s, func(p string) string { return c.ports[p] })
}

func (c *containers) path(target string) string { return c.paths[target] }
func (c *containers) port(p string) string      { return c.ports[p] }

// start runs a service with the command line and the environment of the file.
func (c *containers) start(service, program string) {
	s, ok := c.file.Services[service]
	if !ok {
		c.t.Fatalf("docker-compose.yml has no service %s", service)
	}
	var args []string
	for _, a := range s.Command {
		args = append(args, c.local(a))
	}
	cmd := exec.Command(program, args...)
	cmd.Env = []string{"GORACE=" + goRace}
	for k, v := range s.Environment {
		cmd.Env = append(cmd.Env, k+"="+c.local(composeDefault.ReplaceAllString(v, "$1")))
	}
	background(c.t, service, cmd)
}

// daemon is a program that runs in the background.
type daemon struct {
	cmd   *exec.Cmd
	log   *syncBuffer
	ended chan struct{}
}

// background starts a program, which is ended with the test at the latest.
func background(t *testing.T, name string, cmd *exec.Cmd) *daemon {
	t.Helper()
	p := &daemon{cmd: cmd, log: &syncBuffer{}, ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.log, p.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		p.end(10 * time.Second)
		if t.Failed() {
			t.Logf("%s: %s", name, p.log)
		}
	})
	return p
}

// end asks the program to end, kills it if it does not in time, and returns its
// exit code.
func (p *daemon) end(within time.Duration) int {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(within):
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
	return p.cmd.ProcessState.ExitCode()
}

// syncBuffer is what a program prints, readable while it runs.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// composeDefault is a variable of compose with its default: ${NAME:-default}.
var composeDefault = regexp.MustCompile(`\$\{[A-Z_]+:-([^}]*)\}`)

func (c *containers) until(done func() bool) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for !done() {
		select {
		case <-ctx.Done():
			c.t.Fatal("not in time")
		case <-time.After(20 * time.Millisecond):
		}
	}
}
