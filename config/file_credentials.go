package config

// The types of this file are the kinds of backendAuth that are computed or come
// from a cloud.

// fileCredential is one of several secrets for one backend.
type fileCredential struct {
	// Location is where the secret is put.
	Location fileLocation `yaml:"location,required"`
	// Key is the secret.
	Key fileText `yaml:"key,required"`
}

// fileGCPAuth gets a token of Google's.
type fileGCPAuth struct {
	// Type is the kind of token.
	// Default: accessToken.
	Type string `yaml:"type" enum:"accessToken idToken"`
	// Audience is that of an ID token.
	// Default: the backend's host.
	Audience string `yaml:"audience"`
	// Credential is a key of Google's, in JSON.
	// Default: what the machine has.
	Credential *fileText `yaml:"credential"`
}

// fileAWSAuth signs requests as Amazon wants it.
type fileAWSAuth struct {
	_ struct{} `atMostOne:"accessKeyId assumeRole"`

	// AccessKeyID is the name of a key. It goes together with secretAccessKey.
	// Default: what the machine has.
	AccessKeyID fileSecret `yaml:"accessKeyId"`
	// SecretAccessKey is the key.
	SecretAccessKey fileSecret `yaml:"secretAccessKey"`
	// SessionToken belongs to a key for a limited time.
	SessionToken fileSecret `yaml:"sessionToken"`
	// Region is the region to sign for.
	// Default: the backend's.
	Region string `yaml:"region"`
	// ServiceName is the service to sign for, such as bedrock.
	ServiceName string `yaml:"serviceName"`
	// AssumeRole takes a role first, by what the machine has.
	AssumeRole *fileAWSRole `yaml:"assumeRole"`
}

type fileAWSRole struct {
	// RoleARN names the role.
	RoleARN string `yaml:"roleArn,required"`
	// SessionName names the session, or computes its name as {expression: …}.
	// Default: a random name.
	SessionName *stringOr[fileExpression] `yaml:"sessionName"`
	// Tags are put on the session.
	Tags []fileAWSTag `yaml:"tags"`
}

type fileAWSTag struct {
	_ struct{} `oneOf:"value expression"`

	// Key is the name of the tag.
	Key string `yaml:"key,required"`
	// Value is the same for every request.
	Value string `yaml:"value"`
	// Expression computes the value for each request.
	Expression fileCEL `yaml:"expression"`
}

// fileAzureAuth gets a token of Microsoft's.
type fileAzureAuth struct {
	_ struct{} `oneOf:"implicit developerImplicit explicitConfig"`

	// Implicit finds out what the machine has.
	Implicit *fileEmpty `yaml:"implicit"`
	// DeveloperImplicit uses what a developer's machine has.
	DeveloperImplicit *fileEmpty `yaml:"developerImplicit"`
	// ExplicitConfig names the identity.
	ExplicitConfig *fileAzureIdentity `yaml:"explicitConfig"`
}

type fileAzureIdentity struct {
	_ struct{} `oneOf:"clientSecret managedIdentity workloadIdentity"`

	// ClientSecret is an application with a secret.
	ClientSecret *fileAzureSecret `yaml:"clientSecret"`
	// ManagedIdentity is that of the machine, or one that is named.
	ManagedIdentity *fileAzureManaged `yaml:"managedIdentity"`
	// WorkloadIdentity is that of a workload in Kubernetes.
	WorkloadIdentity *fileEmpty `yaml:"workloadIdentity"`
}

type fileAzureSecret struct {
	// TenantID is the tenant of the application.
	TenantID string `yaml:"tenant_id,required"`
	// ClientID is the application.
	ClientID string `yaml:"client_id,required"`
	// ClientSecret is its secret.
	ClientSecret fileSecret `yaml:"client_secret,required"`
}

type fileAzureManaged struct {
	// UserAssignedIdentity names one of the machine's identities.
	// Default: the machine's own.
	UserAssignedIdentity *fileAzureUser `yaml:"userAssignedIdentity"`
}

type fileAzureUser struct {
	_ struct{} `oneOf:"clientId objectId resourceId"`

	// ClientID names the identity by its client.
	ClientID string `yaml:"clientId"`
	// ObjectID names the identity by its object.
	ObjectID string `yaml:"objectId"`
	// ResourceID names the identity by its resource.
	ResourceID string `yaml:"resourceId"`
}

// fileJWTSign signs a token of the gateway's own for each request.
type fileJWTSign struct {
	// SigningKey is the private key, in PEM.
	SigningKey fileText `yaml:"signingKey,required"`
	// Alg is the algorithm.
	// Default: RS256.
	Alg string `yaml:"alg" enum:"RS256 RS384 RS512 PS256 ES256 ES384"`
	// KID names the key in the token's header.
	KID string `yaml:"kid"`
	// Claims are put into the token; iat, exp and nbf are not for them.
	// Default: none.
	Claims map[string]Raw `yaml:"claims"`
	// TTL is how long the token is valid.
	// Default: 5m.
	TTL fileSpan `yaml:"ttl"`
	// Location is where the token is put.
	// Default: the header authorization after "Bearer ".
	Location *fileLocation `yaml:"location"`
}

// fileTokenExchange exchanges the client's token at an authorization server.
type fileTokenExchange struct {
	Side fileSide `yaml:",inline"`

	// Path is that of the server's token endpoint.
	// Default: /.
	Path string `yaml:"path"`
	// GrantType is the kind of exchange: RFC 8693 or RFC 7523.
	// Default: tokenExchange.
	GrantType string `yaml:"grantType" enum:"tokenExchange jwtBearer"`
	// SubjectToken is the token to exchange.
	// Default: an access token in the header authorization after "Bearer ".
	SubjectToken *fileToken `yaml:"subjectToken"`
	// ActorToken is that of the party which acts for the subject.
	ActorToken *fileActorToken `yaml:"actorToken"`
	// Audiences are those that the new token is for.
	Audiences []string `yaml:"audiences"`
	// Scopes are those of the new token.
	Scopes []string `yaml:"scopes"`
	// Resources are those that the new token is for.
	Resources []string `yaml:"resources"`
	// RequestedTokenType is the kind of token to ask for.
	RequestedTokenType string `yaml:"requestedTokenType"`
	// ClientAuth is how the gateway says who it is.
	ClientAuth *fileClientAuth `yaml:"clientAuth"`
	// AdditionalParams are computed and sent along.
	AdditionalParams map[string]fileCEL `yaml:"additionalParams"`
	// AuthorizationLocation is where the new token is put.
	// Default: the header authorization after "Bearer ".
	AuthorizationLocation *fileLocation `yaml:"authorizationLocation"`
	// Cache keeps tokens.
	// Default: 8192 tokens for 5m.
	Cache *fileTokenCache `yaml:"cache"`
}

type fileToken struct {
	// Source is where the token is read.
	// Default: the header authorization after "Bearer ".
	Source *fileLocation `yaml:"source"`
	// TokenType is the URN of the token's type.
	// Default: urn:ietf:params:oauth:token-type:access_token.
	TokenType string `yaml:"tokenType"`
}

type fileActorToken struct {
	// Source is where the token is read.
	Source fileLocation `yaml:"source,required"`
	// TokenType is the URN of the token's type.
	// Default: urn:ietf:params:oauth:token-type:access_token.
	TokenType string `yaml:"tokenType"`
	// EnforceMayAct looks first whether the subject's token allows the actor.
	// Default: false.
	EnforceMayAct bool `yaml:"enforceMayAct"`
}

type fileTokenCache struct {
	// MaxEntries bounds the cache; 0 switches it off.
	MaxEntries *uint64 `yaml:"maxEntries"`
	// DefaultTTL is how long a token is kept whose answer does not say.
	// Default: 5m.
	DefaultTTL fileSpan `yaml:"defaultTtl"`
}

// fileClientAuth is how the gateway says at an authorization server who it is.
type fileClientAuth struct {
	_ struct{} `atMostOne:"clientSecret signingKey"`

	// Method is how the secret or the key is used.
	// Default: clientSecretBasic.
	Method string `yaml:"method" enum:"clientSecretBasic clientSecretPost privateKeyJwt"`
	// ClientID is the gateway's name at the server.
	ClientID string `yaml:"clientId,required"`
	// ClientSecret is the gateway's secret.
	ClientSecret *fileText `yaml:"clientSecret"`
	// SigningKey is the private key for privateKeyJwt, in PEM.
	SigningKey *fileText `yaml:"signingKey"`
	// AssertionAudience is the audience of what the key signs.
	AssertionAudience string `yaml:"assertionAudience"`
	// Alg is the algorithm of the key.
	// Default: RS256.
	Alg string `yaml:"alg" enum:"RS256 RS384 RS512 PS256 ES256 ES384"`
	// KID names the key.
	KID string `yaml:"kid"`
	// Certificate is the key's certificate with its chain, in PEM.
	Certificate *fileText `yaml:"certificate"`
	// CertificateHeader is how the certificate is told.
	CertificateHeader string `yaml:"certificateHeader" enum:"x5c x5t#S256"`
}

// fileCrossAppAccess gets a token for an API by an identity that another
// application has vouched for.
type fileCrossAppAccess struct {
	// IdentityProvider vouches for the user.
	IdentityProvider fileTokenEndpoint `yaml:"identityProvider,required"`
	// ResourceAuthorizationServer turns that into a token.
	ResourceAuthorizationServer fileTokenEndpoint `yaml:"resourceAuthorizationServer,required"`
	// Audience names the latter to the former.
	Audience string `yaml:"audience,required"`
	// Resources are the APIs that the token is for.
	Resources []string `yaml:"resources"`
	// Scopes are asked for at the identity provider.
	Scopes []string `yaml:"scopes"`
	// AccessTokenScopes are asked for at the authorization server; an empty list
	// asks for none.
	// Default: scopes.
	AccessTokenScopes *[]string `yaml:"accessTokenScopes"`
	// SubjectToken is the user's ID token.
	// Default: in the header authorization after "Bearer ".
	SubjectToken *fileToken `yaml:"subjectToken"`
	// Cache keeps tokens.
	Cache *fileTokenCache `yaml:"cache"`
}

type fileTokenEndpoint struct {
	Side fileSide `yaml:",inline"`

	// Path is that of the token endpoint.
	// Default: /.
	Path string `yaml:"path"`
	// ClientAuth is how the gateway says who it is.
	ClientAuth fileClientAuth `yaml:"clientAuth,required"`
}
