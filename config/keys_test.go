package config

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// This file reads the types of the file for those who describe it: their tags
// and Go types by reflection, their comments from the source. schema_test.go
// makes the JSON Schema of it, reference_test.go the page of the documentation.

// key is one key of a mapping, as its field tells it.
type key struct {
	name string
	// old are its earlier spellings.
	old      []string
	required bool
	typ      reflect.Type
	// words are those of a string that has no others; wordsNotYet are
	// agentgateway's only.
	words, wordsNotYet []string
	comment
}

// comment is what the comment of a field says: its description, and what
// follows its labels.
type comment struct{ text, deflt, envoy, differs string }

// keysOf returns the supported keys of a mapping, in the order of the fields.
func (c comments) keysOf(t reflect.Type) (keys []key) {
	s := shapeOf(t)
	for _, name := range s.names {
		shape := s.fields[name]
		owner, field := fieldAt(t, shape.index)
		k := key{
			name: name, required: slices.Contains(s.required, name), typ: field.Type,
			words: shape.enum, wordsNotYet: shape.enumNotYet,
			old:     strings.Fields(field.Tag.Get("old")),
			comment: labelled(field.Name, c.of(owner, field.Name)),
		}
		if len(k.words) == 0 {
			k.words = strings.Fields(field.Tag.Get("words"))
		}
		keys = append(keys, k)
	}
	return keys
}

// fieldAt returns the field at an index of a struct, and the struct that
// declares it, which differs for inlined fields.
func fieldAt(t reflect.Type, index []int) (owner reflect.Type, field reflect.StructField) {
	for _, i := range index {
		owner, field = t, t.Field(i)
		t = field.Type
	}
	return owner, field
}

// mappings returns the structs that a value of the type may hold without
// another struct in between, in the order of its forms, and how a path goes on
// to each.
func mappings(t reflect.Type, step string) (found []mapping) {
	if forms, ok := toldOrGuessed(t); ok {
		for _, f := range forms {
			switch {
			case f.like == nil:
			case f.isMapping():
				found = append(found, mapping{reflect.TypeOf(f.like), step, f.name != ""})
			default:
				found = append(found, mappings(reflect.TypeOf(f.like), step)...)
			}
		}
		return found
	}
	switch t.Kind() {
	case reflect.Pointer:
		return mappings(t.Elem(), step)
	case reflect.Slice:
		return mappings(t.Elem(), step+"[]")
	case reflect.Map:
		return mappings(t.Elem(), step+".*")
	case reflect.Struct:
		return []mapping{{typ: t, step: step}}
	}
	return nil
}

// toldOrGuessed are the forms of a type that decodes itself. One that does not
// tell them, which TestEveryKeyIsDescribed reports, is taken to be a mapping, if
// it has keys, or a string, as early releases of agentgateway had many.
func toldOrGuessed(t reflect.Type) (forms []form, ok bool) {
	forms, ok = formsOf(t)
	if ok && !tells(t) && t.Kind() == reflect.Struct && len(shapeOf(t).names) > 0 {
		return []form{{like: reflect.Zero(t).Interface()}, {like: ""}}, true
	}
	return forms, ok
}

func tells(t reflect.Type) bool { return reflect.PointerTo(t).Implements(reflect.TypeFor[formed]()) }

func (f form) isMapping() bool {
	return f.like != nil && reflect.TypeOf(f.like).Kind() == reflect.Struct
}

type mapping struct {
	typ  reflect.Type
	step string
	// named tells that the form has a name, and no section on the reference page.
	named bool
}

func decodesItself(t reflect.Type) bool { return reflect.PointerTo(t).Implements(selfDecoderType) }

// everyMapping returns all structs of the file below the given ones, each once,
// parents first.
func everyMapping(c comments, roots ...reflect.Type) (all []reflect.Type) {
	var visit func(reflect.Type)
	visit = func(t reflect.Type) {
		if slices.Contains(all, t) {
			return
		}
		all = append(all, t)
		for _, k := range c.keysOf(t) {
			for _, m := range mappings(k.typ, "") {
				visit(m.typ)
			}
		}
	}
	for _, t := range roots {
		visit(t)
	}
	return all
}

// comments are the doc comments of the package's types, by "Type", and of their
// fields, by "Type.Field".
type comments map[string]string

// of returns the comment of a type or, with a name, of one of its fields. The
// instances of a generic type share theirs.
func (c comments) of(t reflect.Type, field ...string) string {
	name, _, _ := strings.Cut(t.Name(), "[")
	return c[strings.Join(append([]string{name}, field...), ".")]
}

// summary is the comment of a type in one line, without its name.
func (c comments) summary(t reflect.Type) string {
	name, _, _ := strings.Cut(t.Name(), "[")
	return predicate(name, strings.Join(strings.Fields(c.of(t)), " "))
}

func readComments(t *testing.T) comments {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := comments{}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if decl, ok := d.(*ast.GenDecl); ok {
				found.declared(decl)
			}
		}
	}
	return found
}

func (c comments) declared(decl *ast.GenDecl) {
	for _, s := range decl.Specs {
		spec, ok := s.(*ast.TypeSpec)
		if !ok {
			continue
		}
		doc := spec.Doc
		if doc == nil && !decl.Lparen.IsValid() {
			doc = decl.Doc // of a type that is declared alone
		}
		c[spec.Name.Name] = doc.Text()
		if body, ok := spec.Type.(*ast.StructType); ok {
			for _, f := range body.Fields.List {
				for _, name := range f.Names {
					c[spec.Name.Name+"."+name.Name] = f.Doc.Text()
				}
			}
		}
	}
}

// labelled splits a comment at its labels, each of which begins a line. The
// subject of the first sentence, which is the Go name, is taken out.
func labelled(name, text string) (c comment) {
	into := &c.text
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		for label, part := range map[string]*string{"Default: ": &c.deflt, "Envoy: ": &c.envoy, "Differs: ": &c.differs} {
			if rest, ok := strings.CutPrefix(line, label); ok {
				into, line = part, rest
			}
		}
		*into = strings.TrimSpace(*into + " " + line)
	}
	c.text = predicate(name, c.text)
	return c
}

// predicate makes "Port is the TCP port." "The TCP port."
func predicate(name, text string) string {
	rest, ok := strings.CutPrefix(text, name+" ")
	if !ok {
		return text
	}
	for _, verb := range []string{"is ", "are "} {
		if after, ok := strings.CutPrefix(rest, verb); ok {
			rest = after
			break
		}
	}
	first, size := utf8.DecodeRuneInString(rest)
	return string(unicode.ToUpper(first)) + rest[size:]
}

// TestEveryKeyIsDescribed: no key without a description, and no type that
// decodes itself without its forms.
func TestEveryKeyIsDescribed(t *testing.T) {
	c := readComments(t)
	for _, m := range everyMapping(c, reflect.TypeFor[file](), reflect.TypeFor[f5File]()) {
		for _, k := range c.keysOf(m) {
			if k.text == "" {
				t.Errorf("%s: the field of %s has no description", m.Name(), k.name)
			}
			for typ := k.typ; ; typ = typ.Elem() {
				if decodesItself(typ) {
					if !tells(typ) {
						t.Errorf("%s decodes itself and does not tell its forms", typ.Name())
					}
					break
				}
				if kind := typ.Kind(); kind != reflect.Pointer && kind != reflect.Slice && kind != reflect.Map {
					break
				}
			}
		}
	}
}
