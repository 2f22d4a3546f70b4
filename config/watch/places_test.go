package watch

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPlaces(t *testing.T) {
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"cfg/..2026", "elsewhere/deep"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"plain.yaml", "cfg/..2026/attache.yaml", "elsewhere/deep/key.pem"} {
		if err := os.WriteFile(filepath.Join(root, file), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range map[string]string{
		"cfg/..data":       "..2026",
		"cfg/attache.yaml": "..data/attache.yaml",
		"deep":             filepath.Join(root, "elsewhere/deep"),
		"dangling":         "nowhere/at/all",
		"circle":           "circle",
	} {
		if err := os.Symlink(target, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}

	for _, test := range []struct {
		path string
		want []string
	}{
		{"plain.yaml", []string{"plain.yaml"}},
		{"./cfg//../plain.yaml", []string{"plain.yaml"}},
		{"cfg/attache.yaml", []string{"cfg/attache.yaml", "cfg/..data", "cfg/..2026/attache.yaml"}},
		{"deep/key.pem", []string{"deep", "elsewhere/deep/key.pem"}},
		{"deep/../deep/key.pem", []string{"deep", "elsewhere/deep/key.pem"}},
		{"absent", []string{"absent"}},
		{"absent/too/far", []string{"absent"}},
		{"dangling", []string{"dangling", "nowhere"}},
		{"plain.yaml/below", []string{"plain.yaml/below"}},
	} {
		t.Run(test.path, func(t *testing.T) {
			var got []string
			for _, place := range places(root + "/" + test.path) {
				relative, err := filepath.Rel(root, place)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, relative)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}

	t.Run("circle ends", func(t *testing.T) {
		if got := len(places(filepath.Join(root, "circle"))); got != maxLinks+1 {
			t.Errorf("followed %d links", got)
		}
	})
	t.Run("relative", func(t *testing.T) {
		t.Chdir(root)
		if diff := cmp.Diff([]string{filepath.Join(root, "plain.yaml")}, places("plain.yaml")); diff != "" {
			t.Error(diff)
		}
	})
}
