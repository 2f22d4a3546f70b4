package config

// The file shapes of the policies that change a request or a response on its
// way, answer it, or bound it. filters.go turns them into the model.

// fileHeaderModifier changes headers: it adds, then sets, then removes.
type fileHeaderModifier struct {
	// Add appends a header to those of its name that are there already.
	Add map[string]string `yaml:"add"`
	// Set replaces all headers of that name by one.
	Set map[string]string `yaml:"set"`
	// Remove takes away all headers of these names.
	Remove []string `yaml:"remove"`
}

// fileRedirect is the answer that sends a client to another URL.
type fileRedirect struct {
	// Scheme is the scheme of the new URL, such as https.
	// Default: that of the request.
	Scheme string `yaml:"scheme"`
	// Authority is the host and port of the new URL.
	// Default: those of the request.
	Authority *fileAuthority `yaml:"authority"`
	// Path is the path of the new URL. The query is always kept.
	// Default: that of the request.
	Path *filePathRewrite `yaml:"path"`
	// Status is the status of the answer, 200 to 599.
	// Default: 302.
	Status *uint16 `yaml:"status"`
}

// fileRewrite is what a backend sees in place of the request's.
type fileRewrite struct {
	// Authority is the Host that the backend sees. An ai provider without a
	// hostOverride always sees its own.
	// Default: auto.
	Authority *fileAuthority `yaml:"authority"`
	// Path is the path that the backend sees. The query is always kept.
	// Default: that of the request.
	// Differs: the path is changed after all other policies of the route, so
	// that they see the client's.
	Path *filePathRewrite `yaml:"path"`
}

// fileAuthority is auto, none, or a mapping.
type fileAuthority struct {
	word string
	fileAuthorityMapping
}

// fileAuthorityMapping is exactly one of these.
type fileAuthorityMapping struct {
	// Full is a host, perhaps with a port, such as example.com:8443.
	Full *string `yaml:"full"`
	// Host is a host without a port. A redirect without a scheme keeps the
	// port of the request.
	Host *string `yaml:"host"`
	// Port is a port; the host stays. The default port of the scheme is left
	// out.
	Port *uint16 `yaml:"port"`
}

func (f *fileAuthority) decodeNode(d *decoder, n *node) {
	switch {
	case n.isNull():
	case n.kind == mappingNode:
		d.decode(n, &f.fileAuthorityMapping)
	case n.kind == scalarNode && (n.value == "auto" || n.value == "none"):
		f.word = n.value
	default:
		d.errorf(n, Invalid, "expected auto, none, or a mapping with one of full, host, port; found %s", n.what())
	}
}

// filePathRewrite is exactly one of these.
type filePathRewrite struct {
	// Full replaces the whole path.
	Full *string `yaml:"full"`
	// Prefix replaces the prefix that the route has matched, which must be a
	// pathPrefix. Slashes are neither doubled nor lost: with pathPrefix /foo and
	// prefix /, /foo/x becomes /x and /foo becomes /.
	Prefix *string `yaml:"prefix"`
}

// fileMirror sends copies of requests to another backend.
type fileMirror struct {
	// Backend receives the copies; its answers are ignored.
	Backend fileMirrorBackend `yaml:"backend,required"`
	// Percentage is the share of the requests that are copied, from 0.0 to 1.0.
	Percentage float64 `yaml:"percentage,required"`
}

// fileMirrorBackend is a backend without settings of its own.
type fileMirrorBackend struct {
	// Service is an entry of services.
	Service *fileServiceRef `yaml:"service"`
	// Backend is an entry of the top-level backends, of kind host.
	Backend string `yaml:"backend"`
	// Invalid drops the copies.
	Invalid *fileEmpty `yaml:"invalid,notyet"`

	// Host is host:port, or a URL: http://host or https://host, with or without
	// a port.
	Host string `yaml:"host"`
}

// fileTimeout bounds the time that a request may take.
type fileTimeout struct {
	// RequestTimeout bounds the time until the response is complete.
	// Default: no limit.
	// Envoy: the route's timeout.
	// Differs: the time runs from when Envoy has the whole request.
	RequestTimeout fileDuration `yaml:"requestTimeout"`
	// BackendRequestTimeout bounds the time until a backend answers with its
	// headers, for each attempt anew.
	// Default: no limit.
	// Envoy: per_try_timeout.
	// Differs: the time runs from when the backend has the whole request.
	BackendRequestTimeout fileDuration `yaml:"backendRequestTimeout"`
}

// fileRetry sends failed requests again.
type fileRetry struct {
	// Precondition decides by the request whether it may be sent again.
	Precondition fileCEL `yaml:"precondition,notyet"`
	// Condition decides by the response whether the request is sent again.
	Condition fileCEL `yaml:"condition,notyet"`

	// Attempts is how often a failed request is sent again, 1 to 255.
	// Default: 1.
	Attempts *uint16 `yaml:"attempts"`
	// Backoff is the pause before each of these attempts.
	// Default: no pause.
	// Differs: the pause is a random one of at most this length.
	Backoff fileDuration `yaml:"backoff"`
	// Codes are the statuses for which a request is sent again. Without any
	// answer, be it in the time of timeout.backendRequestTimeout, it always is.
	Codes []uint16 `yaml:"codes,required"`
}

// fileDelay lets requests wait.
type fileDelay struct {
	_ struct{} `oneOf:"duration conditional"`

	// Conditional are delays with conditions.
	Conditional []conditionalEntry[fileDelayEntry] `yaml:"conditional,notyet"`

	// Duration is how long a request waits, such as 500ms.
	Duration string `yaml:"duration"`
}

type fileDelayEntry struct {
	// Duration is how long a request waits.
	Duration string `yaml:"duration,required"`
}

// fileBuffer holds bodies until they are complete.
type fileBuffer struct {
	// Response holds the response's body until all of it is there.
	Response *fileBufferBody `yaml:"response,notyet"`

	// Request holds the request's body until all of it is there.
	Request *fileBufferBody `yaml:"request"`
}

// fileBufferBody bounds a body that is held.
type fileBufferBody struct {
	// MaxBytes is the longest body in bytes; longer ones are refused with 413.
	// Default: 2097152.
	MaxBytes *uint32 `yaml:"maxBytes"`
	// FailureMode tells what happens to a longer body.
	// Default: failClosed.
	FailureMode string `yaml:"failureMode" enum:"failClosed" enumNotYet:"failOpen"`
}
