package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/attache-dev/attache/bench/measuring"
)

// A stream is one answer: what the model says, and what the client hears.
type stream struct {
	sender sender
	script *script
	check  check
	due    *schedule

	delays []time.Duration
	ended  chan struct{}
	err    error
}

// A schedule is when the events of a stream are to be sent.
type schedule struct {
	begin            *atomic.Int64 // of all streams; 0 for at once
	offset, interval time.Duration
}

func (s *schedule) of(n int) time.Time {
	begin := s.begin.Load()
	if begin == 0 {
		return time.Now()
	}
	return time.Unix(0, begin).Add(s.offset + time.Duration(n)*s.interval)
}

// take looks at what has come. It notes how late the events are behind which
// nothing is held.
func (s *stream) take(chunk []byte) {
	if s.err != nil {
		return
	}
	before := s.check.script.n
	if len(s.check.rest) > 0 {
		before--
	}
	done, err := s.check.take(chunk)
	s.err = err
	for n := before; n < min(done, s.check.total); n++ {
		if n%len(said) == len(said)-1 {
			s.delays = append(s.delays, time.Since(s.due.of(n)))
		}
	}
}

func (s *stream) end(err error) {
	if s.err == nil {
		s.err = err
	}
	close(s.ended)
}

// pacers are the goroutines that send the events of all streams.
const pacers = 8

// measure puts a load on a service of its own.
func measure(ctx context.Context, p programs, l load) (f figure, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	f = figure{load: l}
	dir, err := os.MkdirTemp("", "streams-")
	if err != nil {
		return f, err
	}
	defer os.RemoveAll(dir)
	service, err := startService(ctx, p, dir)
	if err != nil {
		return f, err
	}
	defer service.End()
	profile := "idle"
	heard := said
	if l.Guarded {
		profile, heard = "guarded", maskedSaid
	}
	var w way
	var proxy *measuring.Process
	if l.Envoy {
		m, addr, err := serveModels()
		if err != nil {
			return f, err
		}
		defer m.close()
		if proxy, m.envoy, err = startEnvoy(ctx, p, dir, service, profile, addr); err != nil {
			return f, err
		}
		defer proxy.End()
		w = m
	} else {
		c, err := converse(service.addr, profile)
		if err != nil {
			return f, err
		}
		defer c.close()
		w = c
	}

	if err := warm(ctx, w, heard); err != nil {
		return f, err
	}
	if err := f.idle(service, proxy); err != nil {
		return f, err
	}
	var begin atomic.Int64
	streams, err := openAll(ctx, w, l, heard, &begin)
	if err != nil {
		return f, err
	}

	used, err := spent(service.Process, proxy)
	if err != nil {
		return f, err
	}
	// All are open. The beginning is a little ahead, so that nobody is late.
	started := time.Now().Add(100 * time.Millisecond)
	begin.Store(started.UnixNano())
	var pacing sync.WaitGroup
	for i := range pacers {
		own := streams[i*len(streams)/pacers : (i+1)*len(streams)/pacers]
		pacing.Go(func() { pace(ctx, own, own[0].check.total) })
	}
	pacing.Wait()
	if err := f.busy(service, proxy); err != nil {
		return f, err
	}
	f.LoadAverage = measuring.LoadAverage()
	f.finish(ctx, streams)
	f.Took = time.Since(started).Seconds()
	now, err := spent(service.Process, proxy)
	if err != nil {
		return f, err
	}
	f.Attache.CPU, f.Proxy.CPU, f.Load.CPU = now[0]-used[0], now[1]-used[1], now[2]-used[2]
	return f, f.afterwards(ctx, service)
}

// openAll opens the streams, some at a time.
func openAll(ctx context.Context, w way, l load, heard [10]string, begin *atomic.Int64) ([]*stream, error) {
	streams := make([]*stream, l.Streams)
	total := int(l.Seconds*float64(l.Rate)) / len(said) * len(said) // so that no text ends in the middle
	var group sync.WaitGroup
	errs := make(chan error, pacers)
	next := make(chan int)
	interval := time.Second / time.Duration(l.Rate)
	for range pacers {
		group.Go(func() {
			for i := range next {
				due := &schedule{begin, interval * time.Duration(i) / time.Duration(l.Streams), interval}
				s, err := openOne(ctx, w, i, total, heard, due)
				if err != nil {
					errs <- fmt.Errorf("stream %d: %w", i, err)
					return
				}
				streams[i] = s
			}
		})
	}
	for i := range streams {
		select {
		case next <- i:
		case err := <-errs:
			close(next)
			return nil, err
		}
	}
	close(next)
	group.Wait()
	select {
	case err := <-errs:
		return nil, err
	default:
		return streams, nil
	}
}

func openOne(ctx context.Context, w way, id, total int, heard [10]string, due *schedule) (*stream, error) {
	s := &stream{script: newScript(said), check: check{script: newScript(heard), total: total}, due: due, ended: make(chan struct{})}
	var err error
	s.sender, err = w.open(ctx, id, s.take, s.end)
	return s, err
}

// warm sends a few streams through, so that what a process needs once is not
// taken for what streams need.
func warm(ctx context.Context, w way, heard [10]string) error {
	for id := range 2 * connections {
		s, err := openOne(ctx, w, 1<<20+id, len(said), heard, &schedule{begin: new(atomic.Int64)})
		if err != nil {
			return err
		}
		pace(ctx, []*stream{s}, len(said))
		if _, err := s.finish(ctx); err != nil {
			return err
		}
	}
	return nil
}

// pace sends the events of streams when they are due.
func pace(ctx context.Context, streams []*stream, total int) {
	for n := range total {
		for _, s := range streams {
			if wait := time.Until(s.due.of(n)); wait > time.Millisecond {
				time.Sleep(wait)
			}
			if ctx.Err() != nil {
				return
			}
			_ = s.sender.send(s.script.next(), false) // what is lost is found out at the other end
		}
	}
}

// finish ends a stream, and returns how many events of it are missing.
func (s *stream) finish(ctx context.Context) (missing int, err error) {
	if err := s.sender.send([]byte(finish), true); err != nil {
		return s.check.total, err
	}
	select {
	case <-s.ended:
	case <-ctx.Done():
		return s.check.total, ctx.Err()
	}
	if missing = s.check.missing(); missing > 0 && s.err == nil {
		s.err = fmt.Errorf("%d events are missing", missing)
	}
	return missing, s.err
}

// finish ends all streams, and counts what came of them.
func (f *figure) finish(ctx context.Context, streams []*stream) {
	ctx, cancel := context.WithTimeout(ctx, measuring.Patience)
	defer cancel()
	var delays []time.Duration
	for _, s := range streams {
		missing, err := s.finish(ctx)
		f.Missing += missing
		if f.Events += s.check.total; err == nil {
			delays = append(delays, s.delays...)
		} else if f.Errors++; f.FirstError == "" {
			f.FirstError = err.Error()
		}
	}
	if len(delays) == 0 {
		return
	}
	slices.Sort(delays)
	at := func(part float64) float64 {
		return float64(delays[int(part*float64(len(delays)-1))].Microseconds()) / 1000
	}
	f.Delay = delay{P50: at(0.5), P99: at(0.99), Max: at(1)}
}

// spent is the CPU time of the service, of the proxy and of this process.
func spent(service, proxy *measuring.Process) (used [3]float64, err error) {
	for i, p := range []*measuring.Process{service, proxy} {
		if p == nil {
			continue
		}
		cpu, err := p.CPU()
		if err != nil {
			return used, err
		}
		used[i] = cpu.Seconds()
	}
	used[2] = ownCPU()
	return used, nil
}

func (f *figure) idle(s *service, proxy *measuring.Process) (err error) {
	if f.Attache.Idle, _, err = s.Memory(); err == nil && proxy != nil {
		f.Proxy.Idle, _, err = proxy.Memory()
	}
	n, e := s.metric("go_goroutines")
	if f.Goroutines[0] = int(n); err == nil {
		err = e
	}
	return err
}

func (f *figure) busy(s *service, proxy *measuring.Process) (err error) {
	if f.Attache.Busy, _, err = s.Memory(); err == nil && proxy != nil {
		f.Proxy.Busy, _, err = proxy.Memory()
	}
	f.Attache.PerStream = (f.Attache.Busy - f.Attache.Idle) / int64(f.Streams)
	f.Proxy.PerStream = (f.Proxy.Busy - f.Proxy.Idle) / int64(f.Streams)
	n, e := s.metric("go_goroutines")
	if f.Goroutines[1] = int(n); err == nil {
		err = e
	}
	return err
}

// afterwards waits until the service has nothing left of the streams.
func (f *figure) afterwards(ctx context.Context, s *service) error {
	return measuring.Until(ctx, "the service has no more streams and goroutines than before", 10*time.Millisecond, func() bool {
		open, err := s.metric("attache_extproc_open_streams")
		if err != nil {
			return false
		}
		n, err := s.metric("go_goroutines")
		f.Goroutines[2] = int(n)
		return err == nil && open == 0 && f.Goroutines[2] <= f.Goroutines[0]+connections
	})
}
