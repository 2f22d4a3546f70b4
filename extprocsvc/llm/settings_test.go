package llm

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func TestSet(t *testing.T) {
	one := []Message{{"system", "one"}}
	for _, c := range []struct {
		name, body string
		settings   Settings
		want       string // empty for the error
	}{
		{"nothing", `{ "a" : 1 }`, Settings{}, `{ "a" : 1 }`},
		{"a model", `{"model":"x"}`, Settings{Model: "m", NeedsModel: true}, `{"model":"m"}`},
		{"no model", `{"a":1}`, Settings{NeedsModel: true}, ""},
		{"a model that is no string", `{"model":null}`, Settings{NeedsModel: true}, ""},
		{"a model by default", `{"a":1}`, Settings{NeedsModel: true, Defaults: []Field{{"model", []byte(`"m"`)}}}, `{"model":"m","a":1}`},
		{"overrides win over the provider", `{"model":"x"}`, Settings{Model: "m", Overrides: []Field{{"model", []byte(`"o"`)}}}, `{"model":"o"}`},
		{
			"overrides replace and add, bytes stay", ` { "n" : 1e999 , "temp\u0065rature" : {"a":[1]} ,"x":"\u00e9"} `,
			Settings{Overrides: []Field{{"stop", []byte(`[1,null]`)}, {"temperature", []byte(`0.5`)}}},
			` {"stop":[1,null], "n" : 1e999 , "temp\u0065rature" : 0.5 ,"x":"\u00e9"} `,
		},
		{"defaults add only, null is given", `{"a":null,"b":1}`, Settings{Defaults: []Field{{"a", []byte("2")}, {"b", []byte("2")}, {"c", []byte("2")}}}, `{"c":2,"a":null,"b":1}`},
		{"an override is no place for a default", `{}`, Settings{Overrides: []Field{{"a", []byte("1")}}, Defaults: []Field{{"a", []byte("2")}}}, `{"a":1}`},
		{"into an empty object", `{ }`, Settings{Overrides: []Field{{"a", []byte("1")}, {"b", []byte("{}")}}}, `{"a":1,"b":{} }`},
		{"only top-level fields", `{"x":{"a":1}}`, Settings{Defaults: []Field{{"a", []byte("2")}}}, `{"a":2,"x":{"a":1}}`},
		{"an alias", `{"model":"fast"}`, Settings{Aliases: []Alias{{"fast", "m"}, {"*", "n"}}}, `{"model":"m"}`},
		{"an alias of the provider's model", `{"model":"x"}`, Settings{Model: "fast", Aliases: []Alias{{"fast", "m"}}}, `{"model":"m"}`},
		{"aliases are not followed", `{"model":"a"}`, Settings{Aliases: []Alias{{"a", "b"}, {"b", "c"}}}, `{"model":"b"}`},
		{"no alias", `{"model":"slow"}`, Settings{Aliases: []Alias{{"fast", "m"}}}, `{"model":"slow"}`},
		{
			"prompts", `{"messages":[ {"role":"user","content":"hi"} ]}`,
			Settings{Prompts: Prompts{Prepend: []Message{{"system", "a\"b"}, {"user", "c"}}, Append: []Message{{"user", "d"}}}},
			`{"messages":[{"role":"system","content":"a\"b"},{"role":"user","content":"c"}, {"role":"user","content":"hi"} ,{"role":"user","content":"d"}]}`,
		},
		{"prompts into an empty list", `{"messages":[]}`, Settings{Prompts: Prompts{Prepend: one, Append: one}}, `{"messages":[{"role":"system","content":"one"},{"role":"system","content":"one"}]}`},
		{"prompts into an empty list with space", `{"messages":[ ]}`, Settings{Prompts: Prompts{Append: one}}, `{"messages":[ {"role":"system","content":"one"}]}`},
		{"prompts into no list", `{"messages":{}}`, Settings{Prompts: Prompts{Append: one}}, ""},
		{"prompts without messages", `{}`, Settings{Prompts: Prompts{Append: one}}, ""},
		{"prompts around messages of an override", `{}`, Settings{Overrides: []Field{{"messages", []byte(`[{}]`)}}, Prompts: Prompts{Append: one}}, `{"messages":[{},{"role":"system","content":"one"}]}`},
		{
			"Anthropic without system", `{"messages":[{}]}`, Settings{Prompts: Prompts{Form: AnthropicMessages, Prepend: []Message{{"system", "s"}, {"user", "u"}}, Append: []Message{{"system", "t"}}}},
			`{"system":[{"type":"text","text":"s"},{"type":"text","text":"t"}],"messages":[{"role":"user","content":"u"},{}]}`,
		},
		{
			"Anthropic with a text", `{"system":"old\u0021","messages":[]}`, Settings{Prompts: Prompts{Form: AnthropicMessages, Prepend: one, Append: []Message{{"system", "two"}}}},
			`{"system":[{"type":"text","text":"one"},{"type":"text","text":"old\u0021"},{"type":"text","text":"two"}],"messages":[]}`,
		},
		{
			"Anthropic with blocks", `{"messages":[],"system":[ {"type":"text","text":"x","cache_control":{}} ]}`, Settings{Prompts: Prompts{Form: AnthropicMessages, Prepend: one, Append: one}},
			`{"messages":[],"system":[{"type":"text","text":"one"}, {"type":"text","text":"x","cache_control":{}} ,{"type":"text","text":"one"}]}`,
		},
		{"Anthropic with null", `{"system":null,"messages":[]}`, Settings{Prompts: Prompts{Form: AnthropicMessages, Append: one}}, `{"system":[{"type":"text","text":"one"}],"messages":[]}`},
		{
			"responses with a text", `{"input":"hi\u0021"}`, Settings{Prompts: Prompts{Form: ResponseItems, Prepend: one, Append: []Message{{"assistant", "yes"}, {"tool", "t"}}}},
			`{"input":[{"type":"message","role":"system","content":[{"type":"input_text","text":"one"}]},{"type":"message","role":"user","content":[{"type":"input_text","text":"hi\u0021"}]},{"type":"message","role":"assistant","content":"yes"},{"type":"message","role":"user","content":[{"type":"input_text","text":"t"}]}]}`,
		},
		{
			"responses with items", `{"input":[{"role":"user","content":"hi"}]}`, Settings{Prompts: Prompts{Form: ResponseItems, Prepend: one}},
			`{"input":[{"type":"message","role":"system","content":[{"type":"input_text","text":"one"}]},{"role":"user","content":"hi"}]}`,
		},
		{"responses without input", `{"messages":[]}`, Settings{Prompts: Prompts{Form: ResponseItems, Prepend: one}}, ""},
		{"responses with nonsense", `{"input":{}}`, Settings{Prompts: Prompts{Form: ResponseItems, Prepend: one}}, ""},
		{"a text is no list of messages", `{"messages":"x"}`, Settings{Prompts: Prompts{Prepend: one}}, ""},
		{"Anthropic with nonsense", `{"system":1,"messages":[]}`, Settings{Prompts: Prompts{Form: AnthropicMessages, Append: one}}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := scan(t, c.body)
			err := d.Set(&c.settings)
			if c.want == "" {
				if err == nil {
					t.Fatalf("accepted: %s", d.Append(nil))
				}
				if errors.Is(err, ErrNoModel) != c.settings.NeedsModel {
					t.Errorf("the error is %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got := string(d.Append(nil))
			if got != c.want || d.Len() != len(got) {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if d.Changed() != (c.body != c.want) {
				t.Errorf("Changed is %v", d.Changed())
			}
		})
	}
}

// Settings come after the edits of a chain.
func TestSetAfterEdits(t *testing.T) {
	d := scan(t, `{"messages":[{}]}`)
	apply(t, d, toModel("x"), AddSystem("rule"))
	if err := d.Set(&Settings{Overrides: []Field{{"n", []byte("1")}}, Aliases: []Alias{{"x", "y"}}, Prompts: Prompts{Prepend: []Message{{"user", "u"}}}}); err != nil {
		t.Fatal(err)
	}
	want := `{"n":1,"model":"y","messages":[{"role":"user","content":"u"},{"role":"system","content":"rule"},{}]}`
	if got := string(d.Append(nil)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestAlias(t *testing.T) {
	for _, c := range []struct {
		alias, yes, no string
	}{
		{"a", "a", "ab b"},
		{"*", "a gpt", ""},
		{"gpt-*", "gpt- gpt-4 gpt-*", "gpt xgpt-4"},
		{"*-mini", "-mini x-mini x-mini-mini", "x-mini-"},
		{"a*b*c", "abc aXbYc abbcc a*b*c", "ab acb abcd xabc"},
		{"a*a", "aa aba", "a"},
		{"a.c", "a.c", "abc"},
	} {
		for _, name := range strings.Fields(c.yes) {
			if a := (Alias{Name: c.alias}); !a.matches(name) {
				t.Errorf("%s does not match %s", c.alias, name)
			}
		}
		for _, name := range strings.Fields(c.no) {
			if a := (Alias{Name: c.alias}); a.matches(name) {
				t.Errorf("%s matches %s", c.alias, name)
			}
		}
	}
}

// Whatever body is accepted, settings leave valid JSON with what they say, and
// everything else as encoding/json sees it.
func FuzzSet(f *testing.F) {
	for _, seed := range []string{`{}`, `{"messages":[],"system":"x"}`, ` { "model" : "a" , "messages" : [ {"content":[{}]} ] , "system":[1] } `, `{"\u0061":1,"t":[[{}]]}`} {
		f.Add(seed)
	}
	s := &Settings{
		Model: "m", Overrides: []Field{{"a", []byte(`{"b":1}`)}}, Defaults: []Field{{"t", []byte("1")}}, Aliases: []Alias{{"m", "n"}},
		Prompts: Prompts{Form: AnthropicMessages, Prepend: []Message{{"system", "s"}, {"user", "u"}}, Append: []Message{{"user", "v"}}},
	}
	f.Fuzz(func(t *testing.T, body string) {
		var d Doc
		if d.Scan(ChatCompletions, []byte(body)) != nil || d.Set(s) != nil {
			return
		}
		var before, after map[string]any
		if err := json.Unmarshal([]byte(body), &before); err != nil {
			return // numbers that Go cannot hold
		}
		out := d.Append(nil)
		if err := json.Unmarshal(out, &after); err != nil || d.Len() != len(out) {
			t.Fatalf("%v: %s", err, out)
		}
		if after["model"] != "n" || after["t"] == nil && before["t"] != nil || len(after["messages"].([]any)) != 2+len(before["messages"].([]any)) {
			t.Errorf("%s became %s", body, out)
		}
		for k, v := range before {
			switch k {
			case "model", "a", "messages", "system":
			default:
				x, _ := json.Marshal(v)
				y, _ := json.Marshal(after[k])
				if string(x) != string(y) {
					t.Errorf("%s of %s became %s", k, body, y)
				}
			}
		}
	})
}
