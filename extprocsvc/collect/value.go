package collect

import (
	"bytes"
	"encoding/json"
	"strconv"

	"github.com/attache-dev/attache/extprocsvc/llm"
)

// A value is one of JSON. Scalars stay as they are written, escapes and digits
// included; so halves of surrogate pairs in two pieces become one character.
type value struct {
	kind byte // of its first byte: { [ " or, for all else, 0
	// raw is a scalar; a string is without its quotes.
	raw     []byte
	members []member
	items   []*value
	// pos is the place in a list that an element has told, or was counted at.
	pos int
}

type member struct {
	key string
	v   *value
}

// parse reads JSON that is known to be valid.
func parse(b []byte) *value {
	p := parser{b: b}
	return p.value()
}

type parser struct {
	b []byte
	i int
}

func (p *parser) space() byte {
	for p.i < len(p.b) && (p.b[p.i] == ' ' || p.b[p.i] == '\n' || p.b[p.i] == '\t' || p.b[p.i] == '\r') {
		p.i++
	}
	if p.i == len(p.b) {
		return 0
	}
	return p.b[p.i]
}

func (p *parser) value() *value {
	switch c := p.space(); c {
	case '{':
		v := &value{kind: c}
		p.list('}', func() {
			key := string(llm.AppendUnquoted(nil, p.quoted()))
			p.space()
			p.i++ // the colon
			v.members = append(v.members, member{key, p.value()})
		})
		return v
	case '[':
		v := &value{kind: c}
		p.list(']', func() {
			e := p.value()
			e.pos = len(v.items)
			v.items = append(v.items, e)
		})
		return v
	case '"':
		return &value{kind: c, raw: bytes.Clone(p.quoted())}
	}
	from := p.i
	for p.i < len(p.b) && bytes.IndexByte([]byte(",]} \n\t\r"), p.b[p.i]) < 0 {
		p.i++
	}
	return &value{raw: bytes.Clone(p.b[from:p.i])}
}

// list reads what lies between two brackets.
func (p *parser) list(end byte, item func()) {
	p.i++
	for {
		switch p.space() {
		case end:
			p.i++
			return
		case ',':
			p.i++
			p.space()
		}
		if p.b[p.i] != end {
			item()
		}
	}
}

// quoted reads a string, and returns what is between its quotes.
func (p *parser) quoted() []byte {
	from := p.i + 1
	for i := from; ; i++ {
		switch p.b[i] {
		case '\\':
			i++
		case '"':
			p.i = i + 1
			return p.b[from:i]
		}
	}
}

// append appends the value as JSON.
func (v *value) append(dst []byte) []byte {
	switch v.kind {
	case '{':
		dst = append(dst, '{')
		for i, m := range v.members {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(llm.AppendQuoted(dst, m.key), ':')
			dst = m.v.append(dst)
		}
		return append(dst, '}')
	case '[':
		dst = append(dst, '[')
		for i, e := range v.items {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = e.append(dst)
		}
		return append(dst, ']')
	case '"':
		return append(append(append(dst, '"'), v.raw...), '"')
	}
	return append(dst, v.raw...)
}

// What values are made of.

func text(s string) *value {
	q := llm.AppendQuoted(nil, s)
	return &value{kind: '"', raw: q[1 : len(q)-1]}
}

func number(n int) *value { return &value{raw: strconv.AppendInt(nil, int64(n), 10)} }

func null() *value { return &value{raw: []byte("null")} }

func listOf(items ...*value) *value { return &value{kind: '[', items: items} }

// object is one of keys and values in turn.
func object(pairs ...any) *value {
	v := &value{kind: '{'}
	for i := 0; i < len(pairs); i += 2 {
		v.members = append(v.members, member{pairs[i].(string), pairs[i+1].(*value)})
	}
	return v
}

// get is the value of a key; nil if there is none, or v is no object.
func (v *value) get(key string) *value {
	if v == nil {
		return nil
	}
	for i := range v.members {
		if v.members[i].key == key {
			return v.members[i].v
		}
	}
	return nil
}

// set gives a key its value.
func (v *value) set(key string, to *value) {
	for i := range v.members {
		if v.members[i].key == key {
			v.members[i].v = to
			return
		}
	}
	v.members = append(v.members, member{key, to})
}

// without is an object without some keys.
func (v *value) without(keys ...string) *value {
	out := &value{kind: '{'}
next:
	for _, m := range v.members {
		for _, k := range keys {
			if m.key == k {
				continue next
			}
		}
		out.members = append(out.members, m)
	}
	return out
}

// with is a copy of an object in which keys have other values.
func (v *value) with(pairs ...any) *value {
	out := v.without()
	for i := 0; i < len(pairs); i += 2 {
		out.set(pairs[i].(string), pairs[i+1].(*value))
	}
	return out
}

func (v *value) isObject() bool { return v != nil && v.kind == '{' }
func (v *value) isList() bool   { return v != nil && v.kind == '[' }
func (v *value) isText() bool   { return v != nil && v.kind == '"' }

// isNothing tells that a value is missing or null.
func (v *value) isNothing() bool { return v == nil || v.kind == 0 && string(v.raw) == "null" }

// isEmpty tells that a value says nothing.
func (v *value) isEmpty() bool {
	return v.isNothing() || v.kind != 0 && len(v.raw)+len(v.members)+len(v.items) == 0
}

// str is the text of a string, or nothing.
func (v *value) str() string {
	if !v.isText() {
		return ""
	}
	return string(llm.AppendUnquoted(nil, v.raw))
}

// index is a number that something in a list is counted with.
func (v *value) index() (n int, ok bool) {
	if v == nil || v.kind != 0 {
		return 0, false
	}
	n, err := strconv.Atoi(string(v.raw))
	return n, err == nil && n >= 0
}

// equal tells whether two values are the same, but for white space.
func (v *value) equal(w *value) bool { return bytes.Equal(v.append(nil), w.append(nil)) }

// at is the element of a list at a place. It is put there with make if there is
// none; nil if the list is full.
func (v *value) at(pos int, make func() *value) *value {
	i := len(v.items)
	for i > 0 && v.items[i-1].pos >= pos {
		if i--; v.items[i].pos == pos {
			return v.items[i]
		}
	}
	if len(v.items) == maxItems {
		return nil
	}
	e := make()
	e.pos = pos
	v.items = append(v.items, nil)
	copy(v.items[i+1:], v.items[i:])
	v.items[i] = e
	return e
}

// maxItems bounds the lists, and the keys of objects, that are put together of
// pieces.
const maxItems = 1024

// parseObject parses a text that may be the JSON of an object.
func parseObject(s string) (v *value, ok bool) {
	if !json.Valid([]byte(s)) {
		return nil, false
	}
	v = parse([]byte(s))
	return v, v.isObject()
}
