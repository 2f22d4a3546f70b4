package config

// Config is a loaded file in one shape, whatever spelling it was written in.
// It is read-only: it is shared by every part of the program.
type Config struct {
	// File is the name under which the text was read; it begins every error.
	File string
	// Process holds the settings that are read once, at start.
	Process Process
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

	root *node
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
}

// Listener is one hostname on one port.
type Listener struct {
	// Path is the place in the file, such as binds[0].listeners[0].
	Path string
	// Name is the user's, or listener<index> as agentgateway has it.
	Name string
	// GatewayName is what gatewayPolicies name as their target. Default
	// bind/<port>.
	GatewayName string
	// Port is the TCP port, 1 to 65535.
	Port uint16
	// Hostname is exact, *.suffix, or empty for every host.
	Hostname string
	// ExtProc is the external processing that a gateway policy attaches to
	// this listener, or nil. Routes without their own have it already in
	// Route.ExtProc; what is left for it are requests that match no route.
	ExtProc *ExtProc
	// Routes are in file order; the translator sorts their matches.
	Routes []*Route
}

// Route sends the requests that one of its matches accepts to its backends.
type Route struct {
	// Path is the place in the file, such as binds[0].listeners[0].routes[2].
	Path string
	// Name is the user's, or one derived from hostnames and matches, so that
	// it survives edits elsewhere. It is unique within the listener.
	Name string
	// Index is the position in the file's list: agentgateway's last tie-breaks
	// compare the name route<Index>.
	Index int
	// Named tells whether the user gave the name.
	Named bool
	// Hostnames are exact or *.suffix; empty means any host.
	Hostnames []string
	// Matches are alternatives. There is always at least one.
	Matches []Match
	// ExtProc is the external processing in force: the route's own, or else
	// that of the gateway; nil if there is none.
	ExtProc *ExtProc
	// Backends share the requests by weight. None: 500 "no valid backends".
	Backends []*Backend
}

// Match is one set of conditions that must all hold.
type Match struct {
	Path    PathMatch
	Method  string
	Headers []ValueMatch
	Query   []ValueMatch
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
// (Target) or a chain of ours (Profile).
type ExtProc struct {
	// Path is the place in the file.
	Path string
	// Target is the server's address; nil with Profile.
	Target *Target
	// Profile is the profile in force; nil with Target.
	Profile *Profile
	// FailOpen lets requests pass while the processing is unavailable.
	// Default false: they are answered with 500.
	FailOpen bool
	// FromGateway tells that the policy came from gatewayPolicies.
	FromGateway bool
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
	// Target is the address, for AI backends that of the provider.
	Target Target
	// TLS tells to encrypt and to verify the name Target.Host with the
	// system's roots.
	TLS bool
	// Credential is attached to every request; nil leaves the client's.
	Credential *Credential
	// AI is set for backends of kind ai.
	AI *AI
}

// AI holds the settings of a model provider. They never fail open.
type AI struct {
	// Name is the user's name of the backend; may be empty.
	Name string
	// Provider is agentgateway's word for the API: openAI.
	Provider string
	// Model replaces the model that the client asks for; empty keeps it.
	Model string
	// UpstreamPath is the path of the provider's API, such as
	// /v1/chat/completions.
	UpstreamPath string
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
}

// Profile is an entry of F5's section "profiles": the chain that a route
// runs.
type Profile struct {
	Path string
	// Name is unique; extProc.profile refers to it.
	Name string
	// InputStages run on the request, in order.
	InputStages []*Stage
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

// Selector is a condition over the tags gathered so far.
type Selector struct {
	Path string
	// Operand is Any, All or None.
	Operand Operand
	// Tags are "key:value", lower-cased.
	Tags []string
}

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
}
