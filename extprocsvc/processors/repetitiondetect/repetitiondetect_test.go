package repetitiondetect

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/attache-dev/attache/extprocsvc"
	"github.com/attache-dev/attache/extprocsvc/extproctest"
	"github.com/attache-dev/attache/extprocsvc/llm"
	"github.com/attache-dev/attache/extprocsvc/words"
)

func TestReadme(t *testing.T) { extproctest.README(t) }

const rights = extprocsvc.Annotate | extprocsvc.Reject

func TestParams(t *testing.T) {
	for _, tc := range []struct {
		yaml   string
		rights extprocsvc.Rights
		want   string
	}{
		{`{}`, rights, ""},
		{`{max_ratio: 1, min_words: 3}`, rights, ""},
		{`{max_ratio: 1.2}`, extprocsvc.Annotate, ""},
		{`{max_ratio: 0.9}`, rights, "f:1:13: max_ratio: must be at least 1, the ratio of a text without repetition"},
		{`{min_words: 2}`, rights, "f:1:13: min_words: must be at least 3"},
	} {
		got := ""
		if _, err := build(extprocsvc.Setup{Params: extproctest.Params(t, tc.yaml), Rights: tc.rights}); err != nil {
			got = err.Error()
		}
		if got != tc.want {
			t.Errorf("%s:\ngot  %s\nwant %s", tc.yaml, got, tc.want)
		}
	}
	for _, yaml := range []string{`{max_ratio: "2"}`, `{min_words: 2.5}`, `{ratio: 2}`} {
		if _, err := build(extprocsvc.Setup{Params: extproctest.Params(t, yaml), Rights: rights}); err == nil {
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

// ratio measures one text.
func ratio(text string) float64 {
	var c counter
	c.begin()
	c.read([]byte(text))
	return c.end(20)
}

func TestBothDirections(t *testing.T) {
	poem := strings.Repeat("poem ", 50)
	for _, tc := range []struct {
		messages []string
		want     bool
	}{
		{[]string{`{"role":"user","content":"` + poem + `"}`}, true},
		{[]string{`{"content":"hi"}`, `{"role":"assistant","content":"` + poem + `"}`, `{"content":"hi"}`}, true},
		{[]string{`{"content":[{"type":"text","text":"` + poem[:50] + `"},{"type":"text","text":"` + poem[:100] + `"}]}`}, true},
		{[]string{`{"content":"` + strings.Repeat(`\u0070oem `, 50) + `"}`}, true},
		{[]string{`{"content":"poem poem poem poem poem"}`}, false},
		{[]string{`{"content":"` + poem[:50] + `"}`, `{"content":"` + poem[:50] + `"}`}, false},
		{[]string{`{"content":"hi"}`}, false},
		{nil, false},
	} {
		prompt := extproctest.Doc(t, llm.ChatCompletions, `{"messages":[`+strings.Join(tc.messages, ",")+`]}`)
		r, err := made(t, `{max_ratio: 5}`, rights).ProcessRequest(t.Context(), &extprocsvc.Request{Prompt: prompt})
		if err != nil || (r.Rejection != nil) != tc.want || (len(r.Tags) > 0) != tc.want {
			t.Errorf("%s: %+v, %v", tc.messages, r, err)
		}
		choices := make([]string, len(tc.messages))
		for i, m := range tc.messages {
			choices[i] = `{"message":` + m + `}`
		}
		completion := extproctest.Doc(t, llm.ChatCompletion, `{"choices":[`+strings.Join(choices, ",")+`]}`)
		r, err = made(t, `{max_ratio: 5}`, extprocsvc.Annotate).ProcessResponse(t.Context(), &extprocsvc.Response{Completion: completion})
		if err != nil || r.Rejection != nil || (len(r.Tags) > 0) != tc.want {
			t.Errorf("%s as a response: %+v, %v", tc.messages, r, err)
		}
	}
	if r, err := made(t, `{}`, rights).ProcessRequest(t.Context(), &extprocsvc.Request{}); err != nil || r.Tags != nil {
		t.Errorf("without a body: %+v, %v", r, err)
	}
}

// plainRatio is the measure as the README defines it, written down again
// without its tables.
func plainRatio(text string) float64 {
	s := words.Scanner{Max: maxWord, Symbols: true}
	s.Reset([]byte(text))
	var tokens, grams []string
	symbol := false
	for s.Next() {
		if !s.IsSymbol || symbol || len(s.Text) >= longRun {
			tokens = append(tokens, string(s.Text))
			n := gram
			if s.Unspaced {
				n = gramRunes
			}
			if len(tokens) >= n {
				grams = append(grams, strings.Join(tokens[len(tokens)-n:], "\x00"))
			}
		}
		symbol = s.IsSymbol
	}
	if len(tokens) < 20 || len(grams) == 0 {
		return 1
	}
	of := func(g []string) float64 {
		m := map[string]bool{}
		for _, w := range g {
			m[w] = true
		}
		return float64(len(g)) / float64(len(m))
	}
	worst := 1.0
	for at := 0; at < len(grams); at += segment {
		part := grams[at:min(len(grams), at+segment)]
		worst = max(worst, of(part))
		for i := 0; i+window <= len(part); i++ {
			worst = max(worst, of(part[i:i+window]))
		}
	}
	return worst
}

func TestMeasure(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		var b strings.Builder
		n, vocabulary := r.IntN(1200), 1+r.IntN(40)
		for range n {
			switch v := r.IntN(vocabulary); {
			case v%7 == 3:
				b.WriteString(string(rune('一' + v)))
			case v%11 == 5:
				b.WriteString("!!")
			default:
				fmt.Fprintf(&b, "w%d ", v)
			}
		}
		if got, want := ratio(b.String()), plainRatio(b.String()); got != want {
			t.Fatalf("got %v, want %v for %q", got, want, b.String())
		}
	}
	// The numbers of sequences come to their end.
	c := counter{base: maxBase - 700}
	for range 3 {
		c.begin()
		c.read([]byte(strings.Repeat("a b c ", 100)))
		if got, want := c.end(20), plainRatio(strings.Repeat("a b c ", 100)); got != want {
			t.Errorf("near the last number: got %v, want %v", got, want)
		}
	}
	if c.base > maxBase {
		t.Errorf("base %d", c.base)
	}
	// More than a segment.
	long := strings.Repeat("a b c d e f g h i j k l m n o p q r s t u v w x y z ", 2600)
	if got, want := ratio(long), float64(segment)/26; got != want {
		t.Errorf("a long text: got %v, want %v", got, want)
	}
}

// pinned is what the measure gives on the labelled set; see the README.
var pinned = []struct {
	maxRatio       float64
	caught, alarms int
}{{1.2, 30, 8}, {2, 29, 1}, {5, 28, 0}}

func TestRecallAndPrecision(t *testing.T) {
	data, err := os.ReadFile("testdata/labelled.tsv")
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pinned {
		caught, alarms, repetitive, normal := 0, 0, 0, 0
		for line := range strings.Lines(string(data)) {
			label, text, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
			got := ratio(string(llm.AppendUnquoted(nil, []byte(text))))
			switch {
			case label == "repetitive":
				if repetitive++; got > p.maxRatio {
					caught++
				}
			case label == "normal":
				if normal++; got > p.maxRatio {
					alarms++
				}
			default:
				t.Fatalf("label %q", label)
			}
		}
		if caught != p.caught || alarms != p.alarms {
			t.Errorf("max_ratio %v: caught %d of %d, %d alarms; pinned %d, %d", p.maxRatio, caught, repetitive, alarms, p.caught, p.alarms)
		}
		row := fmt.Sprintf("| %.1f | %d of %d | %d of %d | %.2f | %.2f |", p.maxRatio, caught, repetitive, alarms, normal,
			float64(caught)/float64(repetitive), float64(caught)/float64(caught+alarms))
		if !strings.Contains(string(readme), row) {
			t.Errorf("README.md lacks the row\n%s", row)
		}
	}
}

func FuzzCounter(f *testing.F) {
	f.Add("poem poem poem !!! !!! 你好你好 \xff")
	var used counter
	f.Fuzz(func(t *testing.T, text string) {
		text = strings.Repeat(text, 1+1000/(len(text)+1))
		used.begin()
		used.read([]byte(text))
		if got, want := used.end(20), plainRatio(text); got != want {
			t.Fatalf("got %v, want %v", got, want)
		}
	})
}

func BenchmarkRequest(b *testing.B) {
	var fresh strings.Builder
	for i := range 200_000 {
		fmt.Fprintf(&fresh, "w%d ", i)
	}
	const sentence = "Please summarise the following paragraph about the history of lighthouses, and list the three most important dates. "
	for name, text := range map[string]string{
		"1KB":      fresh.String()[:1_000],
		"10KB":     fresh.String()[:10_000],
		"1MB":      fresh.String()[:1_000_000],
		"repeated": strings.Repeat(sentence, 9000)[:1_000_000],
	} {
		b.Run(name, func(b *testing.B) {
			p := made(b, `{max_ratio: 1000000}`, rights)
			r := &extprocsvc.Request{Prompt: extproctest.Doc(b, llm.ChatCompletions, `{"messages":[{"role":"user","content":"`+text+`"}]}`)}
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.ProcessRequest(b.Context(), r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
