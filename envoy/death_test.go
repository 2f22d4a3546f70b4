package envoy

import (
	"errors"
	"os/exec"
	"strings"
	"testing"
)

func TestPlainWords(t *testing.T) {
	for _, test := range []struct{ words, want string }{
		{"error `cannot bind '127.0.0.1:80': Address already in use` initializing config 'x'", "127.0.0.1:80 is taken by another program"},
		{"cannot bind '0.0.0.0:80': Permission denied", "this user may not listen on 0.0.0.0:80; ports below 1024 need a right of their own (CAP_NET_BIND_SERVICE)"},
		{"PARSE ERROR: Argument: --x\n             Couldn't find match for argument\n", "it does not know an option that attache starts it with; its version does not fit"},
		{"error `Protobuf message (type B reason INVALID_ARGUMENT: no such field: 'x') has unknown fields` initializing", "it does not know a part of the bootstrap; its version does not fit"},
		{"envoy: error while loading shared libraries: libx.so.1: cannot open shared object file", "this machine lacks the library libx.so.1"},
		{"error `no` initializing config 'goo.gle/debugstr   \\n secret: SECRET \\n'", "error `no` initializing config '…'"},
	} {
		if got := plain(test.words); got != test.want {
			t.Errorf("%q means %q, want %q", test.words, got, test.want)
		}
	}
}

func TestGaveUp(t *testing.T) {
	run := func(script string) error { return exec.Command("sh", "-c", script).Run() }
	for _, test := range []struct {
		script string
		want   bool
	}{
		{"exit 1", true},
		{"exit 0", false},
		{"kill -9 $$", false}, // for want of memory, say: another one may live
	} {
		err := deathError(run(test.script), "")
		if got := gaveUp(err); got != test.want {
			t.Errorf("%s: %v gave up: %v", test.script, err, got)
		}
	}
	err := deathError(errors.New("exit status 1"), "cannot bind '1.2.3.4:5': Address already in use")
	if want := "1.2.3.4:5 is taken by another program (exit status 1)"; err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
	if strings.Contains(plain("goo.gle/debugstr SECRET"), "SECRET") {
		t.Error("a resource is quoted")
	}
}
