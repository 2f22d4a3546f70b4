package config

import (
	"fmt"
	"time"
)

// processor, profile and what belongs to them are F5's two sections, in our
// file and in F5's own.

func (r *resolver) processor(path string, f *fileProcessor) {
	p := &Processor{
		Path: path, Name: f.Name, Type: f.Type, Config: f.Config, Params: f.Params,
		Timeout: time.Duration(f.Timeout), FailureMode: r.failureMode(path, f.FailureMode),
	}
	r.cfg.Processors = append(r.cfg.Processors, p)
	if instead := earlyProcessors[f.Type]; instead != "" {
		r.errorf(path+".type", Unsupported, "%s", instead)
	}
	r.earlyParams(f.Type, f.Params)
	if f.Name == "" {
		return // reported as missing
	}
	if first, dup := r.processors[f.Name]; dup {
		r.errorf(path+".name", Conflict, "a second processor with this name; the first is %s", r.cfg.Where(first.Path))
		return
	}
	r.processors[f.Name] = p
}

func (r *resolver) profile(path string, f *fileProfile) {
	p := &Profile{
		Path: path, Name: f.Name,
		Observe: r.observe(path, f.Mode), FailureMode: r.failureMode(path, f.FailureMode),
	}
	r.cfg.Profiles = append(r.cfg.Profiles, p)
	r.models(path, f, p)
	for _, list := range []struct {
		key  string
		from []fileStage
		into *[]*Stage
	}{{"inputStages", f.InputStages, &p.InputStages}, {"responseStages", f.ResponseStages, &p.ResponseStages}} {
		for i := range list.from {
			*list.into = append(*list.into, r.stage(fmt.Sprintf("%s.%s[%d]", path, list.key, i), &list.from[i], f.Concurrency))
		}
	}
	for i := range f.Services {
		s := &Service{Path: fmt.Sprintf("%s.services[%d]", path, i), Name: f.Services[i].Name}
		s.Selector = r.selector(s.Path+".selector", f.Services[i].Selector, onService)
		p.Services = append(p.Services, s)
	}
	if len(f.Limits) > 0 {
		r.errorf(path+".limits", Unsupported, "an early-access key whose meaning F5 has not published; take it out, or leave the list empty")
	}
	if f.Name == "" {
		return
	}
	if first, dup := r.profiles[f.Name]; dup {
		r.errorf(path+".name", Conflict, "a second profile with this name; the first is %s", r.cfg.Where(first.Path))
		return
	}
	r.profiles[f.Name] = p
}

func (r *resolver) models(path string, f *fileProfile, p *Profile) {
	seen := map[string]int{}
	for i, m := range f.Models {
		place := fmt.Sprintf("%s.models[%d]", path, i)
		if first, dup := seen[m.Name]; dup && m.Name != "" {
			r.errorf(place+".name", Conflict, "a second model with this name; the first is models[%d]", first)
			continue
		}
		if m.Name == "" {
			r.missingf(place, "expected the name of a model")
		}
		seen[m.Name] = i
		p.Models = append(p.Models, m.Name)
	}
	switch {
	case len(f.Models) > 0:
		p.ModelRule = ModelsListed
	case f.Models != nil || r.f5:
		p.ModelRule = ModelsForbidden
	}
}

func (r *resolver) stage(path string, f *fileStage, inherited fileConcurrency) *Stage {
	s := &Stage{Path: path, Name: f.Name, Parallel: f.Concurrency == "parallel" || f.Concurrency == "" && inherited == "parallel"}
	s.Selector = r.selector(path+".selector", f.Selector, onStage)
	for i := range f.Steps {
		step := &f.Steps[i]
		stepPath := fmt.Sprintf("%s.steps[%d]", path, i)
		observe := r.observe(stepPath, step.Mode)
		p := r.processors[step.Name]
		if p == nil {
			if step.Name != "" {
				r.errorf(stepPath+".name", Reference, "no processor has this name; %s", suggestName(step.Name, words(r.processors), "processors"))
			}
			continue
		}
		r.used[p] = true
		r.earlyParams(p.Type, step.Params)
		s.Steps = append(s.Steps, &Step{Path: stepPath, Processor: p, Params: step.Params, Timeout: time.Duration(step.Timeout), Observe: observe})
	}
	return s
}

// observe reads the mode of a profile or a step.
func (r *resolver) observe(path, mode string) bool {
	switch mode {
	case "", "enforce":
		return false
	case "observe":
		return true
	}
	r.errorf(path+".mode", Invalid, "expected observe, or enforce (the default)")
	return false
}

func (r *resolver) failureMode(path, word string) FailureMode {
	switch word {
	case "":
		return FailDefault
	case "failClosed":
		return FailClosed
	case "failOpen":
		return FailOpen
	}
	r.errorf(path+".failureMode", Invalid, "expected failClosed or failOpen")
	return FailDefault
}
