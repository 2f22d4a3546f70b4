package config

// levelOf is one place that gives policies: P is their shape.
type levelOf[P any] struct {
	// path is the place of the policies in the file.
	path     string
	policies *P
}

// level is one place that gives policies to a route.
type level = levelOf[filePolicies]

// levels are all of them, the most specific first: the route itself, then what
// targets it, its listener and its gateway.
type levels []level

// gatewayLevels are the places that give a listener the policies of its gateway
// phase, the most specific first: the listener itself, what targets it, its
// gateway.
type gatewayLevels []levelOf[fileGatewayPhase]

// pick returns the value of one policy, from the most specific level that has
// it, taken whole, and its place. It returns nil if no level has it.
func pick[P, T any](ls []levelOf[P], key string, of func(*P) *T) (path string, value *T) {
	for _, l := range ls {
		if v := of(l.policies); v != nil {
			return l.path + "." + key, v
		}
	}
	return "", nil
}
