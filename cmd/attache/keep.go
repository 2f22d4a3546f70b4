package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// stateFile keeps the text of the last good configuration below --state, so
// that a restart on a bad file can serve it. Without a directory it keeps
// nothing.
type stateFile struct{ dir string }

func (s stateFile) path() string { return filepath.Join(s.dir, "last-good.yaml") }

// save replaces the kept text at once. The file may hold keys.
func (s stateFile) save(text []byte) error {
	if s.dir == "" {
		return nil
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	tmp := s.path() + ".tmp"
	if err := os.WriteFile(tmp, text, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, s.path())
}

// exists tells whether there is something to fall back on.
func (s stateFile) exists() bool {
	if s.dir == "" {
		return false
	}
	_, err := os.Stat(s.path())
	return !errors.Is(err, fs.ErrNotExist)
}
