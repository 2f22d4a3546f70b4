package llm

import (
	"bytes"
	"iter"
	"slices"
)

// Kind is what a text is to the model.
type Kind uint8

// The kinds of texts.
const (
	// Content is what was said: by a user, by a model, or in a prompt without a
	// chat.
	Content Kind = iota
	// System is what the developer of the client said: system prompts,
	// instructions, and contents of messages with the roles system and developer.
	System
	// Reasoning is what a model thought, if it is shown.
	Reasoning
	// Refusal is why a model would not answer.
	Refusal
	// ToolDescription is what a tool does, what its parameters are, and likewise
	// the schema of the answer.
	ToolDescription
	// Arguments are what a tool is called with.
	Arguments
	// ToolResult is what a tool has answered.
	ToolResult
	// Name is a name that somebody chose: of a person, a tool, or a file.
	Name
	// Other is text in a place that has none, or that the dialect does not know.
	Other

	kinds = iota
)

// unread is the kind of what turns out to be no text.
const unread = kinds + 1

var kindNames = [kinds]string{"content", "system", "reasoning", "refusal", "tool-description", "arguments", "tool-result", "name", "other"}

// String returns the kind in a word, such as tool-result.
func (k Kind) String() string { return kindNames[k] }

// Text is one text of a body.
type Text struct {
	// Index counts the texts of the body, see [Change].
	Index int
	// Message is the index of the message, the item or the choice it belongs
	// to, or of the prompt in a list of prompts. It is -1 for what stands beside
	// them, such as instructions and tools.
	Message int
	// Kind is what it is to the model.
	Kind Kind
	// Part tells that it is a part of a content, which readers put together with
	// the next one of the message.
	Part bool
	// Role and Raw are parts of JSON strings, without quotes and with their
	// escapes; see [AppendUnquoted]. A message without a role has an empty
	// one. They must not be changed.
	//
	// Raw is also a number, where those are texts: in arguments and results of
	// tools. Of a text in JSON that is in a string itself, Raw has the escapes of
	// the inner string alone.
	Role, Raw []byte
}

// Unquoted returns the text, in the room of buf if it has escapes and buf is not
// nil; buf grows as needed. Otherwise it is a part of the body. It is UTF-8; half
// of a surrogate pair is U+FFFD.
func (t *Text) Unquoted(buf *[]byte) []byte {
	if bytes.IndexByte(t.Raw, '\\') < 0 {
		return t.Raw
	}
	if buf == nil {
		return AppendUnquoted(nil, t.Raw)
	}
	*buf = AppendUnquoted(slices.Grow((*buf)[:0], len(t.Raw)), t.Raw)
	return *buf
}

// Operator tells whether the text belongs to a message of the operator. A role
// that is written with escapes is not taken for his, so that the text is looked
// at.
func (t *Text) Operator() bool {
	return string(t.Role) == "system" || string(t.Role) == "developer"
}

// Texts yields every text of the body that is not empty, in order, as it will
// be sent.
func (d *Doc) Texts() iter.Seq[Text] {
	return func(yield func(Text) bool) {
		n, before := 0, len(d.texts)
		if len(d.rules) > 0 {
			before = d.textsBefore(d.insert)
		}
		give := func(texts []found) bool {
			for i := range texts {
				if !yield(d.text(&texts[i], n)) {
					return false
				}
				n++
			}
			return true
		}
		if !give(d.texts[:before]) {
			return
		}
		for i, r := range d.rules {
			quoted := r.of(d.new)
			if len(quoted) == len(`""`) {
				continue
			}
			if !yield(Text{Index: n, Message: int(d.ruled) + i, Kind: System, Role: roleSystem, Raw: quoted[1 : len(quoted)-1]}) {
				return
			}
			n++
		}
		give(d.texts[before:])
	}
}

// Embedded yields the strings of the body that are JSON themselves, such as
// arguments of tools, as they are written. [Doc.Texts] yields the texts in them.
func (d *Doc) Embedded() iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, e := range d.embedded {
			if !yield(string(AppendUnquoted(nil, e.in.of(d.body)))) {
				return
			}
		}
	}
}

var roleSystem = []byte("system")

// text is a text that was found, as the n-th.
func (d *Doc) text(f *found, n int) Text {
	t := Text{Index: n, Message: int(f.message), Kind: f.kind, Part: f.form&partly != 0, Role: f.role.of(d.body), Raw: f.text.of(d.body)}
	if f.form&inside != 0 {
		t.Raw = f.text.of(d.inner)
	}
	if t.Message >= int(d.ruled) {
		t.Message += len(d.rules)
	}
	if f.message < 0 && f.kind == System && len(t.Role) == 0 {
		t.Role = roleSystem
	}
	return t
}

// textsBefore counts the texts before an offset of the body.
func (d *Doc) textsBefore(at int32) int {
	for i := range d.texts {
		if d.outer(&d.texts[i]) >= at {
			return i
		}
	}
	return len(d.texts)
}

// outer is where a text, or the string that it is in, begins in the body.
func (d *Doc) outer(f *found) int32 {
	if f.form&inside == 0 {
		return f.text.at
	}
	return d.embedding(f.text.at).in.at
}
