package config

// fileCORS answers the questions that browsers ask before a script may use
// another origin.
type fileCORS struct {
	// AllowOrigins are the origins whose scripts may read responses: * for any,
	// or scheme://host or scheme://host:port, where the scheme is http or https
	// and * in the host stands for any text, dots included. Case does not count,
	// and the default port is the same as none.
	// Default: none, so that no response is for scripts of other origins.
	// Envoy: a Lua filter, the first of the route: Envoy's own cors filter
	// forwards some OPTIONS requests, and does not run on redirects and direct
	// responses.
	AllowOrigins []string `yaml:"allowOrigins"`
	// AllowMethods are the methods that a preflight is told; * for the one it
	// asks for.
	// Default: none.
	AllowMethods []string `yaml:"allowMethods"`
	// AllowHeaders are the request headers that a preflight is told; * for those
	// it asks for.
	// Default: none.
	AllowHeaders []string `yaml:"allowHeaders"`
	// ExposeHeaders are the response headers that scripts may read; * for all.
	// Default: those that browsers always show.
	ExposeHeaders []string `yaml:"exposeHeaders"`
	// AllowCredentials lets browsers send cookies and other credentials.
	// Default: false.
	AllowCredentials bool `yaml:"allowCredentials"`
	// MaxAge is how long a browser may remember the answer to a preflight, in
	// whole seconds; 0s for not at all.
	// Default: left to the browser.
	MaxAge *fileSpan `yaml:"maxAge"`
}
