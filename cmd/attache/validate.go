package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/attache-dev/attache/config"
	"github.com/attache-dev/attache/envoy"
	"github.com/attache-dev/attache/translator"
)

func validateCommand(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var files fileList
	fs := flags("validate", "[-f] FILE...")
	fs.Var(&files, "f", "a configuration `FILE`; may be given several times")
	asJSON := fs.Bool("json", false, "print the mistakes as a JSON list to stdout")
	allowUnset := fs.Bool("allow-unset-env", false, "read variables that are not set as the word unset")
	var asked envoyFlag
	fs.Var(&asked, "envoy", "ask a real Envoy as well; --envoy=PATH tells which")
	if code, ok := parse(fs, args, stdout, stderr); !ok {
		return code
	}
	files = append(files, fs.Args()...)
	if len(files) == 0 {
		return fail(stderr, exitUsage, fmt.Errorf("expected a configuration file"))
	}
	var binary *envoy.Binary
	if asked.asked {
		b, err := envoy.Find(asked.path)
		if err != nil {
			return fail(stderr, exitFailure, err)
		}
		binary = &b
	}

	mistakes := []mistake{}
	bad := false
	for _, file := range files {
		b, err := (&source{path: file}).build(config.Options{AllowUnsetEnv: *allowUnset}, translator.Options{ExtProc: mustTarget(defaultExtProcAddr)})
		if err == nil && binary != nil {
			err = askEnvoy(ctx, *binary, b)
		}
		bad = bad || err != nil
		found := mistakesOf(config.Errors(err), severityError)
		if b != nil {
			found = append(found, mistakesOf(b.config.Warnings, severityWarning)...)
		}
		mistakes = append(mistakes, found...)
		if !*asJSON && len(found) > 0 {
			source := sourceFor(stderr, file)
			for _, m := range found {
				m.show(stderr, source)
			}
		}
	}
	if *asJSON {
		enc := json.NewEncoder(stdout)
		enc.SetIndent("", "  ")
		if err := enc.Encode(mistakes); err != nil {
			return fail(stderr, exitFailure, err)
		}
	}
	if bad {
		return exitConfig
	}
	if !*asJSON {
		fmt.Fprintln(stdout, "Configuration is valid!")
	}
	return exitGood
}

// envoyFlag is --envoy or --envoy=PATH.
type envoyFlag struct {
	asked bool
	path  string
}

func (f *envoyFlag) String() string   { return f.path }
func (f *envoyFlag) IsBoolFlag() bool { return true }

func (f *envoyFlag) Set(s string) error {
	f.asked = s != "false"
	if s != "true" && s != "false" {
		f.path = s
	}
	return nil
}
