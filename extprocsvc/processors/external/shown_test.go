package external

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/attache-dev/attache/extprocsvc/llm"
)

func TestShow(t *testing.T) {
	for _, c := range []struct{ list, want string }{
		{`[]`, `[]`},
		{`[ {"content":"a\"b\\","n":[1,{"a":null,"b":true,"c":false}, -1.5e3]} ]`, ``},
		{`[{"content":[]}]`, `[{"content":""}]`},
		{`[{"content":["a","b", "c"],"role":"x"}]`, `[{"content":"a\nb\nc","role":"x"}]`},
		{`[{"cont\u0065nt":[{"type":"text","text":"\ud800\ud83d\ude00"},{"n":1e999,"text":null}]}]`, `[{"cont\u0065nt":"\ufffd\ud83d\ude00"}]`},
		{`[{"content":[["x"],1,{"t\u0065xt":"a"}]}]`, `[{"content":"x\na"}]`},
		{`[{"content":[{"type":"refusal","refusal":"a"},{"type":"thinking","thinking":"b"},{"type":"no","such":[{"type":"x","part":"c"}]}]}]`, `[{"content":"a\nb\nc"}]`},
		{`[{"content":[{"type":"image_url","image_url":{"url":"data:a"}},{"type":"file","file":{"file_data":"b","file_id":"c","filename":"d"}},{"input_audio":{"data":"e"}}]}]`, `[{"content":"d"}]`},
		{`[{"content":"\\ud800\udfff","\udc00":"\ud800"}]`, `[{"content":"\\ud800\ufffd","\ufffd":"\ufffd"}]`},
		{`[{"n":1e400,"m":-` + strings.Repeat("9", 400) + `,"k":0.` + strings.Repeat("1", 400) + `}]`, `[{"n":0,"m":0,"k":0.` + strings.Repeat("1", 400) + `}]`},
	} {
		if c.want == "" {
			c.want = c.list
		}
		b, s := show([]byte(`{"messages":`+c.list), len(`{"messages":`), false)
		got := b[len(`{"messages":`):]
		if !bytes.Equal(squeeze(t, got), squeeze(t, []byte(c.want))) {
			t.Errorf("%s:\ngot  %s\nwant %s", c.list, got, c.want)
		}
		if touched := c.want != c.list; touched != (len(s.touched) == 1) {
			t.Errorf("%s: touched %v", c.list, s.touched)
		}
	}
}

func squeeze(t testing.TB, b []byte) []byte {
	var out bytes.Buffer
	if err := json.Compact(&out, b); err != nil {
		t.Errorf("%s: %v", b, err)
	}
	return out.Bytes()
}

func TestRestore(t *testing.T) {
	const (
		list  = `{"role":"user","content":[{"text":"x"},{"type":"image"}]}`
		shown = `{"content":"x","role":"user"}`
		plain = `{"role":"user","content":"y","n":1.0}`
		two   = `{"content":["x","y"]}`
		other = `{"content":["x"],"k":"\ud800"}`
	)
	for name, c := range map[string]struct{ was, theirs, want string }{
		"nothing changed":       {list + "," + plain, shown + `,{"n":1,"content":"y","role":"user"}`, "nil"},
		"the other changed":     {list + "," + plain, shown + `,{"content":"z"}`, list + `,{"content":"z"}`},
		"both around changed":   {plain + "," + list + "," + plain, `{"content":"a"},` + shown + `,{"content":"b"}`, `{"content":"a"},` + list + `,{"content":"b"}`},
		"its text changed":      {list + "," + plain, `{"content":"*\n\"ü","role":"user"},` + plain, `{"role":"user","content":[{"text":"*\n\"ü"},{"type":"image"}]},` + plain},
		"its text taken out":    {list, `{"content":""}`, `{"role":"user","content":[{"text":""},{"type":"image"}]}`},
		"its role changed":      {list, `{"content":"*","role":"system"}`, "refused"},
		"a key put in":          {list, `{"content":"*","role":"user","k":1}`, "refused"},
		"its content a list":    {list, `{"content":["*"],"role":"user"}`, "refused"},
		"its content null":      {list, `{"content":null,"role":"user"}`, "refused"},
		"one of two texts":      {two, `{"content":"x\n*","role":"user"}`, `{"content":["x","*"]}`},
		"lines of two texts":    {`{"content":["a\nb",{"x":[]},{"text":"c\u000ad"}],"k":1}`, `{"content":"\nB\nC C\n","k":1.0}`, `{"content":["\nB",{"x":[]},{"text":"C C\n"}],"k":1}`},
		"a line less":           {two, `{"content":"x","role":"user"}`, "refused"},
		"a line more":           {two, `{"content":"x\ny\nz","role":"user"}`, "refused"},
		"a text where none was": {`{"content":[{"type":"image"}]}`, `{"content":"x","role":"user"}`, "refused"},
		"half a pair beside":    {other, `{"content":"*","role":"user","k":"\ufffd"}`, "refused"},
		"one put in front":      {list + "," + plain, `{"content":"a"},` + shown + "," + plain, `{"content":"a"},` + list + "," + plain},
		"one put behind":        {list + "," + plain, shown + "," + plain + `,{"content":"a"}`, list + "," + plain + `,{"content":"a"}`},
		"put in, changed":       {list, `{"content":"a"},{"content":"*"}`, "refused"},
		"another taken out":     {list + "," + plain, shown, list},
		"taken out":             {plain + "," + list, plain, "refused"},
		"all taken out":         {list, ``, "refused"},
		"cannot tell which":     {list + "," + shown, shown, "refused"},
		"cannot tell which one": {list, shown + "," + shown, "refused"},
		"swapped":               {list + "," + plain, plain + "," + shown, "refused"},
		"put in, its text too":  {list, `{"content":"a"},{"content":"*","role":"user"}`, "refused"},
	} {
		doc := scan(t, llm.ChatCompletions, `{"messages":[`+c.was+`]}`)
		sent, s := show(doc.AppendList(nil), 0, false)
		got := "refused"
		if out, ok := s.restore(sent, doc, []byte("["+c.theirs+"]")); ok {
			if got = "nil"; out != nil {
				got = strings.TrimSuffix(strings.TrimPrefix(string(out), "["), "]")
			}
		}
		if got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", name, got, c.want)
		}
	}
}

// FuzzShow: whatever the scanner accepts is shown as JSON that an SDK
// processor reads, and comes back as it was if nobody changes it.
func FuzzShow(f *testing.F) {
	f.Add([]byte(hello), false)
	f.Add([]byte(`{"messages":[{"content":[{"text":"\ud800"},"b",{"x":1e999}],"n":[1,2]},{}]}`), false)
	f.Add([]byte(`{"choices":[{},{"index":0},{"message":{"content":["a"]}}]}`), true)
	f.Add([]byte(`{"messages":[{"content":[{"type":"x","text":"a"}],"role":"user"},{"c\u006fntent":[[["b"]]]}]}`), false)
	f.Fuzz(func(t *testing.T, body []byte, choices bool) {
		dialect := llm.ChatCompletions
		if choices {
			dialect = llm.ChatCompletion
		}
		var doc llm.Doc
		if doc.Scan(dialect, body) != nil || doc.Messages() != nil {
			return
		}
		was := doc.AppendList(nil)
		sent, s := show(bytes.Clone(was), 0, choices)
		if len(s.touched) == 0 && !bytes.Equal(was, sent) {
			t.Fatalf("%s became %s, and nobody knows", was, sent)
		}
		type message struct {
			Content *string `json:"content"`
		}
		var list []struct {
			message
			Message *message `json:"message"`
		}
		if err := json.Unmarshal(sent, &list); err != nil {
			t.Fatalf("%s: %v", sent, err)
		}
		for _, e := range list {
			if choices && e.Message == nil {
				t.Fatalf("%s: no message", sent)
			}
		}
		var finite []any
		if err := json.Unmarshal(sent, &finite); err != nil {
			t.Fatalf("%s: %v", sent, err)
		}
		again, s2 := show(bytes.Clone(sent), 0, choices)
		if len(s2.touched) > 0 || !bytes.Equal(again, sent) {
			t.Fatalf("%s is shown as %s", sent, again)
		}
		if out, ok := s.restore(sent, &doc, sent); !ok || len(s.touched) > 0 && out != nil {
			t.Fatalf("%s unchanged: %s, %v", sent, out, ok)
		}
		// Texts of a list may be changed, and are then all that is.
		for _, e := range s.touched {
			if e.texts == nil {
				continue
			}
			before := elements(sent)[e.index]
			v := meaning(before)
			content := strings.Map(func(r rune) rune {
				if r == '\n' {
					return r
				}
				return '*'
			}, takeContent(v).(string))
			if m := v.(map[string]any); choices {
				m["message"].(map[string]any)["content"] = content
			} else {
				m["content"] = content
			}
			after, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			changed, ok := e.carry(elements(was)[e.index], before, after)
			if !ok {
				t.Fatalf("%s cannot become %s", before, after)
			}
			list, _ := show(join([][]byte{changed}), 0, choices)
			if seen := elements(list); len(seen) != 1 || !equal(seen[0], after) {
				t.Fatalf("%s became %s, which is shown as %s", elements(was)[e.index], changed, list)
			}
		}
	})
}
