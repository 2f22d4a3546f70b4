package watch

import "time"

// debounce passes each burst of signals on as one signal on settled, sent when in
// has been silent for quiet, or maxHold after the burst began if it never is. Each
// time that in has been silent for pause, which is not longer, it sends one on
// paused: the burst may be over. Signals that nobody has received yet are one
// signal. Closing in closes both.
func debounce(in <-chan struct{}, pause, quiet, maxHold time.Duration) (paused, settled <-chan struct{}) {
	p, s := make(chan struct{}, 1), make(chan struct{}, 1)
	go func() {
		defer close(p)
		defer close(s)
		for range in {
			settle(in, pause, quiet, maxHold, p)
			signal(s)
		}
	}()
	return p, s
}

// settle returns when in has been silent for quiet, is closed, or maxHold has
// passed. It signals each pause.
func settle(in <-chan struct{}, pause, quiet, maxHold time.Duration, paused chan<- struct{}) {
	limit := time.After(maxHold)
	for rest := quiet; ; {
		wait := rest
		if rest == quiet {
			wait = pause
		}
		select {
		case _, open := <-in:
			if !open {
				return
			}
			rest = quiet
		case <-time.After(wait):
			if rest == quiet {
				signal(paused)
			}
			if rest -= wait; rest <= 0 {
				return
			}
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
