package llm

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
)

// Doc is a request body and what is to be changed in it. The zero Doc is
// ready for [Doc.Scan] and holds nothing. A Doc is not safe for concurrent
// use, except that its reading methods may run side by side.
type Doc struct {
	dialect *Dialect
	body    []byte

	open    int32 // behind the opening brace
	empty   bool  // the body is {}
	model   span  // the value with its quotes
	first   int32 // behind the opening bracket of the messages; 0: there are none
	last    int32 // at their closing bracket
	count   int32 // messages in the body
	texts   []found
	role    span  // of the message that is being scanned
	streams bool  // the answer is to be a stream
	odd     error // why the messages cannot be read

	// Edits lie in new, and splices say what goes where, sorted by offset.
	new      []byte
	splices  []splice
	newModel span
	rules    []span // the quoted texts of inserted messages

	keys [][]byte

	// own tells that body is ours: what came was replaced.
	own bool
}

// A splice puts new[from:to] in place of body[at:end].
type splice struct{ at, end, from, to int32 }

// Reset forgets the body. What is kept for the next one is small.
func (d *Doc) Reset() {
	*d = Doc{
		texts:   small(d.texts),
		new:     small(d.new),
		splices: small(d.splices),
		rules:   small(d.rules),
		keys:    small(d.keys),
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

func (d *Doc) refuse(format string, args ...any) {
	if d.odd == nil {
		d.odd = fmt.Errorf(format, args...)
	}
}

// Messages tells why the messages cannot be read: they are missing, or not of
// the dialect's shape. It is nil if [Doc.Texts] yields all text there is.
func (d *Doc) Messages() error {
	switch {
	case d.odd != nil:
		return d.odd
	case d.dialect == nil:
		return errors.New("no body")
	case d.first == 0:
		return fmt.Errorf("%s is missing", d.dialect.list)
	}
	return nil
}

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

// Text is one text of the prompt.
type Text struct {
	// Message is the index of the message it belongs to.
	Message int
	// Role and Raw are parts of JSON strings, without quotes and with their
	// escapes; see [AppendUnquoted]. A message without a role has an empty
	// one. They must not be changed.
	Role, Raw []byte
}

// Texts yields every text of the messages that is not empty, in order, as it
// will be sent.
func (d *Doc) Texts() iter.Seq[Text] {
	return func(yield func(Text) bool) {
		for i, r := range d.rules {
			quoted := r.of(d.new)
			if !yield(Text{Message: i, Role: d.dialect.systemRole, Raw: quoted[1 : len(quoted)-1]}) {
				return
			}
		}
		for _, t := range d.texts {
			if !yield(Text{
				Message: len(d.rules) + int(t.message),
				Role:    t.role.of(d.body),
				Raw:     t.text.of(d.body),
			}) {
				return
			}
		}
	}
}

// Edit is a change of a body. It is a value: it can be made once and applied
// to many bodies.
type Edit struct {
	model string
	rules []string
	list  []byte
}

// SetModel returns the edit that makes the body ask for a model.
func SetModel(name string) Edit { return Edit{model: name} }

// AddSystem returns the edit that puts messages with the role system before
// the messages of the body, one for each rule. Edits that are applied later
// put theirs behind those of earlier ones: rules keep the order in which they
// were applied.
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
		if err := d.Messages(); err != nil {
			return err
		}
		for _, r := range e.rules {
			d.addRule(r)
		}
	}
	if e.model != "" {
		d.setModel(e.model)
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

func (d *Doc) addRule(rule string) {
	from := len(d.new)
	alone := d.count == 0
	if alone && len(d.rules) > 0 {
		d.new = append(d.new, ',')
	}
	d.new = append(d.new, d.dialect.system[0]...)
	at := len(d.new)
	d.new = AppendQuoted(d.new, rule)
	d.rules = append(d.rules, span{int32(at), int32(len(d.new))})
	d.new = append(d.new, d.dialect.system[1]...)
	if !alone {
		d.new = append(d.new, ',')
	}
	d.splice(splice{d.first, d.first, int32(from), int32(len(d.new))})
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
	model := s.at != d.first
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
