package llm

import (
	"bytes"
	"cmp"
	"errors"
	"math"
	"slices"
	"unicode/utf8"
)

// Change puts other text in place of a part of a text.
type Change struct {
	// Text is the text's Index.
	Text int
	// From and To are offsets in bytes of the text as [Text.Unquoted] gives it.
	// A change that cuts a character takes all of it; one that is empty, From
	// being To, puts its text before it.
	From, To int
	With     string
}

// ChangeTexts returns the edit that changes texts of one body, as [Doc.Texts]
// yields them when the edit is applied. The changes may be in any order, but
// must not overlap. All other bytes stay as they are, with two exceptions: what
// a model's server has made of a text that changes, such as log probabilities,
// becomes null; and half of a surrogate pair is written as U+FFFD, which it means,
// where a change would join it with the other half.
func ChangeTexts(changes ...Change) Edit { return Edit{changes: changes} }

// ErrChange tells that a change does not fit: a mistake of whoever made it.
var ErrChange = errors.New("a change lies outside of the texts, or overlaps with another one")

// change makes a new body and reads it.
func (d *Doc) change(changes []Change) error {
	if err := d.Messages(); err != nil {
		return err
	}
	changes = slices.Clone(changes)
	slices.SortStableFunc(changes, func(a, b Change) int {
		return cmp.Or(cmp.Compare(a.Text, b.Text), cmp.Compare(a.From, b.From))
	})
	on := d
	if len(d.rules) > 0 {
		// Rules become texts like others. They keep their indices.
		on = new(Doc)
		if err := d.settle(on); err != nil {
			return err
		}
	}
	c := changer{doc: on, new: slices.Clip(on.new)}
	if err := c.all(changes); err != nil {
		return err
	}
	all := append(c.splices, on.splices...)
	slices.SortStableFunc(all, func(a, b splice) int { return cmp.Compare(a.at, b.at) })
	var next Doc
	if err := on.rebuild(&next, all, c.new); err != nil {
		return err
	}
	*d = next
	return nil
}

// settle makes a body of what will be sent, as next.
func (d *Doc) settle(next *Doc) error { return d.rebuild(next, d.splices, d.new) }

// rebuild makes a body with splices in it, as next. Rules that were inserted are
// messages of it.
func (d *Doc) rebuild(next *Doc, splices []splice, new []byte) error {
	size, moved := len(d.body), 0
	for _, s := range splices {
		by := int(s.to-s.from) - int(s.end-s.at)
		size += by
		if s.at < d.insert || s.at == d.insert && len(d.rules) > 0 {
			moved += by
		}
	}
	if size > math.MaxInt32 {
		return &Error{math.MaxInt32, "body too large"}
	}
	made := Doc{body: d.body, splices: splices, new: new}
	if err := next.Scan(d.dialect, made.Append(make([]byte, 0, size))); err != nil {
		return err
	}
	if err := next.Messages(); err != nil {
		return err
	}
	next.own = true
	next.insert, next.ruled = d.insert+int32(moved), d.ruled+int32(len(d.rules))
	next.behind = d.behind || d.count == 0 && len(d.rules) > 0
	return nil
}

// A changer makes splices of changes.
type changer struct {
	doc     *Doc
	splices []splice
	// new is where splices find what they put in.
	new []byte
	buf []byte
}

// all makes the splices of changes, which are sorted.
func (c *changer) all(changes []Change) error {
	d := c.doc
	changed := map[int32]bool{}
	last := embedded{}
	var inner changer // of last
	for _, x := range changes {
		if x.Text < 0 || x.Text >= len(d.texts) {
			return ErrChange
		}
	}
	changes = c.sealed(changes)
	for len(changes) > 0 {
		i := changes[0].Text
		n := slices.IndexFunc(changes, func(x Change) bool { return x.Text != i })
		if n < 0 {
			n = len(changes)
		}
		f := &d.texts[i]
		changed[f.message] = true
		into := c
		if f.form&inside != 0 {
			if e := d.embedding(f.text.at); *e != last {
				c.embed(&last, &inner)
				last, inner = *e, changer{doc: d}
			}
			into = &inner
		}
		t := d.text(f, i)
		if !into.text(f, &t, changes[:n]) {
			return ErrChange
		}
		changes = changes[n:]
	}
	c.embed(&last, &inner)
	c.erase(changed)
	return nil
}

// erase notes that what was made of texts of these messages is to go.
func (c *changer) erase(changed map[int32]bool) {
	for _, t := range c.doc.traces {
		if changed[t.message] {
			c.put(t.at, func(b []byte) []byte { return append(b, "null"...) })
		}
	}
}

// put notes a splice.
func (c *changer) put(at span, write func([]byte) []byte) {
	from := int32(len(c.new))
	c.new = write(c.new)
	c.splices = append(c.splices, splice{at.at, at.end, from, int32(len(c.new))})
}

// text notes the changes of one text.
func (c *changer) text(f *found, t *Text, changes []Change) bool {
	if f.form&bare != 0 {
		c.buf = c.buf[:0]
		at := 0
		for _, x := range changes {
			if x.From < at || x.To < x.From || x.To > len(t.Raw) {
				return false
			}
			c.buf = append(append(c.buf, t.Raw[at:x.From]...), x.With...)
			at = x.To
		}
		c.buf = append(c.buf, t.Raw[at:]...)
		c.put(f.text, func(b []byte) []byte { return AppendQuoted(b, string(c.buf)) })
		return true
	}
	first := len(c.splices)
	r := ruler{raw: t.Raw}
	last := 0
	for _, x := range changes {
		if x.From < last || x.To < x.From {
			return false
		}
		last = x.To
		from, ok := r.before(x.From)
		to := from
		if ok && x.To > x.From {
			to, ok = r.behind(x.To)
		}
		if !ok {
			return false
		}
		c.join(first, span{f.text.at + int32(from), f.text.at + int32(to)}, x.With)
	}
	c.heal(first, f.text, t.Raw)
	return true
}

// join notes a change of a string; next to the one before, it becomes one with
// it.
func (c *changer) join(first int, at span, with string) {
	write := func(b []byte) []byte {
		from := len(b)
		b = AppendQuoted(b, with) // without its quotes
		return b[:from+copy(b[from:], b[from+1:len(b)-1])]
	}
	if n := len(c.splices); n > first && c.splices[n-1].end == at.at {
		c.new = write(c.new)
		c.splices[n-1].end, c.splices[n-1].to = at.end, int32(len(c.new))
		return
	}
	c.put(at, write)
}

// heal keeps halves of surrogate pairs apart where what was between them is
// gone.
func (c *changer) heal(first int, text span, raw []byte) {
	const size = int32(len(`\ud800`))
	for i := first; i < len(c.splices); i++ {
		s := &c.splices[i]
		before, behind := s.at-text.at, s.end-text.at
		if s.from != s.to || s.at == s.end || before < size || int32(len(raw))-behind < size {
			continue
		}
		if high, ok := escaped(raw[before-size:]); !ok || high>>10 != 0xd800>>10 {
			continue
		}
		if low, ok := escaped(raw[behind:]); !ok || low>>10 != 0xdc00>>10 {
			continue
		}
		s.end += size
		s.from = int32(len(c.new))
		c.new = append(c.new, `\ufffd`...)
		s.to = int32(len(c.new))
	}
}

// escaped is the code unit of an escape like \ud800.
func escaped(raw []byte) (r rune, ok bool) {
	if raw[0] != '\\' || raw[1] != 'u' {
		return 0, false
	}
	return hex4(raw[2:])
}

// embed notes the changes in a string that holds JSON. in is what inner has
// changed.
func (c *changer) embed(e *embedded, in *changer) {
	if in.doc == nil {
		return
	}
	first := len(c.splices)
	raw := e.in.of(c.doc.body)
	r := ruler{raw: raw}
	for _, s := range in.splices {
		from, _ := r.before(int(s.at - e.at))
		to := from
		if s.end > s.at {
			to, _ = r.behind(int(s.end - e.at))
		}
		c.join(first, span{e.in.at + int32(from), e.in.at + int32(to)}, string(in.new[s.from:s.to]))
	}
	c.heal(first, e.in, raw)
}

// A ruler goes along what is between the quotes of a JSON string, and tells
// where its text is.
type ruler struct {
	raw []byte
	// at is an offset in raw where a character begins, and n the same in the
	// text.
	at, n int
}

// before returns where the character begins that the offset n of the text is
// in, but not before what the ruler has passed. ok is false if the text is
// shorter.
func (r *ruler) before(n int) (at int, ok bool) {
	for r.n < n {
		if r.at == len(r.raw) {
			return 0, false
		}
		size, length := r.next(n - r.n)
		if r.n+length > n {
			break
		}
		r.at, r.n = r.at+size, r.n+length
	}
	return r.at, true
}

// behind goes on to the end of the character that the offset n of the text is
// in or behind of.
func (r *ruler) behind(n int) (at int, ok bool) {
	for r.n < n {
		if r.at == len(r.raw) {
			return 0, false
		}
		size, length := r.next(n - r.n)
		r.at, r.n = r.at+size, r.n+length
	}
	return r.at, true
}

// next measures what comes next: one character, or up to n bytes of whole ones
// without escapes.
func (r *ruler) next(n int) (size, length int) {
	rest := r.raw[r.at:]
	if rest[0] == '\\' {
		return measure(rest)
	}
	plain := rest[:min(n, len(rest))]
	if i := bytes.IndexByte(plain, '\\'); i >= 0 {
		plain = plain[:i]
	}
	size = len(plain)
	for size > 0 && size < len(rest) && !utf8.RuneStart(rest[size]) {
		size--
	}
	if size == 0 {
		_, size = utf8.DecodeRune(rest)
	}
	return size, size
}

// measure returns how long an escape is, or the two of a surrogate pair, and how
// long the text that they stand for.
func measure(raw []byte) (size, length int) {
	if raw[1] != 'u' {
		return 2, 1
	}
	const one, two = len(`\ud83d`), len(`\ud83d\ude00`)
	r, _ := escaped(raw)
	if r>>10 == 0xd800>>10 && len(raw) >= two {
		if low, ok := escaped(raw[one:]); ok && low>>10 == 0xdc00>>10 {
			return two, 4
		}
	}
	if r>>11 == 0xd800>>11 {
		r = utf8.RuneError
	}
	return one, utf8.RuneLen(r)
}
