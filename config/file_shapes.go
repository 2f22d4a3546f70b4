package config

import (
	"reflect"
	"time"
)

// The types of this file are the small shapes that recur in agentgateway's
// tree: values that are a word here and a mapping there.

// fileCEL is an expression in CEL.
type fileCEL string

// fileEmpty is a mapping without keys: {}.
type fileEmpty struct{}

// fileSecret is a string that no message shows.
type fileSecret string

func (s *fileSecret) decodeNode(d *decoder, n *node) {
	switch {
	case n.isNull():
	case n.kind != scalarNode || n.tag != strTag:
		d.errorf(n, Invalid, "expected a string; quote a secret that consists of digits")
	default:
		*s = fileSecret(n.value)
	}
}

// fileSpan is a fileDuration that may be none at all: 0s.
type fileSpan time.Duration

func (s *fileSpan) decodeNode(d *decoder, n *node) {
	if n.isNull() {
		return
	}
	span, err := time.ParseDuration(n.value)
	switch {
	case n.kind != scalarNode || n.tag != strTag || err != nil:
		d.errorf(n, Invalid, "expected a duration such as 500ms, 10s or 1m30s, found %s", n.what())
	case span < 0:
		d.errorf(n, Invalid, "a duration cannot be negative; expected one such as 10s")
	default:
		*s = fileSpan(span)
	}
}

// fileScalar is a string, a number or a boolean, as text.
type fileScalar string

func (s *fileScalar) decodeNode(d *decoder, n *node) {
	switch {
	case n.isNull():
	case n.kind != scalarNode:
		d.errorf(n, Invalid, "expected a string, a number, true or false, found %s", n.what())
	default:
		*s = fileScalar(n.value)
	}
}

// textOr fills text from a scalar, and the mapping from anything else.
func (d *decoder) textOr(n *node, text *string, mapping any) {
	if n.kind == scalarNode {
		d.decode(n, text)
	} else {
		d.decode(n, mapping)
	}
}

// stringOr is a string, or a mapping with the keys of T. Either may hold a
// secret, so messages do not show it.
type stringOr[T any] struct {
	text  string
	block *T
}

func (s *stringOr[T]) decodeNode(d *decoder, n *node) {
	switch {
	case n.isNull():
	case n.kind == mappingNode:
		s.block = new(T)
		d.decode(n, s.block)
	case n.kind == scalarNode && n.tag == strTag:
		s.text = n.value
	default:
		d.errorf(n, Invalid, "expected a string, or a mapping with %s%s", alternatives(shapeOf(reflect.TypeFor[T]()).names), quoteHint(n))
	}
}

func (stringOr[T]) forms() []form { return []form{{like: "", secret: true}, {like: *new(T)}} }

// fileText is a text, or {file: path} with the text in a file.
type fileText = stringOr[fileTextFile]

type fileTextFile struct {
	// File is the path of the file with the text, relative to the working
	// directory.
	File string `yaml:"file,required"`
}

// fileDocument is a text, {file: path}, or {url: …} to fetch it from.
type fileDocument = stringOr[fileDocumentPlace]

type fileDocumentPlace struct {
	_ struct{} `oneOf:"file url"`

	// File is the path of the file with the document, relative to the working
	// directory.
	File string `yaml:"file"`
	// URL is where the document is fetched, and fetched again from time to
	// time.
	URL string `yaml:"url"`
}

// oneOrMany is a list, or its only item.
type oneOrMany[T any] []T

func (l *oneOrMany[T]) decodeNode(d *decoder, n *node) {
	switch {
	case n.isNull():
	case n.kind == sequenceNode:
		d.decode(n, (*[]T)(l))
	default:
		*l = make([]T, 1)
		d.decode(n, &(*l)[0])
	}
}

// conditional is a policy, or {conditional: […]} with several of which the first
// whose condition is true applies.
type conditional[T any] struct {
	always  *T
	entries []conditionalEntry[T]
}

// conditionalEntry is a policy with its condition.
type conditionalEntry[T any] struct {
	// Condition decides whether this entry applies. Only the last entry may be
	// without one.
	// Default: always true.
	Condition fileCEL `yaml:"condition"`
	Policy    T       `yaml:",inline"`
}

// conditionalForm is the mapping in place of the policy.
type conditionalForm[T any] struct {
	// Conditional lists the policy with conditions, 1 to 64 times. The first
	// entry whose condition is true applies; if none is, the policy is skipped.
	Conditional []conditionalEntry[T] `yaml:"conditional,required"`
}

// policyForm is the policy itself; beside it stands the key that would replace it.
type policyForm[T any] struct {
	Policy T `yaml:",inline"`

	Conditional notYet `yaml:"conditional"`
}

func (c *conditional[T]) decodeNode(d *decoder, n *node) {
	switch {
	case n.isNull():
	case n.get("conditional") != nil:
		c.entries = decodeConditional[T](d, n)
	default:
		var p policyForm[T]
		d.decode(n, &p)
		c.always = &p.Policy
	}
}

// conditionalList is a list of limits, all of which must admit a request, or
// {conditional: […]} with one limit in each entry.
type conditionalList[T any] struct {
	always  []T
	entries []conditionalEntry[T]
}

func (l *conditionalList[T]) decodeNode(d *decoder, n *node) {
	switch {
	case n.isNull():
	case n.kind == mappingNode:
		l.entries = decodeConditional[T](d, n)
	default:
		d.decode(n, &l.always)
	}
}

// decodeConditional reads {conditional: […]}.
func decodeConditional[T any](d *decoder, n *node) []conditionalEntry[T] {
	var c conditionalForm[T]
	d.decode(n, &c)
	list := n.get("conditional")
	if list == nil || list.kind != sequenceNode {
		return nil
	}
	if len(list.children) == 0 || len(list.children) > 64 {
		d.errorf(list, Invalid, "expected 1 to 64 entries, found %d", len(list.children))
	}
	for _, entry := range list.children[:max(len(list.children)-1, 0)] {
		if c := entry.get("condition"); entry.kind == mappingNode && (c == nil || c.isNull()) {
			d.errorf(entry, Unreachable, "the entries after this one never apply, because it has no condition; put it last")
		}
	}
	return c.Conditional
}
