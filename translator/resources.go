package translator

import (
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
)

// Resources is what one configuration becomes in Envoy, each list sorted by
// name. The same configuration gives the same bytes.
type Resources struct {
	// Secrets hold credential values. They are for Envoy's eyes only: print
	// them with YAML, which redacts them.
	Secrets   []*tlsv3.Secret
	Clusters  []*clusterv3.Cluster
	Endpoints []*endpointv3.ClusterLoadAssignment
	Listeners []*listenerv3.Listener
	Routes    []*routev3.RouteConfiguration
	// Held are the clusters on which filters have streams as long as the requests
	// last, by name.
	Held map[string]bool
	// Places tells where in the file a resource comes from, by resource name:
	// "file:line:col: path". Names are unique across types.
	Places map[string]string
	// RoutePlaces tells it for the routes within Routes, by their names.
	RoutePlaces map[string]string
}
