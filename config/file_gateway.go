package config

// fileGatewayPhase holds the policies that run before a route is chosen, on
// every request of a listener, those that no route matches included.
type fileGatewayPhase struct {
	// OIDC logs browsers in.
	OIDC *fileOIDC `yaml:"oidc,notyet"`
	// JWTAuth verifies tokens.
	JWTAuth *fileJWTAuth `yaml:"jwtAuth,notyet"`
	// Authorization decides by rules.
	Authorization *fileAuthorization `yaml:"authorization,notyet"`
	// ExtAuthz asks a service.
	ExtAuthz *conditional[fileExtAuthz] `yaml:"extAuthz,notyet"`
	// Transformations edit requests and responses by expressions.
	Transformations *conditional[fileTransformations] `yaml:"transformations,notyet"`
	// BasicAuth asks for a name and a password.
	BasicAuth *fileBasicAuth `yaml:"basicAuth,notyet"`
	// APIKey asks for a key.
	APIKey *fileAPIKeys `yaml:"apiKey,notyet"`

	// CORS answers preflights and adds headers to responses, before everything
	// else, and also to answers of the gateway's own. The headers of a route's
	// cors replace these.
	// Envoy: a lua filter of the virtual host.
	CORS *fileCORS `yaml:"cors"`
	// ExtProc has requests and responses processed outside of the gateway. A
	// route's extProc runs too: the gateway's is first on requests, and last on
	// responses.
	// Envoy: an ext_proc filter of the virtual host.
	// Differs: Envoy has chosen the route by then. A server that changes
	// something that a route of the listener looks at (the path, the host, the
	// method, a header by which routes are told apart) would choose another
	// route in agentgateway; here the request is refused with 500, even if the
	// value stays the same. This holds for response headers of these names, too.
	// A profile that chooses a backend is refused.
	ExtProc *fileExtProc `yaml:"extProc"`
}
