// Package languageid is F5's processor language-id: it tells the languages of
// a text by their alphabets, letters and most frequent words. README.md is its
// manual.
package languageid

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/attache-dev/attache/config"
	"github.com/attache-dev/attache/extprocsvc"
	"github.com/attache-dev/attache/extprocsvc/llm"
)

func init() {
	extprocsvc.Register(extprocsvc.Kind{
		Name:      "language-id",
		Phases:    extprocsvc.InputPhase | extprocsvc.ResponsePhase,
		NeedsOne:  extprocsvc.Annotate | extprocsvc.Reject,
		ReadsBody: true,
		New:       build,
	})
}

type params struct {
	Threshold          *float64 `yaml:"threshold"`
	CodeDetect         bool     `yaml:"code_detect"`
	AllowedLanguages   []string `yaml:"allowed_languages"`
	MultiDetect        *bool    `yaml:"multi_detect"`
	SkipSystemMessages *bool    `yaml:"skip_system_messages"`
}

// What is told beside languages.
const (
	code    = "code"
	unknown = "unknown"
)

func build(s extprocsvc.Setup) (extprocsvc.Processor, error) {
	raw := s.Params
	var p params
	if err := raw.Decode(&p); err != nil {
		return nil, err
	}
	made := &processor{
		threshold: 0.5, code: p.CodeDetect, skipSystem: p.SkipSystemMessages == nil || *p.SkipSystemMessages,
		many: p.MultiDetect == nil || *p.MultiDetect,
	}
	var errs []*config.Error
	errorf := func(key, format string, args ...any) {
		errs = append(errs, raw.Errorf(key, config.Invalid, format, args...))
	}
	if p.Threshold != nil {
		if made.threshold = *p.Threshold; made.threshold < 0 || made.threshold > 1 {
			errorf("threshold", "must be from 0 to 1")
		}
	}
	for _, l := range p.AllowedLanguages {
		l = strings.ToLower(l)
		if l != code && l != unknown && !slices.Contains(codes, l) {
			errorf("allowed_languages", "language-id does not know the language %q; it knows %s, %s and %s", l, strings.Join(slices.Sorted(slices.Values(codes)), ", "), code, unknown)
		}
		made.allowed = append(made.allowed, l)
	}
	reject := s.Rights&extprocsvc.Reject != 0
	switch {
	case reject && len(made.allowed) == 0:
		errorf("", "reject: true needs allowed_languages")
	case !reject && len(made.allowed) > 0:
		errorf("allowed_languages", "needs reject: true")
	}
	if len(errs) > 0 {
		return nil, config.Join(errs)
	}
	return made, nil
}

type processor struct {
	threshold        float64
	code, skipSystem bool
	many             bool
	allowed          []string // empty: all
}

var (
	_ extprocsvc.RequestProcessor  = &processor{}
	_ extprocsvc.ResponseProcessor = &processor{}
)

// ProcessRequest tells the languages of the messages.
func (p *processor) ProcessRequest(ctx context.Context, r *extprocsvc.Request) (extprocsvc.Result, error) {
	return p.process(ctx, r.Prompt)
}

// ProcessResponse tells the languages of the choices.
func (p *processor) ProcessResponse(ctx context.Context, r *extprocsvc.Response) (extprocsvc.Result, error) {
	return p.process(ctx, r.Completion)
}

var guessers = sync.Pool{New: func() any { return new(guesser) }}

// maxKept is the size, in bytes, of the largest buffer that is kept.
const maxKept = 64 << 10

// certain is how many words a message needs to be of an unknown language if
// that of others is known.
const certain = 3

func (p *processor) process(ctx context.Context, doc *llm.Doc) (extprocsvc.Result, error) {
	if doc == nil {
		return extprocsvc.Result{}, nil
	}
	g := guessers.Get().(*guesser)
	defer func() {
		if cap(g.text) <= maxKept {
			guessers.Put(g)
		}
	}()
	var v verdict
	g.begin()
	message := -1 // what stands beside the messages counts as one more
	for t := range doc.Texts() {
		if p.skipSystem && t.Operator() {
			continue
		}
		if t.Message != message {
			p.conclude(g, &v)
			if err := ctx.Err(); err != nil {
				return extprocsvc.Result{}, err
			}
			message = t.Message
			g.begin()
		}
		text := t.Unquoted(&g.text)
		g.read(text)
		if p.code && !v.code {
			v.code = isCode(text)
		}
	}
	p.conclude(g, &v)
	return p.result(&v), nil
}

// A verdict is what the messages so far have told.
type verdict struct {
	languages []string
	code      bool
	// unknown tells that a message is of no language that we know, perhaps
	// that one is too short to say.
	unknown, perhaps bool
}

// conclude adds the languages of a message.
func (p *processor) conclude(g *guesser, v *verdict) {
	best, most := "", 0.0
	g.end(func(code string, confidence float64) {
		switch {
		case confidence < p.threshold || code == "":
			if p.threshold > 0 {
				v.unknown = v.unknown || g.whole.words >= certain
				v.perhaps = true
			}
		case !p.many:
			if confidence > most {
				best, most = code, confidence
			}
		default:
			v.add(code)
		}
	})
	if best != "" {
		v.add(best)
	}
}

func (v *verdict) add(code string) {
	if !slices.Contains(v.languages, code) {
		v.languages = append(v.languages, code)
	}
}

func (p *processor) result(v *verdict) (r extprocsvc.Result) {
	if v.code {
		v.languages = append(v.languages, code)
	}
	if v.unknown || v.perhaps && len(v.languages) == 0 {
		v.languages = append(v.languages, unknown)
	}
	for _, l := range v.languages {
		r.Tags = append(r.Tags, "language:"+l)
		if len(p.allowed) > 0 && !slices.Contains(p.allowed, l) {
			r.Rejection = &extprocsvc.Rejection{Code: extprocsvc.PolicyViolation, Detail: "Detected language not in allowed_languages"}
		}
	}
	return r
}
