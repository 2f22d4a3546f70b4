package pattern

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// TestRefused: what cannot be used is refused, all of it, by name.
func TestRefused(t *testing.T) {
	always := func([]byte) bool { return true }
	for _, tc := range []struct {
		pattern Pattern
		want    string
	}{
		{Pattern{Expr: `a(`}, "missing closing )"},
		{Pattern{Expr: ``}, "nothing but the empty text"},
		{Pattern{Expr: `\b`}, "nothing but the empty text"},
		{Pattern{Expr: `^$|(?:)*`}, "nothing but the empty text"},
		{Pattern{Expr: `a*?`}, "nothing but the empty text"},
		{Pattern{Expr: `|a`}, "nothing but the empty text"},
		{Pattern{Expr: `a\bb`}, "nothing but the empty text"},
		{Pattern{Expr: `[^\x00-\x{10FFFF}]`}, "nothing but the empty text"},
		{Pattern{Expr: `a`, MaxMatch: -1}, "at least 4 bytes"},
		{Pattern{Expr: `a`, MaxMatch: 3}, "at least 4 bytes"},
		{Pattern{Expr: `a+`, Valid: always}, "not be longer than 1024 bytes"},
		{Pattern{Expr: `a{600}a{600}`, Valid: always}, "not be longer than 1024 bytes"},
		{Pattern{Expr: `a{9}`, Valid: always, MaxMatch: 8}, "cannot be cut at 8 bytes"},
		{Pattern{Expr: strings.Repeat(`(?:ab|cd){1000}`, 20)}, "needs more than 50000 instructions"},
	} {
		tc.pattern.Name = "its name"
		_, err := Compile([]Pattern{{Name: "fine", Expr: "a"}, tc.pattern, {Name: "too", Expr: ")"}})
		if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), `"its name"`) || !strings.Contains(err.Error(), `"too"`) {
			t.Errorf("%q: %v, want %q", tc.pattern.Expr, err, tc.want)
		}
	}
}

func TestHoldBounds(t *testing.T) {
	for _, tc := range []struct {
		pattern Pattern
		want    int
	}{
		{Pattern{Expr: `abc`}, 3},
		{Pattern{Expr: `a|bcd`}, 3},
		{Pattern{Expr: `\ba{2,5}\b`}, 5},
		{Pattern{Expr: `[a-z]é?`}, 3},
		{Pattern{Expr: `(?i)k`}, 3}, // the Kelvin sign
		{Pattern{Expr: `.{3}`}, 12},
		{Pattern{Expr: `(?:ab){2}(?:\b)*`}, 4},
		{Pattern{Expr: `a.*b`}, unbounded},
		{Pattern{Expr: `a{2,}`}, unbounded},
		{Pattern{Expr: `a.*b`, MaxMatch: 100}, 100},
		{Pattern{Expr: `abc`, MaxMatch: 100}, 3},
		{Pattern{Expr: `a{50}`, MaxMatch: 10}, 10},
	} {
		s := compile(t, Pattern{Expr: "xy"}, tc.pattern)
		n, ok := s.PatternHold(1)
		if tc.want == unbounded && ok || tc.want != unbounded && (!ok || n != tc.want) {
			t.Errorf("%q: %d, %t, want %d", tc.pattern.Expr, n, ok, tc.want)
		}
		all, bounded := s.Hold()
		if bounded != ok || ok && all != max(n, 2) {
			t.Errorf("%q: the set holds %d, %t", tc.pattern.Expr, all, bounded)
		}
	}
}

// TestFind is the semantics by example; the tests with drawn sets compare much
// more of it with the reference.
func TestFind(t *testing.T) {
	even := func(m []byte) bool { return len(m)%2 == 0 }
	for _, tc := range []struct {
		name     string
		patterns []Pattern
		text     string
		// want has the spans as pattern:text, those beyond a bound with a !.
		want string
	}{
		{"leftmost-first", []Pattern{{Expr: `a|ab`}}, "ab", "0:a"},
		{"greedy", []Pattern{{Expr: `ab*`}}, "abbb a", "0:abbb 0:a"},
		{"no overlaps within a pattern", []Pattern{{Expr: `aba`}}, "ababa", "0:aba"},
		{"the empty match hides nothing behind it", []Pattern{{Expr: `a*`}}, "baac", "0:aa"},
		{"the longest of one beginning wins", []Pattern{{Expr: `ab`}, {Expr: `abc`}}, "abc", "1:abc"},
		{"then the first pattern", []Pattern{{Expr: `abc`}, {Expr: `ab.`}}, "abc", "0:abc"},
		{"the first beginning wins, and the rest of the other is reported", []Pattern{{Expr: `bcd`}, {Expr: `abc`}}, "abcd", "1:abc 0:d"},
		{"what is covered is not reported", []Pattern{{Expr: `b`}, {Expr: `abc`}}, "abc", "1:abc"},
		{"a checked match that fails gives way to a shorter one", []Pattern{{Expr: `\d{1,5}`, Valid: even}}, "12345", "0:1234"},
		{"and to one that overlaps it", []Pattern{{Expr: `\d{3}|2\d\d\d`, Valid: even}}, "12345", "0:2345"},
		{"and to none", []Pattern{{Expr: `\b\d{3}\b`, Valid: even}}, "123", ""},
		{"beyond a bound in parts", []Pattern{{Expr: `k=\S+`, MaxMatch: 6}}, "k=1 k=123456789 k=1234", "0:k=1 0:k=1234! 0:56789! 0:k=1234"},
		{"beyond a bound without a match", []Pattern{{Expr: `<.*>`, MaxMatch: 4}}, "<ab <abcdefg\n<ab>", "0:<ab ! 0:<abc! 0:defg! 0:<ab>"},
		{"text", []Pattern{{Expr: `^a`}, {Expr: `b$`}}, "aa\nab\nb", "0:a 1:b"},
		{"lines", []Pattern{{Expr: `(?m)^a`}, {Expr: `(?m)b$`}}, "aa\nab\nb", "0:a 0:a 1:b 1:b"},
		{"words are ASCII", []Pattern{{Expr: `\ba\b`}}, "éa a_ a", "0:a 0:a"},
		{"case", []Pattern{{Expr: `(?i)key`}}, "\u212aEY kEy", "0:\u212aEY 0:kEy"},
		{"classes", []Pattern{{Expr: `\p{Greek}+`}}, "aλόγος", "0:λόγος"},
		{"what a look closes a loop for is not tried again", []Pattern{{Expr: `é(?:\b|b)*`}}, "éb éé", "0:é 0:é 0:é"},
		{"nor when it is repeated", []Pattern{{Expr: `(?:(?:\b|b)é*){2,}`}}, "1béb", "0:bé"},
		{"nor when another loop is around it", []Pattern{{Expr: `é(?:(?:\b|b)?c?)+`}}, "ébc écé", "0:é 0:éc 0:é"},
		{"but where what follows fails", []Pattern{{Expr: `é(?:\b|b)*c`}}, "ébc éc", "0:ébc 0:éc"},
		{"or where the look fails", []Pattern{{Expr: `é(?:\b|é)*`}}, "éééb éé", "0:ééé 0:éé"},
		{"and where it is preferred less", []Pattern{{Expr: `é(?:b|\b)*`}}, "ébb", "0:ébb"},
		{"a loop whose look never holds ends where it is", []Pattern{{Expr: `é(?:\b\B|)*`}}, "é b\né", "0:é 0:é"},
		{"a loop whose look cannot hold again", []Pattern{{Expr: `(?:\Bab[^a])+`}}, "bab\xffab bab\xff", "0:ab\xff 0:ab\xff"},
		{"a loop through the end of lines", []Pattern{{Expr: `(?m)b(?:$|\n)*c?`}}, "b\nc b\n\nb", "0:b 0:b 0:b"},
		{"invalid bytes are U+FFFD", []Pattern{{Expr: `a.b`}, {Expr: "\uFFFD"}}, "a\xffb\xe4\xb8", "0:a\xffb 1:\xe4 1:\xb8"},
	} {
		s := compile(t, tc.patterns...)
		var got []string
		for _, m := range s.Find(nil, []byte(tc.text)) {
			span := string(rune('0'+m.Pattern)) + ":" + tc.text[m.Start:m.End]
			if m.Over {
				span += "!"
			}
			got = append(got, span)
		}
		if got := strings.Join(got, " "); got != tc.want {
			t.Errorf("%s: got %q, want %q", tc.name, got, tc.want)
		}
		text := []byte(tc.text)
		want := reference(tc.patterns, text)
		same(t, tc.name, s.Find(nil, text), want, tc.patterns, text)
		for cut := range text {
			same(t, tc.name+", split at "+strconv.Itoa(cut), feed(t, s, text, cut), want, tc.patterns, text)
		}
	}
}

// TestLoopsThroughLooks: all short texts, for loops that a look can close.
func TestLoopsThroughLooks(t *testing.T) {
	texts := append(words("bé \n", 4), "b\xffbb", "\xffbé", "\xc3b\xe4\xb8")
	for _, expr := range []string{
		`é(?:\b|b)*`, `é(?:b|\b)*`, `é(?:\b|b)+?b`, `(?:(?:\b|b)é*){2,}`, `(?:(?:\B|é)b?)+`, `b(?:\b| ??|é)*b`,
		`(?:b|(?:$|\n)*)+`, `b(?:(?m:^)|\b|\n)*`, `b(?:(?:\b|é)+|b)*$`, `[bé](?:\b\B|)*`, `b(?:$\b\B|)*(?: b)?`, `b(?:\b|\B)*(?:b|)`,
	} {
		for _, p := range []Pattern{{Expr: expr}, {Expr: expr, MaxMatch: 4}} {
			ps := []Pattern{p}
			s := compile(t, ps...)
			for _, text := range texts {
				text := []byte(text)
				want := reference(ps, text)
				same(t, "whole", s.Find(nil, text), want, ps, text)
				for cut := range text {
					same(t, "split at "+strconv.Itoa(cut), feed(t, s, text, cut), want, ps, text)
				}
			}
		}
	}
}

// TestSamples: each pattern of the fixture finds something, so that the tests
// with it compare more than nothing.
func TestSamples(t *testing.T) {
	s := compile(t, fixture...)
	found := map[string]bool{}
	for _, sample := range samples {
		for _, m := range s.Find(nil, []byte(sample)) {
			found[s.Name(m.Pattern)] = true
		}
	}
	for i := range s.Len() {
		if !found[s.Name(i)] {
			t.Errorf("no sample has a %s", s.Name(i))
		}
	}
}

// TestLinear: texts on which a search that begins again and again would not
// come to an end before the test does.
func TestLinear(t *testing.T) {
	const n = 1 << 18
	yes := func([]byte) bool { return true }
	no := func([]byte) bool { return false }
	as := bytes.Repeat([]byte("a"), n)
	for _, tc := range []struct {
		name     string
		patterns []Pattern
		text     []byte
		want     int
	}{
		{"a preferred match may still come", []Pattern{{Expr: `a.*z|a`}}, as, n},
		{"and comes", []Pattern{{Expr: `a.*z|a`}}, append(as[:n-1:n-1], 'z'), 1},
		{"every beginning may match", []Pattern{{Expr: `a[^z]*z`}}, as, 0},
		{"many ways", []Pattern{{Expr: `(?:a*)*b`}, {Expr: `(?:a|a)*c`}, {Expr: `(?:a?){50}a{50}d`}}, as, 0},
		{"more states than fit", []Pattern{{Expr: `[ab]*a[ab]{14}c`}}, noise(n / 16), 0},
		{"checks that fail", []Pattern{{Expr: `a{1,20}`, Valid: no}}, as, 0},
		{"checks that hold", []Pattern{{Expr: `a{1,20}`, Valid: yes}}, as, (n + 19) / 20},
		{"beyond a bound", []Pattern{{Expr: `a.*z`, MaxMatch: 64}}, as, n / 64},
		{"digits", fixture, bytes.Repeat([]byte("1"), n/4), 0},
		{"words", fixture, bytes.Repeat([]byte("a.b-"), n/8), 0},
	} {
		s := compile(t, tc.patterns...)
		if got := len(s.Find(nil, tc.text)); got != tc.want {
			t.Errorf("%s: %d matches, want %d", tc.name, got, tc.want)
		}
		st, got := s.NewStream(), 0
		for piece := range slices.Chunk(tc.text, 7) {
			got += len(st.Write(piece))
		}
		if got += len(st.Close()); got != tc.want {
			t.Errorf("%s: %d matches in pieces, want %d", tc.name, got, tc.want)
		}
	}
}

// noise returns letters that no automaton can foresee.
func noise(n int) []byte {
	rnd := rand.New(rand.NewPCG(9, 10))
	text := make([]byte, n)
	for i := range text {
		text[i] = "ab"[rnd.IntN(2)]
	}
	return text
}

// TestNoAllocation: clean text costs none, once the states are there.
func TestNoAllocation(t *testing.T) {
	s := compile(t, fixture...)
	prose, _ := source(t)
	prose = prose[:8<<10]
	st := s.NewStream()
	for _, size := range []int{3, 100, len(prose)} {
		if n := testing.AllocsPerRun(10, func() {
			st.Reset()
			for piece := range slices.Chunk(prose, size) {
				if len(st.Write(piece)) > 0 {
					t.Error("the text is not clean")
				}
			}
			st.Close()
		}); n > 0 {
			t.Errorf("%v allocations for pieces of %d bytes", n, size)
		}
	}
}

// TestManyAtOnce: streams of one set do not disturb each other, also while the
// automata forget.
func TestManyAtOnce(t *testing.T) {
	for _, small := range []bool{false, true} {
		s := compile(t, fixture...)
		if small {
			shrink(s)
		}
		var wg sync.WaitGroup
		for i := range uint64(4) {
			wg.Go(func() {
				rnd := rand.New(rand.NewPCG(i, 11))
				for range 20 {
					text := fragments(rnd, 200)
					want := reference(fixture, text)
					if got := s.Find(nil, text); !slices.Equal(got, want) {
						t.Errorf("%q: got %v, want %v", text, got, want)
					}
					var got []Match
					st := s.NewStream()
					for piece := range slices.Chunk(text, 1+rnd.IntN(9)) {
						got = append(got, st.Write(piece)...)
					}
					if got = append(got, st.Close()...); !slices.Equal(got, want) {
						t.Errorf("%q in pieces: got %v, want %v", text, got, want)
					}
				}
			})
		}
		wg.Wait()
	}
}

// TestReset: a stream that is used again knows nothing of its last text.
func TestReset(t *testing.T) {
	s := compile(t, Pattern{Expr: `\bab+`}, Pattern{Expr: `x{1,3}y`, Valid: func([]byte) bool { return true }})
	st := s.NewStream()
	for _, text := range []string{"ab", "xx\xe4", "abab", "b", "y", "a"} {
		st.Reset()
		st.Write([]byte(text))
		if text == "abab" {
			st.Close()
		}
	}
	st.Reset()
	got := append(slices.Clone(st.Write([]byte("b ab"))), st.Close()...)
	if want := []Match{{0, 2, 4, false}}; !slices.Equal(got, want) || st.Safe() != 4 {
		t.Errorf("got %v, safe %d", got, st.Safe())
	}
}
