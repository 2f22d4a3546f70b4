package config

// The types of this file are about the Model Context Protocol.

// fileMCPBackend joins MCP servers into one.
type fileMCPBackend struct {
	// Targets are the servers.
	Targets []fileMCPTarget `yaml:"targets,required"`
	// StatefulMode tells whether clients have sessions.
	// Default: stateful.
	StatefulMode string `yaml:"statefulMode" enum:"stateful stateless"`
	// PrefixMode tells when the names of tools begin with that of their target:
	// with several targets, always, or never.
	// Default: conditional.
	PrefixMode string `yaml:"prefixMode" enum:"conditional always never"`
	// FailureMode is what happens when a target fails: failClosed ends the
	// session, failOpen goes on with the others.
	// Default: failClosed.
	FailureMode string `yaml:"failureMode" enum:"failClosed failOpen"`
	// DNSRebindingProtection wants a local name in the headers host and origin.
	// Default: false.
	DNSRebindingProtection bool `yaml:"dnsRebindingProtection"`
}

type fileMCPTarget struct {
	_ struct{} `oneOf:"mcp sse openapi stdio"`
	_ struct{} `atMostOne:"stdio policies"`

	// Name is the target's name, a DNS label in lower case.
	Name string `yaml:"name,required"`
	// MCP is a server that speaks streamable HTTP.
	MCP *fileMCPAddress `yaml:"mcp"`
	// SSE is a server that speaks HTTP with server-sent events.
	SSE *fileMCPAddress `yaml:"sse"`
	// OpenAPI is an API whose description becomes tools.
	OpenAPI *fileMCPOpenAPI `yaml:"openapi"`
	// Stdio is a program that is run.
	Stdio *fileMCPProgram `yaml:"stdio"`
	// Policies say how the server is spoken to.
	Policies *fileServerPolicies `yaml:"policies"`
}

// fileMCPAddress is a URL, or the parts of one, or a backend.
type fileMCPAddress struct {
	_ struct{} `oneOf:"host backend"`
	_ struct{} `atMostOne:"port backend"`

	// Host is a URL such as https://host/path, or a host alone.
	Host string `yaml:"host"`
	// Port is that of the host.
	Port uint16 `yaml:"port"`
	// Path is that of the API.
	Path string `yaml:"path"`
	// Backend names an entry of the section backends, as /name.
	Backend string `yaml:"backend"`
}

type fileMCPOpenAPI struct {
	Address fileMCPAddress `yaml:",inline"`

	// Schema is the API's OpenAPI document.
	Schema fileDocument `yaml:"schema,required"`
}

type fileMCPProgram struct {
	// Cmd is the program.
	Cmd string `yaml:"cmd,required"`
	// Args are its arguments.
	Args []string `yaml:"args"`
	// Env are variables for it.
	Env map[string]fileSecret `yaml:"env"`
	// ClearEnv keeps the gateway's own variables from it.
	// Default: false.
	ClearEnv bool `yaml:"clear_env" old:"clearEnv"`
}

// fileMCP is the section mcp: one MCP server at /mcp and /sse.
type fileMCP struct {
	Backend fileMCPBackend `yaml:",inline"`

	// Gateways are where it is served: <gateway>, or <gateway>/<listener>.
	// Default: the gateway "default".
	Gateways fileNames `yaml:"gateways"`
	// Port is a port of its own, in place of gateways.
	Port *uint16 `yaml:"port"`
	// Policies are those of the route to it.
	Policies *filePolicies `yaml:"policies"`
}

// fileMCPAuthentication is OAuth for MCP clients.
type fileMCPAuthentication struct {
	_ struct{} `oneOf:"audiences audience"`
	_ struct{} `atMostOne:"jwks jwksUrl"`

	// Issuer is the value that the claim iss must have.
	Issuer string `yaml:"issuer,required"`
	// Audiences are values of which the claim aud must have one.
	Audiences []string `yaml:"audiences"`
	// Provider is the product that issues the tokens; it fixes how clients find
	// it.
	Provider *fileMCPProvider `yaml:"provider"`
	// ResourceMetadata is shown to clients, whatever its keys.
	ResourceMetadata map[string]Raw `yaml:"resourceMetadata,required"`
	// JWKS are the keys that verify tokens.
	// Default: those of the provider.
	JWKS *fileDocument `yaml:"jwks"`
	// Mode says what happens to requests without a valid token: strict refuses
	// them, optional refuses invalid tokens only, permissive lets all pass.
	// Default: strict.
	Mode string `yaml:"mode" enum:"strict optional permissive"`
	// AuthorizationLocation is where the token stands.
	// Default: the header authorization after "Bearer ".
	AuthorizationLocation *fileLocation `yaml:"authorizationLocation"`
	// JWTValidationOptions say which claims must be there.
	JWTValidationOptions *fileJWTValidation `yaml:"jwtValidationOptions"`
	// ClientID is shown to clients.
	ClientID string `yaml:"clientId"`
	// ClientSecret is added to the requests for tokens that pass through.
	ClientSecret fileSecret `yaml:"clientSecret"`

	// Audience is how releases up to 0.10 wrote audiences.
	Audience string `yaml:"audience"`
	// JWKSURL is how releases up to 0.10 wrote jwks: {url: …}.
	JWKSURL string `yaml:"jwksUrl"`
	// Scopes is how early releases wrote resourceMetadata.scopesSupported.
	Scopes []string `yaml:"scopes"`
}

type fileMCPProvider struct {
	_ struct{} `oneOf:"auth0 keycloak okta descope authentik entra"`

	// Auth0 is Auth0.
	Auth0 *fileEmpty `yaml:"auth0"`
	// Keycloak is Keycloak.
	Keycloak *fileEmpty `yaml:"keycloak"`
	// Okta is Okta.
	Okta *fileEmpty `yaml:"okta"`
	// Descope is Descope.
	Descope *fileEmpty `yaml:"descope"`
	// Authentik is authentik.
	Authentik *fileEmpty `yaml:"authentik"`
	// Entra is Microsoft Entra ID.
	Entra *fileEmpty `yaml:"entra"`
}

// fileMCPGuardrails has processors look at what MCP clients and servers say.
type fileMCPGuardrails struct {
	// Processors run in order; the first that refuses ends the chain.
	Processors []fileMCPProcessor `yaml:"processors,required"`
}

type fileMCPProcessor struct {
	Side fileSide `yaml:",inline"`

	// Kind is remote: a service elsewhere.
	Kind string `yaml:"kind,required" enum:"remote"`
	// Methods tells which methods it sees, and of them the request, the
	// response, or both. An asterisk stands for any name, as in tools/*.
	Methods map[string]string `yaml:"methods" enum:"off request response full"`
	// FailureMode is what happens when it fails: failClosed refuses, failOpen
	// goes on.
	// Default: failClosed.
	FailureMode string `yaml:"failureMode" enum:"failClosed failOpen"`
	// Metadata is computed and sent along.
	Metadata map[string]fileCEL `yaml:"metadata"`
	// RequestHeaders choose the headers that are sent along.
	RequestHeaders *fileHeaderFilter `yaml:"requestHeaders"`
}

type fileHeaderFilter struct {
	// Allowed are the headers to send.
	// Default: all of them.
	Allowed []string `yaml:"allowed"`
	// Disallowed are never sent.
	Disallowed []string `yaml:"disallowed"`
}
