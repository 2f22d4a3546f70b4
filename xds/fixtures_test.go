package xds

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	filterchainv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/filter_chain/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/attache-dev/attache/translator"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var quietLog = slog.New(slog.NewTextHandler(io.Discard, nil))

// cluster makes a static cluster. The timeout is what edits change.
func cluster(name string, timeout int, addr ...string) *clusterv3.Cluster {
	c := &clusterv3.Cluster{
		Name:                 name,
		ConnectTimeout:       durationpb.New(time.Duration(timeout) * time.Second),
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC},
		LoadAssignment:       &endpointv3.ClusterLoadAssignment{ClusterName: name},
	}
	for _, a := range addr {
		c.LoadAssignment.Endpoints = append(c.LoadAssignment.Endpoints, &endpointv3.LocalityLbEndpoints{
			LbEndpoints: []*endpointv3.LbEndpoint{{HostIdentifier: &endpointv3.LbEndpoint_Endpoint{
				Endpoint: &endpointv3.Endpoint{Address: address(a)},
			}}},
		})
	}
	return c
}

// discovered makes a cluster whose addresses come by themselves.
func discovered(name string, timeout int) *clusterv3.Cluster {
	c := cluster(name, timeout)
	c.LoadAssignment = nil
	c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_EDS}
	c.EdsClusterConfig = &clusterv3.Cluster_EdsClusterConfig{EdsConfig: ads(), ServiceName: "endpoints of " + name}
	return c
}

// endpointsOf are the addresses of a discovered cluster.
func endpointsOf(name string, addr ...string) assignment {
	a := cluster("endpoints of "+name, 1, addr...).LoadAssignment
	return assignment{a}
}

func address(hostport string) *corev3.Address {
	a, err := net.ResolveTCPAddr("tcp", hostport)
	if err != nil {
		panic(err)
	}
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address:       a.IP.String(),
		PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: uint32(a.Port)},
	}}}
}

// table makes a route configuration with one route for each cluster: the
// first for /, the others for /1, /2 and so on.
func table(name string, clusters ...string) *routev3.RouteConfiguration {
	vh := &routev3.VirtualHost{Name: "all", Domains: []string{"*"}}
	for i := len(clusters) - 1; i >= 0; i-- {
		prefix := "/"
		if i > 0 {
			prefix = fmt.Sprint("/", i)
		}
		vh.Routes = append(vh.Routes, route(prefix, clusters[i]))
	}
	return &routev3.RouteConfiguration{Name: name, VirtualHosts: []*routev3.VirtualHost{vh}}
}

func route(prefix, cluster string) *routev3.Route {
	return &routev3.Route{
		Match: &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: prefix}},
		Action: &routev3.Route_Route{Route: &routev3.RouteAction{
			ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: cluster},
		}},
	}
}

// listener makes a listener on a free port that takes its routes from a table,
// and keeps the table's name where tableOf finds it.
func listener(name, table string, filters ...*hcmv3.HttpFilter) *listenerv3.Listener {
	return &listenerv3.Listener{
		Name:       name,
		StatPrefix: table,
		Address:    address("127.0.0.1:0"),
		FilterChains: []*listenerv3.FilterChain{{Filters: []*listenerv3.Filter{{
			Name: "http",
			ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: pack(&hcmv3.HttpConnectionManager{
				StatPrefix: name,
				RouteSpecifier: &hcmv3.HttpConnectionManager_Rds{Rds: &hcmv3.Rds{
					RouteConfigName: table,
					ConfigSource:    ads(),
				}},
				HttpFilters: append(filters, &hcmv3.HttpFilter{
					Name:       "router",
					ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: pack(&routerv3.Router{})},
				}),
			})},
		}}}},
	}
}

// policies is the filter whose filters are in the routes.
func policies() *hcmv3.HttpFilter {
	return &hcmv3.HttpFilter{
		Name:       "policies",
		ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: pack(&filterchainv3.FilterChainConfig{})},
	}
}

// chain is what a route carries for the policies filter.
func chain(filter proto.Message) *anypb.Any {
	return pack(&filterchainv3.FilterChainConfigPerRoute{FilterChain: &filterchainv3.FilterChain{
		Filters: []*corev3.TypedExtensionConfig{{Name: "filter", TypedConfig: pack(filter)}},
	}})
}

func secret(name, value string) *tlsv3.Secret {
	return &tlsv3.Secret{Name: name, Type: &tlsv3.Secret_GenericSecret{GenericSecret: &tlsv3.GenericSecret{
		Secret: &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: value}},
	}}}
}

func ads() *corev3.ConfigSource {
	return &corev3.ConfigSource{
		ResourceApiVersion:    corev3.ApiVersion_V3,
		ConfigSourceSpecifier: &corev3.ConfigSource_Ads{Ads: &corev3.AggregatedConfigSource{}},
	}
}

func pack(m proto.Message) *anypb.Any {
	a := &anypb.Any{}
	if err := anypb.MarshalFrom(a, m, proto.MarshalOptions{Deterministic: true}); err != nil {
		panic(err)
	}
	return a
}

// resources sorts messages into the lists that the translator would make.
func resources(ms ...message) *translator.Resources {
	r := &translator.Resources{Places: map[string]string{}}
	for i, m := range ms {
		switch m := m.(type) {
		case *tlsv3.Secret:
			r.Secrets = append(r.Secrets, m)
		case *clusterv3.Cluster:
			r.Clusters = append(r.Clusters, m)
		case assignment:
			r.Endpoints = append(r.Endpoints, m.ClusterLoadAssignment)
		case *listenerv3.Listener:
			r.Listeners = append(r.Listeners, m)
		case *routev3.RouteConfiguration:
			r.Routes = append(r.Routes, m)
		}
		r.Places[m.GetName()] = fmt.Sprintf("gw.yaml:%d:1: binds[%d]", i+1, i)
	}
	return r
}

func snapshot(tb testing.TB, ms ...message) *Snapshot {
	tb.Helper()
	s, err := NewSnapshot(resources(ms...))
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// serve starts a gRPC server on a free port and returns its address.
func serve(tb testing.TB, s *Server) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	serveOn(tb, s, l)
	return l.Addr().String()
}

// serveOn returns a function that stops the server; the test's end does too.
func serveOn(tb testing.TB, s *Server, l net.Listener, options ...grpc.ServerOption) (stop func()) {
	gs := grpc.NewServer(append(ServerOptions(), options...)...)
	s.Register(gs)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := gs.Serve(l); err != nil {
			tb.Error(err)
		}
	}()
	stop = func() { gs.Stop(); <-done }
	tb.Cleanup(stop)
	return stop
}

// newServer is a server that removes what is not used at once, and waits for no
// Envoy to join.
func newServer() *Server {
	s := NewServer(quietLog)
	s.grace, s.heldGrace = 0, 0
	s.ExpectOne()
	return s
}
