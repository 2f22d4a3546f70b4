package envoy

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// Validate asks the executable whether it would accept a whole configuration:
// a bootstrap in YAML with all resources static. The files that it names must
// exist. The error is a [*Refusal] if Envoy refuses it.
func (b Binary) Validate(ctx context.Context, config []byte) error {
	dir, err := os.MkdirTemp("", "attache-validate-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "envoy.yaml")
	if err := os.WriteFile(path, config, 0o600); err != nil {
		return err
	}

	cmd := exec.CommandContext(ctx, b.Path, "--mode", "validate", "-c", path,
		"-l", "critical", "--log-format", logFormat, "--disable-hot-restart")
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case !errors.As(err, &exit):
		return fmt.Errorf("%s: %w", b.Path, err)
	}
	if match := refusal.FindSubmatch(out); match != nil {
		return &Refusal{withoutResources(string(match[1]))}
	}
	return fmt.Errorf("%s: %w", b.Path, err)
}

// A Refusal is why Envoy does not accept a configuration, in its words but without
// the resources that it may quote.
type Refusal struct{ Reason string }

func (r *Refusal) Error() string { return r.Reason }

// refusal is the line with which Envoy gives up.
var refusal = regexp.MustCompile(`(?m)^\[critical\]\[main\] error initializing configuration '[^']*': (.*)$`)

// withoutResources cuts what Envoy quotes of a configuration out of an escaped
// log message: the whole of it as JSON at the end, or one resource as text that
// begins with a mark of protobuf's and ends with a line.
func withoutResources(message string) string {
	message, _, _ = strings.Cut(message, `: {"`)
	start := strings.Index(message, "goo.gle/debug")
	if start < 0 {
		return message
	}
	end := strings.LastIndex(message, `\n`)
	if end < start {
		return message[:start] + "…"
	}
	return message[:start] + "…" + message[end+len(`\n`):]
}
