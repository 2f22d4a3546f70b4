package config

// fileTransformations edit requests and responses by expressions.
type fileTransformations struct {
	// Request is done to the request before it is sent on.
	Request *fileTransform `yaml:"request"`
	// Response is done to the response before the client gets it.
	Response *fileTransform `yaml:"response"`
}

// fileTransform is done in the order metadata, replace, add, set, remove, body.
type fileTransform struct {
	// Add computes headers that are added to those of the same name.
	// Default: none.
	Add map[string]fileCEL `yaml:"add"`
	// Set computes headers that replace those of the same name.
	// Default: none.
	Set map[string]fileCEL `yaml:"set"`
	// Remove lists headers that are taken out.
	// Default: none.
	Remove []string `yaml:"remove"`
	// Replace computes all headers anew.
	Replace fileCEL `yaml:"replace"`
	// Body computes the body anew.
	Body fileCEL `yaml:"body"`
	// Metadata is computed for expressions that follow.
	// Default: none.
	Metadata map[string]fileCEL `yaml:"metadata"`
}
