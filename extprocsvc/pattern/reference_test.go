package pattern

import (
	"regexp"
	"regexp/syntax"
	"slices"
	"sync"
	"unicode/utf8"
)

// reference finds the matches of a set in the plainest way: those of each
// pattern by trying every beginning, sorted, and without what is covered.
func reference(patterns []Pattern, text []byte) []Match {
	var all []Match
	for k, p := range patterns {
		var own []Match
		if p.Valid == nil && p.MaxMatch == 0 {
			own = byRegexp(p.Expr, text)
		} else {
			own = byThreads(p, text)
		}
		for _, m := range own {
			m.Pattern = k
			all = append(all, m)
		}
	}
	return resolve(all)
}

// resolve leaves of each match what no match before it covers.
func resolve(all []Match) []Match {
	slices.SortStableFunc(all, func(a, b Match) int {
		switch {
		case a.Start != b.Start:
			return a.Start - b.Start
		case a.End != b.End:
			return b.End - a.End
		}
		return a.Pattern - b.Pattern
	})
	var out []Match
	covered := 0
	for _, m := range all {
		if m.End <= covered {
			continue
		}
		m.Start = max(m.Start, covered)
		covered = m.End
		out = append(out, m)
	}
	return out
}

// regexps are those that were compiled before, by expression.
var regexps sync.Map

// byRegexp is what package regexp finds, but for empty matches.
func byRegexp(expr string, text []byte) []Match {
	re, ok := regexps.Load(expr)
	if !ok {
		re, _ = regexps.LoadOrStore(expr, regexp.MustCompile(expr))
	}
	var out []Match
	for _, at := range re.(*regexp.Regexp).FindAllIndex(text, -1) {
		if at[0] < at[1] {
			out = append(out, Match{Start: at[0], End: at[1]})
		}
	}
	return out
}

// byThreads tries every beginning with a list of threads in order of
// preference: it knows bounds and checks.
func byThreads(p Pattern, text []byte) []Match {
	re, err := syntax.Parse(p.Expr, syntax.Perl)
	if err != nil {
		panic(err)
	}
	prog, err := syntax.Compile(re.Simplify())
	if err != nil {
		panic(err)
	}
	most := p.MaxMatch
	if n := longest(re); most > 0 && n != unbounded && n <= most {
		most = 0
	}
	var out []Match
	for at := 0; at < len(text); {
		ends, reach := tryAt(prog, text, at, p.Valid)
		if most > 0 && reach-at > most {
			// Beyond the bound: all of it, in parts.
			for cut := at; cut < reach; {
				to := cut
				for to < reach {
					_, w := utf8.DecodeRune(text[to:])
					if to+w-cut > most {
						break
					}
					to += w
				}
				out = append(out, Match{Start: cut, End: to, Over: true})
				cut = to
			}
			at = reach
			continue
		}
		found := -1
		for _, e := range ends {
			if e == at {
				break
			}
			if p.Valid == nil || p.Valid(text[at:e]) {
				found = e
				break
			}
		}
		if found < 0 {
			_, w := utf8.DecodeRune(text[at:])
			at += w
			continue
		}
		out = append(out, Match{Start: at, End: found})
		at = found
	}
	return out
}

// tryAt returns where matches that begin at a place end, the preferred first,
// and how far a thread came that was not ended by a match preferred to it.
func tryAt(prog *syntax.Prog, text []byte, at int, valid func([]byte) bool) (ends []int, reach int) {
	// A thread is an instruction, or, if negative, a match that ended there.
	list := []int{prog.Start}
	reach = at
	for i := at; ; {
		prev, next := rune(-1), rune(-1)
		if i > 0 {
			prev, _ = utf8.DecodeLastRune(text[:i])
		}
		w := 0
		if i < len(text) {
			next, w = utf8.DecodeRune(text[i:])
		}
		cond := syntax.EmptyOpContext(prev, next)
		seen := map[int]bool{}
		var after []int
		cut, alive := false, false
		var follow func(pc int)
		follow = func(pc int) {
			if cut || seen[pc] {
				return
			}
			seen[pc] = true
			in := &prog.Inst[pc]
			switch in.Op {
			case syntax.InstAlt, syntax.InstAltMatch:
				follow(int(in.Out))
				follow(int(in.Arg))
			case syntax.InstNop, syntax.InstCapture:
				follow(int(in.Out))
			case syntax.InstEmptyWidth:
				if syntax.EmptyOp(in.Arg)&^cond == 0 {
					follow(int(in.Out))
				}
			case syntax.InstMatch:
				after = append(after, -1-i)
				// A match that counts ends what is less preferred; so does the
				// empty one.
				cut = i == at || valid == nil || valid(text[at:i])
			case syntax.InstFail:
			default:
				if w > 0 && in.MatchRune(next) {
					after, alive = append(after, int(in.Out)), true
				}
			}
		}
		for _, pc := range list {
			if pc < 0 {
				if !cut {
					after = append(after, pc)
				}
				continue
			}
			follow(pc)
		}
		list = after
		if !alive {
			break
		}
		i += w
		reach = i
	}
	for _, pc := range list {
		if pc < 0 {
			ends = append(ends, -1-pc)
		}
	}
	return ends, reach
}
