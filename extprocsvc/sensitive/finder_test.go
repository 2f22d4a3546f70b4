package sensitive

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// all are rules for all matchers.
func all(a Action) (rules []Rule) {
	for _, m := range Matchers {
		rules = append(rules, Rule{Name: m.Name, Matcher: m, Label: m.Label, Action: a})
	}
	return rules
}

// mixedRules give the actions in turn, and an expression of the user's.
func mixedRules() []Rule {
	rules := all(Mask)
	for i := range rules {
		rules[i].Action = Action(i % 4)
	}
	return append(rules, Rule{Name: "own", Expr: `secret \w+( project)?`, Label: "<own>"})
}

func compile(t testing.TB, rules []Rule) *Finder {
	t.Helper()
	f, err := Compile(rules, Options{Key: []byte("0123456789abcdef")})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// hide puts in place what was found in a text.
func hide(text string, found []Finding) string {
	var out strings.Builder
	at := 0
	for _, x := range found {
		out.WriteString(text[at:x.Start] + x.With)
		at = x.End
	}
	return out.String() + text[at:]
}

func TestHide(t *testing.T) {
	rule := func(name string, a Action) Rule {
		m := Lookup(name)[0]
		return Rule{Name: m.Name, Matcher: m, Label: m.Label, Action: a}
	}
	long := "-----BEGIN PRIVATE KEY-----\n" + strings.Repeat("abcd", 3000) + "\n-----END PRIVATE KEY-----"
	for _, tc := range []struct {
		rules      []Rule
		text, want string
	}{
		{[]Rule{rule("email", Mask)}, "write to ada@example.com.", "write to <EMAIL_ADDRESS>."},
		{[]Rule{rule("email", Redact)}, "to müller@example.de.", "to XXXXXXXXXXXXXXXXX."},
		{[]Rule{rule("email", Hash)}, "ada@example.com, bob@example.com, ada@example.com", "<EMAIL_ADDRESS:512383176ce1b4c2>, <EMAIL_ADDRESS:bbc8434fd179b429>, <EMAIL_ADDRESS:512383176ce1b4c2>"},
		{[]Rule{rule("passport", Mask)}, "passport no. C01X00T47", "passport no. <PASSPORT>"},
		{[]Rule{rule("ipv4", Mask)}, "10.0.0.1 v1.2.3.4 1.2.3.4.5 1.1.1.1 2.2.2.2", "<IP_ADDRESS> v1.2.3.4 1.2.3.4.5 <IP_ADDRESS> <IP_ADDRESS>"},
		{[]Rule{rule("url_password", Mask), rule("email", Mask)}, "postgres://user:secret@db.example.com/x", "postgres://<URL_PASSWORD><EMAIL_ADDRESS>/x"},
		{[]Rule{rule("private_key", Mask)}, "key " + long + ".", "key <PRIVATE_KEY>."},
		{[]Rule{rule("private_key", Redact)}, "key " + long + ".", "key " + strings.Repeat("X", len(long)) + "."},
		{[]Rule{{Name: "own", Expr: "a+", Label: "<masked>"}}, "baab", "b<masked>b"},
		{[]Rule{{Name: "own", Expr: "a+", Action: Note}}, "baab", "bb"},
	} {
		f := compile(t, tc.rules)
		if got := hide(tc.text, f.Find(nil, []byte(tc.text))); got != tc.want {
			t.Errorf("%.60q: got %.200q, want %.200q", tc.text, got, tc.want)
		}
	}
	// What is only masked hides nothing from what rejects.
	f := compile(t, []Rule{{Name: "all", Expr: ".*", Label: "*"}, rule("email", Reject)})
	found := f.Find(nil, []byte("to ada@example.com"))
	if len(found) != 2 || f.Rule(found[0].Rule).Action != Reject || found[0].Start != 3 || found[1].End != 18 {
		t.Errorf("found %v", found)
	}
}

func TestCompileErrors(t *testing.T) {
	_, err := Compile([]Rule{{Name: "one", Expr: "("}, {Name: "two", Expr: "a", MaxMatch: 1}, {Name: "three", Expr: "[", Action: Reject}}, Options{})
	for _, want := range []string{`"one"`, `"two"`, `"three"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v lacks %s", err, want)
		}
	}
	f := compile(t, []Rule{{Name: "fine", Expr: "ab"}, {Name: "endless", Expr: "a.*b"}})
	if _, r := f.Hold(); r == nil || r.Name != "endless" {
		t.Errorf("Hold blames %v", r)
	}
	f = compile(t, all(Mask))
	if n, r := f.Hold(); r != nil || n != maxSecret {
		t.Errorf("Hold() = %d, %v", n, r)
	}
}

func TestLookup(t *testing.T) {
	names := map[string]bool{}
	for _, m := range Matchers {
		for _, n := range append([]string{m.Name}, m.Aliases...) {
			if names[strings.ToLower(n)] && n != "phone_number" {
				t.Errorf("%s is the name of two matchers", n)
			}
			names[strings.ToLower(n)] = true
			if found := Lookup(strings.ToUpper(n)); len(found) != 1 || found[0] != m {
				t.Errorf("Lookup(%s) = %v", n, found)
			}
		}
	}
	if len(Lookup(PII))+len(Lookup(Secrets)) != len(Matchers) || Lookup("nothing") != nil {
		t.Error("groups")
	}
}

// reference finds the same in the plainest way: with package regexp.
func reference(f *Finder, text []byte) (found []Finding) {
	var rejecting, hiding []Finding
	for _, k := range []struct{ rejects, within bool }{{true, false}, {true, true}, {false, false}, {false, true}} {
		var part []Finding
		var forms []form
		for i, r := range f.rules {
			of := []form{{expr: r.Expr}}
			if r.Matcher != nil {
				of = r.Matcher.forms
			}
			for _, fm := range of {
				if (r.Action == Reject) != k.rejects || fm.apart() != k.within {
					continue
				}
				forms = append(forms, fm)
				for _, at := range search(&fm, text) {
					part = append(part, Finding{Rule: i, Start: at[0], End: at[1], With: string(rune(len(forms) - 1))})
				}
			}
		}
		for _, x := range apart(part) {
			fm := forms[[]rune(x.With)[0]]
			if fm.unless != nil && fm.unless(text[max(0, x.Start-32):x.Start], text[x.Start:x.End]) {
				continue
			}
			if fm.core != nil {
				from, to := fm.core(text[x.Start:x.End])
				if x.Start, x.End = x.Start+from, x.Start+to; from == to {
					continue
				}
			}
			x.With = ""
			if k.rejects {
				rejecting = append(rejecting, x)
				continue
			}
			x.With = f.instead(&f.rules[x.Rule], text[x.Start:x.End], false)
			hiding = append(hiding, x)
		}
	}
	return append(rejecting, apart(hiding)...)
}

// apart leaves of each span what none before it covers.
func apart(all []Finding) (out []Finding) {
	slices.SortStableFunc(all, func(a, b Finding) int {
		if a.Start != b.Start {
			return a.Start - b.Start
		}
		if a.End != b.End {
			return b.End - a.End
		}
		return a.Rule - b.Rule
	})
	covered := 0
	for _, x := range all {
		if x.End > covered {
			x.Start = max(x.Start, covered)
			covered = x.End
			out = append(out, x)
		}
	}
	return out
}

// regexps are those of an expression: for the search in a text, and for a span
// with and without a character before and behind it.
var regexps = map[string]*regexp.Regexp{}

func compiled(expr string) *regexp.Regexp {
	if regexps[expr] == nil {
		regexps[expr] = regexp.MustCompile(expr)
	}
	return regexps[expr]
}

// search finds the matches of a form. Those with a check are tried at every
// beginning and every end, since an end that is not valid is not the last word.
func search(f *form, text []byte) (found [][]int) {
	if f.valid == nil {
		return slices.DeleteFunc(compiled(f.expr).FindAllIndex(text, -1), func(at []int) bool { return at[0] == at[1] })
	}
	if !compiled(f.expr).Match(text) {
		return nil
	}
	for start := 0; start < len(text); {
		_, width := utf8.DecodeRune(text[start:])
		next := start + width
		for end := len(text); end > start; {
			if whole(f.expr, text, start, end) && f.valid(text[start:end]) {
				found = append(found, []int{start, end})
				next = end
				break
			}
			_, width := utf8.DecodeLastRune(text[:end])
			end -= width
		}
		start = next
	}
	return found
}

// whole tells whether the expression matches exactly a span.
func whole(expr string, text []byte, start, end int) bool {
	before, behind, from, to := `\A`, `\z`, start, end
	if start > 0 {
		_, width := utf8.DecodeLastRune(text[:start])
		before, from = `\A(?s:.)`, start-width
	}
	if end < len(text) {
		_, width := utf8.DecodeRune(text[end:])
		behind, to = `(?s:.)\z`, end+width
	}
	return compiled(before + "(?:" + expr + ")" + behind).Match(text[from:to])
}

// inPieces is what a scan finds in a text that is cut at places.
func inPieces(t *testing.T, f *Finder, text []byte, cuts ...int) (found []Finding) {
	s := f.NewScan()
	at := 0
	add := func(list []Finding) {
		for _, x := range list {
			if f.Rule(x.Rule).Action != Reject && x.End > s.Safe() {
				t.Fatalf("%v is found and not safe: %d", x, s.Safe())
			}
		}
		found = append(found, list...)
	}
	safe := 0
	for _, cut := range append(cuts, len(text)) {
		add(s.Write(text[at:max(at, cut)]))
		at = max(at, cut)
		if s.Safe() < safe {
			t.Fatalf("Safe went back from %d to %d", safe, s.Safe())
		}
		for _, x := range found {
			if x.Start < safe && x.End > safe && f.Rule(x.Rule).Action != Reject {
				t.Fatalf("%v was let go in part: %d was safe", x, safe)
			}
		}
		safe = s.Safe()
	}
	add(s.Close())
	return found
}

// byRejection puts what rejects before what does not.
func byRejection(f *Finder, found []Finding) []Finding {
	slices.SortStableFunc(found, func(a, b Finding) int {
		first := func(x Finding) int {
			if f.Rule(x.Rule).Action == Reject {
				return 0
			}
			return 1
		}
		if first(a) != first(b) {
			return first(a) - first(b)
		}
		if a.Start != b.Start {
			return a.Start - b.Start
		}
		return a.Rule - b.Rule
	})
	return found
}

func check(t *testing.T, f *Finder, text []byte, cuts ...int) {
	t.Helper()
	got := byRejection(f, f.Find(nil, text))
	if want := byRejection(f, reference(f, text)); !slices.Equal(got, want) {
		t.Fatalf("%q:\ngot  %+v\nwant %+v", text, got, want)
	}
	if pieces := byRejection(f, inPieces(t, f, text, cuts...)); !slices.Equal(got, pieces) {
		t.Fatalf("%q cut at %v:\nin pieces %+v\nwhole     %+v", text, cuts, pieces, got)
	}
}

// TestReference compares all labelled texts, alone and in disorder.
func TestReference(t *testing.T) {
	f, mixed := compile(t, all(Mask)), compile(t, mixedRules())
	set := samples(t, "labelled.tsv")
	for _, s := range set {
		check(t, f, []byte(s.text), len(s.text)/3, len(s.text)/2)
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		a, b := set[rnd.IntN(len(set))].text, set[rnd.IntN(len(set))].text
		text := []byte(a[rnd.IntN(len(a)):] + []string{"", " ", "-", ".", "é", "_"}[rnd.IntN(6)] + b[:rnd.IntN(len(b))])
		check(t, mixed, text, rnd.IntN(len(text)+1))
	}
}

// TestEverySplit cuts every positive at every place.
func TestEverySplit(t *testing.T) {
	f := compile(t, all(Mask))
	for _, s := range samples(t, "labelled.tsv") {
		if s.matcher == "none" || len(s.text) > 300 {
			continue
		}
		want := f.Find(nil, []byte(s.text))
		for cut := range len(s.text) {
			if got := inPieces(t, f, []byte(s.text), cut); !slices.Equal(got, want) {
				t.Fatalf("%q cut at %d: got %v, want %v", s.text, cut, got, want)
			}
		}
	}
}

func FuzzFind(f *testing.F) {
	for _, s := range samples(f, "labelled.tsv") {
		if len(s.text) <= 120 {
			f.Add([]byte(s.text), uint16(len(s.text)/2), uint16(7))
		}
	}
	finder := compile(f, mixedRules())
	f.Fuzz(func(t *testing.T, text []byte, a, b uint16) {
		if len(text) > 120 { // the reference tries every span
			return
		}
		check(t, finder, text, int(a)%(len(text)+1), int(b)%(len(text)+1))
	})
}

// five are the expressions that one would write for a start; the benchmarks
// compare with running them one after the other.
var five = []*regexp.Regexp{
	regexp.MustCompile(`\b[A-Za-z0-9._%+\-]+@[A-Za-z0-9.\-]+\.[A-Za-z]{2,}\b`),
	regexp.MustCompile(`\b\d{3}-\d{2}-\d{4}\b`),
	regexp.MustCompile(`\b(?:\d[ \-]*?){13,16}\b`),
	regexp.MustCompile(`\b(?:\+?1[ .\-]?)?\(?\d{3}\)?[ .\-]?\d{3}[ .\-]?\d{4}\b`),
	regexp.MustCompile(`\bsk-[A-Za-z0-9]{20,}\b`),
}

// benchText is 256 KB of what the standard library says about itself, without
// lines in which something is found, and share of 1,000 words are positives.
func benchText(b *testing.B, share int) []byte {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		b.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(root)), "src", "net/http", "*.go"))
	if err != nil || len(files) == 0 {
		b.Fatal("no source of the standard library", err)
	}
	f := compile(b, all(Mask))
	var positives []string
	for _, s := range samples(b, "labelled.tsv") {
		if s.matcher != "none" && len(s.spans) == 1 && len(s.text) < 80 {
			positives = append(positives, s.text[s.spans[0][0]:s.spans[0][1]])
		}
	}
	rnd := rand.New(rand.NewPCG(3, 4))
	var out []byte
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			b.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if len(f.Find(nil, []byte(line))) > 0 {
				continue
			}
			for word := range strings.SplitAfterSeq(line, " ") {
				if out = append(out, word...); rnd.IntN(1000) < share {
					out = append(append(out, positives[rnd.IntN(len(positives))]...), ' ')
				}
			}
			if len(out) > 256<<10 {
				return out
			}
		}
	}
	return out
}

// The benchmarks are to be compared within one run.
func BenchmarkClean(b *testing.B)             { benchFind(b, 0, all(Mask)) }
func BenchmarkCleanMixed(b *testing.B)        { benchFind(b, 0, mixedRules()) }
func BenchmarkRegexpsClean(b *testing.B)      { benchRegexps(b, 0) }
func BenchmarkOnePercent(b *testing.B)        { benchFind(b, 10, all(Mask)) }
func BenchmarkRegexpsOnePercent(b *testing.B) { benchRegexps(b, 10) }

func benchFind(b *testing.B, share int, rules []Rule) {
	f, text := compile(b, rules), benchText(b, share)
	found := f.Find(nil, text)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		found = f.Find(found[:0], text)
	}
	b.ReportMetric(float64(len(found)), "findings")
}

func benchRegexps(b *testing.B, share int) {
	text := benchText(b, share)
	b.SetBytes(int64(len(text)))
	n := 0
	for b.Loop() {
		n = 0
		for _, re := range five {
			n += len(re.FindAllIndex(text, -1))
		}
	}
	b.ReportMetric(float64(n), "findings")
}

func BenchmarkCompile(b *testing.B) {
	for b.Loop() {
		compile(b, all(Mask))
	}
}
