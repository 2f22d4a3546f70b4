package sensitive

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// A sample is a labelled text: spans of it are what a matcher is to find.
type sample struct {
	matcher, text string
	spans         [][2]int
}

// samples reads a labelled set: lines of the name of a matcher, or none, and a
// text in which « and » mark what is to be found, and \n is the end of a line.
func samples(t testing.TB, file string) (all []sample) {
	t.Helper()
	data, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		name, rest, ok := strings.Cut(strings.ReplaceAll(strings.TrimSuffix(line, "\n"), `\n`, "\n"), "\t")
		s := sample{matcher: name}
		for {
			before, behind, marked := strings.Cut(rest, "«")
			s.text += before
			if !marked {
				break
			}
			span, behind, closed := strings.Cut(behind, "»")
			ok = ok && closed
			s.spans = append(s.spans, [2]int{len(s.text), len(s.text) + len(span)})
			s.text, rest = s.text+span, behind
		}
		if !ok || (name == "none") != (len(s.spans) == 0) || name != "none" && len(Lookup(name)) != 1 {
			t.Fatalf("%s: %q", file, line)
		}
		all = append(all, s)
	}
	return all
}

// A measure is what the matchers give on a set. A sample is caught if every
// byte that is marked in it is hidden, and an alarm is a finding where nothing is
// marked.
type measure struct{ positives, caught, negatives, alarms int }

func (m measure) recall() float64    { return float64(m.caught) / float64(max(1, m.positives)) }
func (m measure) precision() float64 { return float64(m.caught) / float64(max(1, m.caught+m.alarms)) }

// judge looks for a sample; other holds the names of what was found beside it.
func (s *sample) judge(f *Finder) (caught bool, other []string) {
	hidden := make([]bool, len(s.text))
	for _, x := range f.Find(nil, []byte(s.text)) {
		apart := true
		for _, span := range s.spans {
			apart = apart && (x.End <= span[0] || x.Start >= span[1])
		}
		if apart {
			other = append(other, f.Rule(x.Rule).Name)
		}
		for i := x.Start; i < x.End; i++ {
			hidden[i] = true
		}
	}
	for _, span := range s.spans {
		for _, h := range hidden[span[0]:span[1]] {
			if !h {
				return false, other
			}
		}
	}
	return len(s.spans) > 0, other
}

// measured measures a set, all matchers together: all of it, and by matcher.
func measured(t *testing.T, file string) (total measure, by map[string]*measure) {
	t.Helper()
	f := compile(t, all(Mask))
	by = map[string]*measure{}
	for _, m := range Matchers {
		by[m.Name] = &measure{}
	}
	for _, s := range samples(t, file) {
		caught, other := s.judge(f)
		for _, name := range other {
			total.alarms++
			by[name].alarms++
			t.Logf("%s is an alarm in %q", name, s.text)
		}
		if s.matcher == "none" {
			total.negatives++
			continue
		}
		total.positives++
		by[s.matcher].positives++
		if caught {
			total.caught++
			by[s.matcher].caught++
		} else {
			t.Logf("%s is missed in %q", s.matcher, s.text)
		}
	}
	return total, by
}

// row is how the README of data-security tells what was measured.
func (m measure) row(name string) string {
	return fmt.Sprintf("| %s | %d of %d | %d | %.2f | %.2f |", name, m.caught, m.positives, m.alarms, m.recall(), m.precision())
}

func inReadme(t *testing.T, rows []string) {
	t.Helper()
	readme, err := os.ReadFile("../processors/datasecurity/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if !strings.Contains(string(readme), r) {
			t.Errorf("README.md lacks the row\n%s", r)
		}
	}
}

// TestRecallAndPrecision pins what the matchers give, all of them together. A
// change that makes a figure worse fails; one that makes it better is to be
// pinned, here and in the README of data-security.
func TestRecallAndPrecision(t *testing.T) {
	total, by := measured(t, "labelled.tsv")
	if want := (measure{positives: 267, caught: 237, negatives: 392, alarms: 14}); total != want {
		t.Errorf("got %+v, pinned %+v", total, want)
	}
	secrets := measure{}
	rows := []string{total.row("all")}
	for _, m := range Matchers {
		switch one := by[m.Name]; {
		case one.positives == 0:
			t.Errorf("no sample of %s", m.Name)
		case m.Group == PII:
			rows = append(rows, one.row("`"+m.Name+"`"))
		default:
			secrets.positives += one.positives
			secrets.caught += one.caught
			secrets.alarms += one.alarms
		}
	}
	inReadme(t, append(rows, secrets.row("secrets")))
}

// TestHeldOut does the same with samples that were written after the matchers
// whose rules are made of words, and to which nothing was fitted.
func TestHeldOut(t *testing.T) {
	_, by := measured(t, "heldout.tsv")
	inReadme(t, []string{by["ipv4"].row("`ipv4`, held out"), by["us_address"].row("`us_address`, held out")})
}
