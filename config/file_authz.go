package config

// The types of this file say what a client may do.

// fileAuthorization decides by rules. Any deny that is true refuses the request,
// every require must be true, and one allow if there are any.
type fileAuthorization struct {
	// Rules are the rules. A string is an allow.
	Rules []stringOr[fileRule] `yaml:"rules,required"`
}

type fileRule struct {
	_ struct{} `oneOf:"allow deny require"`

	// Allow lets the request pass if it is true.
	Allow fileCEL `yaml:"allow"`
	// Deny refuses the request if it is true.
	Deny fileCEL `yaml:"deny"`
	// Require refuses the request unless it is true.
	Require fileCEL `yaml:"require"`
}

// fileExtAuthz asks a service whether a request may pass.
type fileExtAuthz struct {
	_ struct{} `atMostOne:"failureMode failOpen"`
	_ struct{} `atMostOne:"failureMode statusOnError"`
	_ struct{} `atMostOne:"protocol context"`

	Side fileSide `yaml:",inline"`

	// Protocol is how the service is asked.
	// Default: grpc.
	Protocol *fileExtAuthzProtocol `yaml:"protocol"`
	// FailureMode is what happens while the service is unavailable: allow, deny,
	// or {denyWithStatus: …}.
	// Default: deny, with 403.
	FailureMode *stringOr[fileDenyWithStatus] `yaml:"failureMode" enum:"allow deny"`
	// IncludeRequestHeaders are the headers that the service gets to see.
	// Default: all over gRPC, authorization over HTTP.
	IncludeRequestHeaders []string `yaml:"includeRequestHeaders"`
	// IncludeRequestBody shows the request's body to the service.
	// Default: no body.
	IncludeRequestBody *fileAuthzBody `yaml:"includeRequestBody"`
	// Cache keeps decisions.
	// Default: every request is asked for.
	Cache *fileAuthzCache `yaml:"cache"`

	// FailOpen is how releases up to 0.11 wrote failureMode: allow.
	FailOpen *bool `yaml:"failOpen"`
	// StatusOnError is how releases up to 0.11 wrote failureMode with
	// denyWithStatus.
	StatusOnError *uint16 `yaml:"statusOnError"`
	// Context is how releases up to 0.11 wrote protocol.grpc.context.
	Context map[string]string `yaml:"context"`
	// Timeout bounds the wait for the service. Releases since 0.11 have it in
	// policies.http.requestTimeout.
	Timeout fileSpan `yaml:"timeout"`
}

type fileDenyWithStatus struct {
	// DenyWithStatus refuses with this status.
	DenyWithStatus uint16 `yaml:"denyWithStatus,required"`
}

type fileExtAuthzProtocol struct {
	_ struct{} `oneOf:"grpc http"`

	// GRPC asks as Envoy's ext_authz does.
	GRPC *fileExtAuthzGRPC `yaml:"grpc"`
	// HTTP asks by a request of its own; any 2xx lets the client's pass.
	HTTP *fileExtAuthzHTTP `yaml:"http"`
}

type fileExtAuthzGRPC struct {
	// Context is sent along with every question.
	Context map[string]string `yaml:"context"`
	// Metadata is computed and sent along, by namespace.
	Metadata map[string]fileCEL `yaml:"metadata"`
}

type fileExtAuthzHTTP struct {
	// Path computes the path to ask at.
	// Default: that of the client's request.
	Path fileCEL `yaml:"path"`
	// Redirect computes where refused clients are sent.
	Redirect fileCEL `yaml:"redirect"`
	// Body computes the body of the question.
	Body fileCEL `yaml:"body"`
	// IncludeResponseHeaders of the answer are added to the client's request.
	IncludeResponseHeaders []string `yaml:"includeResponseHeaders"`
	// AddRequestHeaders are computed and added to the question.
	AddRequestHeaders map[string]fileCEL `yaml:"addRequestHeaders"`
	// Metadata is computed from the answer, for expressions that follow.
	Metadata map[string]fileCEL `yaml:"metadata"`
}

type fileAuthzBody struct {
	// MaxRequestBytes bounds what is sent.
	// Default: 8192.
	MaxRequestBytes uint32 `yaml:"maxRequestBytes"`
	// AllowPartialMessage sends the beginning of a longer body; otherwise the
	// request is refused.
	// Default: false.
	AllowPartialMessage bool `yaml:"allowPartialMessage"`
	// PackAsBytes sends the body as bytes rather than as a string.
	// Default: false.
	PackAsBytes bool `yaml:"packAsBytes"`
}

type fileAuthzCache struct {
	// Key computes what tells requests apart: all that the service looks at.
	Key []fileCEL `yaml:"key,required"`
	// TTL computes how long a decision is kept.
	TTL fileCEL `yaml:"ttl,required"`
	// MaxEntries bounds the cache.
	// Default: 10000.
	MaxEntries *uint64 `yaml:"maxEntries"`
}

// fileUI serves agentgateway's user interface on a gateway.
type fileUI struct {
	// Gateways are where it is served: <gateway>, or <gateway>/<listener>.
	// Default: the gateway "default".
	Gateways fileNames `yaml:"gateways"`
	// Policies guard it.
	Policies *fileUIPolicies `yaml:"policies"`
}

type fileUIPolicies struct {
	// CORS answers browsers that ask for another site's page.
	CORS *fileCORS `yaml:"cors"`
	// OIDC logs browsers in.
	OIDC *fileOIDC `yaml:"oidc"`
	// JWTAuth verifies tokens.
	JWTAuth *fileJWTAuth `yaml:"jwtAuth"`
	// Authorization decides by rules.
	Authorization *fileAuthorization `yaml:"authorization"`
	// ExtAuthz asks a service.
	ExtAuthz *conditional[fileExtAuthz] `yaml:"extAuthz"`
	// BasicAuth asks for a name and a password.
	BasicAuth *fileBasicAuth `yaml:"basicAuth"`
	// APIKey asks for a key.
	APIKey *fileAPIKeys `yaml:"apiKey"`
	// CSRF refuses requests that another site's page makes.
	CSRF *fileCSRF `yaml:"csrf"`
}
