package processors

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Every folder is a processor that is registered here, and has a manual that its
// test reads and runs.
func TestFolders(t *testing.T) {
	registered, err := os.ReadFile("standard.go")
	if err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	folders := 0
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		folders++
		if !strings.Contains(string(registered), "/processors/"+e.Name()+`"`) {
			t.Errorf("%s is not registered in standard.go", e.Name())
		}
		tests, err := filepath.Glob(filepath.Join(e.Name(), "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		read := false
		for _, file := range tests {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			read = read || strings.Contains(string(text), "extproctest.README(t)")
		}
		if !read {
			t.Errorf("no test of %s reads its README.md", e.Name())
		}
	}
	if folders == 0 {
		t.Error("no folders")
	}
}
