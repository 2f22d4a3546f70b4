package xds

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	apikeyauthv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/api_key_auth/v3"
	basicauthv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/basic_auth/v3"
	credentialinjectorv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/credential_injector/v3"
	jwtauthnv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/jwt_authn/v3"
	luav3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/lua/v3"
	genericv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/http/injected_credentials/generic/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// One real Envoy lives through a day of edits while clients keep asking.
func TestEnvoy(t *testing.T) {
	e := startEnvoy(t)
	a, b, slow := backend(t, "a", 0), backend(t, "b", 0), backend(t, "slow", 300*time.Millisecond)

	publish := func(ms ...message) {
		t.Helper()
		e.xds.Publish(snapshot(t, ms...))
		e.reach("acknowledged", func(st Status) bool { return len(st.Nodes) == 1 && st.Acknowledged })
	}
	withCredential := func(rc *routev3.RouteConfiguration) *routev3.RouteConfiguration {
		rc.TypedPerFilterConfig = map[string]*anypb.Any{"policies": credential("token")}
		return rc
	}

	publish(secret("token", "one"), cluster("a", 1, a), listener("l", "r", policies()), withCredential(table("r", "a")))
	l := e.listener("l")
	stop := load(t, "http://"+l)
	if got := get(t, "http://"+l); got != "a one" {
		t.Fatalf("got %q, want the first backend and the credential", got)
	}

	// An edited route is in force when it is acknowledged; so is a secret,
	// after the moment that its way to the workers takes.
	publish(secret("token", "two"), cluster("a", 1, a), cluster("b", 1, b), listener("l", "r", policies()), withCredential(table("r", "b")))
	if got := get(t, "http://"+l); !strings.HasPrefix(got, "b ") {
		t.Errorf("after the edit: got %q", got)
	}
	eventually(t, "the new secret is used", func() bool { return get(t, "http://"+l) == "b two" })
	e.reach("synced", func(st Status) bool { return st.Synced })

	// Cluster swaps: the new one takes 300 ms to warm, the old one goes.
	for i := range 3 {
		checked := healthChecked(cluster(fmt.Sprint("slow-", i), 1, slow))
		publish(checked, listener("l", "r", policies()), table("r", checked.Name))
		if got := get(t, "http://"+l); got != "slow " {
			t.Errorf("after the swap: got %q", got)
		}
		e.reach("synced", func(st Status) bool { return st.Synced })
		if got := e.admin("/clusters"); !strings.Contains(got, checked.Name) || strings.Count(got, "::default_priority::max_connections") != 2 { // and the bootstrap's
			t.Errorf("clusters after the swap:\n%s", got)
		}
	}

	// What only Envoy can refuse hurts nobody, and rolling back heals it.
	good := snapshot(t, cluster("a", 1, a), listener("l", "r", policies()), table("r", "a"))
	e.xds.Publish(good)
	e.reach("synced", func(st Status) bool { return st.Synced })
	bad := table("r", "a")
	bad.VirtualHosts[0].Routes[0].Match.PathSpecifier = &routev3.RouteMatch_SafeRegex{SafeRegex: &matcherv3.RegexMatcher{Regex: "(unclosed"}}
	e.xds.Publish(snapshot(t, cluster("a", 1, a), badCertificate("bad"), listener("l", "r", policies()), bad))
	e.reach("refused", func(st Status) bool { return len(st.Refused()) == 1 })
	if n := e.xds.Status().Refused()[0]; n.Resource != "bad" || n.Place != "gw.yaml:2:1: binds[1]" || n.Message == "" || strings.Contains(n.Message, "hunter2") {
		t.Errorf("refused: %+v", n)
	}
	e.xds.Publish(snapshot(t, cluster("a", 1, a), listener("l", "r", policies()), bad))
	e.reach("refused", func(st Status) bool { return len(st.Refused()) == 1 })
	if n := e.xds.Status().Refused()[0]; n.Resource != "r" || n.Message != "missing ): (unclosed" {
		t.Errorf("refused: %+v", n)
	}
	e.xds.Publish(good)
	e.reach("synced", func(st Status) bool { return st.Synced && len(st.Nodes[0].Nacks) == 0 })

	// A listener that goes drains, and keeps its table and cluster until then.
	publish(cluster("a", 1, a), cluster("b", 1, b), listener("l", "r", policies()), listener("l2", "r2"), table("r", "a"), table("r2", "b"))
	l2 := e.listener("l2")
	conn := newClient(t, "http://"+l2)
	if got := conn.get(); got != "b " {
		t.Errorf("got %q from the second listener", got)
	}
	e.xds.Publish(good)
	e.reach("acknowledged", func(st Status) bool { return st.Acknowledged })
	if got := conn.get(); got != "b " {
		t.Errorf("got %q while the listener drains", got)
	}
	e.reach("synced", func(st Status) bool { return st.Synced })
	if got := e.sent(); !slices.Equal(got[len(got)-2:], []string{"listener -l2", "cluster -b"}) {
		t.Errorf("the last responses are %q", got)
	}

	// Another server with the same content: nothing is sent again.
	e.restart(good)
	e.reach("synced", func(st Status) bool { return len(st.Nodes) == 1 && st.Synced })
	e.expectSent("cluster", "listener")

	// An edit that was made meanwhile is all that is sent.
	e.restart(snapshot(t, cluster("b", 1, b), listener("l", "r", policies()), table("r", "b")))
	e.reach("synced", func(st Status) bool { return len(st.Nodes) == 1 && st.Synced })
	e.expectSent("cluster +b", "listener", "route configuration +r", "cluster -a")
	if got := get(t, "http://"+l); got != "b " {
		t.Errorf("after the restarts: got %q", got)
	}

	stop()
	if n := e.stat("listener_manager.listener_modified"); n != 0 {
		t.Errorf("%d listeners were modified", n)
	}
}

// An Envoy opens its listeners when all clusters of the first response are
// warm, so no early request fails.
func TestEnvoyStartsWarm(t *testing.T) {
	e := startEnvoy(t)
	slow := backend(t, "slow", 300*time.Millisecond)
	var ms []message
	var names []string
	for i := range 5 {
		c := healthChecked(cluster(fmt.Sprint("slow-", i), 1, slow))
		ms, names = append(ms, c), append(names, c.Name)
	}
	e.xds.Publish(snapshot(t, append(ms, listener("l", "r"), table("r", names...))...))
	l := e.listener("l")
	for i := range 5 {
		if got := get(t, fmt.Sprintf("http://%s/%d", l, i)); got != "slow " {
			t.Errorf("route %d: got %q", i, got)
		}
	}
}

// Addresses may change, and the cluster that they are of, without a moment in which
// it has none. A cluster that is edited asks for its addresses again.
func TestEndpointsInEnvoy(t *testing.T) {
	e := startEnvoy(t)
	a, b := backend(t, "a", 0), backend(t, "b", 0)
	publish := func(timeout int, addr string) {
		t.Helper()
		e.xds.Publish(snapshot(t, discovered("c", timeout), endpointsOf("c", addr), listener("l", "r"), table("r", "c")))
		e.reach("acknowledged", func(st Status) bool { return len(st.Nodes) == 1 && st.Acknowledged })
	}
	publish(1, a)
	l := e.listener("l")
	stop := load(t, "http://"+l)
	publish(1, b)
	eventually(t, "the new address is used", func() bool { return get(t, "http://"+l) == "b " })
	publish(2, b)
	publish(3, a)
	eventually(t, "both are used", func() bool { return get(t, "http://"+l) == "a " })
	stop()
	e.reach("synced", func(st Status) bool { return st.Synced })
	e.restart(snapshot(t, discovered("c", 3), endpointsOf("c", a), listener("l", "r"), table("r", "c")))
	e.reach("synced", func(st Status) bool { return len(st.Nodes) == 1 && st.Synced })
	e.expectSent("cluster", "listener")

	// What is gone takes its addresses with it.
	e.xds.Publish(snapshot(t, cluster("s", 1, a), listener("l", "r"), table("r", "s")))
	e.reach("synced", func(st Status) bool { return len(st.Nodes) == 1 && st.Synced })
}

// Envoy repeats what it refuses. None of that is kept.
func TestRefusalsDoNotContainSecrets(t *testing.T) {
	e := startEnvoy(t)
	good := func() *Snapshot {
		return snapshot(t, cluster("a", 1), listener("l", "r", policies()), table("r", "a"))
	}
	e.xds.Publish(good())
	e.reach("acknowledged", func(st Status) bool { return len(st.Nodes) == 1 && st.Acknowledged })

	source := func(s string) *corev3.DataSource {
		return &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: s}}
	}
	filter := func(m proto.Message) message {
		rc := table("r", "a")
		rc.TypedPerFilterConfig = map[string]*anypb.Any{"policies": chain(m)}
		return rc
	}
	header := func(value string) *routev3.RouteConfiguration {
		rc := table("r", "a")
		rc.RequestHeadersToAdd = []*corev3.HeaderValueOption{{Header: &corev3.HeaderValue{Key: "authorization", Value: value}}}
		return rc
	}
	noDomains := header("hunter2")
	noDomains.VirtualHosts[0].Domains = nil
	noTimeout := badCertificate("a")
	noTimeout.ConnectTimeout = durationpb.New(0)
	for _, tt := range []struct {
		kind    kind
		message message
		want    string
	}{
		{clusters, badCertificate("a"), "Error adding/updating cluster(s) a: Failed to load certificate chain from <inline>"},
		{clusters, noTimeout, "Proto constraint validation failed (ClusterValidationError.ConnectTimeout: value must be greater than 0s)"},
		{routes, noDomains, "Proto constraint validation failed (RouteConfigurationValidationError.VirtualHosts[0]: embedded message failed validation | caused by VirtualHostValidationError.Domains: value must contain at least 1 item(s))"},
		{routes, header("hunter2 %NO_SUCH(hunter2)%"), "Not supported field in StreamInfo: NO_SUCH"},
		{routes, header("hunter2 %"), "Incorrect configuration: (withheld). Couldn't find valid command at position 8"},
		{routes, filter(&apikeyauthv3.ApiKeyAuth{
			Credentials: []*apikeyauthv3.Credential{{Key: "hunter2", Client: "a"}, {Key: "hunter2", Client: "b"}},
			KeySources:  []*apikeyauthv3.KeySource{{Header: "x"}},
		}), "Duplicated credential key: (withheld)"},
		{routes, filter(&basicauthv3.BasicAuth{Users: source("hunter2")}), "basic auth: invalid htpasswd format, username:password is expected"},
		{routes, filter(&luav3.Lua{DefaultSourceCode: source("local key = 'hunter2' end end")}), "script load error: [string (withheld)]:1: (withheld)"},
		{routes, filter(&jwtauthnv3.JwtAuthentication{Providers: map[string]*jwtauthnv3.JwtProvider{
			"p": {JwksSourceSpecifier: &jwtauthnv3.JwtProvider_LocalJwks{LocalJwks: source("hunter2")}},
		}}), "Provider (withheld) in jwt_authn config has invalid local jwks: Jwks is an invalid JSON"},
	} {
		// Some of these would not pass NewSnapshot.
		bad := good()
		item, err := marshal(tt.kind, tt.message)
		if err != nil {
			t.Fatal(err)
		}
		bad.items[tt.kind][item.Name] = item // in place of the good one
		e.xds.Publish(bad)
		e.reach("refused", func(st Status) bool { return len(st.Refused()) == 1 })
		if got := e.xds.Status().Refused()[0].Message; got != tt.want {
			t.Errorf("kept %q, want %q", got, tt.want)
		}
		e.xds.Publish(good())
		e.reach("healed", func(st Status) bool { return st.Synced && len(st.Nodes[0].Nacks) == 0 })
	}
}

// healthChecked makes a cluster warm only after its backend's first answer.
func healthChecked(c *clusterv3.Cluster) *clusterv3.Cluster {
	c.HealthChecks = []*corev3.HealthCheck{{
		Timeout:            durationpb.New(5 * time.Second),
		Interval:           durationpb.New(time.Minute),
		HealthyThreshold:   wrapperspb.UInt32(1),
		UnhealthyThreshold: wrapperspb.UInt32(1),
		HealthChecker: &corev3.HealthCheck_HttpHealthCheck_{
			HttpHealthCheck: &corev3.HealthCheck_HttpHealthCheck{Path: "/health"},
		},
	}}
	return c
}

// credential is a chain that adds a secret to each request.
func credential(secret string) *anypb.Any {
	return chain(&credentialinjectorv3.CredentialInjector{
		Credential: &corev3.TypedExtensionConfig{
			Name: "generic",
			TypedConfig: pack(&genericv3.Generic{
				Credential: &tlsv3.SdsSecretConfig{Name: secret, SdsConfig: ads()},
			}),
		},
	})
}

// badCertificate is a cluster that passes every check but Envoy's.
func badCertificate(name string) *clusterv3.Cluster {
	inline := func(s string) *corev3.DataSource {
		return &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: s}}
	}
	c := cluster(name, 1)
	c.TransportSocket = &corev3.TransportSocket{Name: "tls", ConfigType: &corev3.TransportSocket_TypedConfig{
		TypedConfig: pack(&tlsv3.UpstreamTlsContext{CommonTlsContext: &tlsv3.CommonTlsContext{
			TlsCertificates: []*tlsv3.TlsCertificate{{CertificateChain: inline("hunter2"), PrivateKey: inline("hunter2")}},
		}}),
	}}
	return c
}
