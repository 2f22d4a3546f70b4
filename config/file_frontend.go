package config

// fileFrontendPolicies are settings for the connections of clients, for access
// logs and for traces.
type fileFrontendPolicies struct {
	// HTTP are limits of HTTP.
	HTTP *fileFrontendHTTP `yaml:"http"`
	// TLS is how connections are encrypted.
	TLS *fileFrontendTLS `yaml:"tls"`
	// TCP are the probes on idle connections.
	TCP *fileFrontendTCP `yaml:"tcp"`
	// NetworkAuthorization decides by rules about each connection.
	NetworkAuthorization *fileAuthorization `yaml:"networkAuthorization,notyet"`
	// NetworkExtAuthz asks a service about each connection.
	NetworkExtAuthz *fileExtAuthz `yaml:"networkExtAuthz,notyet"`
	// ProxyProtocol says what is accepted on ports with tunnelProtocol: proxy, on
	// which the client's address stands in front of everything else.
	ProxyProtocol *fileProxyProtocol `yaml:"proxyProtocol" old:"proxy"`
	// Connect says what happens to the method CONNECT.
	// Default: deny.
	Connect *fileConnect `yaml:"connect"`
	// AccessLog is a line for each request.
	AccessLog *fileAccessLog `yaml:"accessLog,notyet" old:"logging"`
	// Tracing sends spans to a collector.
	Tracing *fileTracing `yaml:"tracing,notyet"`
}

type fileFrontendHTTP struct {
	Limits fileHTTPLimits `yaml:",inline"`

	// HTTP1HeaderCase is how the names of headers are spelt over HTTP/1: in lower
	// case, or as in the request.
	// Default: lowercase.
	HTTP1HeaderCase string `yaml:"http1HeaderCase" enum:"lowercase" enumNotYet:"preserve"`
	// HTTP2MaxHeaderSize bounds the headers of a request, in bytes: a multiple of
	// 1024, at most 8388608. Longer ones are refused with 431.
	// Default: 61440.
	// Envoy: the listener's max_request_headers_kb. An edit drains connections.
	// Differs: the limit holds for HTTP/1 as well.
	HTTP2MaxHeaderSize *uint32 `yaml:"http2MaxHeaderSize"`
	// MaxConnectionDuration is the age at which a connection is closed, once its
	// requests are done.
	// Default: no limit.
	// Envoy: the listener's max_connection_duration. An edit drains connections.
	// Differs: a connection stays about 6s longer, in which the client is told to
	// leave.
	MaxConnectionDuration fileDuration `yaml:"maxConnectionDuration"`
}

// fileHTTPLimits are the limits that v0.10 had as well, below config.listener.
type fileHTTPLimits struct {
	// HTTP2FrameSize is HTTP/2's longest frame, in bytes.
	HTTP2FrameSize *uint32 `yaml:"http2FrameSize,notyet"`

	// MaxBufferSize is the longest body that is held, in bytes, at most 1 GiB.
	// Default: 10485760.
	// Envoy: per_connection_buffer_limit_bytes of listeners and clusters; the
	// limit of the ext_proc service. An edit drains connections.
	// Differs: agentgateway's default is 2097152.
	MaxBufferSize *uint64 `yaml:"maxBufferSize"`
	// HTTP1MaxHeaders bounds the number of headers of a request. More are refused
	// with 431.
	// Default: 100.
	// Envoy: the listener's max_headers_count. An edit drains connections.
	// Differs: the limit holds for HTTP/2 as well.
	HTTP1MaxHeaders *uint32 `yaml:"http1MaxHeaders"`
	// HTTP1IdleTimeout closes connections without requests.
	// Default: 10m.
	// Envoy: the listener's idle_timeout. An edit drains connections.
	// Differs: the limit holds for HTTP/2 as well. A connection stays about 6s
	// longer, in which the client is told to leave. The headers of a request
	// always have 1m.
	HTTP1IdleTimeout fileDuration `yaml:"http1IdleTimeout"`
	// HTTP2WindowSize is HTTP/2's window of a stream, in bytes, from 65535 to
	// 2147483647.
	// Default: 262144.
	// Envoy: the listener's initial_stream_window_size. An edit drains
	// connections.
	HTTP2WindowSize *uint32 `yaml:"http2WindowSize"`
	// HTTP2ConnectionWindowSize is HTTP/2's window of a connection, in bytes, from
	// 65535 to 2147483647.
	// Default: 1048576.
	// Envoy: the listener's initial_connection_window_size. An edit drains
	// connections.
	HTTP2ConnectionWindowSize *uint32 `yaml:"http2ConnectionWindowSize"`
	// HTTP2KeepaliveInterval is the time between two pings.
	// Default: no pings.
	// Envoy: the listener's connection_keepalive. An edit drains connections.
	HTTP2KeepaliveInterval fileDuration `yaml:"http2KeepaliveInterval"`
	// HTTP2KeepaliveTimeout is the wait for the answer to a ping, after which the
	// connection is closed.
	// Default: 20s.
	// Envoy: a part of connection_keepalive. An edit drains connections.
	HTTP2KeepaliveTimeout fileDuration `yaml:"http2KeepaliveTimeout"`
}

type fileFrontendTLS struct {
	// ALPN are the protocols to offer, each as a list of bytes.
	ALPN *[]fileBytes `yaml:"alpn,notyet"`
	// MinVersion is the lowest version.
	MinVersion string `yaml:"minVersion,notyet" enum:"TLS_V1_0 TLS_V1_1 TLS_V1_2 TLS_V1_3"`
	// MaxVersion is the highest version.
	MaxVersion string `yaml:"maxVersion,notyet" enum:"TLS_V1_0 TLS_V1_1 TLS_V1_2 TLS_V1_3"`
	// CipherSuites are those that are allowed, the preferred first.
	CipherSuites *[]string `yaml:"cipherSuites,notyet"`
	// KeyExchangeGroups are those that are allowed.
	KeyExchangeGroups *[]string `yaml:"keyExchangeGroups,notyet"`

	// HandshakeTimeout bounds the handshake.
	// Default: 15s.
	// Envoy: the listener's listener_filters_timeout, and
	// transport_socket_connect_timeout. An edit drains connections.
	// Differs: the client's first message has this time, and the rest of the
	// handshake has it once more.
	HandshakeTimeout fileDuration `yaml:"handshakeTimeout" old:"tlsHandshakeTimeout"`
}

type fileFrontendTCP struct {
	// Keepalives are the probes on idle connections.
	// Default: no probes.
	// Envoy: the listener's tcp_keepalive. An edit drains connections.
	Keepalives fileKeepalives `yaml:"keepalives,required"`
}

type fileProxyProtocol struct {
	// Version is the version of the header that is accepted.
	// Default: v2.
	// Envoy: the listener filter proxy_protocol. An edit drains connections.
	Version string `yaml:"version" enum:"v1 v2 all"`
	// Mode is strict for refusing connections without the header, or optional.
	// Default: strict.
	// Envoy: allow_requests_without_proxy_protocol. An edit drains connections.
	// Differs: with optional, a header of another version is taken for a part of
	// what the client sends.
	Mode string `yaml:"mode" enum:"strict optional"`
}

type fileConnect struct {
	// Mode is deny for refusing the method.
	Mode string `yaml:"mode,required" enum:"deny" enumNotYet:"route tunnel"`
}

type fileAccessLog struct {
	Fields fileLogFields `yaml:",inline"`

	// Filter tells which requests are logged.
	// Default: all.
	Filter fileCEL `yaml:"filter"`
	// OTLP sends the log to a collector.
	OTLP *fileOTLPLog `yaml:"otlp"`
	// Database writes the log into a database.
	Database *fileDatabaseLog `yaml:"database"`
}

type fileLogFields struct {
	// Add computes further fields.
	Add map[string]fileCEL `yaml:"add"`
	// Remove takes fields out.
	Remove []string `yaml:"remove"`
}

type fileOTLPLog struct {
	Side fileSide `yaml:",inline"`

	// Filter tells which requests are sent.
	// Default: all that are logged.
	Filter fileCEL `yaml:"filter"`
	// Fields are the fields to send.
	// Default: those of the access log.
	Fields *fileLogFields `yaml:"fields"`
	// Protocol is OTLP's transport.
	// Default: grpc.
	Protocol string `yaml:"protocol" enum:"grpc http"`
	// Path is the path over HTTP.
	// Default: /v1/logs.
	Path string `yaml:"path"`
}

type fileDatabaseLog struct {
	// LLM tells how much of requests to models is kept.
	LLM string `yaml:"llm" enum:"metadata full"`
	// Add computes further fields.
	Add map[string]fileCEL `yaml:"add"`
}

type fileTracing struct {
	Side fileSide `yaml:",inline"`

	// Attributes are computed for each span.
	// Default: none.
	Attributes map[string]fileCEL `yaml:"attributes"`
	// Resources are computed once, such as service.name.
	// Default: none.
	Resources map[string]fileCEL `yaml:"resources"`
	// Remove takes attributes out.
	// Default: none.
	Remove []string `yaml:"remove"`
	// RandomSampling is the share, 0 to 1, of requests without a trace that are
	// traced; true and false are all and none. It may be an expression.
	RandomSampling fileScalar `yaml:"randomSampling"`
	// ClientSampling is the share, 0 to 1, of requests with a trace that are
	// traced. It may be an expression.
	ClientSampling fileScalar `yaml:"clientSampling"`
	// Filter tells which spans are sent.
	// Default: all.
	Filter fileCEL `yaml:"filter"`
	// Path is the path over HTTP.
	// Default: /v1/traces.
	Path string `yaml:"path"`
	// Protocol is OTLP's transport.
	// Default: grpc.
	Protocol string `yaml:"protocol" enum:"grpc http"`
}
