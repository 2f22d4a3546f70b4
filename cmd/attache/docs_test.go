package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// pages is the text of README.md and of all of docs.
func pages(t *testing.T) (text []byte) {
	t.Helper()
	files, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(files) < 8 {
		t.Fatalf("docs has %q, %v", files, err)
	}
	for _, f := range append(files, "../../README.md") {
		page, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		text = append(text, page...)
	}
	return text
}

// found are the different first groups of all matches.
func found(re string, text []byte) (words []string) {
	for _, m := range regexp.MustCompile(re).FindAllSubmatch(text, -1) {
		words = append(words, string(m[1]))
	}
	slices.Sort(words)
	return slices.Compact(words)
}

// compare tells what is in one list only.
func compare(t *testing.T, what string, documented, there []string) {
	t.Helper()
	for _, w := range there {
		if !slices.Contains(documented, w) {
			t.Errorf("no page tells what the %s %s is", what, w)
		}
	}
	for _, w := range documented {
		if !slices.Contains(there, w) {
			t.Errorf("the documented %s %s is not there", what, w)
		}
	}
}

// TestDocumentedMetrics: those that are served, and no others.
func TestDocumentedMetrics(t *testing.T) {
	descriptions := make(chan *prometheus.Desc, 100)
	metrics{}.Describe(descriptions)
	close(descriptions)
	var there []string
	for d := range descriptions {
		there = append(there, found(`fqName: "(\w+)"`, []byte(d.String()))...)
	}
	compare(t, "metric", found(`\b(attache_(?:ready|(?:config|extproc|processor|xds)_[a-z_]+))\b`, pages(t)), there)
}

// TestDocumentedFlags: those of all commands, and no others but what other
// programs are told.
func TestDocumentedFlags(t *testing.T) {
	others := []string{
		"build",                                  // docker compose
		"drain-strategy", "drain-time-s", "mode", // envoy
		"dry-run", "from-file", "from-literal", // kubectl
	}
	there := []string{"validate-only"} // of agentgateway's command line
	for _, c := range subcommands() {
		there = append(there, flagsOf(t, c.name)...)
	}
	slices.Sort(there)
	documented := slices.DeleteFunc(found(`(?:^|[\s`+"`"+`(\[])--([a-z][a-z-]+)`, pages(t)), func(f string) bool { return slices.Contains(others, f) })
	compare(t, "flag", documented, slices.Compact(there))
}

// TestDocumentedCommands: what the pages tell to type has commands and flags that
// are there.
func TestDocumentedCommands(t *testing.T) {
	text := regexp.MustCompile(`\\\n\s*`).ReplaceAll(pages(t), nil)
	var lines []string
	for _, block := range found("(?ms)^```sh\n(.*?)^```$", text) {
		lines = append(lines, found(`(?m)^attache ([^#>|\n]*)`, []byte(block))...)
	}
	if len(lines) < 10 {
		t.Errorf("only %d commands were found", len(lines))
	}
	for _, line := range lines {
		name, args, _ := strings.Cut(line, " ")
		there := flagsOf(t, name)
		for _, f := range found(`(?:^|\s)--?([a-z-]+)`, []byte(args)) {
			if f != "f" && !slices.Contains(there, f) {
				t.Errorf("attache %s: no flag %s", line, f)
			}
		}
	}
}

// flagsOf are the flags of a command, without the short ones.
func flagsOf(t *testing.T, name string) []string {
	t.Helper()
	var usage, wrong bytes.Buffer
	if code := command(t.Context(), []string{name, "-h"}, &usage, &wrong); code != exitGood {
		t.Errorf("attache %s -h: %s", name, wrong.String())
	}
	return found(`(?m)^  -([a-z-]{2,})`, usage.Bytes())
}
