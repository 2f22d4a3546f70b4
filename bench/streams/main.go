// Command streams measures what many streamed answers at a time cost the ext_proc
// service, and whether any event of them is lost. It starts attache extproc,
// plays Envoy and the models, and compares every byte that comes back with what
// must come back: the same, but for what a guard masks.
//
//	make bench-streams                       every series; about six minutes
//	go run ./bench/streams -series open      one of them: open, guarded or envoy
//	go run ./bench/streams -doc docs/existing-envoy.md -render bench/results/streams.json
//
// It needs Linux, and ends everything that it has started.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/attache-dev/attache/bench/measuring"
)

func main() {
	var p programs
	flag.StringVar(&p.attache, "attache", ".bin/attache", "the attache executable, a `PATH`")
	flag.StringVar(&p.envoy, "envoy", ".envoy/envoy", "the Envoy executable, a `PATH`")
	only := flag.String("series", "", "the `NAMES` of the series to measure, with commas; default all")
	seconds := flag.Duration("for", 30*time.Second, "how long all streams are open at a time, a `DURATION`")
	out := flag.String("out", "", "the `FILE` for the figures, as JSON; default stdout")
	doc := flag.String("doc", "", "a page whose table is made from the figures, a `FILE`")
	render := flag.String("render", "", "measure nothing, and take the figures from this `FILE`")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, p, *only, *seconds, *out, *doc, *render); err != nil {
		fmt.Fprintln(os.Stderr, "streams:", err)
		os.Exit(1)
	}
}

// series are the loads, by name. What can be served without an Envoy in between
// is more than this machine can push through one.
func series(seconds time.Duration) []load {
	return []load{
		{Series: "open", Streams: 1000, Rate: 1, Seconds: seconds.Seconds()},
		{Series: "open", Streams: 4000, Rate: 1, Seconds: seconds.Seconds()},
		{Series: "open", Streams: 4000, Rate: 1, Seconds: seconds.Seconds(), Guarded: true},
		{Series: "guarded", Streams: 1000, Rate: 50, Seconds: seconds.Seconds()},
		{Series: "guarded", Streams: 1000, Rate: 50, Seconds: seconds.Seconds(), Guarded: true},
		{Series: "envoy", Streams: 1000, Rate: 1, Seconds: seconds.Seconds(), Guarded: true, Envoy: true},
		{Series: "envoy", Streams: 100, Rate: 50, Seconds: seconds.Seconds(), Guarded: true, Envoy: true},
		{Series: "envoy", Streams: 400, Rate: 50, Seconds: seconds.Seconds(), Guarded: true, Envoy: true},
		{Series: "envoy", Streams: 1000, Rate: 50, Seconds: seconds.Seconds(), Guarded: true, Envoy: true},
	}
}

func run(ctx context.Context, p programs, only string, seconds time.Duration, out, doc, render string) error {
	var r report
	var err error
	if render != "" {
		err = measuring.Read(render, &r)
	} else if r, err = measureAll(ctx, p, only, seconds); err == nil {
		err = measuring.Keep(out, r)
	}
	if err != nil || doc == "" {
		return err
	}
	return measuring.Show(doc, maker, r.table())
}

func measureAll(ctx context.Context, p programs, only string, seconds time.Duration) (report, error) {
	r := report{Date: time.Now().UTC().Format(time.RFC3339), Machine: measuring.ThisMachine()}
	for _, l := range series(seconds) {
		if only != "" && !slices.Contains(strings.Split(only, ","), l.Series) {
			continue
		}
		f, err := measure(ctx, p, l)
		if err != nil {
			return r, fmt.Errorf("%v: %w", l, err)
		}
		fmt.Fprintln(os.Stderr, f.row())
		r.Figures = append(r.Figures, f)
	}
	return r, nil
}
