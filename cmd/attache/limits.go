package main

import (
	"errors"
	"flag"

	"github.com/attache-dev/attache/extprocsvc"
)

// limits are how much the ext_proc service takes on at a time.
type limits struct{ maxStreams, maxHeld int64 }

// defaultMaxStreams is well above what one process is asked to carry.
const defaultMaxStreams = 10_000

func (l *limits) flags(fs *flag.FlagSet) {
	fs.Int64Var(&l.maxStreams, "max-streams", defaultMaxStreams, "requests that may be in hand at a time, a `NUMBER`; one more is answered by the failure mode")
	fs.Int64Var(&l.maxHeld, "max-held", extprocsvc.DefaultHeldBudget, "`BYTES` of bodies that may be held at a time; requests that need more are answered with 503")
}

func (l *limits) mistake() error {
	switch {
	case l.maxStreams < 1:
		return errors.New("--max-streams must be at least 1")
	case l.maxHeld < 1:
		return errors.New("--max-held must be at least 1")
	}
	return nil
}
