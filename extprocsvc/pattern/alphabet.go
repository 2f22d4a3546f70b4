package pattern

import (
	"cmp"
	"fmt"
	"regexp/syntax"
	"slices"
	"unicode"
	"unicode/utf8"
)

// maxClasses is how many classes an alphabet can have; a class is a byte, and
// one value stands for "not ASCII".
const maxClasses = 255

// A kind is what an assertion can see of a neighbour: Go's \b knows ASCII
// words only, so four kinds of characters and the end of the text suffice.
type kind uint8

const (
	begin kind = iota // before the first character
	newline
	word
	other
	end // behind the last character
	kinds
)

// kindOf returns the kind of a character, given as its last byte or as a rune.
func kindOf[T byte | rune](c T) kind {
	switch {
	case c == '\n':
		return newline
	case '0' <= c && c <= '9', 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z', c == '_':
		return word
	}
	return other
}

// holds tells whether the assertions of look hold between two characters.
func holds(look syntax.EmptyOp, prev, next kind) bool {
	is := func(op syntax.EmptyOp, ok bool) bool { return look&op == 0 || ok }
	boundary := (prev == word) != (next == word)
	return is(syntax.EmptyBeginText, prev == begin) &&
		is(syntax.EmptyEndText, next == end) &&
		is(syntax.EmptyBeginLine, prev == begin || prev == newline) &&
		is(syntax.EmptyEndLine, next == end || next == newline) &&
		is(syntax.EmptyWordBoundary, boundary) &&
		is(syntax.EmptyNoWordBoundary, !boundary)
}

// looksBack are the assertions that do not depend on the next character.
const looksBack = syntax.EmptyBeginText | syntax.EmptyBeginLine

// A runeSet is a list of ranges, two runes each, sorted.
type runeSet []rune

// setOf returns the characters that an instruction accepts.
func setOf(in *syntax.Inst) runeSet {
	switch in.Op {
	case syntax.InstRuneAny:
		return runeSet{0, unicode.MaxRune}
	case syntax.InstRuneAnyNotNL:
		return runeSet{0, '\n' - 1, '\n' + 1, unicode.MaxRune}
	}
	if len(in.Rune) != 1 {
		return in.Rune
	}
	r := in.Rune[0]
	set := runeSet{r, r}
	if syntax.Flags(in.Arg)&syntax.FoldCase != 0 {
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			set = append(set, f, f)
		}
	}
	return set
}

// An alphabet divides the characters into classes that no expression of a set
// tells apart. Invalid bytes are U+FFFD, as they are for package regexp.
type alphabet struct {
	// ascii has the class of each byte below utf8.RuneSelf; for the others it
	// is size, which is no class.
	ascii [256]uint8
	// pages has, for 256 characters each, the place in cells.
	pages [(unicode.MaxRune + 1) / 256]uint16
	cells [][256]uint8
	// size is the number of classes.
	size int
	// kind and wide tell of each class what assertions see, and whether it has
	// characters that are not ASCII.
	kind [256]kind
	wide [256]bool
}

// newAlphabet returns the alphabet for some sets, and for each set which
// classes it consists of.
func newAlphabet(sets []runeSet) (*alphabet, []classSet, error) {
	// What assertions see must not be divided by a class.
	look := []runeSet{{'\n', '\n'}, {'0', '9', 'A', 'Z', '_', '_', 'a', 'z'}, {utf8.RuneSelf, unicode.MaxRune}}
	all := append(slices.Clip(sets), look...)

	// An edge is where a range begins (+1) or has ended (-1).
	type edge struct {
		at    rune
		set   int
		delta int8
	}
	edges := []edge{{0, 0, 0}, {unicode.MaxRune + 1, 0, 0}}
	for i, s := range all {
		for j := 0; j < len(s); j += 2 {
			edges = append(edges, edge{s[j], i, 1}, edge{s[j+1] + 1, i, -1})
		}
	}
	slices.SortFunc(edges, func(a, b edge) int { return cmp.Compare(a.at, b.at) })

	a := &alphabet{}
	of := make([]classSet, len(sets))
	// in has a 1 for each set that the characters at hand belong to.
	in := make([]byte, len(all))
	known := map[string]uint8{}
	pages := map[[256]uint8]uint16{}
	var page [256]uint8
	for i := 0; i < len(edges); {
		lo := edges[i].at
		for ; i < len(edges) && edges[i].at == lo; i++ {
			in[edges[i].set] += byte(edges[i].delta)
		}
		if i == len(edges) {
			break
		}
		c, ok := known[string(in)]
		if !ok {
			if a.size == maxClasses {
				return nil, nil, fmt.Errorf("the expressions tell more than %d classes of characters apart", maxClasses)
			}
			c = uint8(a.size)
			known[string(in)] = c
			a.size++
			a.kind[c], a.wide[c] = kindOf(lo), lo >= utf8.RuneSelf
			for s := range of {
				if in[s] != 0 {
					of[s].add(c)
				}
			}
		}
		for r := lo; r < edges[i].at; r++ {
			page[r&0xff] = c
			if r&0xff == 0xff {
				at, ok := pages[page]
				if !ok {
					at = uint16(len(a.cells))
					pages[page], a.cells = at, append(a.cells, page)
				}
				a.pages[r>>8] = at
			}
		}
	}
	for b := range a.ascii {
		if a.ascii[b] = uint8(a.size); b < utf8.RuneSelf {
			a.ascii[b] = a.of(rune(b))
		}
	}
	return a, of, nil
}

// of returns the class of a character.
func (a *alphabet) of(r rune) uint8 { return a.cells[a.pages[r>>8]][r&0xff] }

// next returns the class of the first character of a text, and its width.
func (a *alphabet) next(text []byte) (class uint8, width int) {
	if b := text[0]; b < utf8.RuneSelf {
		return a.ascii[b], 1
	}
	r, w := utf8.DecodeRune(text)
	return a.of(r), w
}

// A classSet is a set of classes.
type classSet [4]uint64

func (s *classSet) add(c uint8)      { s[c>>6] |= 1 << (c & 63) }
func (s *classSet) has(c uint8) bool { return s[c>>6]>>(c&63)&1 != 0 }
