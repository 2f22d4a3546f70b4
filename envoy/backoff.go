package envoy

import "time"

const (
	firstDelay = 200 * time.Millisecond
	maxDelay   = 10 * time.Second
	stableLife = 30 * time.Second // having lived so long, the next death is a first one
)

// nextDelay returns how long to wait before a restart: after the delay before
// the last one (0 if there was none) and the life that followed.
func nextDelay(last, life time.Duration) time.Duration {
	if last == 0 || life >= stableLife {
		return firstDelay
	}
	return min(2*last, maxDelay)
}
