package extprocsvc

import (
	"slices"
	"time"

	"github.com/attache-dev/attache/config"
)

// Chains are all chains that a configuration needs. They are read-only.
type Chains struct {
	byName     map[string]*Chain
	byRoute    map[*config.Route]*Chain
	byListener map[*config.Listener]*Chain
	byGateway  map[*config.Listener]*Chain
	maxBody    int64  // of the configuration; 0 for none of its own
	alone      *alone // nil where Envoy's routes are ours
}

// ForRoute returns the chain of a route of the configuration that the chains
// were built from, or nil if its requests need not be shown to us.
func (c *Chains) ForRoute(r *config.Route) *Chain { return c.byRoute[r] }

// ForListener returns the chain for requests that match no route of a
// listener, or nil if they need not be shown to us.
func (c *Chains) ForListener(l *config.Listener) *Chain { return c.byListener[l] }

// ForGateway returns the chain of a listener's gateway phase, or nil if its
// requests need not be shown to us there. A request that also has the chain of a
// route has two streams, and two records with one ID.
func (c *Chains) ForGateway(l *config.Listener) *Chain { return c.byGateway[l] }

// Detach forgets which routes and listeners have which chain, so that nothing holds
// their configuration. ForRoute, ForListener and ForGateway then return nil.
func (c *Chains) Detach() { c.byRoute, c.byListener, c.byGateway = nil, nil, nil }

// Chain is what happens to the requests of a route: one of its profiles, then
// the choice of a backend and the backend's AI settings. It is read-only.
type Chain struct {
	name, ref string
	// candidates are the profiles, of which the first whose selector holds
	// runs. None: there are only AI settings.
	candidates []candidate
	// auth verifies the token that jwt selectors look at; nil for none.
	auth *authenticator
	// listsModels answers every request with the models of its profile.
	listsModels bool
	// dropsHeaders keeps the client's headers from the backend.
	dropsHeaders bool
	// failOpen tells that a failed step is skipped where nothing else says
	// what to do.
	failOpen bool
	// passUnread lets pass, unguarded, what the profiles must read and cannot.
	passUnread bool
	// backends are those of the route. With chooses, every reply names one to
	// Envoy; without, they all need the same settings.
	backends []*backend
	chooses  bool

	// limit is the route's timeout: the time that a request may take with us,
	// counted from its headers, and then a streamed answer that is collected; 0
	// for none.
	limit time.Duration

	// readsBody tells that some requests need their body, readsAll that all do:
	// a profile looks at it, not only the settings of a backend.
	readsBody, readsAll, readsResponse bool
}

// Name is stable across edits that do not rename or move what it is made of:
// "profile/NAME", "profile/NAME/failOpen", "route/PORT/HOST/ROUTE" where
// backends take part, or "gateway/PORT/HOST" in the gateway phase.
func (c *Chain) Name() string { return c.name }

// Ref is Name@hash, the value of the gRPC metadata [MetadataKey]. The hash
// covers everything that decides what the chain does, and is the same in every
// process. A Ref holds only letters, digits and -._~/:*=@.
func (c *Chain) Ref() string { return c.ref }

// FailOpen tells whether Envoy may let requests pass while we are not
// available. It is never true where a profile fails closed, tokens are verified,
// models are listed, headers are dropped or AI settings take part.
func (c *Chain) FailOpen() bool {
	return c.failOpen && c.auth == nil && !c.listsModels && !c.dropsHeaders &&
		!slices.ContainsFunc(c.candidates, func(p candidate) bool { return p.failure == config.FailClosed }) &&
		!c.changes()
}

// ReadsBody tells whether the chain must be shown the bodies of requests. If
// not, Envoy's request_body_mode can be NONE. If so, it must be
// FULL_DUPLEX_STREAMED or BUFFERED, and request_trailer_mode must be SEND in
// both: with BUFFERED and SKIP, Envoy 1.40 never shows us a request whose body
// is empty and ended by trailers, and lets it pass undecided.
func (c *Chain) ReadsBody() bool { return c.readsBody }

// ReadsResponse tells whether the chain must be shown responses, headers,
// body and trailers. response_body_mode must be FULL_DUPLEX_STREAMED or
// BUFFERED then.
func (c *Chain) ReadsResponse() bool { return c.readsResponse }

// Chooses tells whether the chain names the backend of every request that it
// lets pass; see [Chain.Choice].
func (c *Chain) Chooses() bool { return c.chooses }

// Choice is the value of the dynamic metadata [BackendKey] with which the
// chain chooses a backend of its route.
func (c *Chain) Choice(b *config.Backend) string { return c.name + "/" + escape(b.Name) }

// A candidate is a profile that may be chosen for a request.
type candidate struct {
	selector *selector
	*profile
}

// A profile is one of F5's, as it is used somewhere.
type profile struct {
	name            string // escaped
	stages, replies []stage
	// streams tells that the replies can work on streams.
	streams  bool
	models   []string
	rule     config.ModelRule
	services []service
	observe  bool
	failure  config.FailureMode
}

// A service chooses a backend.
type service struct {
	name     string
	selector *selector
	backend  *backend // nil where there is no route
}

// A backend is where a request may go.
type backend struct {
	name, choice string
	weight       uint64
	// speaks are the APIs of an ai backend, and apis its settings, by the suffix of
	// the path.
	speaks config.APIs
	apis   []api
}

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
	// Exactly one of them is set, by the stage's phase.
	request  RequestProcessor
	response ResponseProcessor
	// stream is response, if it can work on answers while they come.
	stream  StreamProcessor
	timeout time.Duration // 0: the server's
	failure config.FailureMode
	observe bool
	where   string // file:line:col: path
}

// A selector holds or not over a set of strings.
type selector struct {
	kind    config.SelectorKind
	operand config.Operand
	key     string
	values  []string
}

func newSelector(s *config.Selector) *selector {
	if s == nil {
		return nil
	}
	return &selector{s.Kind, s.Operand, s.Key, s.Values}
}

// content is what the hash of a chain has to know of the selector.
func (s *selector) content() []any {
	if s == nil {
		return nil
	}
	return []any{s.kind, s.operand, s.key, s.values}
}

// holds evaluates the selector over a set. A nil selector always holds.
func (s *selector) holds(set []string) bool {
	if s == nil {
		return true
	}
	present := func(v string) bool { return slices.Contains(set, v) }
	switch s.operand {
	case config.OperandAll:
		return !slices.ContainsFunc(s.values, func(v string) bool { return !present(v) })
	case config.OperandNone:
		return !slices.ContainsFunc(s.values, present)
	default:
		return slices.ContainsFunc(s.values, present)
	}
}
