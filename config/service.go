package config

import (
	"fmt"
	"slices"
)

// services tells each route which of its backends the services of its profiles
// are. It runs when gateway policies are attached.
func (r *resolver) services() {
	for _, l := range r.cfg.Listeners {
		for _, rt := range l.Routes {
			if rt.ExtProc == nil || rt.ExtProc.ListsModels {
				continue // nothing, or an answer without a backend
			}
			for _, c := range rt.ExtProc.Profiles {
				r.routeServices(rt, c.Profile)
			}
		}
	}
	for _, p := range r.cfg.Profiles {
		r.choosable(p)
		r.taggable(p)
	}
}

func (r *resolver) routeServices(rt *Route, p *Profile) {
	for _, s := range p.Services {
		var found []*Backend
		var known []string
		instead := "it has none at all"
		for _, b := range rt.Backends {
			given := r.given[b]
			if given == s.Name || given == "" && b.Name == s.Name {
				found = append(found, b)
			}
			known = append(known, b.Name)
			instead = suggest(s.Name, known, known)
		}
		switch {
		case s.Name == "":
		case len(found) == 0:
			r.errorf(s.Path+".name", Reference, "%s runs this profile and has no backend of this name; %s", r.cfg.Where(rt.Path), instead)
		case len(found) > 1:
			r.errorf(found[1].Path, Conflict, "a second backend with the name of a service; the first is %s", r.cfg.Where(found[0].Path))
		default:
			if rt.Services == nil {
				rt.Services = map[*Service]*Backend{}
			}
			rt.Services[s] = found[0]
		}
	}
}

// name gives the backends of a route names that tell them apart. What the user
// gave comes first.
func (r *resolver) name(backends []*Backend) {
	taken := map[string]bool{}
	for _, b := range backends {
		if given := r.given[b]; given != "" && !taken[given] {
			b.Name = given
			taken[given] = true
		}
	}
	for i, b := range backends {
		if b.Name != "" {
			continue
		}
		for b.Name = fmt.Sprintf("backend%d", i); taken[b.Name]; {
			b.Name += "-"
		}
		taken[b.Name] = true
	}
}

// choosable warns of services that are never chosen, and of requests for which
// none is.
func (r *resolver) choosable(p *Profile) {
	var selectors []*Selector
	for _, s := range p.Services {
		if total(selectors) {
			r.warnf(s.Path, Unreachable, "never chosen: one of the services before it always holds")
		}
		selectors = append(selectors, s.Selector)
		if s.Selector != nil && s.Selector.Kind == SelectInputModel {
			r.possibleModels(p, s.Selector)
		}
	}
	if len(selectors) > 0 && !total(selectors) && !coversModels(p) {
		r.warnf(p.Path+".services", Unreachable, "a request for which no selector holds is answered 503; add a service without selector if that is not meant")
	}
}

func (r *resolver) possibleModels(p *Profile, s *Selector) {
	if s.Operand == OperandNone {
		return
	}
	for i, m := range s.Values {
		place := fmt.Sprintf("%s.values[%d]", s.Path, i)
		switch {
		case p.ModelRule == ModelsForbidden:
			r.warnf(place, Unreachable, "never holds: a profile without models takes no request that names one")
		case p.ModelRule == ModelsListed && !slices.Contains(p.Models, m):
			r.warnf(place, Unreachable, "never holds: it is not among the models of the profile; %s", suggest(m, p.Models, p.Models))
		}
	}
}

// coversModels tells whether each model that the profile takes has a service
// that depends on nothing else.
func coversModels(p *Profile) bool {
	models := p.Models
	switch p.ModelRule {
	case ModelsUnchecked:
		return false
	case ModelsForbidden:
		models = []string{""}
	case ModelsListed:
	}
	return !slices.ContainsFunc(models, func(m string) bool {
		return !slices.ContainsFunc(p.Services, func(s *Service) bool {
			return s.Selector != nil && s.Selector.Kind == SelectInputModel && s.Selector.holdsFor(m)
		})
	})
}

// taggable warns of selectors over tags where no step can have set one.
func (r *resolver) taggable(p *Profile) {
	steps := 0
	check := func(s *Selector) {
		if s == nil || s.Kind != SelectTags || steps > 0 {
			return
		}
		word := "never"
		if s.Operand == OperandNone {
			word = "always"
		}
		r.warnf(s.Path, Unreachable, "%s holds: no step runs before it, so there are no tags", word)
	}
	for _, st := range p.InputStages {
		check(st.Selector)
		steps += len(st.Steps)
	}
	for _, s := range p.Services {
		check(s.Selector)
	}
	for _, st := range p.ResponseStages {
		check(st.Selector)
		steps += len(st.Steps)
	}
}
