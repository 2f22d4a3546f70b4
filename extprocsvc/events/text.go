package events

import (
	"bytes"

	"github.com/attache-dev/attache/extprocsvc/llm"
)

// A text is one text of the answer. Its bytes are counted as its events say
// them, without the escapes of the events' JSON: its base.
type text struct {
	flow *Flow
	key  llm.TextKey
	// decoder is behind what came.
	decoder llm.Decoder
	size    int // what came of the base
	done    int // what is decided of it
	// pieces are those that are not decided, in order.
	pieces []piece
	// nodes are the guards, if open; else what they need to go on, or nothing.
	nodes []node
	open  bool
	// inner reads a text that is JSON; nil for others.
	inner *arguments
	// event is the number of the last event with a piece of it.
	event int
	// listed tells that it is in the flow's list of texts that hold something.
	listed bool
	// changed tells that it was, since it had a signature.
	changed bool
	// once tells that nothing can follow its end.
	once bool
}

// A piece is the part of a text that lies in one event.
type piece struct {
	event    *event
	at, end  int // in the event
	from, to int // in the base
	decoder  llm.Decoder
	quoted   bool
}

// A segment is a part of a text on its way through the guards: what it reads,
// and the range of the base that it stands for.
type segment struct {
	text     []byte
	from, to int
	// same tells that it reads as the base does: byte for byte if both have the
	// same length, else as an escape of a text in JSON.
	same bool
	// own tells that the text may be kept.
	own bool
}

// cut parts a segment at n bytes of its text. What does not read as the base
// has it stands for its range with its last byte: the range is decided then.
func (s segment) cut(n int) (first, rest segment) {
	first, rest = s, s
	first.text, rest.text = s.text[:n], s.text[n:]
	if s.bytes() {
		first.to = s.from + n
		rest.from = first.to
	} else {
		first.to, first.same, rest.same = s.from, false, false
	}
	return first, rest
}

// bytes tells that each byte of the text is one of the base.
func (s segment) bytes() bool { return s.same && len(s.text) == s.to-s.from }

// whole tells that the segment cannot be parted without a change.
func (s segment) whole() bool { return s.same && !s.bytes() }

// A node is the place of one guard in a text.
type node struct {
	guard Guard
	// held is what the guard has got and has not decided: from off to size.
	held      []segment
	off, size int
	// tail is, of a text that has ended, what the guard had held then. gone is
	// how much of what it has got was sent before it got it.
	tail []byte
	gone int
}

// write hands a segment to the guard at k, or what follows them.
func (t *text) write(k int, s segment) error {
	if k == len(t.nodes) {
		return t.out(s)
	}
	n := &t.nodes[k]
	n.held = append(n.held, s)
	d := Decision{Safe: n.size}
	if len(s.text) > 0 {
		n.size += len(s.text)
		d = n.guard.Write(s.text)
	}
	if err := t.settle(k, d); err != nil {
		return err
	}
	for i := range n.held {
		if h := &n.held[i]; !h.own {
			h.text, h.own = bytes.Clone(h.text), true
		}
	}
	return nil
}

// settle does what the guard at k has decided.
func (t *text) settle(k int, d Decision) error {
	n := &t.nodes[k]
	if d.Stop {
		return &Stopped{Guard: k}
	}
	if d.Safe > n.size {
		return &Misbehaved{Guard: k}
	}
	at, off := 0, n.off
	for _, e := range d.Edits {
		if e.Start >= e.End || e.Start < at || e.End > d.Safe {
			return &Misbehaved{Guard: k}
		}
		at = e.End
		if e.End <= n.gone {
			continue // it was dealt with when the text had ended
		}
		if e.Start < n.gone {
			return ErrResumed
		}
		if e.Start < off {
			return &Misbehaved{Guard: k}
		}
		if err := t.pass(k, e.Start); err != nil {
			return err
		}
		s, ok := n.remove(e.End)
		if !ok {
			continue // the edit before was widened over it
		}
		s.text = []byte(e.Text)
		if err := t.write(k+1, s); err != nil {
			return err
		}
	}
	return t.pass(k, d.Safe)
}

// pass hands on what is held before an offset. What cannot be parted is left to
// an edit that follows, or waits.
func (t *text) pass(k, until int) error {
	n := &t.nodes[k]
	for len(n.held) > 0 {
		s := n.held[0]
		if len(s.text) > 0 && n.off >= until {
			break
		}
		if n.off+len(s.text) > until {
			if s.whole() {
				break
			}
			s, n.held[0] = s.cut(until - n.off)
		} else {
			n.held = n.drop()
		}
		n.off += len(s.text)
		if err := t.write(k+1, s); err != nil {
			return err
		}
	}
	return nil
}

func (n *node) drop() []segment {
	copy(n.held, n.held[1:])
	return n.held[:len(n.held)-1]
}

// remove takes what is held before an offset away, and returns a segment for
// its range.
func (n *node) remove(until int) (gone segment, ok bool) {
	for len(n.held) > 0 && n.off < until {
		s := n.held[0]
		if n.off+len(s.text) > until && !s.whole() {
			s, n.held[0] = s.cut(until - n.off)
		} else {
			n.held = n.drop()
		}
		n.off += len(s.text)
		if !ok {
			gone.from, ok = s.from, true
		}
		gone.to = s.to
	}
	return gone, ok
}

// begin opens the guards, on what they had held if the text had ended.
func (t *text) begin() {
	if t.open {
		return
	}
	t.open = true
	f := t.flow
	if t.nodes == nil {
		t.nodes = f.rooms.take(f.config.Guards)
	}
	for k := range t.nodes {
		n := &t.nodes[k]
		n.guard = f.guard(k)
		n.off, n.size, n.gone = 0, 0, 0
		if tail := n.tail; len(tail) > 0 {
			// What it finds in there was dealt with.
			n.guard.Write(tail)
			n.off, n.size, n.gone, n.tail = len(tail), len(tail), len(tail), nil
		}
	}
}

// end ends the text for the guards. With keep, they can go on if it was not the
// end after all.
func (t *text) end(keep bool) error {
	if !t.open {
		if !keep {
			t.nodes = nil // what they had held is nothing to the next text
		}
		return nil
	}
	tails := false
	for k := range t.nodes {
		n := &t.nodes[k]
		n.tail = nil
		if keep && len(n.held) > 0 {
			for _, s := range n.held {
				n.tail = append(n.tail, s.text...)
			}
			tails = tails || len(n.tail) > 0
		}
		d := n.guard.Close()
		if !d.Stop {
			d.Safe = n.size
		}
		if err := t.settle(k, d); err != nil {
			return err
		}
		t.flow.spare(k, n.guard)
		n.guard = nil
	}
	t.open = false
	if !tails {
		t.flow.rooms.give(t.nodes)
		t.nodes = nil
	}
	return nil
}

// feed takes the next bytes of the base.
func (t *text) feed(b []byte) error {
	from := t.size
	t.size += len(b)
	if t.inner != nil {
		return t.inner.feed(t, b, from)
	}
	t.begin()
	return t.write(0, segment{text: b, from: from, to: t.size, same: true})
}

// close ends the text. What is held of it is decided then.
func (t *text) close() error {
	if t.inner != nil {
		if err := t.inner.close(t); err != nil {
			return err
		}
	}
	if err := t.end(!t.once); err != nil {
		return err
	}
	t.decide(t.size)
	return nil
}

// out takes what has passed all guards.
func (t *text) out(s segment) error {
	if t.inner != nil {
		return t.inner.out(t, s)
	}
	if !s.same {
		t.edit(s.from, s.to, s.text)
	}
	t.decide(s.to)
	return nil
}

// edit changes a range of the base. What takes its place goes to the event in
// which it begins.
func (t *text) edit(from, to int, put []byte) {
	first := true
	t.changed = true
	for i := range t.pieces {
		p := &t.pieces[i]
		if p.to <= from {
			continue
		}
		if p.from >= to && !first {
			break
		}
		a, b := max(from, p.from), min(max(from, to), p.to)
		start, end := a-p.from, b-p.from
		if p.quoted {
			d := p.decoder
			if raw := p.event.raw[p.at:p.end]; start == end {
				start, _ = d.Range(raw, start, start+1)
				end = start
			} else {
				start, end = d.Range(raw, start, end)
			}
		}
		c := change{at: p.at + start, end: p.at + end}
		if first {
			if first = false; p.quoted {
				c.put = escaped(put)
			} else {
				c.put = bytes.Map(inLine, put)
			}
		}
		p.event.changes = append(p.event.changes, c)
	}
}

// inLine keeps a text on its line.
func inLine(r rune) rune {
	if r == '\n' || r == '\r' {
		return ' '
	}
	return r
}

// escaped is a text within a JSON string.
func escaped(text []byte) []byte {
	q := llm.AppendQuoted(nil, string(text))
	return q[1 : len(q)-1]
}

// decide lets go what is before an offset of the base.
func (t *text) decide(until int) {
	t.done = max(t.done, until)
	n := 0
	for n < len(t.pieces) && t.pieces[n].to <= t.done {
		t.pieces[n].event.open--
		n++
	}
	if n > 0 {
		m := copy(t.pieces, t.pieces[n:])
		clear(t.pieces[m:])
		t.pieces = t.pieces[:m]
	}
}
