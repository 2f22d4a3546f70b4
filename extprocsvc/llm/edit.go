package llm

import (
	"bytes"
	"errors"
	"fmt"
)

// Doc is a request body and what is to be changed in it. The zero Doc is
// ready for [Doc.Scan] and holds nothing. A Doc is not safe for concurrent
// use, except that its reading methods may run side by side.
type Doc struct {
	dialect *Dialect
	body    []byte

	open     int32 // behind the opening brace
	empty    bool  // the body is {}
	model    span  // the value with its quotes
	first    int32 // behind the opening bracket of the messages; 0: there are none
	last     int32 // at their closing bracket
	count    int32 // messages in the body
	texts    []found
	inner    []byte // JSON in strings, without the escapes of those
	embedded []embedded
	traces   []trace
	seals    []seal
	seen     evidence
	streams  bool  // the answer is to be a stream
	odd      error // why the messages cannot be read

	// Edits lie in new, and splices say what goes where, sorted by offset.
	new      []byte
	splices  []splice
	newModel span
	// rules are the quoted texts of inserted messages, which go to insert, behind
	// the first messages, as many as ruled says, which are rules too. behind tells
	// that others of the list, if there are any, are before them.
	rules  []span
	insert int32
	ruled  int32
	behind bool

	keys [][]byte

	// own tells that body is ours: what came was replaced.
	own bool
}

// A splice puts new[from:to] in place of body[at:end].
type splice struct{ at, end, from, to int32 }

// Reset forgets the body. What is kept for the next one is small.
func (d *Doc) Reset() {
	*d = Doc{
		texts:    small(d.texts),
		inner:    small(d.inner),
		embedded: small(d.embedded),
		traces:   small(d.traces),
		seals:    small(d.seals),
		new:      small(d.new),
		splices:  small(d.splices),
		rules:    small(d.rules),
		keys:     small(d.keys),
	}
}

// small returns s without elements, or nothing if it is too large to keep.
func small[T any](s []T) []T {
	if cap(s) > 4096 {
		return nil
	}
	clear(s[:cap(s)])
	return s[:0]
}

// Messages tells why the messages cannot be read: they are missing, or not of
// the dialect's shape. It is nil if [Doc.Texts] yields all text there is.
func (d *Doc) Messages() error {
	switch {
	case d.odd != nil:
		return d.odd
	case d.dialect == nil:
		return errors.New("no body")
	case d.dialect.any:
		return nil
	case d.dialect.is == 0:
		return errors.New("it is for an API that cannot be read")
	case d.seen&d.dialect.is == 0:
		return fmt.Errorf("%s is missing", d.dialect.needs)
	}
	return nil
}

// Dialect is the one that the body was scanned with; nil without a body.
func (d *Doc) Dialect() *Dialect { return d.dialect }

// Model returns the model's name as it will be sent. ok is false if the body
// names none, or names it with something other than a string.
func (d *Doc) Model() (name string, ok bool) {
	quoted := d.model.of(d.body)
	if d.newModel != (span{}) {
		quoted = d.newModel.of(d.new)
	}
	if len(quoted) == 0 || quoted[0] != '"' {
		return "", false
	}
	return string(AppendUnquoted(nil, quoted[1:len(quoted)-1])), true
}

// NamesModel tells whether the body names a model, be it with a string or not.
func (d *Doc) NamesModel() bool { return d.model != span{} || d.newModel != span{} }

// Streams tells whether the body asks for a stream of events.
func (d *Doc) Streams() bool { return d.streams }

// Edit is a change of a body. It is a value: it can be made once and applied
// to many bodies.
type Edit struct {
	rules   []string
	list    []byte
	changes []Change
}

// AddSystem returns the edit that puts rules before what the client says: as
// messages, items or blocks with the role system, whatever the API has, one for
// each rule. Edits that are applied later put theirs behind those of earlier
// ones: rules keep the order in which they were applied. Requests for embeddings
// stay as they are, since no model heeds rules there; where there would be one,
// but no place for rules, the edit fails.
func AddSystem(rules ...string) Edit { return Edit{rules: rules} }

// ReplaceList returns the edit that puts a list in place of the messages, or
// of the choices: valid JSON, as [Doc.AppendList] gives it.
func ReplaceList(list []byte) Edit { return Edit{list: list} }

// Replaces tells that the edit brings content of somebody else's, so that an
// error of [Doc.Apply] may be its fault and not the body's.
func (e Edit) Replaces() bool { return e.list != nil }

// AppendList appends the list of messages or choices as it will be sent, with
// its brackets. [Doc.Messages] must be nil.
func (d *Doc) AppendList(dst []byte) []byte {
	return append(d.append(append(dst, '['), d.first, d.last), ']')
}

// Apply notes an edit. It fails, and changes nothing, if the body has no place
// for it; see [Doc.Messages].
func (d *Doc) Apply(e Edit) error {
	if len(e.rules) > 0 {
		if err := d.addRules(e.rules); err != nil {
			return err
		}
	}
	if len(e.changes) > 0 {
		if err := d.change(e.changes); err != nil {
			return err
		}
	}
	if e.list != nil {
		return d.replaceList(e.list)
	}
	return nil
}

// replaceList makes a new body and reads it: a list that somebody else wrote
// is not trusted to be one.
func (d *Doc) replaceList(list []byte) error {
	if err := d.Messages(); err != nil {
		return err
	}
	if d.first == 0 {
		return fmt.Errorf("%s has no list of messages", d.dialect.Name)
	}
	body := make([]byte, 0, d.Len()+len(list))
	body = d.append(body, 0, d.first-1)
	body = append(body, list...)
	body = d.append(body, d.last+1, int32(len(d.body)))
	var next Doc
	if err := next.Scan(d.dialect, body); err != nil {
		return err
	}
	if err := next.Messages(); err != nil {
		return err
	}
	if int(next.last)+1-int(next.first-1) != len(bytes.TrimSpace(list)) {
		return errors.New("the replacement is not one list")
	}
	next.own = true
	*d = next
	return nil
}

// addRules puts rules where the dialect has them.
func (d *Doc) addRules(rules []string) error {
	if err := d.Messages(); err != nil {
		return err
	}
	switch d.dialect.rules {
	case chatMessages:
		for _, r := range rules {
			d.addRule(r)
		}
	case systemBlocks, responseItems:
		return d.insertRules(rules)
	case unheeded:
	case nowhere:
		return fmt.Errorf("%s has no place for a system prompt", d.dialect.Name)
	}
	return nil
}

// addRule puts a message of a chat behind those that were put in before.
func (d *Doc) addRule(rule string) {
	from := len(d.new)
	alone := d.count == 0 || d.behind
	if alone && (d.behind || len(d.rules) > 0) {
		d.new = append(d.new, ',')
	}
	d.new = append(d.new, `{"role":"system","content":`...)
	at := len(d.new)
	d.new = AppendQuoted(d.new, rule)
	d.rules = append(d.rules, span{int32(at), int32(len(d.new))})
	d.new = append(d.new, '}')
	if !alone {
		d.new = append(d.new, ',')
	}
	d.splice(splice{d.insert, d.insert, int32(from), int32(len(d.new))})
}

// insertRules puts rules into a new body and reads it.
func (d *Doc) insertRules(rules []string) error {
	var messages []Message
	for _, r := range rules {
		messages = append(messages, Message{Role: "system", Content: r})
	}
	var e rewrite
	e.read(d)
	if d.dialect.rules == systemBlocks {
		if err := e.system(int(d.ruled), elements(messages, block), nil); err != nil {
			return err
		}
	} else if err := e.input(int(d.ruled), elements(messages, responseItem), nil); err != nil {
		return err
	}
	ruled := d.ruled + int32(len(rules))
	if err := e.replace(d); err != nil {
		return err
	}
	d.ruled = ruled
	return nil
}

func (d *Doc) setModel(name string) {
	from, at := len(d.new), len(d.new)
	place := d.model
	if place == (span{}) {
		place = span{d.open, d.open}
		d.new = append(d.new, '"')
		d.new = append(d.new, d.dialect.model...)
		d.new = append(d.new, '"', ':')
		at = len(d.new)
	}
	d.new = AppendQuoted(d.new, name)
	value := span{int32(at), int32(len(d.new))}
	switch {
	case place.at < place.end:
		if d.newModel == (span{}) && bytes.Equal(value.of(d.new), place.of(d.body)) {
			d.new = d.new[:from]
			return
		}
	case !d.empty:
		d.new = append(d.new, ',')
	}
	d.newModel = value
	d.splice(splice{place.at, place.end, int32(from), int32(len(d.new))})
}

// splice adds s behind all that begin at or before its place. Of two that
// replace or insert the model, the later one stays.
func (d *Doc) splice(s splice) {
	model := s.at != d.insert
	i := len(d.splices)
	for i > 0 && d.splices[i-1].at >= s.at {
		if model && d.splices[i-1].at == s.at {
			d.splices[i-1] = s
			return
		}
		if d.splices[i-1].at == s.at {
			break
		}
		i--
	}
	d.splices = append(d.splices, splice{})
	copy(d.splices[i+1:], d.splices[i:])
	d.splices[i] = s
}

// Changed tells whether what will be sent differs from what came.
func (d *Doc) Changed() bool { return d.own || len(d.splices) > 0 }

// Len is the number of bytes that [Doc.Append] appends.
func (d *Doc) Len() int {
	n := len(d.body)
	for _, s := range d.splices {
		n += int(s.to-s.from) - int(s.end-s.at)
	}
	return n
}

// Append appends the body with its edits.
func (d *Doc) Append(dst []byte) []byte { return d.append(dst, 0, int32(len(d.body))) }

// append appends what body[at:end] has become, insertions at both ends
// included.
func (d *Doc) append(dst []byte, at, end int32) []byte {
	for _, s := range d.splices {
		if s.at < at || s.at > end {
			continue
		}
		dst = append(dst, d.body[at:s.at]...)
		dst = append(dst, d.new[s.from:s.to]...)
		at = s.end
	}
	return append(dst, d.body[at:end]...)
}
