package extprocsvc

import (
	"slices"

	"github.com/attache-dev/attache/extprocsvc/sensitive"
)

// FindText returns a guard of texts that does what the rules of a finder say.
// tags are those of each rule; nil for none. rejection is what the rules that
// reject give.
func FindText(f *sensitive.Finder, tags []string, rejection *Rejection) TextGuard {
	return &findText{finder: f, scan: f.NewScan(), tags: tags, rejection: rejection}
}

type findText struct {
	finder    *sensitive.Finder
	scan      *sensitive.Scan
	tags      []string
	rejection *Rejection
	edits     []TextEdit
}

// Write looks at the next piece.
func (t *findText) Write(piece []byte) TextResult {
	safe := t.scan.Safe()
	return t.result(t.scan.Write(piece), safe)
}

// Close looks at what is left.
func (t *findText) Close() TextResult {
	safe := t.scan.Safe()
	return t.result(t.scan.Close(), safe)
}

// Reset begins a new text.
func (t *findText) Reset() { t.scan.Reset() }

// result is what findings make of a text that was safe up to an offset.
func (t *findText) result(found []sensitive.Finding, safe int) (r TextResult) {
	t.edits = t.edits[:0]
	for _, x := range found {
		if t.tags != nil && !slices.Contains(r.Tags, t.tags[x.Rule]) {
			r.Tags = append(r.Tags, t.tags[x.Rule])
		}
		switch t.finder.Rule(x.Rule).Action {
		case sensitive.Reject:
			r.Rejection = t.rejection
		case sensitive.Note:
		default:
			t.edits = append(t.edits, TextEdit{Start: x.Start, End: x.End, Text: x.With})
		}
	}
	if r.Safe = safe; r.Rejection == nil {
		r.Edits, r.Safe = t.edits, t.scan.Safe()
	}
	return r
}
