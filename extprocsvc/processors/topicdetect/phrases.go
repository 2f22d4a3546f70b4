package topicdetect

import "github.com/attache-dev/attache/extprocsvc/words"

// A finder finds phrases in a text: an automaton after Aho and Corasick whose
// letters are words. It takes one step for each word of the text, whatever the
// number of phrases. It does not change once it is compiled.
type finder struct {
	// ids numbers the words of the phrases, from 1.
	ids map[string]int32
	// next is the automaton: from a state, over a word, to a state. State 0 is
	// the beginning.
	next map[edge]int32
	// fail is the state of the longest proper suffix that begins a phrase;
	// more is the nearest one along it where a phrase ends, or 0.
	fail, more []int32
	// ends holds the phrases that end at a state.
	ends [][]int32
}

type edge struct{ state, word int32 }

// compile makes the finder of phrases, each a list of folded words.
func compile(phrases [][]string) *finder {
	f := &finder{ids: map[string]int32{}, next: map[edge]int32{}, fail: []int32{0}, more: []int32{0}, ends: [][]int32{nil}}
	var order []edge // of creation
	for i, phrase := range phrases {
		state := int32(0)
		for _, w := range phrase {
			if f.ids[w] == 0 {
				f.ids[w] = int32(len(f.ids) + 1)
			}
			e := edge{state, f.ids[w]}
			if f.next[e] == 0 {
				f.next[e] = int32(len(f.ends))
				f.fail, f.more, f.ends = append(f.fail, 0), append(f.more, 0), append(f.ends, nil)
				order = append(order, e)
			}
			state = f.next[e]
		}
		f.ends[state] = append(f.ends[state], int32(i))
	}
	// Shorter prefixes first: their links are those of longer ones.
	depth := make([]int, len(f.ends))
	byDepth := [][]edge{}
	for _, e := range order {
		to := f.next[e]
		depth[to] = depth[e.state] + 1
		for len(byDepth) < depth[to] {
			byDepth = append(byDepth, nil)
		}
		byDepth[depth[to]-1] = append(byDepth[depth[to]-1], e)
	}
	for _, level := range byDepth {
		for _, e := range level {
			to := f.next[e]
			if e.state != 0 {
				f.fail[to] = f.step(f.fail[e.state], e.word)
			}
			if f.more[to] = f.fail[to]; len(f.ends[f.fail[to]]) == 0 {
				f.more[to] = f.more[f.fail[to]]
			}
		}
	}
	return f
}

// step returns the state behind a word.
func (f *finder) step(state, word int32) int32 {
	for {
		if to := f.next[edge{state, word}]; to != 0 || state == 0 {
			return to
		}
		state = f.fail[state]
	}
}

// word returns the state behind the scanner's word.
func (f *finder) word(state int32, s *words.Scanner) int32 {
	id := f.ids[string(s.Text)]
	if id == 0 && s.Foreign {
		if latin, ok := s.Latin(); ok {
			id = f.ids[string(latin)]
		}
	}
	if id == 0 {
		return 0
	}
	return f.step(state, id)
}

// cut returns the folded words of a phrase.
func cut(phrase string) (all []string) {
	var s words.Scanner
	for s.Reset([]byte(phrase)); s.Next(); {
		all = append(all, string(s.Text))
	}
	return all
}
