package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	extprocfilterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	"gopkg.in/yaml.v3"

	"github.com/attache-dev/attache/config"
	"github.com/attache-dev/attache/extprocsvc"
	"github.com/attache-dev/attache/translator"
)

// A home is a place where somebody runs an Envoy, or what speaks like one.
type home struct {
	name string
	// print makes what is to be pasted there.
	print func(*pasted) (*yaml.Node, error)
	// remarks are what has to be known about it, for stderr.
	remarks func(*pasted) []string
}

func homes() []home {
	return []home{
		{"envoy", pasteEnvoy, nil},
		{"istio", pasteIstio, remarksOnPods},
		{"envoy-gateway", pasteEnvoyGateway, remarksOnEnvoyGateway},
		{"agentgateway", pasteAgentgateway, remarksOnAgentgateway},
	}
}

func homeNames() (names []string) {
	for _, h := range homes() {
		names = append(names, h.name)
	}
	return names
}

// Where the files of a TLS connection are on the other side.
const (
	pastedRoot = "/etc/attache/ca.pem"
	pastedCert = "/etc/attache/client.pem"
	pastedKey  = "/etc/attache/client.key"
)

// pasted is what a home is told.
type pasted struct {
	address  string // of the service, as the flags spell it
	service  config.Target
	profiles []*config.Profile // those that its requests may have
	several  bool              // the file has more than one
	named    []*config.Route   // routes of the file, by whose names requests are told apart
	chains   *extprocsvc.Chains
	existing translator.Existing
	filter   *extprocfilterv3.ExternalProcessor
	cluster  *clusterv3.Cluster
}

func printFilter(f *aloneFlags, stdout, stderr io.Writer) int {
	i := slices.IndexFunc(homes(), func(h home) bool { return h.name == f.printFilter })
	if i < 0 {
		return fail(stderr, exitUsage, fmt.Errorf("--print-filter %q: expected %s", f.printFilter, alternatives(homeNames())))
	}
	service, err := f.target()
	if err != nil {
		return fail(stderr, exitUsage, err)
	}
	if ip := net.ParseIP(service.Host); ip != nil && ip.IsUnspecified() {
		return fail(stderr, exitUsage, fmt.Errorf("%s is where the service listens; --extproc-as tells where it is reached", service.Host))
	}
	if f.tls.cert != "" && !translator.Verifiable(service) {
		return fail(stderr, exitUsage, fmt.Errorf("a socket has no name that a certificate could be for; --extproc-as host:port tells one"))
	}
	built, err := (&source{path: f.file, alone: &f.profile}).build(config.Options{}, translator.Options{})
	if err != nil {
		printMistakes(stderr, err)
		return exitConfig
	}
	p := newPasted(f, service, built)
	if name := p.existing.Profile; !sendable(name) {
		return fail(stderr, exitConfig, fmt.Errorf("profile %.40q: gRPC metadata cannot carry its name; expected at most %d bytes, without line breaks and other control characters", name, maxSent))
	}
	h := homes()[i]
	node, err := h.print(p)
	if err != nil {
		return fail(stderr, exitFailure, err)
	}
	remarks := p.remarks()
	if h.remarks != nil {
		remarks = append(remarks, h.remarks(p)...)
	}
	for _, r := range remarks {
		hint(stderr, r)
	}
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	for _, doc := range documents(node) {
		if err := enc.Encode(doc); err != nil {
			return fail(stderr, exitFailure, err)
		}
	}
	if _, err := stdout.Write(out.Bytes()); err != nil {
		return fail(stderr, exitFailure, err)
	}
	return exitGood
}

// maxSent is how long a value of initial_metadata may be for Envoy, in bytes.
const maxSent = 16 << 10

// sendable tells whether a name can be a value of gRPC metadata.
func sendable(name string) bool {
	return len(name) <= maxSent && !strings.ContainsFunc(name, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}

func newPasted(f *aloneFlags, service config.Target, b *built) *pasted {
	p := &pasted{address: f.reachedAt(), service: service, chains: b.chains}
	for _, profile := range b.config.Profiles {
		if f.profile == "" || profile.Name == f.profile {
			p.profiles = append(p.profiles, profile)
		}
	}
	p.several = len(b.config.Profiles) > 1
	e := &p.existing
	e.Service = service
	for _, profile := range p.profiles {
		e.Chains = append(e.Chains, chainOf(b.chains.ForProfile(profile.Name)))
	}
	if len(p.profiles) == 1 {
		e.Profile = p.profiles[0].Name
	} else {
		e.Routes = true
		for _, l := range b.config.Listeners {
			for _, r := range l.Routes {
				if c := b.chains.ForRoute(r); c != nil {
					e.Chains = append(e.Chains, chainOf(c))
					p.named = append(p.named, r)
				}
			}
		}
	}
	if f.tls.cert != "" {
		e.TLS = &translator.ExistingTLS{Root: pastedRoot}
		if f.tls.clientCA != "" {
			e.TLS.Cert, e.TLS.Key = pastedCert, pastedKey
		}
	}
	p.filter, p.cluster = e.Resources(b.config)
	return p
}

// remarks are those for every home.
func (p *pasted) remarks() (remarks []string) {
	if p.existing.Profile == "" {
		remarks = append(remarks, "the file has several profiles: a request has that of the route of the file whose name its own route has, or the one of --profile; or name one with --profile here, and print a filter for each")
	}
	if p.existing.TLS != nil {
		remarks = append(remarks, "put there the certificates that verify the service, in "+pastedRoot)
	}
	return remarks
}

// A choice is one that is made for requests, and what it is between.
type choice struct {
	by       string
	chain    *extprocsvc.Chain
	backends []*config.Backend
}

// choices are those of profiles among their services, and of routes among their
// backends.
func (p *pasted) choices() (all []choice) {
	for _, profile := range p.profiles {
		c := choice{by: "profile " + profile.Name, chain: p.chains.ForProfile(profile.Name)}
		for _, s := range profile.Services {
			c.backends = append(c.backends, &config.Backend{Name: s.Name})
		}
		all = append(all, c)
	}
	for _, r := range p.named {
		all = append(all, choice{"route " + r.Name, p.chains.ForRoute(r), r.Backends})
	}
	return slices.DeleteFunc(all, func(c choice) bool { return !c.chain.Chooses() })
}

func remarksOnPods(p *pasted) (remarks []string) {
	if all := p.choices(); len(all) > 0 {
		remarks = append(remarks, fmt.Sprintf("%s chooses among services, by the dynamic metadata attache.backend; no route can match on it here, so its choice is recorded and nothing more", all[0].by))
	}
	if loopbackOnly(p.address) {
		remarks = append(remarks, p.address+" is the pod itself; --extproc-as tells where the service is reached if it is elsewhere")
	}
	return remarks
}

// documents are the documents of a stream of YAML.
func documents(n *yaml.Node) []*yaml.Node {
	if n.Kind == yaml.SequenceNode {
		return n.Content
	}
	return []*yaml.Node{n}
}

// mapping is a mapping of keys and values in turn, in that order. A value is a
// node, or whatever YAML can encode.
func mapping(kv ...any) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	for i := 0; i < len(kv); i += 2 {
		n.Content = append(n.Content, scalar(kv[i].(string)), node(kv[i+1]))
	}
	return n
}

func list(items ...any) *yaml.Node {
	n := &yaml.Node{Kind: yaml.SequenceNode}
	for _, i := range items {
		n.Content = append(n.Content, node(i))
	}
	return n
}

func scalar(s string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(s)
	return n
}

func node(v any) *yaml.Node {
	if n, ok := v.(*yaml.Node); ok {
		return n
	}
	n := &yaml.Node{}
	if err := n.Encode(v); err != nil {
		panic(fmt.Sprintf("attache: cannot print %T: %v", v, err)) // values of ours
	}
	return n
}

// remark puts a comment before the n-th entry of a mapping.
func remark(n *yaml.Node, entry int, lines ...string) {
	n.Content[2*entry].HeadComment = strings.Join(lines, "\n")
}

// parts are the filter and the cluster as values.
func (p *pasted) parts() (filter, cluster any, err error) {
	m, err := translator.Plain(p.filter)
	if err != nil {
		return nil, nil, err
	}
	typed := map[string]any{"@type": "type.googleapis.com/" + string(p.filter.ProtoReflect().Descriptor().FullName())}
	for k, v := range m.(map[string]any) {
		typed[k] = v
	}
	cluster, err = translator.Plain(p.cluster)
	return mapping("name", "attache", "typed_config", typed), cluster, err
}

const newerEnvoy = "allow_content_length_header came with Envoy 1.38: leave it out before, and bodies get no length."

func pasteEnvoy(p *pasted) (*yaml.Node, error) {
	filter, cluster, err := p.parts()
	if err != nil {
		return nil, err
	}
	doc := mapping("http_filters", list(filter), "clusters", list(cluster))
	remark(doc, 0, "Into http_filters of the HTTP connection manager, before the router.", newerEnvoy)
	remark(doc, 1, "Into static_resources.")
	if routes := p.routes(); len(routes.Content) > 0 {
		doc.Content = append(doc.Content, scalar("routes"), routes)
		remark(doc, 2, "Before the other routes of the virtual host: where the choice of a profile leads.", "The clusters are yours.")
	}
	return doc, nil
}

// routes are where choices lead. Nothing but our service can make a request match
// them, whatever its path has become: with the prefix "/" one without a slash would
// fall through.
func (p *pasted) routes() *yaml.Node {
	routes := list()
	for _, c := range p.choices() {
		for _, b := range c.backends {
			routes.Content = append(routes.Content, mapping(
				"match", mapping("prefix", "", "dynamic_metadata", list(mapping(
					"filter", translator.MetadataNamespace,
					"path", list(mapping("key", translator.BackendKey)),
					"value", mapping("string_match", mapping("exact", c.chain.Choice(b))),
				))),
				"route", mapping("cluster", b.Name, "timeout", "0s"),
			))
		}
	}
	return routes
}

func pasteIstio(p *pasted) (*yaml.Node, error) {
	filter, cluster, err := p.parts()
	if err != nil {
		return nil, err
	}
	doc := mapping(
		"apiVersion", "networking.istio.io/v1alpha3",
		"kind", "EnvoyFilter",
		"metadata", mapping("name", "attache", "namespace", "istio-system"),
		"spec", mapping(
			"workloadSelector", mapping("labels", mapping("istio", "ingressgateway")),
			"configPatches", list(
				mapping(
					"applyTo", "HTTP_FILTER",
					"match", mapping("context", "GATEWAY", "listener", mapping("filterChain", mapping("filter", mapping(
						"name", "envoy.filters.network.http_connection_manager",
						"subFilter", mapping("name", "envoy.filters.http.router"))))),
					"patch", mapping("operation", "INSERT_BEFORE", "value", filter),
				),
				mapping(
					"applyTo", "CLUSTER",
					"match", mapping("context", "GATEWAY"),
					"patch", mapping("operation", "ADD", "value", cluster),
				),
			),
		),
	)
	remark(doc, 0, "workloadSelector and namespace are those of the gateway.", newerEnvoy)
	return doc, nil
}

// gatewayBodies are Envoy Gateway's words for body modes.
var gatewayBodies = map[extprocfilterv3.ProcessingMode_BodySendMode]string{
	extprocfilterv3.ProcessingMode_BUFFERED:             "Buffered",
	extprocfilterv3.ProcessingMode_FULL_DUPLEX_STREAMED: "FullDuplexStreamed",
}

func pasteEnvoyGateway(p *pasted) (*yaml.Node, error) {
	mode := p.filter.ProcessingMode
	request := mapping()
	if body := gatewayBodies[mode.RequestBodyMode]; body != "" {
		request = mapping("body", body)
	}
	if attributes := p.filter.RequestAttributes; len(attributes) > 0 {
		request.Content = append(request.Content, scalar("attributes"), node(attributes))
	}
	shown := mapping("request", request)
	if body := gatewayBodies[mode.ResponseBodyMode]; body != "" {
		shown.Content = append(shown.Content, scalar("response"), mapping("body", body))
	}
	breakers := p.cluster.CircuitBreakers.Thresholds[0]
	ref := mapping("group", "gateway.envoyproxy.io", "kind", "Backend", "name", "attache")
	endpoint, port := p.endpoint()
	if port != nil {
		ref.Content = append(ref.Content, scalar("port"), port)
	}
	backend := mapping("endpoints", list(endpoint))
	if tls := p.existing.TLS; tls != nil {
		how := mapping("caCertificateRefs", list(mapping("group", "", "kind", "ConfigMap", "name", "attache-ca")), "sni", p.service.Host)
		if net.ParseIP(p.service.Host) != nil {
			how.Content = how.Content[:2]
		}
		if tls.Cert != "" {
			how.Content = append(how.Content, scalar("clientCertificateRef"), mapping("kind", "Secret", "name", "attache-client"))
		}
		backend.Content = append(backend.Content, scalar("tls"), how)
	}
	policy := mapping(
		"apiVersion", "gateway.envoyproxy.io/v1alpha1",
		"kind", "EnvoyExtensionPolicy",
		"metadata", mapping("name", "attache"),
		"spec", mapping(
			"targetRefs", list(mapping("group", "gateway.networking.k8s.io", "kind", "Gateway", "name", "eg")),
			"extProc", list(mapping(
				"backendRefs", list(ref),
				"failOpen", p.filter.FailureModeAllow,
				"messageTimeout", p.filter.MessageTimeout.AsDuration().String(),
				"processingMode", shown,
				"metadata", mapping("writableNamespaces", []string{translator.MetadataNamespace}),
				"backendSettings", mapping(
					"circuitBreaker", mapping(
						"maxConnections", breakers.MaxConnections.GetValue(),
						"maxPendingRequests", breakers.MaxPendingRequests.GetValue(),
						"maxParallelRequests", breakers.MaxRequests.GetValue(),
					),
					"connection", mapping("bufferLimit", p.cluster.PerConnectionBufferLimitBytes.GetValue()),
					"http2", mapping(
						"initialStreamWindowSize", translator.ServiceWindow,
						"initialConnectionWindowSize", translator.ServiceConnectionWindow,
					),
				),
			)),
		),
	)
	remark(policy, 0, "targetRefs are the Gateways or HTTPRoutes that need a profile.")
	service := mapping(
		"apiVersion", "gateway.envoyproxy.io/v1alpha1",
		"kind", "Backend",
		"metadata", mapping("name", "attache"),
		"spec", backend,
	)
	remark(service, 0, "Needs extensionApis.enableBackend: true in the configuration of Envoy Gateway;", "a Service in backendRefs does as well.")
	return list(policy, service), nil
}

// endpoint is where the service is, and the port that names it again.
func (p *pasted) endpoint() (endpoint, port *yaml.Node) {
	t := p.service
	switch ip := net.ParseIP(t.Host); {
	case t.Unix != "":
		return mapping("unix", mapping("path", t.Unix)), nil
	case ip != nil:
		return mapping("ip", mapping("address", t.Host, "port", t.Port)), node(t.Port)
	default:
		return mapping("fqdn", mapping("hostname", t.Host, "port", t.Port)), node(t.Port)
	}
}

func remarksOnEnvoyGateway(p *pasted) (remarks []string) {
	if p.several {
		remarks = append(remarks, "Envoy Gateway sends no gRPC metadata: run attache extproc with --profile, or tell profiles apart by the names of routes")
	}
	return append(remarks, remarksOnPods(p)...)
}

// gatewayModes are agentgateway's words for body modes.
var gatewayModes = map[extprocfilterv3.ProcessingMode_BodySendMode]string{
	extprocfilterv3.ProcessingMode_NONE:                 "none",
	extprocfilterv3.ProcessingMode_BUFFERED:             "buffered",
	extprocfilterv3.ProcessingMode_FULL_DUPLEX_STREAMED: "fullDuplexStreamed",
}

func pasteAgentgateway(p *pasted) (*yaml.Node, error) {
	mode := p.filter.ProcessingMode
	sent := map[extprocfilterv3.ProcessingMode_HeaderSendMode]string{
		extprocfilterv3.ProcessingMode_SEND: "send", extprocfilterv3.ProcessingMode_SKIP: "skip",
	}
	requestTrailers, responseTrailers := mode.RequestTrailerMode, mode.ResponseTrailerMode
	if full := extprocfilterv3.ProcessingMode_FULL_DUPLEX_STREAMED; mode.RequestBodyMode == full || mode.ResponseBodyMode == full {
		requestTrailers, responseTrailers = extprocfilterv3.ProcessingMode_SEND, extprocfilterv3.ProcessingMode_SEND
	}
	host := p.address
	failure := "failClosed"
	if p.filter.FailureModeAllow {
		failure = "failOpen"
	}
	e := mapping("host", host, "failureMode", failure)
	add := func(key string, value any) { e.Content = append(e.Content, scalar(key), node(value)) }
	if tls := p.existing.TLS; tls != nil {
		how := mapping("root", tls.Root)
		if tls.Cert != "" {
			how = mapping("root", tls.Root, "cert", tls.Cert, "key", tls.Key)
		}
		add("policies", mapping("backendTLS", how))
	}
	if name := p.existing.Profile; name != "" {
		add("metadataContext", mapping("agentgateway.dev.grpc_initial_metadata", mapping(translator.ProfileMetadata, strconv.Quote(name))))
	}
	add("processingOptions", mapping(
		"requestHeaderMode", sent[mode.RequestHeaderMode],
		"requestBodyMode", gatewayModes[mode.RequestBodyMode],
		"requestTrailerMode", sent[requestTrailers],
		"responseHeaderMode", sent[mode.ResponseHeaderMode],
		"responseBodyMode", gatewayModes[mode.ResponseBodyMode],
		"responseTrailerMode", sent[responseTrailers],
	))
	doc := mapping("extProc", e)
	remark(doc, 0, "Into policies of a route.", "Before v1.3 leave out processingOptions, and before v0.11 metadataContext:", "then run attache extproc with --profile.")
	return doc, nil
}

func remarksOnAgentgateway(p *pasted) (remarks []string) {
	if all := p.choices(); len(all) > 0 {
		remarks = append(remarks, fmt.Sprintf("%s chooses among services; agentgateway cannot route by its choice, which is recorded and nothing more", all[0].by))
	}
	return remarks
}
