package llm

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"unicode/utf8"
)

const (
	// MaxDepth is how deep objects and lists may be nested.
	MaxDepth = 128
	// MaxKeys is how many keys an object may have in which we look for
	// something, since they are compared with each other.
	MaxKeys = 100
)

// Error tells why a body was refused. It never quotes the body, except for
// keys of the dialect.
type Error struct {
	// Offset counts bytes from the beginning of the body.
	Offset int
	Reason string
}

// Error returns the reason and the offset.
func (e *Error) Error() string { return fmt.Sprintf("%s at byte %d", e.Reason, e.Offset) }

// A span is a range of offsets; the zero span means absent, since nothing we
// look for can begin at 0.
type span struct{ at, end int32 }

func (s span) of(b []byte) []byte { return b[s.at:s.end] }

// found is a text and the role of its message, both without quotes and with
// their escapes.
type found struct {
	role, text span
	message    int32
}

// Scan reads a body. The Doc refers to the body until the next Scan or Reset;
// the body must not change meanwhile. What an earlier Scan found is forgotten.
// The error is an [*Error] if the body is not a JSON object, or not one that
// every reader would understand alike.
func (d *Doc) Scan(dialect *Dialect, body []byte) error {
	d.Reset()
	if len(body) > math.MaxInt32 {
		return &Error{math.MaxInt32, "body too large"}
	}
	d.dialect, d.body = dialect, body
	s := scanner{b: body, doc: d, keys: d.keys[:0]}
	ok := s.document()
	d.keys = s.keys[:0]
	if !ok {
		d.Reset()
		return &Error{s.i, s.reason}
	}
	return nil
}

// A scanner is one walk over one body. Its methods return false, with the
// reason set and i at the offending byte, when the body is to be refused.
type scanner struct {
	b      []byte
	i      int
	depth  int
	reason string
	doc    *Doc
	// keys are those of the watched objects that are open, outermost first.
	keys [][]byte
}

func (s *scanner) fail(reason string) bool {
	s.reason = reason
	return false
}

func (s *scanner) document() bool {
	if !utf8.Valid(s.b) {
		for s.i < len(s.b) {
			r, n := utf8.DecodeRune(s.b[s.i:])
			if r == utf8.RuneError && n == 1 {
				break
			}
			s.i += n
		}
		return s.fail("invalid UTF-8")
	}
	s.space()
	if s.i == len(s.b) {
		return s.fail("unexpected end")
	}
	if s.b[s.i] != '{' {
		// Tell what is no JSON at all from what is JSON, but no object.
		at := s.i
		if !s.value() {
			return false
		}
		s.i = at
		return s.fail("not a JSON object")
	}
	s.doc.open = int32(s.i + 1)
	n, ok := s.watched(s.doc.dialect.top)
	if !ok {
		return false
	}
	s.doc.empty = n == 0
	s.space()
	if s.i < len(s.b) {
		return s.fail("something follows the JSON value")
	}
	return true
}

// watched scans an object in which we look for something, and returns the
// number of its keys. i is at the opening brace.
func (s *scanner) watched(o object) (n int, ok bool) {
	base := len(s.keys)
	defer func() { s.keys = s.keys[:base] }()
	return s.members('{', '}', func(int) bool {
		at := s.i
		key, ok := s.key()
		if !ok {
			return false
		}
		what, ok := s.known(o, key, base)
		if !ok {
			s.i = at
			return false
		}
		return s.colon() && s.found(what)
	})
}

// known looks a key up and refuses what readers could take differently.
func (s *scanner) known(o object, key []byte, base int) (what meaning, ok bool) {
	for i := range o {
		f := &o[i]
		if len(key) < len(f.key) || !bytes.EqualFold(key, f.key) {
			continue
		}
		if !bytes.Equal(key, f.key) {
			return 0, s.fail(fmt.Sprintf("a key differs from %q in case only", f.key))
		}
		what = f.meaning
	}
	for _, k := range s.keys[base:] {
		if bytes.Equal(k, key) {
			return 0, s.fail("duplicate key")
		}
	}
	if len(s.keys)-base == MaxKeys {
		return 0, s.fail("too many keys in one object")
	}
	s.keys = append(s.keys, key)
	return what, true
}

// found scans a value and notes what it means.
func (s *scanner) found(what meaning) bool {
	d := s.doc
	at := s.i
	switch what {
	case modelName:
		ok := s.value()
		d.model = span{int32(at), int32(s.i)}
		return ok
	case streamFlag:
		ok := s.value()
		d.streams = ok && string(s.b[at:s.i]) == "true"
		return ok
	case messages:
		return s.list()
	case message:
		if s.peek() != '{' {
			d.refuse("%s[%d] has a message that is not an object", d.dialect.list, d.count-1)
			return s.value()
		}
		return s.message()
	case role:
		if s.peek() != '"' {
			d.refuse("%s[%d] has a role that is not a string", d.dialect.list, d.count-1)
			return s.value()
		}
		in, ok := s.text()
		d.role = in
		return ok
	case content:
		if s.peek() != '[' {
			return s.textOr("content", "null")
		}
		_, ok := s.members('[', ']', func(int) bool {
			if s.peek() != '{' {
				return s.textOr("a part of the content", "")
			}
			_, ok := s.watched(d.dialect.part)
			return ok
		})
		return ok
	case text:
		return s.textOr("text", "null")
	default:
		return s.value()
	}
}

// list scans the list of messages.
func (s *scanner) list() bool {
	d := s.doc
	if s.peek() != '[' {
		d.refuse("%s is not a list", d.dialect.list)
		return s.value()
	}
	d.first = int32(s.i + 1)
	_, ok := s.members('[', ']', func(n int) bool {
		d.count = int32(n + 1)
		if s.peek() != '{' {
			d.refuse("%s[%d] is not an object", d.dialect.list, n)
			return s.value()
		}
		if d.dialect.element != nil {
			_, ok := s.watched(d.dialect.element)
			return ok
		}
		return s.message()
	})
	d.last = int32(s.i - 1)
	return ok
}

// message scans the message of an element.
func (s *scanner) message() bool {
	d := s.doc
	// The role may come behind the text.
	d.role = span{}
	from := len(d.texts)
	_, ok := s.watched(d.dialect.message)
	for i := range d.texts[from:] {
		d.texts[from+i].role = d.role
	}
	return ok
}

// textOr notes a text. Anything else is scanned too, and makes the messages
// unreadable unless it is the one literal that stands for no text.
func (s *scanner) textOr(name, none string) bool {
	d := s.doc
	if s.peek() != '"' {
		at := s.i
		if !s.value() {
			return false
		}
		if string(s.b[at:s.i]) != none {
			d.refuse("%s of %s[%d] is of a type that is not supported", name, d.dialect.list, d.count-1)
		}
		return true
	}
	in, ok := s.text()
	if ok && in.at < in.end {
		d.texts = append(d.texts, found{text: in, message: d.count - 1})
	}
	return ok
}

// text scans a string and returns the span between its quotes.
func (s *scanner) text() (in span, ok bool) {
	at := s.i + 1
	_, ok = s.quoted()
	return span{int32(at), int32(s.i - 1)}, ok
}

// key scans a key and returns it without escapes.
func (s *scanner) key() (key []byte, ok bool) {
	if s.peek() != '"' {
		return nil, s.unexpected("a key")
	}
	at := s.i + 1
	escaped, ok := s.quoted()
	if !ok {
		return nil, false
	}
	key = s.b[at : s.i-1]
	if escaped {
		key = AppendUnquoted(nil, key)
	}
	return key, true
}

// peek returns the byte at i, or 0 at the end, where no valid body has one.
func (s *scanner) peek() byte {
	if s.i < len(s.b) {
		return s.b[s.i]
	}
	return 0
}

func (s *scanner) unexpected(want string) bool {
	if s.i >= len(s.b) {
		return s.fail("unexpected end")
	}
	return s.fail("invalid JSON, expected " + want)
}

func (s *scanner) space() {
	for s.i < len(s.b) {
		switch s.b[s.i] {
		case ' ', '\t', '\n', '\r':
			s.i++
		default:
			return
		}
	}
}

func (s *scanner) colon() bool {
	s.space()
	if s.peek() != ':' {
		return s.unexpected("a colon")
	}
	s.i++
	s.space()
	return true
}

// members scans what lies between open and end, separated by commas, and
// returns how many there are. i is at open.
func (s *scanner) members(open, end byte, member func(n int) bool) (n int, ok bool) {
	if s.depth++; s.depth > MaxDepth {
		return 0, s.fail("nested too deeply")
	}
	s.i++
	s.space()
	if s.peek() == end {
		s.i++
		s.depth--
		return 0, true
	}
	for {
		if !member(n) {
			return n, false
		}
		n++
		s.space()
		switch s.peek() {
		case ',':
			s.i++
			s.space()
		case end:
			s.i++
			s.depth--
			return n, true
		default:
			return n, s.unexpected("a comma or a closing bracket")
		}
	}
}

// value scans any value and checks that it is JSON. i is at its first byte.
func (s *scanner) value() bool {
	switch c := s.peek(); c {
	case '"':
		_, ok := s.quoted()
		return ok
	case '{':
		_, ok := s.members('{', '}', s.member)
		return ok
	case '[':
		_, ok := s.members('[', ']', s.element)
		return ok
	case 't':
		return s.literal("true")
	case 'f':
		return s.literal("false")
	case 'n':
		return s.literal("null")
	default:
		if c == '-' || '0' <= c && c <= '9' {
			return s.number()
		}
		return s.unexpected("a value")
	}
}

func (s *scanner) element(int) bool { return s.value() }

func (s *scanner) member(int) bool {
	if s.peek() != '"' {
		return s.unexpected("a key")
	}
	_, ok := s.quoted()
	return ok && s.colon() && s.value()
}

func (s *scanner) literal(word string) bool {
	if len(s.b)-s.i < len(word) || string(s.b[s.i:s.i+len(word)]) != word {
		return s.unexpected("a value")
	}
	s.i += len(word)
	return true
}

func (s *scanner) number() bool {
	if s.peek() == '-' {
		s.i++
	}
	if s.peek() == '0' {
		s.i++
	} else if !s.digits() {
		return false
	}
	if s.peek() == '.' {
		s.i++
		if !s.digits() {
			return false
		}
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		s.i++
		if c := s.peek(); c == '+' || c == '-' {
			s.i++
		}
		return s.digits()
	}
	return true
}

func (s *scanner) digits() bool {
	at := s.i
	for s.i < len(s.b) && s.b[s.i]-'0' <= 9 {
		s.i++
	}
	return s.i > at || s.unexpected("a digit")
}

const (
	ones = 0x0101010101010101
	tops = ones * 0x80
)

// quoted scans a string; i is at its opening quote. Eight bytes are looked at
// together: the lowest bit of stops marks the first quote, backslash or
// control character among them.
func (s *scanner) quoted() (escaped, ok bool) {
	b, i := s.b, s.i+1
	for {
		for len(b)-i >= 8 {
			w := binary.LittleEndian.Uint64(b[i:])
			quote, slash := w^(ones*'"'), w^(ones*'\\')
			stops := ((quote - ones) &^ quote) | ((slash - ones) &^ slash) | ((w - ones*0x20) &^ w)
			if stops &= tops; stops != 0 {
				i += bits.TrailingZeros64(stops) / 8
				break
			}
			i += 8
		}
		for i < len(b) && b[i] != '"' && b[i] != '\\' && b[i] >= 0x20 {
			i++
		}
		s.i = i
		if i == len(b) {
			return escaped, s.unexpected("a quote")
		}
		switch b[i] {
		case '"':
			s.i++
			return escaped, true
		case '\\':
			escaped = true
			if i = escapeEnd(b, i); i < 0 {
				return escaped, s.fail("invalid escape in a string")
			}
		default:
			return escaped, s.fail("control character in a string")
		}
	}
}

// escapeEnd returns the offset behind the escape sequence at i, or -1.
func escapeEnd(b []byte, i int) int {
	if i+1 >= len(b) {
		return -1
	}
	switch b[i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 2
	case 'u':
		if _, ok := hex4(b[i+2:]); ok {
			return i + 6
		}
	}
	return -1
}
