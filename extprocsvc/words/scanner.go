package words

import (
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// DefaultMax is how many bytes a word may have before it is cut.
const DefaultMax = 64

// Scanner yields the words of a text. The zero Scanner is ready for
// [Scanner.Reset]. Its fields of results are those of the word that
// [Scanner.Next] found.
type Scanner struct {
	// Max is how many folded bytes a word may have; what is longer is cut into
	// several words. 0 means [DefaultMax].
	Max int
	// Accents keeps the accents of Latin, Greek and Cyrillic letters, and the
	// Latin letters beyond a to z.
	Accents bool
	// Symbols makes words of runs of what is neither letter, digit nor space.
	Symbols bool

	// Text is the folded word. It is valid until the next call of Next.
	Text []byte
	// At and End are where the word lies in the text, in bytes.
	At, End int
	// Unspaced tells that the word is one character of a script that is written
	// without spaces.
	Unspaced bool
	// IsSymbol tells that the word is a run of symbols.
	IsSymbol bool
	// Mixed tells that the word had Latin letters and others that look like
	// them.
	Mixed bool
	// Foreign tells that it has Cyrillic or Greek letters, see [Scanner.Latin].
	Foreign bool
	// Digits tells that it has digits.
	Digits bool
	// Hidden counts the invisible characters inside the word.
	Hidden int
	// Tags counts the characters of the word that were tag characters
	// (U+E0020 to U+E007E), which show nothing and which models read as ASCII.
	Tags int

	// Overrides counts the bidirectional overrides (U+202D, U+202E) so far.
	Overrides int

	text []byte
	next int
	buf  []byte
	alt  []byte
}

// Reset begins a text. The text must not change until the last word was taken.
func (s *Scanner) Reset(text []byte) {
	s.text, s.next, s.Overrides = text, 0, 0
	s.Text, s.At, s.End = nil, 0, 0
}

// class is what a character is to the cutting of words.
type class uint8

const (
	space    class = iota // separates words
	symbol                // separates words, or is one with Symbols
	letter                // part of a word
	digit                 // part of a word
	mark                  // belongs to the character before
	unspaced              // a word of its own
	nothing               // not there
)

// ascii holds the classes of ASCII, and lower its letters in lower case.
var ascii, lower = func() (c [utf8.RuneSelf]class, l [utf8.RuneSelf]byte) {
	for i := range c {
		l[i] = byte(i)
		switch b := byte(i); {
		case 'a' <= b && b <= 'z':
			c[i] = letter
		case 'A' <= b && b <= 'Z':
			c[i], l[i] = letter, b|0x20
		case '0' <= b && b <= '9':
			c[i] = digit
		case b > ' ' && b < 0x7f:
			c[i] = symbol
		}
	}
	return c, l
}()

// Next finds the next word. It returns false at the end of the text.
func (s *Scanner) Next() bool {
	s.buf = s.buf[:0]
	s.Unspaced, s.Mixed, s.Foreign, s.Digits, s.Hidden, s.Tags = false, false, false, false, 0, 0
	limit := s.Max
	if limit <= 0 {
		limit = DefaultMax
	}
	var latin bool
	var kind class // of the word: space until it has begun
	hidden := 0
	i := s.next
	for i < len(s.text) {
		c, n := s.text[i], 1
		var what class
		var fold []byte
		r := rune(c)
		if c < utf8.RuneSelf {
			what = ascii[c]
		} else {
			r, n = utf8.DecodeRune(s.text[i:])
			what, r, fold = s.fold(r, s.text[i:i+n])
		}
		if kind == space {
			switch what {
			case nothing, space:
				i += n
				continue
			case symbol:
				if !s.Symbols {
					i += n
					continue
				}
			case mark: // of nothing
				what = letter
			}
			kind, s.At = what, i
			if kind == digit {
				kind = letter
			}
		} else if what != nothing && what != mark && (kind == unspaced || what == symbol != (kind == symbol) || what == unspaced || what == space || len(s.buf) >= limit) {
			break
		}
		i += n
		if what == nothing {
			hidden++
			continue
		}
		s.End = i
		s.Hidden += hidden
		hidden = 0
		switch {
		case c < utf8.RuneSelf:
			s.buf = append(s.buf, lower[c])
			latin = latin || what == letter
		case fold != nil:
			latin = s.add(fold) || latin
		default:
			s.buf = utf8.AppendRune(s.buf, r)
			if r < utf8.RuneSelf {
				latin = latin || ascii[r] == letter
				if isTag(s.text[i-n : i]) {
					s.Tags++
				}
			} else if 0x370 <= r && r < 0x530 {
				s.Foreign = true
			}
		}
		s.Digits = s.Digits || what == digit
		if what == mark && len(s.buf) >= limit+64 {
			break
		}
	}
	s.next = i
	if kind == space {
		return false
	}
	s.Unspaced, s.IsSymbol = kind == unspaced, kind == symbol
	s.Text = s.buf
	if latin && s.Foreign {
		s.Mixed = true
		s.alt, _ = appendLatin(s.alt[:0], s.buf)
		s.Text = s.alt
	}
	return true
}

// lower is unicode.ToLower, with one form for letters that have two.
func (s *Scanner) lower(r rune) rune {
	switch r = unicode.ToLower(r); {
	case r == 'ς':
		return 'σ'
	case r == 'ı' && !s.Accents:
		return 'i'
	}
	return r
}

// add appends the parts of a character that stands for several, and tells
// whether there are Latin letters among them.
func (s *Scanner) add(parts []byte) (latin bool) {
	for len(parts) > 0 {
		r, n := utf8.DecodeRune(parts)
		parts = parts[n:]
		switch r = s.lower(r); {
		case r < utf8.RuneSelf:
			if c := ascii[r]; c == letter || c == digit {
				s.buf = append(s.buf, byte(r))
				latin = latin || c == letter
			}
		case isAccent(r):
			if s.Accents {
				s.buf = utf8.AppendRune(s.buf, r)
			}
		case unicode.IsLetter(r) || unicode.IsMark(r) || unicode.IsDigit(r):
			s.Foreign = s.Foreign || 0x370 <= r && r < 0x530
			s.buf = utf8.AppendRune(s.buf, r)
		}
	}
	return latin
}

// fold classifies a character beyond ASCII, whose bytes are b. It stands for r
// or, where that is not nil, for the characters of parts.
func (s *Scanner) fold(r rune, b []byte) (what class, folded rune, parts []byte) {
	if isUnspaced(r) {
		switch {
		case unicode.IsMark(r):
			return mark, r, nil
		case unicode.IsLetter(r):
			return unspaced, r, nil
		case unicode.IsDigit(r):
			return digit, r, nil
		}
		return symbol, r, nil
	}
	switch {
	case r == '\u202d' || r == '\u202e':
		s.Overrides++
		return nothing, r, nil
	case isHidden(r):
		return nothing, r, nil
	case isAccent(r):
		if s.Accents {
			return mark, r, nil
		}
		return nothing, r, nil
	case r > 0xe0000:
		if r < 0xe0080 {
			r -= 0xe0000
			return ascii[r], rune(lower[r]), nil
		}
		return symbol, r, nil
	}
	if p, ok := plain[r]; ok && !s.Accents {
		return letter, 0, p
	}
	if 0x1f130 <= r && r <= 0x1f1ff {
		if l := boxed(r); l != 0 {
			return letter, l, nil
		}
	}
	// With accents only compatibility forms are taken apart.
	if d := norm.NFKD.Properties(b).Decomposition(); d != nil && (!s.Accents || r > 0x2000) {
		return s.decomposed(d)
	}
	switch r = s.lower(r); {
	case unicode.IsLetter(r):
		return letter, r, nil
	case unicode.IsDigit(r):
		return digit, r, nil
	case unicode.IsMark(r):
		return mark, r, nil
	case unicode.IsSpace(r) || unicode.IsControl(r):
		return space, r, nil
	}
	return symbol, r, nil
}

// decomposed classifies a character by the first that it stands for.
func (s *Scanner) decomposed(d []byte) (class, rune, []byte) {
	r, _ := utf8.DecodeRune(d)
	if r < utf8.RuneSelf {
		if c := ascii[r]; c == space || c == symbol {
			return c, r, nil
		}
		return letter, 0, d
	}
	switch {
	case unicode.IsMark(r):
		return mark, 0, d
	case isUnspaced(r):
		return unspaced, 0, d
	case unicode.IsLetter(r):
		return letter, 0, d
	case unicode.IsDigit(r):
		return digit, 0, d
	}
	return symbol, r, nil
}

// Latin returns the word as it looks to somebody who takes it for a Latin one.
// ok is false if it has no Cyrillic or Greek letters, or any that looks like no
// Latin one. The result is valid until the next call of Next.
func (s *Scanner) Latin() (word []byte, ok bool) {
	if !s.Foreign || s.Mixed {
		return nil, false
	}
	s.alt, ok = appendLatin(s.alt[:0], s.buf)
	return s.alt, ok
}

// appendLatin replaces the letters that look like Latin ones. all is false if
// there are others beyond ASCII.
func appendLatin(dst, word []byte) (_ []byte, all bool) {
	all = true
	for i := 0; i < len(word); {
		r, n := utf8.DecodeRune(word[i:])
		if l := lookalikes[r]; l != 0 {
			dst = append(dst, l)
		} else {
			dst = append(dst, word[i:i+n]...)
			all = all && r < utf8.RuneSelf
		}
		i += n
	}
	return dst, all
}
