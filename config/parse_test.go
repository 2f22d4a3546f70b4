package config

import (
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "rewrite the want section of the goldens")

// TestGolden reads testdata/*.txtar: prose, then config.yaml, perhaps env
// (NAME=value lines) and files that the configuration names, then want: every
// error, or every warning of a file that loads.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no goldens: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			sections := map[string]string{}
			for _, f := range archive.Files {
				sections[f.Name] = string(f.Data)
			}
			got := report(Parse("config.yaml", []byte(sections["config.yaml"]), optionsOf(sections)))
			if *update {
				for i := range archive.Files {
					if archive.Files[i].Name == "want" {
						archive.Files[i].Data = []byte(got)
					}
				}
				if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, ok := sections["want"]
			if !ok {
				t.Fatal("the archive has no section want")
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("want -, got +:\n%s", diff)
			}
		})
	}
}

func optionsOf(sections map[string]string) Options {
	env := map[string]string{}
	for line := range strings.Lines(sections["env"]) {
		if name, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "="); ok {
			env[name] = value
		}
	}
	return Options{
		LookupEnv: func(name string) (string, bool) { v, ok := env[name]; return v, ok },
		ReadFile: func(path string) ([]byte, error) {
			if text, ok := sections[filepath.Base(path)]; ok {
				return []byte(text), nil
			}
			return nil, errors.New(fs.ErrNotExist.Error())
		},
	}
}

func report(c *Config, err error) string {
	var b strings.Builder
	for _, e := range Errors(err) {
		b.WriteString(e.Error() + " [" + string(e.Kind) + "]\n")
	}
	if c != nil {
		for _, w := range c.Warnings {
			b.WriteString("warning: " + w.Error() + " [" + string(w.Kind) + "]\n")
		}
	}
	return b.String()
}
