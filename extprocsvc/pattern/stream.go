package pattern

import (
	"cmp"
	"slices"
	"unicode/utf8"
)

// A Match is a span of text that belongs to a match. Spans do not overlap.
type Match struct {
	// Pattern is the index of the pattern.
	Pattern int
	// Start and End are offsets from the beginning of the text, in bytes.
	Start, End int
	// Over is whether the span is a part of what went beyond the MaxMatch of
	// its pattern, and so may be no match.
	Over bool
}

// A Stream finds the matches of a set in a text that comes in pieces. It is
// for one goroutine at a time.
type Stream struct {
	set *Set
	// size is the length of the text so far.
	size int
	// carry is the end of the text so far that is needed again: partial is how
	// much of it is a sequence of UTF-8 that is not complete; what is before
	// may be part of a match that will have to be checked.
	carry   []byte
	partial int
	// prev is what assertions see of the last character.
	prev kind

	table *table
	row   uint32
	// runners has one for each pattern; active are those that are not idle.
	runners []runner
	active  []int
	// hit notes the patterns that have to be looked at in the current region.
	hit     []bool
	hits    []int
	covered int
	safe    int
	closed  bool
	out     []Match
	merge   []Match
}

// A runner is where the exact automaton of one pattern is in a text.
type runner struct {
	state  *state
	starts []int // of the groups of the state
	// found are matches that are not reported yet: of one that is preferred,
	// something may still come.
	found []Match
	// cut is where the next part begins of a match beyond its bound.
	cut int
}

// NewStream returns a stream at the beginning of a text.
func (s *Set) NewStream() *Stream {
	st := &Stream{set: s, runners: make([]runner, len(s.exact)), hit: make([]bool, len(s.exact))}
	st.Reset()
	return st
}

// Reset begins a new text.
func (s *Stream) Reset() {
	s.table, s.row = s.set.rough.start()
	for i := range s.runners {
		r := &s.runners[i]
		r.state, r.starts, r.found = nil, r.starts[:0], r.found[:0]
	}
	for _, k := range s.hits {
		s.hit[k] = false
	}
	s.size, s.carry, s.partial, s.prev = 0, s.carry[:0], 0, begin
	s.active, s.hits, s.covered, s.safe, s.closed, s.out = s.active[:0], s.hits[:0], 0, 0, false, s.out[:0]
}

// Find appends the matches of a whole text.
func (s *Set) Find(matches []Match, text []byte) []Match {
	st := s.streams.Get().(*Stream)
	defer s.streams.Put(st)
	st.Reset()
	matches = append(matches, st.Write(text)...)
	return append(matches, st.Close()...)
}

// maxCarry is the capacity beyond which a stream gives its memory back.
const maxCarry = 64 << 10

// Write takes the next piece of the text and returns the matches that are
// final now and were not before, in order. They are valid until the next call.
// The piece is not kept. Write must not be called after Close.
func (s *Stream) Write(piece []byte) []Match {
	s.out = s.out[:0]
	if s.closed {
		panic("pattern: Write after Close")
	}
	if len(piece) == 0 {
		return nil
	}
	text, at := piece, 0
	if len(s.carry) > 0 {
		at = len(s.carry) - s.partial
		s.carry = append(s.carry, piece...)
		text = s.carry
	}
	s.size += len(piece)
	base := s.size - len(text)
	stop := len(text) - incomplete(text[at:])
	s.scan(text, base, at, stop)
	s.report(stop + base)
	s.partial = len(text) - stop
	if s.partial > 0 {
		s.safe = max(s.covered, s.foresee(stop+base))
	}
	s.keep(text, base, stop)
	return s.out
}

// Close ends the text and returns the matches that are final with that.
func (s *Stream) Close() []Match {
	s.out = s.out[:0]
	if s.closed {
		return nil
	}
	s.closed = true
	text := s.carry
	base := s.size - len(text)
	if s.partial > 0 {
		s.scan(text, base, len(text)-s.partial, len(text))
	}
	for _, k := range s.active {
		s.runners[k].close(s.set.exact[k], k, text, base, s.size)
	}
	s.report(s.size)
	s.safe = s.size
	return s.out
}

// Safe returns the offset before which every byte is decided: it is part of a
// match that was returned, or it is part of none, whatever follows.
func (s *Stream) Safe() int { return s.safe }

// incomplete returns how many bytes at the end of a text may be the beginning
// of a character.
func incomplete(text []byte) int {
	for i := max(0, len(text)-utf8.UTFMax+1); i < len(text); i++ {
		if text[i] >= 0xc0 && !utf8.FullRune(text[i:]) {
			return len(text) - i
		}
	}
	return 0
}

// scan follows the text from at to stop, and leaves the runners that are active
// there at stop.
func (s *Stream) scan(text []byte, base, at, stop int) {
	r := s.set.rough
	s.table, s.row = r.adopt(s.table, s.row)
	// region is where the current region begins, at the start of which all
	// runners are idle or up to date.
	i, region := at, at
	look := len(s.active) > 0
	// slow is up to where leaps are of no use.
	slow := at
	for i < stop {
		if !look {
			for i >= slow {
				size := min(maxLane, (stop-i-laneSlack)/lanes)
				if size < minLane || i-region+size+laneSlack > s.set.short {
					break
				}
				to, row, quiet, ok := s.table.leap(&r.alphabet.ascii, text[:stop], i, size, s.row)
				if !ok {
					slow = i + lanes*size
					break
				}
				i, s.row, region = to, row, quiet
			}
			i, s.row, region = s.table.run(&r.alphabet.ascii, text[:min(stop, region+s.set.short, i+lanes*maxLane)], i, s.row, region)
			if i == stop {
				break
			}
			// Something may have grown beyond its bound.
			look = i-region >= s.set.short
		}
		class, width := r.alphabet.next(text[i:])
		s.table, s.row = r.next(s.table, s.row, class)
		i += width
		quiet := s.row < s.table.idle
		if s.row >= s.table.special {
			state := s.table.state(s.row)
			for _, k := range state.matched {
				s.mark(int(k))
			}
			look, quiet = true, len(state.threads) == 0
		}
		if quiet {
			if look {
				s.settle(text, base, at, region, i)
				s.report(i + base)
				// An alternative can wait where none of its looks can hold.
				look = len(s.active) > 0
			}
			region = i
		}
	}
	if state := s.table.state(s.row); len(state.threads) > 0 {
		for _, k := range state.live {
			s.mark(int(k))
		}
		s.settle(text, base, at, region, stop)
	}
	if stop > at {
		s.prev = kindOf(text[stop-1])
	}
}

// mark notes that a pattern has to be looked at in the current region.
func (s *Stream) mark(k int) {
	if !s.hit[k] {
		s.hit[k] = true
		s.hits = append(s.hits, k)
	}
}

// settle runs the automata of the patterns that are marked or active over a
// region. at is where the scan began.
func (s *Stream) settle(text []byte, base, at, from, to int) {
	prev := s.prev
	if from > at {
		prev = kindOf(text[from-1])
	}
	for _, k := range s.active {
		s.mark(k)
	}
	if to-from > s.set.short {
		for _, k := range s.set.bounded {
			s.mark(k)
		}
	}
	s.active = s.active[:0]
	for _, k := range s.hits {
		s.hit[k] = false
		e, r := s.set.exact[k], &s.runners[k]
		if r.state == nil {
			r.state = e.idle[prev]
		}
		for i := from; i < to; {
			class, width := s.set.alphabet.next(text[i:])
			r.step(e, k, int(e.class[class]), text, base, base+i, width)
			i += width
		}
		s.active = append(s.active, k)
	}
	s.hits = s.hits[:0]
}

// step takes one character, which begins at pos.
func (r *runner) step(e *exact, k, class int, text []byte, base, pos, width int) {
	ed := e.edge(r.state, class)
	next := pos + width
	if r.state.over {
		if len(ed.to.groups) > 0 {
			r.part(e, k, pos, next)
			r.state = ed.to
			return
		}
		with := len(ed.done) > 0 && ed.done[0].with
		r.starts = r.starts[:0]
		if with {
			r.part(e, k, pos, next)
			r.found = append(r.found, Match{k, r.cut, next, true})
			r.state = ed.to
			return
		}
		// It ended before this character, with which the search goes on.
		r.found = append(r.found, Match{k, r.cut, pos, true})
		r.state = e.idle[r.state.prev]
		ed = e.edge(r.state, class)
	}
	if ed.open != nil {
		ed = r.check(e, ed.open, text, base, pos, next)
	}
	for _, f := range ed.done {
		start, stop := pos, pos
		if f.group != fresh {
			start = r.starts[f.group]
		}
		if f.with {
			stop = next
		}
		r.drop(start)
		r.found = append(r.found, Match{k, start, stop, false})
	}
	// Groups keep their order, so each beginning moves to the left.
	starts := append(r.starts, pos)
	for i, from := range ed.from {
		if from == fresh {
			starts[i] = pos
		} else {
			starts[i] = starts[from]
		}
	}
	r.starts = starts[:len(ed.from)]
	r.state = ed.to
	if e.max > 0 {
		r.bound(e, k, pos, next)
	}
}

// drop forgets the matches that begin at start or later: one that is preferred
// to them has been found.
func (r *runner) drop(start int) {
	n := len(r.found)
	for n > 0 && r.found[n-1].Start >= start {
		n--
	}
	r.found = r.found[:n]
}

// bound looks whether something has grown longer than max.
func (r *runner) bound(e *exact, k, pos, next int) {
	if len(r.starts) > 0 {
		if next-r.starts[0] > e.max {
			r.cut = r.starts[0]
			r.drop(r.cut)
			r.starts = r.starts[:1]
			r.state = e.beyond(r.state)
			r.part(e, k, pos, next)
		}
		return
	}
	if n := len(r.found) - 1; n >= 0 && r.found[n].End == next && next-r.found[n].Start > e.max {
		r.cut = r.found[n].Start
		r.found = r.found[:n]
		r.part(e, k, pos, next)
		r.found = append(r.found, Match{k, r.cut, next, true})
	}
}

// part ends a part of a match beyond its bound at pos, if with the character
// behind that it would be too long.
func (r *runner) part(e *exact, k, pos, next int) {
	if next-r.cut > e.max {
		r.found = append(r.found, Match{k, r.cut, pos, true})
		r.cut = pos
	}
}

// check finds which matches of a step count, and returns the edge for that.
func (r *runner) check(e *exact, o *open, text []byte, base, pos, next int) *edge {
	old, young := noFinish, false
	for i, f := range o.finish {
		switch {
		case f.group == fresh:
			if old == noFinish || !o.finish[old].with {
				young = e.valid(text[pos-base : next-base : next-base])
			}
		case old == noFinish:
			stop := pos
			if f.with {
				stop = next
			}
			if e.valid(text[r.starts[f.group]-base : stop-base : stop-base]) {
				old = i
			}
		}
	}
	return e.settled(o, old, young)
}

// close ends the text at size.
func (r *runner) close(e *exact, k int, text []byte, base, size int) {
	ed := e.edge(r.state, len(e.kind))
	switch {
	case r.state.over:
		r.found = append(r.found, Match{k, r.cut, size, true})
	case ed.open != nil:
		ed = r.check(e, ed.open, text, base, size, size)
		fallthrough
	default:
		for _, f := range ed.done {
			start := r.starts[f.group]
			r.drop(start)
			r.found = append(r.found, Match{k, start, size, false})
		}
	}
	r.starts = r.starts[:0]
}

// live returns where the first thing begins that is not decided, or none.
func (r *runner) live(none int) int {
	switch {
	case len(r.starts) == 0:
		return none
	case r.state.over:
		return r.cut
	}
	return r.starts[0]
}

// report hands out what is final when the text is known up to size, and finds
// what is safe.
func (s *Stream) report(size int) {
	live := size
	for _, k := range s.active {
		live = min(live, s.runners[k].live(size))
	}
	s.merge = s.merge[:0]
	keep := s.active[:0]
	for _, k := range s.active {
		r := &s.runners[k]
		n := 0
		for n < len(r.found) && r.found[n].Start < live {
			n++
		}
		s.merge = append(s.merge, r.found[:n]...)
		if n == len(r.found) {
			n, r.found = 0, r.found[:0]
		}
		r.found = r.found[n:]
		if len(r.starts) > 0 || len(r.found) > 0 {
			keep = append(keep, k)
		} else {
			r.state = nil
		}
	}
	s.active = keep
	if len(s.merge) > 1 {
		slices.SortFunc(s.merge, before)
	}
	for _, m := range s.merge {
		if m.End > s.covered {
			m.Start = max(m.Start, s.covered)
			s.covered = m.End
			s.out = append(s.out, m)
		}
	}
	s.safe = max(s.covered, live)
}

// before orders matches: the first, then the longest, then by pattern.
func before(a, b Match) int {
	return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(b.End, a.End), cmp.Compare(a.Pattern, b.Pattern))
}

// keep keeps what will be needed again of a text.
func (s *Stream) keep(text []byte, base, stop int) {
	need := stop
	for _, k := range s.active {
		if s.set.exact[k].valid != nil && len(s.runners[k].starts) > 0 {
			need = min(need, s.runners[k].starts[0]-base)
		}
	}
	rest := text[need:]
	if cap(s.carry) > maxCarry && len(rest) <= maxCarry {
		s.carry = nil
	}
	s.carry = append(s.carry[:0], rest...)
}

// foresee returns where the first match can begin of which the sequence of
// UTF-8 at the end, which is not complete, can be a part, or that is not
// handed out yet. The sequence will be a character that is not ASCII, or as
// many characters as it has bytes, all invalid.
func (s *Stream) foresee(pos int) int {
	first := s.size
	switch {
	case s.set.wide[s.prev]:
		first = pos
	case s.partial > 1 && s.set.wide[other]:
		first = pos + 1
	}
	for _, k := range s.active {
		r, e := &s.runners[k], s.set.exact[k]
		if len(r.found) > 0 {
			first = min(first, r.found[0].Start)
		}
		if r.state.over {
			first = min(first, r.cut)
		}
		for c, wide := range e.wides {
			if wide && len(r.starts) > 0 && e.edge(r.state, c).continues() {
				first = min(first, r.live(first))
			}
		}
	}
	return first
}
