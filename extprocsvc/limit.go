package extprocsvc

import "sync/atomic"

// A limit is how much of something there may be at a time.
type limit struct {
	max     int64 // 0 for no limit
	taken   atomic.Int64
	refused atomic.Int64 // how often there was not enough left
	told    atomic.Bool
}

// take takes n, which must be given back, or nothing if there is less left.
func (l *limit) take(n int64) bool {
	if taken := l.taken.Add(n); l.max > 0 && taken > l.max {
		l.taken.Add(-n)
		l.refused.Add(1)
		return false
	}
	return true
}

// give gives back what was taken.
func (l *limit) give(n int64) {
	if taken := l.taken.Add(-n); taken <= l.max/2 && l.told.Load() {
		l.told.Store(false)
	}
}

// tell tells whether to log that the limit was reached: once, and again after
// half of it was free in between.
func (l *limit) tell() bool { return l.told.CompareAndSwap(false, true) }
