package datasecurity

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/attache-dev/attache/extprocsvc"
	"github.com/attache-dev/attache/extprocsvc/extproctest"
	"github.com/attache-dev/attache/extprocsvc/llm"
)

func TestReadme(t *testing.T) { extproctest.README(t) }

const (
	annotate = extprocsvc.Annotate
	modify   = extprocsvc.Annotate | extprocsvc.Modify
	reject   = extprocsvc.Annotate | extprocsvc.Reject
	both     = modify | reject
)

func made(t testing.TB, rights extprocsvc.Rights, yaml string) (*processor, error) {
	t.Helper()
	p, err := build(extprocsvc.Setup{Params: extproctest.Params(t, yaml), Rights: rights, ReadFile: func(name string) ([]byte, error) {
		if name != "key" {
			return []byte("short"), map[bool]error{true: nil, false: errors.New("no such file")}[name == "short"]
		}
		return []byte("0123456789abcdef"), nil
	}})
	if err != nil {
		return nil, err
	}
	return p.(*processor), nil
}

func TestProcess(t *testing.T) {
	const prompt = `{"messages":[{"role":"user","content":"ada@example.com\n 078-05-1120 \u00e9"},{"role":"user","content":[{"type":"text","text":"bob@example.com"}]}]}`
	for _, tc := range []struct {
		rights        extprocsvc.Rights
		params        string
		tags          string
		rejects       bool
		first, second string
	}{
		{annotate, `{}`, "sensitive-data:email sensitive-data:ssn", false, `ada@example.com\n 078-05-1120 \u00e9`, `bob@example.com`},
		{modify, `{}`, "sensitive-data:email sensitive-data:ssn", false, `XXXXXXXXXXXXXXX\n XXXXXXXXXXX \u00e9`, `XXXXXXXXXXXXXXX`},
		{modify, `{redact_with: "*", matchers: [ssn]}`, "sensitive-data:ssn", false, `ada@example.com\n *********** \u00e9`, `bob@example.com`},
		{modify, `{action: mask, matchers: ["ls_regex:Email", {name: ssn, label: "<S\"S>"}]}`, "sensitive-data:email sensitive-data:ssn", false, `<EMAIL_ADDRESS>\n <S\"S> \u00e9`, `<EMAIL_ADDRESS>`},
		{modify, `{action: hash, hash_key_file: key, matchers: [email]}`, "sensitive-data:email", false, `<EMAIL_ADDRESS:512383176ce1b4c2>\n 078-05-1120 \u00e9`, `<EMAIL_ADDRESS:bbc8434fd179b429>`},
		{reject, `{}`, "sensitive-data:email sensitive-data:ssn", true, "", ""},
		{reject, `{matchers: [iban]}`, "", false, `ada@example.com\n 078-05-1120 \u00e9`, `bob@example.com`},
		{both, `{}`, "sensitive-data:email sensitive-data:ssn", true, "", ""},
		{both, `{action: mask, matchers: [pii, {name: secrets, action: reject}]}`, "sensitive-data:email sensitive-data:ssn", false, `<EMAIL_ADDRESS>\n <SSN> \u00e9`, `<EMAIL_ADDRESS>`},
		{modify, `{matchers: [{regex: {name: E, value: é}, action: mask}]}`, "sensitive-data:e", false, `ada@example.com\n 078-05-1120 <E>`, `bob@example.com`},
	} {
		p, err := made(t, tc.rights, tc.params)
		if err != nil {
			t.Errorf("%s: %v", tc.params, err)
			continue
		}
		doc := extproctest.Doc(t, llm.ChatCompletions, prompt)
		got, err := p.ProcessRequest(t.Context(), &extprocsvc.Request{Prompt: doc})
		if err != nil || strings.Join(got.Tags, " ") != tc.tags || (got.Rejection != nil) != tc.rejects {
			t.Errorf("%s: got %+v, %v", tc.params, got, err)
			continue
		}
		for _, e := range got.Edits {
			if err := doc.Apply(e); err != nil {
				t.Fatal(err)
			}
		}
		want := strings.Replace(strings.Replace(prompt, `ada@example.com\n 078-05-1120 \u00e9`, tc.first, 1), "bob@example.com", tc.second, 1)
		if body := string(doc.Append(nil)); !tc.rejects && body != want {
			t.Errorf("%s:\ngot  %s\nwant %s", tc.params, body, want)
		}
		answer, err := p.ProcessResponse(t.Context(), &extprocsvc.Response{})
		if err != nil || len(answer.Tags) > 0 || len(answer.Edits) > 0 {
			t.Errorf("%s: without a body: %+v, %v", tc.params, answer, err)
		}
	}
}

// TestClean: a text without anything changes nothing and allocates nothing.
func TestClean(t *testing.T) {
	p, err := made(t, modify, `{}`)
	if err != nil {
		t.Fatal(err)
	}
	doc := extproctest.Doc(t, llm.ChatCompletions, `{"messages":[{"role":"user","content":"Order 114-3941689 \"v1.2.3.4\" of 2024-01-05"}]}`)
	r := extprocsvc.Request{Prompt: doc}
	if got, err := p.ProcessRequest(t.Context(), &r); err != nil || len(got.Tags)+len(got.Edits) > 0 || got.Rejection != nil {
		t.Errorf("got %+v, %v", got, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.ProcessRequest(ctx, &r); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled context: %v", err)
	}
}

func TestMistakes(t *testing.T) {
	for _, tc := range []struct {
		rights       extprocsvc.Rights
		params, want string
	}{
		{annotate, `{action: mask}`, "f:1:10: action: the action mask needs modify: true"},
		{modify, `{matchers: [{name: email, action: reject}]}`, "f:1:35: matchers[0].action: the action reject needs reject: true"},
		{modify, `{action: remove}`, "action: unknown value"},
		{modify, `{matchers: [emial]}`, `f:1:13: matchers[0]: unknown matcher "emial"; known are pii, secrets, email,`},
		{modify, `{matchers: [{label: x}]}`, "matchers[0]: expected exactly one of name, regex"},
		{modify, `{matchers: [{name: email, max_match: 9}]}`, "only expressions have this"},
		{modify, `{matchers: [{regex: {name: a, value: "("}}]}`, `matchers[0].regex: not a regular expression: missing closing )`},
		{modify, `{matchers: [{regex: {name: a, value: b}}, {regex: {name: a, value: c}}]}`, `a second matcher with the name "a"`},
		{modify, `{matchers: [{regex: {name: a, value: "b.*"}, max_match: 1}]}`, "at least 4"},
		{modify, `{redact_with: XX}`, "must be one character that can be seen"},
		{modify, `{hash_key_file: short}`, "hash_key_file: the key must have at least 16 bytes"},
		{modify, `{hash_key_file: none}`, "hash_key_file: no such file"},
		{modify, `{experimental: true}`, "unknown key"},
	} {
		if _, err := made(t, tc.rights, tc.params); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %s", tc.params, err, tc.want)
		}
	}
}

// TestNames: a matcher that is named twice is one.
func TestNames(t *testing.T) {
	p, err := made(t, modify, `{matchers: [email, pii, EMAIL, {name: int_phone, action: mask}]}`)
	if err != nil {
		t.Fatal(err)
	}
	sorted := slices.Sorted(slices.Values(p.tags))
	if len(slices.Compact(sorted)) != len(p.tags) {
		t.Errorf("tags %v", p.tags)
	}
}

// What goes from one part of a content into the next is found as well.
func TestParts(t *testing.T) {
	for _, c := range []struct {
		name       string
		dialect    *llm.Dialect
		body, want string // want is empty for a rejection
	}{
		{"two parts", llm.ChatCompletions,
			`{"messages":[{"role":"user","content":[{"type":"text","text":"it is 078-\u0030"},{"type":"text","text":"5-1120, yes"}]}]}`,
			`{"messages":[{"role":"user","content":[{"type":"text","text":"it is <SSN>"},{"type":"text","text":", yes"}]}]}`},
		{"three, with another thing between them", llm.ChatCompletions,
			`{"messages":[{"role":"user","content":[{"type":"text","text":"ada@ex"},{"type":"image_url","image_url":{"url":"https://h/"}},{"type":"text","text":"ample"},{"type":"text","text":".com"}]}]}`,
			`{"messages":[{"role":"user","content":[{"type":"text","text":"<EMAIL_ADDRESS>"},{"type":"image_url","image_url":{"url":"https://h/"}},{"type":"text","text":""},{"type":"text","text":""}]}]}`},
		{"a word beside what a part has itself", llm.ChatCompletions,
			`{"messages":[{"role":"user","content":[{"type":"text","text":"Sum this up."},{"type":"text","text":"bob@example.com wrote"}]}]}`,
			`{"messages":[{"role":"user","content":[{"type":"text","text":"Sum this up."},{"type":"text","text":"<EMAIL_ADDRESS> wrote"}]}]}`},
		{"beside what a part in the middle has", llm.ChatCompletions,
			`{"messages":[{"role":"user","content":[{"type":"text","text":"ada@ex"},{"type":"text","text":"ample.com bob@example.com or ad"},{"type":"text","text":"a@example.com"}]}]}`,
			`{"messages":[{"role":"user","content":[{"type":"text","text":"<EMAIL_ADDRESS>"},{"type":"text","text":" <EMAIL_ADDRESS> or ad"},{"type":"text","text":"<EMAIL_ADDRESS>"}]}]}`},
		{"two messages", llm.ChatCompletions,
			`{"messages":[{"role":"user","content":[{"type":"text","text":"078-05"}]},{"role":"user","content":[{"type":"text","text":"-1120"}]}]}`,
			`{"messages":[{"role":"user","content":[{"type":"text","text":"078-05"}]},{"role":"user","content":[{"type":"text","text":"-1120"}]}]}`},
		{"a text in each part", llm.ChatCompletions,
			`{"messages":[{"role":"user","content":[{"type":"text","text":"1"},{"type":"text","text":"078-05-1120"}]}]}`,
			`{"messages":[{"role":"user","content":[{"type":"text","text":"1"},{"type":"text","text":"<SSN>"}]}]}`},
		{"system blocks", llm.Messages,
			`{"system":[{"type":"text","text":"078-05"},{"type":"text","text":"-1120"}],"messages":[]}`,
			`{"system":[{"type":"text","text":"<SSN>"},{"type":"text","text":""}],"messages":[]}`},
		{"blocks with citations", llm.AnthropicMessage,
			`{"role":"assistant","content":[{"type":"text","text":"write to ada@"},{"type":"text","text":"example.com","citations":[{"type":"char_location","cited_text":"it"}]}]}`,
			`{"role":"assistant","content":[{"type":"text","text":"write to <EMAIL_ADDRESS>"},{"type":"text","text":"","citations":[{"type":"char_location","cited_text":"it"}]}]}`},
		{"an item", llm.Response,
			`{"output":[{"type":"message","content":[{"type":"output_text","text":"078-05"},{"type":"output_text","text":"-1120"}]}]}`,
			`{"output":[{"type":"message","content":[{"type":"output_text","text":"<SSN>"},{"type":"output_text","text":""}]}]}`},
		{"a rejection", llm.ChatCompletions,
			`{"messages":[{"role":"user","content":[{"type":"text","text":"AKIAIOSF"},{"type":"text","text":"ODNN7EXAMPLE"}]}]}`, ""},
	} {
		p, err := made(t, both, `{action: mask, matchers: [pii, {name: secrets, action: reject}]}`)
		if err != nil {
			t.Fatal(err)
		}
		doc := extproctest.Doc(t, c.dialect, c.body)
		got, err := p.ProcessRequest(t.Context(), &extprocsvc.Request{Prompt: doc})
		if err != nil || (got.Rejection != nil) != (c.want == "") {
			t.Errorf("%s: got %+v, %v", c.name, got, err)
			continue
		}
		for _, e := range got.Edits {
			if err := doc.Apply(e); err != nil {
				t.Fatal(err)
			}
		}
		if body := string(doc.Append(nil)); c.want != "" && body != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.name, body, c.want)
		}
	}
}
