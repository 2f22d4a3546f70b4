package config

// fileConcurrencyLimit bounds the requests in hand.
type fileConcurrencyLimit struct {
	// MaxConcurrent is how many there may be.
	MaxConcurrent uint32 `yaml:"maxConcurrent,required"`
	// Key tells requests apart that do not count together.
	// Default: all count together.
	Key fileCEL `yaml:"key"`
}

// fileBucket is a token bucket that all clients share.
type fileBucket struct {
	// MaxTokens is the size of the bucket.
	// Default: 0.
	MaxTokens uint64 `yaml:"maxTokens"`
	// TokensPerFill are added in every interval.
	// Default: 0.
	TokensPerFill uint64 `yaml:"tokensPerFill"`
	// FillInterval is the interval.
	FillInterval fileSpan `yaml:"fillInterval,required"`
	// Type is what a token of the bucket stands for: a request, or a token of a
	// model.
	// Default: requests.
	Type string `yaml:"type" enum:"requests tokens"`
}

// fileRemoteRateLimit asks a service that speaks Envoy's rate limit protocol.
type fileRemoteRateLimit struct {
	Side fileSide `yaml:",inline"`

	// Domain is told to the service.
	Domain string `yaml:"domain,required"`
	// Descriptors are what the service counts by. Releases up to 0.7.4 had a
	// mapping, {name: {static: …}} or {name: {requestHeader: …}}.
	Descriptors fileDescriptors `yaml:"descriptors,required"`
	// FailureMode is what happens while the service is unavailable: failClosed
	// answers with 500, failOpen lets requests pass.
	// Default: failClosed.
	FailureMode string `yaml:"failureMode" enum:"failClosed failOpen FailClosed FailOpen"`
	// Timeout bounded the wait for the service in early releases.
	Timeout fileSpan `yaml:"timeout"`
}

type fileDescriptors struct {
	list  []fileDescriptor
	early map[string]fileEarlyDescriptor
}

func (f *fileDescriptors) decodeNode(d *decoder, n *node) {
	if n.kind == mappingNode {
		d.decode(n, &f.early)
		return
	}
	d.decode(n, &f.list)
}

type fileDescriptor struct {
	// Entries are the descriptor's keys with their values.
	Entries []fileDescriptorEntry `yaml:"entries,required"`
	// Type is what is counted: requests, or tokens of a model.
	// Default: requests.
	Type string `yaml:"type" enum:"requests tokens"`
	// Cost computes how much a request counts.
	// Default: 1 for requests, llm.totalTokens for tokens.
	Cost fileCEL `yaml:"cost"`
	// LimitOverride computes a limit in place of the service's, {unit,
	// requestsPerUnit}.
	LimitOverride fileCEL `yaml:"limitOverride"`
}

type fileDescriptorEntry struct {
	// Key is the key.
	Key string `yaml:"key,required"`
	// Value computes the value.
	Value fileCEL `yaml:"value,required"`
}

type fileEarlyDescriptor struct {
	_ struct{} `oneOf:"static requestHeader"`

	// Static is the value itself.
	Static string `yaml:"static"`
	// RequestHeader is the header with the value.
	RequestHeader string `yaml:"requestHeader"`
}
