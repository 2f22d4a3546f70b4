package xds

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
)

// Status tells what is published and how far each connected Envoy has got.
type Status struct {
	// Version is that of the published snapshot, or empty before the first.
	Version string `json:"version"`
	// Acknowledged and Synced tell whether that is so for every node. Without
	// nodes both are true once something is published.
	Acknowledged bool   `json:"acknowledged"`
	Synced       bool   `json:"synced"`
	Nodes        []Node `json:"nodes"`
}

// Node is one stream of a connected Envoy. During a hot restart there are two
// with the same ID.
type Node struct {
	ID               string    `json:"id"`
	UserAgentVersion string    `json:"userAgentVersion"`
	ConnectedSince   time.Time `json:"connectedSince"`
	// Acknowledged tells that the published snapshot is in force: the node has
	// acknowledged every cluster, every listener, whatever the listeners name,
	// and every other resource of the snapshot that it subscribes to.
	Acknowledged bool `json:"acknowledged"`
	// Synced tells that moreover nothing of an earlier snapshot is left: no
	// removal is outstanding, and no removed listener is still draining.
	Synced bool `json:"synced"`
	// Acked counts the resources of the published snapshot that the node has
	// acknowledged, by type URL.
	Acked map[string]int `json:"acked"`
	// Nacks are the last refusals, one for each resource, until a version of
	// it is acknowledged.
	Nacks []Nack `json:"nacks,omitempty"`
}

// Nack is the refusal of one resource by one node.
type Nack struct {
	// Node is the ID of the node.
	Node     string `json:"node"`
	Resource string `json:"resource"`
	// Type is the type URL.
	Type    string `json:"type"`
	Version string `json:"version"`
	// Published tells whether the refused version is that of the published
	// snapshot. Otherwise it is about to be replaced.
	Published bool `json:"published"`
	// Place tells where in the file the resource comes from, if known.
	Place string `json:"place,omitempty"`
	// Content tells that what the resource says is refused. Otherwise it is
	// right, and the machine of that Envoy does not allow it: a port is taken.
	Content bool `json:"content"`
	// Message is a safe part of Envoy's reason.
	Message string    `json:"message"`
	Time    time.Time `json:"time"`
	// repeats tells that the same was refused before, for the same reason.
	repeats bool
}

// Refused returns the refusals of resources of the published snapshot, over
// all nodes.
func (s Status) Refused() []Nack {
	var all []Nack
	for _, n := range s.Nodes {
		for _, nack := range n.Nacks {
			if nack.Published {
				all = append(all, nack)
			}
		}
	}
	return all
}

// Status returns the state of this moment.
func (s *Server) Status() Status {
	s.mu.Lock()
	snap := s.snapshot
	streams := s.streamsLocked()
	s.mu.Unlock()

	status := Status{Acknowledged: snap != nil, Synced: snap != nil, Nodes: []Node{}}
	if snap != nil {
		status.Version = snap.version
	}
	for _, st := range streams {
		n, ok := st.status(snap)
		if !ok {
			continue
		}
		status.Nodes = append(status.Nodes, n)
		status.Acknowledged = status.Acknowledged && n.Acknowledged
		status.Synced = status.Synced && n.Synced
	}
	slices.SortFunc(status.Nodes, func(a, b Node) int {
		return cmp.Or(strings.Compare(a.ID, b.ID), a.ConnectedSince.Compare(b.ConnectedSince))
	})
	return status
}

// Changed returns a channel that is closed when the status may have changed:
// at a publication, a connection or its end, and an answer of an Envoy.
func (s *Server) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changed == nil {
		s.changed = make(chan struct{})
	}
	return s.changed
}

// Wait returns nil as soon as done returns true for the status, or the error
// of the context.
func (s *Server) Wait(ctx context.Context, done func(Status) bool) error {
	for {
		changed := s.Changed() // before the status, so that nothing is missed
		if done(s.Status()) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// notifyLocked wakes those who wait for a change.
func (s *Server) notifyLocked() {
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

// status compares what the Envoy has with the published snapshot, which may be
// newer than the one that the session knows.
func (s *session) status(snap *Snapshot) Node {
	n := s.node
	n.Acked = map[string]int{}
	if snap != nil {
		n.Acknowledged = s.types[clusters].started && s.types[listeners].started && s.runs(snap)
		n.Synced = true
	}
	for k := range kinds {
		t, acked := &s.types[k], 0
		for name, e := range t.entries {
			var published bool
			if snap != nil {
				item := snap.find(k, name)
				switch {
				case item == nil:
					n.Synced = n.Synced && e.told == "" && e.acked == "" && e.nonce == 0
				case e.has(item):
					acked++
				default:
					n.Acknowledged = false
				}
				published = item != nil && e.nack != nil && e.nack.Version == item.Version
			}
			if e.nack != nil {
				nack := *e.nack
				nack.Published = published
				n.Nacks = append(n.Nacks, nack)
			}
		}
		if t.wildcard && snap != nil && acked < len(snap.names[k]) {
			n.Acknowledged = false
		}
		if t.started {
			n.Acked[typeURLs[k]] = acked
		}
	}
	n.Synced = n.Synced && n.Acknowledged
	sortNacks(n.Nacks)
	return n
}

func sortNacks(list []Nack) {
	slices.SortFunc(list, func(a, b Nack) int {
		return cmp.Or(strings.Compare(a.Type, b.Type), strings.Compare(a.Resource, b.Resource))
	})
}

// Nacks counts the refusals since the start, by the name of the kind of
// resource: cluster, listener, route configuration.
func (s *Server) Nacks() map[string]int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	counts := make(map[string]int64, kinds)
	for k, n := range s.nacks {
		counts[kind(k).String()] = n
	}
	return counts
}

// identify takes over what a node says about itself.
func (s *session) identify(node *corev3.Node, now time.Time) {
	s.node.ID = node.GetId()
	s.node.ConnectedSince = now
	s.node.UserAgentVersion = node.GetUserAgentVersion()
	if v := node.GetUserAgentBuildVersion().GetVersion(); v != nil {
		s.node.UserAgentVersion = strings.Join([]string{
			strconv.FormatUint(uint64(v.GetMajorNumber()), 10),
			strconv.FormatUint(uint64(v.GetMinorNumber()), 10),
			strconv.FormatUint(uint64(v.GetPatch()), 10),
		}, ".")
	}
}
