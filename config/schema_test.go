package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/tools/txtar"
)

// TestSchema holds schema.json to the types of the file.
func TestSchema(t *testing.T) { generated(t, "schema.json", schemaText(t)) }

func schemaText(t *testing.T) string {
	t.Helper()
	var text strings.Builder
	enc := json.NewEncoder(&text)
	enc.SetIndent("", " ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(newSchemaWriter(readComments(t)).root()); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

// generated compares a committed file with what it should be, or rewrites it.
func generated(t *testing.T, name, want string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(got), want); diff != "" {
		t.Errorf("%s is stale; run make update (is -, should be +):\n%s", name, diff)
	}
}

type object = map[string]any

// schemaWriter makes the JSON Schema of types. Any scalar but a plain string may
// be a variable, which is a string to an editor, so each of them takes strings
// with a dollar sign.
type schemaWriter struct {
	comments comments
	defs     object
}

func newSchemaWriter(c comments) *schemaWriter { return &schemaWriter{c, object{}} }

// A key that is not supported is no valid one, but not an unknown one either:
// editors show the deprecation message, and do not propose such keys.
func unsupportedKey(message string) object {
	return object{"not": object{}, "description": "Not supported: " + message + ".", "deprecationMessage": message}
}

// root chooses between the two dialects as Parse does.
func (w *schemaWriter) root() object {
	var signs []any
	for _, s := range f5Keys {
		if s.list == "" {
			signs = append(signs, object{"required": []string{s.key}})
		} else {
			entry := object{"type": "object", "required": []string{s.key}}
			signs = append(signs, object{"required": []string{s.list}, "properties": object{
				s.list: object{"type": "array", "contains": entry},
			}})
		}
	}
	w.defs["notYet"] = unsupportedKey(notYetMessage)
	w.defs["variable"] = object{"type": "string", "pattern": `\$`, "description": "A variable, such as $NAME or ${NAME:-default}."}
	ours, f5 := w.value(key{typ: reflect.TypeFor[file]()}), w.value(key{typ: reflect.TypeFor[f5File]()})
	return object{
		"$schema":     "https://json-schema.org/draft/2020-12/schema",
		"title":       "Attaché's file",
		"description": "agentgateway's tree with F5 AI Gateway's processors and profiles, or F5's own file. attache validate has the last word.",
		"type":        "object",
		"if":          object{"anyOf": signs},
		"then":        f5,
		"else":        ours,
		"$defs":       w.defs,
	}
}

// value is the schema of what stands behind a key.
func (w *schemaWriter) value(k key) object {
	t := k.typ
	if forms, ok := toldOrGuessed(t); ok {
		return w.forms(forms)
	}
	elem := func() object { k.typ = t.Elem(); return w.value(k) }
	switch t.Kind() {
	case reflect.Pointer:
		return elem()
	case reflect.Struct:
		return w.mapping(t)
	case reflect.Slice:
		return object{"type": "array", "items": elem()}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": elem()}
	case reflect.String:
		if len(k.words) > 0 {
			return orVariable(object{"enum": k.words}, "expected "+alternatives(k.words))
		}
		return object{"type": []string{"string", "null"}}
	case reflect.Bool:
		return scalar("boolean", "true or false", object{})
	case reflect.Float32, reflect.Float64:
		return scalar("number", "a number", object{})
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return scalar("integer", "a whole number", object{})
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		most := ^uint64(0) >> (64 - t.Bits())
		return scalar("integer", fmt.Sprintf("a whole number from 0 to %d", most), object{"minimum": 0, "maximum": most})
	case reflect.Interface:
		return object{}
	}
	panic("no JSON Schema for " + t.String())
}

// scalar is a type or a variable. The bounds and the pattern each concern one
// of the two.
func scalar(name, what string, bounds object) object {
	s := object{"type": []string{name, "string", "null"}, "pattern": `\$`, "errorMessage": "expected " + what}
	maps.Copy(s, bounds)
	return s
}

func orVariable(s object, message string) object {
	return object{"anyOf": []any{s, ref("variable")}, "errorMessage": message}
}

func ref(def string) object { return object{"$ref": "#/$defs/" + def} }

func (w *schemaWriter) forms(forms []form) object {
	var all []any
	for _, f := range forms {
		all = append(all, w.form(f))
	}
	if len(all) == 1 {
		return all[0].(object)
	}
	return object{"anyOf": all}
}

func (w *schemaWriter) form(f form) object {
	switch {
	case f.like == nil:
		return object{}
	case f.isMapping():
		return w.mapping(reflect.TypeOf(f.like))
	case len(f.words) > 0 && reflect.TypeOf(f.like).Kind() == reflect.String:
		return object{"enum": f.words}
	case len(f.words) > 0:
		var numbers []any
		for _, word := range f.words {
			numbers = append(numbers, json.Number(word))
		}
		return object{"enum": numbers}
	case f.pattern != "":
		return object{"type": []string{"string", "null"}, "pattern": "^(" + f.pattern + `)$|\$`, "errorMessage": "expected a " + f.name}
	}
	return w.value(key{typ: reflect.TypeOf(f.like)})
}

// mapping defines a struct once and refers to it.
func (w *schemaWriter) mapping(t reflect.Type) object {
	name := defName(t)
	if _, done := w.defs[name]; done {
		return ref(name)
	}
	properties := object{}
	def := object{"type": []string{"object", "null"}, "additionalProperties": false, "properties": properties}
	w.defs[name] = def // before its fields, which may hold it again
	if text := w.comments.summary(t); text != "" {
		def["description"] = text
	}
	var required []string
	var either []any
	for _, k := range w.comments.keysOf(t) {
		properties[k.name] = w.described(k)
		for _, old := range k.old {
			properties[old] = w.deprecated(k)
		}
		switch {
		case k.required && len(k.old) == 0:
			required = append(required, k.name)
		case k.required:
			var any []any
			for _, spelling := range append([]string{k.name}, k.old...) {
				any = append(any, object{"required": []string{spelling}})
			}
			either = append(either, object{"anyOf": any})
		}
	}
	if required != nil {
		def["required"] = required
	}
	if either != nil {
		def["allOf"] = either
	}
	w.unsupported(t, properties)
	return ref(name)
}

func (w *schemaWriter) described(k key) object {
	s := w.value(k)
	text := k.text
	for _, part := range []struct{ label, text string }{{"Default", k.deflt}, {"Envoy", k.envoy}, {"Differs", k.differs}} {
		if part.text != "" {
			text += "\n\n" + part.label + ": " + part.text
		}
	}
	if text = strings.TrimSpace(text); text != "" {
		s["description"] = text
	}
	return s
}

func (w *schemaWriter) deprecated(k key) object {
	s := w.value(k)
	s["deprecated"], s["deprecationMessage"] = true, "a deprecated spelling; write "+k.name
	return s
}

func (w *schemaWriter) unsupported(t reflect.Type, properties object) {
	for name, message := range shapeOf(t).notYet {
		if message == notYetMessage {
			properties[name] = ref("notYet")
		} else {
			properties[name] = unsupportedKey(message)
		}
	}
	// The old spellings of a key that is not supported are not either.
	for spelling, field := range shapeOf(t).fields {
		if field.notYet {
			properties[spelling] = ref("notYet")
		}
	}
}

// defName is the name of a type without the file that it describes: bind for
// fileBind, ai for fileAI, conditionalExtProc for conditional[fileExtProc].
func defName(t reflect.Type) string {
	if t.Name() == "" {
		panic("a struct without a name has no schema; name " + t.String())
	}
	base, argument, _ := strings.Cut(strings.TrimSuffix(t.Name(), "]"), "[")
	argument = argument[strings.LastIndexByte(argument, '.')+1:]
	name := []rune(strings.TrimPrefix(base, "file"))
	if len(name) == 0 {
		return "file"
	}
	for i := range name {
		if i > 0 && i+1 < len(name) && unicode.IsLower(name[i+1]) || !unicode.IsUpper(name[i]) {
			break
		}
		name[i] = unicode.ToLower(name[i])
	}
	return string(name) + strings.TrimPrefix(argument, "file")
}

func compile(t *testing.T, text string) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// example is a file of ours that stands somewhere in the repository.
type example struct{ place, text string }

var yamlFence = regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$")

// examples are the configurations of all goldens, scripts and documents, good
// and bad.
func examples(t *testing.T) (all []example) {
	t.Helper()
	each := func(pattern string, add func(name string, text []byte)) {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("no files match %s: %v", pattern, err)
		}
		for _, name := range files {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			add(name, text)
		}
	}
	for _, pattern := range []string{"testdata/*.txtar", "testdata/convert/*.txtar", "../translator/testdata/*.txtar", "../e2e/testdata/*.txtar"} {
		each(pattern, func(name string, text []byte) {
			for _, f := range txtar.Parse(text).Files {
				if strings.HasSuffix(f.Name, ".yaml") {
					all = append(all, example{name + "/" + f.Name, string(f.Data)})
				}
			}
		})
	}
	for _, pattern := range []string{"../*.md", "../docs/*.md", "../extprocsvc/processors/*/*.md"} {
		each(pattern, func(name string, text []byte) {
			for i, m := range yamlFence.FindAllSubmatch(text, -1) {
				all = append(all, example{fmt.Sprintf("%s/%d", name, i), string(m[1])})
			}
		})
	}
	for _, pattern := range []string{"../examples/*/attache.yaml", "../deploy/compose/config/*.yaml"} {
		each(pattern, func(name string, text []byte) { all = append(all, example{name, string(text)}) })
	}
	return all
}

// TestSchemaAgreesWithParse: the schema takes every file that loads, and refuses
// every one with a key that the decoder does not know.
func TestSchemaAgreesWithParse(t *testing.T) {
	s := compile(t, schemaText(t))
	good, misspelt := 0, 0
	for _, e := range examples(t) {
		instance, err := instanceOf(e.text)
		if err != nil {
			continue // not YAML, or not ours
		}
		refused := s.Validate(instance)
		switch loads, unknown := verdict(e); {
		case loads && refused != nil:
			t.Errorf("%s loads, and the schema refuses it: %v", e.place, refused)
		case unknown && refused == nil:
			t.Errorf("%s has an unknown key, and the schema takes it", e.place)
		case loads:
			good++
			misspelt += misspellings(t, s, e.place, instance)
		}
	}
	if good < 50 || misspelt < 200 {
		t.Errorf("only %d examples that load were found, with %d places for unknown keys", good, misspelt)
	}
}

// misspellings puts a key that nobody knows into each mapping of an example, one
// at a time: the schema refuses it where the decoder does. It returns how often
// that was.
func misspellings(t *testing.T, s *jsonschema.Schema, place string, instance any) (refused int) {
	var visit func(any)
	visit = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, item := range v {
				visit(item)
			}
		case map[string]any:
			v["nobodyKnows"] = "this"
			text, err := json.Marshal(instance)
			if err != nil {
				t.Fatal(err)
			}
			loads, unknown := verdict(example{place, string(text)})
			if invalid := s.Validate(instance) != nil; unknown && !invalid || loads && invalid {
				t.Errorf("the decoder and the schema differ about the key nobodyKnows in %s", text)
			}
			if unknown {
				refused++
			}
			delete(v, "nobodyKnows")
			for _, item := range v {
				visit(item)
			}
		}
	}
	visit(instance)
	return refused
}

// verdict is what Parse says of an example, whatever its variables and the files
// that it names may hold.
func verdict(e example) (loads, unknownKey bool) {
	_, err := Parse(e.place, []byte(e.text), Options{
		LookupEnv: func(name string) (string, bool) {
			return "3000", !strings.HasSuffix(name, "_ADDR") && name != "DNS_LOOKUP_FAMILY"
		},
		ReadFile: func(string) ([]byte, error) { return nil, os.ErrNotExist },
	})
	errs := Errors(err)
	loads = !slices.ContainsFunc(errs, func(e *Error) bool { return e.Kind != Reference })
	return loads, slices.ContainsFunc(errs, func(e *Error) bool { return e.Kind == UnknownKey })
}

// instanceOf is a YAML text as JSON has it, with its variables: an editor sees
// them as strings.
func instanceOf(text string) (any, error) {
	tree, errs := parseTree("", []byte(text), func(name string) (string, bool) { return "$" + name, true })
	if len(errs) > 0 {
		return nil, Join(errs)
	}
	asJSON, err := Raw{node: tree.root}.MarshalJSON()
	if err != nil {
		return nil, err
	}
	return jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
}

// TestSchemaRefuses: what an editor should underline.
func TestSchemaRefuses(t *testing.T) {
	s := compile(t, schemaText(t))
	for _, src := range []string{
		"bind: []",
		"binds: [{port: 3000, listeners: [{protocl: HTTP}]}]",
		"binds: [{port: 3000, listeners: [{protocol: HBONE}]}]",
		"binds: [{port: 65536, listeners: []}]",
		"binds: [{port: many, listeners: []}]",
		"binds: [{listeners: []}]",
		"binds: {port: 3000}",
		"config: {hbone: {}}",
		"config: {enableIpv6: perhaps}",
		"processors: [{name: a, type: b, timeout: 10}]",
		"processors: [{name: a, type: b, timeout: soon}]",
		"server: {address: \":1\"}\nbinds: []",
		"server: {address: \":1\"}\nroutes: [{path: /}]",
		"server: {address: \":1\"}\nmode: standalone",
	} {
		instance, err := instanceOf(src)
		if err != nil {
			t.Fatal(err)
		}
		if s.Validate(instance) == nil {
			t.Errorf("the schema takes %q", src)
		}
	}
}

// What the types of the file need not have at the moment.
type (
	shapesFile struct {
		shapesShared `yaml:",inline"`
		Gateways     map[string]*shapesFile `yaml:"gateways"`
		Lists        [][]string             `yaml:"lists"`
		Share        *float64               `yaml:"share"`
		Later        notYet                 `yaml:"later,notyet" old:"earlier"`
		If           *shapesIf[fileTimeout] `yaml:"if"`
	}
	shapesIf[T any] struct {
		Then T `yaml:"then"`
	}
	shapesShared struct {
		Host  string   `yaml:"host,required" old:"address addr"`
		Modes []string `yaml:"modes" enum:"a b" enumNotYet:"c"`
	}
)

func TestSchemaOfShapes(t *testing.T) {
	w := newSchemaWriter(readComments(t))
	root := w.root()
	delete(root, "if")
	maps.Copy(root, w.value(key{typ: reflect.TypeFor[shapesFile]()}))
	text, err := json.Marshal(root)
	if err != nil {
		t.Fatal(err)
	}
	s := compile(t, string(text))
	for src, want := range map[string]bool{
		`{host: a, gateways: {x: {host: b, modes: [a, $MODE], share: 0.5}, y: null}, lists: [[a], []]}`: true,
		`{host: a, if: {then: {requestTimeout: 1m30s}}}`:                                                true,
		`{host: a, if: {then: {host: a}}}`:                                                              false,
		`{address: a, share: $SHARE}`:                                                                   true,
		`{modes: [a]}`:                                                                                  false,
		`{host: a, modes: [c]}`:                                                                         false,
		`{host: a, gateways: {x: {}}}`:                                                                  false,
		`{host: a, gateways: {x: {host: a, b: 1}}`:                                                      false,
		`{host: a, later: 1}`:                                                                           false,
		`{host: a, earlier: 1}`:                                                                         false,
		`{host: a, share: half}`:                                                                        false,
		`{host: a, lists: [a]}`:                                                                         false,
	} {
		instance, err := instanceOf(src)
		if err == nil {
			err = s.Validate(instance)
		}
		if (err == nil) != want {
			t.Errorf("%s: %v", src, err)
		}
	}
	if w.defs["shapesIfTimeout"] == nil {
		t.Errorf("the definitions are %v", slices.Sorted(maps.Keys(w.defs)))
	}
	if old := w.defs["shapesFile"].(object)["properties"].(object)["addr"].(object); old["deprecated"] != true {
		t.Errorf("an old spelling is not deprecated: %v", old)
	}
}
