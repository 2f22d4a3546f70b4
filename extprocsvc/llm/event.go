package llm

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"
)

// An EventDialect is an API that answers with server-sent events.
type EventDialect struct {
	// Name is the API's name, for people.
	Name string
}

// A TextKey tells the texts of an answer from each other: what kind of text it
// is, and which one of that kind.
type TextKey struct {
	// Name is the table's word, such as "content", or for a place that no table
	// knows a path.
	Name string
	// N are the numbers of the choice or block or item, and of what is in it.
	N [2]int32
}

// Use is what an event does with a text.
type Use uint8

const (
	// Alone is a text that is complete in itself.
	Alone Use = iota
	// Joined is the next piece of a text that goes through many events.
	Joined
	// Signature is that of the text with the same key, which has ended: it gets a
	// [SignatureMark] if the text was changed.
	Signature
	// Withheld is what says a text again in a form that no guard can edit, such
	// as the log probabilities of its tokens. Put is what is put in its place.
	Withheld
)

// A Find is a text in an event.
type Find struct {
	Use Use
	Key TextKey // of a Joined text, or a Signature
	// Quoted tells that it is the inside of a JSON string, with its escapes;
	// else its bytes are the text.
	Quoted bool
	// JSON tells that the text is meant to be JSON itself; so is a number.
	JSON bool
	// Aside tells that it is in a line of the event that is not of its payload.
	Aside bool
	// At and End are its range in the event.
	At, End int
	Put     string

	// encoded tells that it is a text unless the type of its object says that it
	// is encoded data.
	encoded bool
}

// An Ending tells that texts end with an event: that of Key, or with All
// everything of the item Key.N[0], or with Everything, everything.
type Ending struct {
	Key             TextKey
	All, Everything bool
}

// An Event is what an [EventReader] has found in one event.
type Event struct {
	// Dialect is that of the event, or nil if it does not tell.
	Dialect *EventDialect
	// Data is its payload: nothing, [DONE], or a JSON object.
	Data []byte
	// Next is the number of the next event, if the API counts its events; else 0.
	Next  int64
	Finds []Find
	Ends  []Ending
}

// An EventReader finds the texts of events. It knows all dialects: the keys and
// types in an event tell which one it is, whatever the path of the request was.
// The zero EventReader is ready for use.
//
// What is no text in the tables of the dialects is passed over: identifiers,
// encrypted content and images. Everything else is a text, keys and numbers in
// places that no table knows included: of an event, a delta or a message that the
// tables do not know, strings may go on in later events at the same place; of the
// objects around it, and in those that are complete, which the tables of whole
// answers read, every text is complete.
//
// The error is an [*Error] for an event whose data is neither [DONE] nor a JSON
// object that every reader understands alike, for one that has spoken text in it,
// which cannot be read, and for lines that are no event but JSON.
type EventReader struct {
	event Event
	room  []byte
	lines []sseLine
	raw   []byte
	keys  [][]byte
	path  []pathStep
	n     [2]int32
	typ   *eventType
	kind  []byte // the type of the event
	doc   Doc    // for what is complete
}

// A pathStep leads from a value to one in it.
type pathStep struct {
	key []byte // or nil for the element of a list
	pos int32
}

// Read reads one event. The result is valid until the next call.
func (r *EventReader) Read(raw []byte) (*Event, error) {
	r.event = Event{Finds: r.event.Finds[:0], Ends: r.event.Ends[:0]}
	r.raw = raw
	mislabelled := -1
	data, lines, found := eventFields(raw, r.room, r.lines[:0], func(at, end int) {
		if isJSONStart(raw[at]) {
			mislabelled = at
		}
		value := at + 1 + bytes.IndexByte(raw[at:end], ':')
		for value < end && raw[value] == ' ' {
			value++
		}
		if value > at && value < end && isJSONStart(raw[value]) {
			r.event.Finds = append(r.event.Finds, Find{Aside: true, At: at, End: value}, Find{Aside: true, JSON: true, At: value, End: end})
			return
		}
		r.event.Finds = append(r.event.Finds, Find{Aside: true, At: at, End: end})
	})
	if mislabelled >= 0 {
		return nil, &Error{mislabelled, "JSON that is no event"}
	}
	r.lines = lines
	if len(lines) > 1 && cap(data) <= maxSpare {
		r.room = data[:0]
	}
	r.event.Data = bytes.TrimSpace(data)
	switch {
	case !found || len(r.event.Data) == 0:
		return &r.event, nil
	case string(r.event.Data) == "[DONE]":
		r.event.Ends = append(r.event.Ends, Ending{Everything: true})
		return &r.event, nil
	case !utf8.Valid(data):
		return nil, &Error{0, "invalid UTF-8"}
	}
	s := scanner{b: data, keys: r.keys[:0]}
	ok := r.object(&s)
	r.keys = s.keys[:0]
	if !ok {
		return nil, &Error{s.i, s.reason}
	}
	return &r.event, nil
}

// isJSONStart tells whether a line that begins with c could be JSON.
func isJSONStart(c byte) bool { return c == '{' || c == '[' || c == '"' }

// object reads the payload. The eventShape of it depends on the type, which is the
// first key in practice; where it is not, the payload is read twice.
func (r *EventReader) object(s *scanner) bool {
	s.space()
	if s.peek() != '{' {
		return s.unexpected("an object")
	}
	at := s.i
	name, typed, ok := r.typeOf(s)
	if !ok {
		return false
	}
	s.i = at
	r.typ, r.kind, r.n, r.path = nil, name, [2]int32{}, r.path[:0]
	sh := chatShape
	if typed {
		if r.typ = eventTypes[string(name)]; r.typ == nil {
			r.typ = unknownType(name)
		}
		sh, r.event.Dialect = r.typ.eventShape, r.typ.dialect
	}
	if !r.value(s, sh) {
		return false
	}
	s.space()
	if s.i < len(s.b) {
		return s.fail("something follows the JSON value")
	}
	if r.typ != nil && r.typ.ends != nil {
		end := *r.typ.ends
		end.Key.N = r.n
		r.event.Ends = append(r.event.Ends, end)
	}
	return true
}

// typeOf looks for the type of an event.
func (r *EventReader) typeOf(s *scanner) (name []byte, typed, ok bool) {
	if s.depth++; s.depth > MaxDepth {
		return nil, false, s.fail("nested too deeply")
	}
	defer func() { s.depth-- }()
	s.i++
	s.space()
	if s.peek() == '}' {
		return nil, false, true
	}
	for {
		key, ok := s.key()
		if !ok || !s.colon() {
			return nil, false, false
		}
		if string(key) == "type" && s.peek() == '"' {
			from := s.i + 1
			if _, ok := s.quoted(); !ok {
				return nil, false, false
			}
			name = s.b[from : s.i-1]
			if bytes.IndexByte(name, '\\') >= 0 {
				name = AppendUnquoted(nil, name)
			}
			return name, true, true
		}
		if !s.value() {
			return nil, false, false
		}
		s.space()
		if s.peek() != ',' {
			return nil, false, true // the end, or what the second reading refuses
		}
		s.i++
		s.space()
	}
}

// An eventShape tells what lies where in a value.
type eventShape struct {
	// is what a string here is.
	is meaningOf
	// name is that of the text that a string here continues; empty: the path.
	name string
	// keys are the members of an object here, and each the elements of a list.
	keys []shapeKey
	each *eventShape
	// table has more members.
	table *object
	// whole is what a value here is that is complete, by the table of whole
	// answers.
	whole *slot
	// slot is 1 + the index in TextKey.N of the number that the elements of a
	// list here are counted with, unless they say it themselves.
	slot int
	// other is the eventShape of everything else below: by default, with keys or a
	// table, texts that are complete, and without, the same as here.
	other *eventShape
	// dialect is that of an event with something of this eventShape.
	dialect *EventDialect
}

type shapeKey struct {
	key string
	*eventShape
}

// meaningOf is what a value in an event is.
type meaningOf uint8

const (
	isText      meaningOf = iota // a complete text
	isJSON                       // the same, in JSON
	isPiece                      // the next piece of a text
	isPieceOf                    // the same, of a text in JSON
	isMeta                       // a text only if it does not look like an identifier
	isOpaque                     // no text: encrypted
	isEcho                       // what says a text again
	isSpoken                     // sound
	isNumber0                    // TextKey.N[0] of the object it is in
	isNumber1                    // TextKey.N[1]
	isSequence                   // the number of the event
	isSignature                  // of a text
	isFinish                     // a string here ends the texts of the choice
)

func (sh *eventShape) below() *eventShape {
	switch {
	case sh.other != nil:
		return sh.other
	case sh.keys == nil && sh.each == nil && sh.table == nil:
		return sh
	}
	return textShape
}

// value reads a value of a eventShape.
func (r *EventReader) value(s *scanner, sh *eventShape) bool {
	if sh.dialect != nil {
		r.event.Dialect = sh.dialect
	}
	at := s.i
	c := s.peek()
	number := c == '-' || '0' <= c && c <= '9'
	switch {
	case sh.whole != nil:
		return r.complete(s, sh.whole)
	case sh.is <= isPieceOf && number:
		return s.number() && r.note(Find{JSON: true}, span{int32(at), int32(s.i)})
	case sh.is == isMeta && c == '"', sh.is == isFinish && c == '"':
		_, ok := s.quoted()
		in := span{int32(at + 1), int32(s.i - 1)}
		if ok && sh.is == isFinish && in.at < in.end {
			r.event.Ends = append(r.event.Ends, Ending{All: true, Key: TextKey{N: r.n}})
		}
		return ok && (isIdentifier(in.of(s.b)) || r.note(Find{Quoted: true}, in))
	case (sh.is == isNumber0 || sh.is == isNumber1) && number:
		if !s.number() {
			return false
		}
		n, err := strconv.ParseInt(string(s.b[at:s.i]), 10, 32)
		if err != nil {
			return s.fail("a number of a list that is none")
		}
		r.n[sh.is-isNumber0] = int32(n)
		return true
	case sh.is == isSequence && number:
		if !s.number() {
			return false
		}
		if n, err := strconv.ParseInt(string(s.b[at:s.i]), 10, 64); err == nil && n < math.MaxInt64 {
			r.event.Next = n + 1
		}
		return true
	case sh.is == isNumber0, sh.is == isNumber1, sh.is == isSequence, sh.is == isFinish:
		return r.value(s, metaShape)
	case sh.is == isOpaque && c == '"':
		return s.value()
	case sh.is == isOpaque:
		return r.value(s, metaShape)
	case sh.is == isEcho:
		if !s.value() {
			return false
		}
		return r.withhold(s, at)
	}
	switch c {
	case '"':
		_, ok := s.quoted()
		in := span{int32(at + 1), int32(s.i - 1)}
		return ok && (in.at == in.end || r.text(s, sh, in))
	case '{':
		return r.members(s, sh)
	case '[':
		return r.elements(s, sh)
	}
	return s.value()
}

// text notes a string that is not empty.
func (r *EventReader) text(s *scanner, sh *eventShape, in span) bool {
	if sh.is == isSpoken {
		return s.fail("sound, which cannot be read")
	}
	f := Find{Quoted: true, JSON: sh.is == isJSON || sh.is == isPieceOf}
	switch sh.is {
	case isSignature:
		f.Use, f.Key = Signature, TextKey{sh.name, r.n}
	case isPiece, isPieceOf:
		f.Use, f.Key = Joined, TextKey{sh.name, r.n}
		if sh.name == "" {
			f.Key.Name = r.where()
		}
	}
	return r.note(f, in)
}

// note notes a find by its range in the payload.
func (r *EventReader) note(f Find, in span) bool {
	f.At = r.place(int(in.at))
	f.End = f.At + int(in.end-in.at) // neither a string nor a number has line ends in it
	r.event.Finds = append(r.event.Finds, f)
	return true
}

// complete reads a value that is complete, as in an answer without a stream.
func (r *EventReader) complete(s *scanner, is *slot) bool {
	d := &r.doc
	if cap(d.texts) > maxTextsKept {
		d.Reset()
	}
	*d = Doc{dialect: completeDialect, body: s.b, texts: d.texts[:0], traces: d.traces[:0], keys: d.keys}
	in := scanner{b: s.b, i: s.i, depth: s.depth, doc: d, keys: d.keys[:0], noting: true}
	ok := in.shaped(is)
	d.keys = in.keys[:0]
	s.i, s.reason = in.i, in.reason
	switch {
	case !ok:
		return false
	case d.odd != nil:
		return s.fail("something in it is of a type that is not supported")
	}
	for i := range d.texts {
		f := &d.texts[i]
		bare := f.form&bare != 0
		r.note(Find{Quoted: !bare, JSON: bare || f.form&asJSON != 0, encoded: f.kind == undecided}, f.text)
	}
	end := s.i
	for _, t := range d.traces {
		if s.i = int(t.at.end); !r.withhold(s, int(t.at.at)) {
			return false
		}
	}
	s.i = end
	return true
}

// maxTextsKept is for how many texts of a value room is kept.
const maxTextsKept = 4096

// completeDialect is that of a part of a body.
var completeDialect = &Dialect{Name: "a part of an event", single: true}

// withhold notes a value that is to be emptied.
func (r *EventReader) withhold(s *scanner, at int) bool {
	put := "null"
	switch v := s.b[at:s.i]; {
	case string(v) == "null":
		return true
	case v[0] == '[':
		if put = "[]"; len(bytes.TrimSpace(v[1:len(v)-1])) == 0 {
			return true
		}
	}
	from, to := r.place(at), r.place(s.i-1)+1
	r.event.Finds = append(r.event.Finds, Find{Use: Withheld, At: from, End: to, Put: put})
	return true
}

// place is where a byte of the payload lies in the event.
func (r *EventReader) place(at int) int {
	i := len(r.lines) - 1
	for i > 0 && r.lines[i].data > at {
		i--
	}
	return r.lines[i].raw + at - r.lines[i].data
}

// where is the path of a text at a place that no table knows.
func (r *EventReader) where() string {
	b := append(bytes.Clone(r.kind), ':')
	for _, st := range r.path {
		if b = append(b, '/'); st.key != nil {
			b = append(b, st.key...)
		} else {
			b = strconv.AppendInt(b, int64(st.pos), 10)
		}
	}
	return string(b)
}

// members reads an object.
func (r *EventReader) members(s *scanner, sh *eventShape) bool {
	base, finds, ends, n := len(s.keys), len(r.event.Finds), len(r.event.Ends), r.n
	depth := len(r.path)
	var kind span
	_, ok := s.members('{', '}', func(int) bool {
		at := s.i
		key, ok := s.key()
		if !ok {
			return false
		}
		name := span{int32(at + 1), int32(s.i - 1)}
		to, is, known, ok := knownShape(s, sh, key, base)
		if !ok {
			s.i = at
			return false
		}
		setting := to != nil && to.is == isMeta || is != nil && is.as != asText
		if !known && name.at < name.end && !(setting && isIdentifier(name.of(s.b))) {
			r.note(Find{Quoted: true}, name)
		}
		r.path = append(r.path[:depth], pathStep{key: key})
		if !s.colon() {
			return false
		}
		from, quoted := s.i, s.peek() == '"'
		if is != nil {
			ok = r.complete(s, is)
		} else {
			ok = r.value(s, to)
		}
		if ok && quoted && string(key) == "type" {
			kind = span{int32(from + 1), int32(s.i - 1)}
		}
		return ok
	})
	s.keys, r.path = s.keys[:base], r.path[:depth]
	if ok && sh.table != nil && sh.table.types[string(plain(kind.of(s.b)))] == unread {
		r.event.Finds = append(r.event.Finds[:finds], slices.DeleteFunc(r.event.Finds[finds:], func(f Find) bool { return f.encoded })...)
	}
	if r.n != n { // the numbers may come behind the texts
		for i := range r.event.Finds[finds:] {
			r.number(&r.event.Finds[finds+i].Key, n)
		}
		for i := range r.event.Ends[ends:] {
			r.number(&r.event.Ends[ends+i].Key, n)
		}
		if depth > 0 {
			r.n = n
		}
	}
	return ok
}

// number gives a key the numbers that its object has told.
func (r *EventReader) number(k *TextKey, before [2]int32) {
	for i := range k.N {
		if r.n[i] != before[i] && k.N[i] == before[i] {
			k.N[i] = r.n[i]
		}
	}
}

// knownShape finds what lies at a key, to or is, and refuses what readers could
// take differently. known tells that the key is in a table.
func knownShape(s *scanner, sh *eventShape, key []byte, base int) (to *eventShape, is *slot, known, ok bool) {
	for i := range sh.keys {
		k := &sh.keys[i]
		if string(key) == k.key {
			to, known = k.eventShape, true
			break
		}
		if len(key) >= len(k.key) && (key[0]|0x20 == k.key[0] || key[0] >= utf8.RuneSelf) && bytes.EqualFold(key, []byte(k.key)) {
			return nil, nil, false, s.fail(fmt.Sprintf("a key differs from %q in case only", k.key))
		}
	}
	if !known && sh.table != nil {
		if is, ok = s.listed(sh.table, key); !ok {
			return nil, nil, false, false
		}
		known = is != nil
	}
	if !known {
		to = sh.below()
	}
	return to, is, known, s.unlike(key, base)
}

// elements reads a list.
func (r *EventReader) elements(s *scanner, sh *eventShape) bool {
	to := sh.each
	if to == nil {
		to = sh.below()
	}
	n, depth := r.n, len(r.path)
	_, ok := s.members('[', ']', func(i int) bool {
		if sh.slot > 0 {
			r.n[sh.slot-1] = int32(i)
		}
		r.path = append(r.path[:depth], pathStep{pos: int32(i)})
		return r.value(s, to)
	})
	r.n, r.path = n, r.path[:depth]
	return ok
}
