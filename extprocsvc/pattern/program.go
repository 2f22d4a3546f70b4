package pattern

import (
	"regexp/syntax"
	"slices"
	"unicode"
	"unicode/utf8"
)

// An op is what an instruction does.
type op uint8

const (
	opFail op = iota
	opAlt     // goes on at out, or, less preferred, at arg
	opLook    // goes on at out if the assertions hold
	opEat     // goes on at out behind a character of the set
	opMatch
)

type inst struct {
	op       op
	look     syntax.EmptyOp
	out, arg uint32
	set      uint32
}

// looksAhead tells whether an assertion depends on the next character.
func (in inst) looksAhead() bool { return in.look&^looksBack != 0 }

// A program is what an expression compiles to: RE2's instructions, whose
// characters are sets of classes.
type program struct {
	insts []inst
	start uint32
	// alive tells for each instruction, and what is before it, whether some
	// text leads from there to a match.
	alive [][kinds]bool
	// back says which kinds of the character before are all the same to the
	// program: the one that stands for it.
	back [kinds]kind
}

// A library collects the distinct sets of characters of some programs.
type library struct {
	sets  []runeSet
	known map[string]uint32
}

func (l *library) add(set runeSet) uint32 {
	at, ok := l.known[string(set)]
	if !ok {
		if l.known == nil {
			l.known = map[string]uint32{}
		}
		at = uint32(len(l.sets))
		l.known[string(set)] = at
		l.sets = append(l.sets, set)
	}
	return at
}

// newProgram compiles an expression as package regexp does. Its sets refer to
// the library.
func newProgram(re *syntax.Regexp, lib *library) (*program, error) {
	prog, err := syntax.Compile(re.Simplify())
	if err != nil {
		return nil, err
	}
	p := &program{insts: make([]inst, len(prog.Inst)), start: uint32(prog.Start)}
	for i := range prog.Inst {
		switch in := &prog.Inst[i]; in.Op {
		case syntax.InstAlt, syntax.InstAltMatch:
			p.insts[i] = inst{op: opAlt, out: in.Out, arg: in.Arg}
		case syntax.InstNop, syntax.InstCapture:
			// An alternative that goes nowhere: a look that always holds.
			p.insts[i] = inst{op: opLook, out: in.Out}
		case syntax.InstEmptyWidth:
			p.insts[i] = inst{op: opLook, out: in.Out, look: syntax.EmptyOp(in.Arg)}
		case syntax.InstMatch:
			p.insts[i] = inst{op: opMatch}
		case syntax.InstFail:
		default:
			p.insts[i] = inst{op: opEat, out: in.Out, set: lib.add(setOf(in))}
		}
	}
	p.back = collapse(p.insts)
	return p, nil
}

// collapse finds which kinds of the character before some instructions tell
// apart: for each kind the one that stands for it.
func collapse(insts []inst) [kinds]kind {
	var looks syntax.EmptyOp
	for i := range insts {
		looks |= insts[i].look
	}
	back := [kinds]kind{begin, newline, word, other, end}
	if looks&(syntax.EmptyWordBoundary|syntax.EmptyNoWordBoundary) == 0 {
		back[word] = other
	}
	if looks&syntax.EmptyBeginLine == 0 {
		back[newline] = other
	}
	if looks&syntax.EmptyBeginText == 0 {
		back[begin] = back[newline]
	}
	return back
}

// waiting finds the alternatives that a look at the next character leads to and
// that lead to one, with no character in between: those of a loop that a look
// can close, as in (?:\b|b)*, and, to whom it makes no difference, those between
// two looks.
//
// Package regexp follows an alternative once between two characters. So if it
// comes back to one of which it has not followed everything, what is left of
// that is preferred less than what comes behind the loop. Whoever follows an
// alternative up to a look, and goes on at the look when the next character is
// known, enters it anew instead, and prefers what was left. An alternative of
// such a loop must wait with its looks. No other need: what a look leads to
// either was followed to its end before, and has no thread that is new, or is
// followed from there first, as it should be.
func waiting(insts []inst) []bool {
	onto, from := make([][]uint32, len(insts)), make([][]uint32, len(insts))
	var looks []uint32
	for i, in := range insts {
		switch in.op {
		case opAlt:
			onto[i] = []uint32{in.out, in.arg}
		case opLook:
			onto[i] = []uint32{in.out}
		}
		for _, to := range onto[i] {
			from[to] = append(from[to], uint32(i))
		}
		if in.looksAhead() {
			looks = append(looks, uint32(i))
		}
	}
	leads, led := reached(looks, from), reached(looks, onto)
	waits := make([]bool, len(insts))
	for i, in := range insts {
		waits[i] = in.op == opAlt && leads[i] && led[i]
	}
	return waits
}

// reached finds which instructions can be reached from some of them.
func reached(from []uint32, onto [][]uint32) []bool {
	found := make([]bool, len(onto))
	for todo := slices.Clone(from); len(todo) > 0; {
		at := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if !found[at] {
			found[at] = true
			todo = append(todo, onto[at]...)
		}
	}
	return found
}

// prune finds which instructions can lead to a match.
func (p *program) prune(eats func(set uint32, k kind) bool) {
	n := len(p.insts)
	// through tells it for a character before and one behind.
	through := make([][kinds][kinds]bool, n)
	p.alive = make([][kinds]bool, n)
	for changed := true; changed; {
		changed = false
		for i := n - 1; i >= 0; i-- {
			in := &p.insts[i]
			for prev := begin; prev < end; prev++ {
				for next := newline; next <= end; next++ {
					if through[i][prev][next] {
						continue
					}
					var ok bool
					switch in.op {
					case opMatch:
						ok = true
					case opAlt:
						ok = through[in.out][prev][next] || through[in.arg][prev][next]
					case opLook:
						ok = holds(in.look, prev, next) && through[in.out][prev][next]
					case opEat:
						ok = next != end && eats(in.set, next) && p.alive[in.out][next]
					}
					if ok {
						through[i][prev][next], p.alive[i][prev], changed = true, true, true
					}
				}
			}
		}
	}
}

// unbounded is the length of the longest match of an expression that has none.
const unbounded = -1

// longest returns how many bytes the longest match of an expression can have,
// or unbounded. Invalid bytes count as the three bytes of U+FFFD.
func longest(re *syntax.Regexp) int {
	switch re.Op {
	case syntax.OpLiteral:
		n := 0
		for _, r := range re.Rune {
			n += widest(setOf(&syntax.Inst{Op: syntax.InstRune, Rune: []rune{r}, Arg: uint32(re.Flags)}))
		}
		return n
	case syntax.OpCharClass:
		return widest(re.Rune)
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return utf8.UTFMax
	case syntax.OpCapture, syntax.OpQuest:
		return longest(re.Sub[0])
	case syntax.OpStar, syntax.OpPlus:
		return times(longest(re.Sub[0]), unbounded)
	case syntax.OpRepeat:
		return times(longest(re.Sub[0]), re.Max)
	case syntax.OpConcat:
		sum := 0
		for _, sub := range re.Sub {
			n := longest(sub)
			if n == unbounded {
				return unbounded
			}
			sum += n
		}
		return sum
	case syntax.OpAlternate:
		most := 0
		for _, sub := range re.Sub {
			n := longest(sub)
			if n == unbounded {
				return unbounded
			}
			most = max(most, n)
		}
		return most
	}
	return 0 // assertions and what never matches
}

func times(n, most int) int {
	switch {
	case n == 0 || most == 0:
		return 0
	case n == unbounded || most == unbounded:
		return unbounded
	}
	return n * most
}

func widest(set runeSet) int {
	n := 0
	for i := 1; i < len(set); i += 2 {
		r := min(set[i], unicode.MaxRune)
		w := utf8.RuneLen(r)
		if w < 0 { // a surrogate, which no text can have
			w = 3
		}
		n = max(n, w)
	}
	return n
}

const (
	// looseMin is the longest run that the rough automaton counts.
	looseMin = 16
	// looseRange is the widest range of repetitions that it counts.
	looseRange = 4
)

// loosen returns an expression that matches all that re matches and counts
// less: the rough automaton would have a state for each number of characters
// since each place where a match may have begun.
func loosen(re *syntax.Regexp) *syntax.Regexp {
	if len(re.Sub) == 0 {
		return re
	}
	loose := *re
	loose.Sub = make([]*syntax.Regexp, len(re.Sub))
	for i, sub := range re.Sub {
		loose.Sub[i] = loosen(sub)
	}
	if re.Op == syntax.OpRepeat {
		if loose.Min > looseMin {
			loose.Min, loose.Max = looseMin, unbounded
		}
		if loose.Max-loose.Min > looseRange {
			loose.Max = unbounded
		}
	}
	return &loose
}

// size returns how many instructions an expression needs at least, to refuse
// one that is too large before it is built.
func size(re *syntax.Regexp) int {
	n := 1
	for _, sub := range re.Sub {
		n += size(sub)
	}
	if re.Op == syntax.OpRepeat {
		n *= max(re.Min, re.Max, 1)
	}
	if re.Op == syntax.OpLiteral {
		n += len(re.Rune)
	}
	return n
}
