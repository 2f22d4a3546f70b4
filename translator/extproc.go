package translator

import (
	"time"

	mutationv3 "github.com/envoyproxy/go-control-plane/envoy/config/common/mutation_rules/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	extprocfilterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/attache-dev/attache/config"
)

// extProcMessageTimeout bounds one answer of an ext_proc server where Envoy
// keeps a timer, which it does for headers and buffered bodies. Envoy's own
// default of 200 ms is too short for anything that asks a model; agentgateway
// has no limit at all.
const extProcMessageTimeout = 30 * time.Second

// externalExtProc calls somebody's server the way agentgateway does: both
// bodies full duplex, trailers included. Envoy cannot fail open once a body
// streams, so with failOpen the request's body is held until the server has
// answered.
//
// It has no receiving namespace: nobody but our service writes the metadata
// by which backends are chosen. And where our service chooses, Envoy looks for
// the route again, which must not be that of another host, whose policies
// would not run: there the host stays the client's.
func (t *translation) externalExtProc(e *config.ExtProc, keepHost bool) protoMessage {
	request := extprocfilterv3.ProcessingMode_FULL_DUPLEX_STREAMED
	if e.FailOpen {
		request = extprocfilterv3.ProcessingMode_BUFFERED
	}
	cluster := t.extProcCluster(extProcTargetCluster(*e.Target), *e.Target, e.Path)
	// agentgateway protects no header; x-envoy-* stay Envoy's.
	rules := &mutationv3.HeaderMutationRules{AllowAllRouting: wrapperspb.Bool(true)}
	if keepHost {
		rules.DisallowExpression = &matcherv3.RegexMatcher{Regex: ":authority|host"}
	}
	return &extprocfilterv3.ExternalProcessor{
		StatPrefix:       routeExtProc,
		GrpcService:      grpcService(cluster),
		FailureModeAllow: e.FailOpen,
		ProcessingMode: &extprocfilterv3.ProcessingMode{
			RequestHeaderMode:   extprocfilterv3.ProcessingMode_SEND,
			RequestBodyMode:     request,
			RequestTrailerMode:  extprocfilterv3.ProcessingMode_SEND,
			ResponseHeaderMode:  extprocfilterv3.ProcessingMode_SEND,
			ResponseBodyMode:    extprocfilterv3.ProcessingMode_FULL_DUPLEX_STREAMED,
			ResponseTrailerMode: extprocfilterv3.ProcessingMode_SEND,
		},
		MessageTimeout:   durationpb.New(extProcMessageTimeout),
		MutationRules:    rules,
		RouteCacheAction: extprocfilterv3.ExternalProcessor_RETAIN,
	}
}

// ownExtProc calls our service for the phases that the chain needs. The
// service always sets the right content-length, so it may (a wrong one would
// be request smuggling).
func (t *translation) ownExtProc(name string, c *Chain) protoMessage {
	mode := &extprocfilterv3.ProcessingMode{
		RequestHeaderMode:   extprocfilterv3.ProcessingMode_SEND,
		RequestBodyMode:     extprocfilterv3.ProcessingMode_NONE,
		RequestTrailerMode:  extprocfilterv3.ProcessingMode_SKIP,
		ResponseHeaderMode:  extprocfilterv3.ProcessingMode_SKIP,
		ResponseBodyMode:    extprocfilterv3.ProcessingMode_NONE,
		ResponseTrailerMode: extprocfilterv3.ProcessingMode_SKIP,
	}
	if c.ReadsBody {
		mode.RequestBodyMode = extprocfilterv3.ProcessingMode_FULL_DUPLEX_STREAMED
		if c.FailOpen {
			mode.RequestBodyMode = extprocfilterv3.ProcessingMode_BUFFERED
		}
		// Envoy shows an empty body that trailers end only by its trailers.
		mode.RequestTrailerMode = extprocfilterv3.ProcessingMode_SEND
	}
	if c.ReadsResponse {
		mode.ResponseHeaderMode = extprocfilterv3.ProcessingMode_SEND
		mode.ResponseBodyMode = extprocfilterv3.ProcessingMode_FULL_DUPLEX_STREAMED
		mode.ResponseTrailerMode = extprocfilterv3.ProcessingMode_SEND
	}
	cache := extprocfilterv3.ExternalProcessor_RETAIN
	if c.chooses() {
		cache = extprocfilterv3.ExternalProcessor_DEFAULT // the service clears it
	}
	service := grpcService(t.extProcCluster(extProcCluster, t.opts.ExtProc, ""))
	service.InitialMetadata = []*corev3.HeaderValue{{Key: ChainMetadata, Value: c.Ref}}
	return &extprocfilterv3.ExternalProcessor{
		StatPrefix:               name,
		GrpcService:              service,
		FailureModeAllow:         c.FailOpen,
		ProcessingMode:           mode,
		MessageTimeout:           durationpb.New(extProcMessageTimeout),
		MutationRules:            &mutationv3.HeaderMutationRules{AllowAllRouting: wrapperspb.Bool(true)},
		RouteCacheAction:         cache,
		AllowContentLengthHeader: true,
		MetadataOptions: &extprocfilterv3.MetadataOptions{
			ReceivingNamespaces: &extprocfilterv3.MetadataOptions_MetadataNamespaces{Untyped: []string{MetadataNamespace}},
		},
	}
}

func grpcService(cluster string) *corev3.GrpcService {
	return &corev3.GrpcService{TargetSpecifier: &corev3.GrpcService_EnvoyGrpc_{
		EnvoyGrpc: &corev3.GrpcService_EnvoyGrpc{ClusterName: cluster},
	}}
}

func filter(name string, m protoMessage) *corev3.TypedExtensionConfig {
	return &corev3.TypedExtensionConfig{Name: name, TypedConfig: mustAny(m)}
}
