package jsonschema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"strings"
	"testing"

	"github.com/attache-dev/attache/extprocsvc"
	"github.com/attache-dev/attache/extprocsvc/extproctest"
	"github.com/attache-dev/attache/extprocsvc/llm"
)

func TestReadme(t *testing.T) { extproctest.README(t) }

const (
	rights = extprocsvc.Annotate | extprocsvc.Reject
	in     = extprocsvc.InputPhase
	out    = extprocsvc.ResponsePhase
)

func setup(t testing.TB, phase extprocsvc.Phases, rights extprocsvc.Rights, yaml string) (extprocsvc.Processor, error) {
	t.Helper()
	return build(extprocsvc.Setup{Phase: phase, Params: extproctest.Params(t, yaml), Rights: rights, ReadFile: func(name string) ([]byte, error) {
		if text, ok := map[string]string{
			"ok.json":  `{"type": "object"}`,
			"bad.json": `{"type": `,
		}[name]; ok {
			return []byte(text), nil
		}
		return nil, &fs.PathError{Op: "open", Path: name, Err: errors.New("no such file")}
	}})
}

func made(t testing.TB, phase extprocsvc.Phases, yaml string) *processor {
	t.Helper()
	p, err := setup(t, phase, rights, yaml)
	if err != nil {
		t.Fatal(err)
	}
	return p.(*processor)
}

func TestParams(t *testing.T) {
	for _, tc := range []struct {
		phase extprocsvc.Phases
		yaml  string
		want  string // how the error begins
	}{
		{in, `{schema: {type: object}}`, ""},
		{in, `{schema: false}`, ""},
		{out, `{schema_file: ok.json, allow_empty: true, at: /a}`, ""},
		{in, `{schema: {type: object}, target: text, roles: [user, tool], max_values: 10, formats: false}`, ""},
		{in, `{schema: {$schema: "http://json-schema.org/draft-07/schema#", type: object}}`, ""},
		{in, `{}`, "f:1:1: json-schema needs one of schema and schema_file"},
		{in, `{schema: {type: object}, schema_file: ok.json}`, "f:1:1: json-schema needs one of schema and schema_file"},
		{in, `{schema_file: no.json}`, "f:1:15: schema_file: open no.json: no such file"},
		{in, `{schema_file: bad.json}`, "f:1:15: schema_file: the schema is not JSON: "},
		{in, `{schema: {type: objekt}}`, "f:1:10: schema: "},
		{in, `{schema: {pattern: "(?=a)b"}}`, "f:1:10: schema: "},
		{in, `{schema: {$ref: "https://example.com/s.json"}}`, "f:1:10: schema: "},
		{in, `{schema: {$ref: other.json}}`, "f:1:10: schema: "},
		{in, `{schema: {$ref: "file:///etc/passwd"}}`, "f:1:10: schema: "},
		{in, `{schema: {$schema: "https://example.com/meta"}}`, "f:1:10: schema: "},
		{in, `{schema: true, target: all}`, `f:1:24: target: unknown target "all"; expected body or text`},
		{in, `{schema: true, at: messages}`, `f:1:20: at: must be a JSON pointer, such as /messages/0`},
		{in, `{schema: true, roles: [user]}`, `f:1:23: roles: is for the target text in input stages`},
		{out, `{schema: true, roles: [user]}`, `f:1:23: roles: is for the target text in input stages`},
		{in, `{schema: true, allow_empty: true}`, `f:1:29: allow_empty: is for the target text`},
		{in, `{schema: true, max_values: 0}`, `f:1:28: max_values: must be at least 1`},
	} {
		_, err := setup(t, tc.phase, rights, tc.yaml)
		got := ""
		if err != nil {
			got = err.Error()
		}
		if !strings.HasPrefix(got, tc.want) || tc.want == "" && got != "" || strings.Contains(got, "\n") {
			t.Errorf("%s:\ngot  %s\nwant %s", tc.yaml, got, tc.want)
		}
		if strings.Contains(tc.yaml, "$ref") && !strings.Contains(got, "a reference to another document is not followed") {
			t.Errorf("%s: %s", tc.yaml, got)
		}
	}
	for _, yaml := range []string{`{schema: true, at: 1}`, `{shema: true}`, `{schema: true, formats: 1}`} {
		if _, err := setup(t, in, rights, yaml); err == nil {
			t.Errorf("%s was accepted", yaml)
		}
	}
	if _, err := setup(t, in, extprocsvc.Annotate, `{schema: true}`); err != nil {
		t.Error(err)
	}
}

func TestRequests(t *testing.T) {
	for _, tc := range []struct{ yaml, body, want string }{
		{`{schema: {properties: {temperature: {maximum: 1}}}}`, `{"messages":[],"temperature":1}`, ""},
		{`{schema: {properties: {temperature: {maximum: 1}}}}`, `{"messages":[],"temperature":1.0000000000000000000001}`, "The request does not fit the schema at /properties/temperature/maximum"},
		{`{schema: {required: [user, seed]}}`, `{"messages":[]}`, "The request does not fit the schema at /required"},
		{`{schema: {additionalProperties: false, properties: {messages: true}}}`, `{"messages":[],"secret-key":1}`, "The request does not fit the schema at /additionalProperties"},
		{`{schema: {properties: {tools: false}}}`, `{"messages":[],"tools":[]}`, "The request does not fit the schema at /properties/tools"},
		{`{schema: {maxItems: 1}, at: /messages}`, `{"messages":[{},{}]}`, "The request does not fit the schema at /maxItems"},
		{`{schema: {type: string}, at: /messages/0/content}`, `{"messages":[{"content":"a"}]}`, ""},
		{`{schema: {type: string}, at: /messages/1/content}`, `{"messages":[{"content":"a"}]}`, "The request has nothing at /messages/1/content"},
		{`{schema: {type: string}, at: /messages/00}`, `{"messages":[{"content":"a"}]}`, "The request has nothing at /messages/00"},
		{`{schema: {type: integer}, at: /a~1b/~01}`, `{"messages":[],"a/b":{"~1":1}}`, ""},
		{`{schema: true}`, `{"messages":[],"x":{"a":1,"\u0061":2}}`, "The request has a key twice"},
		{`{schema: {properties: {x: {multipleOf: 2}}}}`, `{"messages":[],"x":1e999999999}`, "The request has a number that is too long"},
		{`{schema: {properties: {x: {multipleOf: 2}}}}`, `{"messages":[],"x":1e99999999999999999999}`, "The request has a number that is too long"},
		{`{schema: {properties: {x: {multipleOf: 2}}}}`, `{"messages":[],"x":1E+400,"y":-0.5e-400}`, ""},
		{`{schema: true}`, `{"messages":[],"x":` + strings.Repeat("1", 401) + `}`, "The request has a number that is too long"},
		{`{schema: true, max_values: 4}`, `{"messages":[],"x":[1,2]}`, "The request has too many values (max_values)"},
		{`{schema: true, max_values: 5}`, `{"messages":[],"x":[1,2]}`, ""},
		{`{schema: {properties: {when: {format: date}}}}`, `{"messages":[],"when":"tomorrow"}`, "The request does not fit the schema at /properties/when/format"},
		{`{schema: {properties: {when: {format: date}}}, formats: false}`, `{"messages":[],"when":"tomorrow"}`, ""},
		{`{schema: {$defs: {s: {type: string}}, items: {$ref: "#/$$defs/s"}}, at: /x}`, `{"messages":[],"x":[1,2,"a",true]}`, "The request does not fit the schema at /$defs/s/type"},
		{`{schema: {properties: {a: {type: string}, b: {type: string}, c: {type: string}, d: {type: string}}}}`, `{"messages":[],"a":1,"b":1,"c":1,"d":1}`, "…"},
		{`{schema: {type: object}, target: text}`, `{"messages":[{"role":"system","content":"plain"},{"role":"user","content":"{}"}]}`, ""},
		{`{schema: {type: object}, target: text}`, `{"messages":[{"role":"user","content":"{}"},{"role":"user","content":"[]"}]}`, "The request does not fit the schema at /type"},
		{`{schema: {type: object}, target: text}`, `{"messages":[{"role":"user","content":"hello"}]}`, "The request is not JSON"},
		{`{schema: {type: object}, target: text}`, `{"messages":[{"role":"assistant","content":"hello"}]}`, "The request has no text"},
		{`{schema: {type: object}, target: text, allow_empty: true}`, `{"messages":[{"role":"assistant","content":"hello"}]}`, ""},
		{`{schema: {type: object}, target: text, roles: []}`, `{"messages":[{"role":"assistant","content":"hello"}]}`, "The request is not JSON"},
		{`{schema: {required: [a]}, target: text}`, `{"messages":[{"role":"user","content":[{"type":"text","text":"{\"a\""},{"type":"text","text":": 1}"}]}]}`, ""},
	} {
		p := made(t, in, tc.yaml)
		r, err := p.ProcessRequest(t.Context(), &extprocsvc.Request{Prompt: extproctest.Doc(t, llm.ChatCompletions, tc.body)})
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if r.Rejection != nil {
			if got = r.Rejection.Detail; r.Rejection.Code != "AIGW_VALIDATION" {
				t.Errorf("%s: code %s", tc.yaml, r.Rejection.Code)
			}
		}
		if tc.want == "…" {
			if places := strings.Count(got, "/properties/"); places != 3 || !strings.HasSuffix(got, ", …") {
				t.Errorf("%s: %s", tc.yaml, got)
			}
			continue
		}
		if got != tc.want || (len(r.Tags) > 0) != (tc.want != "") {
			t.Errorf("%s, %s:\ngot  %q %v\nwant %q", tc.yaml, tc.body, got, r.Tags, tc.want)
		}
	}
	if r, err := made(t, in, `{schema: false}`).ProcessRequest(t.Context(), &extprocsvc.Request{}); err != nil || r.Tags != nil {
		t.Errorf("without a body: %+v, %v", r, err)
	}
}

func TestResponses(t *testing.T) {
	const person = `{schema: {type: object, required: [name], properties: {name: {type: string, maxLength: 5}}, additionalProperties: false}`
	for _, tc := range []struct{ yaml, choices, want string }{
		{person + `}`, `{"message":{"content":"{\"name\":\"Ada\"}"}}`, ""},
		{person + `}`, `{"message":{"content":" {\"name\":\"Ad\u0061\"}\n"}}`, ""},
		{person + `}`, `{"message":{"content":"{\"name\":\"Ada Lovelace\"}"}}`, "The answer does not fit the schema at /properties/name/maxLength"},
		{person + `}`, `{"message":{"content":"{\"name\":\"Ada\",\"name\":\"Bob\"}"}}`, "The answer has a key twice"},
		{person + `}`, `{"message":{"content":"Here you are: {\"name\":\"Ada\"}"}}`, "The answer is not JSON"},
		{person + `}`, `{"message":{"content":"{\"name\":\"Ada\"} {}"}}`, "The answer is not JSON"},
		{person + `}`, `{"message":{"content":"{\"name\":\"Ada\"}"}},{"message":{"content":"{}"}}`, "The answer does not fit the schema at /required"},
		{person + `}`, `{"message":{"content":null,"tool_calls":[]}}`, "The answer has no text"},
		{person + `, allow_empty: true}`, `{"message":{"content":null,"tool_calls":[]}}`, ""},
		{person + `, max_values: 1}`, `{"message":{"content":"{\"name\":\"Ada\"}"}}`, "The answer has too many values (max_values)"},
		{`{schema: {maxItems: 1}, target: body, at: /choices}`, `{"message":{"content":"a"}},{"message":{"content":"b"}}`, "The answer does not fit the schema at /maxItems"},
		{`{schema: true}`, `{"message":{"content":"` + strings.Repeat("[", 129) + strings.Repeat("]", 129) + `"}}`, "The answer is nested too deeply"},
	} {
		p := made(t, out, tc.yaml)
		completion := extproctest.Doc(t, llm.ChatCompletion, `{"choices":[`+tc.choices+`]}`)
		r, err := p.ProcessResponse(t.Context(), &extprocsvc.Response{Completion: completion})
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if r.Rejection != nil {
			if got = r.Rejection.Detail; r.Rejection.Code != extprocsvc.PolicyViolation {
				t.Errorf("%s: code %s", tc.yaml, r.Rejection.Code)
			}
		}
		if got != tc.want {
			t.Errorf("%s, %s:\ngot  %q\nwant %q", tc.yaml, tc.choices, got, tc.want)
		}
		p.reject = false
		if r, err = p.ProcessResponse(t.Context(), &extprocsvc.Response{Completion: completion}); err != nil || r.Rejection != nil || (len(r.Tags) > 0) != (tc.want != "") {
			t.Errorf("%s: without reject: %+v, %v", tc.yaml, r, err)
		}
	}
}

// TestBounds: a rejection is short and quotes the schema at most, whatever the
// value is.
// Only what an answer says is judged, in every API: a model may think, name its
// sources and call tools beside it.
func TestSaid(t *testing.T) {
	for _, tc := range []struct {
		dialect    *llm.Dialect
		body, want string
	}{
		{llm.ChatCompletion, `{"choices":[{"message":{"reasoning_content":"Ada, I think","content":"{}","annotations":[{"type":"url_citation","url_citation":{"url":"https://example.com/a b","title":"Ada L."}}]}}]}`, ""},
		{llm.ChatCompletion, `{"choices":[{"message":{"reasoning":"{}","content":"Ada"}}]}`, "The answer is not JSON"},
		{llm.ChatCompletion, `{"choices":[{"message":{"reasoning":"{}","content":null}}]}`, "The answer has no text"},
		{llm.ChatCompletion, `{"choices":[{"message":{"content":null,"refusal":"{}"}}]}`, "The answer has no text"},
		{llm.Completion, `{"choices":[{"text":"{}"}]}`, ""},
		{llm.AnthropicMessage, `{"role":"assistant","content":[{"type":"thinking","thinking":"Ada, I think","signature":"c2ln"},
			{"type":"text","text":"{\"a\":","citations":[{"type":"char_location","cited_text":"Ada, it says","document_title":"A letter"}]},
			{"type":"text","text":"1}"},{"type":"tool_use","id":"t","name":"find","input":{"q":"Ada L."}}]}`, ""},
		{llm.AnthropicMessage, `{"role":"assistant","content":[{"type":"thinking","thinking":"{}","signature":"c2ln"},{"type":"text","text":"Ada"}]}`, "The answer is not JSON"},
		{llm.Response, `{"output":[{"type":"reasoning","summary":[{"type":"summary_text","text":"Ada, I think"}],"content":[{"type":"reasoning_text","text":"hm, hm"}]},
			{"type":"function_call","name":"find","arguments":"{\"q\":\"Ada L.\"}"},
			{"type":"message","role":"assistant","content":[{"type":"output_text","text":"{}"}]}]}`, ""},
		{llm.Response, `{"output":[{"type":"reasoning","summary":[{"type":"summary_text","text":"{}"}]},{"type":"message","role":"assistant","content":[{"type":"output_text","text":"Ada"}]}]}`, "The answer is not JSON"},
	} {
		r, err := made(t, out, `{schema: {type: object}}`).ProcessResponse(t.Context(), &extprocsvc.Response{Completion: extproctest.Doc(t, tc.dialect, tc.body)})
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if r.Rejection != nil {
			got = r.Rejection.Detail
		}
		if got != tc.want {
			t.Errorf("%s:\ngot  %q\nwant %q", tc.body, got, tc.want)
		}
	}
	p := made(t, in, `{schema: {type: object}, target: text}`)
	r, err := p.ProcessRequest(t.Context(), &extprocsvc.Request{Prompt: extproctest.Doc(t, llm.ChatCompletions, `{"messages":[{"role":"user","name":"Ada L.","content":"{}"}]}`)})
	if err != nil || r.Rejection != nil {
		t.Errorf("the name of a user: %+v, %v", r.Rejection, err)
	}
}

func TestBounds(t *testing.T) {
	var properties strings.Builder
	for i := range 50 {
		fmt.Fprintf(&properties, "%s%d: {type: string}, ", strings.Repeat("long", 50), i)
	}
	p := made(t, out, `{schema: {properties: {`+properties.String()+`}, patternProperties: {"^secret": {type: string}}, propertyNames: {maxLength: 210}, items: {type: string}}}`)
	var value strings.Builder
	value.WriteString(`{\"secret-value\":1,\"` + strings.Repeat("secret", 50) + `\":1`)
	for i := range 50 {
		fmt.Fprintf(&value, `,\"%s%d\":1`, strings.Repeat("long", 50), i)
	}
	for _, content := range []string{value.String() + "}", "[" + strings.Repeat("1,", 90_000) + "1]"} {
		r, err := p.ProcessResponse(t.Context(), &extprocsvc.Response{Completion: extproctest.Doc(t, llm.ChatCompletion, `{"choices":[{"message":{"content":"`+content+`"}}]}`)})
		if err != nil || r.Rejection == nil {
			t.Fatalf("%+v, %v", r, err)
		}
		if d := r.Rejection.Detail; len(d) > 600 || strings.Contains(d, "secret-value") || strings.Contains(d, "secretsecret") {
			t.Errorf("%d bytes: %s", len(d), d)
		}
	}
}

// FuzzRead compares the reader with encoding/json.
func FuzzRead(f *testing.F) {
	for _, s := range []string{`{"a":[1,2.5e3,"x\u00e9\ud800",true,false,null,{}],"b":{"c":[]}}`, ` [ ] `, `"\ud83d\ude00"`, `{"a":1,"a":2}`, `1e401`, `[1,]`, "{\"\xff\":1}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := read([]byte(text), 1000)
		if err != nil {
			if err == errSyntax && json.Valid([]byte(text)) && !strings.ContainsRune(text, '\ufffd') && strings.ToValidUTF8(text, "") == text {
				t.Fatalf("%q is JSON", text)
			}
			return
		}
		d := json.NewDecoder(bytes.NewReader([]byte(text)))
		d.UseNumber()
		var want any
		if err := d.Decode(&want); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got %#v, want %#v", got, want)
		}
	})
}

func BenchmarkResponse(b *testing.B) {
	p := made(b, out, `{schema: {type: array, items: {type: object, required: [name], properties: {name: {type: string}, age: {type: integer, minimum: 0}}}}}`)
	const item = `{\"name\":\"Ada Lovelace\",\"age\":36,\"city\":\"London\"}`
	for _, n := range []int{10, 100, 10_000} {
		text := "[" + strings.Repeat(item+",", n-1) + item + "]"
		b.Run(fmt.Sprintf("%dKB", len(text)/1000), func(b *testing.B) {
			r := &extprocsvc.Response{Completion: extproctest.Doc(b, llm.ChatCompletion, `{"choices":[{"message":{"content":"`+text+`"}}]}`)}
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				if got, err := p.ProcessResponse(b.Context(), r); err != nil || got.Rejection != nil {
					b.Fatal(got, err)
				}
			}
		})
	}
}
