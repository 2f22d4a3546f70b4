package extproctest

import (
	"testing"

	"github.com/attache-dev/attache/config"
	"github.com/attache-dev/attache/extprocsvc/llm"
)

// Params is a section of a file with the name f, for the setup of a processor.
func Params(t testing.TB, yaml string) config.Raw {
	t.Helper()
	raw, err := config.NewRaw("f", yaml)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// Doc is a body as processors get it, whose texts are readable.
func Doc(t testing.TB, dialect *llm.Dialect, body string) *llm.Doc {
	t.Helper()
	var d llm.Doc
	if err := d.Scan(dialect, []byte(body)); err != nil {
		t.Fatal(err)
	}
	if err := d.Messages(); err != nil {
		t.Fatal(err)
	}
	return &d
}
