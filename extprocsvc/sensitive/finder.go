package sensitive

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/attache-dev/attache/extprocsvc/pattern"
)

// Action is what to do with what a rule finds.
type Action uint8

const (
	// Mask puts the label in its place.
	Mask Action = iota
	// Redact puts a character in place of each of its characters.
	Redact
	// Hash puts a pseudonym in its place: the same for the same text and key.
	Hash
	// Reject refuses the whole.
	Reject
	// Note changes nothing.
	Note
)

// Hides tells that something is put in the place of what is found. Spans of other
// actions stand beside those that hide.
func (a Action) Hides() bool { return a != Reject && a != Note }

// A Rule is something to look for.
type Rule struct {
	// Name is for tags and errors.
	Name string
	// Matcher is what to look for, or else Expr, in the syntax of package
	// regexp, with MaxMatch as in [pattern.Pattern].
	Matcher  *Matcher
	Expr     string
	MaxMatch int
	Action   Action
	// Label is what Mask writes, and Hash around its pseudonym.
	Label string
}

// Options are what rules have in common. The zero Options are good for finders
// that do not hash.
type Options struct {
	// Key makes pseudonyms.
	Key []byte
	// Fill is the character of Redact. Default X, as F5's data-security has it.
	Fill string
}

// A Finder finds what its rules look for. It can be used by many goroutines at
// once.
type Finder struct {
	rules   []Rule
	options Options
	parts   []part
	finds   sync.Pool
}

// A part is the rules that share a set.
type part struct {
	set  *pattern.Set
	from []origin // by pattern
}

// An origin is where a pattern of a set comes from.
type origin struct {
	rule int
	*form
}

// Compile makes a finder. The error tells of every expression that is refused,
// by the name of its rule.
func Compile(rules []Rule, o Options) (*Finder, error) {
	o.Fill = cmp.Or(o.Fill, "X")
	f := &Finder{rules: slices.Clone(rules), options: o}
	// What rejects must not be covered by what is masked, nor a core by the
	// context of another.
	type key struct {
		of     Action // Reject, Note, or Mask for all that hide
		within bool
	}
	patterns, origins := map[key][]pattern.Pattern{}, map[key][]origin{}
	for i, r := range f.rules {
		forms := []form{{expr: r.Expr, max: r.MaxMatch}}
		if r.Matcher != nil {
			forms = r.Matcher.forms
		}
		for _, fm := range forms {
			k := key{Mask, fm.apart()}
			if !r.Action.Hides() {
				k.of = r.Action
			}
			patterns[k] = append(patterns[k], fm.pattern(r.Name))
			origins[k] = append(origins[k], origin{i, &fm})
		}
	}
	var errs []error
	for _, k := range []key{{Reject, false}, {Reject, true}, {Note, false}, {Note, true}, {Mask, false}, {Mask, true}} {
		if len(patterns[k]) == 0 {
			continue
		}
		set, err := pattern.Compile(patterns[k])
		errs = append(errs, err)
		f.parts = append(f.parts, part{set, origins[k]})
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	f.finds.New = func() any { return f.NewScan() }
	return f, nil
}

// Rule returns a rule.
func (f *Finder) Rule(i int) *Rule { return &f.rules[i] }

// Hold is how many bytes of a text that comes in pieces may have to be held,
// and false if there is no bound; then unbounded is a rule to blame.
func (f *Finder) Hold() (bytes int, unbounded *Rule) {
	for _, p := range f.parts {
		for i, o := range p.from {
			n, ok := p.set.PatternHold(i)
			if !ok {
				return 0, &f.rules[o.rule]
			}
			bytes = max(bytes, n)
		}
	}
	return bytes, nil
}

// A Finding is a span of a text that a rule found. Spans that are to be hidden
// do not overlap; others may.
type Finding struct {
	// Rule is the index of the rule.
	Rule int
	// Start and End are offsets from the beginning of the text, in bytes.
	Start, End int
	// With is what to put in its place; empty for Note and Reject.
	With string
}

// Find appends what the rules find in a whole text, in order, what changes
// nothing first.
func (f *Finder) Find(found []Finding, text []byte) []Finding {
	s := f.finds.Get().(*Scan)
	defer f.finds.Put(s)
	s.Reset()
	return append(found, s.all(text)...)
}

// A Scan finds the same in a text that comes in pieces. It is for one goroutine
// at a time.
type Scan struct {
	finder  *Finder
	streams []*pattern.Stream
	// over is where the last span of each part ended, if it was cut from a match
	// that was too long, and of which pattern.
	over []cut
	// text is what may be asked about, from base on.
	text []byte
	base int
	// pending are spans before which others may still be found.
	pending []Finding
	out     []Finding
	covered int
	safe    int
}

type cut struct{ pattern, end int }

// NewScan returns a scan at the beginning of a text.
func (f *Finder) NewScan() *Scan {
	s := &Scan{finder: f, over: make([]cut, len(f.parts))}
	for _, p := range f.parts {
		s.streams = append(s.streams, p.set.NewStream())
	}
	s.Reset()
	return s
}

// Reset begins a new text.
func (s *Scan) Reset() {
	for i, st := range s.streams {
		st.Reset()
		s.over[i] = cut{-1, -1}
	}
	s.text, s.base, s.pending, s.out, s.covered, s.safe = s.text[:0], 0, s.pending[:0], s.out[:0], 0, 0
}

// Write takes the next piece of the text and returns what is found for certain
// now and was not before, in order; what changes nothing first. It is valid
// until the next call. The piece is not kept.
func (s *Scan) Write(piece []byte) []Finding {
	s.out = s.out[:0]
	if len(piece) == 0 {
		return nil
	}
	s.text = append(s.text, piece...)
	for i, st := range s.streams {
		s.take(i, st.Write(piece), s.text, s.base)
	}
	s.settle()
	return s.out
}

// Close ends the text and returns what is certain with that.
func (s *Scan) Close() []Finding {
	s.out = s.out[:0]
	for i, st := range s.streams {
		s.take(i, st.Close(), s.text, s.base)
	}
	s.settle()
	return s.out
}

// all is Write and Close for a whole text, which is not copied.
func (s *Scan) all(text []byte) []Finding {
	for i, st := range s.streams {
		s.take(i, st.Write(text), text, 0)
		s.take(i, st.Close(), text, 0)
	}
	s.emit(len(text) + 1)
	return s.out
}

// Safe is the offset before which all is decided: what is not part of a finding
// that was returned will not become part of one.
func (s *Scan) Safe() int { return s.safe }

// take notes what a part found. text holds the text from base on.
func (s *Scan) take(i int, matches []pattern.Match, text []byte, base int) {
	p := &s.finder.parts[i]
	for _, m := range matches {
		o := p.from[m.Pattern]
		r := &s.finder.rules[o.rule]
		more := m.Over && s.over[i] == cut{m.Pattern, m.Start}
		if m.Over {
			s.over[i] = cut{m.Pattern, m.End}
		}
		if o.unless != nil && o.unless(text[max(0, m.Start-base-lookBehind):m.Start-base], text[m.Start-base:m.End-base]) {
			continue
		}
		if o.core != nil {
			from, to := o.core(text[m.Start-base : m.End-base])
			m.Start, m.End = m.Start+from, m.Start+to
			if from == to {
				continue
			}
		}
		f := Finding{Rule: o.rule, Start: m.Start, End: m.End}
		if !r.Action.Hides() {
			s.out = append(s.out, f)
			continue
		}
		f.With = s.finder.instead(r, text[m.Start-base:m.End-base], more)
		s.pending = append(s.pending, f)
	}
}

// settle hands out what no later finding can stand before, and forgets the text
// that nobody will ask about.
func (s *Scan) settle() {
	live := s.base + len(s.text)
	for _, st := range s.streams {
		live = min(live, st.Safe())
	}
	s.emit(live)
	s.safe = max(live, s.covered)
	keep := max(s.base, live-lookBehind)
	n := copy(s.text, s.text[keep-s.base:])
	s.text, s.base = s.text[:n], keep
	if cap(s.text) > maxKept && n <= maxKept {
		s.text = slices.Clone(s.text)
	}
}

// maxKept is the capacity, in bytes, beyond which a scan gives room back.
const maxKept = 64 << 10

// emit hands out the pending findings that begin before an offset.
func (s *Scan) emit(live int) {
	if len(s.pending) == 0 {
		return
	}
	slices.SortStableFunc(s.pending, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(b.End, a.End), cmp.Compare(a.Rule, b.Rule))
	})
	n := 0
	for ; n < len(s.pending) && s.pending[n].Start < live; n++ {
		f := s.pending[n]
		if f.End <= s.covered {
			continue
		}
		f.Start = max(f.Start, s.covered)
		s.covered = f.End
		s.out = append(s.out, f)
	}
	s.pending = append(s.pending[:0], s.pending[n:]...)
}

// instead is what to put in place of a span; more tells that it goes on with
// the one before it.
func (f *Finder) instead(r *Rule, span []byte, more bool) string {
	switch {
	case r.Action == Redact:
		return strings.Repeat(f.options.Fill, utf8.RuneCount(span))
	case more:
		return ""
	case r.Action == Mask:
		return r.Label
	case r.Action == Hash:
		mac := hmac.New(sha256.New, f.options.Key)
		mac.Write(span)
		pseudonym := hex.EncodeToString(mac.Sum(nil)[:8])
		if name, ok := strings.CutSuffix(r.Label, ">"); ok {
			return name + ":" + pseudonym + ">"
		}
		return r.Label + ":" + pseudonym
	}
	return ""
}
