package config

import (
	"bytes"
	"strings"

	"gopkg.in/yaml.v3"
)

// A block is a mapping that is being written, key by key.
type block struct{ yaml yaml.Node }

func newBlock() *block { return &block{yaml.Node{Kind: yaml.MappingNode}} }

// set adds a key with its value: a string, *block, []*block, or *node to copy.
// An empty string, a nil pointer and an empty block are left out. comment, if
// any, stands above the key.
func (b *block) set(key string, value any, comment string) *block {
	var v *yaml.Node
	switch value := value.(type) {
	case string:
		if value != "" {
			v = text(value)
		}
	case *block:
		if len(value.yaml.Content) > 0 {
			v = &value.yaml
		}
	case []*block:
		v = &yaml.Node{Kind: yaml.SequenceNode}
		for _, item := range value {
			v.Content = append(v.Content, &item.yaml)
		}
		if len(value) == 0 {
			v.Style = yaml.FlowStyle
		}
	case *node:
		if value != nil {
			v = value.yaml()
		}
	}
	if v != nil {
		k := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: key}
		if comment != "" {
			k.HeadComment = "# " + comment
		}
		b.yaml.Content = append(b.yaml.Content, k, v)
	}
	return b
}

// plain adds a key whose value is no string, such as a number.
func (b *block) plain(key, value string) *block {
	b.yaml.Content = append(b.yaml.Content, text(key), &yaml.Node{Kind: yaml.ScalarNode, Value: value})
	return b
}

// variable adds a key whose value is that of a variable.
func (b *block) variable(key, name string) *block {
	if nameLength(name) != len(name) {
		name = "{" + name + "}"
	}
	b.yaml.Content = append(b.yaml.Content, text(key), &yaml.Node{Kind: yaml.ScalarNode, Value: "$" + name, Style: yaml.DoubleQuotedStyle})
	return b
}

// bytes writes the document with a comment on top.
func (b *block) bytes(comment string) ([]byte, error) {
	var out bytes.Buffer
	out.WriteString("# " + comment + "\n")
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := enc.Encode(&b.yaml); err != nil {
		return nil, err
	}
	return out.Bytes(), enc.Close()
}

// text is a string that no variable is expanded in.
func text(s string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: strings.ReplaceAll(s, "$", "$$")}
}

// yaml is the node as the file has it, with its variables and without its
// comments. Lists of plain values stay on one line.
func (n *node) yaml() *yaml.Node {
	switch n.kind {
	case mappingNode:
		b := newBlock()
		for i, k := range n.keys() {
			b.yaml.Content = append(b.yaml.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: k.name}, n.children[i].yaml())
		}
		if len(n.keys()) == 0 {
			b.yaml.Style = yaml.FlowStyle
		}
		return &b.yaml
	case sequenceNode:
		list := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
		for _, c := range n.children {
			list.Content = append(list.Content, c.yaml())
			if c.kind != scalarNode || strings.Contains(c.source(), "\n") {
				list.Style = 0
			}
		}
		return list
	}
	y := &yaml.Node{Kind: yaml.ScalarNode, Tag: n.shortTag(), Value: n.source()}
	switch {
	case n.isNull() && !n.variable:
		y.Value = "null"
	case n.variable && n.tag == strTag:
		y.Style = yaml.DoubleQuotedStyle // or the value could become a number
	case n.variable:
		y.Tag = ""
	}
	return y
}
