// Package envoytest gives tests a real Envoy.
package envoytest

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/attache-dev/attache/envoy"
)

// Find returns the Envoy to test with: $ENVOY_PATH, else .envoy/envoy of this
// repository, else `envoy` on PATH. A test without one fails: what was skipped
// was not tested.
func Find(t testing.TB) envoy.Binary {
	t.Helper()
	_, here, _, _ := runtime.Caller(0)
	fetched := filepath.Join(filepath.Dir(here), "..", "..", ".envoy", "envoy")
	explicit := ""
	if _, err := os.Stat(fetched); err == nil && os.Getenv("ENVOY_PATH") == "" {
		explicit = fetched
	}
	binary, err := envoy.Find(explicit)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := binary.Version(t.Context()); err != nil {
		t.Fatal(err)
	}
	return binary
}
