package extprocsvc

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"math"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	extprocfilterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// MetadataKey is the gRPC metadata in which Envoy names the chain of a
// request; the value is a [Chain.Ref]. It is set by grpc_initial_metadata or
// grpc_service.initial_metadata.
const MetadataKey = "x-attache-chain"

// DefaultHeldBudget is how many bytes of bodies may be held at a time, if the
// options say nothing.
const DefaultHeldBudget = 1 << 30

// DefaultCollectTimeout is how long a streamed answer may be collected, if the
// options say nothing.
const DefaultCollectTimeout = 5 * time.Minute

// Options are the settings of a [Server]. The zero value is ready to use.
type Options struct {
	// Log gets decisions at level debug, failures of processors at warn and
	// what must be repaired at error; never content of requests. Default: no
	// log.
	Log *slog.Logger
	// MaxBody is the largest body, in bytes, that is held for one request;
	// above it the answer is 413. A configuration may have a limit of its own.
	// Default 10 MiB.
	MaxBody int64
	// HeldBudget bounds the bytes of all bodies that are held at a time; above
	// it the answer is 503. Default [DefaultHeldBudget].
	HeldBudget int64
	// StepTimeout is the time a processor has for one request. Default 5 s.
	StepTimeout time.Duration
	// CollectTimeout is the time that a streamed answer may take from its headers
	// to its end where a step has to see the whole of it; then it is refused with
	// 504. The timeout of a route, if there is one, counts in its place. Default
	// [DefaultCollectTimeout].
	CollectTimeout time.Duration
	// MaxStreams bounds the requests that are in hand at a time; one more is
	// answered by Envoy's failure mode. Default: no bound.
	MaxStreams int64
	// AssumeBodyMode is the body mode, in both directions, of a peer that does not
	// tell its modes. Default FULL_DUPLEX_STREAMED.
	AssumeBodyMode extprocfilterv3.ProcessingMode_BodySendMode
	// Decided is called with the account of every decision, if it is not nil.
	// It must be quick, and must not keep the Record or its lists.
	Decided func(*Record)
}

// Server is the ext_proc service. It is safe for concurrent use.
type Server struct {
	extprocv3.UnimplementedExternalProcessorServer

	log         *slog.Logger
	maxBody     atomic.Int64 // of the chains that are installed
	maxBodyElse int64        // where the configuration says nothing
	stepTimeout time.Duration
	// collectTimeout is Options.CollectTimeout.
	collectTimeout time.Duration
	decided        func(*Record)
	assumed        extprocfilterv3.ProcessingMode_BodySendMode

	install sync.Mutex // held by those who replace chains
	chains  atomic.Pointer[table]

	ring   ring
	calls  calls
	checks checks

	open, held limit // streams; bytes of bodies

	started, rejections, refusals, errors, stale atomic.Int64
}

// A table is what is installed at a time. It is read-only.
type table struct {
	// current are the chains of the last Install, by name; byRef also has
	// those of earlier ones.
	current, byRef map[string]*installed
	alone          *alone // nil where Envoy's routes are ours
}

// An installed chain remembers what was logged about it, since a log line for
// each request would say nothing more.
type installed struct {
	*Chain
	warned, staleRef, looksOn, late atomic.Bool
	// retired is when an Install has replaced the chain; zero while it is
	// current. It is written under Server.install.
	retired time.Time
}

// NewServer returns a server without chains: every stream is refused until
// [Server.Install].
func NewServer(o Options) *Server {
	s := &Server{
		log:         o.Log,
		maxBodyElse: o.MaxBody,
		stepTimeout: o.StepTimeout,

		collectTimeout: cmp.Or(o.CollectTimeout, DefaultCollectTimeout),
		decided:        o.Decided,
		assumed:        o.AssumeBodyMode,
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.maxBodyElse <= 0 {
		s.maxBodyElse = 10 << 20
	}
	s.maxBody.Store(s.maxBodyElse)
	s.open.max = o.MaxStreams
	if s.held.max = o.HeldBudget; s.held.max <= 0 {
		s.held.max = DefaultHeldBudget
	}
	if s.stepTimeout <= 0 {
		s.stepTimeout = 5 * time.Second
	}
	s.chains.Store(&table{})
	return s
}

// Register adds the service to a gRPC server, which should have been made with
// [Server.ServerOptions].
func (s *Server) Register(g grpc.ServiceRegistrar) {
	extprocv3.RegisterExternalProcessorServer(g, s)
}

// The windows of a connection, in bytes: what may come of a stream, and of all
// streams of a connection, while nobody reads. grpc-go would let them grow to
// 16 MiB for each stream, which no budget knows of. A message that is being read
// may be longer.
const (
	streamWindow     = 64 << 10
	connectionWindow = 1 << 20
)

// ServerOptions are the settings that a gRPC server needs for the service.
func (s *Server) ServerOptions() []grpc.ServerOption {
	options := []grpc.ServerOption{
		// Bodies are bounded by MaxBody, which answers with 413 always. A limit
		// here would be an error of the stream, and where the failure mode is
		// open, a way around the guard.
		grpc.MaxRecvMsgSize(math.MaxInt32),
		grpc.MaxSendMsgSize(math.MaxInt32),
		grpc.StaticStreamWindowSize(streamWindow),
		grpc.StaticConnWindowSize(connectionWindow),
		// Metadata is a name or two, and what traces are followed by.
		grpc.MaxHeaderListSize(64 << 10),
		grpc.ConnectionTimeout(20 * time.Second),
		// Envoys ping more often than grpc-go allows by default, which is once
		// in five minutes.
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}),
		// An Envoy that is gone without a word must not keep bodies held.
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: time.Minute, Timeout: 20 * time.Second}),
		grpc.WaitForHandlers(true),
	}
	if s.open.max > 0 {
		// For those who open streams and reset them at once. More than MaxStreams,
		// so that what is too much is refused and does not wait.
		options = append(options, grpc.MaxConcurrentStreams(uint32(min(2*s.open.max, math.MaxUint32))))
	}
	return options
}

// Install puts chains in force for streams that begin from now on. Earlier
// chains stay available to Envoys that still name them, until [Server.Forget].
// It never fails.
func (s *Server) Install(c *Chains) {
	s.install.Lock()
	defer s.install.Unlock()
	old := s.chains.Load()
	next := &table{
		current: make(map[string]*installed, len(c.byName)),
		byRef:   maps.Clone(old.byRef),
		alone:   c.alone,
	}
	if next.byRef == nil {
		next.byRef = make(map[string]*installed, len(c.byName))
	}
	for _, in := range old.current {
		in.retired = time.Now()
	}
	for name, chain := range c.byName {
		in := &installed{Chain: chain}
		next.current[name], next.byRef[chain.ref] = in, in
	}
	s.maxBody.Store(cmp.Or(c.maxBody, s.maxBodyElse))
	s.chains.Store(next)
	s.watch(next.current)
}

// Forget drops the chains that earlier Installs have put out of force at least
// grace ago. Call it when every Envoy has acknowledged the routes that name the
// current ones; grace is for requests that had found their route before. Streams
// that run keep their chain.
func (s *Server) Forget(grace time.Duration) {
	s.install.Lock()
	defer s.install.Unlock()
	old := s.chains.Load()
	next := &table{current: old.current, byRef: make(map[string]*installed, len(old.current)), alone: old.alone}
	for ref, c := range old.byRef {
		if c.retired.IsZero() || time.Since(c.retired) < grace {
			next.byRef[ref] = c
		}
	}
	s.chains.Store(next)
}

// Stats are counts since the start, except for Open, Held and Chains, which
// are as of now.
type Stats struct {
	// Open streams, and Started ones.
	Open, Started int64
	// Held is the size of all bodies that are held, in bytes.
	Held int64
	// Rejections by processors, and Refusals of requests that could not be
	// read (400, 413, 415).
	Rejections, Refusals int64
	// Errors are requests that were not served for a fault of ours: failed
	// processors, panics, a full budget, unknown chains.
	Errors int64
	// StaleRefs are streams that named a chain by a hash that is not known and
	// got the current one.
	StaleRefs int64
	// Crowded are streams that were refused because MaxStreams were open, and
	// Overloaded the times that a body was, because HeldBudget was spent.
	Crowded, Overloaded int64
	// Chains that can be named.
	Chains int
}

// Stats returns the counts. They are read one by one.
func (s *Server) Stats() Stats {
	return Stats{
		Open: s.open.taken.Load(), Started: s.started.Load(), Held: s.held.taken.Load(),
		Rejections: s.rejections.Load(), Refusals: s.refusals.Load(), Errors: s.errors.Load(),
		StaleRefs: s.stale.Load(), Crowded: s.open.refused.Load(), Overloaded: s.held.refused.Load(), Chains: len(s.chains.Load().byRef),
	}
}

func (s *Server) count(v Verdict) {
	switch v {
	case Rejected:
		s.rejections.Add(1)
	case Refused:
		s.refusals.Add(1)
	case Answered:
	default:
		s.errors.Add(1)
	}
}

// hold takes n bytes of the budget for bodies.
func (s *Server) hold(n int64) bool {
	if s.held.take(n) {
		return true
	}
	if s.held.tell() {
		s.log.LogAttrs(context.Background(), slog.LevelWarn, "the bodies that are held are as large together as they may be; requests are answered with 503",
			slog.Int64("limit", s.held.max), slog.String("set", "--max-held, or more replicas"))
	}
	return false
}

// choose finds the chain that Envoy names. The errors are answered by Envoy's
// failure mode.
func (s *Server) choose(conn extprocv3.ExternalProcessor_ProcessServer) (*installed, extprocv3.ExternalProcessor_ProcessServer, error) {
	t := s.chains.Load()
	if t.alone != nil {
		return t.alone.choose(s, t, conn)
	}
	c, err := s.named(conn.Context(), t)
	return c, conn, err
}

// named finds the chain that our own Envoy names.
func (s *Server) named(ctx context.Context, t *table) (*installed, error) {
	refs := metadata.ValueFromIncomingContext(ctx, MetadataKey)
	if len(refs) != 1 {
		return nil, status.Errorf(codes.InvalidArgument, "expected one value of the metadata %s", MetadataKey)
	}
	if c := t.byRef[refs[0]]; c != nil {
		return c, nil
	}
	name := refs[0][:max(strings.LastIndexByte(refs[0], '@'), 0)]
	c := t.current[name]
	if c == nil {
		// Another replica, which has read a newer file, may have it: Envoy asks it
		// when this one is unavailable.
		return nil, status.Error(codes.Unavailable, "no chain of that name")
	}
	s.stale.Add(1)
	if c.staleRef.CompareAndSwap(false, true) {
		s.log.LogAttrs(ctx, slog.LevelWarn, "an Envoy names a version of a chain that is not known; the current one runs",
			slog.String("named", refs[0]), slog.String("runs", c.ref))
	}
	return c, nil
}

var streams = sync.Pool{New: func() any { return new(stream) }}

// Process serves one request. It is called by gRPC.
func (s *Server) Process(conn extprocv3.ExternalProcessor_ProcessServer) (err error) {
	s.started.Add(1)
	ctx := conn.Context()
	if !s.open.take(1) {
		s.errors.Add(1)
		if s.open.tell() {
			s.log.LogAttrs(ctx, slog.LevelWarn, "as many requests are in hand as there may be; the failure mode of the filter answers more",
				slog.Int64("limit", s.open.max), slog.String("set", "--max-streams, or more replicas"))
		}
		return status.Error(codes.ResourceExhausted, "too many streams are open")
	}
	defer s.open.give(1)
	chain, conn, err := s.choose(conn)
	if err != nil {
		if ctx.Err() != nil {
			return nil // the client is gone
		}
		s.errors.Add(1)
		return err
	}
	st := streams.Get().(*stream)
	st.server, st.chain, st.conn = s, chain, conn
	defer func() {
		if p := recover(); p != nil {
			st.release()
			s.errors.Add(1)
			s.log.LogAttrs(ctx, slog.LevelError, "a stream panicked",
				slog.String("chain", chain.ref), slog.String("panic", panicText(p)), slog.String("stack", string(debug.Stack())))
			err = status.Error(codes.Internal, "internal error")
			return // who knows what state st is in
		}
		st.recycle()
		streams.Put(st)
	}()
	err = st.serve()
	st.account() // of a response that never came
	switch {
	case err == nil, errors.Is(err, io.EOF), status.Code(err) == codes.Canceled, ctx.Err() != nil:
		// Envoy ends streams by resetting them, as soon as nothing more can
		// come or the client is gone: that is how streams end.
		return nil
	}
	s.errors.Add(1)
	return err
}
