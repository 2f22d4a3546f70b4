package main

import (
	"errors"
	"flag"
	"log/slog"
	"time"

	"github.com/attache-dev/attache/extprocsvc"
)

// limits are how much the ext_proc service takes on at a time, and for how long.
type limits struct {
	maxStreams, maxHeld int64
	collect             time.Duration
}

// defaultMaxStreams is well above what one process is asked to carry.
const defaultMaxStreams = 10_000

func (l *limits) flags(fs *flag.FlagSet) {
	fs.Int64Var(&l.maxStreams, "max-streams", defaultMaxStreams, "requests that may be in hand at a time, a `NUMBER`; one more is answered by the failure mode")
	fs.Int64Var(&l.maxHeld, "max-held", extprocsvc.DefaultHeldBudget, "`BYTES` of bodies that may be held at a time; requests that need more are answered with 503")
	fs.DurationVar(&l.collect, "collect-timeout", extprocsvc.DefaultCollectTimeout, "how long the client of a streamed answer that has to be seen whole may wait for it, a `DURATION`, unless its route has a timeout; then the answer is 504")
}

// options are those of the service.
func (l *limits) options(log *slog.Logger) extprocsvc.Options {
	return extprocsvc.Options{Log: log, MaxStreams: l.maxStreams, HeldBudget: l.maxHeld, CollectTimeout: l.collect}
}

func (l *limits) mistake() error {
	switch {
	case l.maxStreams < 1:
		return errors.New("--max-streams must be at least 1")
	case l.maxHeld < 1:
		return errors.New("--max-held must be at least 1")
	case l.collect <= 0:
		return errors.New("--collect-timeout must be more than 0")
	}
	return nil
}
