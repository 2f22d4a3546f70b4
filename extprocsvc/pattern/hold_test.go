package pattern

import (
	"slices"
	"testing"
)

// words returns all texts over an alphabet of up to n letters.
func words(alphabet string, n int) []string {
	all := []string{""}
	for from := 0; n > 0; n-- {
		to := len(all)
		for _, w := range all[from:to] {
			for _, c := range alphabet {
				all = append(all, w+string(c))
			}
		}
		from = to
	}
	return all
}

// decided is the oracle: the largest offset before which every continuation
// leaves the same spans, none of which goes beyond it.
func decided(patterns []Pattern, text string, more []string) int {
	var first []Match
	k := len(text)
	for i, u := range more {
		ms := reference(patterns, []byte(text+u))
		if i == 0 {
			first = ms
		}
		// Lower k until both agree below it.
		for {
			old := k
			for _, list := range [][]Match{first, ms} {
				for _, m := range list {
					if m.Start < k && k < m.End {
						k = m.Start
					}
				}
			}
			if !slices.Equal(below(first, k), below(ms, k)) {
				k--
			}
			if k == old {
				break
			}
		}
	}
	return k
}

func below(ms []Match, k int) []Match {
	n := 0
	for n < len(ms) && ms[n].Start < k {
		n++
	}
	return ms[:n]
}

// TestHolds: a byte is held if and only if something that may follow makes a
// difference to it. The expressions need no more than the three letters that
// the oracle looks ahead.
func TestHolds(t *testing.T) {
	exprs := []string{
		`a`, `ab`, `abc`, `a|ab`, `ab|a`, `a?`, `a*`, `a+`, `a+?`, `ab*`, `ab*c`, `a.*b`, `a.*?b`, `(?:abc|a)`, `(?:aba|b)`,
		`\ba`, `a\b`, `\ba\b`, `\bab\b`, `\Ba`, `a\B`, `^a`, `a$`, `^ab$`, `(?m)^a`, `a\bb`, `ab\b c`, `(?:ab\b|abb)`,
		`\b[ab]{2}\b`, `\b[ab]{2,3}\b`, `a{2}`, `a{2,3}`, `a{2,3}?`, `(?:ab){1,2}`, `(?:ab)+c`, `a(?:b\b)?`, `a(?:$|b)`,
		`b*a|b`, `[^a]b`, `[^a]+b`, `a[^ ]*c|a`, `aa|ab|ba`, ` \b`, `\b `, `a b`, ` +a`, `(?:\bb|a)c?`,
	}
	more := words("abc ", 3)
	texts := words("abc ", 4)
	for i, one := range exprs {
		sets := [][]Pattern{{{Name: "one", Expr: one}}}
		// Each with another one, a different one for each.
		sets = append(sets, []Pattern{{Name: "one", Expr: one}, {Name: "two", Expr: exprs[(i*7+3)%len(exprs)]}})
		for _, ps := range sets {
			if _, err := Compile(ps); err != nil {
				if ps[len(ps)-1].Expr == `a\bb` || one == `a\bb` {
					continue // can never match, and is refused
				}
				t.Fatal(err)
			}
			s := compile(t, ps...)
			for j, text := range texts {
				if j%14 != i%14 {
					continue // the oracle is slow; each text has its turn
				}
				st := s.NewStream()
				for c := range len(text) {
					st.Write([]byte(text[c : c+1]))
				}
				if got, want := st.Safe(), decided(ps, text, more); got != want {
					t.Errorf("%q: of %q, %d bytes are safe, want %d", describe(ps), text, got, want)
				}
			}
		}
	}
}
