package config

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/tools/txtar"
)

// TestConvert reads testdata/convert/*.txtar: prose, then config.yaml, perhaps
// env and files, then want: the file in our form. It must load as the same
// model.
func TestConvert(t *testing.T) {
	files, err := filepath.Glob("testdata/convert/*.txtar")
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
			opts := optionsOf(sections)
			got, from, err := Convert("config.yaml", []byte(sections["config.yaml"]), opts)
			if err != nil {
				t.Fatal(err)
			}
			if *update {
				for i := range archive.Files {
					if archive.Files[i].Name == "want" {
						archive.Files[i].Data = got
					}
				}
				if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if diff := cmp.Diff(sections["want"], string(got)); diff != "" {
				t.Errorf("want -, got +:\n%s", diff)
			}
			to, err := Parse("converted.yaml", got, opts)
			if err != nil {
				t.Fatalf("the conversion does not load: %v\n%s", err, got)
			}
			if diff := cmp.Diff(from, to, sameMeaning); diff != "" {
				t.Errorf("F5's file -, conversion +:\n%s", diff)
			}
			if diff := cmp.Diff(services(from), services(to)); diff != "" {
				t.Errorf("services: F5's file -, conversion +:\n%s", diff)
			}
			for _, secret := range []string{"sk-", "PRIVATE KEY"} {
				if strings.Contains(string(got), secret) {
					t.Errorf("the conversion holds a secret")
				}
			}
		})
	}
}

// sameMeaning compares models without their places: two files of the same
// meaning do the same.
var sameMeaning = cmp.Options{
	cmpopts.IgnoreFields(Config{}, "File", "Warnings"),
	cmpopts.IgnoreUnexported(Config{}),
	cmpopts.IgnoreFields(Listener{}, "Path", "BindPath"),
	cmpopts.IgnoreFields(ServerTLS{}, "Path"),
	cmpopts.IgnoreFields(Route{}, "Path", "Services"), // see services
	cmpopts.IgnoreFields(ExtProc{}, "Path"),
	cmpopts.IgnoreFields(Candidate{}, "Path"),
	cmpopts.IgnoreFields(Authentication{}, "Path"),
	cmpopts.IgnoreFields(Backend{}, "Path"),
	cmpopts.IgnoreFields(Processor{}, "Path"),
	cmpopts.IgnoreFields(Profile{}, "Path"),
	cmpopts.IgnoreFields(Service{}, "Path"),
	cmpopts.IgnoreFields(Stage{}, "Path"),
	cmpopts.IgnoreFields(Selector{}, "Path"),
	cmpopts.IgnoreFields(Step{}, "Path"),
	cmp.AllowUnexported(Credential{}),
	cmpopts.EquateEmpty(),
	cmp.Transformer("json", func(r Raw) string {
		text, err := r.MarshalJSON()
		return fmt.Sprint(string(text), err)
	}),
}

// services tells which backends the services of each route are.
func services(c *Config) (all []string) {
	for _, l := range c.Listeners {
		for _, rt := range l.Routes {
			if rt.ExtProc == nil {
				continue
			}
			for _, cand := range rt.ExtProc.Profiles {
				for _, s := range cand.Profile.Services {
					if b := rt.Services[s]; b != nil {
						all = append(all, fmt.Sprint(rt.Name, cand.Profile.Name, s.Name, slices.Index(rt.Backends, b)))
					}
				}
			}
		}
	}
	return all
}

// TestConvertDocument: the example of docs/f5.md is followed by what it becomes.
func TestConvertDocument(t *testing.T) {
	text, err := os.ReadFile("../docs/f5.md")
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(string(text), "\n```yaml\n")
	if len(parts) != 3 {
		t.Fatalf("docs/f5.md has %d examples", len(parts)-1)
	}
	from, _, _ := strings.Cut(parts[1], "```\n")
	want, _, _ := strings.Cut(parts[2], "```\n")
	got, _, err := Convert("aigw.yaml", []byte(from), Options{AllowUnsetEnv: true})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("docs/f5.md -, attache convert +:\n%s", diff)
	}
}
