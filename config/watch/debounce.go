package watch

import "time"

// debounce passes each burst of signals on as one signal, sent when in has been
// silent for quiet, or maxHold after the burst began if it never is. Signals
// that nobody has received yet are one signal. Closing in closes the result.
func debounce(in <-chan struct{}, quiet, maxHold time.Duration) <-chan struct{} {
	out := make(chan struct{}, 1)
	go func() {
		defer close(out)
		for range in {
			settle(in, quiet, maxHold)
			signal(out)
		}
	}()
	return out
}

// settle returns when in has been silent for quiet, is closed, or maxHold has
// passed.
func settle(in <-chan struct{}, quiet, maxHold time.Duration) {
	limit := time.After(maxHold)
	for {
		select {
		case _, open := <-in:
			if !open {
				return
			}
		case <-time.After(quiet):
			return
		case <-limit:
			return
		}
	}
}

// signal sends to a channel of capacity 1, unless a signal already waits there.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
