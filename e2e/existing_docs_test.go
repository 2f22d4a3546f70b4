package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// printedBlock is an example that a command prints: its fence tells which.
var printedBlock = regexp.MustCompile("(?ms)^```yaml attache (extproc [^\n]+)\n(.*?)^```$")

// TestPrintedExamples: what docs/existing-envoy.md shows is what the commands of
// its fences print for the file that it begins with. With -update it is rewritten.
func TestPrintedExamples(t *testing.T) {
	const doc = "../docs/existing-envoy.md"
	text, err := os.ReadFile(doc)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	first := fence.FindSubmatch(text)
	if first == nil || string(first[1]) != "yaml" {
		t.Fatalf("%s does not begin with a file", doc)
	}
	write(t, filepath.Join(dir, "attache.yaml"), string(first[2]))
	homes := map[string]bool{}
	got := printedBlock.ReplaceAllFunc(text, func(block []byte) []byte {
		args := strings.Fields(string(printedBlock.FindSubmatch(block)[1]))
		for i, a := range args[:len(args)-1] {
			if a == "--print-filter" {
				homes[args[i+1]] = true
			}
		}
		cmd := exec.Command(attache, args...)
		cmd.Dir = dir
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%q: %v", args, err)
		}
		head, _, _ := bytes.Cut(block, []byte("\n"))
		return append(append(append(bytes.Clone(head), '\n'), out...), "```"...)
	})
	if len(homes) != 4 {
		t.Errorf("%s shows %v, want all four homes", doc, homes)
	}
	if bytes.Equal(got, text) {
		return
	}
	if !*update {
		t.Errorf("%s is not what is printed; go test ./e2e -run TestPrintedExamples -update", doc)
		return
	}
	if err := os.WriteFile(doc, got, 0o644); err != nil {
		t.Fatal(err)
	}
}
