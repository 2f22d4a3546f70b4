package extprocsvc

import (
	"sort"

	"github.com/attache-dev/attache/extprocsvc/llm"
	"github.com/attache-dev/attache/extprocsvc/sensitive"
)

// Seams find what goes from one part of a content into another, and so is in
// neither: those who read them put parts together. They are for one body.
type Seams struct {
	finder *sensitive.Finder
	found  func(rule int, changes []llm.Change)

	// What stands together: the parts of one kind of a message.
	parts   []seamPart
	text    []byte
	message int
	kind    llm.Kind
}

type seamPart struct {
	text     int // its index
	from, to int // in what stands together
	hidden   []sensitive.Finding
}

// NewSeams returns seams at the beginning of a body. Of what a finder finds across
// them, found is called with the rule, and the changes that hide it, if the rule
// hides.
func NewSeams(f *sensitive.Finder, found func(rule int, changes []llm.Change)) *Seams {
	return &Seams{finder: f, found: found}
}

// Add takes the next text, as t.Unquoted gives it, and what the finder has found in
// it. Nothing of them is kept.
func (s *Seams) Add(t *llm.Text, text []byte, own []sensitive.Finding) {
	if !t.Part {
		return
	}
	if t.Message != s.message || t.Kind != s.kind {
		s.Close()
		s.message, s.kind = t.Message, t.Kind
	}
	p := seamPart{text: t.Index, from: len(s.text), to: len(s.text) + len(text)}
	for _, x := range own {
		if s.finder.Rule(x.Rule).Action.Hides() {
			p.hidden = append(p.hidden, x)
		}
	}
	s.parts, s.text = append(s.parts, p), append(s.text, text...)
}

// Close ends the body.
func (s *Seams) Close() {
	if len(s.parts) > 1 {
		for _, x := range s.finder.Find(nil, s.text) {
			first := s.at(x.Start)
			if x.End <= s.parts[first].to {
				continue
			}
			if list, across := s.changes(&x, first); across {
				s.found(x.Rule, list)
			}
		}
	}
	s.parts, s.text = s.parts[:0], s.text[:0]
}

// at is the index of the part that an offset is in.
func (s *Seams) at(offset int) int {
	return sort.Search(len(s.parts), func(i int) bool { return s.parts[i].to > offset })
}

// changes hide what was found, from the part first on, but for what is hidden already. What takes its place
// stands where it began. Where all that is left is in one part, the other has its
// own finding, and what it leaves may be any word that stands beside an address:
// then across is false.
func (s *Seams) changes(x *sensitive.Finding, first int) (list []llm.Change, across bool) {
	if !s.finder.Rule(x.Rule).Action.Hides() {
		return nil, true
	}
	with := x.With
	add := func(p *seamPart, from, to int) {
		if from < to {
			list = append(list, llm.Change{Text: p.text, From: from, To: to, With: with})
			with = ""
		}
	}
	for i := first; i < len(s.parts) && s.parts[i].from < x.End; i++ {
		p := &s.parts[i]
		from, to := max(x.Start, p.from)-p.from, min(x.End, p.to)-p.from
		for _, h := range p.hidden {
			if h.Start < to && h.End > from {
				add(p, from, h.Start)
				from = max(from, h.End)
			}
		}
		add(p, from, to)
	}
	return list, len(list) > 0 && list[0].Text != list[len(list)-1].Text
}
