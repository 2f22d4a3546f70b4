package extprocsvc

import (
	"math/rand/v2"
	"slices"

	"github.com/attache-dev/attache/config"
)

// permits applies the profile's rule for the model that the client names.
func (p *profile) permits(model string, named bool) *refusal {
	if p.observe {
		return nil
	}
	switch p.rule {
	case config.ModelsListed:
		if !named || !slices.Contains(p.models, model) {
			return modelNotFound
		}
	case config.ModelsForbidden:
		if named {
			return modelNotAllowed
		}
	case config.ModelsUnchecked:
	}
	return nil
}

// choose finds the backend for a request. profile may be nil. The backend is
// nil, without a refusal, where there is nothing to choose from.
func (c *Chain) choose(p *profile, tags []string, model string) (*backend, string, *refusal) {
	if p != nil && len(p.services) > 0 {
		if p.observe {
			tags = nil // what processors say is not to change anything
		}
		for i := range p.services {
			s := &p.services[i]
			set := tags
			if s.selector != nil && s.selector.kind == config.SelectInputModel {
				set = []string{model}
			}
			if s.selector.holds(set) {
				return s.backend, s.name, nil
			}
		}
		return nil, "", noService
	}
	total := uint64(0)
	for _, b := range c.backends {
		total += b.weight
	}
	if total == 0 {
		return nil, "", nil
	}
	n := uint64(0)
	if c.chooses {
		n = rand.Uint64N(total)
	}
	for _, b := range c.backends {
		if n < b.weight {
			return b, "", nil
		}
		n -= b.weight
	}
	return nil, "", nil
}
