package config

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// Source is the text of a configuration, for showing lines of it: as they stand
// in the file, so that no variable's value is shown, and without what may be a
// secret. A value is shown only if its key is known and supported and its type
// is not that of secrets or of anything at all, such as params.
type Source struct {
	lines []string
	// starts are where the scalars of the text begin, in order. There are none if
	// it is not YAML, and then nothing is shown.
	starts []start
}

// start is where a key or a scalar value begins.
type start struct {
	place
	// hidden tells that the text up to the next start must not be shown.
	hidden bool
	// flows tells that the text may end on a later line, before another start.
	flows bool
}

// place counts lines and columns from 1.
type place struct{ line, column int }

// yamlBreak is what YAML counts lines by.
var yamlBreak = regexp.MustCompile("\r\n|[\n\r\u0085\u2028\u2029]")

// NewSource reads a text, whether it loads or not.
func NewSource(src []byte) *Source {
	s := &Source{}
	// The value of a variable does not matter, but that there is one does.
	t, _ := parseTree("", src, func(string) (string, bool) { return "x", true })
	var doc yaml.Node
	if t == nil || !utf8.Valid(src) || decodeDocument(yaml.NewDecoder(bytes.NewReader(src)), &doc) != nil {
		return s
	}
	s.lines = yamlBreak.Split(strings.TrimPrefix(string(src), "\ufeff"), -1)
	s.collect(&doc, false, publicPlaces(t.root))
	slices.SortStableFunc(s.starts, func(a, b start) int {
		return slices.Compare([]int{a.line, a.column}, []int{b.line, b.column})
	})
	return s
}

// publicPlaces are those of the scalars that the decoder knows and that may be
// shown. One that an alias repeats must be public everywhere.
func publicPlaces(root *node) map[place]bool {
	d := &decoder{public: map[*node]bool{}}
	if f5Sign(root) == "" {
		d.decode(root, &file{})
	} else {
		d.decode(root, &f5File{})
	}
	places := map[place]bool{}
	var visit func(*node)
	visit = func(n *node) {
		if n.kind == scalarNode {
			p := place{int(n.line), int(n.column)}
			known, seen := places[p]
			places[p] = d.public[n] && (known || !seen)
		}
		for _, c := range n.children {
			visit(c)
		}
	}
	visit(root)
	return places
}

// collect adds what begins in a YAML node. It walks the library's nodes, since
// ours lack what stands twice or is no key.
func (s *Source) collect(y *yaml.Node, isKey bool, public map[place]bool) {
	p := place{y.Line, y.Column}
	switch y.Kind {
	case yaml.AliasNode:
		s.starts = append(s.starts, start{place: p})
	case yaml.ScalarNode:
		s.starts = append(s.starts, start{p, !isKey && !public[p], y.Style&(yaml.LiteralStyle|yaml.FoldedStyle) == 0})
	default:
		for i, c := range y.Content {
			s.collect(c, y.Kind == yaml.MappingNode && i%2 == 0 && !isKey, public)
		}
	}
}

// Line returns a line of the file, or the part of it that is near the column,
// with … for what is not shown. Caret is how many characters of the text stand
// before the column. It is not ok for lines of which nothing can be shown.
func (s *Source) Line(line, column int) (text string, caret int, ok bool) {
	first := slices.IndexFunc(s.starts, func(st start) bool { return st.line >= line })
	if first < 0 || s.starts[first].line != line || column < 1 || line > len(s.lines) {
		return "", 0, false
	}
	from := []rune(s.lines[line-1])
	at := func(column int) int { return min(column-1, len(from)) }
	margin := from[:at(s.starts[first].column)]
	if first > 0 && s.starts[first-1].hidden && s.starts[first-1].flows && strings.Trim(string(margin), " \t-?:,[]{}") != "" {
		return "", 0, false // the end of something hidden
	}
	shown := slices.Clone(margin)
	caret = min(at(column), len(margin))
	for i := first; i < len(s.starts) && s.starts[i].line == line; i++ {
		st, end := s.starts[i], len(from)
		if next := i + 1; next < len(s.starts) && s.starts[next].line == line {
			end = at(s.starts[next].column)
		}
		if column >= st.column {
			caret = len(shown)
		}
		switch {
		case !st.hidden:
			caret += max(min(at(column), end)-at(st.column), 0)
			shown = append(shown, from[at(st.column):end]...)
		case end < len(from):
			shown = append(shown, '…', ' ')
		default:
			shown = append(shown, '…')
		}
	}
	return near(printable(shown), caret)
}

// printable replaces what could move the cursor of a terminal.
func printable(text []rune) []rune {
	for i, r := range text {
		if !unicode.IsPrint(r) {
			text[i] = ' '
		}
	}
	return text
}

// near is at most 120 characters of a text around the caret.
func near(text []rune, caret int) (string, int, bool) {
	const side = 60
	if end := caret + side; end < len(text) {
		text = append(text[:end:end], '…')
	}
	if skip := caret - side; skip > 0 {
		text = append([]rune{'…'}, text[skip:]...)
		caret -= skip - 1
	}
	return strings.TrimRight(string(text), " "), caret, true
}
