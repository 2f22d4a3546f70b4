package systemprompt

import (
	"testing"

	"github.com/attache-dev/attache/extprocsvc"
	"github.com/attache-dev/attache/extprocsvc/extproctest"
)

func TestReadme(t *testing.T) { extproctest.README(t) }

func TestParams(t *testing.T) {
	for yaml, want := range map[string]string{
		`{rules: [a, b]}`:  "",
		`{}`:               "f:1:1: system-prompt needs rules: a list of at least one text",
		`{rules: []}`:      "f:1:9: rules: system-prompt needs rules: a list of at least one text",
		`{rules: [a, ""]}`: "f:1:9: rules: rule 2 is empty",
	} {
		got := ""
		if _, err := build(extprocsvc.Setup{Params: extproctest.Params(t, yaml)}); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", yaml, got, want)
		}
	}
	for _, yaml := range []string{`{rules: one}`, `{rule: [one]}`, `{rules: [1]}`} {
		if _, err := build(extprocsvc.Setup{Params: extproctest.Params(t, yaml)}); err == nil {
			t.Errorf("%s was accepted", yaml)
		}
	}
}
