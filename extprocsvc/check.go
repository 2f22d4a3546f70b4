package extprocsvc

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// Processors that depend on something outside are asked in the background
// whether they can do their work: never in the way of an edit, and again and
// again, since the answer may change.
const (
	checkTimeout = 5 * time.Second
	// checkEvery is the time between two checks, and checkFailing that after a
	// failure, doubled each time up to checkEvery.
	checkEvery   = time.Minute
	checkFailing = time.Second
	// checksAtOnce bounds the checks that run side by side.
	checksAtOnce = 8
)

// Finding is what the latest check of a step's processor found.
type Finding struct {
	// Processor is its name, and Where the place of the step.
	Processor, Where string
	// Err is nil if it can do its work. With Refused, it will not go away
	// without an edit, here or there.
	Err     error
	Refused bool
	// Checked tells whether there was a check yet.
	Checked bool
}

// checks are those of the chains that are in force.
type checks struct {
	mu       sync.Mutex
	findings map[string]*Finding // by place
	stop     context.CancelFunc
	running  sync.WaitGroup
	closed   bool
}

// watch starts the checks of the current chains in place of those of earlier
// ones. It does not wait for anything.
func (s *Server) watch(current map[string]*installed) {
	c := &s.checks
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stop != nil {
		c.stop()
	}
	ctx, stop := context.WithCancel(context.Background())
	if c.stop = stop; c.closed {
		stop()
	}
	old := c.findings
	c.findings = map[string]*Finding{}
	slots := make(chan struct{}, checksAtOnce)
	for _, chain := range current {
		for st := range chain.steps {
			checker, ok := st.processor().(Checker)
			if !ok || c.findings[st.where] != nil {
				continue
			}
			f := &Finding{Processor: st.name, Where: st.where}
			if o := old[st.where]; o != nil && o.Processor == st.name {
				*f = *o // until it is known better
			}
			c.findings[st.where] = f
			c.running.Go(func() { s.check(ctx, slots, f, checker) })
		}
	}
}

// check asks one processor until ctx ends.
func (s *Server) check(ctx context.Context, slots chan struct{}, f *Finding, checker Checker) {
	failing := checkFailing
	for {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		within, cancel := context.WithTimeout(ctx, checkTimeout)
		err := checker.Check(within)
		cancel()
		<-slots
		if ctx.Err() != nil {
			return
		}
		s.found(f, err)
		pause := checkEvery
		if err != nil {
			pause = failing
			failing = min(2*failing, checkEvery)
		} else {
			failing = checkFailing
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
	}
}

// found notes the outcome of a check, and tells what is new about it.
func (s *Server) found(f *Finding, err error) {
	s.checks.mu.Lock()
	before := *f
	f.Err, f.Refused, f.Checked = err, errors.Is(err, ErrRefused), true
	now := *f
	s.checks.mu.Unlock()
	switch {
	case err == nil && before.Err != nil:
		s.log.Info("a processor can do its work again", "processor", now.Processor, "where", now.Where)
	case err != nil && (before.Err == nil || before.Err.Error() != err.Error()):
		s.log.Warn("a processor cannot do its work; its steps act by their failure mode",
			slog.String("processor", now.Processor), slog.String("where", now.Where), slog.Bool("refused", now.Refused), slog.Any("error", err))
	}
}

// Findings are those of the chains in force, by place. They cover processors
// that are [Checker]s only.
func (s *Server) Findings() (list []Finding) {
	s.checks.mu.Lock()
	defer s.checks.mu.Unlock()
	for _, f := range s.checks.findings {
		list = append(list, *f)
	}
	slices.SortFunc(list, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Processor, b.Processor), cmp.Compare(a.Where, b.Where))
	})
	return list
}

// Close ends what the server does in the background. Streams are those of the
// gRPC server to end.
func (s *Server) Close() {
	c := &s.checks
	c.mu.Lock()
	if c.closed = true; c.stop != nil {
		c.stop()
	}
	c.mu.Unlock()
	c.running.Wait()
}

// steps yields every step of the chain.
func (c *Chain) steps(yield func(*step) bool) {
	for _, cand := range c.candidates {
		for _, list := range [][]stage{cand.stages, cand.replies} {
			for i := range list {
				for j := range list[i].steps {
					if !yield(&list[i].steps[j]) {
						return
					}
				}
			}
		}
	}
}

func (s *step) processor() Processor {
	if s.request != nil {
		return s.request
	}
	return s.response
}
