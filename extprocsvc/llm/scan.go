package llm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"sort"
	"strings"
	"unicode/utf8"
)

const (
	// MaxDepth is how deep objects and lists may be nested.
	MaxDepth = 128
	// MaxKeys is how many keys an object may have in which we look for
	// something, since they are compared with each other.
	MaxKeys = 100
	// MaxTexts is how many texts a body may have.
	MaxTexts = 1 << 18
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
	kind       Kind
	form       form
}

// form is how a text is written.
type form uint8

const (
	bare   form = 1 << iota // a number, which has no quotes
	inside                  // in JSON in a string: text is a span of Doc.inner
	partly                  // a part of a content
	asJSON                  // a string that is meant to be JSON, which is not looked into
)

// embedded is JSON in a string of the body: in without escapes is
// Doc.inner[at:end].
type embedded struct {
	in      span
	at, end int32
}

// embedding is the one that an offset of Doc.inner belongs to.
func (d *Doc) embedding(at int32) *embedded {
	i := sort.Search(len(d.embedded), func(i int) bool { return d.embedded[i].end > at })
	return &d.embedded[i]
}

// A trace is a value that is made of the texts of a message.
type trace struct {
	message int32
	at      span
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
	s := scanner{b: body, doc: d, keys: d.keys[:0], message: -1}
	if dialect.single {
		s.message = 0
	}
	ok := s.document()
	d.keys = s.keys[:0]
	if !ok {
		d.Reset()
		return &Error{s.i, s.reason}
	}
	if dialect.answer != nil && len(d.seals) > 0 {
		d.unmask()
	}
	return nil
}

// ScanUnknown is Scan for a body that may be of any of OpenAI's APIs, or of
// Anthropic's Messages, whose texts the same tables find: the one whose messages,
// prompt or input it has. [Doc.Messages] tells if it has several of them.
func (d *Doc) ScanUnknown(body []byte) error {
	if err := d.Scan(ChatCompletions, body); err != nil {
		return err
	}
	switch d.seen & (hasMessages | hasPrompt | hasInput) {
	case hasMessages, 0:
		return nil
	case hasPrompt:
		return d.Scan(Completions, body)
	case hasInput:
		return d.Scan(Responses, body)
	}
	d.odd = errors.New("one cannot tell which API it is for")
	return nil
}

// evidence are the keys of a body that tell which API it is for.
type evidence uint8

const (
	hasMessages evidence = 1 << iota
	hasPrompt
	hasInput
	hasChoices
	hasContent
	hasOutput
	hasData
	hasCount
)

// telling returns what a key of the body tells.
func telling(key []byte) evidence {
	switch string(key) {
	case "messages":
		return hasMessages
	case "prompt":
		return hasPrompt
	case "input":
		return hasInput
	case "choices":
		return hasChoices
	case "content":
		return hasContent
	case "output":
		return hasOutput
	case "data":
		return hasData
	case "input_tokens":
		return hasCount
	}
	return 0
}

// A scanner is one walk over one body. Its methods return false, with the
// reason set and i at the offending byte, when the body is to be refused.
type scanner struct {
	b      []byte
	i      int
	depth  int
	reason string
	// limit tells that the reason is a limit.
	limit bool
	doc   *Doc
	// keys are those of the strict objects that are open, outermost first.
	keys [][]byte
	// top is the key of the body whose value is being scanned, and message the
	// index of the message in it, or -1.
	top     []byte
	message int32
	// role, kind and signature are the values of these keys in the object that is
	// being scanned.
	role, kind, signature span
	// form is that of the texts.
	form form
	// broken is, in JSON in a string, where the string or number begins that is
	// none; or -1.
	broken int
	// noting tells that JSON in strings is not looked into.
	noting bool
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
	n, ok := s.object(s.doc.dialect.top)
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

// object scans an object in which we look for something, and returns the
// number of its keys. i is at the opening brace.
func (s *scanner) object(o *object) (n int, ok bool) {
	role, kind, signature := s.role, s.kind, s.signature
	s.role, s.kind, s.signature = span{}, span{}, span{}
	base, from := len(s.keys), len(s.doc.texts)
	n, ok = s.members('{', '}', func(int) bool { return s.member(o, base) })
	s.keys = s.keys[:base]
	if ok && len(s.doc.texts) > from {
		if o.types != nil {
			s.retype(o, from)
		}
		if o.message {
			s.attribute(from)
		}
		if s.signature.at < s.signature.end {
			s.doc.seals = append(s.doc.seals, seal{s.signature, from, len(s.doc.texts)})
		}
	}
	s.role, s.kind, s.signature = role, kind, signature
	return n, ok
}

// member scans a member of an object.
func (s *scanner) member(o *object, base int) bool {
	at := s.i
	key, ok := s.key()
	if !ok {
		return false
	}
	if s.depth == 1 && s.form == 0 {
		s.top = key
		s.doc.seen |= telling(key)
	}
	is, ok := s.known(o, key, base)
	if !ok {
		s.i = at
		return false
	}
	if is == nil {
		is = o.rest
		if !s.noteUnless(is, span{int32(at + 1), int32(s.i - 1)}) {
			return false
		}
	}
	return s.colon() && s.shaped(is)
}

// known looks a key up and refuses what readers could take differently. The
// slot is nil for a key that the object does not list.
func (s *scanner) known(o *object, key []byte, base int) (is *slot, ok bool) {
	is, ok = s.listed(o, key)
	return is, ok && (o.lax || s.unlike(key, base))
}

// listed looks a key up. The slot is nil for one that the object does not list.
func (s *scanner) listed(o *object, key []byte) (is *slot, ok bool) {
	for i := range o.fields {
		if f := &o.fields[i]; len(f.key) == len(key) && bytes.Equal(f.key, key) {
			return f.is, true
		}
	}
	if o.lax {
		return nil, true
	}
	for i := range o.fields {
		// Some letters outside of ASCII are those in it in another case, and
		// longer.
		if f := &o.fields[i]; len(f.key) <= len(key) && bytes.EqualFold(f.key, key) {
			return nil, s.fail(fmt.Sprintf("a key differs from %q in case only", f.key))
		}
	}
	return nil, true
}

// unlike notes a key, and refuses one that its object has already.
func (s *scanner) unlike(key []byte, base int) bool {
	for _, k := range s.keys[base:] {
		if bytes.Equal(k, key) {
			return s.fail("duplicate key")
		}
	}
	if len(s.keys)-base == MaxKeys {
		return s.fail("too many keys in one object")
	}
	s.keys = append(s.keys, key)
	return true
}

// shaped scans a value and notes what it means.
func (s *scanner) shaped(is *slot) bool {
	c := s.peek()
	switch {
	case is.as > asOdd:
		return s.meant(is)
	case c == '"' && is.as != asOdd:
		return s.words(is)
	case c == '{' && is.object != nil:
		_, ok := s.object(is.object)
		return ok
	case c == '[' && is.list != nil:
		return s.list(is)
	case is.odd != "":
		if c != 'n' || !is.null {
			s.refuse(is.odd)
		}
		return s.value()
	case c == '{' || c == '[':
		return s.shaped(unknown[is.kind])
	case is.numbers && (c == '-' || '0' <= c && c <= '9'):
		at := s.i
		return s.number() && s.note(span{int32(at), int32(s.i)}, is.kind, bare)
	default:
		return s.value()
	}
}

// meant scans a value that is not text.
func (s *scanner) meant(is *slot) bool {
	at := s.i
	if !s.value() {
		return false
	}
	d, in := s.doc, span{int32(at), int32(s.i)}
	switch is.as {
	case asModel:
		d.model = in
	case asStream:
		d.streams = string(in.of(s.b)) == "true"
	default:
		d.traces = append(d.traces, trace{s.message, in})
	}
	return true
}

// refuse notes why the messages cannot be read.
func (s *scanner) refuse(odd string) {
	if s.doc.odd != nil {
		return
	}
	s.doc.odd = errors.New(strings.Replace(odd, "%s", s.place(), 1))
}

// place tells where in the body we are. It quotes only keys of the dialect.
func (s *scanner) place() string {
	if s.message < 0 || s.doc.dialect.single {
		return string(s.top)
	}
	return fmt.Sprintf("%s[%d]", s.top, s.message)
}

// list scans a list. Of the list of messages it notes the place.
func (s *scanner) list(is *slot) bool {
	open := int32(s.i + 1)
	_, ok := s.members('[', ']', func(n int) bool {
		if is.messages {
			s.message = int32(n)
		}
		return s.shaped(is.list)
	})
	if ok && is.messages {
		d := s.doc
		d.count = s.message + 1
		s.message = -1
		if string(s.top) == d.dialect.list {
			d.first, d.last, d.insert = open, int32(s.i-1), open
		}
	}
	return ok
}

// words scans a string and notes what it means.
func (s *scanner) words(is *slot) bool {
	in, ok := s.text()
	if !ok {
		return false
	}
	raw := in.of(s.b)
	switch is.as {
	case asText:
	case asIdentifier:
		return s.noteUnless(is, in)
	case asType:
		s.kind = in
		return s.noteUnless(is, in)
	case asRole:
		if s.role = in; isRole(plain(raw)) {
			return true
		}
	case asAttachment:
		switch attached(plain(raw)) {
		case hiddenText:
			s.refuse("%s has a text in a data URL, which cannot be read")
			return true
		case encodedData:
			return true
		}
	case asEncoded:
		return s.note(in, undecided, 0)
	case asSignature:
		s.signature = in
		return true
	case asSound:
		s.doc.traces = append(s.doc.traces, trace{s.message, span{in.at - 1, in.end + 1}})
		return true
	case asArguments:
		if s.noting {
			return s.note(in, is.kind, asJSON)
		}
		if within, ok := s.embedded(in); !ok || within {
			return ok
		}
	default: // asOpaque
		return true
	}
	if is.part {
		return s.note(in, is.kind, partly)
	}
	return s.note(in, is.kind, 0)
}

// undecided is the kind of a text of which the type of the object is not known
// yet.
const undecided = unread + 1

// noteUnless notes a string, or an unknown key, unless it is an identifier
// where those are no texts.
func (s *scanner) noteUnless(is *slot, in span) bool {
	return is.as != asText && isIdentifier(in.of(s.b)) || s.note(in, is.kind, 0)
}

// note notes a text that is not empty.
func (s *scanner) note(in span, kind Kind, as form) bool {
	if in.at == in.end {
		return true
	}
	d := s.doc
	if len(d.texts) == MaxTexts {
		s.limit = true
		return s.fail("too many texts")
	}
	d.texts = append(d.texts, found{text: in, message: s.message, kind: kind, form: s.form | as})
	return true
}

// retype gives the texts of an object, from the one at an index on, the kinds
// that follow from its type.
func (s *scanner) retype(o *object, from int) {
	as, given := o.types[string(plain(s.kind.of(s.b)))]
	texts := s.doc.texts
	kept := texts[:from]
	for _, f := range texts[from:] {
		switch {
		case f.kind == undecided && given && as == unread:
			continue
		case f.kind == undecided:
			f.kind = Other
		case f.kind == Content && given && as != unread:
			f.kind = as
		}
		kept = append(kept, f)
	}
	s.doc.texts = kept
}

// isRole tells whether a role is a known one, and no text.
func isRole(role []byte) bool {
	switch string(role) {
	case "user", "assistant", "system", "developer", "tool", "function", "model", "critic", "discriminator", "unknown":
		return true
	}
	return false
}

// attribute gives the texts of a message, from the one at an index on, its
// role.
func (s *scanner) attribute(from int) {
	as := Content
	switch string(plain(s.role.of(s.b))) {
	case "system", "developer":
		as = System
	case "tool", "function":
		as = ToolResult
	}
	texts := s.doc.texts[from:]
	for i := range texts {
		f := &texts[i]
		f.role = s.role
		if f.kind == Content {
			f.kind = as
		}
	}
}

// embedded scans JSON in a string, as lenient readers do: it may have NaN and
// Infinity in it, and line ends in strings, and it may be cut off. Where it turns
// out to be none, the rest of the string is a text as it stands. within is false
// if there is none: then the string is a text like any other.
func (s *scanner) embedded(in span) (within, ok bool) {
	d := s.doc
	at, texts := len(d.inner), len(d.texts)
	d.inner = AppendUnquoted(d.inner, in.of(s.b))
	inner := scanner{b: d.inner, i: at, doc: d, message: s.message, form: inside, broken: -1}
	inner.space()
	c := inner.peek()
	ok = inner.shaped(unknown[Arguments])
	if ok {
		inner.space()
	}
	switch {
	case ok && inner.i == len(d.inner):
		d.embedded = append(d.embedded, embedded{in, int32(at), int32(len(d.inner))})
		return true, true
	case inner.limit:
		return false, s.fail(inner.reason)
	case c != '{' && c != '[':
		d.inner, d.texts = d.inner[:at], d.texts[:texts]
		return false, true
	}
	d.embedded = append(d.embedded, embedded{in, int32(at), int32(len(d.inner))})
	from := inner.i
	if inner.broken >= 0 {
		if from = inner.broken; inner.cut() {
			return true, inner.note(span{int32(from + 1), int32(inner.i)}, Arguments, 0) || s.fail(inner.reason)
		}
	}
	if n := len(d.texts) - 1; n >= texts && d.texts[n].form&bare != 0 && len(bytes.TrimSpace(d.inner[d.texts[n].text.end:from])) == 0 {
		from = int(d.texts[n].text.at) // what looked like a number goes on
		d.texts = d.texts[:n]
	}
	r := ruler{raw: in.of(s.b)}
	outer, _ := r.before(from - at)
	return true, s.note(span{in.at + int32(outer), in.end}, Arguments, 0)
}

// cut tells whether the string that is broken only lacks its end.
func (s *scanner) cut() bool {
	rest := s.b[s.i:]
	if s.b[s.broken] != '"' || len(rest) == 0 {
		return s.b[s.broken] == '"'
	}
	return rest[0] == '\\' && (len(rest) == 1 || rest[1] == 'u' && len(rest) < len(`\u0000`) && escapeEnd(append(slices.Clone(rest), "0000"...), 0) > 0)
}

// plain is a string without escapes.
func plain(raw []byte) []byte {
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw
	}
	return AppendUnquoted(nil, raw)
}

// isIdentifier tells whether a string looks like an identifier, a number or a
// word of an API, not like text: up to 256 letters, digits and a few signs.
func isIdentifier(raw []byte) bool {
	if len(raw) > 256 {
		return false
	}
	for _, c := range raw {
		if !identifying[c] {
			return false
		}
	}
	return true
}

var identifying = func() (set [256]bool) {
	for _, c := range "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.:/+=~|#" {
		set[c] = true
	}
	return set
}()

// An attachment is what a link may be.
type attachment uint8

const (
	readable    attachment = iota // the link itself is all there is
	encodedData                   // a data URL in base64: an image, say
	hiddenText                    // one of a text, or of who knows what, which models read as one
)

// attached tells what a link is: RFC 2397, without regard to case.
func attached(link []byte) attachment {
	const most = 256 // of what describes the data
	link = bytes.TrimSpace(link)
	head, _, ok := bytes.Cut(link[:min(len(link), most)], []byte(","))
	described, data := strings.CutPrefix(strings.ToLower(string(head)), "data:")
	params := strings.Split(described, ";")
	for i := range params {
		params[i] = strings.TrimSpace(params[i])
	}
	encoded := slices.Contains(params[1:], "base64")
	switch {
	case !data:
		return readable
	case !ok && len(link) > most:
		return hiddenText // somewhere behind all that
	case !ok:
		return readable // and no data URL
	case isTextType(params[0]) && (encoded || bytes.IndexByte(link[len(head):], '%') >= 0):
		return hiddenText
	case encoded:
		return encodedData
	}
	return readable
}

// isTextType tells whether a media type, in lower case, is that of a text.
func isTextType(media string) bool {
	return media == "" || strings.HasPrefix(media, "text/") ||
		slices.ContainsFunc([]string{"json", "xml", "yaml", "javascript"}, func(kind string) bool { return strings.HasSuffix(media, kind) })
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
		s.limit = true
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
		_, ok := s.members('{', '}', s.anyMember)
		return ok
	case '[':
		_, ok := s.members('[', ']', s.anyElement)
		return ok
	case 't':
		return s.literal("true")
	case 'f':
		return s.literal("false")
	case 'n':
		return s.literal("null")
	case 'N':
		return s.form&inside != 0 && s.literal("NaN") || s.unexpected("a value")
	case 'I':
		return s.form&inside != 0 && s.literal("Infinity") || s.unexpected("a value")
	default:
		if c == '-' || '0' <= c && c <= '9' {
			return s.number()
		}
		return s.unexpected("a value")
	}
}

func (s *scanner) anyElement(int) bool { return s.value() }

func (s *scanner) anyMember(int) bool {
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
	at := s.i
	if s.strictNumber() {
		return true
	}
	if s.form&inside == 0 {
		return false
	}
	if s.b[at] == '-' && s.i == at+1 && s.peek() == 'I' && s.literal("Infinity") {
		return true
	}
	s.broken = at
	return false
}

func (s *scanner) strictNumber() bool {
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
	b, at, i := s.b, s.i, s.i+1
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
			s.broken = at
			return escaped, s.unexpected("a quote")
		}
		switch b[i] {
		case '"':
			s.i++
			return escaped, true
		case '\\':
			escaped = true
			if i = escapeEnd(b, i); i < 0 {
				s.broken = at
				return escaped, s.fail("invalid escape in a string")
			}
		case '\n', '\r', '\t':
			if s.form&inside != 0 {
				i++
				continue
			}
			return escaped, s.fail("control character in a string")
		default:
			s.broken = at
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
