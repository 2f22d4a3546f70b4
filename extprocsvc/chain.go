package extprocsvc

import (
	"slices"

	"github.com/attache-dev/attache/config"
	"github.com/attache-dev/attache/extprocsvc/llm"
)

// Chains are all chains that a configuration needs. They are read-only.
type Chains struct {
	byName     map[string]*Chain
	byRoute    map[*config.Route]*Chain
	byListener map[*config.Listener]*Chain
}

// ForRoute returns the chain of a route of the configuration that the chains
// were built from, or nil if its requests need not be shown to us.
func (c *Chains) ForRoute(r *config.Route) *Chain { return c.byRoute[r] }

// ForListener returns the chain for requests that match no route of a
// listener, or nil if they need not be shown to us.
func (c *Chains) ForListener(l *config.Listener) *Chain { return c.byListener[l] }

// Chain is what happens to the requests of a route: the stages of its profile,
// then the settings of its AI backend. It is read-only.
type Chain struct {
	name, ref string
	profile   string // escaped; empty without one
	stages    []stage
	// skipFailed tells that a step of the profile that fails is skipped.
	skipFailed bool
	// model is the one that the AI backend asks for; empty for none.
	model      string
	modelEdit  llm.Edit
	modelWhere string
	readsBody  bool
}

// Name is stable across edits that do not rename or move what it is made of:
// "profile/NAME", "profile/NAME/failOpen", or "route/PORT/HOST/ROUTE" where AI
// settings take part.
func (c *Chain) Name() string { return c.name }

// Ref is Name@hash, the value of the gRPC metadata [MetadataKey]. The hash
// covers everything that decides what the chain does, and is the same in every
// process. A Ref holds only letters, digits and -._~/:*=@.
func (c *Chain) Ref() string { return c.ref }

// FailOpen tells whether Envoy may let requests pass while we are not
// available. It is never true where AI settings take part.
func (c *Chain) FailOpen() bool { return c.skipFailed && c.model == "" }

// ReadsBody tells whether the chain must be shown the bodies of requests. If
// not, Envoy's request_body_mode can be NONE. If so, it must be
// FULL_DUPLEX_STREAMED or BUFFERED, and request_trailer_mode must be SEND in
// both: with BUFFERED and SKIP, Envoy 1.40 never shows us a request whose body
// is empty and ended by trailers, and lets it pass undecided.
func (c *Chain) ReadsBody() bool { return c.readsBody }

// Model is the model that replaces the one that clients ask for; empty if the
// chain has no AI settings.
func (c *Chain) Model() string { return c.model }

type stage struct {
	name     string
	selector *selector
	parallel bool
	steps    []step
}

type step struct {
	name   string // of the processor
	kind   *Kind
	rights Rights
	run    RequestProcessor
	where  string // file:line:col: path
}

type selector struct {
	operand config.Operand
	tags    []string
}

// holds evaluates the selector over the tags gathered so far. A nil selector
// always holds.
func (s *selector) holds(tags []string) bool {
	if s == nil {
		return true
	}
	present := func(t string) bool { return slices.Contains(tags, t) }
	switch s.operand {
	case config.OperandAll:
		return !slices.ContainsFunc(s.tags, func(t string) bool { return !present(t) })
	case config.OperandNone:
		return !slices.ContainsFunc(s.tags, present)
	default:
		return slices.ContainsFunc(s.tags, present)
	}
}
