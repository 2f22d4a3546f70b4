// Command attache is an Envoy control plane and ext_proc service for AI
// traffic, configured by one YAML file.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends it at once
	os.Exit(command(ctx, os.Args[1:], os.Stdout, os.Stderr))
}
