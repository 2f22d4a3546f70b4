package xds

import (
	"strings"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	aggregatev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/aggregate/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
)

// extProc is a chain with one filter, three Anys deep.
func extProc(cluster string, timeout time.Duration) *anypb.Any {
	return chain(&extprocv3.ExternalProcessor{
		MessageTimeout: durationpb.New(timeout),
		GrpcService: &corev3.GrpcService{TargetSpecifier: &corev3.GrpcService_EnvoyGrpc_{
			EnvoyGrpc: &corev3.GrpcService_EnvoyGrpc{ClusterName: cluster},
		}},
	})
}

func TestMistakesAreReportedTogetherWithTheirPlaces(t *testing.T) {
	deep := table("deep", "a")
	deep.VirtualHosts[0].Routes[0].TypedPerFilterConfig = map[string]*anypb.Any{"policies": extProc("no-service", -time.Second)}
	many := table("many", "gone", "gone", "a")
	many.VirtualHosts[0].Domains = nil
	many.VirtualHosts[0].Routes = append(many.VirtualHosts[0].Routes, &routev3.Route{
		Match: &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{}},
		Action: &routev3.Route_Route{Route: &routev3.RouteAction{
			ClusterSpecifier: &routev3.RouteAction_WeightedClusters{WeightedClusters: &routev3.WeightedCluster{
				Clusters: []*routev3.WeightedCluster_ClusterWeight{{Name: "a"}, {Name: "weighted"}},
			}},
			RequestMirrorPolicies: []*routev3.RouteAction_RequestMirrorPolicy{{Cluster: "mirror"}},
		}},
	})
	unknown := table("unknown", "a")
	unknown.VirtualHosts[0].Routes[0].TypedPerFilterConfig = map[string]*anypb.Any{
		"x": {TypeUrl: "type.googleapis.com/no.such.Type"},
		"y": {TypeUrl: extProc("a", 1).TypeUrl, Value: []byte{0xff}},
	}
	eds := cluster("eds", 1)
	eds.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_EDS}
	eds.EdsClusterConfig = &clusterv3.Cluster_EdsClusterConfig{EdsConfig: ads()}
	aggregate := cluster("aggregate", 1)
	aggregate.ClusterDiscoveryType = &clusterv3.Cluster_ClusterType{ClusterType: &clusterv3.Cluster_CustomClusterType{
		Name: "envoy.clusters.aggregate", TypedConfig: pack(&aggregatev3.ClusterConfig{Clusters: []string{"a", "b"}}),
	}}
	tls := func(name string, source *corev3.ConfigSource) *clusterv3.Cluster {
		c := cluster("tls-"+name, 1)
		c.TransportSocket = &corev3.TransportSocket{Name: "tls", ConfigType: &corev3.TransportSocket_TypedConfig{
			TypedConfig: pack(&tlsv3.UpstreamTlsContext{CommonTlsContext: &tlsv3.CommonTlsContext{
				TlsCertificateSdsSecretConfigs: []*tlsv3.SdsSecretConfig{{Name: name, SdsConfig: source}},
			}}),
		}}
		return c
	}
	file := &corev3.ConfigSource{ConfigSourceSpecifier: &corev3.ConfigSource_PathConfigSource{
		PathConfigSource: &corev3.PathConfigSource{Path: "/secret.yaml"},
	}}
	_, err := NewSnapshot(resources(
		cluster("a", 1), cluster("dup", 1), cluster("dup", 1), cluster("", 1), cluster("zero", 0),
		eds, aggregate, tls("missing", ads()), tls("static", nil), tls("file", file),
		listener("l", "no-table", &hcmv3.HttpFilter{Name: "limits", ConfigType: &hcmv3.HttpFilter_ConfigDiscovery{
			ConfigDiscovery: &corev3.ExtensionConfigSource{ConfigSource: ads(), TypeUrls: []string{"x"}},
		}}),
		deep, many, unknown,
	))
	want := []string{
		`gw.yaml:3:1: binds[2]: cluster "dup" is given twice`,
		`cluster "" has no name`,
		`gw.yaml:5:1: binds[4]: cluster "zero" is invalid: ConnectTimeout: value must be greater than 0s`,
		`gw.yaml:6:1: binds[5]: cluster "eds" names endpoint assignment "eds", which does not exist`,
		`gw.yaml:7:1: binds[6]: cluster "aggregate" names cluster "b", which does not exist`,
		`gw.yaml:8:1: binds[7]: cluster "tls-missing" names secret "missing", which does not exist`,
		`gw.yaml:9:1: binds[8]: cluster "tls-static" does not say that secret "static" comes over ADS`,
		`gw.yaml:11:1: binds[10]: listener "l" names extension configuration "limits", which does not exist`,
		`gw.yaml:11:1: binds[10]: listener "l" names route configuration "no-table", which does not exist`,
		`gw.yaml:12:1: binds[11]: route configuration "deep" is invalid: envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor: MessageTimeout: value must be`,
		`gw.yaml:12:1: binds[11]: route configuration "deep" names cluster "no-service", which does not exist`,
		`gw.yaml:13:1: binds[12]: route configuration "many" is invalid: VirtualHosts[0].Domains: value must contain at least 1 item(s)`,
		`gw.yaml:13:1: binds[12]: route configuration "many" names cluster "gone", which does not exist`,
		`gw.yaml:13:1: binds[12]: route configuration "many" names cluster "mirror", which does not exist`,
		`gw.yaml:13:1: binds[12]: route configuration "many" names cluster "weighted", which does not exist`,
		`gw.yaml:14:1: binds[13]: route configuration "unknown" contains an unknown type "type.googleapis.com/no.such.Type"`,
		`gw.yaml:14:1: binds[13]: route configuration "unknown" contains a malformed envoy.extensions.filters.http.filter_chain.v3.FilterChainConfigPerRoute`,
	}
	if err == nil {
		t.Fatal("no error")
	}
	for _, w := range want {
		if strings.Count(err.Error(), w) != 1 {
			t.Errorf("not reported once: %s", w)
		}
	}
	if t.Failed() {
		t.Logf("the error is\n%v", err)
	}
}

func TestErrorsDoNotContainSecrets(t *testing.T) {
	bad := &tlsv3.Secret{Name: "key", Type: &tlsv3.Secret_TlsCertificate{TlsCertificate: &tlsv3.TlsCertificate{
		PrivateKey: &corev3.DataSource{Specifier: &corev3.DataSource_EnvironmentVariable{EnvironmentVariable: ""}},
		Password:   &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: "hunter2"}},
	}}}
	_, err := NewSnapshot(resources(bad))
	if err == nil || !strings.Contains(err.Error(), `gw.yaml:1:1: binds[0]: secret "key" is invalid: TlsCertificate.PrivateKey.EnvironmentVariable`) {
		t.Fatalf("got %v", err)
	}
	if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "value") {
		t.Errorf("too much: %v", err)
	}
}
