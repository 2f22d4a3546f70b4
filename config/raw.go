package config

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Raw is a section whose schema belongs to someone else, such as the params
// of a processor. The zero Raw is an absent section.
type Raw struct {
	file string
	node *node
}

func (r *Raw) decodeNode(d *decoder, n *node) {
	if !n.isNull() {
		*r = Raw{file: d.file, node: n}
	}
}

// IsZero tells whether the section is absent or null.
func (r Raw) IsZero() bool { return r.node == nil }

// Path is the place in the file, such as processors[0].params.
func (r Raw) Path() string {
	if r.node == nil {
		return ""
	}
	return r.node.path()
}

// Keys returns the keys of a mapping, in file order.
func (r Raw) Keys() []string {
	if r.node == nil {
		return nil
	}
	keys := make([]string, len(r.node.keys()))
	for i, k := range r.node.keys() {
		keys[i] = k.name
	}
	return keys
}

// Decode fills the struct that into points to, by its `yaml:"key"` tags.
// Unknown keys and wrong types are reported all at once, with their places. An
// absent section changes nothing.
func (r Raw) Decode(into any) error {
	if r.node == nil {
		return nil
	}
	d := &decoder{file: r.file}
	d.decode(r.node, into)
	return Join(d.list)
}

// Merge returns the mapping with the entries of over in place of, or in
// addition to, its own: shallow, key by key, as F5's steps override the params
// of their processor. Each value keeps its own place.
func (r Raw) Merge(over Raw) Raw {
	if r.node == nil {
		return over
	}
	if over.node == nil || over.node.kind != mappingNode || r.node.kind != mappingNode {
		return r
	}
	// The merged mapping stands where the overriding one does.
	m := *over.node
	m.branch, m.children = &branch{spot: over.node.spot()}, nil
	add := func(from *node, unless *node) {
		for i, k := range from.keys() {
			if unless == nil || unless.get(k.name) == nil {
				m.branch.keys = append(m.branch.keys, k)
				m.children = append(m.children, from.children[i])
			}
		}
	}
	add(r.node, over.node)
	add(over.node, nil)
	return Raw{file: r.file, node: &m}
}

// Without returns the mapping without some of its keys.
func (r Raw) Without(keys ...string) Raw {
	if r.node == nil || r.node.kind != mappingNode {
		return r
	}
	m := *r.node
	m.branch, m.children = &branch{spot: r.node.spot()}, nil
	for i, k := range r.node.keys() {
		if !slices.Contains(keys, k.name) {
			m.branch.keys = append(m.branch.keys, k)
			m.children = append(m.children, r.node.children[i])
		}
	}
	return Raw{file: r.file, node: &m}
}

// Errorf returns an error at the place of a key, or of the section itself if
// the key is empty or absent.
func (r Raw) Errorf(key string, kind Kind, format string, args ...any) *Error {
	if r.node == nil {
		return (&node{}).errorf(r.file, kind, format, args...)
	}
	n := r.node
	if c := n.get(key); c != nil {
		n = c
	}
	return n.errorf(r.file, kind, format, args...)
}

// MarshalJSON returns the section as JSON with its YAML types, keys sorted.
// Numbers keep their spelling where JSON allows it.
func (r Raw) MarshalJSON() ([]byte, error) {
	if r.node == nil {
		return []byte("null"), nil
	}
	return json.Marshal(r.node.plain())
}

// plain is the value in encoding/json's terms.
func (n *node) plain() any {
	switch n.kind {
	case mappingNode:
		m := make(map[string]any, len(n.children))
		for i, c := range n.children {
			m[n.branch.keys[i].name] = c.plain()
		}
		return m
	case sequenceNode:
		s := make([]any, len(n.children))
		for i, c := range n.children {
			s[i] = c.plain()
		}
		return s
	}
	switch n.tag {
	case nullTag:
		return nil
	case boolTag:
		return strings.EqualFold(n.value, "true")
	case intTag, floatTag:
		if json.Valid([]byte(n.value)) {
			return json.Number(n.value)
		}
		if i, err := strconv.ParseInt(n.value, 0, 64); err == nil {
			return i
		}
		if f, err := strconv.ParseFloat(n.value, 64); err == nil {
			return f
		}
	}
	return n.value
}

// NewRaw returns a section as if it had been read from a file. It is for
// tests of packages that own a schema.
func NewRaw(file, yaml string) (Raw, error) {
	t, errs := parseTree(file, []byte(yaml), func(string) (string, bool) { return "", false })
	if len(errs) > 0 {
		return Raw{}, Join(errs)
	}
	return Raw{file: file, node: t.root}, nil
}

// words returns the keys of a table, sorted, for messages.
func words[V any](table map[string]V) []string {
	if len(table) == 0 { // as most tables of a route
		return nil
	}
	return slices.Sorted(maps.Keys(table))
}
