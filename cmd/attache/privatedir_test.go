package main

import (
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestPrivateDir: what a killed process has left goes, and nothing of one that lives.
func TestPrivateDir(t *testing.T) {
	tmp, err := os.MkdirTemp("", "private-") // short enough for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(tmp) })
	t.Setenv("TMPDIR", tmp)
	for _, was := range []struct {
		name         string
		lives, young bool
	}{{"attache-dead", false, false}, {"attache-young", false, true}, {"attache-live", true, false}, {"other-dead", false, false}} {
		path := filepath.Join(tmp, was.name, xdsSocket)
		if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if !was.young {
			if err := os.Chtimes(path, time.Time{}, time.Now().Add(-time.Hour)); err != nil {
				t.Fatal(err)
			}
		}
		if !was.lives {
			l.(*net.UnixListener).SetUnlinkOnClose(false)
			l.Close()
		}
	}
	dir, err := privateDir()
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%s: %v, %v", dir, info, err)
	}
	for name, want := range map[string]bool{"attache-dead": false, "attache-young": true, "attache-live": true, "other-dead": true} {
		if _, err := os.Stat(filepath.Join(tmp, name)); (err == nil) != want {
			t.Errorf("%s: there is %t, want %t", name, err == nil, want)
		}
	}
}
