package main

import (
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/attache-dev/attache/envoy"
	"github.com/attache-dev/attache/extprocsvc"
	"github.com/attache-dev/attache/translator"
)

const module = "github.com/attache-dev/attache"

// TestArrows holds the packages to the picture of the README: which of our own
// packages each may import, and which libraries it must do without.
func TestArrows(t *testing.T) {
	const (
		grpc     = "google.golang.org/grpc"
		yaml     = "gopkg.in/yaml.v3"
		fsnotify = "github.com/fsnotify/fsnotify"
	)
	for _, tc := range []struct {
		pkg string
		// own are the packages of this module that it may reach, directly or
		// not. A trailing / means everything below.
		own []string
		// without are packages that it must not reach.
		without []string
		// only, if set, are the modules outside the standard library that it
		// may reach.
		only []string
		why  string
	}{
		{"config", nil, []string{"net/http", "log/slog"}, []string{yaml, "github.com/hashicorp/"}, "the file must be readable by anything"},
		{"config/watch", nil, []string{yaml, "net/http"}, nil, "it knows files, not their meaning"},
		{"translator", []string{"config"}, []string{grpc, "net/http", "log/slog", fsnotify, "time/tzdata"}, nil, "it is pure"},
		{"xds", []string{"config", "translator"}, []string{fsnotify}, nil, "it moves resources and knows no file"},
		{"extprocsvc", []string{"config", "extprocsvc/"}, []string{fsnotify}, nil, "it knows neither Envoy's resources nor how they travel"},
		{"extprocsvc/llm", nil, []string{grpc, yaml, "net/http", "log/slog"}, nil, "it is bytes in, bytes out"},
		{"extprocsvc/events", []string{"extprocsvc/llm"}, []string{grpc, yaml, "net/http", "log/slog"}, nil, "it is events in, events out"},
		{"extprocsvc/collect", []string{"extprocsvc/llm"}, []string{grpc, yaml, "net/http", "log/slog"}, []string{}, "it is a stream in, a body out, and the reverse"},
		{"extprocsvc/inflate", nil, []string{grpc, "log/slog"}, []string{"github.com/klauspost/compress", "github.com/klauspost/compress/", "github.com/andybalholm/brotli", "github.com/andybalholm/brotli/"}, "it is bytes in, bytes out"},
		{"extprocsvc/words", nil, []string{grpc, yaml, "net/http", "log/slog"}, nil, "it knows text, not where it came from"},
		{"extprocsvc/pattern", nil, []string{"net/http", "log/slog", "encoding/json"}, []string{}, "it is text and expressions, and nothing outside the standard library"},
		{"extprocsvc/sensitive", []string{"extprocsvc/pattern"}, []string{"net/http", "log/slog", "encoding/json"}, []string{}, "it knows what data looks like, not where it came from"},
		{"extprocsvc/processors", []string{"config", "extprocsvc", "extprocsvc/"}, nil, nil, "processors know the engine, not the reverse"},
		{"envoy", nil, []string{grpc + "/server", fsnotify}, nil, "it runs a program"},
		{"bench/measuring", nil, nil, []string{}, "it looks at programs from outside"},
	} {
		for _, dep := range goList(t, "-deps", "./../../"+tc.pkg) {
			if own, ok := strings.CutPrefix(dep, module+"/"); ok {
				if own != tc.pkg && !matches(tc.own, own) {
					t.Errorf("%s reaches %s, but %s", tc.pkg, own, tc.why)
				}
			} else if matches(tc.without, dep) {
				t.Errorf("%s reaches %s, but %s", tc.pkg, dep, tc.why)
			} else if tc.only != nil && strings.Contains(strings.SplitN(dep, "/", 2)[0], ".") && !matches(tc.only, dep) {
				t.Errorf("%s reaches %s, but %s", tc.pkg, dep, tc.why)
			}
		}
	}
}

// TestRooms: the README's picture has every package, and no others.
func TestRooms(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(readme), "\n| Room |")
	table, _, _ = strings.Cut(table, "\n\n")
	unused := map[string]bool{}
	for line := range strings.Lines(table) {
		if room, ok := strings.CutPrefix(line, "| `"); ok {
			room, _, _ = strings.Cut(room, "`")
			unused[room] = true
		}
	}
	rooms := slices.Collect(maps.Keys(unused))
	for _, pkg := range goList(t, "./../../...") {
		pkg = strings.TrimPrefix(pkg, module+"/")
		i := slices.IndexFunc(rooms, func(room string) bool {
			return pkg == strings.TrimSuffix(room, "/*") || strings.HasPrefix(pkg, strings.TrimSuffix(room, "*")) && strings.HasSuffix(room, "/*")
		})
		if i < 0 {
			t.Errorf("the README has no room %s", pkg)
			continue
		}
		delete(unused, rooms[i])
	}
	for room := range unused {
		t.Errorf("the README's room %s is not there", room)
	}
}

// TestTestOnly: libraries for tests stay out of the program, and nobody imports
// this command.
func TestTestOnly(t *testing.T) {
	for _, dep := range goList(t, "-deps", ".") {
		for _, lib := range []string{"github.com/rogpeppe/go-internal", "github.com/google/go-cmp", "go.uber.org/goleak", "k8s.io", "sigs.k8s.io", "testing"} {
			if dep == lib || strings.HasPrefix(dep, lib+"/") {
				t.Errorf("the program contains %s, which is for tests", dep)
			}
		}
	}
	for _, line := range goList(t, "-f", "{{.ImportPath}} {{.Imports}} {{.TestImports}} {{.XTestImports}}", "./../../...") {
		pkg, imports, _ := strings.Cut(line, " ")
		if strings.Contains(imports, module+"/cmd/") {
			t.Errorf("%s imports the command", pkg)
		}
	}
}

// TestNothingIsSkipped: what a test cannot have is a failure, never a skip, which
// nobody would see.
func TestNothingIsSkipped(t *testing.T) {
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") || filepath.Base(path) == "deps_test.go" {
			return err
		}
		text, err := os.ReadFile(path)
		for _, word := range []string{".Skip(", ".Skipf(", ".SkipNow("} {
			if strings.Contains(string(text), word) {
				t.Errorf("%s has %s)", path, word)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func matches(patterns []string, pkg string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		return p == pkg || strings.HasSuffix(p, "/") && strings.HasPrefix(pkg, p)
	})
}

func goList(t *testing.T, args ...string) []string {
	t.Helper()
	out, err := exec.Command("go", append([]string{"list"}, args...)...).Output()
	if err != nil {
		t.Fatalf("go list %s: %v", strings.Join(args, " "), err)
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}

// TestAgreements: translator, extprocsvc and envoy do not know each other, and must
// mean the same by the words that they share through Envoy.
func TestAgreements(t *testing.T) {
	for _, w := range []struct{ what, envoy, service string }{
		{"the gRPC metadata that names the chain", translator.ChainMetadata, extprocsvc.MetadataKey},
		{"the namespace of dynamic metadata", translator.MetadataNamespace, extprocsvc.MetadataNamespace},
		{"the key of the chosen backend", translator.BackendKey, extprocsvc.BackendKey},
		{"the gRPC metadata that names a profile", translator.ProfileMetadata, extprocsvc.ProfileKey},
		{"the attribute with the name of the route", translator.RouteAttribute, extprocsvc.RouteAttribute},
		{"the response header with the id", translator.IDHeader, extprocsvc.IDHeader},
		{"the certificate of an Envoy's bootstrap", translator.BootstrapCertificate, envoy.CertificateSecret},
		{"the authorities of an Envoy's bootstrap", translator.BootstrapRoots, envoy.RootsSecret},
	} {
		if w.envoy != w.service {
			t.Errorf("%s is %q and %q", w.what, w.envoy, w.service)
		}
	}
}
