package llm

import (
	"bytes"
	"cmp"
	"slices"
)

// Anthropic signs what its models think, and refuses a request in which a thought
// that comes back was changed. But the signature itself holds the thought,
// encrypted, and is the same where the client has asked for thoughts without text
// (thinking.display: omitted), so a thought may come back without its text:
// https://platform.claude.com/docs/en/build-with-claude/extended-thinking.
//
// So the signature of a thought that was changed in an answer gets a mark, and a
// thought with that mark in a request loses it and its text.

// SignatureMark is put before the signature of a thought that was changed in an
// answer. Clients send signatures back as they came.
const SignatureMark = "attache-masked."

// A seal is a signature and the texts that it may be for, as indices.
type seal struct {
	at          span
	first, last int
}

// unmask gives marked signatures their thoughts back.
func (d *Doc) unmask() {
	c := changer{doc: d}
	for _, s := range d.seals {
		mark := s.at
		for mark.end = mark.at; bytes.HasPrefix(d.body[mark.end:s.at.end], []byte(SignatureMark)); {
			mark.end += int32(len(SignatureMark))
		}
		if mark.at == mark.end {
			continue
		}
		nothing := func(b []byte) []byte { return b }
		c.put(mark, nothing)
		for i := s.first; i < s.last; i++ {
			if f := &d.texts[i]; f.kind == Reasoning && f.form&bare == 0 {
				c.put(f.text, nothing)
			}
		}
	}
	if len(c.splices) == 0 {
		return
	}
	slices.SortFunc(c.splices, func(a, b splice) int { return cmp.Compare(a.at, b.at) })
	var next Doc
	if d.rebuild(&next, c.splices, nil) == nil { // else it is refused as it is
		*d = next
	}
}

// sealed returns the changes, which are sorted, as far as signatures allow them:
// in a request a thought is changed by leaving its text out.
func (c *changer) sealed(changes []Change) (allowed []Change) {
	d := c.doc
	for _, x := range changes {
		i := slices.IndexFunc(d.seals, func(s seal) bool { return s.first <= x.Text && x.Text < s.last })
		switch {
		case i < 0 || d.texts[x.Text].kind != Reasoning:
		case d.dialect.answer == nil:
			at := d.seals[i].at.at
			if !slices.ContainsFunc(c.splices, func(s splice) bool { return s.at == at }) {
				c.put(span{at, at}, func(b []byte) []byte { return append(b, SignatureMark...) })
			}
		case len(allowed) > 0 && allowed[len(allowed)-1].Text == x.Text:
			continue
		default:
			t := d.text(&d.texts[x.Text], x.Text)
			x = Change{Text: x.Text, To: len(t.Unquoted(nil))}
		}
		allowed = append(allowed, x)
	}
	return allowed
}
