package config

// The types of this file say who a client is.

// fileExpression is an expression in a mapping of its own.
type fileExpression struct {
	// Expression computes the value.
	Expression fileCEL `yaml:"expression,required"`
}

// fileJWTAuth verifies the client's token: one issuer, or several providers.
type fileJWTAuth struct {
	_ struct{} `oneOf:"issuer providers"`
	_ struct{} `oneOf:"jwks providers"`
	_ struct{} `atMostOne:"audiences providers"`
	_ struct{} `atMostOne:"jwtValidationOptions providers"`

	// Mode says what happens to requests without a valid token: strict refuses
	// them, optional refuses invalid tokens only, permissive lets all pass.
	// Default: optional.
	Mode string `yaml:"mode" enum:"strict optional permissive"`
	// Location is where the token stands.
	// Default: the header authorization after "Bearer ".
	Location *fileLocation `yaml:"location"`
	// PreserveToken leaves a valid token in the request.
	// Default: false.
	PreserveToken bool `yaml:"preserveToken"`
	// Providers are the issuers that are trusted.
	Providers []fileJWTProvider `yaml:"providers"`
	// Issuer is the value that the claim iss must have.
	Issuer string `yaml:"issuer"`
	// Audiences are values of which the claim aud must have one.
	// Default: any audience.
	Audiences *[]string `yaml:"audiences"`
	// JWKS are the keys that verify tokens.
	JWKS *fileDocument `yaml:"jwks"`
	// JWTValidationOptions say which claims must be there.
	JWTValidationOptions *fileJWTValidation `yaml:"jwtValidationOptions"`
}

// fileJWTProvider is an issuer of tokens.
type fileJWTProvider struct {
	// Issuer is the value that the claim iss must have.
	Issuer string `yaml:"issuer,required"`
	// Audiences are values of which the claim aud must have one.
	// Default: any audience.
	Audiences *[]string `yaml:"audiences"`
	// JWKS are the keys that verify tokens.
	JWKS fileDocument `yaml:"jwks,required"`
	// JWTValidationOptions say which claims must be there.
	JWTValidationOptions *fileJWTValidation `yaml:"jwtValidationOptions"`
}

type fileJWTValidation struct {
	// RequiredClaims must be in the token: some of exp, nbf, aud, iss, sub.
	// Default: exp.
	RequiredClaims []string `yaml:"requiredClaims"`
}

// fileBasicAuth asks clients for a name and a password.
type fileBasicAuth struct {
	// Htpasswd lists the users, with hashed passwords, in the format of Apache's
	// htpasswd.
	Htpasswd fileText `yaml:"htpasswd,required"`
	// Realm is shown to the user who is asked.
	// Default: Restricted.
	Realm string `yaml:"realm"`
	// Mode says what happens to requests without credentials: strict refuses
	// them, optional lets them pass.
	// Default: optional.
	Mode string `yaml:"mode" enum:"strict optional"`
	// AuthorizationLocation is where the credentials stand.
	// Default: the header authorization after "Basic ".
	AuthorizationLocation *fileLocation `yaml:"authorizationLocation"`
}

// fileAPIKeys asks clients for one of a list of keys.
type fileAPIKeys struct {
	// Keys are the keys that are accepted.
	Keys []fileAPIKey `yaml:"keys,required"`
	// Mode says what happens to requests without a valid key: strict refuses
	// them, optional refuses invalid keys only, permissive lets all pass.
	// Default: optional.
	Mode string `yaml:"mode" enum:"strict optional permissive"`
	// Location is where the key stands.
	// Default: the header authorization after "Bearer ".
	Location *fileLocation `yaml:"location"`
}

type fileAPIKey struct {
	_ struct{} `oneOf:"key keyHash"`

	// Key is the key itself.
	Key fileSecret `yaml:"key"`
	// KeyHash is sha256: and the hash of the key in hexadecimal.
	KeyHash fileSecret `yaml:"keyHash"`
	// Metadata is what expressions find in apiKey for requests with this key.
	Metadata Raw `yaml:"metadata"`
	// AllowedModels are the models that the key may be used for; an asterisk
	// stands for any text.
	// Default: all models.
	AllowedModels *[]string `yaml:"allowedModels"`
	// Budgets bound what may be spent with the key.
	// Default: no bound.
	Budgets []fileBudget `yaml:"budgets"`
}

// fileBudget bounds what may be spent in a time.
type fileBudget struct {
	// Name labels the budget.
	Name string `yaml:"name,required"`
	// Limit is how much.
	Limit fileBudgetLimit `yaml:"limit,required"`
	// Window is in what time.
	Window fileBudgetWindow `yaml:"window,required"`
	// OnBudgetExceeded tells whether requests above the limit are refused, or
	// only noted.
	OnBudgetExceeded string `yaml:"onBudgetExceeded" enum:"Block Audit"`
}

type fileBudgetLimit struct {
	// Unit is what is counted.
	Unit string `yaml:"unit,required" enum:"USD Tokens"`
	// Amount is how much of it.
	Amount float64 `yaml:"amount,required"`
}

type fileBudgetWindow struct {
	// Rolling is the length of the time.
	Rolling fileSpan `yaml:"rolling,required"`
}

// fileOIDC logs browsers in at an OpenID provider.
type fileOIDC struct {
	// Issuer is the provider, as its ID tokens name it.
	Issuer string `yaml:"issuer,required"`
	// Discovery is the provider's metadata.
	// Default: fetched from below the issuer.
	Discovery *fileDocument `yaml:"discovery"`
	// AuthorizationEndpoint is where browsers log in, in place of discovery.
	AuthorizationEndpoint string `yaml:"authorizationEndpoint"`
	// TokenEndpoint is where codes become tokens, in place of discovery.
	TokenEndpoint string `yaml:"tokenEndpoint"`
	// TokenEndpointAuth is how the gateway says there who it is.
	// Default: clientSecretBasic.
	TokenEndpointAuth string `yaml:"tokenEndpointAuth" enum:"clientSecretBasic clientSecretPost"`
	// JWKS are the keys that verify ID tokens.
	JWKS *fileDocument `yaml:"jwks"`
	// ClientID is the gateway's name at the provider.
	ClientID string `yaml:"clientId,required"`
	// ClientSecret is the gateway's secret at the provider.
	ClientSecret fileSecret `yaml:"clientSecret,required"`
	// RedirectURI is where browsers return to, on the gateway.
	RedirectURI string `yaml:"redirectURI,required"`
	// Scopes are asked for beside openid.
	// Default: none.
	Scopes []string `yaml:"scopes"`
}
