package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ +(.*)$`)
	// dropped is what an anchor leaves out of a heading.
	dropped = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
	// anyFence is a block in which neither links nor tables count.
	anyFence = regexp.MustCompile("(?ms)^```.*?^```$")
)

// TestLinks: what the documents refer to is there, the headings too, and every table
// has a head, without which it would be shown as text.
func TestLinks(t *testing.T) {
	count := 0
	headings := map[string]map[string]bool{} // by file
	for _, file := range documents(t) {
		text := prose(t, file)
		for _, m := range link.FindAllSubmatch(text, -1) {
			to := string(m[1])
			if strings.Contains(to, "://") {
				continue
			}
			count++
			path, anchor, _ := strings.Cut(to, "#")
			target := file
			if path != "" {
				target = filepath.Join(filepath.Dir(file), path)
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: %s: %v", file, to, err)
				continue
			}
			if anchor != "" && headings[target] == nil {
				headings[target] = anchors(prose(t, target))
			}
			if anchor != "" && !headings[target][anchor] {
				t.Errorf("%s: %s: no such heading", file, to)
			}
		}
		lines := append(strings.Split(string(text), "\n"), "")
		for i, line := range lines {
			first := strings.HasPrefix(line, "|") && (i == 0 || !strings.HasPrefix(lines[i-1], "|"))
			if first && strings.Trim(lines[i+1], "|-: ") != "" {
				t.Errorf("%s: a row of no table: %s", file, line)
			}
		}
	}
	if count < 100 {
		t.Errorf("only %d links were found", count)
	}
}

// prose is a document without its blocks of code.
func prose(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return anyFence.ReplaceAll(text, nil)
}

// anchors are those of a document's headings, made as GitHub does.
func anchors(text []byte) map[string]bool {
	all := map[string]bool{}
	for _, m := range heading.FindAllSubmatch(text, -1) {
		words := dropped.ReplaceAll(bytes.ToLower(m[1]), nil)
		all[strings.ReplaceAll(string(words), " ", "-")] = true
	}
	return all
}
