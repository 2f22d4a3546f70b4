package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestReadRegular: a process that is asked to read what never ends, or keeps its
// readers waiting, goes on.
func TestReadRegular(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	if err := os.WriteFile(in("file"), []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(in("pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	huge, err := os.Create(in("huge"))
	if err == nil {
		err = huge.Truncate(1 << 40)
	}
	if err != nil {
		t.Fatal(err)
	}
	huge.Close()
	for name, target := range map[string]string{"link": "file", "to a pipe": "pipe", "loop": "loop", "zero": "/dev/zero"} {
		if err := os.Symlink(target, in(name)); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{
		"file": "", "link": "",
		"pipe": "not a regular file", "to a pipe": "not a regular file", "zero": "not a regular file",
		"huge": "more than", "loop": "too many levels", "none": "no such file", ".": "is a directory",
	} {
		switch content, err := readRegular(in(name)); {
		case want == "":
			if string(content) != "text" || err != nil {
				t.Errorf("%s: got %q, %v", name, content, err)
			}
		case err == nil || !strings.Contains(reason(err), want):
			t.Errorf("%s: got the error %v, want %q", name, err, want)
		}
	}
}
