package pattern

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
)

// A grammar draws expressions. Without looks they have no assertions.
type grammar struct {
	*rand.Rand
	looks, loops bool
}

func (g grammar) pick(of ...string) string { return of[g.IntN(len(of))] }

func (g grammar) expr(depth int) string {
	if depth == 0 {
		return g.pick("a", "b", "c", "ab", "bc", "é", "[ab]", "[^a]", ".", `\w`, `\W`, `\d`, " ", "-", "1", `\n`, "(?i:k)", "(?i:b)", `\pL`, "(?s:.)", "世", "[a-é]", `[^\x00-\x7f]`)
	}
	switch g.IntN(10) {
	case 0, 1, 2:
		return g.expr(depth-1) + g.expr(depth-1)
	case 3, 4:
		return "(?:" + g.expr(depth-1) + "|" + g.expr(depth-1) + ")"
	case 5:
		lazy := g.pick("", "", "?")
		if g.loops && g.IntN(2) == 0 {
			return "(?:" + g.expr(depth-1) + ")" + g.pick("*", "+", "{2,}") + lazy
		}
		n := g.IntN(3)
		return "(?:" + g.expr(depth-1) + "){" + strconv.Itoa(n) + "," + strconv.Itoa(n+g.IntN(3)) + "}" + lazy
	case 6:
		return "(?:" + g.expr(depth-1) + ")" + g.pick("?", "??")
	case 7:
		if g.looks {
			return g.pick(`\b`, `\B`, `^`, `$`, `(?m:^)`, `(?m:$)`, `\A`, `\z`, `(?:\b|b)`, `(?:|b)`) + g.expr(depth-1)
		}
	case 8:
		if g.looks {
			return g.expr(depth-1) + g.pick(`\b`, `\B`, `$`, `(?m:$)`, `(?m:^)`, `\z`)
		}
	}
	return g.expr(depth - 1)
}

// patterns draws a set that compiles.
func (g grammar) patterns(most int) ([]Pattern, *Set) {
	for {
		var ps []Pattern
		for range 1 + g.IntN(most) {
			p := Pattern{Name: "p" + strconv.Itoa(len(ps))}
			switch g.IntN(4) {
			case 0:
				// Checked: bounded, and about one match of three counts.
				p.Expr = grammar{g.Rand, g.looks, false}.expr(1 + g.IntN(4))
				salt := g.IntN(3)
				p.Valid = func(m []byte) bool {
					sum := salt
					for _, c := range m {
						sum += int(c)
					}
					return sum%3 == 0
				}
			case 1:
				p.Expr = grammar{g.Rand, false, true}.expr(1 + g.IntN(4))
				p.MaxMatch = 4 + g.IntN(6)
			default:
				p.Expr = grammar{g.Rand, g.looks, true}.expr(1 + g.IntN(4))
			}
			ps = append(ps, p)
		}
		if s, err := Compile(ps); err == nil {
			return ps, s
		}
	}
}

// text draws a text of what expressions are made of.
func (g grammar) text(n int) []byte {
	var b bytes.Buffer
	for range g.IntN(n + 1) {
		b.WriteString(g.pick("a", "a", "b", "b", "c", "ab", " ", "-", "1", "\n", "k", "K", "\u212a", "é", "世", "\xff", "\xc3", "\xe4\xb8", "_"))
	}
	return b.Bytes()
}

// shrink leaves a set room for so few states that it must forget all the time.
func shrink(s *Set) {
	s.rough.limit = 12
	s.rough.renew()
	for _, e := range s.exact {
		e.limit = 8
	}
}

// differ draws a set and some texts and compares streams with the reference.
func differ(t testing.TB, rnd *rand.Rand) {
	g := grammar{rnd, rnd.IntN(2) == 0, true}
	ps, s := g.patterns(3)
	if rnd.IntN(3) == 0 {
		shrink(s)
	}
	for range 10 {
		text := g.text(25)
		want := reference(ps, text)
		same(t, "whole", s.Find(nil, text), want, ps, text)
		for cut := range text {
			same(t, "split at "+strconv.Itoa(cut), feed(t, s, text, cut), want, ps, text)
		}
		all := make([]int, len(text))
		for i := range all {
			all[i] = i
		}
		same(t, "bytes", feed(t, s, text, all...), want, ps, text)
		same(t, "splits", feed(t, s, text, cutAt(rnd, len(text))...), want, ps, text)
	}
}

// TestDifferential compares with the reference for drawn sets.
func TestDifferential(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 8))
	for range 250 {
		differ(t, rnd)
	}
}

// FuzzDrawn does so for sets that the fuzzer's seeds draw.
func FuzzDrawn(f *testing.F) {
	for i := range uint64(10) {
		f.Add(i, i*i)
	}
	// Loops that a look can close, and looks behind bytes that are not UTF-8.
	f.Add(uint64(849), uint64(545))
	f.Add(uint64(322), uint64(7))
	f.Fuzz(func(t *testing.T, a, b uint64) { differ(t, rand.New(rand.NewPCG(a, b))) })
}

// FuzzExpr compares with the reference for expressions and texts of the
// fuzzer's.
func FuzzExpr(f *testing.F) {
	for _, p := range fixture {
		f.Add(p.Expr, `\bab?`, []byte("4111 1111 1111 1111 ab"), uint64(1))
	}
	f.Add(`(?:(?:\b|b)é*){2,}`, `(?:\Bab[^a])+`, []byte("1béb Kbab\xffab"), uint64(4))
	f.Add(`a.*z|a`, `^|a*?`, []byte("aaa\naz"), uint64(2))
	f.Add(`(?i)k\b|(?:a|ab)(?:c|bcd)(?:d*)`, `(?m)^x$`, []byte("K\u212a abcd \xffx\nx"), uint64(3))
	f.Fuzz(func(t *testing.T, one, two string, text []byte, seed uint64) {
		if len(one)+len(two) > 200 || len(text) > 500 {
			return
		}
		ps := []Pattern{{Name: "one", Expr: one}, {Name: "two", Expr: two}}
		s, err := Compile(ps)
		if err != nil {
			return
		}
		want := reference(ps, text)
		same(t, "whole", s.Find(nil, text), want, ps, text)
		rnd := rand.New(rand.NewPCG(seed, 0))
		for range 5 {
			same(t, "splits", feed(t, s, text, cutAt(rnd, len(text))...), want, ps, text)
		}
	})
}

// FuzzFixture does so for the fixture and texts of the fuzzer's, mixed with
// parts of samples.
func FuzzFixture(f *testing.F) {
	for i, sample := range samples {
		f.Add([]byte(sample), uint64(i))
	}
	s := compile(f, fixture...)
	f.Fuzz(func(t *testing.T, text []byte, seed uint64) {
		if len(text) > 2000 {
			return
		}
		rnd := rand.New(rand.NewPCG(seed, 1))
		at := rnd.IntN(len(text) + 1)
		text = slices.Concat(text[:at], fragments(rnd, rnd.IntN(100)), text[at:])
		want := reference(fixture, text)
		same(t, "whole", s.Find(nil, text), want, fixture, text)
		for range 5 {
			same(t, "splits", feed(t, s, text, cutAt(rnd, len(text))...), want, fixture, text)
		}
	})
}
