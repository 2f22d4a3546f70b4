package pattern

import (
	"bytes"
	"math/rand/v2"
	"regexp"
	"strconv"
	"testing"
)

// five are what a guard would run one after the other: the plain expressions
// that peers.md measured (section A1).
var five = []*regexp.Regexp{
	regexp.MustCompile(`\b[A-Za-z0-9._%+\-]+@[A-Za-z0-9.\-]+\.[A-Za-z]{2,}\b`),
	regexp.MustCompile(`\b\d{3}-\d{2}-\d{4}\b`),
	regexp.MustCompile(`\b(?:\d[ \-]*?){13,16}\b`),
	regexp.MustCompile(`\b(?:\+?1[ .\-]?)?\(?\d{3}\)?[ .\-]?\d{3}[ .\-]?\d{4}\b`),
	regexp.MustCompile(`\bsk-[A-Za-z0-9]{20,}\b`),
}

// benchText returns n bytes of prose and code in turn, of which share of 1,000
// words are samples.
func benchText(b *testing.B, n, share int) []byte {
	prose, code := source(b)
	clean := append(prose[:min(n/2, len(prose))], code[:min(n/2, len(code))]...)
	if share == 0 {
		return clean
	}
	rnd := rand.New(rand.NewPCG(3, 4))
	whole := samples[:0:0]
	s := compile(b, fixture...)
	for _, sample := range samples {
		if ms := s.Find(nil, []byte(sample)); len(ms) == 1 && ms[0].End-ms[0].Start == len(sample) && len(sample) < 60 {
			whole = append(whole, sample)
		}
	}
	var out []byte
	for word := range bytes.SplitAfterSeq(clean, []byte(" ")) {
		if out = append(out, word...); rnd.IntN(1000) < share {
			out = append(append(out, whole[rnd.IntN(len(whole))]...), ' ')
		}
	}
	return out
}

const benchSize = 256 << 10

// BenchmarkClean and the others below are to be compared within one run.
func BenchmarkClean(b *testing.B)             { benchFind(b, benchText(b, benchSize, 0)) }
func BenchmarkRegexpsClean(b *testing.B)      { benchRegexps(b, benchText(b, benchSize, 0)) }
func BenchmarkOnePercent(b *testing.B)        { benchFind(b, benchText(b, benchSize, 10)) }
func BenchmarkRegexpsOnePercent(b *testing.B) { benchRegexps(b, benchText(b, benchSize, 10)) }
func BenchmarkCleanSmall(b *testing.B)        { benchFind(b, benchText(b, benchSize, 0)[1000:2000]) }
func BenchmarkRegexpsCleanSmall(b *testing.B) { benchRegexps(b, benchText(b, benchSize, 0)[1000:2000]) }

func benchFind(b *testing.B, text []byte) {
	s := compile(b, fixture...)
	var out []Match
	out = s.Find(out[:0], text)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		out = s.Find(out[:0], text)
	}
	b.ReportMetric(float64(len(out)), "matches")
}

func benchRegexps(b *testing.B, text []byte) {
	b.SetBytes(int64(len(text)))
	n := 0
	for b.Loop() {
		n = 0
		for _, re := range five {
			n += len(re.FindAllIndex(text, -1))
		}
	}
	b.ReportMetric(float64(n), "matches")
}

// BenchmarkTokens writes clean text in pieces of about a token, as a model
// does.
func BenchmarkTokens(b *testing.B) {
	text := benchText(b, benchSize, 0)
	s := compile(b, fixture...)
	var pieces [][]byte
	rnd := rand.New(rand.NewPCG(5, 6))
	for at := 0; at < len(text); {
		to := min(len(text), at+2+rnd.IntN(6))
		pieces = append(pieces, text[at:to])
		at = to
	}
	st := s.NewStream()
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		st.Reset()
		for _, p := range pieces {
			st.Write(p)
		}
		st.Close()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(pieces)), "ns/piece")
}

// BenchmarkCompile is what loading a set costs.
func BenchmarkCompile(b *testing.B) {
	for b.Loop() {
		compile(b, fixture...)
	}
}

// BenchmarkHostile is to show the same speed for a text four times as long:
// here every search of package regexp reads the text to its end.
func BenchmarkHostile(b *testing.B) {
	const expr = `a.*z|a`
	s := compile(b, Pattern{Expr: expr})
	re := regexp.MustCompile(expr)
	for _, n := range []int{1 << 12, 1 << 14} {
		text := bytes.Repeat([]byte("a"), n)
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			b.SetBytes(int64(n))
			for b.Loop() {
				s.Find(nil, text)
			}
		})
		b.Run("Regexp"+strconv.Itoa(n), func(b *testing.B) {
			b.SetBytes(int64(n))
			for b.Loop() {
				re.FindAllIndex(text, -1)
			}
		})
	}
}
