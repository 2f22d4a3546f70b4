package translator

import (
	"slices"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	tcpproxyv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/attache-dev/attache/config"
)

// tcpFilterChains are those of a port of plain TCP: one for every connection,
// since nothing tells them apart.
func (t *translation) tcpFilterChains(l *config.Listener) []*listenerv3.FilterChain {
	return []*listenerv3.FilterChain{{Filters: t.tcpFilters(l, tcpRoutesByHost(l)[anyHost])}}
}

// tcpRoutesByHost are the routes of a listener by hostname, where the first one
// counts.
func tcpRoutesByHost(l *config.Listener) map[string]*config.TCPRoute {
	routes := map[string]*config.TCPRoute{}
	for _, r := range l.TCPRoutes {
		hostnames := r.Hostnames
		if len(hostnames) == 0 {
			hostnames = []string{anyHost}
		}
		for _, h := range hostnames {
			if routes[h] == nil {
				routes[h] = r
			}
		}
	}
	return routes
}

// tcpFilters send the bytes of a connection to the backends of a route. A chain
// without filters closes the connection: so it is without a route or a backend.
func (t *translation) tcpFilters(l *config.Listener, r *config.TCPRoute) []*listenerv3.Filter {
	if r == nil {
		return nil
	}
	used := slices.DeleteFunc(slices.Clone(r.Backends), func(b *config.Backend) bool { return b.Weight == 0 })
	if !slices.ContainsFunc(used, func(b *config.Backend) bool { return !b.Invalid }) {
		return nil
	}
	p := &tcpproxyv3.TcpProxy{
		StatPrefix: listenerName(l.Port),
		// Databases keep connections for as long as they like.
		IdleTimeout: durationpb.New(0),
	}
	switch len(used) {
	case 0:
		return nil
	case 1:
		p.ClusterSpecifier = &tcpproxyv3.TcpProxy_Cluster{Cluster: t.tcpCluster(used[0])}
	default:
		weighted := &tcpproxyv3.TcpProxy_WeightedCluster{}
		for _, b := range used {
			weighted.Clusters = append(weighted.Clusters, &tcpproxyv3.TcpProxy_WeightedCluster_ClusterWeight{Name: t.tcpCluster(b), Weight: b.Weight})
		}
		p.ClusterSpecifier = &tcpproxyv3.TcpProxy_WeightedClusters{WeightedClusters: weighted}
	}
	return []*listenerv3.Filter{networkFilter("envoy.filters.network.tcp_proxy", p)}
}

// tcpCluster adds the cluster of a backend of connections and returns its name.
func (t *translation) tcpCluster(b *config.Backend) string {
	name := tcpCluster(b)
	t.place(name, b.Path)
	if _, ok := t.clusters[name]; !ok {
		c := t.cluster(name, b.Target, nil)
		c.PerConnectionBufferLimitBytes = nil // no body is ever held
		switch {
		case b.Invalid: // without an endpoint the connection is closed
			c.LoadAssignment.Endpoints = nil
		case b.Service != nil:
			c.LoadAssignment.Endpoints = endpoints(b.Service.Endpoints)
			c.LbPolicy = clusterv3.Cluster_LEAST_REQUEST
		}
		t.connections(c, b)
		if b.TLS != nil {
			c.TransportSocket = t.upstreamTLS(b)
		}
	}
	return name
}
