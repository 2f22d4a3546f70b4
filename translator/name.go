package translator

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/attache-dev/attache/config"
)

// Names are contracts between resources, and between two versions of the same
// file: they are made of what the user wrote, never of a position, so that an
// edit elsewhere renames nothing. They are unique across types.

// policiesFilter is the filter_chain filter of every listener, and so the key
// of each route's chain in typed_per_filter_config.
const policiesFilter = "policies"

// MetadataNamespace is the only dynamic metadata that our ext_proc service may
// set, and nobody else can. BackendKey is where it names the backend that it
// chose, IDKey the decision.
const (
	MetadataNamespace = "attache"
	BackendKey        = "backend"
	IDKey             = "id"
)

// ChainKey is where a route has the name of its chain, in its own metadata of
// [MetadataNamespace].
const ChainKey = "chain"

// IDHeader is the response header with the decision's id. Clients send no
// header that begins like it.
const (
	IDHeader   = ownHeaders + "id"
	ownHeaders = "x-attache-"
)

// ChainMetadata is the gRPC metadata by which Envoy names a chain to our
// ext_proc service.
const ChainMetadata = "x-attache-chain"

// extProcCluster is our own ext_proc service.
const extProcCluster = "attache/ext_proc"

// listedExtProcCluster is the same where the cluster itself knows its replicas:
// another list is another cluster.
func listedExtProcCluster(targets []config.Target, tls bool) string {
	var list []string
	for _, t := range targets {
		list = append(list, address(t))
	}
	name := extProcCluster
	if tls {
		name += "|tls"
	}
	return name + "|" + shortHash([]byte(strings.Join(list, ",")))
}

// extProcEndpoints are where it is.
const extProcEndpoints = extProcCluster + "/endpoints"

func listenerName(port uint16) string { return "listener/" + strconv.Itoa(int(port)) }

// routeConfigName is what a listener asks for by RDS.
func routeConfigName(port uint16) string { return "routes/" + strconv.Itoa(int(port)) }

// tlsRouteConfigName is what the connections of one listener of a port ask for.
// The hostname tells it apart.
func tlsRouteConfigName(l *config.Listener) string {
	return routeConfigName(l.Port) + "/" + cmp.Or(l.Hostname, anyHost)
}

// misdirectedVirtualHost cannot be a hostname, which is what the others are
// called.
const misdirectedVirtualHost = "misdirected/421"

// routeName shows in access logs and statistics.
func routeName(l *config.Listener, r *config.Route) string { return l.Name + "/" + r.FullName() }

// choiceName is the same for requests that our service sent to b.
func choiceName(l *config.Listener, r *config.Route, b *config.Backend) string {
	return routeName(l, r) + "/" + b.Name
}

// secretName and certificateName are what a cluster asks for by SDS.
func secretName(c *config.Credential) string      { return "secret/" + c.Ref }
func certificateName(c *config.Credential) string { return "certificate/" + c.Ref }

// serverCertificateName is what a listener asks for by SDS, and rootsName what
// listeners verify clients with, and clusters their servers.
func serverCertificateName(c *config.Certificate) string { return "certificate/" + c.Ref }
func rootsName(r *config.Roots) string                   { return "roots/" + r.Ref }

// tcpCluster is a backend of connections. It has nothing of HTTP, so it cannot
// be the cluster of a backend of requests at the same address.
func tcpCluster(b *config.Backend) string { return "tcp/" + backendCluster(b) }

// backendCluster tells how the backend is reached: address, then what differs
// from plain HTTP. Of secrets it knows where they come from, and not what they
// are: a new value comes by SDS, and the cluster stays.
func backendCluster(b *config.Backend) string {
	name := address(b.Target)
	switch {
	case b.Service != nil:
		name = "service/" + b.Service.Name + ":" + strconv.Itoa(int(b.Service.Port))
	case b.Dynamic:
		name = "dynamic"
	case b.Invalid:
		name = "invalid"
	}
	if b.TLS != nil {
		name += tlsName(b.TLS)
	}
	if b.HTTP.Version != "" {
		name += "|http:" + b.HTTP.Version
	}
	name += tcpName(b.TCP)
	if e := b.Eviction; e != nil {
		name += fmt.Sprintf("|eviction:%d/%s", e.Failures, e.Duration)
	}
	if b.Credential != nil {
		name += "|" + b.Credential.Ref + credentialPlace(b.CredentialAt)
	}
	if speaksAnthropic(b) {
		name += "|anthropic"
	}
	if b.AI != nil && b.AI.Path != "" {
		name += "|path:" + shortHash([]byte(b.AI.Path))
	}
	return name
}

// tlsName is what tells one kind of encryption from another.
func tlsName(t *config.TLS) string {
	name := "|tls"
	if t.MinVersion != "" {
		name += ">=" + strings.TrimPrefix(t.MinVersion, "v")
	}
	if t.Name != "" {
		name += "|name:" + t.Name
	}
	switch t.Verification {
	case config.VerifyName:
	case config.VerifyIssuer:
		name += "|any-name"
	case config.VerifyNothing:
		name += "|unverified"
	}
	for _, list := range []struct {
		label string
		words []string
	}{{"san", t.SubjectAltNames}, {"alpn", t.ALPN}, {"groups", t.KeyExchangeGroups}} {
		if len(list.words) > 0 {
			name += "|" + list.label + ":" + strings.Join(list.words, ",")
		}
	}
	if t.Root != nil {
		name += "|ca:" + t.Root.Ref
	}
	if t.Key != nil {
		name += "|cert:" + t.Key.Ref
	}
	return name
}

// tcpName is what differs from the defaults for connections.
func tcpName(t config.BackendTCP) (name string) {
	if t.ConnectTimeout != 0 {
		name = "|connect:" + t.ConnectTimeout.String()
	}
	switch {
	case t.NoKeepalive:
		name += "|keepalive:off"
	case t.Keepalive != nil:
		name += fmt.Sprintf("|keepalive:%s/%s/%d", t.Keepalive.Time, t.Keepalive.Interval, t.Keepalive.Probes)
	}
	return name
}

// credentialPlace tells where a credential goes, unless it is a bearer token.
func credentialPlace(l config.Location) string {
	switch {
	case l.Kind == config.LocationCookie:
		return "@cookie:" + l.Name
	case l.Name == "authorization" && l.Prefix == "Bearer ":
		return ""
	case l.Prefix == "":
		return "@" + l.Name
	}
	return "@" + l.Name + "=" + shortHash([]byte(l.Prefix))
}

// shortHash tells apart what is not secret.
func shortHash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

// extProcTargetCluster is somebody's ext_proc server.
func extProcTargetCluster(e *config.ExtProc) string {
	return "ext_proc/" + backendCluster(&config.Backend{Target: *e.Target, TLS: e.TLS})
}

// address is host:port, [ipv6]:port or unix:/path.
func address(t config.Target) string {
	if t.Unix != "" {
		return "unix:" + t.Unix
	}
	return net.JoinHostPort(t.Host, strconv.Itoa(int(t.Port)))
}
