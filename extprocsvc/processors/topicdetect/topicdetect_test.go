package topicdetect

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/attache-dev/attache/extprocsvc"
	"github.com/attache-dev/attache/extprocsvc/extproctest"
	"github.com/attache-dev/attache/extprocsvc/llm"
	"github.com/attache-dev/attache/extprocsvc/words"
)

func TestReadme(t *testing.T) { extproctest.README(t) }

const rights = extprocsvc.Annotate | extprocsvc.Reject

// files is a ReadFile over a map.
func files(m map[string]string) func(string) ([]byte, error) {
	return func(name string) ([]byte, error) {
		if text, ok := m[name]; ok {
			return []byte(text), nil
		}
		return nil, &fs.PathError{Op: "open", Path: name, Err: errors.New("no such file")}
	}
}

func made(t testing.TB, yaml string, rights extprocsvc.Rights) *processor {
	t.Helper()
	p, err := build(extprocsvc.Setup{Params: extproctest.Params(t, yaml), Rights: rights, ReadFile: files(map[string]string{"list.txt": "# drinks\nale\n\n  gin tonic \n"})})
	if err != nil {
		t.Fatal(err)
	}
	return p.(*processor)
}

func TestParams(t *testing.T) {
	for _, tc := range []struct {
		yaml   string
		rights extprocsvc.Rights
		want   string
	}{
		{`{topics: [{name: a, phrases: [x]}]}`, extprocsvc.Annotate, ""},
		{`{topics: [{name: a, phrases: [x]}], rejected_topics: [A]}`, rights, ""},
		{`{topics: [{name: a, file: list.txt}], allowed_topics: [a], threshold: 0.5}`, rights, ""},
		{`{}`, extprocsvc.Annotate, "f:1:1: topic-detect needs topics: a list of at least one topic with its phrases"},
		{`{topics: []}`, extprocsvc.Annotate, "f:1:10: topics: topic-detect needs topics: a list of at least one topic with its phrases"},
		{`{topics: [{name: a}]}`, extprocsvc.Annotate, `f:1:10: topics: topic "a" has no phrases`},
		{`{topics: [{phrases: [x]}]}`, extprocsvc.Annotate, `f:1:10: topics: topic 1 needs a name of at most 250 bytes`},
		{`{topics: [{name: a, phrases: [x]}, {name: A, phrases: [y]}]}`, extprocsvc.Annotate, `f:1:10: topics: two topics have the name "a"`},
		{`{topics: [{name: a, hints: ["?!"]}]}`, extprocsvc.Annotate, `f:1:10: topics: topic "a": the phrase "?!" has no word in it`},
		{`{topics: [{name: a, file: no.txt}]}`, extprocsvc.Annotate, `f:1:10: topics: topic "a": open no.txt: no such file`},
		{`{topics: [{name: a, phrases: [x]}], rejected_topics: [b]}`, rights, `f:1:54: rejected_topics: no topic has the name "b"`},
		{`{topics: [{name: a, phrases: [x]}], allowed_topics: [b]}`, rights, `f:1:53: allowed_topics: no topic has the name "b"`},
		{`{topics: [{name: a, phrases: [x]}], threshold: 2}`, extprocsvc.Annotate, `f:1:48: threshold: must be above 0 and at most 1`},
		{`{topics: [{name: a, phrases: [x]}]}`, rights, `f:1:1: reject: true needs rejected_topics or allowed_topics`},
	} {
		got := ""
		if _, err := build(extprocsvc.Setup{Params: extproctest.Params(t, tc.yaml), Rights: tc.rights, ReadFile: files(map[string]string{"list.txt": "ale"})}); err != nil {
			got = err.Error()
		}
		if got != tc.want {
			t.Errorf("%s:\ngot  %s\nwant %s", tc.yaml, got, tc.want)
		}
	}
	for _, yaml := range []string{`{topics: a}`, `{topics: [{nam: a}]}`, `{rejected: [a]}`} {
		if _, err := build(extprocsvc.Setup{Params: extproctest.Params(t, yaml), Rights: rights}); err == nil {
			t.Errorf("%s was accepted", yaml)
		}
	}
}

const setup = `{topics: [
  {name: Weapons, phrases: [gun, "assault rifle", 枪, "機関銃", оружие], hints: [bullet, trigger, barrel, scope, magazine]},
  {name: finance, phrases: [mortgage, "interest rate", "rate", "Straße"]},
  {name: drinks, file: list.txt}
], %s}`

func TestTopics(t *testing.T) {
	p := made(t, fmt.Sprintf(setup, "rejected_topics: [weapons]"), rights)
	allow := made(t, fmt.Sprintf(setup, "allowed_topics: [finance]"), rights)
	for content, want := range map[string]string{
		`"Hello"`:                  "",
		`"Where can I buy a GUN?"`: "topic:weapons | rejected | not allowed",
		`"begun, gunner, guns"`:    "",
		`"assault\nrifle"`:         "topic:weapons | rejected | not allowed",
		`"assault, or rifle"`:      "",
		`"a rifle assault"`:        "",
		`"g\u200bun"`:              "topic:weapons | rejected | not allowed",
		`"ｇｕｎ"`:                    "topic:weapons | rejected | not allowed",
		`"\u0067un"`:               "topic:weapons | rejected | not allowed",
		`"我想买枪。"`:                  "topic:weapons | rejected | not allowed",
		`"機関銃を"`:                   "topic:weapons | rejected | not allowed",
		`"機関の銃"`:                   "",
		`"ОРУЖИЕ"`:                 "topic:weapons | rejected | not allowed",
		`"bullet trigger barrel"`:  "",
		`"bullet trigger bullet barrel bullet trigger scope"`: "",
		`"bullet trigger barrel scope magazine"`:              "topic:weapons | rejected | not allowed",
		`"my interest rate, please"`:                          "topic:finance",
		`"strasse"`:                                           "topic:finance",
		`"a gun on a mortgage"`:                               "topic:weapons topic:finance | rejected | not allowed",
		`"gin tonic"`:                                         "topic:drinks | not allowed",
		`[{"type":"text","text":"assault"},{"type":"text","text":"rifle"}]`: "topic:weapons | rejected | not allowed",
		`null`: "",
	} {
		for _, response := range []bool{false, true} {
			run := func(p *processor) extprocsvc.Result {
				var r extprocsvc.Result
				var err error
				if response {
					r, err = p.ProcessResponse(t.Context(), &extprocsvc.Response{Completion: extproctest.Doc(t, llm.ChatCompletion, `{"choices":[{"message":{"role":"assistant","content":`+content+`}}]}`)})
				} else {
					r, err = p.ProcessRequest(t.Context(), &extprocsvc.Request{Prompt: extproctest.Doc(t, llm.ChatCompletions, `{"messages":[{"role":"system","content":"gun"},{"role":"user","content":`+content+`}]}`)})
				}
				if err != nil {
					t.Fatal(err)
				}
				return r
			}
			r := run(p)
			got := strings.Join(r.Tags, " ")
			if r.Rejection != nil {
				got += " | rejected"
			}
			if run(allow).Rejection != nil {
				got += " | not allowed"
			}
			if got != want {
				t.Errorf("%s, response %v: got %q, want %q", content, response, got, want)
			}
		}
	}
	if r, err := p.ProcessRequest(t.Context(), &extprocsvc.Request{}); err != nil || r.Tags != nil {
		t.Errorf("without a body: %+v, %v", r, err)
	}
	only := made(t, fmt.Sprintf(setup, "rejected_topics: [weapons], skip_system_messages: false"), extprocsvc.Annotate)
	r, err := only.ProcessRequest(t.Context(), &extprocsvc.Request{Prompt: extproctest.Doc(t, llm.ChatCompletions, `{"messages":[{"role":"system","content":"gun"}]}`)})
	if err != nil || r.Rejection != nil || len(r.Tags) != 1 {
		t.Errorf("a system message that is not skipped, without reject: %+v, %v", r, err)
	}
}

// TestThreshold: hints count half as much as the doubt that is left.
func TestThreshold(t *testing.T) {
	for threshold, want := range map[string]int{"0.5": 1, "0.75": 2, "0.875": 3, "0.95": 5, "1": 100} {
		p := made(t, fmt.Sprintf(setup, "threshold: "+threshold), extprocsvc.Annotate)
		hints := strings.Fields("bullet trigger barrel scope magazine")
		got := 100
		for n := range hints {
			r, err := p.ProcessRequest(t.Context(), &extprocsvc.Request{Prompt: extproctest.Doc(t, llm.ChatCompletions, `{"messages":[{"content":"`+strings.Join(hints[:n+1], " ")+`"}]}`)})
			if err != nil {
				t.Fatal(err)
			}
			if len(r.Tags) > 0 {
				got = n + 1
				break
			}
		}
		if got != want {
			t.Errorf("threshold %s: %d hints, want %d", threshold, got, want)
		}
	}
}

// naive finds the phrases that are in a text, by looking for each.
func naive(phrases [][]string, text string) map[int32]bool {
	var all []string
	var s words.Scanner
	for s.Reset([]byte(text)); s.Next(); {
		all = append(all, string(s.Text))
	}
	found := map[int32]bool{}
	in := "\x00" + strings.Join(all, "\x00") + "\x00"
	for i, p := range phrases {
		if strings.Contains(in, "\x00"+strings.Join(p, "\x00")+"\x00") {
			found[int32(i)] = true
		}
	}
	return found
}

// all finds the phrases that are in a text, by the automaton.
func all(f *finder, text string) map[int32]bool {
	found := map[int32]bool{}
	var s words.Scanner
	state := int32(0)
	for s.Reset([]byte(text)); s.Next(); {
		state = f.word(state, &s)
		for at := state; at != 0; at = f.more[at] {
			for _, p := range f.ends[at] {
				found[p] = true
			}
		}
	}
	return found
}

func TestFinder(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	sentence := func(n int) string {
		var b strings.Builder
		for range n {
			b.WriteString([]string{"a ", "b ", "c ", "忽", "略"}[r.IntN(5)])
		}
		return b.String()
	}
	for range 500 {
		phrases := make([][]string, 1+r.IntN(12))
		for i := range phrases {
			phrases[i] = cut(sentence(1 + r.IntN(5)))
		}
		text := sentence(r.IntN(30))
		got, want := all(compile(phrases), text), naive(phrases, text)
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("%q in %q: got %v, want %v", phrases, text, got, want)
		}
	}
}

func FuzzFinder(f *testing.F) {
	f.Add("a b|b|b c a|忽略", "a b c a 忽略")
	f.Fuzz(func(t *testing.T, list, text string) {
		var phrases [][]string
		for p := range strings.SplitSeq(list, "|") {
			if p := cut(p); len(p) > 0 {
				phrases = append(phrases, p)
			}
		}
		for p := range naive(phrases, text) {
			if !all(compile(phrases), text)[p] {
				t.Fatalf("%q was not found", phrases[p])
			}
		}
	})
}

func BenchmarkRequest(b *testing.B) {
	var list strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&list, "word%d phrase%d, ", i, i%100)
	}
	const sentence = "Please summarise the following paragraph about the history of lighthouses, and list the three most important dates. "
	for name, p := range map[string]*processor{
		"10phrases":    made(b, fmt.Sprintf(setup, "rejected_topics: [weapons]"), rights),
		"10000phrases": made(b, `{topics: [{name: a, phrases: [`+list.String()+`]}], rejected_topics: [a]}`, rights),
	} {
		for _, n := range []int{1_000, 10_000, 1_000_000} {
			b.Run(fmt.Sprintf("%s/%dKB", name, n/1000), func(b *testing.B) {
				r := &extprocsvc.Request{Prompt: extproctest.Doc(b, llm.ChatCompletions, `{"messages":[{"role":"user","content":"`+strings.Repeat(sentence, n/len(sentence)+1)[:n]+`"}]}`)}
				b.SetBytes(int64(n))
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
