package config

import (
	"bytes"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// Reading YAML is most of the work for a large file, and an edit changes little of
// it. So where a text differs from an earlier one only within some items of a list,
// such as routes, those items are read, and the rest of the tree is that of before.
//
// That gives the tree which reading everything gives. What YAML makes of a line
// depends on the lines before it, which are the same, and of what follows only
// where there are anchors. Items of a list that is written line by line begin and
// end with lines. Read alone, with their indentation, they are the one list of a
// document: what is still open at their end, such as a plain text, ends there as it
// does before a line that is indented no deeper than the list. Wherever it is not
// as plain as that, and for each mistake, the whole text is read.

// patchedTree is the tree of src, made from that of an earlier text. It is not ok
// where that cannot be done; then src must be read whole.
func (o Options) patchedTree(file string, src []byte) (*tree, bool) {
	if o.Previous == nil || o.Previous.tree == nil || !o.Previous.tree.plain || len(src) > MaxFileBytes {
		return nil, false
	}
	old := o.Previous.tree
	if bytes.Equal(old.text, src) {
		return old, true
	}
	start, end := changed(old.text, src)
	line := 1 + bytes.Count(old.text[:start], newline)
	windows := old.windows(start, end, line, max(line, 1+bytes.Count(old.text[:max(end-1, 0)], newline)))
	if start == end && line > 1 { // what is new may also belong to the line before
		windows = append(old.windows(start, end, line-1, line-1), windows...)
	}
	// The smallest list comes last. It is not the right one for what stands behind
	// its end.
	for _, w := range slices.Backward(windows) {
		if t, ok := w.patch(old, src, newTreeBuilder(file, o.lookup)); ok {
			return t, true
		}
	}
	return nil, false
}

// patch is the tree of src if it differs from the old text within the window only.
func (w *window) patch(old *tree, src []byte, b *treeBuilder) (*tree, bool) {
	if !w.startsItem(w.in(src)) && !w.widen() { // the last items are gone
		return nil, false
	}
	text := w.in(src)
	ends := w.end == len(w.old) || bytes.HasSuffix(text, newline)
	if len(text) > len(src)/2 || !ends || !w.startsItem(text) || !plainText(text) || marksDocument(text) {
		return nil, false
	}
	b.shift = w.line - 1
	doc, err := b.document(text)
	if err != nil || doc.Kind != yaml.SequenceNode || doc.Column != int(w.list.column) {
		return nil, false
	}
	fresh := b.items(doc, w.list.branch, w.from, len(w.path))
	nodes := old.nodes + b.nodes
	for _, n := range w.list.children[w.from:w.to] {
		nodes -= n.count()
	}
	if len(b.list) > 0 || b.entangled || nodes > maxNodes {
		return nil, false
	}
	down := bytes.Count(text, newline) - bytes.Count(w.old[w.start:w.end], newline)
	return &tree{src, w.replace(old.root, w.path, fresh, down), nodes, true}, true
}

var newline = []byte("\n")

// plainText tells whether the lines of a text are what newlines part, and whether
// it has no directives.
func plainText(text []byte) bool {
	if len(text) > 0 && (text[0] == '%' || text[0] >= 0xFE) { // 0xFE begins UTF-16
		return false
	}
	for _, odd := range []string{"\r", "\u0085", "\u2028", "\u2029", "\n%"} {
		if bytes.Contains(text, []byte(odd)) {
			return false
		}
	}
	return true
}

// marksDocument tells whether a line may begin or end a document.
func marksDocument(text []byte) bool {
	return bytes.Contains(text, []byte("\n---")) || bytes.Contains(text, []byte("\n...")) || bytes.HasPrefix(text, []byte("---"))
}

// changed returns the bytes of an old text that a new one has others for. Where
// that can be seen in several ways, as with an item that begins like the next one,
// they begin with a line.
func changed(old, now []byte) (start, end int) {
	const step = 4096 // many at once are compared faster
	for start+step <= min(len(old), len(now)) && bytes.Equal(old[start:start+step], now[start:start+step]) {
		start += step
	}
	for start < min(len(old), len(now)) && old[start] == now[start] {
		start++
	}
	end, nowEnd := len(old), len(now)
	for end-step >= start && nowEnd-step >= start && bytes.Equal(old[end-step:end], now[nowEnd-step:nowEnd]) {
		end, nowEnd = end-step, nowEnd-step
	}
	for end > start && nowEnd > start && old[end-1] == now[nowEnd-1] {
		end, nowEnd = end-1, nowEnd-1
	}
	for start > 0 && old[start-1] != '\n' && old[end-1] == now[nowEnd-1] {
		start, end, nowEnd = start-1, end-1, nowEnd-1
	}
	return start, end
}

// A window is a part of an old text: some items of a list, with the lines that
// belong to them.
type window struct {
	old        []byte
	start, end int // of the bytes
	line       int // at the start
	list       *node
	from, to   int   // of the items
	path       []int // leads from the root to the list
}

// windows finds the lists of which some items hold everything between two bytes of
// the text, which are on two lines, each list within the one before.
func (t *tree) windows(start, end, first, last int) (list []window) {
	var path []int
	behind := 0 // the line behind n; 0 for none
	for n := t.root; len(n.children) > 0 && n.begins(0) <= first; {
		from := 0
		for from+1 < len(n.children) && n.begins(from+1) <= first {
			from++
		}
		to := from + 1
		for to < len(n.children) && n.begins(to) <= last {
			to++
		}
		if to < len(n.children) {
			behind = n.begins(to)
		}
		if n.kind == sequenceNode {
			w := window{old: t.text, list: n, from: from, to: to, path: slices.Clone(path)}
			if w.bounds(start, behind) && w.start <= start && end <= w.end {
				list = append(list, w)
			}
		}
		if to > from+1 {
			break
		}
		path = append(path, from)
		n = n.children[from]
	}
	return list
}

// begins is the line on which a child begins, with its key.
func (n *node) begins(child int) int {
	if n.kind == mappingNode {
		return int(n.branch.keys[child].line)
	}
	return int(n.children[child].line)
}

// bounds finds the bytes of the window, from a byte nearby. behind is the line behind
// the last item, or 0. It is false if they are not whole lines.
func (w *window) bounds(at, behind int) bool {
	line := 1 + bytes.Count(w.old[:at], newline)
	w.line, w.end = w.list.begins(w.from), len(w.old)
	w.start = lineStart(w.old, at, line, w.line)
	if behind > 0 {
		w.end = lineStart(w.old, at, line, behind)
	}
	return w.startsItem(w.old[w.start:]) && (w.to == len(w.list.children) || w.startsItem(w.old[w.end:]))
}

// widen takes in the item before. It is false if there is none that begins a line.
func (w *window) widen() bool {
	if w.from == 0 {
		return false
	}
	w.from--
	line := w.list.begins(w.from)
	w.start, w.line = lineStart(w.old, w.start, w.line, line), line
	return w.startsItem(w.old[w.start:])
}

// lineStart is where a line begins, found from a byte that is on another one.
func lineStart(text []byte, at, line, wanted int) int {
	at = bytes.LastIndexByte(text[:at], '\n') + 1
	for ; line > wanted; line-- {
		at = bytes.LastIndexByte(text[:at-1], '\n') + 1
	}
	for ; line < wanted; line++ {
		at += bytes.IndexByte(text[at:], '\n') + 1
	}
	return at
}

// startsItem tells whether a text begins with the line of an item of the list.
func (w *window) startsItem(text []byte) bool {
	rest, ok := bytes.CutPrefix(text, []byte(strings.Repeat(" ", int(w.list.column)-1)+"-"))
	return ok && (len(rest) == 0 || rest[0] == ' ' || rest[0] == '\n')
}

// in is what src has in place of the window.
func (w *window) in(src []byte) []byte {
	return src[w.start:max(w.start, len(src)-(len(w.old)-w.end))]
}

// replace returns n, from which the path leads to the list, with fresh items for
// those of the window. What is behind them has moved down by some lines.
func (w *window) replace(n *node, path []int, fresh []*node, down int) *node {
	c := *n
	if len(path) == 0 {
		c.children = slices.Concat(n.children[:w.from], fresh, n.children[w.to:])
		for i := w.from + len(fresh); i < len(c.children); i++ {
			c.children[i] = c.children[i].moved(spot{n.branch, int32(i)}, down)
		}
		return &c
	}
	i := path[0]
	c.children = slices.Clone(n.children)
	if n.kind == mappingNode && down != 0 {
		c.branch = n.branch.moved(n.spot(), i+1, down)
	}
	c.children[i] = w.replace(n.children[i], path[1:], fresh, down)
	for j := i + 1; j < len(c.children); j++ {
		c.children[j] = n.children[j].moved(n.children[j].spot(), down)
	}
	return &c
}

// moved is n at a spot that may be another, and some lines further down.
func (n *node) moved(to spot, down int) *node {
	if to == n.spot() && down == 0 {
		return n
	}
	c := &node{}
	n.moveInto(c, to, down)
	return c
}

func (n *node) moveInto(c *node, to spot, down int) {
	*c = *n
	c.put(to)
	c.line += int32(down)
	if n.kind == scalarNode {
		return
	}
	c.branch = n.branch.moved(to, 0, down)
	c.children = make([]*node, len(n.children))
	list := make([]node, len(n.children))
	for i, child := range n.children {
		at := child.spot()
		at.in = c.branch
		child.moveInto(&list[i], at, down)
		c.children[i] = &list[i]
	}
}

// moved is a branch at another spot, with the keys from one on further down.
func (b *branch) moved(to spot, from, down int) *branch {
	c := &branch{to, b.list, slices.Clone(b.keys)}
	for i := from; i < len(c.keys); i++ {
		c.keys[i].line += int32(down)
	}
	return c
}

// count is how many nodes n is.
func (n *node) count() int {
	sum := 1
	for _, c := range n.children {
		sum += c.count()
	}
	return sum
}
