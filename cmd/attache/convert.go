package main

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/attache-dev/attache/config"
)

func convertCommand(_ context.Context, args []string, stdout, stderr io.Writer) int {
	var files fileList
	fs := flags("convert", "[-f] FILE")
	fs.Var(&files, "f", "the configuration `FILE`, an aigw.yaml")
	if code, ok := parse(fs, args, stdout, stderr); !ok {
		return code
	}
	path, err := oneFile(files, fs.Args())
	if err != nil {
		return fail(stderr, exitUsage, err)
	}
	src, err := readFile(path)
	if err != nil {
		return fail(stderr, exitConfig, &config.Error{File: path, Kind: config.Reference, Msg: "cannot be read: " + reason(err)})
	}
	// What the secrets are does not matter here.
	text, cfg, err := config.Convert(path, src, config.Options{AllowUnsetEnv: true})
	if err != nil {
		printMistakes(stderr, err)
		return exitConfig
	}
	for _, w := range cfg.Warnings {
		fmt.Fprintf(stderr, "%s: warning: %s\n", w.Place(), w.Msg)
	}
	if bytes.Equal(text, src) {
		hint(stderr, path+" is not F5's; it was printed as it is")
	}
	if _, err := stdout.Write(text); err != nil {
		return fail(stderr, exitFailure, err)
	}
	return exitGood
}
