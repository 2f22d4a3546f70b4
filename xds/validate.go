package xds

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	aggregatev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/aggregate/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tcpproxyv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"github.com/hashicorp/go-multierror"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/attache-dev/attache/translator"
)

// validate reports what Envoy would refuse, and the names that nobody else
// checks: Envoy accepts a route to a cluster that does not exist, and answers
// 503. It returns the route tables and extension configurations that listeners
// name.
func validate(messages *[kinds][]message, places map[string]string, s *sound) (named [kinds][]string, _ error) {
	exists := map[reference]bool{}
	for k, ms := range messages {
		for _, m := range ms {
			exists[reference{kind(k), m.GetName()}] = true
		}
	}
	var all *multierror.Error
	for k, ms := range messages {
		seen := map[string]bool{}
		for _, m := range ms {
			c := &check{kind: kind(k), references: map[reference]bool{}, sound: s}
			switch name := m.GetName(); {
			case name == "":
				c.fail("has no name")
			case seen[name]:
				c.fail("is given twice")
			default:
				seen[name] = true
			}
			c.rules("", m)
			c.walk(m.ProtoReflect())
			for _, r := range c.sorted() {
				if !exists[r] {
					c.fail("names %s %q, which does not exist", r.kind, r.name)
				}
				if kind(k) == listeners && !r.kind.removable() {
					named[r.kind] = append(named[r.kind], r.name)
				}
			}
			for _, msg := range c.mistakes {
				all = multierror.Append(all, fmt.Errorf("%s%s %q %s", at(places, m.GetName()), kind(k), m.GetName(), msg))
			}
		}
	}
	for k := range named {
		slices.Sort(named[k])
		named[k] = slices.Compact(named[k])
	}
	return named, all.ErrorOrNil()
}

// at is how a message begins that is about a resource.
func at(places map[string]string, name string) string {
	if place := places[name]; place != "" {
		return place + ": "
	}
	return ""
}

// A reference is the name of a resource within another.
type reference struct {
	kind kind
	name string
}

// A check looks at one resource.
type check struct {
	kind       kind
	references map[reference]bool
	mistakes   []string
	sound      *sound
}

// sound remembers which packed messages have no mistakes, and what they refer to.
// Routes with the same policies carry the same bytes, and an edit leaves most of
// them as they are: once is enough. What is not asked for again is forgotten with
// the snapshot before.
type sound struct{ before, now map[content][]reference }

// content is a hash of a packed message and its type.
type content [sha256.Size]byte

func contentOf(packed *anypb.Any) (c content) {
	h := sha256.New()
	h.Write([]byte(packed.GetTypeUrl() + "\n"))
	h.Write(packed.GetValue())
	h.Sum(c[:0])
	return c
}

func (s *sound) find(c content) (names []reference, ok bool) {
	if names, ok = s.now[c]; ok {
		return names, true
	}
	if names, ok = s.before[c]; ok {
		s.now[c] = names
	}
	return names, ok
}

func (c *check) fail(format string, args ...any) {
	if msg := fmt.Sprintf(format, args...); !slices.Contains(c.mistakes, msg) {
		c.mistakes = append(c.mistakes, msg)
	}
}

func (c *check) refer(k kind, name string) {
	if name != "" { // an empty name is one of another oneof, or breaks a rule
		c.references[reference{k, name}] = true
	}
}

func (c *check) sorted() []reference {
	list := make([]reference, 0, len(c.references))
	for r := range c.references {
		list = append(list, r)
	}
	slices.SortFunc(list, func(a, b reference) int {
		return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.name, b.name))
	})
	return list
}

// walk looks at every message below m. The generated rules stop at an Any, so
// it applies them to the content of each.
func (c *check) walk(m protoreflect.Message) {
	walk(m, func(m protoreflect.Message) bool {
		switch m := m.Interface().(type) {
		case *anypb.Any:
			c.unpack(m)
			return false
		case *structpb.Struct, *durationpb.Duration: // of which every route has some
			return false
		}
		c.look(m)
		return true
	})
}

func (c *check) unpack(packed *anypb.Any) {
	key := contentOf(packed)
	names, ok := c.sound.find(key)
	if !ok {
		inside := &check{kind: c.kind, references: map[reference]bool{}, sound: c.sound}
		inside.content(packed)
		for _, msg := range inside.mistakes {
			c.fail("%s", msg)
		}
		names = inside.sorted()
		if len(inside.mistakes) == 0 {
			c.sound.now[key] = names
		}
	}
	for _, r := range names {
		c.references[r] = true
	}
}

// content looks at what is packed.
func (c *check) content(packed *anypb.Any) {
	name := strings.TrimPrefix(packed.GetTypeUrl(), "type.googleapis.com/")
	inner, err := packed.UnmarshalNew()
	switch {
	case errors.Is(err, protoregistry.NotFound):
		c.fail("contains an unknown type %q", packed.GetTypeUrl())
	case err != nil:
		c.fail("contains a malformed %s", name)
	default:
		c.rules(name+": ", inner)
		c.walk(inner.ProtoReflect())
	}
}

// walk calls see for m and, as long as that returns true, for the messages in
// its fields.
func walk(m protoreflect.Message, see func(protoreflect.Message) bool) {
	if !see(m) {
		return
	}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsMap():
			if f.MapValue().Message() != nil {
				v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
					walk(v.Message(), see)
					return true
				})
			}
		case f.Message() == nil:
		case f.IsList():
			for i := range v.List().Len() {
				walk(v.List().Get(i).Message(), see)
			}
		default:
			walk(v.Message(), see)
		}
		return true
	})
}

// look collects the names that a message gives.
func (c *check) look(m protoreflect.Message) {
	switch m := m.Interface().(type) {
	case *routev3.RouteAction:
		c.refer(clusters, m.GetCluster())
	case *routev3.WeightedCluster_ClusterWeight:
		c.refer(clusters, m.GetName())
	case *routev3.RouteAction_RequestMirrorPolicy:
		c.refer(clusters, m.GetCluster())
	case *corev3.GrpcService_EnvoyGrpc:
		c.refer(clusters, m.GetClusterName())
	case *corev3.HttpUri:
		c.refer(clusters, m.GetCluster())
	case *tcpproxyv3.TcpProxy:
		c.refer(clusters, m.GetCluster())
	case *tcpproxyv3.TcpProxy_WeightedCluster_ClusterWeight:
		c.refer(clusters, m.GetName())
	case *aggregatev3.ClusterConfig:
		for _, name := range m.GetClusters() {
			c.refer(clusters, name)
		}
	case *clusterv3.Cluster_EdsClusterConfig:
		if name := m.GetServiceName(); overADS(m.GetEdsConfig()) {
			c.refer(endpoints, name)
		}
	case *clusterv3.Cluster:
		if eds := m.GetEdsClusterConfig(); eds.GetServiceName() == "" && overADS(eds.GetEdsConfig()) {
			c.refer(endpoints, m.GetName())
		}
	case *hcmv3.Rds:
		if overADS(m.GetConfigSource()) {
			c.refer(routes, m.GetRouteConfigName())
		}
	case *hcmv3.HttpFilter:
		if overADS(m.GetConfigDiscovery().GetConfigSource()) {
			c.refer(extensions, m.GetName())
		}
	case *tlsv3.SdsSecretConfig:
		switch {
		case overADS(m.GetSdsConfig()):
			c.refer(secrets, m.GetName())
		case m.GetSdsConfig() == nil && m.GetName() != translator.BootstrapCertificate && m.GetName() != translator.BootstrapRoots:
			// It would name a secret of the bootstrap. We put no other there, and
			// Envoy crashes when some filters miss theirs.
			c.fail("does not say that secret %q comes over ADS", m.GetName())
		}
	}
}

func overADS(s *corev3.ConfigSource) bool { return s.GetAds() != nil }

// rules applies the generated rules to a message and all below it, except
// what is packed in an Any.
func (c *check) rules(where string, m protoreflect.ProtoMessage) {
	if v, ok := m.(interface{ ValidateAll() error }); ok {
		c.flatten(where, "", v.ValidateAll())
	}
}

// flatten turns nested errors of the generated rules into one line for each
// field. For a secret it keeps the names of the fields only, for the rest can
// contain the value.
func (c *check) flatten(where, path string, err error) {
	switch err := err.(type) {
	case nil:
	case interface{ AllErrors() []error }:
		for _, e := range err.AllErrors() {
			c.flatten(where, path, e)
		}
	case interface {
		Field() string
		Reason() string
		Cause() error
	}:
		field := err.Field()
		if c.kind == secrets {
			field, _, _ = strings.Cut(field, "[")
		}
		if path != "" {
			field = path + "." + field
		}
		switch {
		case err.Cause() != nil:
			c.flatten(where, field, err.Cause())
		case c.kind == secrets:
			c.fail("is invalid: %s%s", where, field)
		default:
			c.fail("is invalid: %s%s: %s", where, field, err.Reason())
		}
	default:
		if c.kind == secrets {
			c.fail("is invalid: %s%s", where, path)
		} else {
			c.fail("is invalid: %s%s: %v", where, path, err)
		}
	}
}
