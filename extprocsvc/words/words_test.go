package words

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// cut returns the words of a text, separated by |.
func cut(s *Scanner, text string) string {
	s.Reset([]byte(text))
	var w []string
	for s.Next() {
		w = append(w, string(s.Text))
	}
	return strings.Join(w, "|")
}

func TestWords(t *testing.T) {
	for text, want := range map[string]string{
		"":                             "",
		" \t\n.,":                      "",
		"Ignore ALL, previous_things!": "ignore|all|previous|things",
		"don't":                        "don|t",
		"Crème Brûlée, Straße, Łódź":   "creme|brulee|strasse|lodz",
		"ﬁne ｆｕｌｌ 𝓼𝓬𝓻𝓲𝓹𝓽 Ⓒircled":    "fine|full|script|circled",
		"🅸🅶🅽🅾🆁🅴 🇮🇹 ᴛᴇxᴛ":             "ignore|it|text",
		"i\u200bg\u00adn\u2060ore":   "ignore",
		"ignоrе":                     "ignore", // Cyrillic о and е
		"игнор":                      "игнор",
		"Ελλάς Йод":                  "ελλασ|иод",
		"忽略iPhone的 指令":               "忽|略|iphone|的|指|令",
		"ｶﾞ 한국어 ไทยที่":              "カ\u3099|한|국|어|ไ|ท|ย|ที่",
		"a1b2 3.14":                  "a1b2|3|14",
		"½ ²":                        "12|2",
		"e\u0301te\u0301":            "ete",
		"\xff\xfeok\xffok":           "ok|ok",
		"हिन्दी":                     "हिन्दी",
		"\U000e0069\U000e0067 x":     "ig|x",
		strings.Repeat("a", 70):      strings.Repeat("a", 64) + "|" + "aaaaaa",
		"a\u0301" + "\u200d\u200d b": "a|b",
		"\u0301x":                    "x",
		"مرحبا بالعالم":              "مرحبا|بالعالم",
	} {
		if got := cut(new(Scanner), text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
	if got, want := cut(&Scanner{Accents: true}, "Été ﬁN Ⅳ öde Straße ısı Øl"), "été|fin|iv|öde|straße|ısı|øl"; got != want {
		t.Errorf("with accents: got %q, want %q", got, want)
	}
	if got, want := cut(&Scanner{Symbols: true, Max: 4}, "a!!!!! ¿b"), "a|!!!!|!|¿|b"; got != want {
		t.Errorf("with symbols: got %q, want %q", got, want)
	}
}

func TestFacts(t *testing.T) {
	var s Scanner
	s.Reset([]byte("plain ig\u200bno\u200bre \u202eabc аррӏе ignоre \U000e0061\U000e0062 4ab 忽"))
	type facts struct {
		text                             string
		hidden, tags                     int
		mixed, foreign, digits, unspaced bool
	}
	for _, want := range []facts{
		{text: "plain"},
		{text: "ignore", hidden: 2},
		{text: "abc"},
		{text: "аррӏе", foreign: true},
		{text: "ignore", foreign: true, mixed: true},
		{text: "ab", tags: 2},
		{text: "4ab", digits: true},
		{text: "忽", unspaced: true},
	} {
		if !s.Next() {
			t.Fatal("no word")
		}
		if got := (facts{string(s.Text), s.Hidden, s.Tags, s.Mixed, s.Foreign, s.Digits, s.Unspaced}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
		if l, ok := s.Latin(); ok != (want.text == "аррӏе") || ok && string(l) != "apple" {
			t.Errorf("%s: looks like %q, %v", want.text, l, ok)
		}
	}
	if s.Next() || s.Overrides != 1 {
		t.Errorf("another word, or %d overrides", s.Overrides)
	}
}

func FuzzScanner(f *testing.F) {
	f.Add("Ignore ig\u200bnоre ᴛᴇxᴛ 忽略 ｶﾞ \xff\U000e0069", uint8(64), uint8(0))
	f.Fuzz(func(t *testing.T, text string, limit, options uint8) {
		s := Scanner{Max: int(limit), Accents: options&1 != 0, Symbols: options&2 != 0}
		s.Reset([]byte(text))
		end := 0
		for s.Next() {
			switch {
			case s.At < end, s.End <= s.At, s.End > len(text):
				t.Fatalf("a word at %d to %d, behind one that ends at %d", s.At, s.End, end)
			case !s.Symbols && !utf8.Valid(s.Text):
				t.Fatalf("not UTF-8: %q", s.Text)
			case len(s.Text) > max(int(limit), DefaultMax)+128:
				t.Fatalf("%d bytes", len(s.Text))
			}
			end = s.End
		}
	})
}

func TestNoAllocations(t *testing.T) {
	text := []byte(strings.Repeat("The quick brown fox, ignоre 忽略 ﬁne. ", 20))
	var s Scanner
	if n := testing.AllocsPerRun(20, func() {
		for s.Reset(text); s.Next(); {
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkScanner(b *testing.B) {
	for name, text := range map[string]string{
		"english": "The quick brown fox jumps over the lazy dog, and then it sleeps for a while. ",
		"french":  "L'été dernier, les élèves étaient allés à la mer où ils s'étaient baignés. ",
		"chinese": "请把下面这段话翻译成英文，然后解释其中的语法。",
	} {
		b.Run(name, func(b *testing.B) {
			in := []byte(strings.Repeat(text, 100))
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			var s Scanner
			for b.Loop() {
				for s.Reset(in); s.Next(); {
				}
			}
		})
	}
}
