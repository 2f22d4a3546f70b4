package events

import (
	"bytes"

	"github.com/attache-dev/attache/extprocsvc/llm"
)

// arguments reads a text that is JSON in pieces, such as the arguments of a tool
// call. Every string in it is a text for the guards, without its escapes, and so
// is every number. What turns out not to be JSON is one text from there on, as
// it stands.
type arguments struct {
	state argumentsState
	depth int
	// decoder is for the string at hand, escape what came of a sequence in it.
	decoder llm.Decoder
	escape  []byte
	// scalar is a number or word that is not complete, with white space behind
	// it, and from where it begins.
	scalar []byte
	from   int
	// checking collects what the guards leave of a scalar.
	checking, changed bool
	left              []byte
}

type argumentsState uint8

const (
	between  argumentsState = iota // outside of strings and scalars
	inScalar                       // a number, true, false or null
	inString
	inEscape
	plain // no JSON
)

// atRest tells that nothing has to be remembered of what came.
func (a *arguments) atRest() bool { return a.state == between && a.depth == 0 }

// feed takes the next bytes, which begin at from in the base.
func (a *arguments) feed(t *text, b []byte, from int) (err error) {
	for i := 0; i < len(b) && err == nil; {
		switch a.state {
		case plain:
			t.begin()
			return t.write(0, segment{text: b[i:], from: from + i, to: from + len(b), same: true})
		case inString:
			n := bytes.IndexAny(b[i:], `"\`)
			if n < 0 {
				n = len(b) - i
			}
			if n > 0 {
				a.decoder = llm.Decoder{}
				t.begin()
				err = t.write(0, segment{text: b[i : i+n], from: from + i, to: from + i + n, same: true})
			}
			if i += n; i == len(b) || err != nil {
				break
			}
			if i++; b[i-1] == '\\' {
				a.state, a.escape = inEscape, append(a.escape[:0], '\\')
				break
			}
			if err = t.end(false); err == nil {
				a.state = between
				t.decide(from + i)
			}
		case inEscape:
			i, err = a.sequence(t, b, i, from)
		case inScalar:
			i, err = a.more(t, b, i, from)
		case between:
			i = a.structure(t, b, i, from)
		}
	}
	return err
}

// sequence takes the next byte of an escape sequence.
func (a *arguments) sequence(t *text, b []byte, i, from int) (int, error) {
	c := b[i]
	ok, whole := bytes.IndexByte([]byte(`"\/bfnrtu`), c) >= 0, c != 'u'
	if n := len(a.escape); n > 1 {
		ok, whole = '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f', n == 5
	}
	if ok {
		a.escape = append(a.escape, c)
		i++
		if !whole {
			return i, nil
		}
	}
	a.state = inString
	at := from + i - len(a.escape)
	s := segment{text: a.escape, from: at, to: from + i, same: true}
	if ok {
		text, n, _ := a.decoder.Escape(a.escape)
		s.text = text[:n]
	}
	t.begin()
	return i, t.write(0, s)
}

// structure takes what lies between values.
func (a *arguments) structure(t *text, b []byte, i, from int) int {
	for ; i < len(b); i++ {
		c := b[i]
		switch {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
		case c == '{' || c == '[':
			a.depth++
		case (c == '}' || c == ']') && a.depth > 0:
			a.depth--
		case (c == ',' || c == ':') && a.depth > 0:
		case c == '"':
			a.state, a.decoder = inString, llm.Decoder{}
			i++
			t.decide(from + i)
			return i
		case scalarByte(c):
			a.state, a.scalar, a.from = inScalar, a.scalar[:0], from+i
			t.decide(from + i)
			return i
		default:
			a.state = plain
			t.decide(from + i)
			return i
		}
	}
	t.decide(from + i)
	return i
}

// scalarByte tells whether a number or a word may begin with a byte.
func scalarByte(c byte) bool {
	return '0' <= c && c <= '9' || c == '-' || c == 't' || c == 'f' || c == 'n' || c == 'N' || c == 'I'
}

// more takes the next bytes of a scalar.
func (a *arguments) more(t *text, b []byte, i, from int) (int, error) {
	for ; i < len(b); i++ {
		c := b[i]
		if (c == ',' || c == '}' || c == ']') && a.depth > 0 {
			return i, a.check(t)
		}
		a.scalar = append(a.scalar, c)
		if !scalar(a.scalar) {
			a.state = plain
			t.begin()
			return i + 1, t.write(0, segment{text: a.scalar, from: a.from, to: from + i + 1, same: true})
		}
	}
	return i, nil
}

// scalar tells whether something may be the beginning of a number or a word,
// with white space behind it. Lenient readers know the words NaN and Infinity.
func scalar(b []byte) bool {
	b = bytes.TrimRight(b, " \t\r\n")
	for _, word := range []string{"true", "false", "null", "NaN", "Infinity", "-Infinity"} {
		if len(b) <= len(word) && string(b) == word[:len(b)] {
			return true
		}
	}
	return len(bytes.Trim(b, "0123456789+-.eE")) == 0
}

// check shows a scalar to the guards when it is complete. What they change
// becomes a string.
func (a *arguments) check(t *text) error {
	a.state = between
	b := bytes.TrimRight(a.scalar, " \t\r\n")
	if b[0] == '-' || '0' <= b[0] && b[0] <= '9' {
		a.checking, a.changed, a.left = true, false, a.left[:0]
		t.begin()
		err := t.write(0, segment{text: b, from: a.from, to: a.from + len(b), same: true})
		if err == nil {
			err = t.end(false)
		}
		a.checking = false
		if err != nil {
			return err
		}
		if a.changed {
			t.edit(a.from, a.from+len(b), llm.AppendQuoted(nil, string(a.left)))
		}
	}
	t.decide(a.from + len(a.scalar))
	return nil
}

// out takes what has passed all guards.
func (a *arguments) out(t *text, s segment) error {
	if a.checking {
		a.left, a.changed = append(a.left, s.text...), a.changed || !s.same
		return nil
	}
	if !s.same {
		put := s.text
		if a.state != plain {
			put = escaped(put)
		}
		t.edit(s.from, s.to, put)
	}
	t.decide(s.to)
	return nil
}

// close ends what is not complete.
func (a *arguments) close(t *text) (err error) {
	switch a.state {
	case inEscape:
		a.state = inString
		t.begin()
		err = t.write(0, segment{text: a.escape, from: t.size - len(a.escape), to: t.size, same: true})
	case inScalar:
		err = a.check(t)
	}
	return err
}
