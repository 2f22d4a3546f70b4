package llm

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

func scan(t testing.TB, body string) *Doc {
	t.Helper()
	d := new(Doc)
	if err := d.Scan(ChatCompletions, []byte(body)); err != nil {
		t.Fatalf("Scan(%s): %v", body, err)
	}
	return d
}

func TestReplaceList(t *testing.T) {
	d := scan(t, `{"model":"m", "messages": [], "z":1}`)
	apply(t, d, AddSystem("one"), toModel("n"))
	if got, want := string(d.AppendList(nil)), `[{"role":"system","content":"one"}]`; got != want {
		t.Errorf("the list is %s, want %s", got, want)
	}
	apply(t, d, ReplaceList([]byte(` [{"content":"new","role":"user","x":1e5}] `)))
	if got, want := string(d.Append(nil)), `{"model":"n", "messages":  [{"content":"new","role":"user","x":1e5}] , "z":1}`; got != want || !d.Changed() {
		t.Errorf("got %s, want %s", got, want)
	}
	apply(t, d, toModel("o"), AddSystem("two"))
	want := `{"model":"o", "messages":  [{"role":"system","content":"two"},{"content":"new","role":"user","x":1e5}] , "z":1}`
	if got := string(d.Append(nil)); got != want || d.Len() != len(want) {
		t.Errorf("got %s, want %s", got, want)
	}
	for _, bad := range []string{``, `{}`, `[`, `[],"model":"x"`, `[]]`, `[1]`, `[{"content":1}]`, `[{"role":"a","role":"b"}]`, "[\"\xff\"]"} {
		d := scan(t, `{"messages":[{}]}`)
		if err := d.Apply(ReplaceList([]byte(bad))); err == nil {
			t.Errorf("%s was accepted", bad)
		} else if got := string(d.Append(nil)); got != `{"messages":[{}]}` {
			t.Errorf("%s left %s", bad, got)
		}
	}
}

func TestCompletion(t *testing.T) {
	const body = `{"id":"1","choices":[{"index":0,"message":{"content":"hi","role":"assistant"}},{"message":{"role":"assistant","content":null,"tool_calls":[]}}],"usage":{}}`
	var d Doc
	if err := d.Scan(ChatCompletion, []byte(body)); err != nil || d.Messages() != nil {
		t.Fatal(err, d.Messages())
	}
	var texts []string
	for x := range d.Texts() {
		texts = append(texts, fmt.Sprintf("%d %s %s", x.Message, x.Role, x.Raw))
	}
	if want := []string{"0 assistant hi"}; !reflect.DeepEqual(texts, want) {
		t.Errorf("got %q, want %q", texts, want)
	}
	apply(t, &d, ReplaceList([]byte(`[]`)))
	if got, want := string(d.Append(nil)), `{"id":"1","choices":[],"usage":{}}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for _, odd := range []string{`{}`, `{"choices":1}`, `{"choices":[{"message":1}]}`, `{"choices":[{"message":{"content":1}}]}`} {
		if err := d.Scan(ChatCompletion, []byte(odd)); err != nil || d.Messages() == nil {
			t.Errorf("%s: %v, %v", odd, err, d.Messages())
		}
	}
}

// toModel is what [Settings] say of the model.
type toModel string

// do applies an [Edit], or a model.
func do(d *Doc, change any) error {
	switch change := change.(type) {
	case toModel:
		return d.Set(&Settings{Model: string(change)})
	default:
		return d.Apply(change.(Edit))
	}
}

func apply(t testing.TB, d *Doc, changes ...any) {
	t.Helper()
	for _, c := range changes {
		if err := do(d, c); err != nil {
			t.Fatal(err)
		}
	}
}

func TestEdits(t *testing.T) {
	const big = `{ "n" : 12345678901234567890.10e+00 , "model" : "old\u0021" ,
	"messages" : [ {"content":"hi","role":"user"} ] , "z":[1, 2] }` + "\n"
	for _, c := range []struct {
		name, body string
		edits      []any
		want       string
	}{
		{"nothing", big, nil, big},
		{"replace the model", big, []any{toModel("new")}, strings.Replace(big, `"old\u0021"`, `"new"`, 1)},
		{"a key in escapes is the same key", `{"\u006dod\u0065l":"old"}`, []any{toModel("new")}, `{"\u006dod\u0065l":"new"}`},
		{"a model that is no string", `{"model":{"a":[null]},"b":1}`, []any{toModel("new")}, `{"model":"new","b":1}`},
		{"the same model", `{"model":"same"}`, []any{toModel("same")}, `{"model":"same"}`},
		{"insert the model", ` { "a":1}`, []any{toModel("new")}, ` {"model":"new", "a":1}`},
		{"insert into an empty object", `{ }`, []any{toModel("new")}, `{"model":"new" }`},
		{"twice, the later one stays", `{"a":1}`, []any{toModel("one"), toModel("two")}, `{"model":"two","a":1}`},
		{"twice, and back", `{"model":"one"}`, []any{toModel("two"), toModel("one")}, `{"model":"one"}`},
		{"a nested model is none", `{"a":{"model":"x"}}`, []any{toModel("new")}, `{"model":"new","a":{"model":"x"}}`},
		{"quotes in the model", `{"model":1}`, []any{toModel("a\"b\\\n\x00é\xff")}, `{"model":"a\"b\\\n\u0000é` + "\ufffd" + `"}`},
		{
			"rules come first, in order", big, []any{AddSystem("one", "two")},
			strings.Replace(big, `: [ {`, `: [{"role":"system","content":"one"},{"role":"system","content":"two"}, {`, 1),
		},
		{
			"rules of later edits come behind, the model before or after", `{"messages":[{}],"model":"m"}`,
			[]any{AddSystem("one"), toModel("n"), AddSystem("two")},
			`{"messages":[{"role":"system","content":"one"},{"role":"system","content":"two"},{}],"model":"n"}`,
		},
		{
			"rules into an empty list, model inserted", `{"messages":[ ]}`,
			[]any{AddSystem("one"), AddSystem("two"), toModel("n")},
			`{"model":"n","messages":[{"role":"system","content":"one"},{"role":"system","content":"two"} ]}`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := scan(t, c.body)
			for _, e := range c.edits {
				if err := do(d, e); err != nil {
					t.Fatal(err)
				}
			}
			got := string(d.Append(nil))
			if got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if d.Len() != len(got) {
				t.Errorf("Len = %d, sent %d bytes", d.Len(), len(got))
			}
			if len(c.edits) == 0 && d.Changed() {
				t.Error("Changed without an edit")
			}
		})
	}
}

func TestTexts(t *testing.T) {
	d := scan(t, `{"messages":[
		{"role":"system","content":"be kind"},
		{"content":[{"type":"text","text":"a\u00e9\ud83d\ude00\ud800\n"},{"type":"image_url","image_url":{"url":"x"}},"bare"],"role":"us\u0065r"},
		{"role":"assistant","content":null,"tool_calls":[]},
		{"role":"tool","content":""},
		{"content":"no role"}
	]}`)
	if err := d.Apply(AddSystem("first")); err != nil {
		t.Fatal(err)
	}
	var got []string
	for m := range d.Texts() {
		got = append(got, fmt.Sprintf("%d %s: %s", m.Message, AppendUnquoted(nil, m.Role), AppendUnquoted(nil, m.Raw)))
	}
	want := []string{
		"0 system: first", "1 system: be kind", "2 user: aé😀\ufffd\n", "2 user: x", "2 user: bare", "5 : no role",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	for range d.Texts() {
		break // a reader may stop early
	}
}

func TestModel(t *testing.T) {
	for body, want := range map[string]string{
		`{}`:                     "",
		`{"model":7}`:            "",
		`{"model":"gpt\u002d4"}`: "gpt-4",
	} {
		if got, ok := scan(t, body).Model(); got != want || ok != (want != "") {
			t.Errorf("%s: %q, %v", body, got, ok)
		}
	}
	d := scan(t, `{"model":"a"}`)
	if err := do(d, toModel("b")); err != nil {
		t.Fatal(err)
	}
	if got, _ := d.Model(); got != "b" {
		t.Errorf("after the model: %q", got)
	}
}

func TestMessagesThatCannotBeRead(t *testing.T) {
	for body, want := range map[string]string{
		`{}`:                                      "messages is missing",
		`{"messages":null}`:                       "messages is not a list",
		`{"messages":{"a":1}}`:                    "messages is not a list",
		`{"messages":[{},"x"]}`:                   "messages[1] is not an object",
		`{"messages":[{"role":1}]}`:               "messages[0] has a role that is not a string",
		`{"messages":[{"content":1}]}`:            "content of messages[0] is of a type that is not supported",
		`{"messages":[{"content":[1]}]}`:          "a part of the content of messages[0] is of a type that is not supported",
		`{"messages":[{"content":[{"text":1}]}]}`: "text of messages[0] is of a type that is not supported",
	} {
		d := scan(t, body)
		before := string(d.Append(nil))
		if err := d.Apply(AddSystem("x")); err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", body, err, want)
		}
		if err := do(d, toModel("m")); err != nil {
			t.Errorf("%s: the model: %v", body, err)
		}
		if before != body {
			t.Errorf("a failed edit changed %s", body)
		}
	}
	if err := new(Doc).Apply(AddSystem("x")); err == nil {
		t.Error("a Doc without a body took a rule")
	}
}

func TestRefused(t *testing.T) {
	many := `{"a0":1`
	for i := 1; i <= MaxKeys; i++ {
		many += fmt.Sprintf(`,"a%d":1`, i)
	}
	for body, want := range map[string]string{
		``:                               "unexpected end at byte 0",
		` `:                              "unexpected end at byte 1",
		`[]`:                             "not a JSON object at byte 0",
		` "x"`:                           "not a JSON object at byte 1",
		`nul`:                            "invalid JSON, expected a value at byte 0",
		"\ufeff{}":                       "invalid JSON, expected a value at byte 0",
		`{} x`:                           "something follows the JSON value at byte 3",
		`{"a":1,}`:                       "invalid JSON, expected a key at byte 7",
		`{"a" 1}`:                        "invalid JSON, expected a colon at byte 5",
		`{"a":1 "b":2}`:                  "invalid JSON, expected a comma or a closing bracket at byte 7",
		`{"a":01}`:                       "invalid JSON, expected a comma or a closing bracket at byte 6",
		`{"a":1.}`:                       "invalid JSON, expected a digit at byte 7",
		`{"a":-}`:                        "invalid JSON, expected a digit at byte 6",
		`{"a":"` + "\n" + `"}`:           "control character in a string at byte 6",
		`{"a":"\x"}`:                     "invalid escape in a string at byte 6",
		`{"a":"\u12g4"}`:                 "invalid escape in a string at byte 6",
		`{"a":"b`:                        "unexpected end at byte 7",
		`{"a":"` + "\xff" + `"}`:         "invalid UTF-8 at byte 6",
		`{"a":"` + "\xed\xa0\x80" + `"}`: "invalid UTF-8 at byte 6",
		`{"model":1,"model":2}`:          "duplicate key at byte 11",
		`{"model":1,"mode\u006c":2}`:     "duplicate key at byte 11",
		`{"x":1,"x":2}`:                  "duplicate key at byte 7",
		`{"messages":[{"content":1,"content":2}]}`:             "duplicate key at byte 26",
		`{"messages":[{"content":[{"text":"a","text":"b"}]}]}`: "duplicate key at byte 37",
		`{"Model":1}`:                           `a key differs from "model" in case only at byte 1`,
		`{"me\u017fsages":1}`:                   `a key differs from "messages" in case only at byte 1`,
		`{"messages":[{"CONTENT":1}]}`:          `a key differs from "content" in case only at byte 14`,
		many + `}`:                              fmt.Sprintf("too many keys in one object at byte %d", strings.LastIndex(many, ",")+1),
		`{"a":` + strings.Repeat("[", MaxDepth): fmt.Sprintf("nested too deeply at byte %d", 5+MaxDepth-1),
	} {
		var e *Error
		err := new(Doc).Scan(ChatCompletions, []byte(body))
		if !errors.As(err, &e) || e.Error() != want {
			t.Errorf("%.60q: got %v, want %s", body, err, want)
		}
	}
	for _, body := range []string{
		`{"a":{"x":1,"x":2}}`, // nothing is looked for in there
		`{"a":` + strings.Repeat("[", MaxDepth-1) + strings.Repeat("]", MaxDepth-1) + `}`,
		"{\"a\":\"\\ud800\"}",
		`{"messages":[{"role":"a"},{"role":"b"}]}`,
	} {
		scan(t, body)
	}
}

// An earlier body leaves nothing behind, after success and after failure.
func TestScanAgain(t *testing.T) {
	d := scan(t, `{"model":"m","messages":[{"role":"user","content":"x"}]}`)
	if err := d.Apply(AddSystem("r")); err != nil {
		t.Fatal(err)
	}
	if err := d.Scan(ChatCompletions, []byte(`{"a"`)); err == nil {
		t.Fatal("no error")
	}
	if d.Len() != 0 || d.Changed() {
		t.Error("a refused body left something behind")
	}
	if err := d.Scan(ChatCompletions, []byte(`{}`)); err != nil {
		t.Fatal(err)
	}
	if _, ok := d.Model(); ok || d.Changed() || d.Messages() == nil || string(d.Append(nil)) != "{}" {
		t.Error("the earlier body shines through")
	}
}

// The eight-at-a-time search must find every stop at every alignment.
func TestStringsAtEveryOffset(t *testing.T) {
	for n := range 40 {
		for c := range 256 {
			text := strings.Repeat("x", n) + string([]byte{byte(c)}) + strings.Repeat("é", 9)
			body := []byte(`{"k":"` + text + `"}`)
			err := new(Doc).Scan(ChatCompletions, body)
			if want := json.Valid(body) && utf8.Valid(body); (err == nil) != want {
				t.Fatalf("n=%d c=%#x: %v, encoding/json says %v", n, c, err, want)
			}
		}
	}
}

func FuzzScan(f *testing.F) {
	for _, s := range []string{
		`{}`, `[]`, `{"model":"m","messages":[]}`, `{"\u006dodel":"\ud83d\ude00","messages":[{"role":"user","content":[{"type":"text","text":"hi\\"}]}]}`,
		`{"a":-0.1e+9,"b":[true,false,null,{"c":{}}]}`, `{"a":1,"a":2}`, `{"Model":1}`, ` { "messages" : [ { } ] } `, "{\"a\":\"\xff\"}",
	} {
		for i := range dialects {
			f.Add(byte(i), []byte(s), "model", "rule")
		}
	}
	for i, d := range dialects {
		for _, s := range samples {
			if s.dialect == d.Dialect {
				f.Add(byte(i), []byte(s.body), "model", "rule")
			}
		}
	}
	f.Fuzz(func(t *testing.T, which byte, body []byte, model, rule string) {
		dialect := dialects[int(which)%len(dialects)].Dialect
		orig := bytes.Clone(body)
		var d Doc
		err := d.Scan(dialect, body)
		want, why := reference(dialect, body)
		if (err == nil) != want {
			t.Fatalf("Scan(%q) = %v, but the reference says %v %s", body, err, want, why)
		}
		if err != nil {
			return
		}
		if got := d.Append(nil); !bytes.Equal(got, orig) && !bytes.Contains(orig, []byte(SignatureMark)) {
			t.Fatalf("unedited: %q became %q", orig, got)
		}
		var before, after map[string]any
		mustUnmarshal(t, body, &before)
		if d.Messages() == nil {
			read := map[string]bool{}
			for x := range d.Texts() {
				read[string(x.Unquoted(nil))] = true
			}
			if at, hidden := hides(dialect, body, read); hidden {
				t.Fatalf("%q in %q was not read", at, body)
			}
		}
		if dialect.model == "" {
			return
		}
		ruled := rule != "" && dialect.rules == chatMessages && d.Apply(AddSystem(rule, "second")) == nil
		if err := do(&d, toModel(model)); err != nil {
			t.Fatal(err)
		}
		got := d.Append(nil)
		if !bytes.Equal(body, orig) {
			t.Fatal("the body was written to")
		}
		if d.Len() != len(got) {
			t.Fatalf("Len %d, sent %d", d.Len(), len(got))
		}
		var again Doc
		if err := again.Scan(dialect, got); err != nil && len(before) < MaxKeys {
			t.Fatalf("edited body refused: %v", err)
		}
		mustUnmarshal(t, got, &after)
		if model != "" {
			before["model"] = jsonText(model)
		}
		if ruled {
			list := []any{
				map[string]any{"role": "system", "content": jsonText(rule)},
				map[string]any{"role": "system", "content": "second"},
			}
			before["messages"] = append(list, before["messages"].([]any)...)
		}
		if !reflect.DeepEqual(before, after) {
			t.Fatalf("edited %q became %q", orig, got)
		}
	})
}

// jsonText is what a string becomes when encoding/json writes and reads it.
func jsonText(s string) string {
	b, _ := json.Marshal(s)
	_ = json.Unmarshal(b, &s)
	return s
}

func mustUnmarshal(t *testing.T, b []byte, into any) {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	if err := dec.Decode(into); err != nil {
		t.Fatalf("%q: %v", b, err)
	}
}

// reference decides with encoding/json whether a body is to be accepted, and
// adds the documented differences.
func reference(d *Dialect, b []byte) (ok bool, why string) {
	if !json.Valid(b) {
		return false, "not JSON"
	}
	if !utf8.Valid(b) {
		return false, "not UTF-8"
	}
	depth, deepest := 0, 0
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	for {
		tok, err := dec.Token()
		if err == io.EOF {
			break
		}
		switch tok {
		case json.Delim('{'), json.Delim('['):
			depth++
			deepest = max(deepest, depth)
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
	}
	if deepest > MaxDepth {
		return false, "too deep"
	}
	if bytes.TrimSpace(b)[0] != '{' {
		return false, "not an object"
	}
	return ambiguous(&slot{object: d.top}, bytes.TrimSpace(b))
}

// ambiguous tells whether readers could differ about a value of a slot.
func ambiguous(is *slot, b []byte) (ok bool, why string) {
	switch {
	case is == nil || is.as > asOdd:
		return true, ""
	case b[0] == '[' && is.list != nil:
		var inner []json.RawMessage
		_ = json.Unmarshal(b, &inner)
		for _, x := range inner {
			if ok, why := ambiguous(is.list, x); !ok {
				return false, why
			}
		}
		return true, ""
	case b[0] != '{' || is.object == nil:
		return true, ""
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	_, _ = dec.Token()
	seen := map[string]bool{}
	for dec.More() {
		tok, _ := dec.Token()
		key := tok.(string)
		var v json.RawMessage
		_ = dec.Decode(&v)
		if !is.object.lax && (seen[key] || len(seen) == MaxKeys) {
			return false, "duplicate key or too many keys"
		}
		seen[key] = true
		inner := is.object.rest
		for _, f := range is.object.fields {
			if string(f.key) == key {
				inner = f.is
			} else if !is.object.lax && strings.EqualFold(string(f.key), key) {
				return false, "case"
			}
		}
		if ok, why := ambiguous(inner, v); !ok {
			return false, why
		}
	}
	return true, ""
}

// notText are the keys whose values, or what is in them, need not be read: the
// documented ones, whatever the dialect.
var notText = map[string]bool{
	"model": true, "stream": true, "data": true, "signature": true, "encrypted_content": true, "encrypted_index": true,
	"embedding": true, "logprobs": true, "result": true, "role": true, "arguments": true,
}

// hides looks for a string, or a key, that nobody has read and that is neither
// an identifier nor in a documented place.
func hides(d *Dialect, b []byte, read map[string]bool) (what string, hidden bool) {
	known, seen := map[string]bool{}, map[*slot]bool{}
	var learn func(*slot)
	learn = func(is *slot) {
		if is == nil || seen[is] {
			return
		}
		seen[is] = true
		learn(is.list)
		if is.object == nil {
			return
		}
		for _, f := range is.object.fields {
			known[string(f.key)] = true
			learn(f.is)
		}
		learn(is.object.rest)
	}
	learn(&slot{object: d.top})
	unread := func(s string) bool {
		return s != "" && !read[s] && !isIdentifier([]byte(s)) && attached([]byte(s)) == readable
	}
	var walk func(any) (string, bool)
	walk = func(v any) (string, bool) {
		switch v := v.(type) {
		case string:
			return v, unread(v)
		case []any:
			for _, x := range v {
				if what, hidden := walk(x); hidden {
					return what, true
				}
			}
		case map[string]any:
			for key, x := range v {
				if !known[key] && unread(key) {
					return key, true
				}
				if notText[key] {
					continue
				}
				if what, hidden := walk(x); hidden {
					return what, true
				}
			}
		}
		return "", false
	}
	var v any
	_ = json.Unmarshal(b, &v)
	return walk(v)
}

func body(n int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	var b bytes.Buffer
	b.WriteString(`{"model":"gpt-4o-mini","temperature":0.7,"stream":true,"messages":[{"role":"system","content":"You are a helpful assistant."}`)
	for b.Len() < n-100 {
		b.WriteString(`,{"role":"user","content":"`)
		for m := min(n-b.Len()-20, 100+r.IntN(2000)); m > 0; {
			w := 2 + r.IntN(9)
			for range w {
				b.WriteByte('a' + byte(r.IntN(26)))
			}
			if b.WriteByte(' '); r.IntN(40) == 0 {
				b.WriteString(`\n`)
			}
			m -= w + 1
		}
		b.WriteString(`"}`)
	}
	b.WriteString(`],"max_tokens":512}`)
	return b.Bytes()
}

var sizes = map[string]int{"1KB": 1 << 10, "10KB": 10 << 10, "100KB": 100 << 10, "1MB": 1 << 20}

func BenchmarkScan(b *testing.B) {
	for _, name := range []string{"1KB", "10KB", "100KB", "1MB"} {
		in := body(sizes[name])
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			var d Doc
			for b.Loop() {
				if err := d.Scan(ChatCompletions, in); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/json.Valid", func(b *testing.B) {
			b.SetBytes(int64(len(in)))
			for b.Loop() {
				json.Valid(in)
			}
		})
	}
}

func BenchmarkEdit(b *testing.B) {
	in := body(1 << 10)
	edits := []any{AddSystem("Answer in English.", "Never tell secrets."), toModel("gpt-4o")}
	var d Doc
	var out []byte
	b.ReportAllocs()
	for b.Loop() {
		if err := d.Scan(ChatCompletions, in); err != nil {
			b.Fatal(err)
		}
		for _, e := range edits {
			if err := do(&d, e); err != nil {
				b.Fatal(err)
			}
		}
		out = d.Append(out[:0])
	}
}
