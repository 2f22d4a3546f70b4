package config

// The types of this file have the shape of F5 AI Gateway's own file,
// aigw.yaml, in the words of its releases from 1.0 on. f5.go turns them into
// the model; processors and profiles are those of file.go.

// f5File is F5 AI Gateway's own file, aigw.yaml.
type f5File struct {
	_ struct{} `refused:"mode adminServer logging"`

	// Server is where clients connect.
	// Envoy: a listener with a route table.
	Server f5Server `yaml:"server,required"`
	// Routes tell which policy a path has.
	// Envoy: a route for each, for exactly its path.
	Routes []f5Route `yaml:"routes"`
	// Policies tell which profile runs.
	Policies []f5Policy `yaml:"policies"`
	// Profiles are chains of steps.
	Profiles []fileProfile `yaml:"profiles"`
	// Services are the model providers.
	// Envoy: a cluster for each.
	Services []f5Service `yaml:"services"`
	// Processors are what may run in a profile. A step names one of them.
	Processors []fileProcessor `yaml:"processors"`
}

// f5Server is where clients connect.
type f5Server struct {
	// Address is an IP address or nothing, a colon and a port, such as :4141.
	// Envoy: the address of the listener.
	Address string `yaml:"address,required"`
	// TLS is how clients are spoken to, by TLS 1.2 at least.
	// Default: in the clear.
	// Envoy: a transport socket, with the certificate by SDS.
	TLS *f5TLS `yaml:"tls"`
	// MTLS wants a certificate from every client. It needs tls.
	// Default: clients need none.
	// Envoy: require_client_certificate.
	MTLS *f5MTLS `yaml:"mtls"`
}

// f5TLS is what the server shows to clients.
type f5TLS struct {
	// Enabled is false where the rest is not to count.
	// Default: true.
	Enabled *bool `yaml:"enabled"`
	// ServerCert is a PEM file with the certificate, followed by those that lead to
	// its root. It and the key are watched.
	ServerCert string `yaml:"serverCertPath"`
	// ServerKey is a PEM file with the private key of the certificate.
	ServerKey string `yaml:"serverKeyPath"`
}

// f5MTLS is what clients have to show.
type f5MTLS struct {
	// Enabled is false where the rest is not to count.
	// Default: true.
	Enabled *bool `yaml:"enabled"`
	// ClientCert is a PEM file with the certificates that verify clients.
	// Envoy: trusted_ca, by SDS.
	ClientCert string `yaml:"clientCertPath"`
}

// f5Route gives a path its policy.
type f5Route struct {
	// Path is the whole path, once in the file. It begins with / and does not end
	// with it.
	// Envoy: path of the route's match.
	Path string `yaml:"path,required"`
	// Policy is the name of a policy. Several routes may have one.
	Policy string `yaml:"policy,required"`
	// Schema is what the route serves: v1/models answers with the models of the
	// profile, which must have some.
	// Default: v1/chat_completions.
	Schema string `yaml:"schema" words:"v1/chat_completions v1/models"`
	// TimeoutSeconds bounds the whole exchange; 0 is no limit.
	// Default: no limit.
	// Envoy: the timeout of the route, from when the profile lets the request go;
	// the profile has as long.
	TimeoutSeconds uint32 `yaml:"timeoutSeconds"`
}

// f5Policy chooses a profile.
type f5Policy struct {
	// Name is unique; routes refer to it.
	Name string `yaml:"name,required"`
	// Authentication verifies the bearer token that selectors of type jwt look at.
	// Default: none.
	Authentication *fileAuthentication `yaml:"authentication"`
	// Profiles are those to choose from: the first whose selector holds runs. If
	// none does, the answer is 404.
	Profiles []fileCandidate `yaml:"profiles,required"`
}

// f5Service is a model provider.
type f5Service struct {
	// Name is unique; services of a profile refer to it.
	Name string `yaml:"name,required"`
	// Type is the model that is sent to the service.
	Type string `yaml:"type,required"`
	// Executor is the API of the service. custom is read as openai, with a warning.
	// ollama is spoken to by its OpenAI API.
	Executor string `yaml:"executor,required" words:"openai ollama custom"`
	// Config tells where the service is and how to reach it.
	Config f5ServiceConfig `yaml:"config"`
}

// f5ServiceConfig tells where a service is and how to reach it.
type f5ServiceConfig struct {
	_ struct{} `notyetF5:"apiVersion anthropicVersion" refused:"apiKeyEnv schema"`

	// Endpoint is an http:// or https:// URL. Without a path, /v1/chat/completions
	// is used.
	// Default: OpenAI's own, for the executor openai; others need one.
	// Envoy: the address of the cluster, and regex_rewrite of the routes.
	Endpoint string `yaml:"endpoint"`
	// Secrets name the key of the service. It is sent as Authorization: Bearer.
	// Default: none.
	// Envoy: credential_injector, with the secret by SDS.
	Secrets []f5Secret `yaml:"secrets"`
	// CAPath is a PEM file that verifies the service in place of the system's roots.
	// Default: the system's.
	// Envoy: trusted_ca.
	CAPath string `yaml:"caPath"`
	// TLSMinVersion is the lowest version of TLS.
	// Default: v1.3.
	// Envoy: tls_minimum_protocol_version.
	TLSMinVersion string `yaml:"tlsMinVersion" words:"v1.2 v1.3"`
	// ClientCert is a PEM file with a certificate for mTLS; it goes with
	// clientKeyPath.
	// Default: none.
	// Envoy: a certificate by SDS.
	ClientCert string `yaml:"clientCertPath"`
	// ClientKey is a PEM file with the private key of clientCertPath.
	// Default: none.
	// Envoy: a certificate by SDS.
	ClientKey string `yaml:"clientKeyPath"`
}

// f5Secret names one secret.
type f5Secret struct {
	// Source tells where it is: in an environment variable or in a file.
	Source string `yaml:"source,required" words:"EnvVar File"`
	// Meta belongs to files.
	// Default: none.
	Meta f5SecretMeta `yaml:"meta"`
	// Targets has one key, apiKey, with the name of the variable or of the file.
	Targets map[string]string `yaml:"targets,required"`
}

// f5SecretMeta tells where a file is.
type f5SecretMeta struct {
	// Path is the directory of the file.
	// Default: the working directory.
	Path string `yaml:"path"`
}
