package translator

import (
	"net"
	"strconv"

	"github.com/attache-dev/attache/config"
)

// Names are contracts between resources, and between two versions of the same
// file: they are made of what the user wrote, never of a position, so that an
// edit elsewhere renames nothing. They are unique across types.

// policiesFilter is the filter_chain filter of every listener, and so the key
// of each route's chain in typed_per_filter_config.
const policiesFilter = "policies"

// MetadataNamespace is the only dynamic metadata that our ext_proc service may
// set. No client can.
const MetadataNamespace = "attache"

// ChainMetadata is the gRPC metadata by which Envoy names a chain to our
// ext_proc service.
const ChainMetadata = "x-attache-chain"

// extProcCluster is our own ext_proc service.
const extProcCluster = "attache/ext_proc"

func listenerName(port uint16) string { return "listener/" + strconv.Itoa(int(port)) }

// routeConfigName is what a listener asks for by RDS.
func routeConfigName(port uint16) string { return "routes/" + strconv.Itoa(int(port)) }

// routeName shows in access logs and statistics.
func routeName(l *config.Listener, r *config.Route) string { return l.Name + "/" + r.Name }

// secretName is what a cluster asks for by SDS.
func secretName(c *config.Credential) string { return "secret/" + c.Ref }

// backendCluster tells how the backend is reached: address, then what differs
// from plain HTTP.
func backendCluster(b *config.Backend) string {
	name := address(b.Target)
	if b.TLS != nil {
		name += "|tls"
	}
	if b.Credential != nil {
		name += "|" + b.Credential.Ref
	}
	return name
}

// extProcTargetCluster is somebody's ext_proc server.
func extProcTargetCluster(t config.Target) string { return "ext_proc/" + address(t) }

// address is host:port, [ipv6]:port or unix:/path.
func address(t config.Target) string {
	if t.Unix != "" {
		return "unix:" + t.Unix
	}
	return net.JoinHostPort(t.Host, strconv.Itoa(int(t.Port)))
}
