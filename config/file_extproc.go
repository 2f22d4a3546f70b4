package config

// fileExtProc is extProc: somebody's server, or profiles of ours, or one of them
// by conditions.
type fileExtProc struct {
	fileExternal `yaml:",inline"`

	// Conditional runs the first entry whose condition holds, and nothing if
	// none does. It takes the place of all other keys.
	// Envoy: for each entry a route of its own, which tests the condition too.
	Conditional []fileConditionalExtProc `yaml:"conditional"`
}

// fileConditionalExtProc is an entry of conditional.
type fileConditionalExtProc struct {
	fileExternal `yaml:",inline"`

	// Condition is a CEL expression that tells for which requests the entry is;
	// only the last entry may go without.
	// Default: for all.
	// Differs: it must consist of tests that a route can make, joined by &&:
	// request.method, request.host, request.path or request.headers["name"]
	// equal to a string, or request.path.startsWith("/path"). The request is
	// tested as the client sent it, before other policies have changed it.
	Condition *string `yaml:"condition"`
}

// fileExternal is external processing without conditions.
type fileExternal struct {
	// Service is a server among the services of the file.
	Service *fileServiceRef `yaml:"service,notyet"`
	// Backend is a server among the top-level backends, by name. Its kind is host.
	Backend string `yaml:"backend"`
	// Host is the address of somebody's ext_proc server: host:port,
	// unix:/path, http://host[:port], or https://host[:port] for TLS. It speaks
	// gRPC, over HTTP/2.
	// Envoy: the ext_proc filter, with a cluster of its own.
	// Differs: Envoy waits 30 s for each answer to headers or to a buffered
	// body, where agentgateway waits forever. A server that ends the stream
	// without an answer lets the request pass unchanged, where agentgateway
	// takes it for a failure. The server is also shown responses that no backend
	// sent: Envoy's own errors, direct responses, and what other policies refused,
	// even if it was not shown the request.
	Host string `yaml:"host"`
	// Policies tell how to talk to the server.
	Policies *fileServerPolicies `yaml:"policies"`
	// FailureMode is what becomes of requests while the server is away:
	// failClosed answers 500, failOpen lets them pass.
	// Default: failClosed.
	// Envoy: failure_mode_allow.
	// Differs: with failOpen the request's body is buffered, unless
	// processingOptions say how it is sent: Envoy cannot let a request pass
	// once a body streams. A reply that changes what it must not change is 500
	// with failOpen, too.
	FailureMode string `yaml:"failureMode"`
	// MetadataContext is metadata that goes with every message, by namespace
	// and key; values are literals in CEL. The namespace
	// agentgateway.dev.grpc_initial_metadata is sent as gRPC metadata instead,
	// when the stream opens. It shows in Envoy's configuration: it is no place
	// for secrets.
	// Envoy: set_metadata, forwarding_namespaces and initial_metadata.
	// Differs: expressions that are not literals are refused.
	MetadataContext map[string]map[string]string `yaml:"metadataContext"`
	// RequestAttributes are attributes on the first message about a request, by
	// name; values are CEL.
	// Envoy: processing_request_modifier, a MappedAttributeBuilder.
	// Differs: an expression must be a literal or one of request.method,
	// request.host, request.scheme, request.path, request.pathAndQuery,
	// request.headers["name"], source.address, source.port,
	// destination.address and destination.port. Several headers of one name are
	// one string, joined by commas.
	RequestAttributes map[string]string `yaml:"requestAttributes"`
	// ResponseAttributes are attributes on the first message about a response.
	// Envoy: processing_request_modifier, a MappedAttributeBuilder.
	// Differs: an expression must be a literal or one of response.code,
	// response.headers["name"], request.method, request.scheme, source.address,
	// source.port, destination.address and destination.port.
	ResponseAttributes map[string]string `yaml:"responseAttributes"`
	// ProcessingOptions tell what the server is shown.
	ProcessingOptions *fileProcessingOptions `yaml:"processingOptions"`

	// What follows is ours, with F5's words for a policy and a route.

	// Profile is the chain of this file that runs, in place of a server.
	Profile string `yaml:"profile"`
	// Profiles are several chains, of which the first whose selector holds runs.
	Profiles []fileCandidate `yaml:"profiles"`
	// Authentication verifies the token that selectors of type jwt look at.
	Authentication *fileAuthentication `yaml:"authentication"`
	// Schema is what the route serves.
	// Default: v1/chat_completions.
	Schema string `yaml:"schema"`
	// Unreadable is what happens to requests and answers that the profile must
	// read and cannot: other content types than JSON, unknown encodings, upgrades, gRPC,
	// bodies that are no JSON or of no API that is known, or too long. refuse
	// answers 415, 413, 400 or 502; pass lets them pass unguarded, which the
	// decision record says.
	// Default: refuse.
	Unreadable string `yaml:"unreadable" enum:"refuse pass"`
	// ClientHeaders tells whether the client's headers reach the backend:
	// forward or drop.
	// Default: forward.
	ClientHeaders string `yaml:"clientHeaders"`
}

// fileProcessingOptions are what a server is shown of requests and responses.
type fileProcessingOptions struct {
	// RequestBodyMode is how the server gets the body of a request: not at all
	// (none), in one piece (buffered), its beginning in one piece
	// (bufferedPartial), or as it comes, for the server to send on
	// (fullDuplexStreamed).
	// Default: fullDuplexStreamed; buffered with failureMode failOpen.
	// Envoy: request_body_mode.
	// Differs: a body that is too long to be buffered is answered with 413.
	RequestBodyMode string `yaml:"requestBodyMode" enum:"none buffered bufferedPartial fullDuplexStreamed"`
	// ResponseBodyMode is the same for responses.
	// Default: fullDuplexStreamed.
	// Envoy: response_body_mode.
	ResponseBodyMode string `yaml:"responseBodyMode" enum:"none buffered bufferedPartial fullDuplexStreamed"`
	// RequestHeaderMode tells whether the server gets the headers of a request.
	// Default: send.
	// Envoy: request_header_mode.
	RequestHeaderMode string `yaml:"requestHeaderMode" enum:"send skip"`
	// ResponseHeaderMode is the same for responses.
	// Default: send.
	// Envoy: response_header_mode.
	ResponseHeaderMode string `yaml:"responseHeaderMode" enum:"send skip"`
	// RequestTrailerMode tells whether the server gets the trailers of a
	// request. Where either body is fullDuplexStreamed, both trailers are sent.
	// Default: send.
	// Envoy: request_trailer_mode.
	RequestTrailerMode string `yaml:"requestTrailerMode" enum:"send skip"`
	// ResponseTrailerMode is the same for responses.
	// Default: send.
	// Envoy: response_trailer_mode.
	ResponseTrailerMode string `yaml:"responseTrailerMode" enum:"send skip"`
	// AllowModeOverride lets the server change the modes for a request.
	// Default: false.
	// Differs: true is refused. When a server has Envoy stream a body after all,
	// the length of the body as it was stays in the headers.
	AllowModeOverride bool `yaml:"allowModeOverride"`
}

// fileServerPolicies tell how to talk to a server that is not a backend.
type fileServerPolicies struct {
	// RequestHeaderModifier edits the headers of what is sent to the service.
	RequestHeaderModifier *fileHeaderModifier `yaml:"requestHeaderModifier,notyet"`
	// Transformations edit what is sent to the service, and its answers, by
	// expressions.
	Transformations *fileTransformations `yaml:"transformations,notyet"`
	// BackendTLS encrypts the connection to the service.
	BackendTLS *fileBackendTLS `yaml:"backendTLS"`
	// BackendAuth attaches credentials for the service.
	BackendAuth *fileBackendAuth `yaml:"backendAuth,notyet"`
	// HTTP sets the version of HTTP and a time limit.
	HTTP *fileBackendHTTP `yaml:"http,notyet"`
	// TCP sets probes and the time for connecting.
	TCP *fileBackendTCP `yaml:"tcp,notyet"`
	// BackendTunnel reaches the service through a proxy.
	BackendTunnel *fileTunnel `yaml:"backendTunnel,notyet"`
}

// fileCandidate is F5's policies[].profiles[].
type fileCandidate struct {
	// Name is that of the profile.
	Name string `yaml:"name,required"`
	// Selector tells for which requests the profile is.
	// Default: for all.
	Selector *fileSelector `yaml:"selector"`
}

// fileAuthentication is F5's policies[].authentication.
type fileAuthentication struct {
	// SigningKeyFile is the file with the key that verifies tokens.
	SigningKeyFile string `yaml:"jwtSigningKeyFile"`
	// SigningKeyType is the algorithm, such as ES256.
	SigningKeyType string `yaml:"jwtSigningKeyType" words:"HS256 HS384 HS512 RS256 RS384 RS512 ES256 ES384 ES512 PS256 PS384 PS512 EdDSA"`
	// AllowUnverified reads tokens without verifying them.
	// Default: false.
	AllowUnverified bool `yaml:"insecureAllowUnverifiedJWT"`
}
