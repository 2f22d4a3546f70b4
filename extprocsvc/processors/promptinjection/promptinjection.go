// Package promptinjection is F5's processor prompt-injection, by heuristics
// instead of a model: it finds messages that try to take the model over.
// README.md is its manual.
package promptinjection

import (
	"context"
	"sync"

	"github.com/attache-dev/attache/config"
	"github.com/attache-dev/attache/extprocsvc"
	"github.com/attache-dev/attache/extprocsvc/llm"
)

func init() {
	extprocsvc.Register(extprocsvc.Kind{
		Name:      "prompt-injection",
		Phases:    extprocsvc.InputPhase,
		NeedsOne:  extprocsvc.Annotate | extprocsvc.Reject,
		ReadsBody: true,
		New:       build,
	})
}

type params struct {
	Threshold          *float64 `yaml:"threshold"`
	SkipSystemMessages *bool    `yaml:"skip_system_messages"`
}

func build(s extprocsvc.Setup) (extprocsvc.Processor, error) {
	raw := s.Params
	var p params
	if err := raw.Decode(&p); err != nil {
		return nil, err
	}
	made := &processor{threshold: 0.95, skipSystem: true, reject: s.Rights&extprocsvc.Reject != 0}
	if p.Threshold != nil {
		if made.threshold = *p.Threshold; !(made.threshold > 0 && made.threshold <= 1) {
			return nil, raw.Errorf("threshold", config.Invalid, "must be above 0 and at most 1")
		}
	}
	if p.SkipSystemMessages != nil {
		made.skipSystem = *p.SkipSystemMessages
	}
	return made, nil
}

type processor struct {
	threshold  float64
	skipSystem bool
	reject     bool
}

var _ extprocsvc.RequestProcessor = &processor{}

// judges are used again.
var judges = sync.Pool{New: func() any { return new(judge) }}

// maxKept is the size, in bytes, of the largest buffer that is kept.
const maxKept = 64 << 10

// attack is the tag, as F5 has it.
var attack = []string{"attacks-detected:prompt-injection"}

// ProcessRequest judges each message by itself: an attack in any of them is
// one.
func (p *processor) ProcessRequest(ctx context.Context, r *extprocsvc.Request) (extprocsvc.Result, error) {
	if r.Prompt == nil {
		return extprocsvc.Result{}, nil
	}
	found, err := p.detect(ctx, r.Prompt)
	if !found || err != nil {
		return extprocsvc.Result{}, err
	}
	result := extprocsvc.Result{Tags: attack}
	if p.reject {
		result.Rejection = &extprocsvc.Rejection{Code: extprocsvc.PolicyViolation, Detail: "Possible Prompt Injection detected"}
	}
	return result, nil
}

// detect tells whether a message reaches the threshold.
func (p *processor) detect(ctx context.Context, prompt *llm.Doc) (bool, error) {
	j := judges.Get().(*judge)
	defer func() {
		if max(cap(j.buf), cap(j.text)) <= maxKept {
			judges.Put(j)
		}
	}()
	j.begin(false)
	message := -1 // what stands beside the messages counts as one more
	for t := range prompt.Texts() {
		if t.Message != message {
			if p.reached(j) {
				return true, nil
			}
			if err := ctx.Err(); err != nil {
				return false, err
			}
			message = t.Message
			j.begin(isData(t.Role))
		}
		if p.skipSystem && t.Operator() {
			continue
		}
		j.read(t.Unquoted(&j.text))
	}
	return p.reached(j), nil
}

// reached tells whether the message that was judged counts as an attack.
func (p *processor) reached(j *judge) bool { return j.end() >= p.threshold-rounding }

// rounding is what the sums of weights may be off.
const rounding = 1e-9

// isData tells whether a message holds what a tool has found.
func isData(role []byte) bool { return string(role) == "tool" || string(role) == "function" }
