package config

// The types of this file have the shape of the YAML: agentgateway's tree in
// the words of its releases v0.10 to v1.4, plus F5's processors and profiles.
// resolve.go turns them into the model.

type file struct {
	FrontendPolicies notYet `yaml:"frontendPolicies,notyet"`
	Services         notYet `yaml:"services,notyet"`
	Workloads        notYet `yaml:"workloads,notyet"`
	Backends         notYet `yaml:"backends,notyet"`
	LLM              notYet `yaml:"llm,notyet"`
	MCP              notYet `yaml:"mcp,notyet"`
	UI               notYet `yaml:"ui,notyet"`

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
	WorkerThreads                    notYet `yaml:"workerThreads,notyet"`
	ConnectionTerminationDeadline    notYet `yaml:"connectionTerminationDeadline,notyet"`
	ConnectionMinTerminationDeadline notYet `yaml:"connectionMinTerminationDeadline,notyet"`
	Backend                          notYet `yaml:"backend,notyet"`
	Logging                          notYet `yaml:"logging,notyet"`
	Tracing                          notYet `yaml:"tracing,notyet"`
	Metrics                          notYet `yaml:"metrics,notyet"`
	Histograms                       notYet `yaml:"histograms,notyet"`
	StandardAttributes               notYet `yaml:"standardAttributes,notyet"`
	SensitiveHeaders                 notYet `yaml:"sensitiveHeaders,notyet"`
	CustomFunctions                  notYet `yaml:"customFunctions,notyet"`
	Session                          notYet `yaml:"session,notyet"`
	MCP                              notYet `yaml:"mcp,notyet"`
	ModelCatalog                     notYet `yaml:"modelCatalog,notyet"`
	Database                         notYet `yaml:"database,notyet"`
	Storage                          notYet `yaml:"storage,notyet"`
	LocalXDSPath                     notYet `yaml:"localXdsPath,notyet"`
	Listener                         notYet `yaml:"listener,notyet"`
	CAAddress                        notYet `yaml:"caAddress,notyet"`
	CAAuthToken                      notYet `yaml:"caAuthToken,notyet"`
	XDSAddress                       notYet `yaml:"xdsAddress,notyet"`
	XDSAuthToken                     notYet `yaml:"xdsAuthToken,notyet"`
	SPIFFE                           notYet `yaml:"spiffe,notyet"`
	Namespace                        notYet `yaml:"namespace,notyet"`
	Gateway                          notYet `yaml:"gateway,notyet"`
	TrustDomain                      notYet `yaml:"trustDomain,notyet"`
	AdditionalTrustDomains           notYet `yaml:"additionalTrustDomains,notyet"`
	SkipValidateTrustDomain          notYet `yaml:"skipValidateTrustDomain,notyet"`
	ServiceAccount                   notYet `yaml:"serviceAccount,notyet"`
	ClusterID                        notYet `yaml:"clusterId,notyet"`
	Network                          notYet `yaml:"network,notyet"`
	HBONE                            notYet `yaml:"hbone,notyet"`

	AdminAddr     string   `yaml:"adminAddr"`
	StatsAddr     string   `yaml:"statsAddr"`
	ReadinessAddr string   `yaml:"readinessAddr"`
	EnableIPv6    *bool    `yaml:"enableIpv6"`
	DNS           *fileDNS `yaml:"dns"`
}

type fileDNS struct {
	EDNS0 notYet `yaml:"edns0,notyet"`

	LookupFamily string `yaml:"lookupFamily"`
}

type fileBind struct {
	Port      uint16         `yaml:"port,required"`
	Address   string         `yaml:"address"`
	Listeners []fileListener `yaml:"listeners,required"`
	// TunnelProtocol is what a connection begins with: direct is nothing, proxy
	// is a PROXY protocol header of version 2, which tells the address of the
	// client and is required.
	// Default: direct.
	// Envoy: the listener filter proxy_protocol.
	TunnelProtocol string `yaml:"tunnelProtocol" enum:"direct proxy" enumNotYet:"hboneWaypoint hboneGateway connect"`
	// Mode is standard for a port that is opened.
	// Default: standard.
	Mode string `yaml:"mode" enum:"standard" enumNotYet:"internal"`
}

type fileListener struct {
	Namespace notYet `yaml:"namespace,notyet"`

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
	MCPAuthorization  notYet `yaml:"mcpAuthorization,notyet"`
	MCPAuthentication notYet `yaml:"mcpAuthentication,notyet"`
	MCPGuardrails     notYet `yaml:"mcpGuardrails,notyet"`
	Authorization     notYet `yaml:"authorization,notyet"`
	A2A               notYet `yaml:"a2a,notyet"`
	LocalRateLimit    notYet `yaml:"localRateLimit,notyet"`
	RemoteRateLimit   notYet `yaml:"remoteRateLimit,notyet"`
	JWTAuth           notYet `yaml:"jwtAuth,notyet"`
	BasicAuth         notYet `yaml:"basicAuth,notyet"`
	APIKey            notYet `yaml:"apiKey,notyet"`
	OIDC              notYet `yaml:"oidc,notyet"`
	ExtAuthz          notYet `yaml:"extAuthz,notyet"`
	Transformations   notYet `yaml:"transformations,notyet"`
	BackendTunnel     notYet `yaml:"backendTunnel,notyet"`

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
	Route      notYet `yaml:"route,notyet"`
	RouteRule  notYet `yaml:"routeRule,notyet"`
	Service    notYet `yaml:"service,notyet"`
	Backend    notYet `yaml:"backend,notyet"`
	SubBackend notYet `yaml:"subBackend,notyet"`

	Gateway  string `yaml:"gateway"`
	Listener string `yaml:"listener"`
}

type fileGatewayActions struct {
	JWTAuth         notYet `yaml:"jwtAuth,notyet"`
	Transformations notYet `yaml:"transformations,notyet"`

	ExtProc *fileExtProc `yaml:"extProc"`
}

type fileBackend struct {
	Service  notYet `yaml:"service,notyet"`
	Backend  notYet `yaml:"backend,notyet"`
	Internal notYet `yaml:"internal,notyet"`
	Dynamic  notYet `yaml:"dynamic,notyet"`
	MCP      notYet `yaml:"mcp,notyet"`
	AWS      notYet `yaml:"aws,notyet"`
	Invalid  notYet `yaml:"invalid,notyet"`

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
	RequestRedirect  notYet `yaml:"requestRedirect,notyet"`
	Transformations  notYet `yaml:"transformations,notyet"`
	BackendTunnel    notYet `yaml:"backendTunnel,notyet"`
	Authorization    notYet `yaml:"authorization,notyet"`
	A2A              notYet `yaml:"a2a,notyet"`
	MCPAuthorization notYet `yaml:"mcpAuthorization,notyet"`
	MCPGuardrails    notYet `yaml:"mcpGuardrails,notyet"`
	ExtAuthz         notYet `yaml:"extAuthz,notyet"`
	HTTP             notYet `yaml:"http,notyet"`
	TCP              notYet `yaml:"tcp,notyet"`
	Health           notYet `yaml:"health,notyet"`
	InferenceRouting notYet `yaml:"inferenceRouting,notyet"`
	SessionAffinity  notYet `yaml:"sessionAffinity,notyet"`

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
	Hostname          notYet `yaml:"hostname,notyet"`
	Insecure          notYet `yaml:"insecure,notyet"`
	InsecureHost      notYet `yaml:"insecureHost,notyet"`
	ALPN              notYet `yaml:"alpn,notyet"`
	SubjectAltNames   notYet `yaml:"subjectAltNames,notyet"`
	KeyExchangeGroups notYet `yaml:"keyExchangeGroups,notyet"`
	SPIFFE            notYet `yaml:"spiffe,notyet"`

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
