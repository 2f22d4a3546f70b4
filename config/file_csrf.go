package config

// fileCSRF refuses requests that a page of another origin made a browser send.
// GET, HEAD and OPTIONS always pass, and so do clients that send neither
// Sec-Fetch-Site nor Origin. Everything else must come from the origin that it
// goes to, or from one of additionalOrigins; otherwise the answer is 403 CSRF
// validation failed.
type fileCSRF struct {
	// AdditionalOrigins are origins to trust besides the one that a request goes
	// to, compared byte by byte with the header Origin: scheme://host, with :port
	// unless it is the scheme's own.
	// Default: none.
	// Envoy: a Lua filter: Envoy's own csrf filter refuses clients without
	// Origin, and does not look at Sec-Fetch-Site.
	// Differs: the refusal has the content type text/plain, where agentgateway
	// sends none; gRPC clients get it as a gRPC status.
	AdditionalOrigins []string `yaml:"additionalOrigins"`
}
