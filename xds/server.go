package xds

import (
	"log/slog"
	"sync"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
)

// patience is how long an update may wait for a new cluster to warm. A name
// that does not resolve keeps a cluster warming for about two seconds.
const patience = 5 * time.Second

// grace is how long a cluster stays when no route leads to it any more. A request
// finds its route before it is processed, and its cluster behind that.
const grace = 30 * time.Second

// heldGrace is how long one stays on which filters have streams: Envoy resets them
// with the cluster, unlike those of routes. It is as long as a listener drains.
const heldGrace = 10 * time.Minute

// A Server sends the published snapshot to every Envoy that connects.
type Server struct {
	discoveryv3.UnimplementedAggregatedDiscoveryServiceServer

	log      *slog.Logger
	patience time.Duration
	grace    time.Duration
	// heldGrace is the constant; tests have a shorter one.
	heldGrace time.Duration
	// These two are the constants; tests have shorter ones.
	settleLimit, joinLimit time.Duration

	mu       sync.Mutex
	snapshot *Snapshot // nil before the first publication
	// publishedAt is when, and begun when the first was; accepted is the last
	// snapshot that was in force, final the last that stays so, and look tells
	// that something of the published one may be refused. See Judge.
	publishedAt, begun time.Time
	accepted, final    *Snapshot
	look               bool
	nacks              [kinds]int64 // how many have come, by kind
	streams            map[*stream]struct{}
	changed            chan struct{} // see Changed; nil if nobody waits
}

// NewServer returns a server that has nothing to send yet.
func NewServer(log *slog.Logger) *Server {
	return &Server{log: log, patience: patience, grace: grace, heldGrace: heldGrace, settleLimit: settleLimit, joinLimit: joinLimit, streams: map[*stream]struct{}{}}
}

// Register adds the aggregated discovery service to a gRPC server.
func (s *Server) Register(gs grpc.ServiceRegistrar) {
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(gs, s)
}

// ServerOptions returns the options that the gRPC server needs for Envoys.
func ServerOptions() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.ForceServerCodecV2(newCodec()),
		// By default gRPC closes a connection that is pinged more than every
		// five minutes, as Envoys do.
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{
			MinTime:             10 * time.Second,
			PermitWithoutStream: true,
		}),
		// Half-open connections are found within 80 s. Old ones are closed, so
		// that Envoys spread over replicas again; gRPC varies the age, and
		// reconnecting sends nothing anew.
		grpc.KeepaliveParams(keepalive.ServerParameters{
			Time:                  60 * time.Second,
			Timeout:               20 * time.Second,
			MaxConnectionAge:      11 * time.Hour,
			MaxConnectionAgeGrace: 2 * time.Minute,
		}),
		// An Envoy that reconnects lists all that it has in one message.
		grpc.MaxRecvMsgSize(32 << 20),
	}
}

// Publish makes the snapshot the one that all Envoys shall have. It waits for
// none of them, and what one has missed meanwhile is skipped. It returns the
// names of the resources that were added, changed or removed.
func (s *Server) Publish(snap *Snapshot) (changed []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	changed = changes(s.snapshot, snap)
	s.snapshot, s.publishedAt, s.look = snap, time.Now(), true
	if s.begun.IsZero() {
		s.begun = s.publishedAt
	}
	for st := range s.streams {
		st.wakeUp()
	}
	s.notifyLocked()
	return changed
}

// StreamAggregatedResources refuses the state-of-the-world protocol. Its
// answers name no resource, so one mistake would hold up all others.
func (s *Server) StreamAggregatedResources(grpc.BidiStreamingServer[discoveryv3.DiscoveryRequest, discoveryv3.DiscoveryResponse]) error {
	return status.Error(codes.Unimplemented,
		"only delta xDS is served: set dynamic_resources.ads_config.api_type to DELTA_GRPC in the bootstrap")
}
