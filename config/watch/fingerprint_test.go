package watch

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

func TestLook(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	if got := look(path, fingerprint{}, false).content; got != missing {
		t.Errorf("no file: got %q", got)
	}
	if got := look(dir, fingerprint{}, false).content; got != irregular {
		t.Errorf("a directory: got %q", got)
	}
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := look(pipe, fingerprint{}, true).content; got != irregular {
		t.Errorf("a pipe: got %q", got)
	}
	if got := look(filepath.Join(pipe, "below"), fingerprint{}, true).content; got != unreadable {
		t.Errorf("below a pipe: got %q", got)
	}

	old := time.Now().Add(-time.Hour)
	write := func(text string, at time.Time) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	write("one", old)
	first := look(path, fingerprint{}, false)
	if got := look(path, first, true); got.content != first.content {
		t.Error("the same bytes have another fingerprint")
	}

	write("one", old.Add(time.Minute))
	touched := look(path, first, false)
	if touched.content != first.content {
		t.Error("touching the file changed its fingerprint")
	}
	if !touched.info.ModTime().Equal(old.Add(time.Minute)) {
		t.Error("a touched file was not read again")
	}

	write("two", old.Add(time.Minute))
	if got := look(path, touched, true); got.content == touched.content {
		t.Error("other bytes have the same fingerprint")
	}
	if got := look(path, touched, false); got.content != touched.content {
		t.Error("the poll read a file that looks unchanged")
	}

	// Written and read within one tick of the clock: the time tells nothing.
	now := time.Now()
	write("one", now)
	fresh := look(path, fingerprint{}, false)
	write("two", now)
	if got := look(path, fresh, false); got.content == fresh.content {
		t.Error("a young file was believed unchanged because of its time")
	}

	// Reading a terabyte would take hours.
	if err := os.Truncate(path, 1<<40); err != nil {
		t.Fatal(err)
	}
	long := look(path, fingerprint{}, true)
	if long.info == nil {
		t.Fatal("a long file was not read")
	}
	if err := os.Truncate(path, 1<<40+1); err != nil {
		t.Fatal(err)
	}
	if got := look(path, long, true); got.content == long.content {
		t.Error("a longer file has the same fingerprint")
	}
}
