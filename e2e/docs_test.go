package e2e

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/attache-dev/attache/envoy/envoytest"
)

// block is a fenced example of a document.
type block struct {
	file     string
	line     int
	language string
	text     string
}

var fence = regexp.MustCompile("(?ms)^```([a-z]+)\n(.*?)^```$")

// documents are the paths of all documents.
func documents(t *testing.T) (all []string) {
	t.Helper()
	err := filepath.WalkDir("..", func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && strings.HasPrefix(d.Name(), ".") && d.Name() != ".." {
			return filepath.SkipDir
		}
		if filepath.Ext(path) == ".md" {
			all = append(all, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// blocks returns the examples of all documents.
func blocks(t *testing.T) (all []block) {
	t.Helper()
	for _, path := range documents(t) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range fence.FindAllSubmatchIndex(text, -1) {
			all = append(all, block{path, 1 + bytes.Count(text[:m[0]], []byte("\n")), string(text[m[2]:m[3]]), string(text[m[4]:m[5]])})
		}
	}
	return all
}

// TestExamplesAreValid: every YAML example of the documents is a file that
// loads, and so is every file of examples/ and deploy/.
func TestExamplesAreValid(t *testing.T) {
	files := map[string]string{}
	for _, b := range blocks(t) {
		switch b.language {
		case "yaml":
			file := filepath.Join(t.TempDir(), "example.yaml")
			if err := os.WriteFile(file, []byte(b.text), 0o644); err != nil {
				t.Fatal(err)
			}
			files[fmt.Sprintf("%s:%d", b.file, b.line)] = file
		case "sh", "json":
		default:
			t.Errorf("%s:%d: an example in %q, which no test knows", b.file, b.line, b.language)
		}
	}
	for _, pattern := range []string{"../examples/*/attache.yaml", "../deploy/compose/config/*.yaml"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Errorf("no files match %s: %v", pattern, err)
		}
		for _, f := range found {
			files[f] = f
		}
	}
	if len(files) < 8 {
		t.Errorf("only %d examples were found", len(files))
	}
	for name, file := range files {
		cmd := exec.Command(attache, "validate", file)
		cmd.Env = append(os.Environ(), "OPEN_AI_APIKEY=sk-example")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

// TestReadme does what the README tells a newcomer: make run, then the curl.
func TestReadme(t *testing.T) {
	var shell []string
	for _, b := range blocks(t) {
		if b.file == "../README.md" && b.language == "sh" {
			shell = append(shell, strings.TrimSpace(b.text))
		}
	}
	if len(shell) != 2 || shell[0] != "make run" || !strings.HasPrefix(shell[1], "curl localhost:3000/") {
		t.Fatalf("the README's commands are no longer make run and a curl: %q", shell)
	}
	ports := envoytest.Ports(t, 2)
	run := exec.Command("make", "run")
	run.Dir = ".."
	run.Env = append(withoutMake(os.Environ()),
		"PORT="+strconv.Itoa(ports[0]), "MOCK_LLM=127.0.0.1:"+strconv.Itoa(ports[1]), "ENVOY_PATH="+envoyPath(t),
		"ADMIN_ADDR=127.0.0.1:0", "STATS_ADDR=127.0.0.1:0", "READINESS_ADDR=127.0.0.1:0")
	log := inGroup(t, run)

	ask := strings.ReplaceAll(shell[1], ":3000", ":"+strconv.Itoa(ports[0]))
	var out []byte
	eventually(t, log, func() bool {
		out, _ = exec.Command("sh", "-c", ask).Output()
		return bytes.Contains(out, []byte("Hello!"))
	})
	if !bytes.Contains(out, []byte("Answer in one sentence.")) || !bytes.Contains(out, []byte("gpt-4o-mini")) {
		t.Errorf("the mock model did not get what the README promises: %s", out)
	}
	// It prints the very curl, for the port in use.
	eventually(t, log, func() bool {
		return strings.Contains(strings.Join(strings.Fields(log.String()), " "), strings.Join(strings.Fields(ask), " "))
	})
}

// TestQuickstartWithoutItsModel: a newcomer on whose machine somebody has the mock
// model's port is told so, and what to do.
func TestQuickstartWithoutItsModel(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	run := exec.Command("sh", "examples/quickstart/run.sh")
	run.Dir = ".."
	run.Env = append(os.Environ(), "ATTACHE="+attache, "ENVOY_PATH="+envoyPath(t), "MOCK_LLM="+taken.Addr().String(), "PORT="+strconv.Itoa(envoytest.Ports(t, 1)[0]),
		"ADMIN_ADDR=off", "STATS_ADDR=off", "READINESS_ADDR=off")
	out, _ := run.CombinedOutput()
	if run.ProcessState.ExitCode() != 3 || !bytes.Contains(out, []byte("attache: hint: other ports: PORT=3001 MOCK_LLM=127.0.0.1:8081 make run\n")) {
		t.Errorf("exit code %d\n%s", run.ProcessState.ExitCode(), out)
	}
}

// TestBootstrapExample runs the commands with which an Envoy of one's own joins.
func TestBootstrapExample(t *testing.T) {
	ports := envoytest.Ports(t, 4)
	local := strings.NewReplacer("18000", strconv.Itoa(ports[0]), "9901", strconv.Itoa(ports[1]))
	dir := t.TempDir()
	if err := os.Symlink(envoyPath(t), filepath.Join(dir, "envoy")); err != nil {
		t.Fatal(err)
	}
	env := append(os.Environ(), "PATH="+dir+":"+filepath.Dir(attache)+":"+os.Getenv("PATH"),
		"PORT="+strconv.Itoa(ports[2]), "ADMIN_ADDR=127.0.0.1:"+strconv.Itoa(ports[3]), "STATS_ADDR=off", "READINESS_ADDR=off")

	found := false
	for _, b := range blocks(t) {
		if b.file != "../docs/operation.md" || b.language != "sh" || !strings.Contains(b.text, "envoy -c bootstrap.yaml") {
			continue
		}
		found = true
		serve := exec.Command(attache, "serve", "-f", "../examples/quickstart/attache.yaml", "--xds", "127.0.0.1:"+strconv.Itoa(ports[0]), "--extproc", "127.0.0.1:0")
		serve.Env = env
		log := inGroup(t, serve)
		join := exec.Command("sh", "-e", "-c", local.Replace(b.text))
		join.Dir, join.Env = dir, env
		inGroup(t, join)
		eventually(t, log, func() bool {
			status := exec.Command(attache, "status")
			status.Env = env
			out, _ := status.Output()
			return bytes.Contains(out, []byte("has acknowledged everything"))
		})
	}
	if !found {
		t.Error("docs/operation.md no longer shows how an Envoy joins")
	}
}

// withoutMake removes what an outer make leaves for inner ones.
func withoutMake(env []string) (kept []string) {
	for _, v := range env {
		if !strings.HasPrefix(v, "MAKE") && !strings.HasPrefix(v, "MFLAGS") {
			kept = append(kept, v)
		}
	}
	return kept
}

// inGroup starts a command as a process group and ends the whole group as
// Ctrl-C would, at the end of the test.
func inGroup(t *testing.T, cmd *exec.Cmd) *syncBuffer {
	t.Helper()
	log := &syncBuffer{}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_, _ = cmd.Process.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGINT)
		select {
		case <-ended:
		case <-time.After(15 * time.Second):
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			<-ended
			t.Errorf("%s did not end by itself", cmd)
		}
		if t.Failed() {
			t.Logf("%s\n%s", cmd, log.String())
		}
	})
	return log
}

func eventually(t *testing.T, log fmt.Stringer, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * patience); !done(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in time\n%s", log)
		}
	}
}
