package config

// The types of this file have the shape of F5 AI Gateway's own file,
// aigw.yaml, in the words of its releases from 1.0 on. f5.go turns them into
// the model; processors and profiles are those of file.go.

type f5File struct {
	_ struct{} `refused:"mode adminServer logging"`

	Server     f5Server        `yaml:"server,required"`
	Routes     []f5Route       `yaml:"routes"`
	Policies   []f5Policy      `yaml:"policies"`
	Profiles   []fileProfile   `yaml:"profiles"`
	Services   []f5Service     `yaml:"services"`
	Processors []fileProcessor `yaml:"processors"`
}

type f5Server struct {
	Address string      `yaml:"address,required"`
	TLS     *f5Security `yaml:"tls"`
	MTLS    *f5Security `yaml:"mtls"`
}

// f5Security is server.tls or server.mtls.
type f5Security struct {
	Enabled    *bool  `yaml:"enabled"`
	ServerCert string `yaml:"serverCertPath"`
	ServerKey  string `yaml:"serverKeyPath"`
	ClientCert string `yaml:"clientCertPath"`
}

type f5Route struct {
	Path           string `yaml:"path,required"`
	Policy         string `yaml:"policy,required"`
	Schema         string `yaml:"schema"`
	TimeoutSeconds uint32 `yaml:"timeoutSeconds"`
}

type f5Policy struct {
	Name           string              `yaml:"name,required"`
	Authentication *fileAuthentication `yaml:"authentication"`
	Profiles       []fileCandidate     `yaml:"profiles,required"`
}

type f5Service struct {
	Name     string          `yaml:"name,required"`
	Type     string          `yaml:"type,required"`
	Executor string          `yaml:"executor,required"`
	Config   f5ServiceConfig `yaml:"config"`
}

type f5ServiceConfig struct {
	_ struct{} `notyetF5:"apiVersion anthropicVersion" refused:"apiKeyEnv schema"`

	Endpoint      string     `yaml:"endpoint"`
	Secrets       []f5Secret `yaml:"secrets"`
	CAPath        string     `yaml:"caPath"`
	TLSMinVersion string     `yaml:"tlsMinVersion"`
	ClientCert    string     `yaml:"clientCertPath"`
	ClientKey     string     `yaml:"clientKeyPath"`
}

type f5Secret struct {
	Source  string            `yaml:"source,required"`
	Meta    f5SecretMeta      `yaml:"meta"`
	Targets map[string]string `yaml:"targets,required"`
}

type f5SecretMeta struct {
	Path string `yaml:"path"`
}
