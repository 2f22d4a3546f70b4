package config

import "strings"

// fileBackendAuth is how we authenticate to a backend.
type fileBackendAuth struct {
	_ struct{} `word:"copilot"`

	// GCP gets a token of Google's.
	GCP *fileGCPAuth `yaml:"gcp,notyet"`
	// AWS signs requests as Amazon wants it.
	AWS *fileAWSAuth `yaml:"aws,notyet"`
	// Azure gets a token of Microsoft's.
	Azure *fileAzureAuth `yaml:"azure,notyet"`
	// Copilot gets a token of GitHub Copilot's. The word copilot alone says the same.
	Copilot *fileEmpty `yaml:"copilot,notyet"`
	// JWTSign signs a token of the gateway's own for each request.
	JWTSign *fileJWTSign `yaml:"jwtSign,notyet"`
	// OAuthTokenExchange exchanges the client's token at an authorization server.
	OAuthTokenExchange *fileTokenExchange `yaml:"oauthTokenExchange,notyet"`
	// CrossAppAccess gets a token by an identity that another application has
	// vouched for.
	CrossAppAccess *fileCrossAppAccess `yaml:"crossAppAccess,notyet"`
	// Credentials are several secrets, each with its place.
	Credentials []fileCredential `yaml:"credentials,notyet"`
	// Headers are several secrets, each in a header of its own.
	Headers []fileSecretHeader `yaml:"headers,notyet"`

	// Key is a fixed secret, sent with every request in place of what the client
	// sent: the text, {file}, or {value, location}.
	// Envoy: the filters credential_injector and, for cookies, lua of the
	// backend's cluster. The secret comes by SDS; without it the answer is 401.
	// Differs: authorization, x-api-key, api-key and x-goog-api-key of the client
	// are removed wherever the key goes.
	Key *fileKey `yaml:"key"`
	// Passthrough sends on what the client sent, also where a less specific
	// place has a key.
	Passthrough *filePassthrough `yaml:"passthrough"`
}

// fileSecretHeader is a secret in a header.
type fileSecretHeader struct {
	// Name is that of the header.
	Name string `yaml:"name,required"`
	// Prefix stands before the secret.
	// Default: nothing.
	Prefix string `yaml:"prefix"`
	// Value is the secret.
	Value fileSecret `yaml:"value,required"`
}

type filePassthrough struct {
	// Location is where the token is put.
	// Default: the header authorization after "Bearer ".
	Location *fileLocation `yaml:"location,notyet"`
}

// fileKey is a secret: "text", {file: path}, or {value: either of them}.
type fileKey struct {
	value    string
	file     string
	variable string // the one variable that the text consists of
	location *fileLocation
	node     *node
}

// fileKeyMapping is exactly one of these.
type fileKeyMapping struct {
	// File is the path of a file with the key. Space around it is cut off.
	File string `yaml:"file"`
	// Value is the key: the text, or {file}.
	Value *fileKey `yaml:"value"`
	// Location is where the key goes. It stands beside value.
	// Default: the provider's own header for ai backends, else the header
	// Authorization with the prefix "Bearer ".
	Location *fileLocation `yaml:"location"`
}

// fileLocation is where in a request a credential stands; one of its keys.
type fileLocation struct {
	_ struct{} `oneOf:"header queryParameter cookie expression"`

	// Expression computes the credential; nothing can be written there. Release
	// 1.3 wrote {expression: …} once more.
	Expression *stringOr[fileExpression] `yaml:"expression,notyet"`

	// Header is a header, perhaps with something before the credential.
	Header *fileHeaderLocation `yaml:"header"`
	// QueryParameter is a parameter of the query.
	QueryParameter *fileNamedLocation `yaml:"queryParameter"`
	// Cookie is one of the cookies.
	Cookie *fileNamedLocation `yaml:"cookie"`
}

type fileHeaderLocation struct {
	// Name is the header's name.
	Name string `yaml:"name,required"`
	// Prefix stands before the credential, such as "Bearer ".
	// Default: nothing.
	Prefix string `yaml:"prefix"`
}

type fileNamedLocation struct {
	// Name is the name of the parameter or the cookie.
	Name string `yaml:"name,required"`
}

func (k *fileKey) decodeNode(d *decoder, n *node) {
	k.node = n
	if n.kind == scalarNode && n.tag == strTag {
		k.value = strings.TrimSpace(n.value)
		if name, ok := soleVariable(strings.TrimSpace(n.source())); ok && n.variable {
			k.variable = name
		}
		return
	}
	if n.kind != mappingNode {
		// What stands here may be the secret itself: do not show it.
		d.errorf(n, Invalid, "expected a string or {file: path}; quote a key that consists of digits")
		return
	}
	var m fileKeyMapping
	d.decode(n, &m)
	switch {
	case m.Value != nil && m.File == "":
		*k = *m.Value
		if k.location != nil {
			d.errorf(n, Invalid, "expected location beside value, not in it")
		}
		k.location = m.Location
	case m.Value == nil && m.File != "":
		if k.file = m.File; m.Location != nil {
			d.errorf(n, Invalid, "location goes with value; write value: {file: path}")
		}
	default:
		d.errorf(n, Invalid, "expected exactly one of file, value")
	}
}
