package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestStateFileSweeps: what a killed process has left goes, and nothing else.
func TestStateFileSweeps(t *testing.T) {
	s := stateFile{dir: filepath.Join(t.TempDir(), "state")}
	if err := s.save([]byte("one")); err != nil {
		t.Fatal(err)
	}
	left, young := filepath.Join(s.dir, "last-good-1.tmp"), filepath.Join(s.dir, "last-good-2.tmp")
	for path, age := range map[string]time.Duration{left: time.Hour, young: 0} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, time.Time{}, time.Now().Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.save([]byte("two")); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(s.path()); err != nil || string(got) != "two" {
		t.Errorf("kept is %q, %v", got, err)
	}
	if _, err := os.Stat(left); err == nil {
		t.Error("what was left an hour ago is still there")
	}
	if _, err := os.Stat(young); err != nil {
		t.Error("what somebody else may be writing is gone")
	}
}
