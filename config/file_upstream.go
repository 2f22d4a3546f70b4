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

// fileSide is a service beside the path of a request.
type fileSide struct {
	To fileDestination `yaml:",inline"`

	// Policies say how the service is spoken to.
	Policies *fileServerPolicies `yaml:"policies"`
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
	// Mode tells whether requests in the clear are tunnelled too.
	// Default: auto, which sends them to the proxy as they are.
	Mode string `yaml:"mode" enum:"auto connect"`
	// Proxy is the proxy that carries the connection.
	Proxy fileDestination `yaml:"proxy,required"`
	// Policies say how the proxy is spoken to.
	Policies *fileServerPolicies `yaml:"policies"`
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
