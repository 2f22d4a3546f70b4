package languageid

import (
	"strings"
	"testing"

	"github.com/attache-dev/attache/extprocsvc"
	"github.com/attache-dev/attache/extprocsvc/extproctest"
	"github.com/attache-dev/attache/extprocsvc/llm"
)

func TestReadme(t *testing.T) { extproctest.README(t) }

const rights = extprocsvc.Annotate | extprocsvc.Reject

func TestParams(t *testing.T) {
	for _, tc := range []struct {
		yaml   string
		rights extprocsvc.Rights
		want   string // how the error begins
	}{
		{`{}`, extprocsvc.Annotate, ""},
		{`{threshold: 0, code_detect: true, multi_detect: true, skip_system_messages: false}`, extprocsvc.Annotate, ""},
		{`{allowed_languages: [en, DE, code, unknown]}`, rights, ""},
		{`{threshold: 1.5}`, extprocsvc.Annotate, "f:1:13: threshold: must be from 0 to 1"},
		{`{threshold: -1}`, extprocsvc.Annotate, "f:1:13: threshold: must be from 0 to 1"},
		{`{allowed_languages: [tlh]}`, rights, `f:1:21: allowed_languages: language-id does not know the language "tlh"; it knows am, ar, `},
		{`{allowed_languages: [en]}`, extprocsvc.Annotate, "f:1:21: allowed_languages: needs reject: true"},
		{`{threshold: 0.5}`, rights, "f:1:1: reject: true needs allowed_languages"},
	} {
		got := ""
		if _, err := build(extprocsvc.Setup{Params: extproctest.Params(t, tc.yaml), Rights: tc.rights}); err != nil {
			got = err.Error()
		}
		if !strings.HasPrefix(got, tc.want) || tc.want == "" && got != "" {
			t.Errorf("%s:\ngot  %s\nwant %s", tc.yaml, got, tc.want)
		}
	}
	for _, yaml := range []string{`{threshold: "0.5"}`, `{code_detect: 1}`, `{languages: [en]}`} {
		if _, err := build(extprocsvc.Setup{Params: extproctest.Params(t, yaml), Rights: extprocsvc.Annotate}); err == nil {
			t.Errorf("%s was accepted", yaml)
		}
	}
}

func made(t testing.TB, yaml string, rights extprocsvc.Rights) *processor {
	t.Helper()
	p, err := build(extprocsvc.Setup{Params: extproctest.Params(t, yaml), Rights: rights})
	if err != nil {
		t.Fatal(err)
	}
	return p.(*processor)
}

const english, german = "Please explain what the difference between the two is.", "Bitte erkläre mir, was der Unterschied zwischen den beiden ist."

func TestBothDirections(t *testing.T) {
	for _, tc := range []struct{ yaml, contents, want string }{
		{`{}`, english, "en"},
		{`{}`, german, "de"},
		{`{}`, english + "|" + german, "en de"},
		{`{}`, english + `\n` + german, "en de"},
		{`{multi_detect: false}`, english + `\n` + english + `\n` + german, "en"},
		{`{}`, `Erkl\u00e4re mir den Unterschied`, "de"},
		{`{}`, "Erkla\u0308re mir den Unterschied fu\u0308r Anfa\u0308nger", "de"},
		{`{}`, "写一首关于大海的短诗。" + english, "en zh"},
		{`{}`, english + english + " 海", "en"},
		{`{}`, "海についての短い詩を書いて。", "ja"},
		{`{}`, "xyzzy", "unknown"},
		{`{}`, english + "|xyzzy", "en"},
		{`{}`, english + "|xyzzy plugh frotz blorb", "en unknown"},
		{`{threshold: 0}`, "xyzzy", ""},
		{`{}`, "42", ""},
		{`{code_detect: true}`, english + `\n\n` + "```" + `\nx = f(y);\n` + "```", "en code"},
		{`{}`, english + `\n\n` + "```" + `\nx = f(y);\n` + "```", "en"},
	} {
		var messages, choices []string
		for c := range strings.SplitSeq(tc.contents, "|") {
			messages = append(messages, `{"role":"user","content":"`+c+`"}`)
			choices = append(choices, `{"message":{"content":"`+c+`"}}`)
		}
		p := made(t, tc.yaml, extprocsvc.Annotate)
		// The language of the operator is not told.
		prompt := extproctest.Doc(t, llm.ChatCompletions, `{"messages":[{"role":"system","content":"Réponds en français, s'il te plaît."},`+strings.Join(messages, ",")+`]}`)
		a, err := p.ProcessRequest(t.Context(), &extprocsvc.Request{Prompt: prompt})
		if err != nil {
			t.Fatal(err)
		}
		b, err := p.ProcessResponse(t.Context(), &extprocsvc.Response{Completion: extproctest.Doc(t, llm.ChatCompletion, `{"choices":[`+strings.Join(choices, ",")+`]}`)})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range []extprocsvc.Result{a, b} {
			if got := strings.ReplaceAll(strings.Join(r.Tags, " "), "language:", ""); got != tc.want || r.Rejection != nil {
				t.Errorf("%s, %s: got %s %v, want %s", tc.yaml, tc.contents, got, r.Rejection, tc.want)
			}
		}
	}
	all := made(t, `{skip_system_messages: false}`, extprocsvc.Annotate)
	r, err := all.ProcessRequest(t.Context(), &extprocsvc.Request{Prompt: extproctest.Doc(t, llm.ChatCompletions, `{"messages":[{"role":"system","content":"`+english+`"}]}`)})
	if err != nil || len(r.Tags) != 1 {
		t.Errorf("a system message that is not skipped: %+v, %v", r, err)
	}
	if r, err := all.ProcessRequest(t.Context(), &extprocsvc.Request{}); err != nil || r.Tags != nil {
		t.Errorf("without a body: %+v, %v", r, err)
	}
}

// TestAllowed: every language that is told must be allowed.
func TestAllowed(t *testing.T) {
	for _, tc := range []struct {
		allowed, contents string
		rejected          bool
	}{
		{"en", english, false},
		{"en", german, true},
		{"en, de", english + `\n` + german, false},
		{"en", english + `\n` + german, true},
		{"en", "xyzzy plugh frotz", true},
		{"en, unknown", "xyzzy plugh frotz", false},
		{"en", "42", false},
	} {
		p := made(t, `{allowed_languages: [`+tc.allowed+`]}`, rights)
		r, err := p.ProcessRequest(t.Context(), &extprocsvc.Request{Prompt: extproctest.Doc(t, llm.ChatCompletions, `{"messages":[{"content":"`+tc.contents+`"}]}`)})
		if err != nil || (r.Rejection != nil) != tc.rejected {
			t.Errorf("%s, %s: %+v, %v", tc.allowed, tc.contents, r, err)
		}
	}
}

func BenchmarkRequest(b *testing.B) {
	for name, text := range map[string]string{"english": english + " ", "german": german + " ", "chinese": "写一首关于大海的短诗。"} {
		for size, n := range map[string]int{"1KB": 1_000, "1MB": 1_000_000} {
			b.Run(name+"/"+size, func(b *testing.B) {
				p := made(b, `{code_detect: true}`, extprocsvc.Annotate)
				content := strings.Repeat(text, n/len(text))
				r := &extprocsvc.Request{Prompt: extproctest.Doc(b, llm.ChatCompletions, `{"messages":[{"role":"user","content":"`+content+`"}]}`)}
				b.SetBytes(int64(len(content)))
				b.ReportAllocs()
				for b.Loop() {
					if _, err := p.ProcessRequest(b.Context(), r); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
