package config

import "time"

// Config is a loaded file in one shape, whatever spelling it was written in.
// It is read-only: it is shared by every part of the program.
type Config struct {
	// File is the name under which the text was read; it begins every error.
	File string
	// Process holds the settings that are read once, at start.
	Process Process
	// Frontend and Upstream are settings for all connections of clients, and to
	// backends.
	Frontend Frontend
	Upstream Upstream
	// Listeners are the places where Envoy accepts requests, in file order.
	// Several may share a port; they then differ by Hostname.
	Listeners []*Listener
	// Processors and Profiles are F5's two sections, in file order.
	Processors []*Processor
	Profiles   []*Profile
	// Warnings are remarks that do not stop the file from loading, such as
	// deprecated spellings.
	Warnings []*Error
	// Named lists the files that the configuration names, absolute and
	// sorted: an edit to one of them is an edit to the configuration.
	Named []string

	tree     *tree
	renames  []rename
	readFile func(path string) ([]byte, error)
}

// DropRoutes forgets the routes of all listeners, for those who keep a
// configuration of which everything is made. It is done before others have it.
func (c *Config) DropRoutes() {
	for _, l := range c.Listeners {
		l.Routes, l.TCPRoutes = nil, nil
	}
}

// Process holds settings of the process itself, from the section "config".
// Changes take effect after a restart.
type Process struct {
	// AdminAddr is where status and diagnostics are served. Default
	// localhost:15000; "off" switches it off.
	AdminAddr string
	// StatsAddr is where Prometheus metrics are served. Default 0.0.0.0:15020.
	StatsAddr string
	// ReadinessAddr is where /healthz/ready is served. Default 0.0.0.0:15021.
	ReadinessAddr string
	// EnableIPv6 makes listeners dual-stack. Default true.
	EnableIPv6 bool
	// DNSLookupFamily is how host names of backends are resolved: All, Auto,
	// V4Preferred, V4Only or V6Only. Default Auto, which is V4Preferred with
	// IPv6 and V4Only without.
	DNSLookupFamily string
	// WorkerThreads is the number of Envoy's threads; 0 for one per processor,
	// or for WorkerPercent of the processors if that is not 0.
	WorkerThreads, WorkerPercent int
	// LogLevel is debug, info, warn or error, LogFormat text or json; empty for
	// info and text.
	LogLevel, LogFormat string
}

// Listener is one hostname on one port.
type Listener struct {
	// Path is the place in the file, such as binds[0].listeners[0].
	Path string
	// BindPath is the place of its port, such as binds[0].
	BindPath string
	// Name is the user's, or listener<index> as agentgateway has it, or that of
	// a gateway which is written without listeners.
	Name string
	// GatewayName is what gatewayPolicies name as their target. Default
	// bind/<port>.
	GatewayName string
	// Address is the one IP address to listen on; empty for all of them.
	Address string
	// Port is the TCP port, 1 to 65535.
	Port uint16
	// ProxyProtocol tells that a connection begins with a PROXY protocol header,
	// which Frontend.ProxyProtocol describes. The listeners of a port share it.
	ProxyProtocol bool
	// Hostname is exact, *.suffix, or empty for every host.
	Hostname string
	// Protocol is what clients speak. The listeners of a port are all plain
	// HTTP, all over TLS, or one of plain TCP.
	Protocol Protocol
	// TLS is set for HTTPS, and for TLS that ends here.
	TLS *ServerTLS
	// ExtProc is the external processing that a gateway policy attaches to
	// this listener, or nil. Routes without their own have it already in
	// Route.ExtProc; what is left for it are requests that match no route.
	ExtProc *ExtProc
	// Gateway is what runs before a route is chosen, also where none is.
	Gateway GatewayPolicies
	// Routes are in file order; the translator sorts their matches. Only HTTP
	// and HTTPS have some.
	Routes []*Route
	// TCPRoutes are in agentgateway's order: of several for one host, the first
	// has the connections. Only TCP and TLS have some.
	TCPRoutes []*TCPRoute
}

// Route sends the requests that one of its matches accepts to its backends.
type Route struct {
	// Path is the place in the file, such as binds[0].listeners[0].routes[2].
	Path string
	// Name is the user's, with its namespace before it unless that is default, or
	// one derived from hostnames and matches, so that it survives edits
	// elsewhere. It is unique within the listener.
	Name string
	// Key is by what agentgateway breaks ties, as a string: the namespace, a slash,
	// and the user's name or route<index>, so that route10 comes before route2.
	Key string
	// Named tells whether the user gave the name.
	Named bool
	// Variant tells apart the routes that one of the file becomes, by the
	// conditions of its policies; empty for the one that is left when no
	// condition holds. They follow one another, in the order in which their
	// conditions are tested, and have the name in common.
	Variant string
	// If are the conditions of the variant: tests of headers that must hold
	// beside a match. They do not count where matches are compared. Names may be
	// :method, :path (with the query) and :authority.
	If []ValueMatch
	// Parent is the route that hands its requests to the group which this route
	// is in; nil for a route of a listener. Precedence is that of the parents
	// first.
	Parent *Route
	// Delegates tells that the route hands its requests to a group. What no route
	// of the group matches is answered 404.
	Delegates bool
	// Hostnames are exact or *.suffix; empty means any host.
	Hostnames []string
	// Matches are alternatives. There is always at least one.
	Matches []Match
	// ExtProc is the external processing in force: the route's own, or else
	// that of the gateway; nil if there is none.
	ExtProc *ExtProc
	// CORS and CSRF are nil without these policies.
	CORS *CORS
	CSRF *CSRF
	// DirectResponse answers in place of the backends; nil if they do.
	DirectResponse *DirectResponse
	// Backends share the requests by weight. None: 500 "no valid backends".
	Backends []*Backend
	// Services tells which of the backends each service of its profiles is.
	Services map[*Service]*Backend
	Filters
}

// FullName is Name, with the variant behind it: unique within the listener.
func (r *Route) FullName() string {
	if r.Variant == "" {
		return r.Name
	}
	return r.Name + "/" + r.Variant
}

// Match is one set of conditions that must all hold.
type Match struct {
	Path    PathMatch
	Method  string
	Headers []ValueMatch
	Query   []ValueMatch
	// Parent is the index of the parent's match that this one is below, if the
	// route has a parent.
	Parent int
}

// PathMatch is a condition on the path without its query.
type PathMatch struct {
	Kind  PathKind
	Value string
}

// PathKind tells how PathMatch.Value is compared.
type PathKind int

// PathPrefix compares whole segments: /foo matches /foo and /foo/bar, not
// /foobar. PathExact compares bytes. PathRegex must match the whole path.
const (
	PathPrefix PathKind = iota
	PathExact
	PathRegex
)

// ValueMatch is a condition on a header or a query parameter.
type ValueMatch struct {
	Name  string
	Value string
	// Regex tells that Value is a regular expression (RE2) for the whole
	// value; otherwise it is compared exactly.
	Regex bool
}

// ExtProc attaches external processing: either somebody's ext_proc server
// (Target) or chains of ours (Profiles).
type ExtProc struct {
	// Path is the place in the file.
	Path string
	// Target is the server's address; nil with Profiles.
	Target *Target
	// TLS tells how to encrypt towards Target; nil for plain text.
	TLS *TLS
	// Show is what Target is shown.
	Show Processing
	// Profiles are the candidates, in order: the first whose selector holds
	// runs. Nil with Target.
	Profiles []*Candidate
	// Authentication verifies the token that jwt selectors look at, before a
	// profile is chosen; nil for none.
	Authentication *Authentication
	// ListsModels answers every request with the models of its profile: F5's
	// schema v1/models.
	ListsModels bool
	// DropHeaders keeps the client's headers from the backend, but for those
	// that describe the body and x-request-id. Default false; true in F5's own
	// file.
	DropHeaders bool
	// PassUnreadable lets pass, unguarded, what the profile must read and cannot.
	// Default false: it is refused.
	PassUnreadable bool
	// FailOpen lets requests pass while the processing is unavailable.
	// Default false: they are answered with 500.
	FailOpen bool
	// FromGateway tells that the policy came from gatewayPolicies.
	FromGateway bool
}

// Candidate is a profile that may be chosen for a request.
type Candidate struct {
	// Path is the place in the file.
	Path    string
	Profile *Profile
	// Selector is of kind header or jwt; nil always holds.
	Selector *Selector
}

// Authentication is F5's policies[].authentication.
type Authentication struct {
	// Path is the place in the file.
	Path string
	// SigningKey is the content of jwtSigningKeyFile: a public key or
	// certificate in PEM, or a secret for the HS algorithms.
	SigningKey []byte
	// SigningKeyType is the algorithm of RFC 7518, such as ES256.
	SigningKeyType string
	// AllowUnverified reads tokens without verifying them, for a proxy in
	// front that has done so. Default false.
	AllowUnverified bool
}

// Target is a network address: a host with a port, or a unix socket.
type Target struct {
	// Host is a DNS name or an IP address without brackets; empty for a unix
	// socket.
	Host string
	Port uint16
	// Unix is the path of a unix socket.
	Unix string
}

// Backend is where requests go.
type Backend struct {
	// Path is the place in the file.
	Path string
	// Weight is the share of the requests; 0 means none. Default 1.
	Weight uint32
	// Target is the address, for AI backends that of the provider. It is zero for
	// those of which Service, Dynamic or Invalid is set.
	Target Target
	// Service is where requests go if it is set: one of its endpoints.
	Service *WorkloadService
	// Dynamic tells that each request says itself where it goes.
	Dynamic bool
	// Invalid tells that every request is answered 500.
	Invalid bool
	// Name tells the backends of a route apart: ai.name, name, or
	// backend<index>.
	Name string
	// TLS tells how to encrypt; nil for plain text.
	TLS *TLS
	// Credential is attached to every request, at CredentialAt; nil leaves the
	// client's.
	Credential   *Credential
	CredentialAt Location
	// Passthrough tells that the file asks for the client's credential to be
	// passed on. Default false.
	Passthrough bool
	// HTTP and TCP are how the backend is spoken to; their zero values are the
	// defaults.
	HTTP BackendHTTP
	TCP  BackendTCP
	// Eviction takes endpoints that fail out of service; nil for never.
	Eviction *Eviction
	// AI is set for backends of kind ai.
	AI *AI
	// RequestHeaders and ResponseHeaders change headers for this backend alone;
	// nil leaves them.
	RequestHeaders, ResponseHeaders *HeaderModifier
}

// TLS is how a backend is spoken to. The zero value verifies the name
// Target.Host with the system's roots.
type TLS struct {
	// Name is sent as the server name, and is what the certificate must be for: a
	// DNS name, or an IP address, which is not sent. Empty for Target.Host, or for
	// the request's host if Backend.Dynamic.
	Name string
	// SubjectAltNames are what the certificate must be for in place of Name: one
	// of these DNS names, IP addresses and URIs, which are what has "://". Empty
	// for Name.
	SubjectAltNames []string
	// Verification is how much of the certificate is verified.
	Verification Verification
	// ALPN are the protocols to offer. Empty for those that Envoy can speak.
	ALPN []string
	// KeyExchangeGroups are agentgateway's words for those that may be used.
	// Empty for Envoy's.
	KeyExchangeGroups []string
	// Root verifies the backend in place of the system's certificates; nil for
	// those.
	Root *Roots
	// Cert and Key are PEM with the client's certificate and private key;
	// absent for none. KeyRef names the key file.
	Cert []byte
	Key  *Credential
	// MinVersion is v1.2 or v1.3; empty for Envoy's default.
	MinVersion string
}

// Credential is a secret that authenticates us to a backend. It does not
// print, log or marshal its value.
type Credential struct {
	// Ref names the secret without telling it: env:NAME, file:/path, or
	// inline:<place> for one that is written in the file. Names and hashes are
	// made of it, never of the value.
	Ref string

	value string
}

// Reveal returns the secret itself. Only the code that hands it to Envoy may
// call it.
func (c *Credential) Reveal() string { return c.value }

// String returns Ref, so that no format verb shows the value.
func (c *Credential) String() string { return c.Ref }

// GoString returns Ref.
func (c *Credential) GoString() string { return c.Ref }

// NewCredential returns a credential whose value is known only to Reveal.
func NewCredential(ref, value string) *Credential {
	return &Credential{Ref: ref, value: value}
}

// Processor is an entry of F5's section "processors".
type Processor struct {
	Path string
	// Name is unique; steps refer to it.
	Name string
	// Type is the kind: reject, system-prompt, ….
	Type string
	// Config says where an external processor is.
	Config Raw
	// Params are the defaults for every step that runs this processor. Their
	// schema belongs to the kind.
	Params Raw
	// Timeout bounds one call; 0 for the service's default.
	Timeout time.Duration
	// FailureMode is what a failed step does, if the step's processor says so.
	FailureMode FailureMode
}

// FailureMode is what happens to a request when something that should look at
// it is unavailable.
type FailureMode int

const (
	// FailDefault leaves it to what stands above: processor, then profile,
	// then extProc, then failClosed.
	FailDefault FailureMode = iota
	// FailClosed refuses the request.
	FailClosed
	// FailOpen lets it pass.
	FailOpen
)

// Profile is an entry of F5's section "profiles": the chain that a route
// runs.
type Profile struct {
	Path string
	// Name is unique; extProc.profile refers to it.
	Name string
	// Models are those that clients may name, in file order; see ModelRule.
	Models    []string
	ModelRule ModelRule
	// InputStages run on the request, ResponseStages on the model's response,
	// in order.
	InputStages, ResponseStages []*Stage
	// Services choose the backend, the first whose selector holds; empty for
	// the route's weights.
	Services []*Service
	// Observe runs and records everything and enforces nothing.
	Observe bool
	// FailureMode is that of the steps whose processor has none.
	FailureMode FailureMode
}

// ModelRule is how a profile treats the model that a request names.
type ModelRule int

const (
	// ModelsUnchecked takes any model or none. It is ours, for a profile
	// without models.
	ModelsUnchecked ModelRule = iota
	// ModelsListed wants one of Profile.Models, and answers 404 otherwise.
	ModelsListed
	// ModelsForbidden wants no model, and answers 400 otherwise. It is F5's,
	// for a profile without models.
	ModelsForbidden
)

// Service is an entry of a profile that chooses a backend.
type Service struct {
	// Path is the place in the file.
	Path string
	// Name is that of a backend of the route that uses the profile.
	Name string
	// Selector is of kind tags or input.model; nil always holds.
	Selector *Selector
}

// Stage is a group of steps that run if the selector holds.
type Stage struct {
	Path string
	// Name labels the stage in logs and records.
	Name string
	// Selector is nil for a stage that always runs.
	Selector *Selector
	// Parallel runs the steps at the same time; they then must not modify.
	Parallel bool
	Steps    []*Step
}

// Selector is a condition on a set of strings: on how many of Values are in
// it.
type Selector struct {
	Path string
	// Kind tells which set.
	Kind SelectorKind
	// Operand is Any, All or None.
	Operand Operand
	// Key is the header, in lower case, or the claim.
	Key string
	// Values are compared byte by byte. Those of tags are "key:value" in lower
	// case.
	Values []string
}

// SelectorKind is F5's selector type.
type SelectorKind int

const (
	// SelectTags looks at the tags gathered so far.
	SelectTags SelectorKind = iota
	// SelectHeader looks at all values of the request header Key.
	SelectHeader
	// SelectJWT looks at the claim Key, every item of it if it is a list.
	SelectJWT
	// SelectInputModel looks at the model that the client named.
	SelectInputModel
)

// Operand tells how many of a selector's items must be present.
type Operand int

// OperandAny is F5's any and or (the default), OperandAll is all and and,
// OperandNone is none and not.
const (
	OperandAny Operand = iota
	OperandAll
	OperandNone
)

// Step runs one processor.
type Step struct {
	Path string
	// Processor is the one that the step's name refers to.
	Processor *Processor
	// Params replace the processor's, key by key.
	Params Raw
	// Timeout bounds the call; 0 for the processor's.
	Timeout time.Duration
	// Observe runs and records the step and enforces nothing.
	Observe bool
}
