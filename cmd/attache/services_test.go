package main

import (
	"testing"

	"github.com/attache-dev/attache/config"
)

func TestWorkerThreads(t *testing.T) {
	for _, c := range []struct{ threads, percent, processors, want int }{
		{0, 0, 8, 0},
		{3, 0, 8, 3},
		{0, 50, 8, 4},
		{0, 50, 3, 2},
		{0, 1, 4, 1},
	} {
		if got := workerThreads(config.Process{WorkerThreads: c.threads, WorkerPercent: c.percent}, c.processors); got != c.want {
			t.Errorf("%+v: got %d", c, got)
		}
	}
}
