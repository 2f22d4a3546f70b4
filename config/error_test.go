package config

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestKindsAreDocumented: the words are a promise to programs.
func TestKindsAreDocumented(t *testing.T) {
	source, err := os.ReadFile("error.go")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../docs/operation.md")
	if err != nil {
		t.Fatal(err)
	}
	kinds := regexp.MustCompile(`(?m)^\t\w+ +Kind = "([a-z-]+)"$`).FindAllStringSubmatch(string(source), -1)
	if len(kinds) < 8 {
		t.Fatalf("only %d kinds were found", len(kinds))
	}
	for _, k := range kinds {
		if !strings.Contains(string(page), "\n| `"+k[1]+"` | ") {
			t.Errorf("docs/operation.md does not say what the kind %s is", k[1])
		}
	}
}
