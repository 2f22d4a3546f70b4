package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// Bounds on the text, so that no file can hang the process.
const (
	// MaxFileBytes is the longest file that is read: room for more than
	// 20,000 routes.
	MaxFileBytes = 8 << 20
	// maxNodes bounds the tree after its aliases are expanded.
	maxNodes = 1_000_000
	maxDepth = 200
)

type nodeKind uint8

const (
	scalarNode nodeKind = iota
	mappingNode
	sequenceNode
)

// node is a YAML node with its place: aliases are followed, variables are
// expanded, keys are strings. It is immutable. Beside this file, which reads, only
// yaml.go, which writes, knows the YAML library. Large files have many nodes, so
// they are small.
type node struct {
	in                  *branch // these two are its spot
	index, line, column int32

	kind nodeKind
	tag  tag // of a scalar
	// variable tells that value came from a variable and must not be shown.
	variable bool
	value    string
	odd      *odd // nil for most

	// children are the values, in file order.
	children []*node
	// branch is what the children are in; nil for a scalar.
	branch *branch
}

// odd is what few scalars have.
type odd struct {
	// written is the text before variables were expanded; nil if it is the value.
	written *string
	// tag is the short one of YAML, for otherTag.
	tag string
}

// tag is the type of a scalar.
type tag uint8

const (
	otherTag tag = iota
	strTag
	intTag
	floatTag
	boolTag
	nullTag
)

// tags are YAML's words for them.
var tags = map[string]tag{"!!str": strTag, "!!int": intTag, "!!float": floatTag, "!!bool": boolTag, "!!null": nullTag}

// setTag gives a scalar a short tag of YAML.
func (n *node) setTag(text string) {
	if n.tag = tags[text]; n.tag == otherTag {
		n.oddly().tag = text
	}
}

// shortTag is what setTag was given.
func (n *node) shortTag() string {
	for text, t := range tags {
		if t == n.tag {
			return text
		}
	}
	if n.odd == nil {
		return ""
	}
	return n.odd.tag
}

// oddly is what is odd about the node, which it is from now on.
func (n *node) oddly() *odd {
	if n.odd == nil {
		n.odd = &odd{}
	}
	return n.odd
}

// spot is where the node is.
func (n *node) spot() spot { return spot{n.in, n.index} }

// put tells a new node where it is.
func (n *node) put(at spot) { n.in, n.index = at.in, at.index }

func (n *node) path() string { return n.spot().path() }

// A spot is a place in the tree: one of the children of a branch, which is nil for
// the root.
type spot struct {
	in    *branch
	index int32
}

// A branch is the spot of a mapping or a list. It is all that children know of
// what they are in, so that two trees can have the same children.
type branch struct {
	spot
	list bool
	keys []keyPlace // of a mapping
}

type keyPlace struct {
	name         string
	line, column int32
}

// keys are those of the children, if it is a mapping.
func (n *node) keys() []keyPlace {
	if n.branch == nil {
		return nil
	}
	return n.branch.keys
}

// source is the scalar as the file has it.
func (n *node) source() string {
	if n.odd != nil && n.odd.written != nil {
		return *n.odd.written
	}
	return n.value
}

func (n *node) isNull() bool { return n.kind == scalarNode && n.tag == nullTag }

// get returns the value of a key, or nil.
func (n *node) get(key string) *node {
	for i, k := range n.keys() {
		if k.name == key {
			return n.children[i]
		}
	}
	return nil
}

func (n *node) keyNamed(key string) *keyPlace {
	keys := n.keys()
	for i := range keys {
		if keys[i].name == key {
			return &keys[i]
		}
	}
	return nil
}

// path is the place in the tree, such as binds[0].listeners[1].name.
func (s spot) path() string {
	if s.in == nil {
		return ""
	}
	p := s.in.path()
	if s.in.list {
		return p + "[" + strconv.Itoa(int(s.index)) + "]"
	}
	return join(p, s.in.keys[s.index].name)
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// at follows a path from n as far as it leads.
func (n *node) at(path string) *node {
	for path != "" {
		var next *node
		if strings.HasPrefix(path, "[") {
			end := strings.IndexByte(path, ']')
			i, err := strconv.Atoi(path[1:max(end, 1)])
			if end < 0 || err != nil || n.kind != sequenceNode || i < 0 || i >= len(n.children) {
				return n
			}
			next, path = n.children[i], path[end+1:]
		} else {
			// A key may itself hold dots: take the longest one that fits.
			rest := strings.TrimPrefix(path, ".")
			for i, k := range n.keys() {
				after, ok := strings.CutPrefix(rest, k.name)
				if ok && (after == "" || after[0] == '.' || after[0] == '[') && (next == nil || len(after) < len(path)) {
					next, path = n.children[i], after
				}
			}
			if next == nil {
				return n
			}
		}
		n = next
	}
	return n
}

// quoted is the scalar as the user wrote it, never the value of a variable.
func (n *node) quoted() string {
	s := n.source()
	if len(s) > 60 {
		s = s[:57] + "..."
	}
	return strconv.Quote(s)
}

// what names the kind of value for messages.
func (n *node) what() string {
	switch {
	case n.kind == mappingNode:
		return "a mapping"
	case n.kind == sequenceNode:
		return "a list"
	case n.isNull():
		return "nothing"
	case n.tag == strTag:
		return "the string " + n.quoted()
	case n.tag == boolTag:
		return "the boolean " + n.source()
	default:
		return "the number " + n.source()
	}
}

func (n *node) errorf(file string, kind Kind, format string, args ...any) *Error {
	return &Error{File: file, Line: int(n.line), Column: int(n.column), Path: n.path(), Kind: kind, Msg: fmt.Sprintf(format, args...)}
}

// A tree is a text as nodes.
type tree struct {
	text []byte
	root *node
	// nodes is how many there are.
	nodes int
	// plain tells that the text has nothing that could make one part of it mean
	// something else because of another, see patch.go.
	plain bool
}

// parseTree reads one YAML document. The tree is nil if errors stand in the
// way of one.
func parseTree(file string, src []byte, lookup func(string) (string, bool)) (t *tree, errs []*Error) {
	b := newTreeBuilder(file, lookup)
	doc, err := b.document(src)
	if err != nil {
		return nil, []*Error{err}
	}
	root := &node{}
	if !b.build(doc, root, 0) {
		return nil, b.list
	}
	if root.isNull() {
		return nil, []*Error{{File: file, Line: 1, Column: 1, Kind: Syntax, Msg: emptyMessage}}
	}
	return &tree{src, root, b.nodes, !b.entangled && plainText(src)}, b.list
}

const emptyMessage = "the file is empty; it needs at least one of binds, config, processors, profiles"

// document reads the one document of a text.
func (b *treeBuilder) document(src []byte) (*yaml.Node, *Error) {
	fail := func(line, column int, format string, args ...any) (*yaml.Node, *Error) {
		return nil, &Error{File: b.file, Line: line, Column: column, Kind: Syntax, Msg: fmt.Sprintf(format, args...)}
	}
	if len(src) > MaxFileBytes {
		return fail(1, 1, "the file has more than %d bytes, which is the most that is read", MaxFileBytes)
	}
	var doc yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(src))
	switch err := decodeDocument(dec, &doc); {
	case errors.Is(err, io.EOF):
		return fail(1, 1, emptyMessage)
	case err != nil:
		line, msg := syntaxError(err)
		return fail(line, 1, "%s", msg)
	}
	var second yaml.Node
	switch err := decodeDocument(dec, &second); {
	case errors.Is(err, io.EOF):
	case err != nil:
		line, msg := syntaxError(err)
		return fail(line, 1, "%s", msg)
	default:
		return fail(second.Line, second.Column, "a second YAML document begins here; a configuration is one document")
	}
	return doc.Content[0], nil
}

// decodeDocument turns a panic of the library into an error: no input may stop
// the process.
func decodeDocument(dec *yaml.Decoder, into *yaml.Node) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("yaml: %v", r)
		}
	}()
	return dec.Decode(into)
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

// syntaxError takes the line out of the library's message.
func syntaxError(err error) (line int, msg string) {
	m := yamlLine.FindStringSubmatch(strings.SplitN(err.Error(), "\n", 2)[0])
	if m == nil {
		return 1, "not YAML: " + err.Error()
	}
	if line, _ = strconv.Atoi(m[1]); line == 0 {
		line = 1
	}
	return line, "not YAML: " + m[2]
}

type treeBuilder struct {
	file   string
	lookup func(string) (string, bool)
	mistakes
	open  map[*yaml.Node]bool // nodes that are being built: an alias to one is a cycle
	nodes int
	// shift is added to the lines: those of the file before what is read.
	shift int
	stop  bool              // a bound was met
	words map[string]string // see word
	// entangled tells that there are anchors and aliases.
	entangled bool
}

func newTreeBuilder(file string, lookup func(string) (string, bool)) *treeBuilder {
	return &treeBuilder{file: file, lookup: lookup, open: map[*yaml.Node]bool{}, words: map[string]string{}}
}

func (b *treeBuilder) errorf(y *yaml.Node, kind Kind, path, format string, args ...any) {
	b.add(&Error{File: b.file, Line: y.Line + b.shift, Column: y.Column, Path: path, Kind: kind, Msg: fmt.Sprintf(format, args...)})
}

// build fills n, whose place in its parent is known, from y. It tells whether
// there is anything to go on with.
func (b *treeBuilder) build(y *yaml.Node, n *node, depth int) bool {
	if b.stop || b.full() {
		return false
	}
	if b.nodes++; b.nodes > maxNodes {
		b.stop = true
		b.errorf(y, Syntax, n.path(), "aliases make this file longer than %d values; write it with fewer", maxNodes)
		return false
	}
	if depth > maxDepth {
		b.stop = true
		b.errorf(y, Syntax, "", "nested deeper than %d levels", maxDepth)
		return false
	}
	b.entangled = b.entangled || y.Anchor != "" || y.Kind == yaml.AliasNode
	if y.Kind == yaml.AliasNode {
		if b.open[y.Alias] {
			b.errorf(y, Syntax, n.path(), "the alias *%s contains itself", y.Value)
			return false
		}
		return b.build(y.Alias, n, depth)
	}
	n.line, n.column = int32(y.Line+b.shift), int32(y.Column)
	switch y.Kind {
	case yaml.ScalarNode:
		b.scalar(y, n)
	case yaml.SequenceNode:
		b.open[y] = true
		b.sequence(y, n, depth)
		delete(b.open, y)
	case yaml.MappingNode:
		b.open[y] = true
		b.mapping(y, n, depth)
		delete(b.open, y)
	}
	return true
}

func (b *treeBuilder) sequence(y *yaml.Node, n *node, depth int) {
	n.kind = sequenceNode
	n.branch = &branch{spot: n.spot(), list: true}
	n.children = b.items(y, n.branch, 0, depth)
}

// items builds what is in a list, of which so many come before.
func (b *treeBuilder) items(y *yaml.Node, in *branch, before, depth int) []*node {
	list := make([]*node, 0, len(y.Content))
	items := make([]node, len(y.Content))
	for i, item := range y.Content {
		c := &items[i]
		c.put(spot{in, int32(before + i)})
		if b.build(item, c, depth+1) {
			list = append(list, c)
		}
	}
	return list
}

func (b *treeBuilder) mapping(y *yaml.Node, n *node, depth int) {
	n.kind = mappingNode
	n.branch = &branch{spot: n.spot(), keys: make([]keyPlace, 0, len(y.Content)/2)}
	n.children = make([]*node, 0, len(y.Content)/2)
	values := make([]node, len(y.Content)/2)
	var lines map[string]int // of the keys; a list does while they are few
	if len(values) > 16 {
		lines = make(map[string]int, len(values))
	}
	for i := 0; i+1 < len(y.Content); i += 2 {
		k := y.Content[i]
		b.entangled = b.entangled || k.Anchor != "" || k.Kind == yaml.AliasNode
		if k.Kind == yaml.AliasNode {
			k = k.Alias
		}
		if k.Kind != yaml.ScalarNode {
			b.errorf(k, Syntax, n.path(), "a key must be a plain value, not a mapping or a list")
			continue
		}
		if k.ShortTag() == "!!merge" {
			b.errorf(k, Unsupported, n.path(), "merge keys (<<) are not read by agentgateway, nor here; write the keys out")
			continue
		}
		line := lines[k.Value]
		if lines != nil {
			lines[k.Value] = cmp.Or(line, k.Line)
		} else if first := n.keyNamed(k.Value); first != nil {
			line = int(first.line)
		}
		if line != 0 {
			b.errorf(k, Conflict, join(n.path(), k.Value), "this key is here twice; the first is on line %d", line)
			continue
		}
		c, keys := &values[i/2], n.branch.keys
		c.put(spot{n.branch, int32(len(keys))})
		n.branch.keys = append(keys, keyPlace{b.word(k.Value), int32(k.Line + b.shift), int32(k.Column)})
		if b.build(y.Content[i+1], c, depth+1) {
			n.children = append(n.children, c)
		} else {
			n.branch.keys = keys
		}
	}
}

// word is a text that stands in memory once: keys are repeated, and so are most
// values.
func (b *treeBuilder) word(text string) string {
	if known, ok := b.words[text]; ok {
		return known
	}
	b.words[text] = text
	return text
}

func (b *treeBuilder) scalar(y *yaml.Node, n *node) {
	n.kind = scalarNode
	n.value = b.word(y.Value)
	n.setTag(y.ShortTag())
	if !strings.Contains(y.Value, "$") {
		return
	}
	value, missing := expand(y.Value, b.lookup)
	for _, name := range missing {
		b.errorf(y, Reference, n.path(), "the variable %s is not set; set it, give a default as in ${%s:-value}, or write $$ for a dollar sign", name, name)
	}
	n.variable = value != strings.ReplaceAll(y.Value, "$$", "$")
	n.value, n.oddly().written = value, &y.Value
	// A plain scalar gets the type of what it now says: port: $PORT is a
	// number. A quoted one stays a string.
	if y.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle|yaml.TaggedStyle) == 0 {
		n.setTag((&yaml.Node{Kind: yaml.ScalarNode, Value: value}).ShortTag())
	}
}
