package pattern

import (
	"errors"
	"fmt"
	"math"
	"regexp/syntax"
	"sync"
	"unicode/utf8"
)

const (
	// MaxValid is the longest match, in bytes, that an expression with a Valid
	// may have.
	MaxValid = 1024
	// MaxInstructions bounds the size of a set: about one instruction for each
	// character of an expression, after its repetitions are written out.
	MaxInstructions = 50_000
)

// A Pattern is one expression of a set.
type Pattern struct {
	// Name is for errors.
	Name string
	// Expr is in the syntax of package regexp, which is RE2's.
	Expr string
	// Valid, if set, is asked whether a match counts, e.g. for a checksum. It
	// must not keep the match, and must always say the same of the same text.
	// Its expression must have no match longer than MaxValid bytes.
	Valid func(match []byte) bool
	// MaxMatch is how many bytes may be held for a match that is not decided;
	// 0 means as many as it takes. It is at least 4. See "Bounds" in the comment of the package
	// for what becomes of longer ones.
	MaxMatch int
}

// A Set is some patterns, compiled. It can be used by many goroutines at once.
type Set struct {
	patterns []Pattern
	alphabet *alphabet
	exact    []*exact
	rough    *rough
	// hold has the bytes that each pattern may have to hold, or unbounded.
	hold []int
	// wide is whether a match can begin, behind a character of that kind, with
	// one that is not ASCII.
	wide [kinds]bool
	// bounded are the patterns that are cut at their MaxMatch, and short is the
	// least of those.
	bounded []int
	short   int
	streams sync.Pool
}

// Compile builds a set. The error tells of every pattern that is refused.
func Compile(patterns []Pattern) (*Set, error) {
	s := &Set{patterns: append([]Pattern(nil), patterns...), short: math.MaxInt / 2}
	refused := make([]error, len(patterns))
	loose := make([]*program, len(patterns))
	s.exact, s.hold = make([]*exact, len(patterns)), make([]int, len(patterns))
	var lib library
	room := MaxInstructions
	for i, p := range s.patterns {
		s.exact[i], loose[i], s.hold[i], refused[i] = build(p, &lib, &room)
	}
	a, sets, err := newAlphabet(lib.sets)
	if err != nil {
		return nil, err
	}
	s.alphabet = a
	eats := eaters(a, sets)
	for i, e := range s.exact {
		if refused[i] != nil {
			continue
		}
		e.prune(eats)
		loose[i].prune(eats)
		refused[i] = e.init(a, sets)
		if e.max > 0 {
			s.bounded, s.short = append(s.bounded, i), min(s.short, e.max)
		}
		for k, wide := range e.wide {
			s.wide[k] = s.wide[k] || wide
		}
	}
	for i, err := range refused {
		if err != nil {
			refused[i] = fmt.Errorf("pattern %q: %w", patterns[i].Name, err)
		}
	}
	if err := errors.Join(refused...); err != nil {
		return nil, err
	}
	s.rough = newRough(a, sets, loose)
	s.streams.New = func() any { return s.NewStream() }
	return s, nil
}

// build compiles the two programs of a pattern, the exact one and the loose
// one, and says how much it may have to hold. Its instructions are taken from
// room.
func build(p Pattern, lib *library, room *int) (e *exact, loose *program, hold int, err error) {
	re, err := syntax.Parse(p.Expr, syntax.Perl)
	if err != nil {
		return nil, nil, 0, err
	}
	if *room -= size(re); *room < 0 {
		return nil, nil, 0, fmt.Errorf("with it the set needs more than %d instructions", MaxInstructions)
	}
	hold = longest(re)
	switch {
	case p.MaxMatch != 0 && p.MaxMatch < utf8.UTFMax:
		return nil, nil, 0, fmt.Errorf("MaxMatch is %d; it must be at least %d bytes, which is one character", p.MaxMatch, utf8.UTFMax)
	case p.Valid != nil && (hold == unbounded || hold > MaxValid):
		return nil, nil, 0, fmt.Errorf("its matches are checked, and so must not be longer than %d bytes: bound its repetitions", MaxValid)
	}
	e = &exact{valid: p.Valid}
	if p.MaxMatch > 0 && (hold == unbounded || hold > p.MaxMatch) {
		if p.Valid != nil {
			return nil, nil, 0, fmt.Errorf("its matches are checked, and so cannot be cut at %d bytes: bound its repetitions instead", p.MaxMatch)
		}
		e.max, hold = p.MaxMatch, p.MaxMatch
	}
	if e.program, err = newProgram(re, lib); err != nil {
		return nil, nil, 0, err
	}
	loose, err = newProgram(loosen(re), lib)
	return e, loose, hold, err
}

// eaters returns whether a set has characters of a kind.
func eaters(a *alphabet, sets []classSet) func(set uint32, k kind) bool {
	has := make([][kinds]bool, len(sets))
	for i := range sets {
		for c := range a.size {
			if sets[i].has(uint8(c)) {
				has[i][a.kind[c]] = true
			}
		}
	}
	return func(set uint32, k kind) bool { return has[set][k] }
}

// Len returns the number of patterns.
func (s *Set) Len() int { return len(s.patterns) }

// Name returns the name of a pattern.
func (s *Set) Name(pattern int) string { return s.patterns[pattern].Name }

// Hold returns how many bytes a stream may at most have to hold for the sake
// of this set, and false if there is no such bound. A piece that ends within a
// sequence of UTF-8 can add the up to three bytes of that sequence.
func (s *Set) Hold() (bytes int, bounded bool) {
	for _, h := range s.hold {
		if h == unbounded {
			return 0, false
		}
		bytes = max(bytes, h)
	}
	return bytes, true
}

// PatternHold is Hold for one pattern.
func (s *Set) PatternHold(pattern int) (bytes int, bounded bool) {
	if s.hold[pattern] == unbounded {
		return 0, false
	}
	return s.hold[pattern], true
}
