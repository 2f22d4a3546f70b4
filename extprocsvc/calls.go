package extprocsvc

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// CallStats are the calls of a processor since the start.
type CallStats struct {
	Processor string
	// Passed to Skipped are the calls by verdict. Observed steps count too.
	Passed, Rejected, Failed, Skipped int64
	// Modified and Dropped are those that changed something, and those that
	// went beyond their rights.
	Modified, Dropped int64
	// Time is what they took together.
	Time time.Duration
}

// calls counts by processor. Processors come and go with the file, but their
// names are few.
type calls struct{ by sync.Map }

type callCounters struct {
	verdicts                map[Verdict]*atomic.Int64 // read-only
	modified, dropped, time atomic.Int64
}

func (c *calls) count(r *StepRecord) {
	v, ok := c.by.Load(r.Step)
	if !ok {
		counters := &callCounters{verdicts: map[Verdict]*atomic.Int64{}}
		for _, verdict := range []Verdict{Passed, Rejected, Failed, Skipped} {
			counters.verdicts[verdict] = new(atomic.Int64)
		}
		v, _ = c.by.LoadOrStore(r.Step, counters)
	}
	n := v.(*callCounters)
	if of := n.verdicts[r.Verdict]; of != nil {
		of.Add(1)
	}
	if r.Modified {
		n.modified.Add(1)
	}
	if r.Dropped != 0 {
		n.dropped.Add(1)
	}
	n.time.Add(int64(r.Duration))
}

// Calls returns the counts of every processor that was called, by name.
func (s *Server) Calls() (list []CallStats) {
	s.calls.by.Range(func(name, v any) bool {
		n := v.(*callCounters)
		list = append(list, CallStats{
			Processor: name.(string),
			Passed:    n.verdicts[Passed].Load(), Rejected: n.verdicts[Rejected].Load(),
			Failed: n.verdicts[Failed].Load(), Skipped: n.verdicts[Skipped].Load(),
			Modified: n.modified.Load(), Dropped: n.dropped.Load(), Time: time.Duration(n.time.Load()),
		})
		return true
	})
	slices.SortFunc(list, func(a, b CallStats) int { return cmp.Compare(a.Processor, b.Processor) })
	return list
}
