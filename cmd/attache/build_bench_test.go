package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/attache-dev/attache/config"
	"github.com/attache-dev/attache/translator"
)

// BenchmarkBuild is everything between a file and what is published, with and
// without a chain on each route.
func BenchmarkBuild(b *testing.B) {
	for _, n := range []int{1000, 10000} {
		for _, chain := range []string{"", "-chain"} {
			b.Run(fmt.Sprintf("%droutes%s", n, chain), func(b *testing.B) {
				file := filepath.Join(b.TempDir(), "attache.yaml")
				if err := os.WriteFile(file, manyRoutes(n, chain != ""), 0o600); err != nil {
					b.Fatal(err)
				}
				b.ReportAllocs()
				for b.Loop() {
					if _, err := (&source{path: file}).build(config.Options{}, translator.Options{ExtProc: mustTarget(defaultExtProcAddr)}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func manyRoutes(n int, chain bool) []byte {
	var b strings.Builder
	policies := ""
	if chain {
		b.WriteString("processors: [{name: rules, type: system-prompt, params: {modify: true, rules: [x]}}]\nprofiles: [{name: p, inputStages: [{name: s, steps: [{name: rules}]}]}]\n")
		policies = ", policies: {extProc: {profile: p}}"
	}
	b.WriteString("binds:\n- port: 3000\n  listeners:\n  - routes:\n")
	for i := range n {
		fmt.Fprintf(&b, "    - {name: route-%d, matches: [{path: {pathPrefix: /api/%d}}], backends: [{host: \"127.0.0.1:9\"}]%s}\n", i, i, policies)
	}
	return []byte(b.String())
}
