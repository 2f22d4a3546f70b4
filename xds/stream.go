package xds

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
)

// A stream connects a session to an Envoy. Its own goroutine sends, so that
// an Envoy which does not read blocks nothing else; a second one receives.
type stream struct {
	wake chan struct{} // holds one token: something may be there to send

	mu         sync.Mutex
	session    *session
	identified bool
}

// DeltaAggregatedResources serves one Envoy until it or the server goes away.
func (s *Server) DeltaAggregatedResources(conn grpc.BidiStreamingServer[discoveryv3.DeltaDiscoveryRequest, discoveryv3.DeltaDiscoveryResponse]) error {
	st := &stream{wake: make(chan struct{}, 1), session: newSession(s.patience, s.grace, s.heldGrace)}
	s.connect(st)
	defer s.disconnect(st)

	ended := make(chan error, 1)
	// It ends when this function returns, for then gRPC ends the stream.
	go func() { ended <- s.receive(st, conn) }()

	hold := time.NewTimer(0)
	defer hold.Stop()
	for {
		resp, wait := st.next(s.published())
		if resp != nil {
			if err := conn.Send(resp); err != nil {
				return err
			}
			continue
		}
		var timeout <-chan time.Time
		if wait > 0 {
			hold.Reset(wait)
			timeout = hold.C
		}
		select {
		case <-st.wake:
		case <-timeout:
		case err := <-ended:
			if errors.Is(err, io.EOF) || errors.Is(err, context.Canceled) {
				return nil
			}
			return err
		}
	}
}

// receive reads requests until the stream ends.
func (s *Server) receive(st *stream, conn grpc.BidiStreamingServer[discoveryv3.DeltaDiscoveryRequest, discoveryv3.DeltaDiscoveryResponse]) error {
	for {
		req, err := conn.Recv()
		if err != nil {
			return err
		}
		node, nack, first := st.receive(req, s.lastFinal())
		if first {
			s.log.Info("envoy connected", "node", node.ID, "version", node.UserAgentVersion)
		}
		if nack != nil {
			s.note(nack)
		}
		st.wakeUp()
		s.notify()
	}
}

func (st *stream) receive(req *discoveryv3.DeltaDiscoveryRequest, final *Snapshot) (node Node, nack *Nack, first bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	now := time.Now()
	if first = !st.identified; first {
		st.session.identify(req.GetNode(), now)
		st.identified = true
	}
	st.session.final = final
	return st.session.node, st.session.receive(req, now), first
}

// note counts a refusal and tells it.
func (s *Server) note(n *Nack) {
	k, _ := kindOf(n.Type)
	s.mu.Lock()
	s.nacks[k]++
	s.look = true
	s.mu.Unlock()
	level := slog.LevelWarn
	if n.repeats {
		level = slog.LevelDebug
	}
	s.log.Log(context.Background(), level, "envoy refused a resource", "node", n.Node, "type", n.Type, "resource", n.Resource,
		"version", n.Version, "place", n.Place, "message", n.Message)
}

func (st *stream) next(snap *Snapshot) (*discoveryv3.DeltaDiscoveryResponse, time.Duration) {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.session.next(snap, time.Now())
}

// status returns false for a stream that has not said anything yet.
func (st *stream) status(snap *Snapshot) (Node, bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.session.status(snap), st.identified
}

func (st *stream) wakeUp() {
	select {
	case st.wake <- struct{}{}:
	default: // there is a token already
	}
}

func (s *Server) connect(st *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.streams[st] = struct{}{}
}

func (s *Server) disconnect(st *stream) {
	s.mu.Lock()
	delete(s.streams, st)
	s.notifyLocked()
	s.mu.Unlock()
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.identified {
		s.log.Info("envoy disconnected", "node", st.session.node.ID)
	}
}

func (s *Server) published() *Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.snapshot
}

func (s *Server) lastFinal() *Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.final
}

// streamsLocked is a copy of those that are open.
func (s *Server) streamsLocked() []*stream {
	list := make([]*stream, 0, len(s.streams))
	for st := range s.streams {
		list = append(list, st)
	}
	return list
}

func (s *Server) notify() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notifyLocked()
}
