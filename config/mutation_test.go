package config

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

// free are the places where keys and values are the user's own.
var free = regexp.MustCompile(`\.(params|overrides|defaults|limits|set|add|modelAliases|metadataContext|requestAttributes|responseAttributes)\b` +
	`|^processors\[\d+\]\.config\b|\bai\.routes\b|directResponse\b.*\.headers\b|webhook\.headers\b|^gateways\.[^.]+$|^workloads\[\d+\]\.services\b|^services\[\d+\]\.ports\b`)

// Each file that loads, with one mistake put in at each of its places, is refused,
// and a mistake is told on the line where it is.
func TestEveryMistakeIsTold(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	cases := 0
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		sections := map[string]string{}
		for _, f := range archive.Files {
			sections[f.Name] = string(f.Data)
		}
		text, options := sections["config.yaml"], optionsOf(sections)
		cfg, err := Parse("config.yaml", []byte(text), options)
		if err != nil {
			continue
		}
		for _, m := range mistakesIn(cfg.tree.root, strings.Split(text, "\n")) {
			cases++
			_, err := Parse("config.yaml", []byte(m.text), options)
			told := false
			for _, e := range Errors(err) {
				told = told || e.Line == m.line
			}
			if !told {
				t.Errorf("%s: %s: nothing is told on line %d:\n%v\nof %s", file, m.what, m.line, err, strings.Split(m.text, "\n")[m.line-1])
			}
		}
	}
	if t.Logf("%d files with one mistake", cases); cases < 1000 {
		t.Errorf("only %d files with a mistake", cases)
	}
}

// A mutant is a file with one mistake.
type mutant struct {
	text, what string
	line       int
}

// mistakesIn misspells each key and gives each plain value a wrong type, one at a
// time.
func mistakesIn(n *node, lines []string) (all []mutant) {
	edit := func(line, column int, old, now, what string) {
		text := []rune(lines[line-1])
		rest := string(text[column-1:])
		if !strings.HasPrefix(rest, old) {
			return // quoted, or an alias
		}
		mutated := append([]string(nil), lines...)
		mutated[line-1] = string(text[:column-1]) + now + rest[len(old):]
		all = append(all, mutant{strings.Join(mutated, "\n"), what, line})
	}
	for i, c := range n.children {
		path := c.path()
		if !free.MatchString(path) || n.in == nil {
			if n.kind == mappingNode && (n.in == nil || !free.MatchString(n.path())) {
				k := n.branch.keys[i]
				edit(int(k.line), int(k.column), k.name, k.name+"Zz", path+" misspelt")
			}
			if c.kind == scalarNode && !c.isNull() && c.source() != "" && c.odd == nil {
				edit(int(c.line), int(c.column), c.source(), "{nobodyKnows: this}", path+" of another type")
			}
		}
		all = append(all, mistakesIn(c, lines)...)
	}
	return all
}
