// Package datasecurity is F5's processor data-security: it hides personal data
// and secrets, or refuses what holds some. README.md is its manual.
package datasecurity

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"regexp/syntax"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/attache-dev/attache/config"
	"github.com/attache-dev/attache/extprocsvc"
	"github.com/attache-dev/attache/extprocsvc/llm"
	"github.com/attache-dev/attache/extprocsvc/sensitive"
)

func init() {
	extprocsvc.Register(extprocsvc.Kind{
		Name:      "data-security",
		Phases:    extprocsvc.InputPhase | extprocsvc.ResponsePhase,
		NeedsOne:  extprocsvc.Annotate | extprocsvc.Modify | extprocsvc.Reject,
		ReadsBody: true,
		Texts:     true,
		New:       build,
	})
}

type params struct {
	Matchers    []config.Raw `yaml:"matchers"`
	Action      string       `yaml:"action" enum:"mask redact hash reject"`
	RedactWith  string       `yaml:"redact_with"`
	HashKeyFile string       `yaml:"hash_key_file"`
}

// matcher is an entry of matchers that is not only a name.
type matcher struct {
	_ struct{} `oneOf:"name regex"`

	Name     string `yaml:"name"`
	Regex    *regex `yaml:"regex"`
	Action   string `yaml:"action" enum:"mask redact hash reject"`
	Label    string `yaml:"label"`
	MaxMatch int    `yaml:"max_match"`
}

type regex struct {
	Name  string `yaml:"name,required"`
	Value string `yaml:"value,required"`
}

// maxName bounds the name of an expression, in bytes: it is part of a tag.
const maxName = extprocsvc.MaxTagBytes - len(tagKey)

const tagKey = "sensitive-data:"

// minKey is the length, in bytes, below which a key for pseudonyms is none.
const minKey = 16

// processKey makes the pseudonyms where no key is configured. They are the same
// for as long as the process runs.
var processKey = sync.OnceValue(func() []byte {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	return key
})

func build(s extprocsvc.Setup) (extprocsvc.Processor, error) {
	b := builder{setup: s}
	var p params
	if err := s.Params.Decode(&p); err != nil {
		return nil, err
	}
	b.action = b.read(s.Params, p.Action, standard(s.Rights))
	if len(p.Matchers) == 0 {
		for _, m := range sensitive.Matchers {
			b.add(m, b.action, m.Label)
		}
	}
	for _, raw := range p.Matchers {
		if err := b.matcher(raw); err != nil {
			b.errs = append(b.errs, config.Errors(err)...)
		}
	}
	o := sensitive.Options{Fill: p.RedactWith, Key: processKey()}
	if r, n := utf8.DecodeRuneInString(o.Fill); o.Fill != "" && (n != len(o.Fill) || !unicode.IsGraphic(r) || r == utf8.RuneError) {
		b.errorf(s.Params, "redact_with", "must be one character that can be seen")
	}
	if p.HashKeyFile != "" {
		var err error
		switch o.Key, err = s.ReadFile(p.HashKeyFile); {
		case err != nil:
			b.errorf(s.Params, "hash_key_file", "%v", err)
		case len(o.Key) < minKey:
			b.errorf(s.Params, "hash_key_file", "the key must have at least %d bytes", minKey)
		}
	}
	if len(b.errs) > 0 {
		return nil, config.Join(b.errs)
	}
	finder, err := sensitive.Compile(b.rules, o)
	if err != nil {
		return nil, s.Params.Errorf("matchers", config.Invalid, "%v", err)
	}
	made := &processor{finder: finder}
	for _, r := range b.rules {
		made.tags = append(made.tags, strings.ToLower(tagKey+r.Name))
	}
	return made, nil
}

// standard is the action where none is named.
func standard(rights extprocsvc.Rights) sensitive.Action {
	switch {
	case rights&extprocsvc.Reject != 0:
		return sensitive.Reject
	case rights&extprocsvc.Modify != 0:
		return sensitive.Redact
	}
	return sensitive.Note
}

// actions are the words for actions, and the rights that they need.
var actions = map[string]struct {
	action sensitive.Action
	needs  extprocsvc.Rights
}{
	"mask":   {sensitive.Mask, extprocsvc.Modify},
	"redact": {sensitive.Redact, extprocsvc.Modify},
	"hash":   {sensitive.Hash, extprocsvc.Modify},
	"reject": {sensitive.Reject, extprocsvc.Reject},
}

type builder struct {
	setup  extprocsvc.Setup
	action sensitive.Action
	rules  []sensitive.Rule
	errs   []*config.Error
}

func (b *builder) errorf(at config.Raw, key, format string, args ...any) {
	b.errs = append(b.errs, at.Errorf(key, config.Invalid, format, args...))
}

// read is an action by its word, which stands in a section.
func (b *builder) read(at config.Raw, word string, standard sensitive.Action) sensitive.Action {
	a, ok := actions[word]
	switch {
	case !ok:
		return standard
	case a.needs&^b.setup.Rights != 0:
		b.errorf(at, "action", "the action %s needs %s: true", word, a.needs)
	}
	return a.action
}

// add adds a rule, unless it is there already: a matcher may be named twice, by
// itself and by its group. The first counts.
func (b *builder) add(m *sensitive.Matcher, a sensitive.Action, label string) {
	if !slices.ContainsFunc(b.rules, func(r sensitive.Rule) bool { return r.Matcher == m }) {
		b.rules = append(b.rules, sensitive.Rule{Name: m.Name, Matcher: m, Action: a, Label: label})
	}
}

// matcher reads an entry: a name, or a mapping.
func (b *builder) matcher(raw config.Raw) error {
	m := matcher{}
	if len(raw.Keys()) == 0 {
		if err := raw.Decode(&m.Name); err != nil {
			return err
		}
	} else if err := raw.Decode(&m); err != nil {
		return err
	}
	action := b.read(raw, m.Action, b.action)
	if r := m.Regex; r != nil {
		return b.regex(raw, r, &m, action)
	}
	if m.MaxMatch != 0 {
		b.errorf(raw, "max_match", "only expressions have this; the named matchers are bounded")
	}
	found := sensitive.Lookup(m.Name)
	if found == nil {
		b.errorf(raw, "name", "unknown matcher %q; known are %s", m.Name, strings.Join(sensitive.Names(), ", "))
	}
	for _, x := range found {
		label := x.Label
		if m.Label != "" {
			label = m.Label
		}
		b.add(x, action, label)
	}
	return nil
}

func (b *builder) regex(raw config.Raw, r *regex, m *matcher, action sensitive.Action) error {
	rule := sensitive.Rule{Name: r.Name, Expr: r.Value, MaxMatch: m.MaxMatch, Action: action, Label: m.Label}
	if rule.Label == "" {
		rule.Label = fmt.Sprintf("<%s>", strings.ToUpper(r.Name))
	}
	if r.Name == "" || len(r.Name) > maxName {
		b.errorf(raw, "regex", "the name must have 1 to %d bytes", maxName)
		return nil
	}
	if slices.ContainsFunc(b.rules, func(o sensitive.Rule) bool { return o.Name == rule.Name }) {
		b.errorf(raw, "regex", "a second matcher with the name %q", rule.Name)
		return nil
	}
	if _, err := sensitive.Compile([]sensitive.Rule{rule}, sensitive.Options{}); err != nil {
		b.errorf(raw, "regex", "%s", why(rule.Name, err))
		return nil
	}
	b.rules = append(b.rules, rule)
	return nil
}

// why is an error of an expression without its text, which may hold the value of
// a variable.
func why(name string, err error) string {
	var parse *syntax.Error
	if errors.As(err, &parse) {
		return "not a regular expression: " + string(parse.Code)
	}
	return strings.TrimPrefix(err.Error(), fmt.Sprintf("pattern %q: ", name))
}

type processor struct {
	finder *sensitive.Finder
	tags   []string // by rule
}

var (
	_ extprocsvc.RequestProcessor  = &processor{}
	_ extprocsvc.ResponseProcessor = &processor{}
	_ extprocsvc.StreamProcessor   = &processor{}
	_ extprocsvc.StreamGuard       = &processor{}
)

// ProcessRequest looks at all texts of the prompt.
func (p *processor) ProcessRequest(ctx context.Context, r *extprocsvc.Request) (extprocsvc.Result, error) {
	return p.process(ctx, r.Prompt)
}

// ProcessResponse looks at all texts of the answer.
func (p *processor) ProcessResponse(ctx context.Context, r *extprocsvc.Response) (extprocsvc.Result, error) {
	return p.process(ctx, r.Completion)
}

// ProcessStream looks at all texts of an answer while it comes.
func (p *processor) ProcessStream(context.Context, *extprocsvc.Response) (extprocsvc.StreamGuard, error) {
	return p, nil
}

// Hold is how much of a text may have to be held.
func (p *processor) Hold() (bytes int, bounded bool) {
	bytes, unbounded := p.finder.Hold()
	return bytes, unbounded == nil
}

// Text returns a guard of one text.
func (p *processor) Text() extprocsvc.TextGuard {
	return extprocsvc.FindText(p.finder, p.tags, rejection)
}

// room is what one document needs; it can be used again.
type room struct {
	text  []byte
	found []sensitive.Finding
}

var rooms = sync.Pool{New: func() any { return new(room) }}

// maxKept is the size, in bytes, of the largest buffer that is kept.
const maxKept = 64 << 10

func (p *processor) process(ctx context.Context, doc *llm.Doc) (result extprocsvc.Result, err error) {
	if doc == nil {
		return result, nil
	}
	rm := rooms.Get().(*room)
	defer func() {
		if cap(rm.text) <= maxKept {
			rooms.Put(rm)
		}
	}()
	var changes []llm.Change
	note := func(rule int, more ...llm.Change) {
		result.Tags = p.tag(result.Tags, rule)
		if p.finder.Rule(rule).Action == sensitive.Reject {
			result.Rejection = rejection
		}
		changes = append(changes, more...)
	}
	seams := extprocsvc.NewSeams(p.finder, func(rule int, more []llm.Change) { note(rule, more...) })
	for t := range doc.Texts() {
		if err := ctx.Err(); err != nil {
			return extprocsvc.Result{}, err
		}
		text := t.Unquoted(&rm.text)
		rm.found = p.finder.Find(rm.found[:0], text)
		for _, x := range rm.found {
			if p.finder.Rule(x.Rule).Action.Hides() {
				note(x.Rule, llm.Change{Text: t.Index, From: x.Start, To: x.End, With: x.With})
			} else {
				note(x.Rule)
			}
		}
		seams.Add(&t, text, rm.found)
	}
	seams.Close()
	if result.Rejection == nil && len(changes) > 0 {
		result.Edits = []llm.Edit{llm.ChangeTexts(changes...)}
	}
	return result, nil
}

// tag adds the tag of a rule, once.
func (p *processor) tag(tags []string, rule int) []string {
	if slices.Contains(tags, p.tags[rule]) {
		return tags
	}
	return append(tags, p.tags[rule])
}

var rejection = &extprocsvc.Rejection{Code: extprocsvc.PolicyViolation, Detail: "Sensitive data detected"}
