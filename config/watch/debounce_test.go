package watch

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestDebounce(t *testing.T) {
	const ms = time.Millisecond
	every := func(step, until time.Duration) (at []time.Duration) {
		for d := time.Duration(0); d <= until; d += step {
			at = append(at, d)
		}
		return at
	}
	for _, test := range []struct {
		name   string
		in     []time.Duration // when signals arrive
		out    []time.Duration // when they are passed on
		paused []time.Duration
	}{
		{name: "no signal"},
		{name: "one signal waits for quiet", in: []time.Duration{0}, out: []time.Duration{100 * ms}, paused: []time.Duration{30 * ms}},
		{name: "a burst is one signal", in: []time.Duration{0, 50 * ms, 70 * ms, 160 * ms}, out: []time.Duration{260 * ms}, paused: []time.Duration{30 * ms, 100 * ms, 190 * ms}},
		{name: "two bursts are two", in: []time.Duration{0, 500 * ms}, out: []time.Duration{100 * ms, 600 * ms}, paused: []time.Duration{30 * ms, 530 * ms}},
		{name: "never quiet: at the latest after the hold", in: every(20*ms, 2480*ms), out: []time.Duration{1000 * ms, 2000 * ms, 2580 * ms}, paused: []time.Duration{2510 * ms}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				// A signal and a timer of the same instant would race.
				start := time.Now()
				in := make(chan struct{}, 1)
				go func() {
					defer close(in)
					for _, at := range test.in {
						time.Sleep(time.Until(start.Add(at)))
						in <- struct{}{}
						synctest.Wait()
					}
					time.Sleep(time.Hour)
				}()
				var out, paused []time.Duration
				for pauses, settled := debounce(in, 30*ms, 100*ms, time.Second-ms); settled != nil; {
					select {
					case _, open := <-pauses:
						if !open {
							pauses = nil
							continue
						}
						paused = append(paused, time.Since(start).Round(10*ms))
					case _, open := <-settled:
						if !open {
							settled = nil
							continue
						}
						out = append(out, time.Since(start).Round(10*ms))
					}
				}
				if !slices.Equal(out, test.out) || !slices.Equal(paused, test.paused) {
					t.Errorf("passed on at %v and paused at %v, want %v and %v", out, paused, test.out, test.paused)
				}
			})
		})
	}
}

func TestDebounceUnreceivedSignalsAreOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := make(chan struct{}, 1)
		paused, out := debounce(in, time.Second, time.Second, time.Minute)
		for range 3 {
			in <- struct{}{}
			time.Sleep(10 * time.Second)
		}
		close(in)
		synctest.Wait()
		got := 0
		for range out {
			got++
		}
		for range paused {
			got++
		}
		if got != 2 {
			t.Errorf("got %d signals, want one of each", got)
		}
	})
}
