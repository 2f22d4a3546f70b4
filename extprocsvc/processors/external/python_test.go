package external

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// The processors of testdata run on what servers of F5's SDK run on. It is
// installed once, into .venv at the root of the repository, from PyPI and by
// the hashes of requirements.txt.

const requirements = "testdata/requirements.txt"

// packages returns the folder with the Python packages.
var packages = sync.OnceValues(func() (string, error) {
	wanted, err := os.ReadFile(requirements)
	if err != nil {
		return "", err
	}
	version, err := exec.Command("python3", "-c", "import sys, platform; print(sys.implementation.cache_tag, platform.machine())").Output()
	if err != nil {
		return "", fmt.Errorf("python3: %w", err)
	}
	sum := sha256.Sum256(append(wanted, version...))
	root, err := filepath.Abs("../../../.venv")
	if err != nil {
		return "", err
	}
	dir := filepath.Join(root, hex.EncodeToString(sum[:8]))
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(root, 0o755); err != nil {
		return "", err
	}
	// Whoever is first puts it in place; others find it there.
	temp, err := os.MkdirTemp(root, "new-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(temp)
	python := "python3"
	if exec.Command(python, "-m", "pip", "--version").Run() != nil {
		if out, err := exec.Command(python, "-m", "venv", filepath.Join(temp, "venv")).CombinedOutput(); err != nil {
			return "", fmt.Errorf("python3 has neither pip nor venv: %w\n%s", err, out)
		}
		python = filepath.Join(temp, "venv", "bin", "python")
	}
	target := filepath.Join(temp, "packages")
	pip := exec.Command(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input",
		"--require-hashes", "--only-binary", ":all:", "--target", target, "-r", requirements)
	if out, err := pip.CombinedOutput(); err != nil {
		return "", fmt.Errorf("pip: %w\n%s", err, out)
	}
	if err := os.Rename(target, dir); err != nil {
		if _, there := os.Stat(dir); there != nil {
			return "", err
		}
	}
	return dir, nil
})

// A python is a running server of test processors.
type python struct {
	endpoint string
	cmd      *exec.Cmd
	stdin    io.Closer
	log      bytes.Buffer
}

func startPython(scheme string, args ...string) (*python, error) {
	dir, err := packages()
	if err != nil {
		return nil, err
	}
	p := &python{cmd: exec.Command("python3", append([]string{"-B", "testdata/processors/server.py"}, args...)...)}
	p.cmd.Env = append(os.Environ(), "PYTHONPATH="+dir)
	p.cmd.Stderr = &p.log
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	port, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		_ = p.stop()
		return nil, fmt.Errorf("the server did not start: %w\n%s", err, p.log.String())
	}
	p.endpoint = scheme + "://127.0.0.1:" + strings.TrimSpace(port)
	return p, nil
}

func (p *python) stop() error {
	_ = p.stdin.Close()
	return p.cmd.Wait()
}

// plain is the one server without TLS, for all tests.
var plain = sync.OnceValues(func() (*python, error) { return startPython("http") })

var plainStarted bool

func pythonServer(t testing.TB) string {
	t.Helper()
	p, err := plain()
	if err != nil {
		t.Fatal(err)
	}
	plainStarted = true
	return p.endpoint
}

func stopPython() {
	if !plainStarted {
		return
	}
	if p, err := plain(); err == nil {
		if err := p.stop(); err != nil {
			println(err.Error(), p.log.String())
		}
	}
}

// securePython runs a server with TLS until the test ends.
func securePython(t *testing.T, args ...string) string {
	t.Helper()
	p, err := startPython("https", args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		clients.closeIdle()
		if err := p.stop(); err != nil {
			t.Errorf("%v\n%s", err, p.log.String())
		}
	})
	return p.endpoint
}
