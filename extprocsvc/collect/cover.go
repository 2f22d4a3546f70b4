package collect

import (
	"slices"
	"strings"

	"github.com/attache-dev/attache/extprocsvc/llm"
)

// A cover knows every text of the events, as the guards of streams do, so that a
// body can be held against them.
type cover struct {
	joined map[llm.TextKey]*joined
	alone  []string
}

// A joined text goes through many events.
type joined struct {
	decoder llm.Decoder
	text    []byte
}

// note takes the texts that were found in an event.
func (c *cover) note(raw []byte, finds []llm.Find) error {
	for i := range finds {
		f := &finds[i]
		said := raw[f.At:f.End]
		switch {
		case f.Use == llm.Withheld: // it repeats a text
		case f.Use == llm.Joined:
			j := c.joined[f.Key]
			if j == nil {
				if j = (&joined{}); c.joined == nil {
					c.joined = map[llm.TextKey]*joined{}
				}
				if c.joined[f.Key] = j; len(c.joined) > maxItems {
					return errTooMany
				}
			}
			j.text = j.decoder.Append(j.text, said)
		case f.Aside: // no reader shows it
		case f.Quoted:
			c.alone = append(c.alone, string(llm.AppendUnquoted(nil, said)))
		default: // a number
			c.alone = append(c.alone, string(said))
		}
	}
	return nil
}

// check returns the texts that a body, which was read as doc, does not have. Those
// of the answer must be among the texts that the steps see: else the answer
// contradicts itself. Of others it is enough that the body says them somewhere, if
// only as an identifier. said are texts that it has in another form.
func (c *cover) check(body *value, doc *llm.Doc, said []string) (beside []*value, err error) {
	seen := map[string]bool{}
	for t := range doc.Texts() {
		seen[string(t.Unquoted(nil))] = true
	}
	for s := range doc.Embedded() {
		seen[s] = true
	}
	for _, s := range said {
		seen[s] = true
	}
	has := map[string]bool{"": true}
	body.strings(has)
	var stray []string
	for key, j := range c.joined {
		s := text(string(j.text)).str() // without what is not UTF-8
		switch {
		case strings.Contains(key.Name, ":"): // of a place that no table knows
			stray = append(stray, s)
		case !seen[s]:
			return nil, errContradiction
		}
	}
	slices.Sort(stray)
	for _, s := range append(c.alone, stray...) {
		v := text(s)
		if s = v.str(); !has[s] {
			has[s] = true
			beside = append(beside, v)
		}
	}
	return beside, nil
}

// strings collects every string, number and key of a value.
func (v *value) strings(into map[string]bool) {
	switch v.kind {
	case '"':
		into[v.str()] = true
	case 0:
		into[string(v.raw)] = true
	}
	for _, m := range v.members {
		into[m.key] = true
		m.v.strings(into)
	}
	for _, e := range v.items {
		e.strings(into)
	}
}
