package languageid

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"unicode"

	"github.com/attache-dev/attache/extprocsvc/llm"
)

// lines reads a labelled set: a label and a text as a JSON string has it.
func lines(t testing.TB, file string, yield func(label, text string)) {
	t.Helper()
	data, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		label, text, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if !ok {
			t.Fatalf("%s: %q", file, line)
		}
		yield(label, string(llm.AppendUnquoted(nil, []byte(text))))
	}
}

// guess returns the only language of a text, with its confidence.
func guess(t testing.TB, text string) (best string, confidence float64) {
	var g guesser
	g.begin()
	g.read([]byte(text))
	g.end(func(code string, c float64) {
		if best != "" {
			t.Errorf("%s: %s and %s", text, best, code)
		}
		best, confidence = code, c
	})
	return best, confidence
}

func readme(t testing.TB, row string) {
	t.Helper()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), row) {
		t.Errorf("README.md lacks the row\n%s", row)
	}
}

// TestLanguages pins what is told of the labelled sentences at each threshold.
func TestLanguages(t *testing.T) {
	for _, p := range []struct {
		threshold            float64
		right, wrong, unsure int
	}{{0, 164, 8, 0}, {0.5, 155, 0, 17}, {0.8, 149, 0, 23}} {
		right, wrong, unsure := 0, 0, 0
		lines(t, "languages.tsv", func(label, text string) {
			switch got, confidence := guess(t, text); {
			case confidence < p.threshold || got == "":
				unsure++
			case got == label:
				right++
			default:
				wrong++
			}
		})
		if right != p.right || wrong != p.wrong || unsure != p.unsure {
			t.Errorf("threshold %v: %d right, %d wrong, %d unknown; pinned %d, %d, %d", p.threshold, right, wrong, unsure, p.right, p.wrong, p.unsure)
		}
		readme(t, fmt.Sprintf("| %.1f | %d | %d | %d | %.2f | %.2f |", p.threshold, p.right, p.wrong, p.unsure,
			float64(p.right)/172, float64(p.right)/float64(p.right+p.wrong)))
	}
}

// TestCode pins what is taken for code.
func TestCode(t *testing.T) {
	var caught, missed, alarms, texts int
	lines(t, "code.tsv", func(label, text string) {
		got := isCode([]byte(text))
		switch {
		case label == code && got:
			caught++
		case label == code:
			missed++
		default:
			texts++
			if got {
				alarms++
			}
		}
	})
	if caught != 23 || missed != 2 || alarms != 0 || texts != 25 {
		t.Errorf("caught %d, missed %d, %d false alarms on %d", caught, missed, alarms, texts)
	}
	readme(t, fmt.Sprintf("code in %d of %d texts with code, and in %d of %d without", caught, caught+missed, alarms, texts))
}

// TestTables: every language of a shared alphabet has words of its own, in its
// alphabet and folded as texts are.
func TestTables(t *testing.T) {
	if len(codes) > maxLanguages {
		t.Fatalf("%d languages", len(codes))
	}
	for i := 1; i < len(ranges); i++ {
		if ranges[i].from <= ranges[i-1].to {
			t.Errorf("range %d is not behind the one before", i)
		}
	}
	at := 0
	for n, a := range alphabets {
		for _, p := range a.languages {
			own := 0
			for w := range strings.FieldsSeq(p.words) {
				for part := range strings.SplitSeq(w, "'") {
					r := []rune(part)[0]
					if alphabetOf(r) != n || part != strings.ToLower(part) || strings.ContainsFunc(part, unicode.IsPunct) {
						t.Errorf("%s: the word %q", p.code, part)
					}
					if wordSets[part]&a.all == 1<<at {
						own++
					}
				}
			}
			if len(a.languages) > 1 && own < 8 {
				t.Errorf("%s has %d words of its own", p.code, own)
			}
			at++
		}
	}
}

func FuzzGuesser(f *testing.F) {
	f.Add("Wie geht's?\nHow are you, я не знаю e\u0301te\u0301 你好 ありがとう שלום")
	var used guesser
	f.Fuzz(func(t *testing.T, text string) {
		used.begin()
		used.read([]byte(text))
		var fresh guesser
		fresh.begin()
		fresh.read([]byte(text))
		var a, b strings.Builder
		report := func(b *strings.Builder) func(string, float64) {
			return func(code string, confidence float64) {
				if !(confidence >= 0 && confidence <= 1) {
					t.Fatalf("confidence %v", confidence)
				}
				fmt.Fprintf(b, "%s %v ", code, confidence)
			}
		}
		used.end(report(&a))
		fresh.end(report(&b))
		if a.String() != b.String() {
			t.Fatalf("a guesser that is used again says %s, a new one %s", a.String(), b.String())
		}
		isCode([]byte(text))
	})
}
