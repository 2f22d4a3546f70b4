package translator

import (
	"fmt"
	"net"
	"strings"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	extprocfilterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"

	"github.com/attache-dev/attache/config"
)

// What an Envoy that is not ours says of a request.
const (
	// ProfileMetadata is the gRPC metadata by which it names a profile.
	ProfileMetadata = "x-attache-profile"
	// RouteAttribute is the attribute in which it tells the name of its route.
	RouteAttribute = "xds.route_name"
)

// The windows of connections to our ext_proc service, in bytes: what is held
// beyond them, clients are asked to hold.
const (
	ServiceWindow           = extProcWindow
	ServiceConnectionWindow = extProcConnectionWindow
)

// An Existing is an Envoy that somebody else configures, and that is to call our
// ext_proc service.
type Existing struct {
	// Service is where it reaches the service.
	Service config.Target
	// Chains are those that its requests may have. It is asked for what one of
	// them needs.
	Chains []*Chain
	// Profile is the one that it names; empty for none.
	Profile string
	// Routes tells that the names of its routes choose profiles.
	Routes bool
	// TLS is how it encrypts; nil for plain text.
	TLS *ExistingTLS
}

// ExistingTLS are files on the machine of an Envoy.
type ExistingTLS struct {
	// Root has the certificates that verify the service.
	Root string
	// Cert and Key are what it shows to the service; empty for nothing.
	Cert, Key string
}

// Resources are the filter and the cluster that such an Envoy needs. They are
// those of our own Envoys, but for how a chain is found.
func (e *Existing) Resources(c *config.Config) (*extprocfilterv3.ExternalProcessor, *clusterv3.Cluster) {
	o := Options{ExtProc: e.Service}
	if e.TLS != nil {
		o.TrustedCA = e.TLS.Root
	}
	t := newTranslation(c, o)
	t.elsewhere = true
	if e.TLS != nil {
		t.extProcCluster(extProcCluster, e.Service, &config.TLS{}, "")
	}
	chain := e.union()
	filter := t.ownExtProc("attache", "", chain, ownMode(chain, false), false).(*extprocfilterv3.ExternalProcessor)
	filter.GrpcService.InitialMetadata = nil
	if e.Profile != "" {
		filter.GrpcService.InitialMetadata = []*corev3.HeaderValue{{Key: ProfileMetadata, Value: strings.ReplaceAll(e.Profile, "%", "%%")}}
	}
	if e.Routes {
		filter.RequestAttributes = []string{RouteAttribute}
	}
	cluster := t.clusters[extProcCluster]
	if e.TLS != nil && e.TLS.Cert != "" {
		showCertificate(cluster, e.TLS)
	}
	return filter, cluster
}

// union is a chain that needs whatever one of the chains needs.
func (e *Existing) union() *Chain {
	u := &Chain{FailOpen: len(e.Chains) > 0}
	for _, c := range e.Chains {
		u.ReadsBody = u.ReadsBody || c.ReadsBody
		u.ReadsResponse = u.ReadsResponse || c.ReadsResponse
		u.FailOpen = u.FailOpen && c.FailOpen
		if c.chooses() {
			u.Choice = c.Choice
		}
	}
	return u
}

// showCertificate lets a cluster show a certificate of files. Its own, in the
// configurations that we make, come over xDS.
func showCertificate(c *clusterv3.Cluster, files *ExistingTLS) {
	socket := &tlsv3.UpstreamTlsContext{}
	if err := c.TransportSocket.GetTypedConfig().UnmarshalTo(socket); err != nil {
		panic(fmt.Sprintf("translator: cannot unpack what was packed: %v", err))
	}
	file := func(name string) *corev3.DataSource {
		return &corev3.DataSource{Specifier: &corev3.DataSource_Filename{Filename: name}}
	}
	socket.CommonTlsContext.TlsCertificates = []*tlsv3.TlsCertificate{{CertificateChain: file(files.Cert), PrivateKey: file(files.Key)}}
	c.TransportSocket.ConfigType = &corev3.TransportSocket_TypedConfig{TypedConfig: mustAny(socket)}
}

// Verifiable tells whether a certificate can be for a target: a socket has no
// name, and an address that stands for all is nobody's.
func Verifiable(t config.Target) bool {
	ip := net.ParseIP(t.Host)
	return t.Host != "" && (ip == nil || !ip.IsUnspecified())
}
