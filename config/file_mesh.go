package config

// The types of this file are services and their endpoints, as a mesh knows them.

// fileMeshService is an entry of the section services.
type fileMeshService struct {
	// Name is the name of the service.
	Name string `yaml:"name,required"`
	// Namespace is the namespace of the service.
	Namespace string `yaml:"namespace,required"`
	// Hostname is its host name; backends name it as namespace/hostname.
	Hostname string `yaml:"hostname,required"`
	// VIPs are its addresses, as network/ip.
	VIPs []string `yaml:"vips"`
	// Ports are its ports, with those of the endpoints behind them.
	Ports map[string]uint16 `yaml:"ports"`
	// AppProtocols tell what is spoken at its ports.
	AppProtocols map[string]string `yaml:"appProtocols" enum:"Http11 Http2 Grpc"`
	// SubjectAltNames are the names that its certificates may have.
	SubjectAltNames []string `yaml:"subjectAltNames"`
	// Waypoint is the proxy that stands before it.
	Waypoint *fileMeshGateway `yaml:"waypoint"`
	// LoadBalancer says how its endpoints share the requests.
	LoadBalancer *fileMeshBalancer `yaml:"loadBalancer"`
	// IPFamilies are the kinds of addresses that it has.
	IPFamilies string `yaml:"ipFamilies" enum:"Dual IPv4 IPv6"`
}

type fileMeshGateway struct {
	// Destination is network/ip, or namespace/hostname.
	Destination string `yaml:"destination,required"`
	// HBONEMTLSPort is its port for HBONE.
	HBONEMTLSPort uint16 `yaml:"hboneMtlsPort,required"`
}

type fileMeshBalancer struct {
	// RoutingPreferences are what an endpoint should share with the client.
	RoutingPreferences []string `yaml:"routingPreferences" enum:"Region Zone Subzone Node Cluster Network"`
	// Mode tells whether it must.
	Mode string `yaml:"mode" enum:"Standard Strict Failover"`
	// HealthPolicy tells whether unhealthy endpoints are used.
	HealthPolicy string `yaml:"healthPolicy" enum:"OnlyHealthy AllowAll"`
}

// fileMeshWorkload is an entry of the section workloads: an endpoint of services.
type fileMeshWorkload struct {
	// WorkloadIPs are its addresses.
	WorkloadIPs []string `yaml:"workloadIps"`
	// Services are those that it belongs to, as namespace/hostname, each with the
	// service's ports and its own.
	Services map[string]map[string]uint16 `yaml:"services"`
	// Waypoint is the proxy that stands before it.
	Waypoint *fileMeshGateway `yaml:"waypoint"`
	// NetworkGateway is the gateway of its network.
	NetworkGateway *fileMeshGateway `yaml:"networkGateway"`
	// Protocol is what it wants to be spoken to.
	// Default: TCP.
	Protocol string `yaml:"protocol" enum:"TCP HBONE LegacyIstioMtls"`
	// NetworkMode tells whether it has the network of its machine.
	// Default: Standard.
	NetworkMode string `yaml:"networkMode" enum:"Standard HostNetwork"`
	// UID identifies it.
	UID string `yaml:"uid"`
	// Name is its name.
	Name string `yaml:"name"`
	// Namespace is its namespace.
	Namespace string `yaml:"namespace"`
	// TrustDomain is the trust domain of its identity.
	TrustDomain string `yaml:"trustDomain"`
	// ServiceAccount is the account of its identity.
	ServiceAccount string `yaml:"serviceAccount"`
	// Network is the network that it is in.
	Network string `yaml:"network"`
	// WorkloadName is the name of what made it.
	WorkloadName string `yaml:"workloadName"`
	// WorkloadType is the kind of what made it.
	WorkloadType string `yaml:"workloadType"`
	// CanonicalName is its name in metrics.
	CanonicalName string `yaml:"canonicalName"`
	// CanonicalRevision is its revision in metrics.
	CanonicalRevision string `yaml:"canonicalRevision"`
	// Hostname is its host name.
	Hostname string `yaml:"hostname"`
	// Node is the machine that it is on.
	Node string `yaml:"node"`
	// AuthorizationPolicies name the policies that hold for it.
	AuthorizationPolicies []string `yaml:"authorizationPolicies"`
	// Status tells whether it is healthy.
	// Default: Healthy.
	Status string `yaml:"status" enum:"Healthy Unhealthy"`
	// ClusterID is the cluster that it is in.
	ClusterID string `yaml:"clusterId"`
	// Locality is where it is.
	Locality *fileMeshLocality `yaml:"locality"`
	// Capacity is its share of the requests.
	// Default: 1.
	Capacity *uint32 `yaml:"capacity"`
}

type fileMeshLocality struct {
	// Region is the region.
	Region string `yaml:"region"`
	// Zone is the zone.
	Zone string `yaml:"zone"`
	// Subzone is the subzone.
	Subzone string `yaml:"subzone"`
}
