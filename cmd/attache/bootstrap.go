package main

import (
	"context"
	"io"

	"github.com/attache-dev/attache/envoy"
)

func bootstrapCommand(_ context.Context, args []string, stdout, stderr io.Writer) int {
	var o envoy.BootstrapOptions
	fs := flags("bootstrap", "[flags]")
	fs.StringVar(&o.XDS, "xds", defaultXDSAddr, "where Envoy reaches the control plane, an `ADDR`: host:port or unix:/path")
	fs.StringVar(&o.Admin, "envoy-admin", "127.0.0.1:9901", "where Envoy's own admin interface listens, an `ADDR`; empty for none")
	fs.StringVar(&o.NodeID, "node-id", "envoy", "the `NAME` of this Envoy in attache status")
	var files xdsTLS
	files.flags(fs, "this Envoy", "the control plane")
	if code, ok := parseAll(fs, args, stdout, stderr); !ok {
		return code
	}
	if err := files.check(o.XDS); err != nil {
		return fail(stderr, exitUsage, err)
	}
	if files.given() {
		o.TLS = &envoy.ClientTLS{CA: files.ca, Cert: files.cert, Key: files.key}
	}
	text, err := envoy.Bootstrap(o)
	if err != nil {
		return fail(stderr, exitUsage, err)
	}
	if _, err := stdout.Write(text); err != nil {
		return fail(stderr, exitFailure, err)
	}
	return exitGood
}
