package config

// The types of this file are blocks of the section config.

// fileProcessBackend are settings for the connections to all backends. An edit
// takes effect at once.
type fileProcessBackend struct {
	// PoolMaxSize bounds the idle connections to a host.
	PoolMaxSize *uint32 `yaml:"poolMaxSize,notyet"`
	// H2KeepaliveInterval is the time between two HTTP/2 pings.
	H2KeepaliveInterval fileSpan `yaml:"h2KeepaliveInterval,notyet"`
	// H2KeepaliveTimeout is how long an answer to a ping is waited for.
	H2KeepaliveTimeout fileSpan `yaml:"h2KeepaliveTimeout,notyet"`

	// Keepalives are the probes on idle connections.
	// Default: agentgateway's, 9 probes 3 minutes apart; none to other servers than
	// backends.
	// Envoy: tcp_keepalive of the clusters.
	Keepalives *fileKeepalives `yaml:"keepalives"`
	// ConnectTimeout bounds the time for connecting.
	// Default: 10s.
	// Envoy: connect_timeout of the clusters.
	ConnectTimeout fileDuration `yaml:"connectTimeout"`
	// PoolIdleTimeout closes connections without requests.
	// Default: 90s; 1h to other servers than backends.
	// Envoy: idle_timeout of the clusters.
	PoolIdleTimeout fileDuration `yaml:"poolIdleTimeout"`
}

// fileLogging is the log of the process.
type fileLogging struct {
	// Filter tells which requests are logged; frontendPolicies.accessLog says it
	// since 0.11.
	Filter fileCEL `yaml:"filter,notyet"`
	// Fields change the fields of a request; frontendPolicies.accessLog says it
	// since 0.11.
	Fields *fileLogFields `yaml:"fields,notyet"`
	// Database is where requests are logged.
	Database *fileDatabase `yaml:"database,notyet"`

	// Level is the least severe level that is logged: error, warn, info, debug or
	// trace.
	// Default: info.
	// Differs: trace is the same as debug. Levels for parts of the program, such
	// as info,proxy=debug, are refused.
	Level oneOrMany[string] `yaml:"level"`
	// Format is how a line is written.
	// Default: text.
	Format string `yaml:"format" enum:"text json"`
}

type fileDatabase struct {
	// URL is sqlite:// or postgres:// with what they need.
	URL fileSecret `yaml:"url,required"`
	// MaxConnections bounds the connections.
	// Default: 5.
	MaxConnections *uint32 `yaml:"maxConnections"`
}

// fileProcessTracing is how traces were set before frontendPolicies.tracing.
type fileProcessTracing struct {
	// OTLPEndpoint is the collector.
	OTLPEndpoint string `yaml:"otlpEndpoint"`
	// Headers are sent to the collector.
	// Default: none.
	Headers map[string]fileSecret `yaml:"headers"`
	// OTLPProtocol is OTLP's transport.
	// Default: grpc.
	OTLPProtocol string `yaml:"otlpProtocol" enum:"grpc http"`
	// Fields change the attributes of a span.
	Fields *fileLogFields `yaml:"fields"`
	// RandomSampling is the share, 0 to 1, of requests without a trace that are
	// traced.
	// Default: false.
	RandomSampling fileScalar `yaml:"randomSampling"`
	// ClientSampling is the share, 0 to 1, of requests with a trace that are
	// traced.
	// Default: true.
	ClientSampling fileScalar `yaml:"clientSampling"`
	// Path is the path over HTTP.
	// Default: /v1/traces.
	Path string `yaml:"path"`
}

type fileMetrics struct {
	// Remove takes metrics out.
	// Default: none.
	Remove []string `yaml:"remove"`
	// Fields adds labels.
	Fields *fileMetricFields `yaml:"fields"`
}

type fileMetricFields struct {
	// Add computes labels.
	// Default: none.
	Add map[string]fileCEL `yaml:"add"`
}

// fileStandardAttributes say who made a request, for the log.
type fileStandardAttributes struct {
	// User computes the user.
	User fileCEL `yaml:"user"`
	// Group computes the user's group.
	Group fileCEL `yaml:"group"`
}

type fileSession struct {
	// Key protects the sessions of MCP clients: 64 hexadecimal digits.
	Key fileSecret `yaml:"key,required"`
}

type fileProcessMCP struct {
	// SessionTTL is how long a session of an MCP client lasts.
	// Default: 30m.
	SessionTTL fileSpan `yaml:"sessionTtl"`
}

type fileStorage struct {
	// Mode is where edits in agentgateway's user interface go.
	// Default: file.
	Mode string `yaml:"mode" enum:"file hybrid readOnly"`
}

type fileSPIFFE struct {
	// Endpoint is the address of the workload API.
	Endpoint string `yaml:"endpoint"`
}

type fileHBONE struct {
	// WindowSize is the window of a stream, in bytes.
	WindowSize *uint32 `yaml:"windowSize"`
	// ConnectionWindowSize is the window of a connection, in bytes.
	ConnectionWindowSize *uint32 `yaml:"connectionWindowSize"`
	// FrameSize is the longest frame, in bytes.
	FrameSize *uint32 `yaml:"frameSize"`
	// PoolMaxStreamsPerConn bounds the streams of a connection.
	PoolMaxStreamsPerConn *uint16 `yaml:"poolMaxStreamsPerConn"`
	// PoolUnusedReleaseTimeout closes connections without streams.
	PoolUnusedReleaseTimeout fileSpan `yaml:"poolUnusedReleaseTimeout"`
}

// fileCatalogSource is a catalogue of what models cost; of several, later ones
// win.
type fileCatalogSource struct {
	_ struct{} `oneOf:"file inline"`

	// File is the path of the catalogue.
	File string `yaml:"file"`
	// Inline is the catalogue, as text or as it is.
	Inline *stringOr[fileCatalog] `yaml:"inline"`
}

type fileCatalog struct {
	// Providers are the providers, by name.
	// Default: none.
	Providers map[string]fileCatalogProvider `yaml:"providers"`
}

type fileCatalogProvider struct {
	// Models are the provider's models, by name.
	// Default: none.
	Models map[string]fileCatalogModel `yaml:"models"`
}

type fileCatalogModel struct {
	// Rates are what a million tokens cost.
	Rates *fileRates `yaml:"rates"`
	// Tiers are other rates for long requests.
	Tiers []fileTier `yaml:"tiers"`
	// Tags label the model.
	Tags []string `yaml:"tags"`
}

type fileTier struct {
	// ContextOver is the length, in tokens, above which the rates apply.
	ContextOver uint64 `yaml:"contextOver,required"`
	// Rates are what a million tokens cost.
	Rates fileRates `yaml:"rates,required"`
}

// fileRates are prices, written as strings.
type fileRates struct {
	// Input is the price of what is sent.
	Input string `yaml:"input"`
	// Output is the price of what is answered.
	Output string `yaml:"output"`
	// CacheRead is the price of what a cache had.
	CacheRead string `yaml:"cacheRead"`
	// CacheWrite is the price of what a cache keeps.
	CacheWrite string `yaml:"cacheWrite"`
	// Reasoning is the price of what the model thinks.
	Reasoning string `yaml:"reasoning"`
	// InputAudio is the price of sound that is sent.
	InputAudio string `yaml:"inputAudio"`
	// OutputAudio is the price of sound that is answered.
	OutputAudio string `yaml:"outputAudio"`
}

// fileProcessListener is how releases up to 0.10 wrote frontendPolicies.
type fileProcessListener struct {
	Limits fileHTTPLimits `yaml:",inline"`

	// TLSHandshakeTimeout is now frontendPolicies.tls.handshakeTimeout.
	TLSHandshakeTimeout fileDuration `yaml:"tlsHandshakeTimeout"`
}
