package config

// level is one place that gives policies to a route.
type level struct {
	// path is the place of the policies in the file.
	path     string
	policies *filePolicies
}

// levels are all of them, the most specific first: the route itself, then what
// targets it, its listener and its gateway.
type levels []level

// pick returns the value of one policy, from the most specific level that has
// it, taken whole, and its place. It returns nil if no level has it.
func pick[T any](ls levels, key string, of func(*filePolicies) *T) (path string, value *T) {
	for _, l := range ls {
		if v := of(l.policies); v != nil {
			return l.path + "." + key, v
		}
	}
	return "", nil
}
