// Package repetitiondetect is F5's processor repetition-detect: it finds texts
// that say the same again and again. README.md is its manual.
package repetitiondetect

import (
	"context"
	"sync"

	"github.com/attache-dev/attache/config"
	"github.com/attache-dev/attache/extprocsvc"
	"github.com/attache-dev/attache/extprocsvc/llm"
)

func init() {
	extprocsvc.Register(extprocsvc.Kind{
		Name:      "repetition-detect",
		Phases:    extprocsvc.InputPhase | extprocsvc.ResponsePhase,
		NeedsOne:  extprocsvc.Annotate | extprocsvc.Reject,
		ReadsBody: true,
		New:       build,
	})
}

type params struct {
	MaxRatio *float64 `yaml:"max_ratio"`
	MinWords *int     `yaml:"min_words"`
}

func build(s extprocsvc.Setup) (extprocsvc.Processor, error) {
	raw := s.Params
	var p params
	if err := raw.Decode(&p); err != nil {
		return nil, err
	}
	made := &processor{maxRatio: 2, minWords: 20}
	if p.MaxRatio != nil {
		if made.maxRatio = *p.MaxRatio; made.maxRatio < 1 {
			return nil, raw.Errorf("max_ratio", config.Invalid, "must be at least 1, the ratio of a text without repetition")
		}
	}
	if p.MinWords != nil {
		if made.minWords = *p.MinWords; made.minWords < gram {
			return nil, raw.Errorf("min_words", config.Invalid, "must be at least %d", gram)
		}
	}
	made.found.Tags = []string{"attacks-detected:repetition-detect"}
	if s.Rights&extprocsvc.Reject != 0 {
		made.found.Rejection = &extprocsvc.Rejection{Code: extprocsvc.PolicyViolation, Detail: "Possible repetition attack detected"}
	}
	return made, nil
}

type processor struct {
	maxRatio float64
	minWords int
	found    extprocsvc.Result
}

var (
	_ extprocsvc.RequestProcessor  = &processor{}
	_ extprocsvc.ResponseProcessor = &processor{}
)

// ProcessRequest judges the messages of the request.
func (p *processor) ProcessRequest(ctx context.Context, r *extprocsvc.Request) (extprocsvc.Result, error) {
	return p.process(ctx, r.Prompt)
}

// ProcessResponse judges the choices of the response.
func (p *processor) ProcessResponse(ctx context.Context, r *extprocsvc.Response) (extprocsvc.Result, error) {
	return p.process(ctx, r.Completion)
}

// counters are used again.
var counters = sync.Pool{New: func() any { return new(counter) }}

// maxKept is the size, in bytes, of the largest text whose room is kept.
const maxKept = 64 << 10

func (p *processor) process(ctx context.Context, doc *llm.Doc) (extprocsvc.Result, error) {
	if doc == nil {
		return extprocsvc.Result{}, nil
	}
	c := counters.Get().(*counter)
	defer func() {
		if cap(c.text) <= maxKept && len(c.table) <= maxKept {
			counters.Put(c)
		}
	}()
	c.begin()
	message := -1
	for t := range doc.Texts() {
		// Each text beside the messages counts by itself: tools resemble each other.
		if t.Message != message || message < 0 {
			if c.end(p.minWords) > p.maxRatio {
				return p.found, nil
			}
			if err := ctx.Err(); err != nil {
				return extprocsvc.Result{}, err
			}
			message = t.Message
			c.begin()
		}
		c.read(t.Unquoted(&c.text))
	}
	if c.end(p.minWords) > p.maxRatio {
		return p.found, nil
	}
	return extprocsvc.Result{}, nil
}
