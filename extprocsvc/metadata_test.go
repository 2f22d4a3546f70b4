package extprocsvc_test

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/attache-dev/attache/extprocsvc"
	"github.com/attache-dev/attache/extprocsvc/extproctest"
)

// keyedFile has a profile that adds tags and chooses, one that rejects, and a route
// on which what cannot be read passes.
const keyedFile = `
processors:
- {name: stop, type: reject}
- {name: scan, type: data-security, params: {annotate: true}}
profiles:
- {name: choosing, inputStages: [{name: s, steps: [{name: scan}]}], services: [{name: small, selector: {type: input.model, values: [tiny]}}, {name: large}]}
- {name: closed, inputStages: [{name: all, steps: [{name: stop}]}]}
- {name: scanned, inputStages: [{name: s, steps: [{name: scan}]}]}
binds: [{port: 1, listeners: [{routes: [{name: lenient, policies: {extProc: {profile: scanned, unreadable: pass}}, backends: [{host: "h:1"}]}]}]}]
`

// The keys of the metadata are those that docs/decisions.md tells.
func TestMetadataKeysAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/decisions.md")
	if err != nil {
		t.Fatal(err)
	}
	table := regexp.MustCompile(`(?s)\n\| Key \| \|\n(.*?)\n\n`).FindSubmatch(text)
	if table == nil {
		t.Fatal("docs/decisions.md has no table of keys")
	}
	documented := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| (`[^|]*) \\|").FindAllSubmatch(table[1], -1) {
		for _, key := range regexp.MustCompile("`(\\w+)`").FindAllSubmatch(row[1], -1) {
			documented[string(key[1])] = true
		}
	}
	s := start(t, alone("closed"), extprocsvc.Options{}, keyedFile)
	page := extproctest.Post("<p>")
	page.Header = append(page.Header[:4:4], [2]string{"content-type", "text/html"})
	set := map[string]bool{}
	for _, c := range []struct {
		profile, route string
		request        extproctest.Message
	}{
		{"choosing", "", extproctest.Post(`{"model":"tiny","messages":[{"role":"user","content":"ann@example.com"}]}`)},
		{"closed", "", extproctest.Post(hello)},
		{"", "lenient", page},
	} {
		out, _ := s.do(t, asking(c.profile, c.route), c.request)
		of, _ := out.Metadata[extprocsvc.MetadataNamespace].(map[string]any)
		for key := range of {
			set[key] = true
		}
	}
	if !maps.Equal(set, documented) {
		t.Errorf("set %q, documented %q", slices.Sorted(maps.Keys(set)), slices.Sorted(maps.Keys(documented)))
	}
}
