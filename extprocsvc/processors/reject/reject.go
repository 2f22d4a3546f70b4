// Package reject is F5's internal processor reject: it refuses every request
// that reaches it. README.md is its manual.
package reject

import (
	"context"

	"github.com/attache-dev/attache/config"
	"github.com/attache-dev/attache/extprocsvc"
)

func init() {
	extprocsvc.Register(extprocsvc.Kind{
		Name:     "reject",
		Phases:   extprocsvc.InputPhase,
		Needs:    extprocsvc.Reject,
		Internal: true,
		New:      build,
	})
}

type params struct {
	Detail *string `yaml:"detail"`
}

func build(s extprocsvc.Setup) (extprocsvc.Processor, error) {
	raw := s.Params
	var p params
	if err := raw.Decode(&p); err != nil {
		return nil, err
	}
	detail := "Request rejected by policy"
	if p.Detail != nil {
		if detail = *p.Detail; detail == "" {
			return nil, raw.Errorf("detail", config.Invalid, "must not be empty; leave it out for the standard text")
		}
	}
	return processor{extprocsvc.Result{Rejection: &extprocsvc.Rejection{Code: extprocsvc.PolicyViolation, Detail: detail}}}, nil
}

type processor struct{ always extprocsvc.Result }

var _ extprocsvc.RequestProcessor = processor{}

func (p processor) ProcessRequest(context.Context, *extprocsvc.Request) (extprocsvc.Result, error) {
	return p.always, nil
}
