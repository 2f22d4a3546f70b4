package config

// The types of this file say how something that requests are sent to is found
// and spoken to: backends, and the services beside the path of a request.

// fileDestination is where a service beside the path of a request is reached.
type fileDestination struct {
	_ struct{} `oneOf:"host service backend"`

	// Host is the address: host:port, unix:/path, or http:// or https:// with a
	// host and perhaps a port.
	Host string `yaml:"host"`
	// Service names an entry of the section services, with its port.
	Service *fileServiceRef `yaml:"service"`
	// Backend names an entry of the section backends, as /name.
	Backend string `yaml:"backend"`
}

// fileServiceRef refers to an entry of the section services.
type fileServiceRef struct {
	// Name is namespace/hostname. Earlier releases had a mapping with both.
	Name stringOr[fileServiceName] `yaml:"name,required"`
	// Port is one of the service's ports.
	Port uint16 `yaml:"port,required"`
}

// fileServiceName is how early releases wrote namespace/hostname.
type fileServiceName struct {
	// Hostname is the host name of the service.
	Hostname string `yaml:"hostname,required"`
	// Namespace is the namespace of the service.
	Namespace string `yaml:"namespace,required"`
}

// fileSide is a service beside the path of a request.
type fileSide struct {
	To fileDestination `yaml:",inline"`

	// Policies say how the service is spoken to.
	Policies *fileServerPolicies `yaml:"policies"`
}

type fileBackendHTTP struct {
	// Version is the version of HTTP to speak, 1.1 or 2.
	Version string `yaml:"version" enum:"1.1 2"`
	// RequestTimeout bounds one request to the backend.
	// Default: no limit.
	RequestTimeout fileSpan `yaml:"requestTimeout"`
}

type fileBackendTCP struct {
	// Keepalives are the probes on idle connections.
	Keepalives fileKeepalives `yaml:"keepalives,required"`
	// ConnectTimeout bounds the time for connecting.
	ConnectTimeout fileSpan `yaml:"connectTimeout,required"`
}

// fileKeepalives are TCP's probes on idle connections.
type fileKeepalives struct {
	// Enabled switches the probes on.
	// Default: true.
	Enabled *bool `yaml:"enabled"`
	// Time is how long a connection is idle before the first probe, in whole
	// seconds.
	// Default: 3m.
	Time fileDuration `yaml:"time"`
	// Interval is the time between two probes, in whole seconds.
	// Default: 3m.
	Interval fileDuration `yaml:"interval"`
	// Retries is the number of lost probes that end the connection, at most 127.
	// Default: 9.
	Retries *uint32 `yaml:"retries"`
}

// fileTunnel reaches a backend by HTTP CONNECT through a proxy.
type fileTunnel struct {
	// Proxy is the proxy that carries the connection.
	Proxy fileDestination `yaml:"proxy,required"`
	// Policies say how the proxy is spoken to.
	Policies *fileServerPolicies `yaml:"policies"`
}

// fileHealth takes endpoints out of service by what they answer.
type fileHealth struct {
	// UnhealthyExpression tells which answers count as failures.
	// Default: status 5xx, and connections that fail.
	UnhealthyExpression fileCEL `yaml:"unhealthyExpression"`
	// Eviction says when and for how long an endpoint is taken out.
	Eviction *fileEviction `yaml:"eviction"`
}

type fileEviction struct {
	// Duration is how long an endpoint stays out of service.
	// Default: 3s.
	Duration fileSpan `yaml:"duration"`
	// RestoreHealth is the health, 0 to 1, with which it returns.
	RestoreHealth *float64 `yaml:"restoreHealth"`
	// ConsecutiveFailures is the number of failures in a row that take it out.
	ConsecutiveFailures *int `yaml:"consecutiveFailures"`
	// HealthThreshold is the health below which a failure takes it out.
	HealthThreshold *float64 `yaml:"healthThreshold"`
}

// fileInferenceRouting asks an endpoint picker which endpoint of a service a
// request goes to.
type fileInferenceRouting struct {
	// EndpointPicker is the service that names the endpoint.
	EndpointPicker fileDestination `yaml:"endpointPicker,required"`
	// DestinationMode tells whether the endpoint must belong to the service.
	DestinationMode string `yaml:"destinationMode" enum:"validated passthrough"`
}

// fileSessionAffinity sends requests with equal values to the same endpoint.
type fileSessionAffinity struct {
	// Source computes the value.
	Source fileCEL `yaml:"source,required"`
}

// fileDynamic sends requests to where they themselves say.
type fileDynamic struct {
	// Target computes the destination.
	// Default: the host of the request.
	Target fileCEL `yaml:"target"`
}

// fileAWSBackend is a service of Amazon's.
type fileAWSBackend struct {
	// AgentCore is an agent in the runtime of Bedrock AgentCore.
	AgentCore fileAgentCore `yaml:"agentCore,required"`
}

type fileAgentCore struct {
	// AgentRuntimeARN names the agent's runtime.
	AgentRuntimeARN string `yaml:"agentRuntimeArn,required"`
	// Qualifier chooses a version or an endpoint of the agent.
	Qualifier string `yaml:"qualifier"`
}
