package main

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/attache-dev/attache/envoy"
)

// version is set by the linker for releases.
var version = ""

func versionCommand(_ context.Context, args []string, stdout, stderr io.Writer) int {
	fs := flags("version", "")
	if code, ok := parseAll(fs, args, stdout, stderr); !ok {
		return code
	}
	fmt.Fprintf(stdout, "attache %s (%s, for Envoy %s)\n", versionString(), runtime.Version(), envoy.Pinned)
	return exitGood
}

// versionString is the release, or else what the build knows of its commit.
func versionString() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return "devel-" + s.Value[:12]
		}
	}
	return "devel"
}
