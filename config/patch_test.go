package config

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

func noVariables(string) (string, bool) { return "x", true }

// patched reads a text after another one, and whether that was a patch.
func patched(t *testing.T, old *tree, text string) (*tree, bool) {
	t.Helper()
	next, ok := Options{LookupEnv: noVariables, Previous: &Config{tree: old}}.patchedTree("f.yaml", []byte(text))
	if !ok {
		return nil, false
	}
	whole, errs := parseTree("f.yaml", []byte(text), noVariables)
	if whole == nil || len(errs) > 0 {
		t.Fatalf("patched what has mistakes: %v\n%s\n--- after:\n%s", errs, text, old.text)
	}
	if d := difference(next.root, whole.root); d != "" {
		t.Fatalf("%s\n--- of:\n%s\n--- after:\n%s", d, text, old.text)
	}
	if next.nodes != whole.nodes || next.plain != whole.plain {
		t.Fatalf("patched %d nodes (plain %t), read %d (plain %t):\n%s", next.nodes, next.plain, whole.nodes, whole.plain, text)
	}
	return next, true
}

// difference tells where two trees are not the same.
func difference(a, b *node) string {
	if a.path() != b.path() || a.line != b.line || a.column != b.column || a.kind != b.kind || a.variable != b.variable ||
		a.shortTag() != b.shortTag() || a.value != b.value || a.source() != b.source() || !slices.Equal(a.keys(), b.keys()) || len(a.children) != len(b.children) {
		return fmt.Sprintf("patched %s %+v, read %s %+v", a.path(), a, b.path(), b)
	}
	for i := range a.children {
		if d := difference(a.children[i], b.children[i]); d != "" {
			return d
		}
	}
	return ""
}

// TestPatchedTree makes random edits, one after the other, of files that are there
// for other reasons, and compares each tree with that of the whole text.
func TestPatchedTree(t *testing.T) {
	texts := map[string]string{"routes": string(fiftyRoutes())}
	for _, pattern := range []string{"testdata/*.txtar", "testdata/convert/*.txtar", "../translator/testdata/*.txtar", "../e2e/testdata/*.txtar"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatal(pattern, err)
		}
		for _, file := range files {
			a, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range a.Files {
				if strings.HasSuffix(f.Name, ".yaml") {
					texts[file+"/"+f.Name] = string(f.Data)
				}
			}
		}
	}
	edits, patches := 0, 0
	for name, text := range texts {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			now, errs := parseTree("f.yaml", []byte(text), noVariables)
			if now == nil || len(errs) > 0 {
				return
			}
			for range 40 {
				edited := mutate(r, string(now.text))
				next, ok := patched(t, now, edited)
				edits++
				if ok {
					patches++
				} else if next, errs = parseTree("f.yaml", []byte(edited), noVariables); next == nil || len(errs) > 0 {
					continue // as the process does: what is good is kept
				}
				now = next
			}
		})
	}
	if patches < edits/20 {
		t.Errorf("only %d of %d edits were patches", patches, edits)
	}
}

// mutate edits a text somewhere: bytes, words, lines, or blocks of lines.
func mutate(r *rand.Rand, text string) string {
	pieces := []string{" ", "\n", "- ", "  ", ": ", "#", "x", "\"", "'", "|", ">", "|+\n", "\n\n", "[", "]", "{", "}", ",", "&a ", "*a", "!!str ", "? ", "---\n", "...\n", "%", "\t", "\r\n", "\u2028", "$V", "- - ", "key: value\n"}
	lines := strings.SplitAfter(text, "\n")
	at := r.IntN(len(lines))
	to := min(at+1+r.IntN(8), len(lines))
	switch r.IntN(7) {
	case 0: // a piece within a line
		i := r.IntN(len(text) + 1)
		return text[:i] + pieces[r.IntN(len(pieces))] + text[i:]
	case 1: // bytes gone
		i := r.IntN(len(text) + 1)
		return text[:i] + text[min(i+1+r.IntN(3), len(text)):]
	case 2: // a letter or a digit is another
		i := bytes.IndexAny([]byte(text[r.IntN(len(text)+1):]), "0123456789abcdefghij")
		if i < 0 {
			return text + "\n"
		}
		return text[:i] + string("0123456789abcdefghij"[r.IntN(20)]) + text[i+1:]
	case 3: // lines twice
		return strings.Join(slices.Concat(lines[:to], lines[at:]), "")
	case 4: // lines gone
		return strings.Join(slices.Concat(lines[:at], lines[to:]), "")
	case 5: // a comment or an empty line more
		return strings.Join(slices.Concat(lines[:at], []string{[]string{"\n", "# c\n", "      # c\n"}[r.IntN(3)]}, lines[at:]), "")
	default: // lines of elsewhere
		from := r.IntN(len(lines))
		return strings.Join(slices.Concat(lines[:at], lines[from:min(from+2, len(lines))], lines[at:]), "")
	}
}

func fiftyRoutes() []byte {
	var b bytes.Buffer
	b.WriteString("binds:\n- port: 3000\n  listeners:\n  - routes:\n")
	for i := range 50 {
		fmt.Fprintf(&b, "    - name: route-%d\n      matches: [{path: {pathPrefix: /%d}}]\n      backends:\n      - host: a:%d\n", i, i, i+1)
	}
	b.WriteString("    name: last\n")
	return b.Bytes()
}

// TestPatches are edits that must not need the whole text, and what they keep.
func TestPatches(t *testing.T) {
	text := string(fiftyRoutes())
	route := func(i int) string { return fmt.Sprintf("    - name: route-%d\n", i) }
	for _, tc := range []struct {
		name, old, now string
		// reused are the routes whose nodes are those of before.
		reused int
	}{
		{"nothing", "", "", 50},
		{"a value", "host: a:25\n", "host: b:25\n", 49},
		{"a value of the first", "host: a:1\n", "host: b:1\n", 49},
		{"a value of the last", "host: a:50\n", "host: b:50\n", 49},
		{"a line more", "host: a:25\n", "host: b:25\n        weight: 2\n", 24},
		{"a route first", route(0), "    - name: new\n" + route(0), 0},
		{"a route in the middle", route(20), "    - name: new\n" + route(20), 20},
		{"a route last", "    name: last\n", "    - name: new\n    name: last\n", 49},
		{"the last route is gone", text[strings.Index(text, route(49)):strings.Index(text, "    name: last")], "", 48},
		{"many are gone", text[strings.Index(text, route(10)):strings.Index(text, route(40))], "", 9},
		{"two neighbours", route(20) + "      matches: [{path: {pathPrefix: /20}}]\n      backends:\n      - host: a:21\n" + route(21), "    - name: c\n    - name: d\n", 20},
	} {
		t.Run(tc.name, func(t *testing.T) {
			old, _ := parseTree("f.yaml", []byte(text), noVariables)
			now, ok := patched(t, old, strings.Replace(text, tc.old, tc.now, 1))
			if !ok {
				t.Fatal("the whole text was read")
			}
			routes := func(t *tree) []*node { return t.root.at("binds[0].listeners[0].routes").children }
			reused := 0
			for _, n := range routes(now) {
				if slices.Contains(routes(old), n) {
					reused++
				}
			}
			if reused != tc.reused {
				t.Errorf("%d routes have their nodes of before, want %d", reused, tc.reused)
			}
		})
	}
}

// TestPatchesLeaveTheOldTree: the configuration that serves is not touched.
func TestPatchesLeaveTheOldTree(t *testing.T) {
	text := string(fiftyRoutes())
	old, _ := parseTree("f.yaml", []byte(text), noVariables)
	for _, now := range []string{"    - name: new\n    - name: route-10\n", "    - name: other\n"} {
		patched(t, old, strings.Replace(text, "    - name: route-10\n", now, 1))
	}
	again, _ := parseTree("f.yaml", []byte(text), noVariables)
	if !reflect.DeepEqual(old, again) {
		t.Error(difference(old.root, again.root))
	}
}

// FuzzPatchedTree: whatever the texts are, a tree that was patched is that of the
// whole text.
func FuzzPatchedTree(f *testing.F) {
	f.Add("a:\n- b\n- c\n", "a:\n- b\n- d\n")
	f.Add("a:\n- |+\n  x\n\n- c\n", "a:\n- |+\n  x\n\n\n- c\n")
	f.Add("- - a\n  - b\n- c", "- - a\n  - x\n- c")
	f.Add("a:\n  - x: 'b\n   c'\n  - d\n", "a:\n  - x: 'b\n   e'\n  - d\n")
	f.Add("a: [\n- b\n]\n", "a: [\n- c\n]\n")
	f.Add("a:\n- b\n- c\nd: e\n", "a:\n- b\nd: e\n")
	f.Add("a:\n-\n  b: c\n- d\n", "a:\n-\n  b: e\n- d\n")
	f.Fuzz(func(t *testing.T, before, after string) {
		old, errs := parseTree("f.yaml", []byte(before), noVariables)
		if old == nil || len(errs) > 0 {
			return
		}
		patched(t, old, after)
	})
}

func BenchmarkPatchedTree(b *testing.B) {
	var text bytes.Buffer
	text.WriteString("binds:\n- port: 3000\n  listeners:\n  - routes:\n")
	for i := range 10_000 {
		fmt.Fprintf(&text, "    - name: route-%d\n      matches: [{path: {pathPrefix: /%d}}]\n      backends: [{host: \"a:1\"}]\n", i, i)
	}
	old, errs := parseTree("f.yaml", text.Bytes(), noVariables)
	if errs != nil {
		b.Fatal(errs)
	}
	for _, edit := range []struct{ name, now string }{
		{"whole", ""},
		{"value", "    - name: other\n"},
		{"added", "    - name: other\n    - name: route-5000\n"},
	} {
		now := bytes.Replace(text.Bytes(), []byte("    - name: route-5000\n"), []byte(edit.now), 1)
		b.Run(edit.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if edit.now == "" {
					parseTree("f.yaml", text.Bytes(), noVariables)
				} else if _, ok := (Options{LookupEnv: noVariables, Previous: &Config{tree: old}}).patchedTree("f.yaml", now); !ok {
					b.Fatal("the whole text was read")
				}
			}
		})
	}
}
