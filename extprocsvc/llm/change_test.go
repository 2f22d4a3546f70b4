package llm

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// put is the change of the part of a text that is between two others.
func put(t testing.TB, d *Doc, index int, old, with string) Change {
	t.Helper()
	x := slices.Collect(d.Texts())[index]
	text := string(x.Unquoted(nil))
	at := strings.Index(text, old)
	if at < 0 {
		t.Fatalf("no %q in %q", old, text)
	}
	return Change{Text: index, From: at, To: at + len(old), With: with}
}

func TestChanges(t *testing.T) {
	chat := func(content string) string {
		return `{"messages": [ {"role":"user", "content":"` + content + `"} ] }`
	}
	arguments := func(in string) string {
		return `{"messages":[{"tool_calls":[{"function":{"arguments":"` + in + `"}}]}]}`
	}
	for _, c := range []struct {
		name, body string
		text       int
		old, with  string
		want       string
	}{
		{"plain", chat(`call 555 now`), 0, "555", "<PHONE>", chat(`call <PHONE> now`)},
		{"escapes around stay", chat(`\u0063all\t555\/\n`), 0, "555", "x", chat(`\u0063all\tx\/\n`)},
		{"escapes within go", chat(`a\u0040b.c, \u00e9`), 0, "a@b.c", "<EMAIL>", chat(`<EMAIL>, \u00e9`)},
		{"what is put in is escaped", chat(`x`), 0, "x", "\"\\\n\x00é", chat(`\"\\\n\u0000é`)},
		{"all of it", chat(`x`), 0, "x", "", chat(``)},
		{"a pair", chat(`a\ud83d\ude00b`), 0, "😀", ":)", chat(`a:)b`)},
		{"part of a pair is the pair", chat(`a\ud83d\ude00b`), 0, "\xf0\x9f", "?", chat(`a?b`)},
		{"the end of a character", chat(`aéb`), 0, "\xa9b", "?", chat(`a?`)},
		{"the middle of one", chat(`a€b`), 0, "\x82", "?", chat(`a?b`)},
		{"NUL", chat(`a\u0000b`), 0, "\x00", "0", chat(`a0b`)},
		{"half of a pair", chat(`a\ud83db`), 0, "\ufffd", "?", chat(`a?b`)},
		{"halves do not meet", chat(`\ud83dx\ude00`), 0, "x", "", chat(`\ud83d\ufffd`)},
		{"halves that are none may", chat(`\\ud83dx\ude00`), 0, "x", "", chat(`\\ud83d\ufffd`)},
		{"in JSON in a string", arguments(`{ \"to\": \"<a\\u0040b.c>\", \"n\":1.50 }`), 1, "a@b.c", "\"é\n", arguments(`{ \"to\": \"<\\\"é\\n>\", \"n\":1.50 }`)},
		{"escapes of the outer string stay", arguments(`\u007b\"to\":\"\u005cu0041 555\"}`), 1, "555", "x", arguments(`\u007b\"to\":\"\u005cu0041 x\"}`)},
		{"escapes of both", arguments(`{\"to\":\"\\ud83d\\ude00\"}`), 1, "\x9f\x98", "", arguments(`{\"to\":\"\"}`)},
		{"halves in it do not meet", arguments(`{\"to\":\"\\ud83dx\\ude00\"}`), 1, "x", "", arguments(`{\"to\":\"\\ud83d\\ufffd\"}`)},
		{"nor do those of the outer string", arguments(`{\"to\":\"\ud83dx\ude00\"}`), 1, "x", "", arguments(`{\"to\":\"\ud83d\ufffd\"}`)},
		{"a number", arguments(`{\"n\":4111111111111111}`), 1, "411111111111", "****", arguments(`{\"n\":\"****1111\"}`)},
		{"a key", arguments(`{\"a b\":1}`), 0, "a b", "c", arguments(`{\"c\":1}`)},
		{"not JSON", arguments(`{\"a\":`), 0, "a", "b", arguments(`{\"b\":`)},
		{"JSON that is cut off", arguments(`{\"a\":\"x \\u0040 555`), 1, "@ 555", "b", arguments(`{\"a\":\"x b`)},
		{"behind what was JSON", arguments(`{\"a\u0040\":1} and \u0035\"55`), 2, `5"55`, "b", arguments(`{\"a\u0040\":1} and b`)},
		{"a number of Anthropic's", `{"messages":[{"content":[{"input":{"n": 4111 }}]}]}`, 1, "4111", "<CARD>", `{"messages":[{"content":[{"input":{"n": "<CARD>" }}]}]}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			var d Doc
			dialect := ChatCompletions
			if strings.Contains(c.name, "Anthropic") {
				dialect = Messages
			}
			if err := d.Scan(dialect, []byte(c.body)); err != nil {
				t.Fatal(err)
			}
			apply(t, &d, ChangeTexts(put(t, &d, c.text, c.old, c.with)))
			if got := string(d.Append(nil)); got != c.want || d.Len() != len(got) || !d.Changed() {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestManyChanges(t *testing.T) {
	d := scan(t, `{"model":"m","tools":[{"function":{"name":"f","description":"dd"}}],"messages":[{"role":"user","content":"a\nb c"},{"role":"user","content":"d"}]}`)
	apply(t, d, toModel("n"), AddSystem("rule one"))
	if got, want := texts(d), []string{"-1  name: f", "-1  tool-description: dd", "0 system system: rule one", "1 user content: a\nb c", "2 user content: d"}; !slices.Equal(got, want) {
		t.Fatalf("got %q, want %q", got, want)
	}
	apply(t, d, ChangeTexts(
		Change{4, 0, 1, "D"}, Change{3, 4, 5, "C"}, Change{3, 2, 2, "<"}, Change{3, 2, 3, "B"}, Change{3, 3, 3, ">"}, Change{2, 5, 8, "1"}, Change{1, 0, 0, "+"}, Change{1, 2, 2, "-"},
	))
	want := `{"model":"n","tools":[{"function":{"name":"f","description":"+dd-"}}],"messages":[{"role":"system","content":"rule 1"},{"role":"user","content":"a\n<B> C"},{"role":"user","content":"D"}]}`
	if got := string(d.Append(nil)); got != want || d.Len() != len(want) {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
	apply(t, d, AddSystem("rule two"), toModel("o"))
	want = strings.NewReplacer(`{"role":"user","content":"a`, `{"role":"system","content":"rule two"},{"role":"user","content":"a`, `"n"`, `"o"`).Replace(want)
	if got := string(d.Append(nil)); got != want || d.Len() != len(want) {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
	if got, want := texts(d)[2:4], []string{"0 system system: rule 1", "1 system system: rule two"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := string(d.AppendList(nil)), `[{"role":"system","content":"rule 1"},{"role":"system","content":"rule two"},{"role":"user","content":"a\n<B> C"},{"role":"user","content":"D"}]`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	before := string(d.Append(nil))
	for _, bad := range [][]Change{
		{{Text: -1}}, {{Text: 6}}, {{From: 1, To: 0}}, {{To: 2}}, {{From: 2, To: 2}}, {{From: -1, To: 0}}, {{Text: 1, To: 2}, {Text: 1, From: 1, To: 2}},
	} {
		if err := d.Apply(ChangeTexts(bad...)); err == nil {
			t.Errorf("%v was accepted", bad)
		}
	}
	if got := string(d.Append(nil)); got != before {
		t.Errorf("changes that failed left %s", got)
	}
}

// Rules that are alone in a list stay in order behind a change, too.
func TestRulesAndChanges(t *testing.T) {
	for _, c := range []struct {
		dialect    *Dialect
		body, want string
	}{
		{ChatCompletions, `{"messages":[ ]}`, `{"messages":[{"role":"system","content":"B"},{"role":"system","content":"c"},{"role":"system","content":"d"} ]}`},
		{ChatCompletions, `{"messages":[{}]}`, `{"messages":[{"role":"system","content":"B"},{"role":"system","content":"c"},{"role":"system","content":"d"},{}]}`},
		{Messages, `{"messages":[]}`, `{"system":[{"type":"text","text":"B"},{"type":"text","text":"c"},{"type":"text","text":"d"}],"messages":[]}`},
		{Messages, `{"system":"x","messages":[]}`, `{"system":[{"type":"text","text":"B"},{"type":"text","text":"c"},{"type":"text","text":"d"},{"type":"text","text":"x"}],"messages":[]}`},
		{CountTokens, `{"system":[],"messages":[]}`, `{"system":[{"type":"text","text":"B"},{"type":"text","text":"c"},{"type":"text","text":"d"}],"messages":[]}`},
		{
			Responses, `{"input":"x"}`,
			`{"input":[{"type":"message","role":"system","content":[{"type":"input_text","text":"B"}]},{"type":"message","role":"system","content":[{"type":"input_text","text":"c"}]},` +
				`{"type":"message","role":"system","content":[{"type":"input_text","text":"d"}]},{"type":"message","role":"user","content":[{"type":"input_text","text":"x"}]}]}`,
		},
		{Embeddings, `{"input":"b"}`, `{"input":"B"}`},
	} {
		var d Doc
		if err := d.Scan(c.dialect, []byte(c.body)); err != nil {
			t.Fatal(err)
		}
		apply(t, &d, AddSystem("b"), ChangeTexts(Change{0, 0, 1, "B"}), AddSystem("c"), AddSystem("d"))
		if got := string(d.Append(nil)); got != c.want || d.Len() != len(got) {
			t.Errorf("%s: got  %s\nwant %s", c.body, got, c.want)
		}
	}
	var d Doc
	if err := d.Scan(Completions, []byte(`{"prompt":"x"}`)); err != nil {
		t.Fatal(err)
	}
	if err := d.Apply(AddSystem("r")); err == nil || err.Error() != "OpenAI Completions has no place for a system prompt" {
		t.Errorf("a prompt without a chat took a rule: %v", err)
	}
	if err := d.Apply(ReplaceList([]byte(`[]`))); err == nil {
		t.Error("a list took the place of none")
	}
}

// What was made of a text does not outlive it.
func TestTraces(t *testing.T) {
	for _, c := range []struct {
		dialect    *Dialect
		body, want string
		text       int
	}{
		{
			ChatCompletion, `{"choices":[{"logprobs":{"content":[{"token":"x"}]},"message":{"content":"x"}},{"message":{"content":"x"},"logprobs":[1]}]}`,
			`{"choices":[{"logprobs":{"content":[{"token":"x"}]},"message":{"content":"x"}},{"message":{"content":""},"logprobs":null}]}`, 1,
		},
		{
			ChatCompletion, `{"choices":[{"message":{"audio":{"data":"UklG","transcript":"x"}},"token_ids":[1]},{"message":{"audio":{"data":"UklG","transcript":"x"}},"token_ids":[1]}]}`,
			`{"choices":[{"message":{"audio":{"data":null,"transcript":""}},"token_ids":null},{"message":{"audio":{"data":"UklG","transcript":"x"}},"token_ids":[1]}]}`, 0,
		},
		{Completion, `{"choices":[{"text":"x","logprobs":{"tokens":["x"]}}]}`, `{"choices":[{"text":"","logprobs":null}]}`, 0},
		{
			Response, `{"output":[{"content":[{"logprobs":[{}],"text":"x"}]},{"content":[{"logprobs":[{}],"text":"x"}]}]}`,
			`{"output":[{"content":[{"logprobs":null,"text":""}]},{"content":[{"logprobs":[{}],"text":"x"}]}]}`, 0,
		},
	} {
		var d Doc
		if err := d.Scan(c.dialect, []byte(c.body)); err != nil {
			t.Fatal(err)
		}
		apply(t, &d, ChangeTexts(Change{Text: c.text, To: 1}))
		if got := string(d.Append(nil)); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

// FuzzChange changes texts anywhere, and compares with what a slow and simple
// way of doing it makes of the body.
func FuzzChange(f *testing.F) {
	for _, s := range samples {
		n := slices.IndexFunc(dialects, func(d struct {
			name string
			*Dialect
		}) bool {
			return d.Dialect == s.dialect
		})
		f.Add(byte(n), []byte(s.body), []byte{1, 0, 1, 3, 2, 1, 7, 0, 0}, "\"é\n😀")
	}
	f.Add(byte(0), []byte(`{"messages":[{"content":"\ud83dab\ude00\\\u0000\ud83d\ude00é","tool_calls":[{"function":{"arguments":"{\"\\ud83dx\\ude00\":[1,\"\\u00e9\ud83dy\ude00\"]}"}}]}]}`), []byte{0, 3, 2, 2, 3, 1, 4, 2, 1}, "")
	f.Fuzz(func(t *testing.T, which byte, body []byte, plan []byte, with string) {
		if len(body) > 4096 {
			return // the reference is slow
		}
		var d Doc
		dialect := dialects[int(which)%len(dialects)].Dialect
		if d.Scan(dialect, body) != nil || d.Messages() != nil || len(d.texts) == 0 {
			return
		}
		before := slices.Collect(d.Texts())
		changes := planned(before, plan, with)
		want := slowly{d: &d, changes: changes}.body()
		old := bytes.Clone(body)
		err := d.Apply(ChangeTexts(changes...))
		if !bytes.Equal(body, old) {
			t.Fatal("the body was written to")
		}
		if err != nil {
			var again Doc
			if e := again.Scan(dialect, want); e == nil && again.Messages() == nil {
				t.Fatalf("%v in %s failed, though %s is right: %v", changes, old, want, err)
			}
			if got := d.Append(nil); !bytes.Equal(got, old) {
				t.Fatalf("a failed change left %s", got)
			}
			return
		}
		got := d.Append(nil)
		if !bytes.Equal(got, want) || d.Len() != len(got) {
			t.Fatalf("%v in\n%s\nmade %s\nwant %s", changes, old, got, want)
		}
		after := slices.Collect(d.Texts())
		var texts []string
		for i, x := range before {
			text := edited(string(x.Unquoted(nil)), of(changes, i))
			if len(of(changes, i)) > 0 && (x.Kind == Other || x.Kind == Arguments) {
				return // it may have become what is no text, or JSON, or a known key
			}
			if text != "" {
				texts = append(texts, text)
			}
		}
		for i, x := range after {
			if got := string(x.Unquoted(nil)); i >= len(texts) || got != texts[i] {
				t.Fatalf("%v in\n%s\nmade %s\nof which text %d is %q, want %q", changes, old, d.Append(nil), i, got, texts)
			}
		}
	})
}

// planned makes changes that fit.
func planned(texts []Text, plan []byte, with string) (changes []Change) {
	for i := 0; i+2 < len(plan) && len(changes) < 32; i += 3 {
		c := Change{Text: int(plan[i]) % len(texts), With: with}
		n := len(texts[c.Text].Unquoted(nil))
		c.From = int(plan[i+1]) % (n + 1)
		c.To = min(n, c.From+int(plan[i+2])%5)
		if i%2 == 1 {
			c.With = ""
		}
		if !slices.ContainsFunc(changes, func(o Change) bool {
			return o.Text == c.Text && (c.From <= o.To && o.From <= c.To)
		}) {
			changes = append(changes, c)
		}
	}
	return changes
}

func of(changes []Change, text int) (list []Change) {
	for _, c := range changes {
		if c.Text == text {
			list = append(list, c)
		}
	}
	slices.SortFunc(list, func(a, b Change) int { return a.From - b.From })
	return list
}

// edited is a text with changes, each of which takes whole characters.
func edited(text string, changes []Change) string {
	var out strings.Builder
	at := 0
	for _, c := range changes {
		from, to := c.From, c.To
		for from > at && from < len(text) && !utf8.RuneStart(text[from]) {
			from--
		}
		if c.From == c.To {
			to = from
		}
		for to < len(text) && !utf8.RuneStart(text[to]) && to > from {
			to++
		}
		from = max(from, at)
		to = max(to, from)
		out.WriteString(text[at:from])
		out.WriteString(jsonText(c.With))
		at = to
	}
	return out.String() + text[at:]
}

// A slowly does what ChangeTexts does, with encoding/json and without care
// for time.
type slowly struct {
	d       *Doc
	changes []Change
}

func (r slowly) body() []byte {
	type piece struct {
		span
		with []byte
	}
	var pieces []piece
	inner := map[span]string{} // new JSON in strings
	touched := map[int32]bool{}
	for i := len(r.d.texts) - 1; i >= 0; i-- {
		f := &r.d.texts[i]
		list := of(r.changes, i)
		if len(list) == 0 {
			continue
		}
		touched[f.message] = true
		x := r.d.text(f, i)
		var with string
		if f.form&bare != 0 {
			with = string(AppendQuoted(nil, edited(string(x.Raw), list)))
		} else {
			with = rawEdited(string(x.Raw), list)
		}
		if f.form&inside == 0 {
			pieces = append(pieces, piece{f.text, []byte(with)})
			continue
		}
		e := r.d.embedding(f.text.at)
		was, ok := inner[e.in]
		if !ok {
			was = string(r.d.inner[e.at:e.end])
		}
		// Behind the text, all that could change has changed.
		inner[e.in] = was[:f.text.at-e.at] + with + was[f.text.end-e.at:]
	}
	for in, now := range inner {
		raw := string(in.of(r.d.body))
		was := string(AppendUnquoted(nil, []byte(raw)))
		pieces = append(pieces, piece{in, []byte(rawEdited(raw, differences(r, in, was, now)))})
	}
	for _, t := range r.d.traces {
		if touched[t.message] {
			pieces = append(pieces, piece{t.at, []byte("null")})
		}
	}
	slices.SortFunc(pieces, func(a, b piece) int { return int(b.at - a.at) })
	out := slices.Clone(r.d.body)
	for _, p := range pieces {
		out = slices.Concat(out[:p.at], p.with, out[p.end:])
	}
	return out
}

// differences are the changes that make now of was, JSON in a string: those of
// its texts.
func differences(r slowly, in span, was, now string) (list []Change) {
	shift := 0
	for i := range r.d.texts {
		f := &r.d.texts[i]
		if f.form&inside == 0 || r.d.embedding(f.text.at).in != in || len(of(r.changes, i)) == 0 {
			continue
		}
		e := r.d.embedding(f.text.at)
		x := r.d.text(f, i)
		at := int(f.text.at - e.at)
		if f.form&bare != 0 {
			with := string(AppendQuoted(nil, edited(string(x.Raw), of(r.changes, i))))
			list = append(list, Change{From: at, To: at + len(x.Raw), With: with})
			shift += len(with) - len(x.Raw)
			continue
		}
		for _, p := range rawPieces(string(x.Raw), of(r.changes, i)) {
			list = append(list, Change{From: at + p.From, To: at + p.To, With: p.With})
			shift += len(p.With) - (p.To - p.From)
		}
	}
	if len(was)+shift != len(now) {
		panic("the reference does not agree with itself")
	}
	return list
}

// rawEdited is what is between the quotes of a string, with changes of its text.
func rawEdited(raw string, changes []Change) string {
	pieces := rawPieces(raw, changes)
	for _, p := range slices.Backward(pieces) {
		raw = raw[:p.From] + p.With + raw[p.To:]
	}
	return raw
}

// rawPieces are changes of a text as changes of its raw form.
func rawPieces(raw string, changes []Change) (pieces []Change) {
	// Offsets of characters in the text, and in raw.
	type edge struct{ text, raw int }
	edges := []edge{{0, 0}}
	for i := 0; i < len(raw); {
		n := 1
		for {
			if i+n > len(raw) {
				panic(fmt.Sprintf("%q", raw))
			}
			if raw[i] == '\\' && (n == 1 || raw[i+1] == 'u' && n < 6) || raw[i] != '\\' && !utf8.ValidString(raw[i:i+n]) {
				n++
				continue
			}
			break
		}
		if n == 6 && len(raw) >= i+12 && raw[i+6] == '\\' && raw[i+7] == 'u' && utf8.RuneCountInString(unquoted(raw[i:i+12])) == 1 {
			n = 12
		}
		last := edges[len(edges)-1]
		edges = append(edges, edge{last.text + len(unquoted(raw[i:i+n])), i + n})
		i += n
	}
	at := edge{}
	for _, c := range changes {
		from, to := edges[0], edges[len(edges)-1]
		for _, e := range edges {
			if e.text <= c.From {
				from = e
			}
		}
		for _, e := range slices.Backward(edges) {
			if e.text >= c.To {
				to = e
			}
		}
		if c.From == c.To {
			to = from
		}
		if from.raw < at.raw {
			from = at
		}
		if to.raw < from.raw {
			to = from
		}
		at = to
		with := string(AppendQuoted(nil, c.With))
		with = with[1 : len(with)-1]
		if n := len(pieces); n > 0 && pieces[n-1].To == from.raw {
			pieces[n-1].To, pieces[n-1].With = to.raw, pieces[n-1].With+with
			continue
		}
		pieces = append(pieces, Change{From: from.raw, To: to.raw, With: with})
	}
	for i := range pieces {
		p := &pieces[i]
		if p.With == "" && p.From < p.To && p.From >= 6 && len(raw) >= p.To+6 {
			left, right := raw[p.From-6:p.From], raw[p.To:p.To+6]
			if strings.HasPrefix(left, `\u`) && strings.HasPrefix(right, `\u`) && validHex(left[2:]) && utf8.RuneCountInString(unquoted(left+right)) == 1 {
				p.To += 6
				p.With = `\ufffd`
			}
		}
	}
	return pieces
}

func validHex(s string) bool { return strings.Trim(s, "0123456789abcdefABCDEF") == "" }

// unquoted is what encoding/json makes of a string.
func unquoted(raw string) (s string) {
	if err := json.Unmarshal([]byte(`"`+raw+`"`), &s); err != nil {
		panic(err)
	}
	return s
}
