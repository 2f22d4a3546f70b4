package main

import (
	"context"
	"io"

	"github.com/attache-dev/attache/config"
)

func schemaCommand(_ context.Context, args []string, stdout, stderr io.Writer) int {
	fs := flags("schema", "")
	if code, ok := parseAll(fs, args, stdout, stderr); !ok {
		return code
	}
	if _, err := stdout.Write(config.Schema()); err != nil {
		return fail(stderr, exitFailure, err)
	}
	return exitGood
}
