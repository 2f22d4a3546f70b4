package events_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/attache-dev/attache/extprocsvc/events"
	"github.com/attache-dev/attache/extprocsvc/pattern"
)

// A masker puts the names of patterns in place of their matches, or stops.
type masker struct {
	set  *pattern.Set
	st   *pattern.Stream
	stop bool
}

func (m *masker) decide(matches []pattern.Match) (d events.Decision) {
	for _, f := range matches {
		d.Edits = append(d.Edits, events.Edit{Start: f.Start, End: f.End, Text: "<" + m.set.Name(f.Pattern) + ">"})
	}
	d.Safe, d.Stop = m.st.Safe(), m.stop && len(matches) > 0
	return d
}

func (m *masker) Write(piece []byte) events.Decision { return m.decide(m.st.Write(piece)) }
func (m *masker) Close() events.Decision             { return m.decide(m.st.Close()) }
func (m *masker) Reset()                             { m.st.Reset() }

func compile(t testing.TB, exprs ...string) *pattern.Set {
	t.Helper()
	var list []pattern.Pattern
	for i := 0; i < len(exprs); i += 2 {
		list = append(list, pattern.Pattern{Name: exprs[i], Expr: exprs[i+1]})
	}
	set, err := pattern.Compile(list)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func flow(max int, sets ...*pattern.Set) *events.Flow {
	return events.New(events.Config{Guards: len(sets), MaxHeld: max, New: func(k int) events.Guard {
		return &masker{set: sets[k], st: sets[k].NewStream()}
	}})
}

// masked is what guards make of a whole text.
func masked(text string, sets ...*pattern.Set) string {
	for _, set := range sets {
		var b strings.Builder
		at := 0
		for _, m := range set.Find(nil, []byte(text)) {
			b.WriteString(text[at:m.Start] + "<" + set.Name(m.Pattern) + ">")
			at = m.End
		}
		text = b.String() + text[at:]
	}
	return text
}

// maskedJSON is what they make of a text that is JSON.
func maskedJSON(t testing.TB, text string, sets ...*pattern.Set) any {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	var walk func(v any) any
	walk = func(v any) any {
		switch v := v.(type) {
		case string:
			return masked(v, sets...)
		case json.Number:
			if m := masked(v.String(), sets...); m != v.String() {
				return m
			}
		case []any:
			for i := range v {
				v[i] = walk(v[i])
			}
		case map[string]any:
			for k, x := range v {
				delete(v, k)
				v[masked(k, sets...)] = walk(x)
			}
		}
		return v
	}
	return walk(v)
}

func asJSON(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func equalJSON(t testing.TB, text string) string {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	return asJSON(t, v)
}

func sets(t testing.TB) [][]*pattern.Set {
	pii := compile(t, "SSN", `\b\d{3}-\d{2}-\d{4}\b`, "CARD", `\b\d{4}(?:[ -]?\d{4}){3}\b`, "MAIL", `[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}`)
	return [][]*pattern.Set{
		{pii},
		{compile(t, "KEY", `(?s)-----BEGIN KEY-----.{0,200}?-----END KEY-----`, "NAME", `(?i)\bjos[eé]\b`)},
		{compile(t, "SMILE", `😀+`, "QUOTE", `"[^"]{0,40}"`, "LINES", `\n\n+`)},
		{compile(t, "A", `a{1,20}b`), compile(t, "TAG", `<A>\s{0,4}c`, "B", `b`)},
		{pii, compile(t, "BRACKETS", `<[A-Z]{1,8}>,?`)},
	}
}

var words = []string{
	"hello ", "my number is ", "123-45-6789", "123-45-67", "123-45-67890", " ", ", ", "\n", "\n\n\n", "4111 1111 1111 1111", "4111-1111-", "41111111",
	"jo@example.org", "jo@ex", "a.b+c@", "é", "😀", "😀😀", `"`, `"so"`, `\`, "José", "JOSÉ.", "-----BEGIN KEY-----", "abc\n", "-----END KEY-----", "-----END",
	"aaab", "aaa", "b", "aab c", "<A> c", "<", ">", "/", "\t", "x", "12", "3-", "45-6789",
}

func say(rng *rand.Rand) string {
	var b strings.Builder
	for range rng.IntN(12) {
		b.WriteString(words[rng.IntN(len(words))])
	}
	return b.String()
}

// object is JSON of texts.
func object(t testing.TB, rng *rand.Rand) string {
	m := []string{}
	for i := range rng.IntN(4) {
		v := quote(say(rng))
		switch rng.IntN(6) {
		case 0:
			v = []string{"123456789", "4111111111111111", "-1.5e3", "true", "null", " 12 ", "12345678901234567890"}[rng.IntN(7)]
		case 1:
			v = "[" + v + " ,\n{" + quote(say(rng)) + ":" + quote(say(rng)) + "}]"
		}
		m = append(m, fmt.Sprintf(`"k%d": %s`, i, v))
	}
	return "{" + strings.Join(m, ", ") + "}"
}

func parts(t testing.TB, rng *rand.Rand, d *dialect) (list []part) {
	for n := range 1 + rng.IntN(3) {
		for _, name := range d.names {
			p := part{name: name, n: n}
			if p.text = say(rng); name == "tool" {
				p.text = object(t, rng)
			}
			list = append(list, p)
		}
	}
	return list
}

func frame(rng *rand.Rand, stream string) string {
	switch rng.IntN(4) {
	case 0:
		return strings.ReplaceAll(stream, "\n", "\r\n")
	case 1:
		return strings.ReplaceAll(stream, "\n", "\r")
	}
	return stream
}

// whole checks what a client has got of a complete stream.
func whole(t testing.TB, d *dialect, list []part, out string, guards []*pattern.Set) {
	t.Helper()
	got := d.texts(t, out)
	for _, p := range list {
		if p.name == "tool" {
			if want, is := asJSON(t, maskedJSON(t, p.text, guards...)), equalJSON(t, got[p.key()]); is != want {
				t.Fatalf("%s, %s\ntext %q\ngot  %s\nwant %s", d.name, p.key(), p.text, is, want)
			}
			continue
		}
		if want := masked(p.text, guards...); got[p.key()] != want {
			t.Fatalf("%s, %s\ntext %q\ngot  %q\nwant %q\nstream\n%s", d.name, p.key(), p.text, got[p.key()], want, out)
		}
	}
	if d.name != "responses" {
		return
	}
	done := strings.Split(got["done"], "|")
	for _, p := range list {
		if p.name == "text" && strings.Count("|"+got["done"], "|"+masked(p.text, guards...)+"|") == 0 {
			t.Fatalf("%q is not repeated as %q in %q", p.text, masked(p.text, guards...), done)
		}
	}
}

// sound checks that what was sent so far is a beginning of what may be sent.
func sound(t testing.TB, d *dialect, list []part, out string, guards []*pattern.Set) {
	t.Helper()
	got := d.texts(t, out)
	for _, p := range list {
		if p.name == "tool" {
			continue
		}
		if want := masked(p.text, guards...); !strings.HasPrefix(want, got[p.key()]) {
			t.Fatalf("%s, %s leaks\ntext %q\nsent %q\nwant %q", d.name, p.key(), p.text, got[p.key()], want)
		}
	}
}

// Whatever the dialect, the framing, the events and the cuts: what a client has
// got at any time is a beginning of the masked texts.
func TestNothingLeaks(t *testing.T) {
	all := sets(t)
	rounds := 250
	if testing.Short() {
		rounds = 100
	}
	changed := 0
	for i := range rounds {
		rng := rand.New(rand.NewPCG(6, uint64(i)))
		d := &dialects[i%len(dialects)]
		guards := all[rng.IntN(len(all))]
		list := parts(t, rng, d)
		stream := frame(rng, d.stream(rng, list))
		f := flow(0, guards...)
		var out []byte
		var err error
		for rest := stream; len(rest) > 0; {
			n := 1 + rng.IntN(min(len(rest), 1+rng.IntN(400)))
			before := len(out)
			if out, err = f.Write(out, []byte(rest[:n])); err != nil {
				t.Fatalf("seed %d: %v\n%s", i, err, stream)
			}
			if rest = rest[n:]; len(out) > before && rng.IntN(4) == 0 {
				sound(t, d, list, string(out), guards)
			}
		}
		if out, err = f.Close(out); err != nil {
			t.Fatal(err)
		}
		whole(t, d, list, string(out), guards)
		if got, want := strings.Count(string(out), "data:"), strings.Count(stream, "data:"); got != want || f.Held() != 0 {
			t.Fatalf("seed %d: %d of %d events, %d bytes held", i, got, want, f.Held())
		}
		clean := true
		for _, p := range list {
			if p.name == "tool" {
				clean = clean && asJSON(t, maskedJSON(t, p.text, guards...)) == equalJSON(t, p.text)
			} else {
				clean = clean && masked(p.text, guards...) == p.text
			}
		}
		if clean && string(out) != stream {
			t.Fatalf("seed %d: nothing to mask, but bytes changed\ngot  %q\nwant %q", i, out, stream)
		}
		if !clean {
			changed++
		}
	}
	if changed < rounds/10 || changed > rounds*9/10 {
		t.Errorf("%d of %d streams had something to mask", changed, rounds)
	}
}

// cuts are in each run of TestEverySplit: the stream is cut at one offset of each
// of so many parts, since what a cut can do is done within an event.
const cuts = 5

// Every stream of a list is cut at every offset.
func TestEverySplit(t *testing.T) {
	all := sets(t)
	for di := range dialects {
		d := &dialects[di]
		for gi, guards := range all {
			rng := rand.New(rand.NewPCG(9, uint64(10*di+gi)))
			list := []part{}
			for ni, name := range d.names {
				p := part{name: name, text: "aab"}
				if ni == (gi+di)%len(d.names) {
					p.text = []string{"I, José, ", ""}[gi%2] + "123-45-6789\n\n aaab c😀 j@x.org."
				}
				if name == "tool" {
					p.text = fmt.Sprintf(`{"a":%s,"n":4111111111111111,"b":["x"]}`, quote(p.text))
				}
				list = append(list, p)
			}
			// Every dialect sees every framing, and every set of guards.
			nl := []string{"\n", "\r\n", "\r"}[(di+gi)%3]
			stream := strings.ReplaceAll(d.stream(rng, list), "\n", nl)
			seen := map[int]bool{} // lengths of what was sent; the same bytes are looked at once
			run := func(pieces ...string) string {
				f := flow(0, guards...)
				var out []byte
				var err error
				for _, p := range pieces {
					if out, err = f.Write(out, []byte(p)); err != nil {
						t.Fatal(err)
					}
					if !seen[len(out)] {
						seen[len(out)] = true
						sound(t, d, list, string(out), guards)
					}
				}
				if out, err = f.Close(out); err != nil {
					t.Fatal(err)
				}
				return string(out)
			}
			want := run(stream)
			whole(t, d, list, want, guards)
			stride := (len(stream) + cuts - 1) / cuts
			for at := range stride {
				pieces := []string{stream[:at]}
				for rest := stream[at:]; rest != ""; rest = rest[min(stride, len(rest)):] {
					pieces = append(pieces, rest[:min(stride, len(rest))])
				}
				if got := run(pieces...); got != want {
					t.Fatalf("cut at %d and every %d bytes from there\ngot  %q\nwant %q", at, stride, got, want)
				}
			}
		}
	}
}

func FuzzFlow(f *testing.F) {
	all := sets(f)
	f.Add("a 123-45-6789", uint64(1))
	f.Add("jo@example.org\"\\", uint64(2))
	f.Fuzz(func(t *testing.T, text string, seed uint64) {
		text = strings.ToValidUTF8(text[:min(len(text), 300)], "?")
		rng := rand.New(rand.NewPCG(seed, 1))
		d := &dialects[seed%uint64(len(dialects))]
		guards := all[rng.IntN(len(all))]
		var list []part
		for _, name := range d.names {
			p := part{name: name, text: text}
			if name == "tool" {
				p.text = `{"a":` + quote(text) + `}`
			}
			list = append(list, p)
		}
		stream := frame(rng, d.stream(rng, list))
		fl := flow(0, guards...)
		var out []byte
		var err error
		for rest := stream; len(rest) > 0; {
			n := 1 + rng.IntN(min(len(rest), 200))
			if out, err = fl.Write(out, []byte(rest[:n])); err != nil {
				t.Fatal(err)
			}
			if rest = rest[n:]; rng.IntN(4) == 0 {
				sound(t, d, list, string(out), guards)
			}
		}
		if out, err = fl.Close(out); err != nil {
			t.Fatal(err)
		}
		whole(t, d, list, string(out), guards)
	})
}

// FuzzBytes takes anything for a stream: nothing may panic, and what guards
// that find nothing let pass is what came.
func FuzzBytes(f *testing.F) {
	for _, d := range dialects {
		f.Add(d.begin+d.delta(part{name: d.names[0]}, `a\u00e9`)+d.end(nil), uint64(3))
	}
	f.Add("data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"function\":{\"arguments\":\"{\\\"a\\\":1, x\"}}]}}]}\n\n", uint64(1))
	never := compile(f, "NEVER", `\x{10ffff}{3}`)
	f.Fuzz(func(t *testing.T, stream string, seed uint64) {
		rng := rand.New(rand.NewPCG(seed, 1))
		fl := flow(0, never)
		var out []byte
		var err error
		for rest := stream; len(rest) > 0 && err == nil; {
			n := 1 + rng.IntN(len(rest))
			out, err = fl.Write(out, []byte(rest[:n]))
			rest = rest[n:]
		}
		if err == nil {
			out, err = fl.Close(out)
		}
		var unreadable *events.Unreadable
		switch {
		case strings.Contains(stream, "logprobs") || strings.Contains(stream, `\u`):
		case err == nil && string(out) != stream, err != nil && !strings.HasPrefix(stream, string(out)):
			t.Fatalf("%v\ngot  %q\nwant %q", err, out, stream)
		case err != nil && !errors.As(err, &unreadable) && !errors.Is(err, events.ErrTooMany):
			t.Fatal(err)
		}
	})
}
