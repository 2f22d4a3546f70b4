package llm

import (
	"bytes"
	"errors"
	"slices"
	"strings"
)

// Settings are what an operator wants of every request to a model, in the order
// in which they are applied. The zero Settings change nothing.
type Settings struct {
	// Model is asked for in place of the client's; empty keeps it.
	Model string
	// Overrides are fields of the body that replace the client's, Defaults those
	// that it left out.
	Overrides, Defaults []Field
	// NeedsModel refuses a body that then names no model.
	NeedsModel bool
	// Aliases are other names of models, of which the first that matches counts.
	Aliases []Alias
	// Prompts are messages before and behind the client's.
	Prompts Prompts
}

// Field is a field of the body, JSON its value.
type Field struct {
	Name string
	JSON []byte
}

// Alias is a name for a model. It may hold *, each for any text.
type Alias struct{ Name, Model string }

// Prompts are messages that are added.
type Prompts struct {
	Prepend, Append []Message
	Form            Form
}

// Form is how an API writes messages.
type Form uint8

const (
	// ChatMessages are those of OpenAI's Chat Completions API.
	ChatMessages Form = iota
	// AnthropicMessages are those of Anthropic's Messages API, where the field
	// system has those of the role system, as blocks of text.
	AnthropicMessages
	// ResponseItems are those of OpenAI's Responses API, where they are items of
	// the field input, which can also be one text of the user.
	ResponseItems
)

// Message is one of a chat.
type Message struct{ Role, Content string }

// ErrNoModel tells that a body names no model, and needs to.
var ErrNoModel = errors.New("model not specified")

// Set applies settings. It fails if the body has no place for them, or with
// [ErrNoModel]. Texts that were found before are found again.
func (d *Doc) Set(s *Settings) error {
	if s.Model != "" {
		d.setModel(s.Model)
	}
	if len(s.Overrides)+len(s.Defaults) > 0 {
		if err := d.setFields(s.Overrides, s.Defaults); err != nil {
			return err
		}
	}
	if s.NeedsModel || len(s.Aliases) > 0 {
		model, named := d.Model()
		if s.NeedsModel && !named {
			return ErrNoModel
		}
		if i := slices.IndexFunc(s.Aliases, func(a Alias) bool { return a.matches(model) }); named && i >= 0 {
			d.setModel(s.Aliases[i].Model)
		}
	}
	if len(s.Prompts.Prepend)+len(s.Prompts.Append) == 0 {
		return nil
	}
	return d.addPrompts(&s.Prompts)
}

// matches tells whether an alias is meant by a name.
func (a *Alias) matches(name string) bool {
	first, rest, pattern := strings.Cut(a.Name, "*")
	if a.Name == name || !pattern {
		return a.Name == name
	}
	name, ok := strings.CutPrefix(name, first)
	for ok && pattern {
		first, rest, pattern = strings.Cut(rest, "*")
		if !pattern {
			return strings.HasSuffix(name, first)
		}
		_, name, ok = strings.Cut(name, first)
	}
	return false
}

// setFields puts fields into the body as it is by now, and reads it again.
func (d *Doc) setFields(overrides, defaults []Field) error {
	var e rewrite
	e.read(d)
	for _, f := range overrides {
		if at, ok := e.fields[f.Name]; ok {
			e.put(at, f.JSON)
		} else {
			e.insert(f.Name, f.JSON)
		}
	}
	for _, f := range defaults {
		_, given := e.fields[f.Name]
		if !given && !slices.ContainsFunc(overrides, func(o Field) bool { return o.Name == f.Name }) {
			e.insert(f.Name, f.JSON)
		}
	}
	return e.replace(d)
}

// addPrompts puts messages around those of the body.
func (d *Doc) addPrompts(p *Prompts) error {
	var e rewrite
	e.read(d)
	before, behind := p.Prepend, p.Append
	if p.Form == AnthropicMessages {
		var first, last []Message
		first, before = bySystem(before)
		last, behind = bySystem(behind)
		if len(first)+len(last) > 0 {
			if err := e.system(0, elements(first, block), elements(last, block)); err != nil {
				return err
			}
		}
	}
	if p.Form == ResponseItems {
		if err := e.input(0, elements(before, responseItem), elements(behind, responseItem)); err != nil {
			return err
		}
		return e.replace(d)
	}
	at, given := e.fields["messages"]
	switch {
	case !given:
		return errors.New("messages is missing")
	case e.body[at.at] != '[':
		return errors.New("messages is not a list")
	}
	e.extend(at, 0, elements(before, chatMessage), elements(behind, chatMessage))
	return e.replace(d)
}

// bySystem parts messages of the role system from the others.
func bySystem(list []Message) (system, others []Message) {
	for _, m := range list {
		if m.Role == "system" {
			system = append(system, m)
		} else {
			others = append(others, m)
		}
	}
	return system, others
}

func chatMessage(m Message) []byte {
	return slices.Concat([]byte(`{"role":`), quoted(m.Role), []byte(`,"content":`), quoted(m.Content), []byte("}"))
}

// block is a block of text of Anthropic's.
func block(m Message) []byte { return textBlock(quoted(m.Content)) }

func textBlock(text []byte) []byte {
	return slices.Concat([]byte(`{"type":"text","text":`), text, []byte("}"))
}

// responseItem is an item of the Responses API, which knows few roles.
func responseItem(m Message) []byte {
	switch m.Role {
	case "assistant":
		return slices.Concat([]byte(`{"type":"message","role":"assistant","content":`), quoted(m.Content), []byte("}"))
	case "system", "developer":
		return inputText(m.Role, quoted(m.Content))
	default:
		return inputText("user", quoted(m.Content))
	}
}

func inputText(role string, text []byte) []byte {
	return slices.Concat([]byte(`{"type":"message","role":`), quoted(role), []byte(`,"content":[{"type":"input_text","text":`), text, []byte("}]}"))
}

func quoted(s string) []byte { return AppendQuoted(nil, s) }

// elements are those of a list, separated by commas.
func elements(messages []Message, write func(Message) []byte) []byte {
	var all [][]byte
	for _, m := range messages {
		all = append(all, write(m))
	}
	return bytes.Join(all, []byte(","))
}

// A rewrite is a new version of a body: what is put in place of some of its
// ranges. Ranges do not overlap.
type rewrite struct {
	body   []byte
	open   int32 // behind the opening brace
	fields map[string]span
	parts  []part
	// inserted are new fields, each with a comma behind it.
	inserted []byte
}

type part struct {
	at  span
	new []byte
}

// read takes a body with the edits that were noted so far, and finds the fields
// of its object. It has been scanned, so it is valid.
func (e *rewrite) read(d *Doc) {
	e.body, e.open = d.Append(make([]byte, 0, d.Len())), d.open
	e.fields = map[string]span{}
	s := scanner{b: e.body, i: int(d.open) - 1}
	s.members('{', '}', func(int) bool {
		key, _ := s.key()
		s.colon()
		at := s.i
		s.value()
		e.fields[string(key)] = span{int32(at), int32(s.i)}
		return true
	})
}

func (e *rewrite) put(at span, new []byte) { e.parts = append(e.parts, part{at, new}) }

func (e *rewrite) insert(name string, value []byte) {
	e.inserted = append(append(AppendQuoted(e.inserted, name), ':'), value...)
	e.inserted = append(e.inserted, ',')
}

// extend adds elements to a list: before those that it has, but for the first
// ones, as many as skip, and behind all.
func (e *rewrite) extend(list span, skip int, before, behind []byte) {
	inside := e.body[list.at+1 : list.end-1]
	empty := len(bytes.TrimSpace(inside)) == 0
	comma := func(b []byte, needed bool) []byte {
		if needed && len(b) > 0 {
			b = append(b, ',')
		}
		return b
	}
	if len(before) > 0 && skip > 0 {
		at := e.elementEnd(list, skip)
		e.put(span{at, at}, append([]byte{','}, before...))
	} else if len(before) > 0 {
		e.put(span{list.at + 1, list.at + 1}, comma(before, !empty || len(behind) > 0))
	}
	if len(behind) > 0 {
		if !empty {
			behind = append([]byte{','}, behind...)
		}
		e.put(span{list.end - 1, list.end - 1}, behind)
	}
}

// elementEnd is where the n-th element of a list ends, which has it.
func (e *rewrite) elementEnd(list span, n int) (at int32) {
	s := scanner{b: e.body, i: int(list.at)}
	s.members('[', ']', func(i int) bool {
		s.value()
		at = int32(s.i)
		return i+1 < n
	})
	return at
}

// system adds blocks to the field system, which is a text, a list of blocks, or
// absent. Those before the client's come behind the first ones, as many as skip.
func (e *rewrite) system(skip int, before, behind []byte) error {
	at, given := e.fields["system"]
	kind := byte('n')
	if given {
		kind = e.body[at.at]
	}
	switch kind {
	case '[':
		e.extend(at, skip, before, behind)
		return nil
	case '"':
		e.put(at, list(before, textBlock(at.of(e.body)), behind))
		return nil
	case 'n':
		if whole := list(before, behind); given {
			e.put(at, whole)
		} else {
			e.insert("system", whole)
		}
		return nil
	}
	return errors.New("system is neither a text nor a list")
}

// input adds items to the field input, which is a text or a list of items,
// likewise.
func (e *rewrite) input(skip int, before, behind []byte) error {
	at, given := e.fields["input"]
	switch {
	case !given:
		return errors.New("input is missing")
	case e.body[at.at] == '[':
		e.extend(at, skip, before, behind)
	case e.body[at.at] == '"':
		e.put(at, list(before, inputText("user", at.of(e.body)), behind))
	default:
		return errors.New("input is not a list")
	}
	return nil
}

// list is a list of the elements in several pieces.
func list(pieces ...[]byte) []byte {
	pieces = slices.DeleteFunc(pieces, func(p []byte) bool { return len(p) == 0 })
	return slices.Concat([]byte("["), bytes.Join(pieces, []byte(",")), []byte("]"))
}

// replace makes the new body and has the document read it.
func (e *rewrite) replace(d *Doc) error {
	if len(e.inserted) > 0 {
		if len(e.fields) == 0 {
			e.inserted = e.inserted[:len(e.inserted)-1]
		}
		e.put(span{e.open, e.open}, e.inserted)
	}
	slices.SortStableFunc(e.parts, func(a, b part) int { return int(a.at.at) - int(b.at.at) })
	size := len(e.body)
	for _, p := range e.parts {
		size += len(p.new)
	}
	body, from := make([]byte, 0, size), int32(0)
	for _, p := range e.parts {
		body = append(append(body, e.body[from:p.at.at]...), p.new...)
		from = p.at.end
	}
	body = append(body, e.body[from:]...)
	var next Doc
	if err := next.Scan(d.dialect, body); err != nil {
		return err
	}
	next.own = true
	*d = next
	return nil
}
