package envoy

import (
	"slices"
	"testing"
	"time"
)

func TestBackOff(t *testing.T) {
	const ms = time.Millisecond
	var got []time.Duration
	var delay time.Duration
	for _, life := range []time.Duration{0, 0, 0, time.Second, 29 * time.Second, 0, 0, 0, 30 * time.Second, 0} {
		delay = nextDelay(delay, life)
		got = append(got, delay)
	}
	want := []time.Duration{200 * ms, 400 * ms, 800 * ms, 1600 * ms, 3200 * ms, 6400 * ms, 10_000 * ms, 10_000 * ms, 200 * ms, 400 * ms}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
