package main

import (
	"context"
	"fmt"
	"io"

	"github.com/attache-dev/attache/config"
	"github.com/attache-dev/attache/translator"
)

func translateCommand(_ context.Context, args []string, stdout, stderr io.Writer) int {
	var files fileList
	fs := flags("translate", "[-f] FILE")
	fs.Var(&files, "f", "the configuration `FILE`")
	extProc := fs.String("extproc-as", defaultExtProcAddr, "how Envoy reaches the ext_proc service, an `ADDR`, or several with commas for replicas")
	if code, ok := parse(fs, args, stdout, stderr); !ok {
		return code
	}
	path, err := oneFile(files, fs.Args())
	if err != nil {
		return fail(stderr, exitUsage, err)
	}
	services, err := parseTargets(*extProc)
	if err != nil {
		return fail(stderr, exitUsage, fmt.Errorf("--extproc-as: %w", err))
	}
	built, err := (&source{path: path}).build(config.Options{}, translator.Options{ExtProc: services[0], Replicas: services[1:]})
	if err != nil {
		printMistakes(stderr, err)
		return exitConfig
	}
	text, err := built.resources.YAML()
	if err != nil {
		return fail(stderr, exitFailure, err)
	}
	if _, err := stdout.Write(text); err != nil {
		return fail(stderr, exitFailure, err)
	}
	return exitGood
}

// oneFile is the file of a command that takes one, with or without -f.
func oneFile(flagged, args []string) (string, error) {
	all := append(append([]string(nil), flagged...), args...)
	if len(all) != 1 {
		return "", fmt.Errorf("expected one configuration file, found %d", len(all))
	}
	return all[0], nil
}
