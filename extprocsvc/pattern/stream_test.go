package pattern

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// feed writes a text in pieces and holds the stream to its word: matches are in
// order, do not overlap, are safe once they are returned, and none begins
// before what was said to be safe.
func feed(t testing.TB, s *Set, text []byte, cuts ...int) []Match {
	t.Helper()
	defer func() {
		if t.Failed() {
			t.Logf("with %q", describe(s.patterns))
		}
	}()
	st := s.NewStream()
	hold, bounded := s.Hold()
	var out []Match
	safe, from := 0, 0
	take := func(ms []Match) {
		for _, m := range ms {
			if m.Start < safe || m.End <= m.Start || m.End > st.Safe() {
				t.Fatalf("match %v with safe %d before and %d after, of %q cut at %v", m, safe, st.Safe(), text, cuts)
			}
			safe = m.End
		}
		out = append(out, ms...)
		if st.Safe() < safe {
			t.Fatalf("safe fell from %d to %d, of %q cut at %v", safe, st.Safe(), text, cuts)
		}
		safe = st.Safe()
	}
	for _, cut := range append(slices.Clip(cuts), len(text)) {
		take(st.Write(slices.Clone(text[from:cut])))
		from = cut
		if held := from - safe; bounded && held > hold+3 {
			t.Fatalf("holds %d bytes, more than %d, of %q cut at %v", held, hold, text, cuts)
		}
	}
	take(st.Close())
	if safe != len(text) {
		t.Fatalf("safe is %d of %d at the end of %q cut at %v", safe, len(text), text, cuts)
	}
	return out
}

// cutAt returns some places in a text of n bytes.
func cutAt(rnd *rand.Rand, n int) []int {
	var cuts []int
	for at := rnd.IntN(8); at < n; at += 1 + rnd.IntN(1+rnd.IntN(20)) {
		cuts = append(cuts, at)
	}
	return cuts
}

func describe(patterns []Pattern) (out []string) {
	for _, p := range patterns {
		out = append(out, fmt.Sprintf("%s max %d valid %t", p.Expr, p.MaxMatch, p.Valid != nil))
	}
	return out
}

func same(t testing.TB, what string, got, want []Match, patterns []Pattern, text []byte) {
	t.Helper()
	if slices.Equal(got, want) {
		return
	}
	t.Fatalf("%s: %q\n%q\n got %v\nwant %v", what, describe(patterns), text, got, want)
}

// TestFixtureSplits: at every offset and at many at once, a stream finds what a
// whole text has, which is what the reference finds.
func TestFixtureSplits(t *testing.T) {
	s := compile(t, fixture...)
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		text := fragments(rnd, 50+rnd.IntN(150))
		want := reference(fixture, text)
		same(t, "whole", s.Find(nil, text), want, fixture, text)
		for cut := range text {
			same(t, "split", feed(t, s, text, cut), want, fixture, text)
		}
		for range 20 {
			same(t, "splits", feed(t, s, text, cutAt(rnd, len(text))...), want, fixture, text)
		}
	}
}

// TestLong: texts that are long enough to be read in lanes, most of them
// clean.
func TestLong(t *testing.T) {
	prose, _ := source(t)
	rnd := rand.New(rand.NewPCG(12, 13))
	real := compile(t, fixture...)
	for i := range 150 {
		patterns, s := fixture, real
		g := grammar{rnd, true, true}
		if i%3 > 0 {
			patterns, s = g.patterns(2)
		}
		at := rnd.IntN(len(prose) - 8000)
		clean := prose[at : at+500+rnd.IntN(4000)]
		var text []byte
		for len(clean) > 0 {
			n := min(len(clean), rnd.IntN(1200))
			text, clean = append(text, clean[:n]...), clean[n:]
			if i%3 > 0 {
				text = append(text, g.text(10)...)
			} else {
				text = append(text, fragments(rnd, 10)...)
			}
		}
		want := reference(patterns, text)
		same(t, "whole", s.Find(nil, text), want, patterns, text)
		same(t, "split", feed(t, s, text, rnd.IntN(len(text))), want, patterns, text)
		same(t, "splits", feed(t, s, text, cutAt(rnd, len(text))...), want, patterns, text)
	}
}

// TestLanes: a match that lies across the lanes of a long text, wherever it
// begins, with spaces in it so that lanes guess wrong.
func TestLanes(t *testing.T) {
	for _, bound := range []int{0, 330, 2000} {
		patterns := []Pattern{{Name: "Q to Z", Expr: `Q[a-z ]*Z`, MaxMatch: bound}}
		s := compile(t, patterns...)
		for at := range 1300 {
			text := bytes.Repeat([]byte("some clean words "), 150)
			text[at] = 'Q'
			if at%2 == 0 {
				text[at+1+at*7%1200] = 'Z'
			} else {
				text[at+1+at*7%600] = '.'
			}
			same(t, "whole", s.Find(nil, text), reference(patterns, text), patterns, text)
		}
	}
}
