package config

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// placeholders are the keys whose values have no shape yet.
var placeholders = regexp.MustCompile(`^backends\b`)

// agentgatewayPlaces are those of agentgateway-keys.txt: every key of
// agentgateway's schema, at a place where it stands.
func agentgatewayPlaces(t *testing.T) (places []string) {
	t.Helper()
	text, err := os.ReadFile("testdata/agentgateway-keys.txt")
	if err != nil {
		t.Fatal(err)
	}
	mapping := ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		entry, ok := strings.CutPrefix(line, "\t")
		if !ok {
			mapping = strings.TrimPrefix(line+".", "..")
			continue
		}
		key, below, _ := strings.Cut(entry, ": ")
		places = append(places, mapping+key)
		for _, name := range strings.Fields(below) {
			places = append(places, mapping+key+"."+name)
		}
	}
	slices.Sort(places)
	return slices.DeleteFunc(slices.Compact(places), func(p string) bool {
		at := placeholders.FindStringIndex(p)
		return at != nil && at[1] < len(p) && p[at[1]:] != "[]"
	})
}

// nested is a file with nothing but a key at a place, and the path of that key:
// a step [] is the first item of a list, * any entry of a map.
func nested(place string) (root *node, path string) {
	text := "null"
	steps := strings.Split(place, ".")
	for i, step := range slices.Backward(steps) {
		name, lists := strings.TrimRight(step, "[]"), strings.Count(step, "[]")
		if name == "*" {
			name = "any"
		}
		text = strings.Repeat("[", lists) + text + strings.Repeat("]", lists)
		text = "{" + name + ": " + text + "}"
		steps[i] = name + strings.Repeat("[0]", lists)
	}
	tree, errs := parseTree("", []byte(text), func(string) (string, bool) { return "", false })
	if errs != nil {
		panic(text)
	}
	return tree.root, strings.Join(steps, ".")
}

// TestEveryKeyOfAgentgateway: each of agentgateway's keys is known at its place,
// supported or not.
func TestEveryKeyOfAgentgateway(t *testing.T) {
	places := agentgatewayPlaces(t)
	if len(places) < 1500 {
		t.Fatalf("only %d keys", len(places))
	}
	for _, place := range places {
		root, path := nested(place)
		d := &decoder{}
		d.decode(root, &file{})
		for _, e := range d.list {
			above := strings.HasPrefix(path, e.Path) && path != e.Path
			if e.Kind == UnknownKey || above && strings.HasPrefix(e.Msg, "expected a ") {
				t.Errorf("%s: %s: %s", place, e.Path, e.Msg)
			}
		}
	}
}

// TestEveryKeyMisspelt: each of agentgateway's keys with a letter too many is
// unknown, and the right one is proposed.
func TestEveryKeyMisspelt(t *testing.T) {
	for _, place := range agentgatewayPlaces(t) {
		name := strings.TrimRight(place[strings.LastIndexByte(place, '.')+1:], "[]")
		if name == "*" {
			continue
		}
		wrong := name[:1] + "x" + name[1:]
		root, path := nested(strings.TrimSuffix(strings.TrimRight(place, "[]"), name) + wrong)
		d := &decoder{}
		d.decode(root, &file{})
		want := fmt.Sprintf("unknown key; did you mean %q?", name)
		if !slices.ContainsFunc(d.list, func(e *Error) bool { return e.Path == path && e.Msg == want }) {
			t.Errorf("%s: want %s, got %v", path, want, Join(d.list))
		}
	}
}
