package config

// The types of this file have the shape of the YAML: agentgateway's tree in
// the words of its releases v0.10 to v1.4, plus F5's processors and profiles.
// resolve.go turns them into the model.

type file struct {
	// FrontendPolicies are settings for the connections of clients, for access logs
	// and for traces.
	FrontendPolicies *fileFrontendPolicies `yaml:"frontendPolicies"`
	// Services are services as a mesh knows them.
	Services []fileMeshService `yaml:"services,notyet"`
	// Workloads are the endpoints of services.
	Workloads []fileMeshWorkload `yaml:"workloads,notyet"`
	Backends  notYet             `yaml:"backends,notyet"`
	// LLM is a gateway that is organised by models.
	LLM *fileLLM `yaml:"llm,notyet"`
	// MCP is one MCP server, made of several.
	MCP *fileMCP `yaml:"mcp,notyet"`
	// UI serves agentgateway's user interface.
	UI *fileUI `yaml:"ui,notyet"`

	Config *fileConfig `yaml:"config"`
	Binds  []fileBind  `yaml:"binds"`
	// Gateways are named ports: v1.4's way to write binds.
	// Envoy: a listener each.
	Gateways map[string]fileGateway `yaml:"gateways"`
	// Routes belong to the gateways that they name. The order does not matter;
	// see matches.
	Routes []fileAttachedRoute `yaml:"routes"`
	// TCPRoutes belong to the gateways that they name, which speak TCP or TLS.
	TCPRoutes []fileAttachedTCPRoute `yaml:"tcpRoutes"`
	// RouteGroups are routes that other routes hand their requests to.
	RouteGroups []fileRouteGroup `yaml:"routeGroups"`
	// Policies are attached to what they name as their target. A route's own
	// policy of the same kind wins, then what targets the rule, the route, the
	// listener and the gateway.
	Policies        []fileTargetedPolicy `yaml:"policies"`
	GatewayPolicies []fileGatewayPolicy  `yaml:"gatewayPolicies"`
	Processors      []fileProcessor      `yaml:"processors"`
	Profiles        []fileProfile        `yaml:"profiles"`
}

type fileConfig struct {
	// ConnectionTerminationDeadline bounds how long connections are
	// waited for at the end of the process.
	// Default: 5s.
	ConnectionTerminationDeadline fileSpan `yaml:"connectionTerminationDeadline,notyet"`
	// ConnectionMinTerminationDeadline is how long they are waited for at
	// least.
	// Default: 0s.
	ConnectionMinTerminationDeadline fileSpan `yaml:"connectionMinTerminationDeadline,notyet"`
	// Tracing is how traces were set before frontendPolicies.tracing.
	Tracing *fileProcessTracing `yaml:"tracing,notyet"`
	// Metrics changes what is counted.
	Metrics *fileMetrics `yaml:"metrics,notyet"`
	// StandardAttributes say who made a request.
	StandardAttributes *fileStandardAttributes `yaml:"standardAttributes,notyet"`
	// SensitiveHeaders are headers whose values are not shown.
	// Default: none.
	SensitiveHeaders []string `yaml:"sensitiveHeaders,notyet"`
	// CustomFunctions are functions for expressions, in CEL.
	// Default: none.
	CustomFunctions string `yaml:"customFunctions,notyet"`
	// Session protects the sessions of MCP clients.
	Session *fileSession `yaml:"session,notyet"`
	// MCP are settings for MCP clients.
	MCP *fileProcessMCP `yaml:"mcp,notyet"`
	// ModelCatalog tells what models cost.
	ModelCatalog *[]fileCatalogSource `yaml:"modelCatalog,notyet"`
	// Database is where requests are logged.
	Database *fileDatabase `yaml:"database,notyet"`
	// LocalXDSPath is another file, with the rest of the configuration.
	LocalXDSPath string `yaml:"localXdsPath,notyet"`
	// CAAddress is the certificate authority of a mesh.
	CAAddress string `yaml:"caAddress,notyet"`
	// CAAuthToken is the token for it, or the path of its file.
	CAAuthToken fileSecret `yaml:"caAuthToken,notyet"`
	// XDSAddress is the control plane of a mesh.
	XDSAddress string `yaml:"xdsAddress,notyet"`
	// XDSAuthToken is the token for it, or the path of its file.
	XDSAuthToken fileSecret `yaml:"xdsAuthToken,notyet"`
	// SPIFFE is where identities come from.
	SPIFFE *fileSPIFFE `yaml:"spiffe,notyet"`
	// Namespace is the gateway's namespace in Kubernetes.
	Namespace string `yaml:"namespace,notyet"`
	// Gateway is the gateway's name in Kubernetes.
	Gateway string `yaml:"gateway,notyet"`
	// TrustDomain is the trust domain of the gateway's identity.
	TrustDomain string `yaml:"trustDomain,notyet"`
	// AdditionalTrustDomains are trusted too, separated by commas.
	AdditionalTrustDomains string `yaml:"additionalTrustDomains,notyet"`
	// SkipValidateTrustDomain trusts identities of any domain.
	SkipValidateTrustDomain *bool `yaml:"skipValidateTrustDomain,notyet"`
	// ServiceAccount is the account of the gateway's identity.
	ServiceAccount string `yaml:"serviceAccount,notyet"`
	// ClusterID is the cluster that the gateway is in.
	ClusterID string `yaml:"clusterId,notyet"`
	// Network is the network that the gateway is in.
	Network string `yaml:"network,notyet"`
	// HBONE are settings for the tunnels of a mesh.
	HBONE *fileHBONE `yaml:"hbone,notyet"`

	AdminAddr     string   `yaml:"adminAddr"`
	StatsAddr     string   `yaml:"statsAddr"`
	ReadinessAddr string   `yaml:"readinessAddr"`
	EnableIPv6    *bool    `yaml:"enableIpv6"`
	DNS           *fileDNS `yaml:"dns"`
	// Backend are settings for the connections to all backends.
	Backend *fileProcessBackend `yaml:"backend"`
	// Listener is how releases up to 0.10 wrote frontendPolicies.http and
	// frontendPolicies.tls.
	Listener *fileProcessListener `yaml:"listener"`
	// Logging is the log of the process. The flags --log-level and --log-format
	// win over it.
	// Differs: RUST_LOG is not read.
	Logging *fileLogging `yaml:"logging"`
	// WorkerThreads is the number of Envoy's threads, or a share of the
	// processors such as 50%. The variable WORKER_THREADS wins over it, and the
	// flag --concurrency over both.
	// Default: one for each processor.
	// Envoy: --concurrency.
	// Differs: it is for attache run; an Envoy that joins by itself has a
	// --concurrency of its own.
	WorkerThreads fileScalar `yaml:"workerThreads"`
	// Histograms is the form of histograms.
	// Default: classic.
	Histograms string `yaml:"histograms" enum:"classic" enumNotYet:"native both"`
	// Storage is where edits in agentgateway's user interface go. It has no
	// effect: Attaché has no user interface that edits the file.
	Storage *fileStorage `yaml:"storage"`
}

type fileDNS struct {
	// EDNS0 allows long answers from name servers.
	EDNS0 *bool `yaml:"edns0,notyet"`

	LookupFamily string `yaml:"lookupFamily"`
}

type fileBind struct {
	Port      uint16         `yaml:"port,required"`
	Address   string         `yaml:"address"`
	Listeners []fileListener `yaml:"listeners,required"`
	// TunnelProtocol is what a connection begins with: direct is nothing, proxy
	// is a PROXY protocol header, which tells the address of the client: of
	// version 2 and required, unless frontendPolicies.proxyProtocol says otherwise.
	// Default: direct.
	// Envoy: the listener filter proxy_protocol.
	TunnelProtocol string `yaml:"tunnelProtocol" enum:"direct proxy" enumNotYet:"hboneWaypoint hboneGateway connect"`
	// Mode is standard for a port that is opened.
	// Default: standard.
	Mode string `yaml:"mode" enum:"standard" enumNotYet:"internal"`
}

type fileListener struct {
	// Namespace is the namespace of the listener's name.
	Namespace string `yaml:"namespace,notyet"`

	Name        string `yaml:"name"`
	GatewayName string `yaml:"gatewayName"`
	Hostname    string `yaml:"hostname"`
	// Protocol is what clients speak: HTTP and HTTPS requests go by routes, TCP
	// and TLS connections by tcpRoutes. TLS with tls ends the encryption here;
	// without it, connections pass through as they are. The listeners of a port
	// are all HTTP, all HTTPS or TLS, or one of TCP. On a port with TLS, the
	// name that the client asks for by SNI chooses the listener.
	// Default: HTTP.
	// Envoy: a filter chain for each name, with http_connection_manager or
	// tcp_proxy. HTTPS answers 421 to a request whose Host belongs to another
	// listener of the port.
	Protocol string `yaml:"protocol" enum:"HTTP HTTPS TLS TCP" enumNotYet:"HBONE"`
	// TLS holds the certificate: required for HTTPS, optional for TLS.
	TLS    *fileServerTLS `yaml:"tls"`
	Routes []fileRoute    `yaml:"routes"`
	// TCPRoutes say where connections go. Required for TCP and TLS; [] closes
	// every connection.
	TCPRoutes []fileTCPRoute `yaml:"tcpRoutes"`
	// Policies run before a route is chosen.
	Policies *fileGatewayPhase `yaml:"policies"`
}

type fileRoute struct {
	// Name labels the route in access logs and statistics, and is what policies
	// refer to.
	// Default: derived from hostnames and matches, so that it survives edits
	// elsewhere; policies find it as route<index>.
	// Differs: a second route of this name on one listener is an error;
	// agentgateway silently drops the first.
	Name string `yaml:"name"`
	// Namespace is a part of the name.
	// Default: default.
	Namespace string `yaml:"namespace"`
	// RuleName is a part of the name by which policies refer to the route.
	// Default: default.
	RuleName string `yaml:"ruleName"`

	Hostnames []string      `yaml:"hostnames"`
	Matches   []fileMatch   `yaml:"matches"`
	Policies  *filePolicies `yaml:"policies"`
	Backends  []fileBackend `yaml:"backends"`
}

type fileMatch struct {
	Path    *filePath        `yaml:"path"`
	Method  string           `yaml:"method"`
	Headers []fileValueMatch `yaml:"headers"`
	Query   []fileValueMatch `yaml:"query"`
}

type filePath struct {
	Exact      *string `yaml:"exact"`
	PathPrefix *string `yaml:"pathPrefix"`
	// Regex matches the whole path, in RE2's syntax. Early releases had a list of
	// the expression and its length.
	// Envoy: safe_regex.
	// Differs: a|ab matches /ab; agentgateway's first match would be the shorter.
	Regex *filePattern `yaml:"regex"`
}

// filePattern is a string, or the early releases' list of it and a number.
type filePattern string

func (f *filePattern) decodeNode(d *decoder, n *node) {
	if n.kind == sequenceNode && len(n.children) == 2 && n.children[1].tag == "!!int" {
		n = n.children[0]
	}
	d.decode(n, (*string)(f))
}

type fileValueMatch struct {
	Name  string    `yaml:"name,required"`
	Value fileValue `yaml:"value,required"`
}

type fileValue struct {
	Exact *string `yaml:"exact"`
	Regex *string `yaml:"regex"`
}

type filePolicies struct {
	// MCPAuthorization decides by rules which tools, prompts and resources an
	// MCP client may use.
	MCPAuthorization *fileAuthorization `yaml:"mcpAuthorization,notyet"`
	// MCPAuthentication is OAuth for MCP clients.
	MCPAuthentication *fileMCPAuthentication `yaml:"mcpAuthentication,notyet"`
	// MCPGuardrails has processors look at what MCP clients and servers say.
	MCPGuardrails *fileMCPGuardrails `yaml:"mcpGuardrails,notyet"`
	// Authorization decides by rules who may pass.
	Authorization *fileAuthorization `yaml:"authorization,notyet"`
	// A2A treats the traffic as that of agents.
	A2A *fileEmpty `yaml:"a2a,notyet"`
	// LocalRateLimit limits requests by buckets that all clients share.
	LocalRateLimit *fileLocalRateLimit `yaml:"localRateLimit,notyet"`
	// RemoteRateLimit asks a rate limit service.
	RemoteRateLimit *conditional[fileRemoteRateLimit] `yaml:"remoteRateLimit,notyet"`
	// JWTAuth verifies the client's token.
	JWTAuth *fileJWTAuth `yaml:"jwtAuth,notyet"`
	// BasicAuth asks clients for a name and a password.
	BasicAuth *fileBasicAuth `yaml:"basicAuth,notyet"`
	// APIKey asks clients for a key.
	APIKey *fileAPIKeys `yaml:"apiKey,notyet"`
	// OIDC logs browsers in.
	OIDC *fileOIDC `yaml:"oidc,notyet"`
	// ExtAuthz asks a service who may pass.
	ExtAuthz *conditional[fileExtAuthz] `yaml:"extAuthz,notyet"`
	// Transformations edit requests and responses by expressions.
	Transformations *conditional[fileTransformations] `yaml:"transformations,notyet"`
	// BackendTunnel reaches backends through a proxy.
	BackendTunnel *fileTunnel `yaml:"backendTunnel,notyet"`

	// CORS answers browsers that ask whether a script may use this route, before
	// any other policy runs, and tells them with every response.
	// Default: browsers are told nothing.
	CORS *fileCORS `yaml:"cors"`
	// CSRF refuses requests that a page of another origin made a browser send.
	// Default: none are refused.
	CSRF *fileCSRF `yaml:"csrf"`
	// DirectResponse answers every request in place of a backend.
	// Default: the backends answer.
	DirectResponse *fileDirectResponse `yaml:"directResponse"`

	ExtProc *fileExtProc `yaml:"extProc"`
	Timeout *fileTimeout `yaml:"timeout"`
	// AI sets what is done to the requests of ai backends. Its fields are merged
	// one by one: those of the backend win over those of the route.
	// Differs: nothing is done for token counts: streams are not asked for their
	// usage, and a request without a model is 400 only where a body is changed.
	AI *fileAIPolicy `yaml:"ai"`
	// BackendAuth is how we authenticate to the backend.
	// Default: what the client sent is passed on.
	BackendAuth *fileBackendAuth `yaml:"backendAuth"`
	BackendTLS  *fileBackendTLS  `yaml:"backendTLS"`

	// RequestHeaderModifier changes headers of requests: it adds, then sets,
	// then removes. Values are literal.
	// Envoy: header_mutation.
	RequestHeaderModifier *fileHeaderModifier `yaml:"requestHeaderModifier"`
	// ResponseHeaderModifier changes headers of responses in the same way,
	// before extProc sees them, also of those that the gateway itself gives for
	// the route.
	// Envoy: header_mutation.
	// Differs: it also applies where an earlier policy of the route has refused
	// the request.
	ResponseHeaderModifier *fileHeaderModifier `yaml:"responseHeaderModifier"`
	// RequestRedirect answers with a redirect; backends are not asked.
	// Envoy: a direct_response with the header location.
	RequestRedirect *fileRedirect `yaml:"requestRedirect"`
	// URLRewrite changes the path and the Host that the backend sees.
	// Envoy: regex_rewrite; host_rewrite_literal or host_rewrite.
	URLRewrite *fileRewrite `yaml:"urlRewrite"`
	// RequestMirror sends copies of requests to another backend.
	// Envoy: request_mirror_policies.
	// Differs: the copies have the body too, and the path of an ai backend; they say
	// x-envoy-internal, and name the gateway in x-forwarded-for.
	RequestMirror *fileMirror `yaml:"requestMirror"`
	// Retry sends failed requests again, if their bodies have at most 64 KiB.
	// Envoy: retry_policy.
	Retry *fileRetry `yaml:"retry"`
	// Delay lets requests wait before they are sent on.
	// Envoy: fault.
	Delay *fileDelay `yaml:"delay"`
	// Buffer holds bodies until they are complete.
	// Envoy: buffer.
	Buffer *fileBuffer `yaml:"buffer"`
}

type fileGatewayPolicy struct {
	Name   string             `yaml:"name"`
	Target fileTarget         `yaml:"target,required"`
	Policy fileGatewayActions `yaml:"policy,required"`
}

type fileTarget struct {
	// Route is a route.
	Route string `yaml:"route,notyet"`
	// RouteRule is <route>/<rule>.
	RouteRule string `yaml:"routeRule,notyet"`
	// Service is <namespace>/<hostname>.
	Service string `yaml:"service,notyet"`
	// Backend is a backend.
	Backend string `yaml:"backend,notyet"`
	// SubBackend is <backend>/<provider>.
	SubBackend string `yaml:"subBackend,notyet"`

	Gateway  string `yaml:"gateway"`
	Listener string `yaml:"listener"`
}

type fileGatewayActions struct {
	// JWTAuth verifies the client's token.
	JWTAuth *fileJWTAuth `yaml:"jwtAuth,notyet"`
	// Transformations edit requests and responses by expressions.
	Transformations *conditional[fileTransformations] `yaml:"transformations,notyet"`

	ExtProc *fileExtProc `yaml:"extProc"`
}

type fileBackend struct {
	_ struct{} `word:"invalid"`

	// Service names an entry of the section services.
	Service *fileServiceRef `yaml:"service,notyet"`
	// Backend names an entry of the section backends, as /name.
	Backend string `yaml:"backend,notyet"`
	// Internal is the administration of the process: forward keeps the path,
	// another path takes its place.
	Internal string `yaml:"internal,notyet"`
	// Dynamic sends requests to where they themselves say.
	Dynamic *fileDynamic `yaml:"dynamic,notyet"`
	// MCP joins MCP servers into one.
	MCP *fileMCPBackend `yaml:"mcp,notyet"`
	// AWS is a service of Amazon's.
	AWS *fileAWSBackend `yaml:"aws,notyet"`
	// Invalid answers every request with an error.
	Invalid *fileEmpty `yaml:"invalid,notyet"`

	Weight *uint32 `yaml:"weight"`
	Name   string  `yaml:"name"` // ours, for services
	Host   string  `yaml:"host"`
	// RouteGroup hands the route's requests to a group; it is then the only
	// backend.
	// Envoy: routes that match what both match.
	RouteGroup string               `yaml:"routeGroup"`
	AI         *fileAI              `yaml:"ai"`
	Policies   *fileBackendPolicies `yaml:"policies"`
}

type fileBackendPolicies struct {
	// RequestRedirect answers with a redirect.
	RequestRedirect *fileRedirect `yaml:"requestRedirect,notyet"`
	// Transformations edit requests and responses by expressions.
	Transformations *fileTransformations `yaml:"transformations,notyet"`
	// BackendTunnel reaches backends through a proxy.
	BackendTunnel *fileTunnel `yaml:"backendTunnel,notyet"`
	// Authorization decides by rules who may pass.
	Authorization *fileAuthorization `yaml:"authorization,notyet"`
	// A2A treats the traffic as that of agents.
	A2A *fileEmpty `yaml:"a2a,notyet"`
	// MCPAuthorization decides by rules which tools, prompts and resources an
	// MCP client may use.
	MCPAuthorization *fileAuthorization `yaml:"mcpAuthorization,notyet"`
	// MCPGuardrails has processors look at what MCP clients and servers say.
	MCPGuardrails *fileMCPGuardrails `yaml:"mcpGuardrails,notyet"`
	// ExtAuthz asks a service who may pass.
	ExtAuthz *fileExtAuthz `yaml:"extAuthz,notyet"`
	// HTTP sets the version of HTTP and a time limit.
	HTTP *fileBackendHTTP `yaml:"http,notyet"`
	// TCP sets probes and the time for connecting.
	TCP *fileBackendTCP `yaml:"tcp,notyet"`
	// Health takes endpoints out of service by what they answer.
	Health *fileHealth `yaml:"health,notyet"`
	// InferenceRouting asks an endpoint picker where a request goes.
	InferenceRouting *fileInferenceRouting `yaml:"inferenceRouting,notyet"`
	// SessionAffinity sends requests with equal values to the same
	// endpoint.
	SessionAffinity *fileSessionAffinity `yaml:"sessionAffinity,notyet"`

	// AI sets what is done to the requests of ai backends. Its fields are merged
	// one by one: those of the backend win over those of the route.
	// Differs: nothing is done for token counts: streams are not asked for their
	// usage, and a request without a model is 400 only where a body is changed.
	AI *fileAIPolicy `yaml:"ai"`
	// BackendAuth is how we authenticate to the backend.
	// Default: what the client sent is passed on.
	BackendAuth *fileBackendAuth `yaml:"backendAuth"`
	BackendTLS  *fileBackendTLS  `yaml:"backendTLS"`

	// RequestHeaderModifier changes headers of the requests that go to this
	// backend, after the policies of the route.
	// Envoy: header_mutation.
	// Differs: not where a profile chooses the backend.
	RequestHeaderModifier *fileHeaderModifier `yaml:"requestHeaderModifier"`
	// ResponseHeaderModifier changes headers of what this backend answers, after
	// that of the route and before extProc sees them.
	// Envoy: header_mutation.
	// Differs: not where a profile chooses the backend; it also applies where a
	// policy of the route has refused a request that was to go to this backend.
	ResponseHeaderModifier *fileHeaderModifier `yaml:"responseHeaderModifier"`
}

type fileBackendTLS struct {
	// Hostname is the name to ask for and to verify.
	// Default: the host.
	Hostname string `yaml:"hostname,notyet"`
	// Insecure does not verify the certificate.
	// Default: false.
	Insecure bool `yaml:"insecure,notyet"`
	// InsecureHost does not verify the name.
	// Default: false.
	InsecureHost bool `yaml:"insecureHost,notyet"`
	// ALPN are the protocols to offer.
	ALPN *[]string `yaml:"alpn,notyet"`
	// SubjectAltNames are further names that the certificate may have.
	SubjectAltNames *[]string `yaml:"subjectAltNames,notyet"`
	// KeyExchangeGroups are those that are allowed.
	KeyExchangeGroups *[]string `yaml:"keyExchangeGroups,notyet" enum:"X25519 P-256 P-384 X25519_MLKEM768"`
	// SPIFFE verifies an identity in place of a name.
	SPIFFE *fileEmpty `yaml:"spiffe,notyet"`

	Root       string `yaml:"root"`
	Cert       string `yaml:"cert"`
	Key        string `yaml:"key"`
	MinVersion string `yaml:"minVersion"` // ours
}

// The types of F5's two sections serve F5's own file as well. Timeout, failureMode
// and mode are ours.

type fileProcessor struct {
	Name        string       `yaml:"name,required"`
	Type        string       `yaml:"type,required"`
	Config      Raw          `yaml:"config"`
	Params      Raw          `yaml:"params"`
	Timeout     fileDuration `yaml:"timeout"`
	FailureMode string       `yaml:"failureMode"`
}

type fileProfile struct {
	_ struct{} `refused:"outputStages"`

	Name           string          `yaml:"name,required"`
	Models         []fileModel     `yaml:"models"`
	InputStages    []fileStage     `yaml:"inputStages"`
	Services       []fileService   `yaml:"services"`
	ResponseStages []fileStage     `yaml:"responseStages"`
	Limits         []Raw           `yaml:"limits"`
	Concurrency    fileConcurrency `yaml:"concurrency"`
	Mode           string          `yaml:"mode"`
	FailureMode    string          `yaml:"failureMode"`
}

type fileModel struct {
	Name string `yaml:"name,required"`
}

type fileService struct {
	Name     string        `yaml:"name,required"`
	Selector *fileSelector `yaml:"selector"`
}

type fileStage struct {
	Name        string          `yaml:"name,required"`
	Selector    *fileSelector   `yaml:"selector"`
	Concurrency fileConcurrency `yaml:"concurrency"`
	Steps       []fileStep      `yaml:"steps,required"`
}

// fileConcurrency is "parallel", or 0 for one step after the other, as F5's log
// prints it.
type fileConcurrency string

func (c *fileConcurrency) decodeNode(d *decoder, n *node) {
	switch {
	case n.isNull():
	case n.kind == scalarNode && (n.value == "parallel" || n.value == "0"):
		*c = fileConcurrency(n.value)
	default:
		d.errorf(n, Invalid, "expected parallel, or no concurrency at all for one step after the other")
	}
}

type fileSelector struct {
	Type    string   `yaml:"type"`
	Operand string   `yaml:"operand"`
	Key     string   `yaml:"key"`
	Values  []string `yaml:"values"`
	Tags    []string `yaml:"tags"`
}

type fileStep struct {
	_ struct{} `refused:"selector"`

	Name    string       `yaml:"name,required"`
	Params  Raw          `yaml:"params"`
	Timeout fileDuration `yaml:"timeout"`
	Mode    string       `yaml:"mode"`
}
