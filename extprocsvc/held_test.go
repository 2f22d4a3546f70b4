package extprocsvc

import (
	"math/rand/v2"
	"testing"
)

// A held body takes no more room than it must, and all of its room counts.
func TestHeldRoom(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	s := NewServer(Options{MaxBody: 1 << 30})
	for range 300 {
		n := rng.IntN(4 << 20)
		promised := int64([]int{-1, n, n / 2, 1 << 40}[rng.IntN(4)])
		var h held
		for len(h.bytes) < n {
			chunk := make([]byte, min(n-len(h.bytes), 1+rng.IntN(64<<10)))
			if refused := h.add(s, chunk, promised, largeResponse); refused != nil {
				t.Fatal(refused.message)
			}
			if room := max(2*len(h.bytes), 1<<20); cap(h.bytes) > room {
				t.Fatalf("%d bytes of room for %d, promised %d", cap(h.bytes), len(h.bytes), promised)
			}
			if promised == int64(n) && cap(h.bytes) > n {
				t.Fatalf("%d bytes of room for a body of %d", cap(h.bytes), n)
			}
			if taken := s.held.taken.Load(); taken != int64(cap(h.bytes)) {
				t.Fatalf("%d bytes count, of %d", taken, cap(h.bytes))
			}
		}
		if h.release(s); s.held.taken.Load() != 0 {
			t.Fatalf("%d bytes still count", s.held.taken.Load())
		}
	}
}

// What a body is promised to be costs nothing before it comes, and what does not
// fit changes nothing.
func TestHeldBudget(t *testing.T) {
	s := NewServer(Options{HeldBudget: 1000})
	var h held
	if h.add(s, make([]byte, 10), 1<<40, largeResponse) != nil || s.held.taken.Load() != 10 {
		t.Errorf("%d bytes count of 10", s.held.taken.Load())
	}
	if h.add(s, make([]byte, 1), 1<<40, largeResponse) != overBudget || s.held.taken.Load() != 10 || len(h.bytes) != 10 {
		t.Errorf("with room for a MiB: %d bytes count, of %d", s.held.taken.Load(), len(h.bytes))
	}
	if h.add(s, make([]byte, 500), -1, largeResponse) != nil || s.held.taken.Load() != 510 {
		t.Errorf("%d bytes count of 510", s.held.taken.Load())
	}
}

func TestLimitTellsAgain(t *testing.T) {
	l := limit{max: 4}
	for range 3 {
		if !l.take(4) || l.take(1) || !l.tell() || l.tell() {
			t.Fatal("full")
		}
		l.give(1)
		if !l.take(1) || l.take(1) || l.tell() {
			t.Fatal("full again, without half of it free in between")
		}
		l.give(4)
	}
	if n := l.refused.Load(); n != 6 {
		t.Errorf("%d refusals", n)
	}
}
