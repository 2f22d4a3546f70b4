// Package systemprompt is F5's processor system-prompt: it puts the operator's
// rules before the conversation. README.md is its manual.
package systemprompt

import (
	"context"

	"github.com/attache-dev/attache/config"
	"github.com/attache-dev/attache/extprocsvc"
	"github.com/attache-dev/attache/extprocsvc/llm"
)

func init() {
	extprocsvc.Register(extprocsvc.Kind{
		Name:      "system-prompt",
		Phases:    extprocsvc.InputPhase,
		Needs:     extprocsvc.Modify,
		ReadsBody: true,
		New:       build,
	})
}

type params struct {
	Rules []string `yaml:"rules"`
}

func build(s extprocsvc.Setup) (extprocsvc.Processor, error) {
	raw := s.Params
	var p params
	if err := raw.Decode(&p); err != nil {
		return nil, err
	}
	if len(p.Rules) == 0 {
		return nil, raw.Errorf("rules", config.Invalid, "system-prompt needs rules: a list of at least one text")
	}
	for i, rule := range p.Rules {
		if rule == "" {
			return nil, raw.Errorf("rules", config.Invalid, "rule %d is empty", i+1)
		}
	}
	return processor{extprocsvc.Result{Edits: []llm.Edit{llm.AddSystem(p.Rules...)}}}, nil
}

type processor struct{ always extprocsvc.Result }

var _ extprocsvc.RequestProcessor = processor{}

func (p processor) ProcessRequest(context.Context, *extprocsvc.Request) (extprocsvc.Result, error) {
	return p.always, nil
}
