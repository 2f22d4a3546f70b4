package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// TestMetricsAreDocumented: whoever makes a dashboard finds each of them.
func TestMetricsAreDocumented(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatalf("%q, %v", pages, err)
	}
	var docs strings.Builder
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		docs.Write(text)
	}
	all := make(chan *prometheus.Desc)
	go func() {
		metrics{}.Describe(all)
		close(all)
	}()
	name := regexp.MustCompile(`fqName: "([a-z_]+)"`)
	for d := range all {
		m := name.FindStringSubmatch(d.String())
		if m == nil {
			t.Fatalf("no name: %s", d)
		}
		if !regexp.MustCompile("`" + m[1] + "[`{]").MatchString(docs.String()) {
			t.Errorf("no page tells about %s", m[1])
		}
	}
}
