package config

import "time"

// The shapes of what requests are sent to, and of how it is spoken to.

// fileNamedBackend is an entry of the section "backends".
type fileNamedBackend struct {
	// Internal is the administration of the process: forward keeps the path,
	// another path takes its place.
	Internal string `yaml:"internal,notyet"`
	// MCP joins MCP servers into one.
	MCP *fileMCPBackend `yaml:"mcp,notyet"`
	// AWS is a service of Amazon's.
	AWS *fileAWSBackend `yaml:"aws,notyet"`

	// Name is what backends of routes refer to, and targeted policies.
	Name string `yaml:"name,required"`
	// Host is the address: host:port, [ipv6]:port or unix:/path.
	Host string `yaml:"host"`
	// Dynamic sends each request to where it itself says.
	Dynamic *fileDynamic `yaml:"dynamic"`
	// AI is a provider of models.
	AI *fileAI `yaml:"ai"`
	// Policies say how the backend is spoken to. Those of the route's entry and of
	// the route itself win over them.
	Policies *fileBackendPolicies `yaml:"policies"`
}

// fileServiceRef refers to an entry of the section services.
type fileServiceRef struct {
	// Name is namespace/hostname. Earlier releases had a mapping with both.
	Name fileServiceName `yaml:"name,required"`
	// Port is one of the service's ports.
	Port uint16 `yaml:"port,required"`
}

// fileServiceName is the string namespace/hostname, or a mapping with both.
type fileServiceName struct {
	// Namespace is that of the service.
	Namespace string `yaml:"namespace,required"`
	// Hostname is that of the service.
	Hostname string `yaml:"hostname,required"`
}

func (f *fileServiceName) decodeNode(d *decoder, n *node) {
	type fields fileServiceName
	if n.kind != scalarNode {
		d.decode(n, (*fields)(f))
		return
	}
	var s string
	d.decode(n, &s)
	var ok bool
	if f.Namespace, f.Hostname, ok = parseServiceName(s); !ok && s != "" {
		d.errorf(n, Invalid, "expected namespace/hostname")
	}
}

// fileDynamic sends each request to where it itself says. That is an open proxy: it
// reaches whatever Envoy can reach, the ports of its own machine and the metadata
// service of a cloud included, and takes the credentials of backendAuth there. Have
// authorization before it.
type fileDynamic struct {
	// Target is an expression that gives host:port.
	// Default: the request's host; without a port 80, or 443 with backendTLS.
	// Envoy: the filter and the cluster dynamic_forward_proxy.
	// Differs: only a string literal is taken, such as '"api.example.com:80"'.
	// Without one Host keeps its port, and it is backendTLS that makes the default
	// port 443, not how the client was encrypted.
	Target fileCEL `yaml:"target"`
}

// filePresent is a key that has no value: null.
type filePresent bool

func (f *filePresent) decodeNode(d *decoder, n *node) {
	if *f = true; !n.isNull() {
		d.errorf(n, Invalid, "expected nothing, found %s", n.what())
	}
}

// fileBackendTLS encrypts what is sent to a backend. An empty block verifies the
// backend's name by the system's roots.
type fileBackendTLS struct {
	// SPIFFE takes identity and roots from the SPIFFE workload API.
	SPIFFE *fileEmpty `yaml:"spiffe,notyet"`

	// Root is a file with the certificates, in PEM, that verify the backend.
	// Default: the system's, of the machine that Envoy runs on.
	Root string `yaml:"root"`
	// Cert is a file with our certificate, in PEM, for backends that want one.
	Cert string `yaml:"cert"`
	// Key is a file with the private key of cert, in PEM.
	Key string `yaml:"key"`
	// Hostname is sent as the server name (SNI), and is what the certificate must
	// be for. With an IP address no name is sent.
	// Default: the host of the backend.
	Hostname string `yaml:"hostname"`
	// Insecure verifies nothing. With insecureHost it is without effect.
	// Default: false.
	Insecure bool `yaml:"insecure"`
	// InsecureHost verifies who issued the certificate, and not whom it is for.
	// Default: false.
	InsecureHost bool `yaml:"insecureHost"`
	// ALPN lists the protocols to offer, the best first.
	// Default: h2 and http/1.1, or the one that http.version asks for.
	ALPN *[]string `yaml:"alpn"`
	// SubjectAltNames are what the certificate may be for, in place of hostname:
	// names, IP addresses, and URIs such as spiffe://td/ns/a/sa/b. One is enough.
	SubjectAltNames *[]string `yaml:"subjectAltNames"`
	// KeyExchangeGroups are the groups that may be used, the best first.
	// Default: Envoy's, the best of which is X25519_MLKEM768.
	// Envoy: ecdh_curves.
	KeyExchangeGroups *[]string `yaml:"keyExchangeGroups" enum:"X25519_MLKEM768 X25519 P-256 P-384"`
	// MinVersion is the oldest version of TLS to speak; it is not agentgateway's.
	// Default: v1.2.
	MinVersion string `yaml:"minVersion"`
}

// fileBackendHTTP is how HTTP is spoken to a backend.
type fileBackendHTTP struct {
	// MaxConnectionDuration is how long a connection is used for new requests.
	MaxConnectionDuration fileSpan `yaml:"maxConnectionDuration,notyet"`

	// Version is 1.1 or 2, for every request. Over TLS it is the only one offered.
	// Default: with backendTLS what the backend chooses. Without it that of the
	// client, or 1.1 if the client came over TLS.
	// Differs: gRPC from clients over TLS to a backend without it needs version 2.
	Version string `yaml:"version" enum:"1.1 2 HTTP/1.1 HTTP/2.0"`
	// RequestTimeout bounds the time until the headers of a response, for each
	// attempt. It wins over the route's timeout.backendRequestTimeout.
	// Default: no limit.
	// Envoy: the route's per_try_timeout.
	// Differs: backends that share a route must have the same.
	RequestTimeout fileDuration `yaml:"requestTimeout"`
}

// fileBackendTCP is how connections to a backend are made.
type fileBackendTCP struct {
	// Keepalives probe connections on which nothing moves.
	// Envoy: upstream_connection_options.
	Keepalives *fileKeepalives `yaml:"keepalives"`
	// ConnectTimeout bounds the time to connect, as 10s or {secs: 10, nanos: 0}.
	// Default: 10s.
	ConnectTimeout fileTimeSpan `yaml:"connectTimeout"`
}

// fileTimeSpan is a fileDuration, or {secs, nanos} as some releases had it.
type fileTimeSpan struct {
	// Secs are whole seconds.
	Secs uint32 `yaml:"secs"`
	// Nanos are nanoseconds to be added.
	Nanos uint32 `yaml:"nanos"`

	span time.Duration
}

func (f *fileTimeSpan) decodeNode(d *decoder, n *node) {
	type fields fileTimeSpan
	if n.kind != mappingNode {
		d.decode(n, (*fileDuration)(&f.span))
		return
	}
	d.decode(n, (*fields)(f))
	if f.span = time.Duration(f.Secs)*time.Second + time.Duration(f.Nanos); f.span == 0 {
		d.errorf(n, Invalid, "expected more than no time; leave the key out for the default")
	}
}

// fileHealth takes endpoints that fail out of service for a while.
type fileHealth struct {
	// Active asks endpoints in intervals how they are.
	Active *fileActiveHealth `yaml:"active,notyet"`
	// Scope keeps the health apart for requests with different values.
	Scope fileCEL `yaml:"scope,notyet"`

	// UnhealthyExpression tells which responses are failures.
	// Default: status 5xx, and connections that fail.
	UnhealthyExpression fileCEL `yaml:"unhealthyExpression"`
	// Eviction says when an endpoint is taken out, and for how long. It matters to
	// services: where there is one endpoint only, it serves even so.
	// Envoy: outlier_detection.
	Eviction *fileEviction `yaml:"eviction"`
}

// fileActiveHealth asks endpoints how they are.
type fileActiveHealth struct {
	// Path is what is asked for.
	Path string `yaml:"path"`
	// Interval is the time between two requests.
	Interval fileSpan `yaml:"interval"`
	// Timeout is how long an answer is waited for.
	Timeout fileSpan `yaml:"timeout"`
	// HealthyThreshold is the number of good answers in a row that bring an
	// endpoint back.
	HealthyThreshold *uint32 `yaml:"healthyThreshold"`
	// UnhealthyThreshold is the number of bad ones that take it out.
	UnhealthyThreshold *uint32 `yaml:"unhealthyThreshold"`
	// ExpectedStatuses are the statuses of good answers.
	ExpectedStatuses *[]uint16 `yaml:"expectedStatuses"`
}

type fileEviction struct {
	// RestoreHealth is the health, 0 to 1, with which an endpoint returns.
	RestoreHealth *float64 `yaml:"restoreHealth,notyet"`
	// HealthThreshold is the health below which a failure takes an endpoint out.
	HealthThreshold *float64 `yaml:"healthThreshold,notyet"`

	// Duration is how long an endpoint is out of service the first time; the n-th
	// time in a row it is n times as long.
	// Default: 3s.
	// Differs: never longer than 5m, or than this if it is more; Retry-After is not
	// looked at.
	Duration fileDuration `yaml:"duration"`
	// ConsecutiveFailures is the number of failures in a row that take an endpoint
	// out.
	// Default: 1.
	// Differs: of gRPC statuses only those count that stand for 5xx.
	ConsecutiveFailures *uint32 `yaml:"consecutiveFailures"`
}

// fileBackendTarget is a backend or a service that a policy is attached to. Up to
// v0.10 it was the name of a backend.
type fileBackendTarget struct {
	// Backend is an entry of the section backends.
	Backend *fileBackendName `yaml:"backend"`
	// Service is an entry of the section services.
	Service *fileServiceTarget `yaml:"service"`
}

func (f *fileBackendTarget) decodeNode(d *decoder, n *node) {
	type fields fileBackendTarget
	if n.kind == scalarNode {
		f.Backend = &fileBackendName{}
		d.decode(n, &f.Backend.Name)
		return
	}
	d.decode(n, (*fields)(f))
}

type fileBackendName struct {
	// Name is that of the backend.
	Name string `yaml:"name,required"`
	// Namespace is empty: a file has no other.
	Namespace string `yaml:"namespace"`
	// Section is one provider of an ai backend, by its name.
	// Default: all of them.
	Section string `yaml:"section"`
}

// fileServiceTarget is {hostname, namespace, port}, or up to v0.10 the string
// namespace/hostname.
type fileServiceTarget struct {
	// Hostname is that of the service.
	Hostname string `yaml:"hostname,required"`
	// Namespace is that of the service.
	Namespace string `yaml:"namespace,required"`
	// Port is one port of the service.
	// Default: all of them.
	Port uint16 `yaml:"port"`
}

func (f *fileServiceTarget) decodeNode(d *decoder, n *node) {
	type fields fileServiceTarget
	if n.kind != scalarNode {
		d.decode(n, (*fields)(f))
		return
	}
	var name fileServiceName
	d.decode(n, &name)
	f.Namespace, f.Hostname = name.Namespace, name.Hostname
}

// fileWorkloadService is an entry of the section "services".
type fileWorkloadService struct {
	// Waypoint is the proxy that stands before the service in a mesh.
	Waypoint *fileMeshGateway `yaml:"waypoint,notyet"`
	// LoadBalancer says how the endpoints share the requests.
	LoadBalancer *fileMeshBalancer `yaml:"loadBalancer,notyet"`
	// IPFamilies are the kinds of addresses that the service has.
	IPFamilies string `yaml:"ipFamilies,notyet" enum:"Dual IPv4 IPv6"`
	// IngressUseWaypoint sends requests to the waypoint.
	IngressUseWaypoint bool `yaml:"ingressUseWaypoint,notyet"`
	// SubjectAltNames are what the certificates of a mesh may be for.
	SubjectAltNames []string `yaml:"subjectAltNames,notyet"`

	// Name labels the service.
	Name string `yaml:"name,required"`
	// Namespace is a part of the name that backends refer to.
	Namespace string `yaml:"namespace,required"`
	// Hostname is a part of the name that backends refer to. It is not looked up.
	Hostname string `yaml:"hostname,required"`
	// VIPs are addresses of the service, as network/ip. Nothing is sent to them:
	// requests go to the workloads.
	VIPs []string `yaml:"vips"`
	// Ports are the service's ports, each with the port of the workloads that
	// it stands for unless a workload says otherwise; 0 for none.
	Ports map[string]uint16 `yaml:"ports,required"`
	// AppProtocols tell what is spoken on a port: Http11, Http2 or Grpc.
	// Default: see http.version of backends.
	AppProtocols map[string]string `yaml:"appProtocols" enum:"Http11 Http2 Grpc"`
}

// fileWorkload is an entry of the section "workloads": an endpoint of services.
type fileWorkload struct {
	// Waypoint is the proxy that stands before the workload in a mesh.
	Waypoint *fileMeshGateway `yaml:"waypoint,notyet"`
	// NetworkGateway is the gateway of the workload's network.
	NetworkGateway *fileMeshGateway `yaml:"networkGateway,notyet"`
	// Network is the network that the workload is in.
	Network string `yaml:"network,notyet"`
	// NetworkMode tells whether the workload has the network of its machine.
	NetworkMode string `yaml:"networkMode,notyet" enum:"Standard HostNetwork"`
	// AuthorizationPolicies name the policies of a mesh that hold for it.
	AuthorizationPolicies []string `yaml:"authorizationPolicies,notyet"`
	// Locality is where the workload is.
	Locality *fileMeshLocality `yaml:"locality,notyet"`
	// Capacity is the workload's share of the requests.
	Capacity *uint32 `yaml:"capacity,notyet"`
	// Hostname is looked up where there is no address.
	Hostname string `yaml:"hostname,notyet"`

	// UID is unique in the section.
	UID string `yaml:"uid"`
	// WorkloadIPs are the addresses of the workload. The first is used.
	WorkloadIPs []string `yaml:"workloadIps,required"`
	// Services are the services that the workload is an endpoint of, each as
	// namespace/hostname with the service's ports and those of the workload.
	Services map[string]map[string]uint16 `yaml:"services,required"`
	// Protocol is what the workload takes.
	// Default: TCP.
	Protocol string `yaml:"protocol" enum:"TCP" enumNotYet:"HBONE LegacyIstioMtls"`
	// Status takes an unhealthy workload out of service.
	// Default: Healthy.
	Status string `yaml:"status" enum:"Healthy Unhealthy"`

	fileWorkloadLabels `yaml:",inline"`
}

// fileWorkloadLabels describe a workload. They do not change where requests go.
type fileWorkloadLabels struct {
	// Name labels the workload.
	Name string `yaml:"name"`
	// Namespace labels the workload.
	Namespace string `yaml:"namespace,required"`
	// TrustDomain is a part of the workload's identity in a mesh.
	TrustDomain string `yaml:"trustDomain"`
	// ServiceAccount is a part of the workload's identity in a mesh.
	ServiceAccount string `yaml:"serviceAccount"`
	// WorkloadName labels the workload.
	WorkloadName string `yaml:"workloadName"`
	// WorkloadType labels the workload.
	WorkloadType string `yaml:"workloadType"`
	// CanonicalName labels the workload.
	CanonicalName string `yaml:"canonicalName"`
	// CanonicalRevision labels the workload.
	CanonicalRevision string `yaml:"canonicalRevision"`
	// Node is where the workload runs.
	Node string `yaml:"node"`
	// ClusterID is where the workload runs.
	ClusterID string `yaml:"clusterId"`
}

// fileMeshGateway is a proxy of a mesh.
type fileMeshGateway struct {
	// Destination is network/ip, or namespace/hostname.
	Destination string `yaml:"destination,required"`
	// HBONEMTLSPort is its port for HBONE.
	HBONEMTLSPort uint16 `yaml:"hboneMtlsPort,required"`
}

// fileMeshBalancer says how the endpoints of a service share the requests.
type fileMeshBalancer struct {
	// RoutingPreferences are what an endpoint should share with the client.
	RoutingPreferences []string `yaml:"routingPreferences" enum:"Region Zone Subzone Node Cluster Network"`
	// Mode tells whether it must.
	Mode string `yaml:"mode" enum:"Standard Strict Failover"`
	// HealthPolicy tells whether unhealthy endpoints are used.
	HealthPolicy string `yaml:"healthPolicy" enum:"OnlyHealthy AllowAll"`
}

// fileMeshLocality is where a workload is.
type fileMeshLocality struct {
	// Region is the region.
	Region string `yaml:"region"`
	// Zone is the zone.
	Zone string `yaml:"zone"`
	// Subzone is the subzone.
	Subzone string `yaml:"subzone"`
}
