package translator

import (
	"cmp"
	"maps"
	"slices"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/attache-dev/attache/config"
)

// DefaultMaxBody is the longest body that is held, in bytes: 10 MiB, room for
// long contexts and images.
const DefaultMaxBody = 10 << 20

// DefaultTrustedCA is where Debian, and so Envoy's image, keeps the roots that
// verify backends.
const DefaultTrustedCA = "/etc/ssl/certs/ca-certificates.crt"

// Options are what the resources depend on beside the file.
type Options struct {
	// ExtProc is where Envoy reaches our ext_proc service.
	ExtProc config.Target
	// Replicas are where it reaches others that do the same.
	Replicas []config.Target
	// ServiceTLS tells that our service speaks TLS, with the certificates of the
	// Envoys' bootstraps. It is then not at a unix socket.
	ServiceTLS bool
	// RouteChain returns what our service does for a route, or nil.
	RouteChain func(*config.Route) *Chain
	// ListenerChain returns what our service does for requests that match no
	// route of a listener, or nil.
	ListenerChain func(*config.Listener) *Chain
	// GatewayChain returns what our service does in the gateway phase of a
	// listener, or nil. It chooses nothing.
	GatewayChain func(*config.Listener) *Chain
	// MaxBody bounds the bodies that Envoy holds, in bytes. Default the file's, or
	// [DefaultMaxBody].
	MaxBody uint32
	// TrustedCA is the file, on Envoy's side, with the roots that verify
	// backends. Default [DefaultTrustedCA].
	TrustedCA string
}

// Chain is one chain of our ext_proc service as Envoy has to know it.
type Chain struct {
	// Ref names the chain to the service.
	Ref string
	// ReadsBody tells that the chain needs the request's body, ReadsResponse
	// that it needs the response.
	ReadsBody, ReadsResponse bool
	// FailOpen lets requests pass while the service is unavailable.
	FailOpen bool
	// Choice is nil for a chain that does not choose among the backends of its
	// route. Otherwise the service names one for every request that it lets
	// pass, and Choice is what it writes for that backend into the dynamic
	// metadata [MetadataNamespace], under [BackendKey]: not empty, and
	// different for every backend of every route. The reply that carries it
	// must also set clear_route_cache and change a header, or Envoy keeps the
	// route as it was.
	Choice func(*config.Backend) string
}

// chooses tells whether our service chooses the backend.
func (c *Chain) chooses() bool { return c != nil && c.Choice != nil }

// Translate returns the resources of a configuration. The error is nil or a
// *[multierror.Error] of *[config.Error].
func Translate(c *config.Config, o Options) (*Resources, error) {
	t := newTranslation(c, o)
	for _, port := range t.ports() {
		t.listener(port)
		for _, g := range t.routeGroups(port) {
			t.routeConfig(g)
		}
	}
	if err := config.Join(t.errs); err != nil {
		return nil, err
	}
	return t.resources(), nil
}

// translation collects resources by name.
type translation struct {
	cfg  *config.Config
	opts Options
	errs []*config.Error

	// elsewhere tells that the resources are for an Envoy that does not ask us.
	elsewhere bool

	byPort   map[uint16][]*config.Listener
	chains   map[string]*chain
	overs    map[[2]*chain]map[string]*anypb.Any // see over
	words    map[string]*config.Backend          // that our service has for backends
	retried  map[string]bool                     // clusters that some route asks again
	secrets  map[string]*tlsv3.Secret
	clusters map[string]*clusterv3.Cluster
	out      *Resources
}

func newTranslation(c *config.Config, o Options) *translation {
	o.MaxBody = cmp.Or(o.MaxBody, c.Frontend.MaxBody, DefaultMaxBody)
	o.TrustedCA = cmp.Or(o.TrustedCA, DefaultTrustedCA)
	if o.RouteChain == nil {
		o.RouteChain = func(*config.Route) *Chain { return nil }
	}
	if o.ListenerChain == nil {
		o.ListenerChain = func(*config.Listener) *Chain { return nil }
	}
	if o.GatewayChain == nil {
		o.GatewayChain = func(*config.Listener) *Chain { return nil }
	}
	t := &translation{
		cfg:      c,
		opts:     o,
		byPort:   map[uint16][]*config.Listener{},
		chains:   map[string]*chain{},
		overs:    map[[2]*chain]map[string]*anypb.Any{},
		words:    map[string]*config.Backend{},
		retried:  retriedBackends(c.Listeners),
		secrets:  map[string]*tlsv3.Secret{},
		clusters: map[string]*clusterv3.Cluster{},
		out:      &Resources{Held: map[string]bool{}, Places: map[string]string{}},
	}
	routes := 0
	for _, l := range c.Listeners {
		t.byPort[l.Port] = append(t.byPort[l.Port], l)
		routes += len(l.Routes)
	}
	t.out.RoutePlaces = make(map[string]string, routes)
	return t
}

func (t *translation) ports() []uint16 { return slices.Sorted(maps.Keys(t.byPort)) }

func (t *translation) errorf(path string, kind config.Kind, format string, args ...any) {
	t.errs = append(t.errs, t.cfg.Errorf(path, kind, format, args...))
}

// place remembers where a resource comes from. The first place counts.
func (t *translation) place(name, path string) {
	if _, ok := t.out.Places[name]; !ok {
		t.out.Places[name] = t.cfg.Place(path)
	}
}

func (t *translation) resources() *Resources {
	for _, name := range slices.Sorted(maps.Keys(t.secrets)) {
		t.out.Secrets = append(t.out.Secrets, t.secrets[name])
	}
	for _, name := range slices.Sorted(maps.Keys(t.clusters)) {
		t.out.Clusters = append(t.out.Clusters, t.clusters[name])
	}
	slices.SortFunc(t.out.Listeners, func(a, b *listener) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(t.out.Routes, func(a, b *routeConfiguration) int { return cmp.Compare(a.Name, b.Name) })
	return t.out
}
