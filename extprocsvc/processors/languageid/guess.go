package languageid

import (
	"bytes"
	"math"
	"math/bits"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/attache-dev/attache/extprocsvc/words"
)

// What a hint says, as the logarithm of how much likelier it is in a language
// that has it.
const (
	// hasWord is divided by the root of how many languages share the word.
	hasWord = 2.5
	// hasLetter is divided by how many languages share the letter; lacksLetter
	// counts once for each word with one that the language lacks.
	hasLetter   = 2.0
	lacksLetter = 1.5
	// doubt is what a language must beat to be believed, as if it were one of
	// its script.
	doubt = 1.0
)

const (
	// enough is how many words a line needs to be judged by itself, so that a
	// text in two languages has both; sure is the confidence that it needs.
	enough = 8
	sure   = 0.95
	// longest is how many words are a line at most.
	longest = 100
	// few is the share of a message's letters below which a script is taken
	// for a name or a quotation.
	few = 0.1
	// maxLetters is how many letters of a word are looked at.
	maxLetters = 32
)

// maxLanguages is how many languages there can be.
const maxLanguages = 64

// evidence is what speaks for the languages of scripts that have several.
type evidence struct {
	score [maxLanguages]float64
	words int
}

// add adds weight to every language of a set.
func (e *evidence) add(s set, weight float64) {
	for ; s != 0; s &= s - 1 {
		e.score[bits.TrailingZeros64(uint64(s))] += weight
	}
}

// A guesser finds the languages of one message. It can be used again.
type guesser struct {
	scan words.Scanner
	text []byte // room for an unquoted text
	nfc  []byte

	// letters counts the letters of each alphabet, total those of all.
	letters []int
	total   int
	whole   evidence
	line    evidence
	// found holds the confidence in each language.
	found [maxLanguages]float64
}

func (g *guesser) begin() {
	if g.letters == nil {
		g.letters = make([]int, len(alphabets))
	}
	clear(g.letters)
	*g = guesser{scan: words.Scanner{Accents: true}, text: g.text, nfc: g.nfc, letters: g.letters}
}

// read takes one text of the message.
func (g *guesser) read(text []byte) {
	s := &g.scan
	end := 0
	for s.Reset(text); s.Next(); end = s.End {
		if g.line.words >= longest || s.At-end > 0 && bytes.IndexByte(text[end:s.At], '\n') >= 0 {
			g.endLine()
		}
		g.word(s.Text)
	}
	g.endLine()
}

// word notes what a word says.
func (g *guesser) word(word []byte) {
	first, _ := utf8.DecodeRune(word)
	a := alphabetOf(first)
	if a < 0 {
		return
	}
	n := utf8.RuneCount(word)
	g.letters[a] += n
	g.total += n
	all := alphabets[a].all
	if all&(all-1) == 0 {
		return // one language
	}
	e := &g.line
	e.words++
	plain := len(word) == n
	if !plain && !norm.NFC.IsNormal(word) {
		g.nfc = norm.NFC.Append(g.nfc[:0], word...)
		word = g.nfc
	}
	if s := wordSets[string(word)] & all; s != 0 {
		e.add(s, hasWord/math.Sqrt(float64(bits.OnesCount64(uint64(s)))))
	}
	if plain {
		return
	}
	var lack set
	for i, looked := 0, 0; i < len(word) && looked < maxLetters; looked++ {
		r, n := utf8.DecodeRune(word[i:])
		i += n
		if r < utf8.RuneSelf {
			continue
		}
		if s := letterSets[r] & all; s != 0 {
			lack |= all &^ s
			e.add(s, hasLetter/float64(bits.OnesCount64(uint64(s))))
		}
	}
	e.add(lack, -lacksLetter)
}

// endLine judges a line by itself if it is long enough.
func (g *guesser) endLine() {
	if g.line.words == 0 {
		return
	}
	if g.line.words >= enough {
		g.judge(&g.line, sure)
	}
	for i, w := range g.line.score {
		g.whole.score[i] += w
	}
	g.whole.words += g.line.words
	g.line = evidence{}
}

// judge notes the likeliest language of each alphabet, if it is likely enough.
func (g *guesser) judge(e *evidence, floor float64) {
	for _, a := range alphabets {
		if a.all&(a.all-1) == 0 {
			continue
		}
		best, sum := -1, math.Exp(doubt)
		for s := a.all; s != 0; s &= s - 1 {
			l := bits.TrailingZeros64(uint64(s))
			sum += math.Exp(min(e.score[l], 100))
			if best < 0 || e.score[l] > e.score[best] {
				best = l
			}
		}
		if c := math.Exp(min(e.score[best], 100)) / sum; e.score[best] > 0 && c >= floor {
			g.found[best] = max(g.found[best], c)
		}
	}
}

// end yields the languages of the message and the confidence in each. Letters
// of an alphabet whose language is not clear are language "".
func (g *guesser) end(yield func(code string, confidence float64)) {
	if g.total == 0 {
		return
	}
	g.judge(&g.whole, 0)
	if g.letters[han] > 0 && g.letters[kana]*20 >= g.letters[han] {
		g.letters[kana] += g.letters[han] // Japanese
		g.letters[han] = 0
	}
	for i, a := range alphabets {
		if float64(g.letters[i]) < few*float64(g.total) {
			continue
		}
		if a.all&(a.all-1) == 0 {
			yield(codes[bits.TrailingZeros64(uint64(a.all))], 1)
			continue
		}
		any := false
		for s := a.all; s != 0; s &= s - 1 {
			if l := bits.TrailingZeros64(uint64(s)); g.found[l] > 0 {
				any = true
				yield(codes[l], g.found[l])
			}
		}
		if !any {
			yield("", 0)
		}
	}
}
