package main

import (
	"context"
	"fmt"
	"sync"
)

// tasks run side by side.
type tasks struct {
	sync.WaitGroup

	cancel context.CancelCauseFunc
}

// must begins a task without which the others are to end, too: an error of it is the
// cause.
func (t *tasks) must(what string, f func() error) {
	t.Go(func() {
		if err := f(); err != nil {
			t.cancel(fmt.Errorf("%s ended: %w", what, err))
		}
	})
}
