package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/attache-dev/attache/config"
	"github.com/attache-dev/attache/xds"
)

// Each mistake is told once, with its place, in the order of the file.
func TestRefusals(t *testing.T) {
	err := refusals("gw.yaml", []xds.Nack{
		{Node: "edge-1", Resource: "routes/3000", Place: "gw.yaml:7:5: binds[0].listeners[0].routes[1]", Message: "no"},
		{Node: "edge-2", Resource: "routes/3000", Place: "gw.yaml:7:5: binds[0].listeners[0].routes[1]", Message: "no"},
		{Node: "edge-1", Resource: "listener/3000", Place: "gw.yaml:2:1: binds[0]", Message: "not that"},
		{Node: "edge-1", Resource: "attache/ext_proc", Message: "nor that"},
	})
	var got []string
	for _, e := range config.Errors(err) {
		if e.Kind != config.Refused {
			t.Errorf("%v is of kind %s", e, e.Kind)
		}
		got = append(got, e.Error())
	}
	want := []string{
		"gw.yaml: Envoy edge-1 refuses what this becomes, attache/ext_proc: nor that",
		"gw.yaml:2:1: binds[0]: Envoy edge-1 refuses what this becomes, listener/3000: not that",
		"gw.yaml:7:5: binds[0].listeners[0].routes[1]: Envoy edge-1 (and 1 more) refuses what this becomes, routes/3000: no",
	}
	if len(got) != len(want) {
		t.Fatalf("got %q", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("got %q, want %q", got[i], want[i])
		}
	}
}

func TestPlaced(t *testing.T) {
	for place, want := range map[string]config.Error{
		"a:1:2.yaml:3:4: binds[0]": {File: "a:1:2.yaml", Line: 3, Column: 4, Path: "binds[0]"},
		"a:1:2.yaml:3:4":           {File: "a:1:2.yaml", Line: 3, Column: 4},
		"a:1:2.yaml":               {File: "a:1:2.yaml"},
		"":                         {File: "a:1:2.yaml"},
	} {
		if got := placed("a:1:2.yaml", place); *got != want {
			t.Errorf("%q: got %+v", place, got)
		}
	}
}

// What is kept is replaced as a whole or not at all, and nobody else can read it.
func TestStateFile(t *testing.T) {
	s := stateFile{dir: filepath.Join(t.TempDir(), "kept")}
	if s.exists() {
		t.Error("something is kept already")
	}
	for _, text := range []string{"one", "two"} {
		if err := s.save([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(s.path()); err != nil || string(got) != text {
			t.Errorf("kept %q, %v", got, err)
		}
	}
	for path, want := range map[string]os.FileMode{s.path(): 0o600, s.dir: 0o700} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}

	// It cannot be replaced where a directory is in the way; then nothing is left.
	if err := os.Remove(s.path()); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(s.path(), "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := s.save([]byte("three")); err == nil {
		t.Error("no error")
	}
	if left, err := os.ReadDir(s.dir); err != nil || len(left) != 1 {
		t.Errorf("left: %v, %v", left, err)
	}
}
