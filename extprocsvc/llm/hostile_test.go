package llm

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
)

// A text that is hidden in base64 is refused, an image is not, whatever the case
// and the escapes of its URL.
func TestAttachments(t *testing.T) {
	for link, want := range map[string]string{
		`data:image/png;base64,iVBORw0KGgo=`:                                 "",
		`data:application/pdf;name=a.pdf;base64,JVBERi0=`:                    "",
		`DATA:Image\/PNG;Base64,iVBORw0KGgo=`:                                "",
		`https://example.com/a.png`:                                          "https://example.com/a.png",
		`data:x`:                                                             "data:x",
		`data:text/plain,hello`:                                              "data:text/plain,hello",
		`data:image/png,a%20b`:                                               "data:image/png,a%20b",
		`data:text/plain;base64,aGVsbG8=`:                                    "refused",
		`DATA:Text\/Markdown; charset=utf-8;BASE64,aGVsbG8=`:                 "refused",
		`data:text\u002fplain;base64\u002caGVsbG8=`:                          "refused",
		`data:text/plain;base64;x=y,aGVsbG8=`:                                "refused",
		` data:text/plain; base64 ,aGVsbG8=`:                                 "refused",
		`data:text/plain;x=` + strings.Repeat("a", 300) + `;base64,aGVsbG8=`: "refused",
		`data:text/plain,jo%40example.org`:                                   "refused",
		`data:;base64,aGVsbG8=`:                                              "refused",
		`data:;charset=utf-8;base64,aGVsbG8=`:                                "refused",
		`data:application/ld+json;base64,e30=`:                               "refused",
		`data:image/svg+xml;base64,PHN2Zz4=`:                                 "refused",
	} {
		for _, c := range []struct {
			dialect *Dialect
			body    string
		}{
			{ChatCompletions, `{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"%s"}}]}]}`},
			{ChatCompletions, `{"messages":[{"role":"user","content":[{"type":"file","file":{"file_data":"%s"}}]}]}`},
			{Responses, `{"input":[{"role":"user","content":[{"type":"input_file","file_data":"%s"}]}]}`},
			{Messages, `{"messages":[{"role":"user","content":[{"type":"image","source":{"type":"url","url":"%s"}}]}]}`},
		} {
			var d Doc
			if err := d.Scan(c.dialect, fmt.Appendf(nil, c.body, link)); err != nil {
				t.Fatal(err)
			}
			var got []string
			for x := range d.Texts() {
				got = append(got, string(x.Unquoted(nil)))
			}
			if d.Messages() != nil {
				got = []string{"refused"}
			}
			if strings.Join(got, " ") != want {
				t.Errorf("%s in %s: got %q, want %q", link, c.dialect.Name, got, want)
			}
		}
	}
}

// What readers could take differently is refused in every dialect, and what
// they cannot passes as it is.
func TestHostileBodies(t *testing.T) {
	utf16le := func(s string) string {
		var b []byte
		for _, u := range utf16.Encode([]rune(s)) {
			b = append(b, byte(u), byte(u>>8))
		}
		return string(b)
	}
	for _, d := range dialects {
		key := d.needs
		escaped := fmt.Sprintf(`\u%04x`, key[0]) + key[1:]
		value := "[]"
		if key == "input_tokens" {
			value = "1"
		}
		good := fmt.Sprintf(`{%q:%s}`, key, value)
		for name, c := range map[string]struct{ body, want string }{
			"a BOM":               {"\ufeff" + good, "invalid JSON, expected a value at byte 0"},
			"UTF-16":              {utf16le(good), "invalid JSON, expected a key at byte 1"},
			"UTF-16 with a BOM":   {"\xff\xfe" + utf16le(good), "invalid UTF-8 at byte 0"},
			"invalid UTF-8":       {fmt.Sprintf("{%q:%s,\"x\":\"\xc0\xaf\"}", key, value), "invalid UTF-8"},
			"a second key":        {fmt.Sprintf(`{%q:%s,%q:%s}`, key, value, key, value), "duplicate key"},
			"one in escapes":      {fmt.Sprintf(`{%q:%s,"%s":%s}`, key, value, escaped, value), "duplicate key"},
			"one in another case": {fmt.Sprintf(`{%q:%s,%q:%s}`, key, value, strings.ToUpper(key), value), fmt.Sprintf("a key differs from %q in case only", key)},
			"an unknown one":      {fmt.Sprintf(`{%q:%s,"x":1,"x":2}`, key, value), "duplicate key"},
			"too deep":            {fmt.Sprintf(`{%q:%s,"x":%s}`, key, value, strings.Repeat("[", MaxDepth)), "nested too deeply"},
			"something behind":    {good + good, "something follows the JSON value"},
			"another value":       {"[" + good + "]", "not a JSON object"},
			"too many texts":      {fmt.Sprintf(`{%q:%s,"x":["%sa"]}`, key, value, strings.Repeat(`a","`, MaxTexts)), "too many texts"},
		} {
			var e *Error
			if err := new(Doc).Scan(d.Dialect, []byte(c.body)); !errors.As(err, &e) || !strings.HasPrefix(e.Error(), c.want) {
				t.Errorf("%s, %s: got %v, want %s", d.name, name, err, c.want)
			}
		}
		for name, body := range map[string]string{
			"huge numbers":     fmt.Sprintf(`{%q:%s,"x":%s,"y":-0.1E-999999}`, key, value, strings.Repeat("9", 5000)),
			"lone halves":      fmt.Sprintf(`{%q:%s,"x":"\ud800","\udc00":"\udfff\ud800"}`, key, value),
			"deep enough":      fmt.Sprintf(`{%q:%s,"x":%s1%s}`, key, value, strings.Repeat("[", MaxDepth-1), strings.Repeat("]", MaxDepth-1)),
			"keys in escapes":  fmt.Sprintf(`{"%s" : %s }`, escaped, value),
			"keys below twice": fmt.Sprintf(`{%q:%s,"x":{"a":"one","A":"two","a":"three"}}`, key, value),
		} {
			var doc Doc
			if err := doc.Scan(d.Dialect, []byte(body)); err != nil || doc.Messages() != nil {
				t.Errorf("%s, %s: %v, %v", d.name, name, err, doc.Messages())
			}
			if got := string(doc.Append(nil)); got != body {
				t.Errorf("%s, %s: became %s", d.name, name, got)
			}
			if name != "keys below twice" {
				continue
			}
			all := strings.Join(texts(&doc), "|")
			for _, word := range []string{"one", "two", "three"} {
				if !strings.Contains(all, word) {
					t.Errorf("%s: %s was not read: %s", d.name, word, all)
				}
			}
		}
	}
}

// JSON in a string is read, or the string is.
func TestHostileArguments(t *testing.T) {
	quoted := func(s string) string {
		b, _ := json.Marshal(s)
		return string(b)
	}
	for name, c := range map[string]struct {
		arguments, refused string
		want               []string
	}{
		"twice the same key":     {`{"a":"one","a":"two"}`, "", []string{"a", "one", "a", "two"}},
		"behind the value":       {`{"a":"one"} two`, "", []string{"a", "one", "two"}},
		"a control character":    {"{\"a\":\"o\x01ne\"}", "", []string{"a", "\"o\x01ne\"}"}},
		"a line end":             {"{\"a\":\"o\n\\u0040ne\"}", "", []string{"a", "o\n@ne"}},
		"single quotes":          {`{'a':'one'}`, "", []string{`'a':'one'}`}},
		"no numbers":             {`{"a":NaN,"b":[-Infinity,Infinity],"c":"\u0040"}`, "", []string{"a", "b", "-Infinity", "c", "@"}},
		"cut in a string":        {`{"a":["\u0040o`, "", []string{"a", "@o"}},
		"cut in an escape":       {`{"a":["\u0040o\u00`, "", []string{"a", "@o"}},
		"cut in a backslash":     {`{"a":"\u0040o\`, "", []string{"a", "@o"}},
		"cut behind a comma":     {`{"a":1, `, "", []string{"a", "1"}},
		"an escape that is none": {`{"a":"\u0040","b":"\u0040\x"}`, "", []string{"a", "@", "b", `"\u0040\x"}`}},
		"a number that goes on":  {`{"a":555 123 4567}`, "", []string{"a", "555 123 4567}"}},
		"a number that is none":  {`{"a":007-2}`, "", []string{"a", "007-2}"}},
		"a date":                 {`2026-01-02 at noon`, "", []string{"2026-01-02 at noon"}},
		"a list":                 {`["one",-2.50e+1]`, "", []string{"one", "-2.50e+1"}},
		"a string in a string":   {`"\"one\""`, "", []string{`"one"`}},
		"lone halves":            {`{"\ud800":"\udc00"}`, "", []string{"\ufffd", "\ufffd"}},
		"nothing":                {``, "", nil},
		"too deep":               {strings.Repeat(`[`, MaxDepth+1), "nested too deeply", nil},
		"too many":               {`["` + strings.Repeat(`a","`, MaxTexts) + `a"]`, "too many texts", nil},
	} {
		var d Doc
		err := d.Scan(ChatCompletions, []byte(`{"messages":[{"tool_calls":[{"function":{"arguments":`+quoted(c.arguments)+`}}]}]}`))
		if (err != nil) != (c.refused != "") || err != nil && !strings.HasPrefix(err.Error(), c.refused) {
			t.Errorf("%s: %v", name, err)
		}
		var got []string
		for x := range d.Texts() {
			got = append(got, string(x.Unquoted(nil)))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: got %.300q, want %q", name, got, c.want)
		}
	}
}

// A text without escapes is not copied.
func TestUnquoted(t *testing.T) {
	d := scan(t, `{"messages":[{"content":"plain é"},{"content":"esc\u0061ped"}]}`)
	list := slices.Collect(d.Texts())
	if got := list[0].Unquoted(nil); string(got) != "plain é" || &got[0] != &list[0].Raw[0] {
		t.Errorf("got %q", got)
	}
	room := make([]byte, 3, 100)
	if got := list[1].Unquoted(&room); string(got) != "escaped" || &got[0] != &room[0] {
		t.Errorf("got %q", got)
	}
	if n := testing.AllocsPerRun(100, func() {
		for x := range d.Texts() {
			_ = x.Unquoted(&room)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkSamples(b *testing.B) {
	for _, s := range samples {
		b.Run(s.name, func(b *testing.B) {
			b.SetBytes(int64(len(s.body)))
			b.ReportAllocs()
			var d Doc
			body := []byte(s.body)
			for b.Loop() {
				if err := d.Scan(s.dialect, body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkTexts is what it costs to look at all texts of 10 KB.
func BenchmarkTexts(b *testing.B) {
	in := body(10 << 10)
	var d Doc
	if err := d.Scan(ChatCompletions, in); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	room := make([]byte, 0, len(in))
	for b.Loop() {
		for t := range d.Texts() {
			_ = t.Unquoted(&room)
		}
	}
}

// BenchmarkChangeTexts makes changes in 10 KB, with the scan before.
func BenchmarkChangeTexts(b *testing.B) {
	in := body(10 << 10)
	for _, n := range []int{0, 1, 10, 100, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var changes []Change
			var d Doc
			if err := d.Scan(ChatCompletions, in); err != nil {
				b.Fatal(err)
			}
			for t := range d.Texts() {
				for at := 0; at+5 < len(t.Unquoted(nil)); at += 5 + 7000/max(n, 1) {
					changes = append(changes, Change{Text: t.Index, From: at, To: at + 4, With: "<X>"})
				}
			}
			changes = changes[:min(n, len(changes))]
			edit := ChangeTexts(changes...)
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			var out []byte
			for b.Loop() {
				if err := d.Scan(ChatCompletions, in); err != nil {
					b.Fatal(err)
				}
				if err := d.Apply(edit); err != nil {
					b.Fatal(err)
				}
				out = d.Append(out[:0])
			}
		})
	}
}
