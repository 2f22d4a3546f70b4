package pattern

import (
	"encoding/binary"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
)

const (
	// maxExact is how many states of one exact automaton are kept.
	maxExact = 2048
	// maxThreads is how many threads the kept states of one automaton have
	// together, 4 bytes each and about as much again for their keys.
	maxThreads = 1 << 18
)

// exact is the automaton that finds the matches of one pattern, with their
// beginnings.
//
// Leftmost-first search again and again is one leftmost-first match of
// (expr|any character)* with the whole text, so one pass with a list of
// threads in order of preference finds everything. The threads of an earlier
// beginning come first. A thread at an instruction where a preferred one is
// too can never win and is dropped (not if matches are checked: then the
// preferred one can fail where the other does not). A match ends all threads
// that are less preferred; whether it counts is open while preferred ones live.
//
// A state is such a list without the beginnings, in groups of one beginning
// each. The beginnings are in the [runner], and an edge says which groups
// survive.
type exact struct {
	*program
	valid func([]byte) bool
	// max is the bound on a match that is not decided, or 0.
	max int
	// class maps the classes of the set's alphabet to those of this program,
	// kind gives what assertions see of the latter, and eat tells by
	// instruction which it accepts.
	class [256]uint8
	kind  []kind
	// wides tells which of our classes are not ASCII.
	wides []bool
	eat   []classSet
	// waits are the alternatives that are not followed before the next
	// character is known; see waiting.
	waits []bool
	// idle are the states without a thread, by the kind of the last character.
	idle [kinds]*state
	// wide is whether a match can begin, behind such a character, with one that
	// is not ASCII.
	wide [kinds]bool

	mu sync.Mutex
	// states are those that are kept, at most limit of them, and threads counts
	// the threads that they have.
	states  map[string]*state
	limit   int
	threads int
	key     []byte
	// behind and ahead are the instructions that were reached before and after
	// a step, if they have the number of the round.
	behind, ahead           []uint64
	behindRound, aheadRound uint64
}

// A state is what the automaton remembers of a text.
type state struct {
	prev kind
	// over is whether the only group is that of a match beyond its bound, so
	// that no other can begin.
	over   bool
	groups []group
	// edges are those that were needed so far, by class; the last is for the
	// end of the text.
	edges []atomic.Pointer[edge]
}

// A group is the threads of one beginning: instructions that eat, or that look
// at the next character, or alternatives that wait for it.
type group []uint32

// fresh stands for a group that begins with the character of the step.
const fresh = -1

// An edge is what a character does to a state.
type edge struct {
	// to is the next state, and from tells for each of its groups which one of
	// the old state it continues, or that it is fresh.
	to   *state
	from []int
	// done are the matches: at most one of an old group, and then perhaps one
	// of the fresh group.
	done []finish
	// open is set instead of all that if matches have to be checked first.
	open *open
}

// A finish is a match of a group.
type finish struct {
	group int
	// with is whether the match includes the character of the step.
	with bool
	// threads counts those of its group that are preferred to it.
	threads int
}

// continues tells whether an old group goes on over the edge or matches there.
func (ed *edge) continues() bool {
	if ed.open != nil {
		for _, g := range ed.open.olds {
			if len(g) > 0 {
				return true
			}
		}
		return ed.open.finish[0].group != fresh
	}
	return len(ed.from) > 0 && ed.from[0] != fresh || len(ed.done) > 0 && ed.done[0].group != fresh
}

// open is what a step comes to, before it is known which matches count.
type open struct {
	prev kind
	over bool
	// olds are the groups of the old state, some of them perhaps empty now, and
	// young is the one that begins with this character.
	olds  []group
	young group
	// finish are the matches of old groups, in order of preference, and then
	// that of the young one, if any.
	finish []finish
	// settled are the edges by what counts: first which finish of an old group,
	// if any, then whether that of the young group.
	settled []atomic.Pointer[edge]
}

// init is called once the alphabet is known.
func (e *exact) init(a *alphabet, sets []classSet) error {
	e.behind, e.ahead = make([]uint64, len(e.insts)), make([]uint64, len(e.insts))
	e.waits = waiting(e.insts)
	e.states, e.limit = map[string]*state{}, maxExact
	// Classes are the same to this program if the same sets have them and
	// assertions see the same.
	var used []uint32
	seen := map[uint32]bool{}
	for _, in := range e.insts {
		if in.op == opEat && !seen[in.set] {
			seen[in.set] = true
			used = append(used, in.set)
		}
	}
	known := map[string]uint8{}
	// Classes of ASCII are kept apart from the others, which have no part in
	// what a sequence of UTF-8 that is not complete can become.
	var first []uint8 // a class of the set for each of ours
	for c := range a.size {
		k := e.back[a.kind[c]]
		if e.looksAhead() {
			k = a.kind[c]
		}
		sig := []byte{byte(k), 0}
		if a.wide[c] {
			sig[1] = 1
		}
		for _, s := range used {
			if sets[s].has(uint8(c)) {
				sig = append(sig, 1)
			} else {
				sig = append(sig, 0)
			}
		}
		at, ok := known[string(sig)]
		if !ok {
			at = uint8(len(e.kind))
			known[string(sig)] = at
			e.kind, e.wides, first = append(e.kind, k), append(e.wides, a.wide[c]), append(first, uint8(c))
		}
		e.class[c] = at
	}
	e.eat = make([]classSet, len(e.insts))
	for i, in := range e.insts {
		if in.op != opEat {
			continue
		}
		for c, of := range first {
			if sets[in.set].has(of) {
				e.eat[i].add(uint8(c))
			}
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for k := range e.idle {
		e.idle[k] = e.intern(&state{prev: e.back[k]})
	}
	// A pattern must be able to begin.
	begins := false
	for k, s := range e.idle[:end] {
		for c := range e.kind {
			if ed := e.step(s, c); ed.open != nil || len(ed.done) > 0 || len(ed.to.groups) > 0 {
				begins = true
				e.wide[k] = e.wide[k] || e.wides[c]
			}
		}
	}
	if !begins {
		return errors.New("finds nothing, or nothing but the empty text")
	}
	return nil
}

// looksAhead tells whether some assertion depends on the next character.
func (e *exact) looksAhead() bool {
	return slices.ContainsFunc(e.insts, inst.looksAhead)
}

// intern returns the state that stands for all that are equal to s.
func (e *exact) intern(s *state) *state {
	key := append(e.key[:0], byte(s.prev), 0)
	if s.over {
		key[1] = 1
	}
	n := 0
	for _, g := range s.groups {
		n += len(g)
		key = binary.AppendUvarint(key, uint64(len(g)))
		for _, pc := range g {
			key = binary.AppendUvarint(key, uint64(pc))
		}
	}
	e.key = key
	if known := e.states[string(key)]; known != nil {
		return known
	}
	if len(e.states) >= e.limit || e.threads > 0 && e.threads+n > maxThreads {
		for _, old := range e.states {
			for i := range old.edges {
				old.edges[i].Store(nil)
			}
		}
		clear(e.states)
		e.threads = 0
		for _, idle := range e.idle {
			e.intern(idle)
		}
		return e.intern(s)
	}
	if s.edges == nil {
		s.edges = make([]atomic.Pointer[edge], len(e.kind)+1)
	}
	e.states[string(key)] = s
	e.threads += n
	return s
}

// edge returns what a class of the program, or the end of the text, does.
func (e *exact) edge(s *state, class int) *edge {
	if ed := s.edges[class].Load(); ed != nil {
		return ed
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	ed := s.edges[class].Load()
	if ed == nil {
		ed = e.step(s, class)
		s.edges[class].Store(ed)
	}
	return ed
}

// step computes an edge.
func (e *exact) step(s *state, class int) *edge {
	st := stepper{exact: e, class: class, prev: s.prev, next: end}
	if class < len(e.kind) {
		st.next = e.kind[class]
	}
	st.after = e.back[st.next]
	op := &open{prev: st.after, over: s.over}
	e.aheadRound++
	cut := false
	for i, g := range s.groups {
		if cut = st.run(i, g); cut {
			op.olds = append(op.olds, st.threads)
			break
		}
		op.olds = append(op.olds, st.threads)
	}
	// The search goes on where the last match ended, which can be before this
	// character, but not behind it.
	if class < len(e.kind) && !s.over && !(cut && st.finish[len(st.finish)-1].with) {
		st.run(fresh, group{e.start})
		op.young = st.threads
	}
	op.finish = st.finish
	if e.valid == nil || len(op.finish) == 0 {
		old, young := noFinish, false
		for i, f := range op.finish {
			if f.group == fresh {
				young = true
			} else {
				old = i
			}
		}
		return e.settle(op, old, young)
	}
	op.settled = make([]atomic.Pointer[edge], 2*(len(op.finish)+1))
	return &edge{open: op}
}

// noFinish means that no match of an old group counts.
const noFinish = -1

// settle computes what a step comes to if these matches count.
func (e *exact) settle(o *open, old int, young bool) *edge {
	ed := &edge{}
	olds, last := o.olds, o.young
	if old != noFinish {
		f := o.finish[old]
		ed.done = append(ed.done, f)
		olds = append(olds[:f.group:f.group], olds[f.group][:f.threads])
		if f.with {
			last = nil
		}
	}
	if young {
		f := o.finish[len(o.finish)-1]
		ed.done = append(ed.done, f)
		last = last[:f.threads]
	}
	to := &state{prev: o.prev}
	for i, g := range olds {
		if len(g) > 0 {
			to.groups, ed.from = append(to.groups, g), append(ed.from, i)
		}
	}
	if len(last) > 0 {
		to.groups, ed.from = append(to.groups, last), append(ed.from, fresh)
	}
	to.over = o.over && len(to.groups) > 0
	ed.to = e.intern(to)
	return ed
}

// settled is settle for an open edge, remembered.
func (e *exact) settled(o *open, old int, young bool) *edge {
	at := &o.settled[2*(old+1)]
	if young {
		at = &o.settled[2*(old+1)+1]
	}
	if ed := at.Load(); ed != nil {
		return ed
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	ed := e.settle(o, old, young)
	at.Store(ed)
	return ed
}

// beyond returns the state in which only the first group of s is left, as that
// of a match beyond its bound.
func (e *exact) beyond(s *state) *state {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.intern(&state{prev: s.prev, over: true, groups: s.groups[:1]})
}

// A stepper computes one step.
type stepper struct {
	*exact
	class             int
	prev, next, after kind
	group             int
	threads           group
	finish            []finish
}

// run steps a group and leaves its threads. It returns whether a match ends
// all that is less preferred.
func (s *stepper) run(i int, g group) bool {
	s.group, s.threads = i, nil
	s.behindRound++
	if s.valid != nil {
		s.aheadRound++
	}
	for _, pc := range g {
		if s.expand(pc) {
			return true
		}
	}
	return false
}

// match notes a match and returns whether it ends what is less preferred.
func (s *stepper) match(with bool) bool {
	for _, f := range s.finish {
		if f.group == s.group && f.with == with {
			return false // the same match on a less preferred way
		}
	}
	s.finish = append(s.finish, finish{s.group, with, len(s.threads)})
	return s.valid == nil
}

// expand follows a thread up to the character and over it.
func (s *stepper) expand(pc uint32) bool {
	for {
		in := &s.insts[pc]
		if in.op == opMatch {
			if s.group == fresh {
				return true // the empty match: nothing is found here
			}
			return s.match(false)
		}
		if s.behind[pc] == s.behindRound {
			return false
		}
		s.behind[pc] = s.behindRound
		switch in.op {
		case opAlt:
			if s.expand(in.out) {
				return true
			}
			pc = in.arg
		case opLook:
			if !holds(in.look, s.prev, s.next) {
				return false
			}
			pc = in.out
		case opEat:
			if s.class == len(s.kind) || !s.eat[pc].has(uint8(s.class)) {
				return false
			}
			return s.arrive(in.out)
		default:
			return false
		}
	}
}

// arrive adds the threads of an instruction behind the character.
func (s *stepper) arrive(pc uint32) bool {
	for {
		in := &s.insts[pc]
		if in.op == opMatch {
			return s.match(true)
		}
		if s.ahead[pc] == s.aheadRound {
			return false
		}
		s.ahead[pc] = s.aheadRound
		switch {
		case in.op == opAlt && !s.waits[pc]:
			if s.arrive(in.out) {
				return true
			}
			pc = in.arg
		case in.op == opLook && !in.looksAhead():
			if !holds(in.look, s.after, other) {
				return false
			}
			pc = in.out
		default:
			if s.alive[pc][s.after] {
				s.threads = append(s.threads, pc)
			}
			return false
		}
	}
}
