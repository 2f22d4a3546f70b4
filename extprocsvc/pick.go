package extprocsvc

import (
	"github.com/golang-jwt/jwt/v5"

	"github.com/attache-dev/attache/config"
)

// pick chooses the profile of a request by its headers: F5's policy. It
// returns nil and no refusal for a chain without profiles.
func (c *Chain) pick(h *head) (*profile, *refusal) {
	var claims jwt.MapClaims
	if c.auth != nil {
		var ok bool
		if claims, ok = c.auth.claims(h); !ok {
			return nil, unauthenticated
		}
	}
	for i := range c.candidates {
		cand := &c.candidates[i]
		if cand.selector == nil || cand.selector.holds(cand.selector.set(h, claims)) {
			return cand.profile, nil
		}
	}
	if len(c.candidates) > 0 {
		return nil, noProfile
	}
	return nil, nil
}

// set is what a selector of a candidate looks at.
func (s *selector) set(h *head, claims jwt.MapClaims) []string {
	if s.kind == config.SelectJWT {
		return items(claims, s.key)
	}
	return h.values(s.key)
}
