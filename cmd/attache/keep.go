package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// stateFile keeps the text of the last configuration that Envoy has acknowledged
// below --state, so that a restart on a bad file can serve it. Without a directory
// it keeps nothing.
type stateFile struct{ dir string }

func (s stateFile) path() string { return filepath.Join(s.dir, "last-good.yaml") }

// save replaces the kept text at once, or not at all: the disk may be full. The
// file may hold keys.
func (s stateFile) save(text []byte) error {
	if s.dir == "" {
		return nil
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	s.sweep()
	f, err := os.CreateTemp(s.dir, unfinished) // with mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), s.path())
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// unfinished is what a text is called while it is written. A process that is killed
// then leaves it, and nobody else writes for so long.
const unfinished, unfinishedAfter = "last-good-*.tmp", time.Minute

// sweep removes what was left.
func (s stateFile) sweep() {
	left, _ := filepath.Glob(filepath.Join(s.dir, unfinished))
	for _, path := range left {
		if info, err := os.Lstat(path); err == nil && time.Since(info.ModTime()) > unfinishedAfter {
			os.Remove(path)
		}
	}
}

// exists tells whether there is something to fall back on.
func (s stateFile) exists() bool {
	if s.dir == "" {
		return false
	}
	_, err := os.Stat(s.path())
	return !errors.Is(err, fs.ErrNotExist)
}
