package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/attache-dev/attache/envoy"
)

// drainCommand stands beside an Envoy that is ended by somebody else, after us:
// it waits until it is asked to end, and ends when that Envoy may.
func drainCommand(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	fs := flags("drain", "[flags]")
	addr := fs.String("envoy-admin", "127.0.0.1:9901", "where Envoy's own admin interface listens, an `ADDR`")
	settle := fs.Duration("settle", 10*time.Second, "how long new connections may still come, a `DURATION`: until every load balancer knows")
	limit := fs.Duration("limit", 5*time.Minute, "how long open connections are waited for, a `DURATION`")
	if code, ok := parseAll(fs, args, stdout, stderr); !ok {
		return code
	}
	admin, err := envoy.NewAdmin(*addr)
	if err != nil {
		return fail(stderr, exitUsage, fmt.Errorf("--envoy-admin: %w", err))
	}
	if *settle < 0 || *limit < *settle {
		return fail(stderr, exitUsage, fmt.Errorf("--limit %v is less than --settle %v; it counts from the same moment", *limit, *settle))
	}

	<-ctx.Done()
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), *limit)
	defer cancel()
	open, err := admin.TakeLeave(bounded, *settle)
	if err != nil {
		return fail(stderr, exitFailure, err)
	}
	if open > 0 {
		return fail(stderr, exitFailure, fmt.Errorf("%d connections are still open after %v", open, *limit))
	}
	return exitGood
}
