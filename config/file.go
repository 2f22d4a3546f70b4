package config

// The types of this file have the shape of the YAML: agentgateway's tree in
// the words of its releases v0.10 to v1.4, plus F5's processors and profiles.
// resolve.go turns them into the model.

// file is the whole document.
type file struct {
	// FrontendPolicies are settings for the connections of clients, for access logs
	// and for traces.
	FrontendPolicies *fileFrontendPolicies `yaml:"frontendPolicies"`
	// LLM is a gateway that is organised by models.
	LLM *fileLLM `yaml:"llm,notyet"`
	// MCP is one MCP server, made of several.
	MCP *fileMCP `yaml:"mcp,notyet"`
	// UI serves agentgateway's user interface.
	UI *fileUI `yaml:"ui,notyet"`

	// Config holds settings of the process itself, which are read once, at start.
	Config *fileConfig `yaml:"config"`
	// Binds are the ports that Envoy listens on.
	// Envoy: each is a listener, listener/<port>, with a route table, routes/<port>.
	Binds []fileBind `yaml:"binds"`
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
	// Backends are what backends of routes can refer to by name.
	// Envoy: clusters.
	Backends []fileNamedBackend `yaml:"backends"`
	// Services are groups of workloads, for backends of kind service.
	// Envoy: clusters.
	Services []fileWorkloadService `yaml:"services"`
	// Workloads are the endpoints of services.
	Workloads []fileWorkload `yaml:"workloads"`
	// Policies are attached to what they name as their target. A route's own
	// policy of the same kind wins, then what targets the rule, the route, the
	// listener and the gateway.
	Policies []fileTargetedPolicy `yaml:"policies"`
	// GatewayPolicies attach policies to whole gateways or listeners, as in v0.10.
	// Envoy: the filters of the routes that have none of their own, and of the 404.
	// Differs: a route's extProc replaces the gateway's, as the v0.10 guide says;
	// released agentgateways run both.
	GatewayPolicies []fileGatewayPolicy `yaml:"gatewayPolicies"`
	// Processors are F5's: what may run in a profile. A step names one of them.
	// Differs: F5's section; agentgateway has none.
	Processors []fileProcessor `yaml:"processors"`
	// Profiles are F5's: chains of steps, which look at requests and responses.
	// extProc names the one that runs.
	// Differs: F5's section; agentgateway has none.
	Profiles []fileProfile `yaml:"profiles"`
}

// fileConfig holds settings of the process. Edits take effect at the next start,
// and the log says so.
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

	// AdminAddr is where status and decision records are served: ip:port,
	// localhost:port, unix:/path or off. $ADMIN_ADDR wins over it.
	// Default: localhost:15000.
	AdminAddr string `yaml:"adminAddr"`
	// StatsAddr is where Prometheus metrics are served, at /metrics and
	// /stats/prometheus. $STATS_ADDR wins over it.
	// Default: 0.0.0.0:15020.
	StatsAddr string `yaml:"statsAddr"`
	// ReadinessAddr is where /healthz/ready is served. $READINESS_ADDR wins over it.
	// Default: 0.0.0.0:15021.
	ReadinessAddr string `yaml:"readinessAddr"`
	// EnableIPv6 makes listeners dual-stack and lets names of backends have IPv6
	// addresses. $IPV6_ENABLED wins over it.
	// Default: true.
	// Envoy: the address of each listener, [::] with ipv4_compat or 0.0.0.0.
	EnableIPv6 *bool `yaml:"enableIpv6"`
	// DNS tells how names of backends are resolved.
	DNS *fileDNS `yaml:"dns"`
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

// fileDNS tells how names of backends are resolved.
type fileDNS struct {
	// EDNS0 allows long answers from name servers.
	EDNS0 *bool `yaml:"edns0,notyet"`

	// LookupFamily tells which kinds of addresses are asked for. Auto is V4Preferred
	// with IPv6, and V4Only without. $DNS_LOOKUP_FAMILY wins over it.
	// Default: Auto.
	// Envoy: dns_lookup_family of each cluster.
	LookupFamily string `yaml:"lookupFamily" words:"All Auto V4Preferred V4Only V6Only"`
}

// fileBind is one port.
type fileBind struct {
	// Port is the TCP port, from 1 to 65535, once in the file.
	// Envoy: the address of the listener.
	Port uint16 `yaml:"port,required"`
	// Address is the one IP address to listen on, or localhost.
	// Default: every address of the machine.
	// Envoy: the address of the listener.
	// Differs: Attaché's own.
	Address string `yaml:"address"`
	// Listeners share the port and differ by hostname. The most specific one takes a
	// request.
	// Envoy: virtual hosts of the port's route table.
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

// fileListener is one hostname on a port.
type fileListener struct {
	// Namespace is the namespace of the listener's name.
	Namespace string `yaml:"namespace,notyet"`

	// Name labels the listener, and is unique on its port.
	// Default: listener<index>.
	Name string `yaml:"name"`
	// GatewayName is what gatewayPolicies name as their target.
	// Default: bind/<port>, which is also found as default.
	// Differs: agentgateway had this key up to v0.11.0.
	GatewayName string `yaml:"gatewayName"`
	// Hostname is the host that the listener takes: an exact name, or *.example.com
	// for every name below.
	// Default: every host.
	// Envoy: the domains of its virtual hosts. Ports in the Host header do not
	// count.
	Hostname string `yaml:"hostname"`
	// Protocol is what clients speak: HTTP and HTTPS requests go by routes, TCP
	// and TLS connections by tcpRoutes. TLS with tls ends the encryption here;
	// without it, connections pass through as they are. The listeners of a port
	// are all HTTP, all HTTPS or TLS, or one of TCP. On a port with TLS, the
	// name that the client asks for by SNI chooses the listener.
	// Default: HTTP.
	// Envoy: a filter chain for each name, with http_connection_manager or
	// tcp_proxy. HTTPS answers 421 to a request whose Host belongs to another
	// listener of the port.
	Protocol string `yaml:"protocol" enum:"HTTP HTTPS TLS TCP" enumNotYet:"HBONE auto"`
	// TLS holds the certificate: required for HTTPS, optional for TLS.
	TLS *fileServerTLS `yaml:"tls"`
	// Routes tell which requests go where. A listener without them answers 404.
	// Envoy: the routes of its virtual hosts, in agentgateway's order of precedence.
	// Differs: agentgateway refuses a listener without routes.
	Routes []fileRoute `yaml:"routes"`
	// TCPRoutes say where connections go. Required for TCP and TLS; [] closes
	// every connection.
	TCPRoutes []fileTCPRoute `yaml:"tcpRoutes"`
	// Policies run before a route is chosen.
	Policies *fileGatewayPhase `yaml:"policies"`
}

// fileRoute sends the requests that one of its matches accepts to its backends.
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

	// Hostnames are the hosts of the route: exact names or *.example.com. More
	// specific ones come first, and a request that none of their routes matches
	// falls through to less specific ones.
	// Default: every host of the listener.
	// Envoy: a virtual host for each, which repeats the routes of the less specific
	// ones.
	Hostnames []string `yaml:"hostnames"`
	// Matches are alternatives. An exact path comes before the others, then the
	// longer pattern, a method, more headers, more query parameters, and the name of
	// the route.
	// Default: the path prefix /.
	// Envoy: a route for each, sorted.
	Matches []fileMatch `yaml:"matches"`
	// Policies are what is done with the requests of the route.
	// Envoy: the filters of the route's own chain, so that an edit drains no
	// connection.
	Policies *filePolicies `yaml:"policies"`
	// Backends are where requests go. They share them by weight. Without one the
	// answer is 500, no valid backends.
	// Envoy: a cluster for each.
	Backends []fileBackend `yaml:"backends"`
}

// fileMatch is a set of conditions that must all hold.
type fileMatch struct {
	// Path is a condition on the path, without its query.
	// Default: the path prefix /.
	// Differs: Envoy first resolves dot segments and double slashes, and redirects a
	// path with an escaped slash; agentgateway compares the path as it came.
	Path *filePath `yaml:"path"`
	// Method is the HTTP method, in upper case as clients send it.
	// Default: every method.
	// Envoy: a condition on the header :method.
	Method string `yaml:"method"`
	// Headers are conditions on headers. One of several values of a header suffices.
	// Default: none.
	// Envoy: headers of the route's match.
	Headers []fileValueMatch `yaml:"headers"`
	// Query are conditions on query parameters.
	// Default: none.
	// Envoy: query_parameters of the route's match.
	// Differs: values are compared as they stand in the URL, not percent-decoded,
	// and the first of a repeated parameter counts, not the last.
	Query []fileValueMatch `yaml:"query"`
}

// filePath is exactly one of these.
type filePath struct {
	// Exact is the whole path.
	// Envoy: path.
	Exact *string `yaml:"exact"`
	// PathPrefix is the first segments of the path: /foo matches /foo and /foo/bar,
	// not /foobar. Trailing slashes do not count.
	// Envoy: path_separated_prefix.
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
	if n.kind == sequenceNode && len(n.children) == 2 && n.children[1].tag == intTag {
		n = n.children[0]
	}
	d.decode(n, (*string)(f))
}

// fileValueMatch is a condition on a header or a query parameter.
type fileValueMatch struct {
	// Name is that of the header, in any case, or of the query parameter. For
	// headers also :method, :path, :authority or :scheme.
	Name string `yaml:"name,required"`
	// Value is what the value must be.
	Value fileValue `yaml:"value,required"`
}

// fileValue is exactly one of these.
type fileValue struct {
	// Exact is the whole value.
	// Envoy: exact.
	Exact *string `yaml:"exact"`
	// Regex is a regular expression, in RE2 syntax, for the whole value.
	// Envoy: safe_regex.
	// Differs: the whole value is tried with every alternative, so that a|ab matches
	// ab.
	Regex *string `yaml:"regex"`
}

// filePolicies are what is done with the requests of a route.
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
	LocalRateLimit *conditionalList[fileBucket] `yaml:"localRateLimit,notyet"`
	// RemoteRateLimit asks a rate limit service.
	RemoteRateLimit *conditional[fileRemoteRateLimit] `yaml:"remoteRateLimit,notyet"`
	// ConcurrencyLimit limits how many requests are in hand at a time.
	ConcurrencyLimit *conditionalList[fileConcurrencyLimit] `yaml:"concurrencyLimit,notyet"`
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

	// ExtProc shows requests and responses to somebody's ext_proc server, or to a
	// profile of this file.
	// Envoy: the filter route.extProc of the route's chain.
	ExtProc *fileExtProc `yaml:"extProc"`
	// Timeout bounds the time that a request may take.
	Timeout *fileTimeout `yaml:"timeout"`
	// AI sets what is done to the requests of ai backends. Its fields are merged
	// one by one: those of the backend win over those of the route.
	// Differs: nothing is done for token counts: streams are not asked for their
	// usage, and a request without a model is 400 only where a body is changed.
	AI *fileAIPolicy `yaml:"ai"`
	// BackendAuth is how we authenticate to the backend.
	// Default: what the client sent is passed on.
	BackendAuth *fileBackendAuth `yaml:"backendAuth"`
	// BackendTLS encrypts connections to the backends of the route. One in the
	// policies of a backend wins over it.
	// Default: plain text; a provider at its own host is always encrypted.
	// Envoy: the transport socket of the backend's cluster.
	BackendTLS *fileBackendTLS `yaml:"backendTLS" old:"backendTls"`

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
	// Differs: they wait before extProc, and not behind it. Refused where an
	// extProc of the gateway phase streams the bodies of requests, of which Envoy
	// would lose parts.
	Delay *fileDelay `yaml:"delay"`
	// Buffer holds bodies until they are complete.
	// Envoy: buffer.
	Buffer *fileBuffer `yaml:"buffer"`
}

// fileGatewayPolicy attaches a policy to a gateway or a listener.
type fileGatewayPolicy struct {
	// Name labels the policy for its readers.
	// Default: none.
	Name string `yaml:"name"`
	// Target is what the policy is for.
	Target fileTarget `yaml:"target,required"`
	// Policy is what is done. A policy for a listener beats one for its gateway; two
	// for one target are an error.
	Policy fileGatewayActions `yaml:"policy,required"`
}

// fileTarget is exactly one of these.
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

	// Gateway is the gatewayName of listeners; bind/<port> or default for those that
	// have none.
	Gateway string `yaml:"gateway"`
	// Listener is one listener, by <listener>/<gatewayName> or by its name alone.
	// Differs: the name alone is Attaché's own.
	Listener string `yaml:"listener"`
}

// fileGatewayActions are the policies that a gateway can have.
type fileGatewayActions struct {
	// JWTAuth verifies the client's token.
	JWTAuth *fileJWTAuth `yaml:"jwtAuth,notyet"`
	// Transformations edit requests and responses by expressions.
	Transformations *conditional[fileTransformations] `yaml:"transformations,notyet"`

	// ExtProc shows the requests of routes without an extProc of their own, and
	// those that match no route. For the latter it fails open.
	// Envoy: the filter route.extProc of the routes' chains.
	// Differs: the route's extProc replaces it; released agentgateways run both.
	ExtProc *fileExtProc `yaml:"extProc"`
}

// fileBackend is exactly one of the kinds below, with what goes with it. The word
// invalid is short for the kind of that name.
type fileBackend struct {
	// Internal is the administration of the process: forward keeps the path,
	// another path takes its place.
	Internal string `yaml:"internal,notyet"`
	// MCP joins MCP servers into one.
	MCP *fileMCPBackend `yaml:"mcp,notyet"`
	// AWS is a service of Amazon's.
	AWS *fileAWSBackend `yaml:"aws,notyet"`

	// Weight is the share of the requests; 0 is none.
	// Default: 1.
	// Envoy: weighted_clusters, where the route has several backends.
	Weight *uint32 `yaml:"weight"`
	// Name is that by which services of a profile find the backend. A backend of
	// kind ai has it in ai.name.
	// Default: that of the named backend, or backend<index>.
	// Differs: Attaché's own.
	Name string `yaml:"name"`
	// Host is the address: host:port, [ipv6]:port or unix:/path. A host name is
	// sent to the backend as Host, without the port; with an address the client's
	// Host stays.
	// Envoy: a cluster; names are looked up by c-ares.
	// Differs: agentgateway takes no IPv6 address.
	Host string `yaml:"host"`
	// Service names an entry of the section services, with its port. The client's
	// Host stays. Without an endpoint the answer is 503.
	// Envoy: a cluster with the workloads' addresses.
	Service *fileServiceRef `yaml:"service"`
	// Backend names an entry of the section backends, as /name or name.
	Backend string `yaml:"backend"`
	// Dynamic sends each request to where it itself says.
	Dynamic *fileDynamic `yaml:"dynamic"`
	// Invalid answers every request with 500. The word invalid in place of the
	// whole entry means the same.
	Invalid filePresent `yaml:"invalid"`
	// RouteGroup hands the route's requests to a group; it is then the only
	// backend.
	// Envoy: routes that match what both match.
	// Differs: a group that is not there, or hands requests to itself, is an error;
	// agentgateway answers them with 404 and 500.
	RouteGroup string `yaml:"routeGroup"`
	// AI is a model provider.
	// Envoy: a cluster for the provider. Attaché's ext_proc service sets the model,
	// and never fails open.
	AI *fileAI `yaml:"ai"`
	// Policies are for this backend only, and win over those of the route.
	Policies *fileBackendPolicies `yaml:"policies"`
}

func (f *fileBackend) decodeNode(d *decoder, n *node) {
	type fields fileBackend
	if n.kind == scalarNode && n.value == "invalid" {
		f.Invalid = true
		return
	}
	d.decode(n, (*fields)(f))
}

// fileBackendPolicies are what is done with the requests to one backend.
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
	// InferenceRouting asks an endpoint picker where a request goes.
	InferenceRouting *fileInferenceRouting `yaml:"inferenceRouting,notyet"`
	// SessionAffinity sends requests with equal values to the same
	// endpoint.
	SessionAffinity *fileSessionAffinity `yaml:"sessionAffinity,notyet"`

	// HTTP is how HTTP is spoken to the backend.
	HTTP *fileBackendHTTP `yaml:"http"`
	// TCP is how connections to the backend are made.
	TCP *fileBackendTCP `yaml:"tcp"`
	// Health takes endpoints that fail out of service for a while.
	Health *fileHealth `yaml:"health"`
	// AI sets what is done to the requests of ai backends. Its fields are merged
	// one by one: those of the backend win over those of the route.
	// Differs: nothing is done for token counts: streams are not asked for their
	// usage, and a request without a model is 400 only where a body is changed.
	AI *fileAIPolicy `yaml:"ai"`
	// BackendAuth is how we authenticate to the backend.
	// Default: what the client sent is passed on.
	BackendAuth *fileBackendAuth `yaml:"backendAuth"`
	// BackendTLS encrypts connections to the backend.
	// Default: that of the route.
	// Envoy: the transport socket of the cluster.
	BackendTLS *fileBackendTLS `yaml:"backendTLS" old:"backendTls"`

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

// The types of F5's two sections serve F5's own file as well. Timeout, failureMode
// and mode are ours.

// fileProcessor is something that may look at requests and responses.
type fileProcessor struct {
	// Name is unique; steps refer to it.
	Name string `yaml:"name,required"`
	// Type is the kind of processor, such as system-prompt, reject or external; see
	// extprocsvc/processors.
	Type string `yaml:"type,required"`
	// Config says where an external processor is.
	Config Raw `yaml:"config"`
	// Params are the defaults of the steps that run the processor. The rights
	// annotate (default true), modify and reject (default false) are among them; the
	// others belong to the type.
	// Default: none.
	Params Raw `yaml:"params"`
	// Timeout bounds one call.
	// Default: 5s.
	// Differs: Attaché's own.
	Timeout fileDuration `yaml:"timeout"`
	// FailureMode is what happens to a request when a step of this processor fails
	// or takes too long: failClosed refuses it, failOpen goes on without the step.
	// Default: that of the profile.
	// Differs: Attaché's own.
	FailureMode string `yaml:"failureMode" words:"failClosed failOpen"`
}

// fileProfile is a chain of steps.
type fileProfile struct {
	_ struct{} `refused:"outputStages"`

	// Name is unique; extProc refers to it.
	Name string `yaml:"name,required"`
	// Models are those that clients may name; others are 404. With an empty list
	// requests must not name one, or are 400.
	// Default: any model, or none. In F5's own file: the empty list.
	Models []fileModel `yaml:"models"`
	// InputStages run on the request, in order.
	// Default: none.
	InputStages []fileStage `yaml:"inputStages"`
	// Services choose the backend: the first whose selector holds. If none does, the
	// answer is 503.
	// Default: the backends share the requests by weight. In F5's own file it is
	// required.
	// Envoy: a route for each, which only Attaché can choose.
	Services []fileService `yaml:"services"`
	// ResponseStages run on the model's answer, in order. One that is streamed is
	// collected first, unless all steps can work on a stream.
	// Default: none.
	ResponseStages []fileStage `yaml:"responseStages"`
	// Limits must be empty: F5 has not published what they mean.
	Limits []Raw `yaml:"limits"`
	// Concurrency is the default of the stages: 0 for one step after the other,
	// parallel for all at once.
	// Default: 0.
	Concurrency fileConcurrency `yaml:"concurrency"`
	// Mode tells whether the profile acts. With observe it runs and records
	// everything and enforces nothing.
	// Default: enforce.
	// Differs: Attaché's own.
	Mode string `yaml:"mode" words:"enforce observe"`
	// FailureMode is that of the steps whose processor has none.
	// Default: that of extProc.
	// Differs: Attaché's own.
	FailureMode string `yaml:"failureMode" words:"failClosed failOpen"`
}

// fileModel is a model that clients may name.
type fileModel struct {
	// Name is what clients write as model.
	Name string `yaml:"name,required"`
}

// fileService chooses a backend.
type fileService struct {
	// Name is that of a backend of every route that runs the profile: its ai.name,
	// its name, or backend<index>. In F5's own file it is that of an entry of
	// services.
	Name string `yaml:"name,required"`
	// Selector is over tags, or of type input.model.
	// Default: the service is always chosen.
	Selector *fileSelector `yaml:"selector"`
}

// fileStage is a group of steps.
type fileStage struct {
	// Name labels the stage in logs and records.
	Name string `yaml:"name,required"`
	// Selector is over the tags gathered so far.
	// Default: the stage always runs.
	Selector *fileSelector `yaml:"selector"`
	// Concurrency tells whether the steps run one after the other, 0, or all at
	// once, parallel; they then must not modify.
	// Default: that of the profile.
	Concurrency fileConcurrency `yaml:"concurrency"`
	// Steps run in order. The first rejection in that order wins.
	Steps []fileStep `yaml:"steps,required"`
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

// fileSelector is a condition on tags, a header, a claim or a model.
type fileSelector struct {
	// Type tells what is looked at: header and jwt where a profile is chosen,
	// input.model where a service is.
	// Default: tags.
	Type string `yaml:"type" words:"header jwt input.model"`
	// Operand tells how many must be there: one (any, or), all of them (all, and) or
	// none (none, not).
	// Default: any.
	Operand string `yaml:"operand" words:"any or all and none not"`
	// Key is the name of the header, in any case, or of the claim.
	Key string `yaml:"key"`
	// Values are compared with those of the header or the claim, or with the model
	// that the client named, byte by byte.
	Values []string `yaml:"values"`
	// Tags are written key:value. Their case does not count.
	Tags []string `yaml:"tags"`
}

// fileStep runs one processor.
type fileStep struct {
	_ struct{} `refused:"selector"`

	// Name is that of the processor.
	Name string `yaml:"name,required"`
	// Params replace those of the processor, key by key.
	// Default: none.
	Params Raw `yaml:"params"`
	// Timeout bounds the call.
	// Default: that of the processor.
	// Differs: Attaché's own.
	Timeout fileDuration `yaml:"timeout"`
	// Mode tells whether the step acts. With observe it runs, is recorded and
	// enforces nothing, as every step of a profile that observes.
	// Default: enforce.
	// Differs: Attaché's own.
	Mode string `yaml:"mode" words:"enforce observe"`
}
