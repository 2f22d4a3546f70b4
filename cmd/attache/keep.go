package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// stateFile keeps the text of the last configuration that Envoy has acknowledged below --state, so
// that a restart on a bad file can serve it. Without a directory it keeps
// nothing.
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
	f, err := os.CreateTemp(s.dir, "last-good-*.tmp") // with mode 0600
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

// exists tells whether there is something to fall back on.
func (s stateFile) exists() bool {
	if s.dir == "" {
		return false
	}
	_, err := os.Stat(s.path())
	return !errors.Is(err, fs.ErrNotExist)
}
