package llm

import (
	"unicode/utf16"
	"unicode/utf8"
)

// A Decoder makes one text of the raw insides of JSON strings that follow each
// other, as a reader gets it who joins what they say. The halves of a surrogate
// pair may be in different strings: each stands for two bytes of the character
// in UTF-8. A high half that no low one follows leaves two bytes that are not
// UTF-8, and a low one alone is U+FFFD. The zero Decoder is at the beginning of
// a text.
type Decoder struct {
	high rune // the high half that was just read, or 0
}

// Append appends the text of raw, which is known to be valid.
func (d *Decoder) Append(dst, raw []byte) []byte {
	for i := 0; i < len(raw); {
		if raw[i] != '\\' {
			dst = append(dst, raw[i])
			d.high = 0
			i++
			continue
		}
		c, n, size := d.Escape(raw[i:])
		dst = append(dst, c[:n]...)
		i += size
	}
	return dst
}

// Range returns the range in raw of what stands for the bytes from start to end
// of its text, widened to whole characters and escapes. It leaves d somewhere in
// raw.
func (d *Decoder) Range(raw []byte, start, end int) (at, to int) {
	i, n := 0, 0
	for i < len(raw) && n < end {
		unit := i
		if raw[i] == '\\' {
			_, more, size := d.Escape(raw[i:])
			n += more
			i += size
		} else {
			_, size := utf8.DecodeRune(raw[i:])
			d.high = 0
			n += size
			i += size
		}
		if n <= start {
			at = i
		} else if unit < at {
			at = unit
		}
	}
	return at, max(at, i)
}

// Escape reads the escape sequence that raw begins with, which is known to be
// valid. It returns the n bytes of text that it stands for, and its size.
func (d *Decoder) Escape(raw []byte) (text [utf8.UTFMax]byte, n, size int) {
	high := d.high
	d.high = 0
	size = 2
	switch c := raw[1]; c {
	case 'b':
		text[0] = '\b'
	case 'f':
		text[0] = '\f'
	case 'n':
		text[0] = '\n'
	case 'r':
		text[0] = '\r'
	case 't':
		text[0] = '\t'
	case 'u':
		r, _ := hex4(raw[2:])
		size = 6
		switch {
		case !utf16.IsSurrogate(r):
			return text, utf8.EncodeRune(text[:], r), size
		case r < lowSurrogates:
			d.high = r
			utf8.EncodeRune(text[:], utf16.DecodeRune(r, lowSurrogates))
			return text, 2, size
		case high != 0:
			utf8.EncodeRune(text[:], utf16.DecodeRune(high, r))
			return [utf8.UTFMax]byte{text[2], text[3]}, 2, size
		default:
			return text, utf8.EncodeRune(text[:], utf8.RuneError), size
		}
	default: // " \ /
		text[0] = c
	}
	return text, 1, size
}

// lowSurrogates is where the low halves of surrogate pairs begin.
const lowSurrogates = 0xdc00
