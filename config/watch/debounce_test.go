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
		name string
		in   []time.Duration // when signals arrive
		out  []time.Duration // when they are passed on
	}{
		{name: "no signal"},
		{name: "one signal waits for quiet", in: []time.Duration{0}, out: []time.Duration{100 * ms}},
		{name: "a burst is one signal", in: []time.Duration{0, 50 * ms, 90 * ms, 180 * ms}, out: []time.Duration{280 * ms}},
		{name: "two bursts are two", in: []time.Duration{0, 500 * ms}, out: []time.Duration{100 * ms, 600 * ms}},
		{name: "never quiet: at the latest after the hold", in: every(50*ms, 2450*ms), out: []time.Duration{1000 * ms, 2000 * ms, 2550 * ms}},
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
				var out []time.Duration
				for range debounce(in, 100*ms, time.Second-ms) {
					out = append(out, time.Since(start).Round(10*ms))
				}
				if !slices.Equal(out, test.out) {
					t.Errorf("passed on at %v, want %v", out, test.out)
				}
			})
		})
	}
}

func TestDebounceUnreceivedSignalsAreOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := make(chan struct{}, 1)
		out := debounce(in, time.Second, time.Minute)
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
		if got != 1 {
			t.Errorf("got %d signals, want 1", got)
		}
	})
}
