package xds

import (
	"cmp"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"maps"
	"slices"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/attache-dev/attache/translator"
)

// A Snapshot is everything that Envoy shall have, checked, marshalled and
// versioned. It never changes, so any number of streams share it, and an older
// one can be published again.
type Snapshot struct {
	version string
	// items are the resources by name.
	items [kinds]map[string]*discoveryv3.Resource
	// names are the keys of items, sorted, so that the order on the wire is
	// stable.
	names [kinds][]string
	// named are the route tables and extension configurations that listeners
	// name, sorted. An Envoy runs the snapshot only when it has them.
	named [kinds][]string
	// addresses are the names of the assignments that clusters wait for.
	addresses map[string]string
	// held are the clusters on which filters have streams.
	held map[string]bool
	// places tells where in the file a resource comes from.
	places map[string]string
	// routePlaces tells it for the routes within the tables.
	routePlaces map[string]string
	sound       map[content][]reference // see sound
}

// Version identifies the content of the whole snapshot.
func (s *Snapshot) Version() string { return s.version }

// Size is that of all resources, in bytes.
func (s *Snapshot) Size() (bytes int) {
	for _, items := range s.items {
		for _, item := range items {
			bytes += len(item.Resource.Value)
		}
	}
	return bytes
}

// NewSnapshot checks the resources and marshals them. It has no effect on what
// is served.
//
// The error is a [*multierror.Error] with every mistake: what a message of
// Envoy's API does not allow, at any depth; names that are missing or given
// twice; and names of resources that do not exist. Each begins with the place
// in the file if r.Places knows it. None contains the content of a secret.
//
// The snapshot keeps the places of r, which must not be changed any more.
func NewSnapshot(r *translator.Resources) (*Snapshot, error) { return (*Snapshot)(nil).Next(r) }

// Next is [NewSnapshot] for those who have one of before, which may be nil: what was
// checked for that is not checked again.
func (s *Snapshot) Next(r *translator.Resources) (*Snapshot, error) {
	messages := [kinds][]message{
		secrets:   asMessages(r.Secrets),
		clusters:  asMessages(r.Clusters),
		endpoints: asMessages(assignments(r.Endpoints)),
		listeners: asMessages(r.Listeners),
		routes:    asMessages(r.Routes),
	}
	known := &sound{now: map[content][]reference{}}
	if s != nil {
		known.before = s.sound
	}
	named, err := validate(&messages, r.Places, known)
	if err != nil {
		return nil, err
	}
	s = &Snapshot{named: named, places: r.Places, routePlaces: r.RoutePlaces, sound: known.now}
	s.addresses, s.held = addressesOf(r.Clusters), maps.Clone(r.Held)
	whole := sha256.New()
	for k := range kinds {
		s.items[k] = make(map[string]*discoveryv3.Resource, len(messages[k]))
		for _, m := range messages[k] {
			item, err := marshal(k, m)
			if err != nil {
				return nil, err
			}
			s.items[k][item.Name] = item
		}
		s.names[k] = slices.Sorted(maps.Keys(s.items[k]))
		for _, name := range s.names[k] {
			fmt.Fprintf(whole, "%s %q %s\n", typeURLs[k], name, s.items[k][name].Version)
		}
	}
	s.version = shorten(whole)
	return s, nil
}

// message is what the types of all resources have in common.
type message interface {
	proto.Message
	GetName() string
}

func addressesOf(list []*clusterv3.Cluster) map[string]string {
	names := map[string]string{}
	for _, c := range list {
		if eds := c.GetEdsClusterConfig(); overADS(eds.GetEdsConfig()) {
			names[c.Name] = cmp.Or(eds.GetServiceName(), c.Name)
		}
	}
	return names
}

// An assignment is a message whose name is in another field.
type assignment struct {
	*endpointv3.ClusterLoadAssignment
}

func (a assignment) GetName() string { return a.GetClusterName() }

func assignments(list []*endpointv3.ClusterLoadAssignment) []assignment {
	as := make([]assignment, len(list))
	for i, m := range list {
		as[i] = assignment{m}
	}
	return as
}

func asMessages[M message](list []M) []message {
	ms := make([]message, len(list))
	for i, m := range list {
		ms[i] = m
	}
	return ms
}

// marshal makes the bytes that all Envoys share. They are deterministic, since
// the version is their hash: a map in random order would look like a change,
// and a listener that changes drains its connections.
func marshal(k kind, m message) (*discoveryv3.Resource, error) {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("%s %q cannot be marshalled", k, m.GetName())
	}
	h := sha256.New()
	if k == secrets {
		h = hmac.New(sha256.New, secretKey)
	}
	h.Write(b)
	return &discoveryv3.Resource{
		Name:     m.GetName(),
		Version:  shorten(h),
		Resource: &anypb.Any{TypeUrl: typeURLs[k], Value: b},
	}, nil
}

// secretKey keeps the hashes of secrets useless to others. Versions are shown
// in the status, in logs and in Envoy's dumps, and a plain hash would let
// anybody try out guesses for a short password. The price is that a secret is
// sent again after a restart; Envoy sees that it is equal and does nothing.
var secretKey = func() []byte {
	key := make([]byte, sha256.Size)
	rand.Read(key) // never fails
	return key
}()

// shorten returns 64 bits of the hash. Versions are compared only with those
// of the same name, and an Envoy repeats them all when it reconnects.
func shorten(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)[:8]) }

// find returns nil if the snapshot has no such resource.
func (s *Snapshot) find(k kind, name string) *discoveryv3.Resource { return s.items[k][name] }

// changes returns the names of what differs between two snapshots, in the
// order of updates, removed ones included. Either may be nil.
func changes(from, to *Snapshot) []string {
	if from == nil {
		from = &Snapshot{}
	}
	if to == nil {
		to = &Snapshot{}
	}
	var names []string
	for k := range kinds {
		start := len(names)
		for name, item := range to.items[k] {
			if old := from.find(k, name); old == nil || old.Version != item.Version {
				names = append(names, name)
			}
		}
		for name := range from.items[k] {
			if to.find(k, name) == nil {
				names = append(names, name)
			}
		}
		slices.Sort(names[start:])
	}
	return names
}
