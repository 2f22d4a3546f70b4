package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/attache-dev/attache/config"
	"github.com/attache-dev/attache/extprocsvc"
	"github.com/attache-dev/attache/translator"
	"github.com/attache-dev/attache/xds"
)

// TestPrepare: what is prepared is put in force only by apply, and only if the file,
// and the files that it names, are still the same.
func TestPrepare(t *testing.T) {
	dir := t.TempDir()
	key := filepath.Join(dir, "key")
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file := func(path string) string {
		return "binds:\n- port: 3000\n  listeners:\n  - routes:\n    - matches: [{path: {exact: " + path + "}}]\n      backends:\n      - host: 127.0.0.1:9\n        policies: {backendAuth: {key: {file: " + key + "}}}\n"
	}
	log := slog.New(slog.DiscardHandler)
	a := newApp(filepath.Join(dir, "attache.yaml"), log)
	a.opts = translator.Options{ExtProc: mustTarget(defaultExtProcAddr)}
	a.extproc, a.xds = extprocsvc.NewServer(extprocsvc.Options{Log: log}), xds.NewServer(log)
	a.tell = func(error) {}

	write("key", "one")
	write("attache.yaml", file("/a"))
	if err := a.start(); err != nil {
		t.Fatal(err)
	}
	first := a.serving

	a.prepare()
	if err := a.apply(); err != nil || a.serving != first {
		t.Fatalf("the same file is applied again: %v", err)
	}

	write("attache.yaml", file("/b"))
	a.prepare()
	if a.serving != first || a.current().Digest != first.digest {
		t.Error("what is prepared is in force")
	}
	prepared := a.ahead
	if err := a.apply(); err != nil || a.serving != prepared || a.ahead != nil {
		t.Errorf("what is prepared is not what is applied: %v", err)
	}

	write("attache.yaml", file("/c"))
	a.prepare()
	prepared = a.ahead
	write("key", "two")
	if err := a.apply(); err != nil || a.serving == prepared || a.serving.digest == prepared.digest {
		t.Errorf("a file that is named has changed since: %v", err)
	}
	third := a.serving

	write("attache.yaml", file("/d")[:20])
	a.prepare()
	if a.current().Refused != nil || a.serving != third {
		t.Error("half of a file is told as a mistake")
	}
	write("attache.yaml", file("/d"))
	if err := a.apply(); err != nil || a.serving == third {
		t.Errorf("the whole file is not applied: %v", err)
	}
}

// TestBuildsInARow: what was made of an earlier text gives what would be made
// without it, and does not keep it.
func TestBuildsInARow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "attache.yaml")
	opts := translator.Options{ExtProc: mustTarget(defaultExtProcAddr)}
	var before *built
	for i, text := range [][]byte{manyRoutes(20, true), manyRoutes(21, true), manyRoutes(20, false), manyRoutes(19, true), manyRoutes(1, true)} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		src := &source{path: path, before: before}
		after, err := src.build(config.Options{}, opts)
		if err != nil {
			t.Fatal(err)
		}
		alone, err := (&source{path: path}).build(config.Options{}, opts)
		if err != nil {
			t.Fatal(err)
		}
		if after.digest != alone.digest || after.snapshot.Version() != alone.snapshot.Version() {
			t.Errorf("text %d: %s and %s, alone %s and %s", i, after.digest, after.snapshot.Version(), alone.digest, alone.snapshot.Version())
		}
		if src.before != nil {
			t.Errorf("text %d keeps the one before", i)
		}
		before = after
	}
}
