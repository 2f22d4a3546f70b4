// Command scale measures what large files cost: to load, to edit, on the wire,
// and in CPU and memory on both sides. It starts Attaché and a real Envoy,
// replaces the file as editors do, and asks the edited route until its answer is
// the new one. A second series has many Envoys, simulated, that take one
// configuration.
//
//	make bench-scale                          every size; some minutes
//	go run ./bench/scale -routes 10,100       some of them
//	go run ./bench/scale -doc docs/scale.md -render bench/results/scale.json
//
// It needs Linux, and ends everything that it has started.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/attache-dev/attache/bench/measuring"
)

func main() {
	var s sizes
	attache := flag.String("attache", ".bin/attache", "the attache executable, a `PATH`")
	envoy := flag.String("envoy", ".envoy/envoy", "the Envoy executable, a `PATH`")
	flag.Var((*numbers)(&s.routes), "routes", "how many routes, a `LIST`")
	flag.Var((*numbers)(&s.hosts), "hosts", "how many hosts they are spread over, a `LIST`; more than there are routes is left out")
	flag.Var((*numbers)(&s.envoys), "envoys", "how many simulated Envoys, a `LIST`")
	flag.IntVar(&s.fleetRoutes, "fleet-routes", 10_000, "how many routes they get; 0 leaves them out")
	flag.IntVar(&s.edits, "edits", 15, "how many edits to measure for each size")
	flag.DurationVar(&s.idle, "idle", 3*time.Second, "how long a process may tidy up after its start before its memory counts as idle, a `DURATION`")
	out := flag.String("out", "", "the `FILE` for the figures, as JSON; default stdout")
	doc := flag.String("doc", "", "a page whose tables are made from the figures, a `FILE`")
	render := flag.String("render", "", "measure nothing, and take the figures from this `FILE`")
	flag.Parse()
	s = s.withDefaults()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, s, *attache, *envoy, *out, *doc, *render); err != nil {
		fmt.Fprintln(os.Stderr, "scale:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, s sizes, attache, envoy, out, doc, render string) error {
	var r report
	var err error
	if render != "" {
		err = measuring.Read(render, &r)
	} else if r, err = measure(ctx, s, programs{attache, envoy}, os.Stderr); err == nil {
		err = measuring.Keep(out, r)
	}
	if err != nil || doc == "" {
		return err
	}
	return measuring.Show(doc, maker, r.tables())
}

// sizes are what is measured.
type sizes struct {
	routes, hosts []int
	envoys        []int
	fleetRoutes   int
	edits         int
	idle          time.Duration
}

func (s sizes) withDefaults() sizes {
	if s.routes == nil {
		s.routes = []int{10, 100, 1000, 10_000}
	}
	if s.hosts == nil {
		s.hosts = []int{1, 1000}
	}
	if s.envoys == nil {
		s.envoys = []int{1, 10, 50}
	}
	return s
}

// numbers is a flag with a list.
type numbers []int

func (n *numbers) String() string { return fmt.Sprint(*n) }

func (n *numbers) Set(text string) error {
	*n = []int{}
	for word := range strings.SplitSeq(text, ",") {
		i, err := strconv.Atoi(word)
		if err != nil || i < 1 {
			return fmt.Errorf("expected numbers from 1 on with commas, found %q", word)
		}
		*n = append(*n, i)
	}
	return nil
}
