package external

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/attache-dev/attache/e2e/pythontest"
)

// The processors of testdata run on what servers of F5's SDK run on.
const requirements = "testdata/requirements.txt"

// A python is a running server of test processors.
type python struct {
	endpoint string
	cmd      *exec.Cmd
	stdin    io.Closer
	log      bytes.Buffer
}

func startPython(scheme string, args ...string) (*python, error) {
	cmd, err := pythontest.Command(requirements, append([]string{"testdata/processors/server.py"}, args...)...)
	if err != nil {
		return nil, err
	}
	p := &python{cmd: cmd}
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
