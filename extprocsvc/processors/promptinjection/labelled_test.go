package promptinjection

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/attache-dev/attache/extprocsvc/llm"
)

// A sample is a labelled text.
type sample struct {
	attack         bool
	category, text string
}

// samples reads a labelled set: lines of a label, a category and a text as a
// JSON string has it.
func samples(t testing.TB, file string) (all []sample) {
	t.Helper()
	data, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), "\t", 3)
		if len(f) != 3 || f[0] != "injection" && f[0] != "benign" {
			t.Fatalf("%s: %q", file, line)
		}
		all = append(all, sample{f[0] == "injection", f[1], f[2]})
	}
	return all
}

// score judges one text as the only message of a user.
func score(text string) float64 {
	var j judge
	j.begin(false)
	j.read(llm.AppendUnquoted(nil, []byte(text)))
	return j.end()
}

// A measure is what a threshold gives on a set.
type measure struct{ attacks, caught, benign, alarms int }

func (m measure) recall() float64    { return float64(m.caught) / float64(m.attacks) }
func (m measure) precision() float64 { return float64(m.caught) / float64(max(1, m.caught+m.alarms)) }

func (m measure) String() string {
	return fmt.Sprintf("caught %d of %d, %d alarms on %d benign", m.caught, m.attacks, m.alarms, m.benign)
}

func measured(set []sample, threshold float64) (m measure) {
	for _, s := range set {
		hit := score(s.text) >= threshold
		switch {
		case s.attack:
			m.attacks++
			if hit {
				m.caught++
			}
		default:
			m.benign++
			if hit {
				m.alarms++
			}
		}
	}
	return m
}

// pinned is what the heuristics give on the labelled sets. A change that makes
// a figure worse fails; one that makes it better is to be pinned, here and in
// the README.
var pinned = []struct {
	file      string
	threshold float64
	want      measure
}{
	{"tuning.tsv", 0.95, measure{attacks: 87, caught: 69, benign: 76, alarms: 0}},
	{"tuning.tsv", 0.8, measure{attacks: 87, caught: 75, benign: 76, alarms: 1}},
	{"tuning.tsv", 0.5, measure{attacks: 87, caught: 81, benign: 76, alarms: 3}},
	{"heldout.tsv", 0.95, measure{attacks: 82, caught: 52, benign: 75, alarms: 1}},
	{"heldout.tsv", 0.8, measure{attacks: 82, caught: 59, benign: 75, alarms: 2}},
	{"heldout.tsv", 0.5, measure{attacks: 82, caught: 71, benign: 75, alarms: 7}},
}

func TestRecallAndPrecision(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pinned {
		if got := measured(samples(t, p.file), p.threshold); got != p.want {
			t.Errorf("%s at %v: got %v (recall %.3f, precision %.3f), pinned %v", p.file, p.threshold, got, got.recall(), got.precision(), p.want)
		}
		row := fmt.Sprintf("| `%s` | %.2f | %d of %d | %d of %d | %.2f | %.2f |", p.file, p.threshold,
			p.want.caught, p.want.attacks, p.want.alarms, p.want.benign, p.want.recall(), p.want.precision())
		if !strings.Contains(string(readme), row) {
			t.Errorf("README.md lacks the row\n%s", row)
		}
	}
}

// TestDisguises: what is caught is caught in its disguises, too.
func TestDisguises(t *testing.T) {
	each := func(f func(r rune) string) func(string) string {
		return func(s string) string {
			var b strings.Builder
			for _, r := range s {
				b.WriteString(f(r))
			}
			return b.String()
		}
	}
	isLetter := func(r rune) bool { return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' }
	disguises := map[string]func(string) string{
		"upper case": strings.ToUpper,
		"full width": each(func(r rune) string {
			if isLetter(r) {
				return string(r + 0xfee0)
			}
			return string(r)
		}),
		"mathematical": each(func(r rune) string {
			switch {
			case 'a' <= r && r <= 'z':
				return string(r - 'a' + 0x1d41a)
			case isLetter(r):
				return string(r - 'A' + 0x1d400)
			}
			return string(r)
		}),
		"zero width": each(func(r rune) string { return string(r) + "\u200b" }),
		"tags": each(func(r rune) string {
			if isLetter(r) || r == ' ' {
				return string(r + 0xe0000)
			}
			return string(r)
		}),
		"accents": each(func(r rune) string {
			if isLetter(r) {
				return string(r) + "\u0301"
			}
			return string(r)
		}),
		"look-alikes": each(func(r rune) string {
			if i := strings.IndexRune("aeopcx", r); i >= 0 {
				return string([]rune("аеорсх")[i])
			}
			return string(r)
		}),
		"base64": func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
		"hex":    func(s string) string { return hex.EncodeToString([]byte(s)) },
	}
	n := 0
	for _, file := range []string{"tuning.tsv", "heldout.tsv"} {
		for _, s := range samples(t, file) {
			if !s.attack || s.category != "override" || score(s.text) < 0.95 {
				continue
			}
			n++
			plain := string(llm.AppendUnquoted(nil, []byte(s.text)))
			for name, f := range disguises {
				var j judge
				j.begin(false)
				j.read([]byte(f(plain)))
				if got := j.end(); got < 0.95 {
					t.Errorf("%s: %.2f: %s", name, got, s.text)
				}
			}
		}
	}
	if n < 15 {
		t.Errorf("only %d texts were tried", n)
	}
}
