package config

// The shapes of v1.4's tree: named gateways, and routes that name theirs.

// fileGateway is an entry of the section "gateways".
type fileGateway struct {
	// Port is where the gateway listens, 1 to 65535, once in the file.
	// Envoy: a listener.
	Port uint16 `yaml:"port,required"`
	// Protocol is that of the gateway's only listener.
	// Default: HTTP, or HTTPS with tls.
	Protocol string `yaml:"protocol" enum:"HTTP HTTPS TLS TCP"`
	// TLS holds the certificate of the gateway's only listener.
	TLS *fileServerTLS `yaml:"tls"`
	// Listeners share the port and differ by hostname. Beside them the gateway
	// has its port and nothing else.
	Listeners []fileGatewayListener `yaml:"listeners"`

	fileGatewayPhase `yaml:",inline"`
}

// fileGatewayListener is one hostname of a gateway.
type fileGatewayListener struct {
	// Name is what routes add to the gateway's: <gateway>/<listener>.
	// Default: listener<index>.
	Name string `yaml:"name"`
	// Hostname is exact, or *.suffix.
	// Default: every host.
	// Envoy: virtual hosts.
	Hostname string `yaml:"hostname"`
	// Protocol is what clients speak.
	// Default: HTTP, or HTTPS with tls.
	Protocol string `yaml:"protocol" enum:"HTTP HTTPS TLS TCP"`
	// TLS holds the certificate.
	TLS *fileServerTLS `yaml:"tls"`

	fileGatewayPhase `yaml:",inline"`
}

// fileAttachedRoute is an entry of the section "routes".
type fileAttachedRoute struct {
	// Gateways names the gateways that the route belongs to, each as <gateway>
	// for all of its listeners or <gateway>/<listener>; one of them, or a list.
	// Default: the gateway called default.
	Gateways fileNames `yaml:"gateways"`

	fileRoute `yaml:",inline"`
}

// fileAttachedTCPRoute is an entry of the section "tcpRoutes".
type fileAttachedTCPRoute struct {
	// Gateways names the gateways that the route belongs to, as in routes. They
	// speak TCP or TLS.
	// Default: the gateway called default.
	Gateways fileNames `yaml:"gateways"`

	fileTCPRoute `yaml:",inline"`
}

// fileRouteGroup is an entry of the section "routeGroups".
type fileRouteGroup struct {
	// Name is what backends refer to with routeGroup.
	Name string `yaml:"name,required"`
	// Routes take over the requests of the route that refers to the group. Those
	// that none of them matches are answered 404.
	// Envoy: routes that match what both match.
	Routes []fileRoute `yaml:"routes,required"`
}

// fileNames is one string, or a list of them.
type fileNames []string

func (f *fileNames) decodeNode(d *decoder, n *node) {
	switch {
	case n.isNull():
	case n.kind == sequenceNode:
		d.decode(n, (*[]string)(f))
	case n.kind == scalarNode && n.tag == strTag:
		*f = fileNames{n.value}
	default:
		d.errorf(n, Invalid, "expected a name or a list of names, found %s", n.what())
	}
}

// fileTargetedPolicy is an entry of the section "policies".
type fileTargetedPolicy struct {
	// Name is unique in the section.
	Name fileResourceName `yaml:"name"`
	// Target is what the policy is attached to.
	Target filePolicyTarget `yaml:"target,required"`
	// Phase is when the policy runs: after the route is chosen, or before.
	// Default: route.
	Phase string `yaml:"phase" enum:"route gateway"`
	// Policy holds exactly one policy.
	Policy filePolicies `yaml:"policy,required"`
}

// fileResourceName is {name, namespace}, or up to v0.10 a string.
type fileResourceName struct {
	// Name is the name itself.
	Name string `yaml:"name,required"`
	// Namespace tells apart what has the same name.
	// Default: default.
	Namespace string `yaml:"namespace"`
}

func (f *fileResourceName) decodeNode(d *decoder, n *node) {
	type fields fileResourceName
	d.textOr(n, &f.Name, (*fields)(f))
}

// filePolicyTarget is one of its keys. Up to v0.10 each was a string.
type filePolicyTarget struct {
	// Gateway is a gateway, or one listener of it.
	Gateway *fileGatewayTarget `yaml:"gateway"`
	// Listener is v0.10's <listener>/<gateway>.
	Listener string `yaml:"listener"`
	// Route is a route, or one rule of it.
	Route *fileRouteTarget `yaml:"route"`
	// RouteRule is v0.10's <route>/<rule>.
	RouteRule string `yaml:"routeRule"`
	// Backend is a backend, or one provider of it, or a service.
	Backend *fileBackendTarget `yaml:"backend"`
	// SubBackend is v0.10's <backend>/<provider>.
	SubBackend string `yaml:"subBackend"`
	// Service is v0.10's <namespace>/<hostname>.
	Service *fileServiceTarget `yaml:"service"`
	// ListenerSet is a listener set in Kubernetes.
	ListenerSet *fileSection `yaml:"listenerSet,notyet"`
}

type fileGatewayTarget struct {
	// GatewayName is a key of gateways. Listeners under binds belong to the
	// gateway default.
	GatewayName string `yaml:"gatewayName,required"`
	// GatewayNamespace is default: a file has no other.
	// Default: default.
	GatewayNamespace string `yaml:"gatewayNamespace"`
	// ListenerName is one listener of the gateway.
	// Default: all of them.
	ListenerName string `yaml:"listenerName"`
	// Port is one port of the gateway.
	// Default: all of them.
	Port uint16 `yaml:"port"`
}

func (f *fileGatewayTarget) decodeNode(d *decoder, n *node) {
	type fields fileGatewayTarget
	d.textOr(n, &f.GatewayName, (*fields)(f))
}

type fileRouteTarget struct {
	// Name is that of the route.
	Name string `yaml:"name,required"`
	// Namespace is that of the route.
	// Default: default.
	Namespace string `yaml:"namespace"`
	// RuleName is one rule of the route.
	// Default: the whole route.
	RuleName string `yaml:"ruleName"`
	// Kind is HTTPRoute, the only one there is here.
	Kind string `yaml:"kind" enum:"HTTPRoute"`
}

func (f *fileRouteTarget) decodeNode(d *decoder, n *node) {
	type fields fileRouteTarget
	d.textOr(n, &f.Name, (*fields)(f))
}

// fileSection is a thing with a name, or a part of it.
type fileSection struct {
	// Name is the name of the thing.
	Name string `yaml:"name,required"`
	// Namespace is its namespace.
	Namespace string `yaml:"namespace,required"`
	// Section is the part.
	// Default: all of it.
	Section string `yaml:"section"`
}
