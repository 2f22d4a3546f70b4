package config

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// decoder fills Go values from nodes, strictly: an unknown key and a wrong
// type are errors with their places, and all of them are collected.
//
// Struct fields name their key in a tag, `yaml:"name"`, with these options:
// ",required"; ",notyet" for keys that agentgateway has and Attaché does not,
// whose values are checked all the same; ",inline" for a struct whose keys stand
// among the others. A second tag `old:"a b"` lists earlier spellings, which are
// warned of. `enum:"a b"` lists the words that a string may be, or each item of
// a list or a map, `enumNotYet:"c"` those that agentgateway has and Attaché does
// not; `words:"a b"` lists words for the schema only, where the resolver has better
// answers to others.
//
// The tags of a blank field speak of the whole mapping: `oneOf:"a b"` wants
// exactly one of the keys, `atMostOne:"a b"` no two of them, `word:"a"` lists
// strings that agentgateway takes in place of the mapping and Attaché does not,
// `notyetF5:"a b"` lists keys that F5 AI Gateway has and Attaché does not,
// `refused:"a b"` those with an answer in refused.go; they get an error of their
// own kind.
//
// Absent, null and empty blocks leave the zero value; a pointer tells them
// apart: null is absent, an empty block is not.
type decoder struct {
	file string
	mistakes
	// deprecated are the remarks about old spellings, renames what they are about.
	deprecated []*Error
	renames    []rename
	// public, if not nil, gets the scalars that may be shown; see [Source].
	public map[*node]bool
	// unsupported tells that what is decoded stands below a key that is not
	// supported: one error says so. A key that is not known there, and like no
	// other, may be one of a later release.
	unsupported bool
}

// selfDecoder is a type with a shape that reflection cannot tell, such as a
// string or a mapping.
type selfDecoder interface {
	decodeNode(d *decoder, n *node)
}

// shapes caches what reflection found, by type.
var shapes sync.Map

var selfDecoderType = reflect.TypeFor[selfDecoder]()

func (d *decoder) errorf(n *node, kind Kind, format string, args ...any) {
	d.add(n.errorf(d.file, kind, format, args...))
}

func (d *decoder) decode(n *node, into any) { d.value(n, reflect.ValueOf(into).Elem()) }

func (d *decoder) value(n *node, v reflect.Value) {
	if d.full() {
		return
	}
	if d.public != nil && n.kind == scalarNode && isPublic(v.Type()) {
		d.public[n] = true
	}
	if reflect.PointerTo(v.Type()).Implements(selfDecoderType) {
		v.Addr().Interface().(selfDecoder).decodeNode(d, n)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if !n.isNull() {
			v.Set(reflect.New(v.Type().Elem()))
			d.value(n, v.Elem())
		}
	case reflect.Struct:
		d.structure(n, v)
	case reflect.Slice:
		if n.kind != sequenceNode {
			hint := ""
			if n.isNull() {
				hint = "; write [] for an empty one"
			}
			d.errorf(n, Invalid, "expected a list, found %s%s", n.what(), hint)
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), len(n.children), len(n.children)))
		for i, c := range n.children {
			d.value(c, v.Index(i))
		}
	case reflect.Map:
		if n.isNull() {
			return
		}
		if n.kind != mappingNode {
			d.errorf(n, Invalid, "expected a mapping, found %s", n.what())
			return
		}
		v.Set(reflect.MakeMapWithSize(v.Type(), len(n.children)))
		for i, c := range n.children {
			item := reflect.New(v.Type().Elem()).Elem()
			d.value(c, item)
			v.SetMapIndex(reflect.ValueOf(n.branch.keys[i].name), item)
		}
	case reflect.String:
		if n.kind != scalarNode || n.tag != strTag {
			if !n.isNull() {
				d.errorf(n, Invalid, "expected a string, found %s%s", n.what(), quoteHint(n))
			}
			return
		}
		v.SetString(n.value)
	case reflect.Bool:
		if n.kind != scalarNode || n.tag != boolTag {
			if !n.isNull() {
				d.errorf(n, Invalid, "expected true or false, found %s", n.what())
			}
			return
		}
		v.SetBool(strings.EqualFold(n.value, "true"))
	case reflect.Float64:
		f, err := strconv.ParseFloat(n.value, 64)
		if n.kind != scalarNode || n.tag != intTag && n.tag != floatTag || err != nil {
			d.errorf(n, Invalid, "expected a number, found %s", n.what())
			return
		}
		v.SetFloat(f)
	case reflect.Int, reflect.Int64:
		i, err := strconv.ParseInt(strings.ReplaceAll(n.value, "_", ""), 0, v.Type().Bits())
		if n.kind != scalarNode || n.tag != intTag || err != nil {
			d.errorf(n, Invalid, "expected a whole number, found %s", n.what())
			return
		}
		v.SetInt(i)
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		u, err := strconv.ParseUint(strings.ReplaceAll(n.value, "_", ""), 0, v.Type().Bits())
		if n.kind != scalarNode || n.tag != intTag || err != nil {
			d.errorf(n, Invalid, "expected a whole number from 0 to %d, found %s", uint64(1)<<v.Type().Bits()-1, n.what())
			return
		}
		v.SetUint(u)
	default:
		panic("config: no decoder for " + v.Type().String())
	}
}

func quoteHint(n *node) string {
	if n.kind == scalarNode && !n.variable {
		return "; quote it"
	}
	return ""
}

func (d *decoder) structure(n *node, v reflect.Value) {
	if n.isNull() {
		return
	}
	s := shapeOf(v.Type())
	if n.kind != mappingNode {
		d.notAMapping(n, s, holdsSecret(v.Type()))
		return
	}
	said := func(key keyPlace, child *node, kind Kind, format string, args ...any) *Error {
		return &Error{File: d.file, Line: int(key.line), Column: int(key.column), Path: child.path(), Kind: kind, Msg: fmt.Sprintf(format, args...)}
	}
	var room [8]givenKey
	given := givenKeys(room[:0])
	known := true // every key is one of the fields
	for i, key := range n.keys() {
		child := n.children[i]
		field, ok := s.fields[key.name]
		if !ok {
			known = false
			if msg, ok := s.notYet[key.name]; ok {
				d.add(said(key, child, Unsupported, "%s", msg))
			} else if best := nearestKey(key.name, s.known); best != "" || !d.unsupported {
				d.add(said(key, child, UnknownKey, "unknown key; %s", proposal(best, s.known, s.names)))
			}
			continue
		}
		if first := given.find(field.name); first != nil {
			d.add(said(key, child, Conflict, "the same as %s (line %d); write only %s", first.name, first.line, field.name))
			continue
		}
		given = append(given, givenKey{key, field.name})
		if key.name != field.name {
			d.deprecated = append(d.deprecated, said(key, child, Deprecated, "a deprecated spelling; write %s", field.name))
			d.renames = append(d.renames, rename{key, field.name})
		}
		outer := d.unsupported
		if field.notYet && !outer {
			d.add(said(key, child, Unsupported, notYetMessage))
			d.unsupported = true
		}
		public := d.public
		if field.notYet {
			d.public = nil
		}
		into := v.FieldByIndex(field.index)
		d.value(child, into)
		d.public = public
		if len(field.enum) > 0 {
			d.words(child, into.Kind(), field)
		}
		d.unsupported = outer
	}
	if known {
		d.alternatives(n, s, given)
	}
	for _, name := range s.required {
		if given.find(name) == nil {
			d.missing(n, name)
		}
	}
}

// givenKeys are the keys of a mapping that are fields.
type givenKeys []givenKey

type givenKey struct {
	keyPlace
	field string // the current spelling
}

// find returns the key for a field, or nil.
func (g givenKeys) find(field string) *keyPlace {
	for i := range g { // they are few
		if g[i].field == field {
			return &g[i].keyPlace
		}
	}
	return nil
}

// notAMapping reports what stands in the place of a mapping.
func (d *decoder) notAMapping(n *node, s *shape, secret bool) {
	found := n.what()
	if n.kind == scalarNode && secret {
		found = "a single value" // which may be the secret
	}
	switch {
	case n.kind != scalarNode || !slices.Contains(s.words, n.value):
		d.errorf(n, Invalid, "expected a mapping with %s, found %s", alternatives(s.names), found)
	case !d.unsupported:
		d.errorf(n, Unsupported, "a valid value in agentgateway, not supported yet; expected a mapping with %s", alternatives(s.names))
	}
}

// alternatives checks the keys that exclude each other.
func (d *decoder) alternatives(n *node, s *shape, given givenKeys) {
	for _, group := range s.exclusive {
		count := 0
		var working []string
		for _, name := range group.names {
			if given.find(name) != nil {
				count++
			}
			if d.unsupported || !s.fields[name].notYet {
				working = append(working, name)
			}
		}
		switch {
		case count == 0 && group.required && len(working) == 1:
			d.missing(n, working[0])
		case count == 0 && group.required:
			d.errorf(n, Invalid, "expected exactly one of %s", strings.Join(working, ", "))
		case count > 1 && group.required:
			d.errorf(n, Invalid, "expected exactly one of %s", strings.Join(group.names, ", "))
		case count > 1:
			d.errorf(n, Invalid, "expected at most one of %s", strings.Join(group.names, ", "))
		}
	}
}

func (d *decoder) missing(n *node, name string) {
	d.add(&Error{File: d.file, Line: int(n.line), Column: int(n.column), Path: join(n.path(), name), Kind: Invalid, Msg: "missing"})
}

// words checks the strings in a value, which is decoded into one of a kind,
// against the words of its field.
func (d *decoder) words(n *node, kind reflect.Kind, field fieldShape) {
	if kind == reflect.Slice || kind == reflect.Map {
		for _, c := range n.children {
			d.word(c, field)
		}
		return
	}
	d.word(n, field)
}

// word checks a string against the words of its field.
func (d *decoder) word(n *node, field fieldShape) {
	switch {
	case n.kind != scalarNode || n.tag != strTag || n.value == "" || slices.Contains(field.enum, n.value):
	case slices.Contains(field.enumNotYet, n.value) && d.unsupported:
	case slices.Contains(field.enumNotYet, n.value):
		d.errorf(n, Unsupported, "a valid value in agentgateway, not supported yet; expected %s", alternatives(field.enum))
	default:
		d.errorf(n, Invalid, "unknown value %s; %s", n.quoted(), suggest(n.value, slices.Concat(field.enum, field.enumNotYet), field.enum))
	}
}

// shape is what the tags of a struct type say.
type shape struct {
	fields   map[string]fieldShape // by every spelling
	names    []string              // of the keys that work, in the order of the fields
	known    []string              // every spelling of every key
	required []string
	notYet   map[string]string // key to what is said about it
	// exclusive are the groups of keys that exclude each other.
	exclusive []exclusion
	// words are what agentgateway takes in place of the mapping.
	words []string
}

// exclusion is a group of keys of which no two may be given, and one must be if
// it is required.
type exclusion struct {
	names    []string
	required bool
}

// fieldShape is one key of a struct.
type fieldShape struct {
	name   string // the current spelling
	index  []int
	notYet bool
	// enum and enumNotYet are the words of a string that has no others.
	enum, enumNotYet []string
}

// notYetMessage is said of keys that agentgateway has and Attaché does not.
const notYetMessage = "valid agentgateway key, not supported yet"

// notYet is a value of agentgateway's whose shape is not known here.
type notYet struct{}

func (*notYet) decodeNode(*decoder, *node) {}

// notYetTags are the struct tags for keys that Attaché does not do, with what
// is said about them.
var notYetTags = map[string]func(key string) string{
	"notyetF5": func(string) string { return "valid F5 AI Gateway key, not supported yet" },
	"refused":  func(key string) string { return refusedKeys[key] },
}

func shapeOf(t reflect.Type) *shape {
	if s, ok := shapes.Load(t); ok {
		return s.(*shape)
	}
	s := &shape{fields: map[string]fieldShape{}, notYet: map[string]string{}}
	s.collect(t, nil)
	s.known = slices.Concat(words(s.notYet), s.names, words(s.fields))
	shapes.Store(t, s)
	return s
}

// collect adds the keys of a struct that stands at an index of the whole.
func (s *shape) collect(t reflect.Type, at []int) {
	for i := range t.NumField() {
		f := t.Field(i)
		for tag, says := range notYetTags {
			for _, key := range strings.Fields(f.Tag.Get(tag)) {
				s.notYet[key] = says(key)
			}
		}
		s.words = append(s.words, strings.Fields(f.Tag.Get("word"))...)
		for _, tag := range []string{"oneOf", "atMostOne"} {
			if names := strings.Fields(f.Tag.Get(tag)); len(names) > 0 {
				s.exclusive = append(s.exclusive, exclusion{names, tag == "oneOf"})
			}
		}
		index := append(slices.Clone(at), i)
		name, option, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if option == "inline" {
			s.collect(f.Type, index)
			continue
		}
		if name == "" {
			continue
		}
		field := fieldShape{name: name, index: index, notYet: option == "notyet"}
		field.enum, field.enumNotYet = strings.Fields(f.Tag.Get("enum")), strings.Fields(f.Tag.Get("enumNotYet"))
		s.fields[name] = field
		for _, old := range strings.Fields(f.Tag.Get("old")) {
			s.fields[old] = field
		}
		if field.notYet {
			s.notYet[name] = notYetMessage
			continue
		}
		s.names = append(s.names, name)
		if option == "required" {
			s.required = append(s.required, name)
		}
	}
}

// suggest proposes what the user may have meant: the nearest of all known
// words, or else the list of those that work.
func suggest(word string, known, working []string) string {
	return proposal(nearest(word, known), known, working)
}

func proposal(best string, known, working []string) string {
	if best != "" {
		return fmt.Sprintf("did you mean %q?", best)
	}
	if len(working) == 0 {
		working = known
	}
	return "expected " + alternatives(working)
}

// nearest returns the known word that differs from a word by the fewest letters;
// it is empty if none is near.
func nearest(word string, known []string) string {
	best, distance := "", len(word)/3+1
	if len(word) < 5 {
		distance = 1
	}
	for _, k := range known {
		if strings.EqualFold(k, word) {
			return k
		}
		if dist := editDistance(word, k); dist <= distance && dist < len(k) {
			best, distance = k, dist-1
		}
	}
	return best
}

// nearestKey is nearest for keys. The only one that begins with the word, as routes
// does with rout, or else the only one of which it is a part, as prefix is of
// pathPrefix, is nearer than one that differs by several letters.
func nearestKey(word string, known []string) string {
	best := nearest(word, known)
	if len(word) < 4 || best != "" && editDistance(word, best) < 2 {
		return best
	}
	return cmp.Or(only(word, known, strings.HasPrefix), only(word, known, strings.Contains), best)
}

// only returns the one known word that has a part, whatever its case; it is empty if
// there are none or several.
func only(part string, known []string, has func(word, part string) bool) (one string) {
	for _, k := range known {
		switch {
		case k == one || !has(strings.ToLower(k), strings.ToLower(part)):
		case one != "":
			return ""
		default:
			one = k
		}
	}
	return one
}

// alternatives is "a", "a or b", "one of a, b, c".
func alternatives(words []string) string {
	switch len(words) {
	case 0:
		return "nothing"
	case 1:
		return words[0]
	case 2:
		return words[0] + " or " + words[1]
	}
	return "one of " + strings.Join(words, ", ")
}

// editDistance counts the insertions, deletions, replacements and swaps of
// neighbours that turn a into b.
func editDistance(a, b string) int {
	prev2, prev, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(prev[j]+1, row[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], prev2[j-2]+1)
			}
		}
		prev2, prev, row = prev, row, prev2
	}
	return prev[len(b)]
}
