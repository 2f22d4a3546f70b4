package translator

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	mutationv3 "github.com/envoyproxy/go-control-plane/envoy/config/common/mutation_rules/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	extprocfilterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	headermutationv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/header_mutation/v3"
	setmetadatav3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/set_metadata/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/attache-dev/attache/config"
)

// extProcMessageTimeout bounds one answer of an ext_proc server where Envoy
// keeps a timer, which it does for headers and buffered bodies. Envoy's own
// default of 200 ms is too short for anything that asks a model; agentgateway
// has no limit at all.
const extProcMessageTimeout = 30 * time.Second

// extProcs are the ext_proc filters of one phase: somebody's server, then our
// service.
type extProcs struct {
	external *config.ExtProc // nil for none; one without Target is ours
	name     string          // of the external one
	rules    mutationRules
	own      *Chain // nil for none
	ownName  string
	// chain is the value of the gRPC metadata by which own is named: its ref, or
	// the format that takes it from the route.
	chain string
	// continues tells that our service has seen the request before, in the
	// gateway phase.
	continues bool
	// streamed tells that a filter before these streams the request's body.
	streamed bool
}

// mutationRules are what somebody's server must leave alone, beside x-envoy-*.
// agentgateway protects no header.
type mutationRules struct {
	// keepHost keeps the client's host, whatever the server says.
	keepHost bool
	// routedBy are headers at whose change the request is refused.
	routedBy []string
}

func (r mutationRules) proto() *mutationv3.HeaderMutationRules {
	rules := &mutationv3.HeaderMutationRules{AllowAllRouting: wrapperspb.Bool(true)}
	switch {
	case len(r.routedBy) > 0:
		quoted := make([]string, len(r.routedBy))
		for i, h := range r.routedBy {
			quoted[i] = regexp.QuoteMeta(h)
		}
		rules.DisallowExpression = &matcherv3.RegexMatcher{Regex: strings.Join(quoted, "|")}
		rules.DisallowIsError = wrapperspb.Bool(true)
	case r.keepHost:
		rules.DisallowExpression = &matcherv3.RegexMatcher{Regex: ":authority|host"}
	}
	return rules
}

func (t *translation) extProcs(x extProcs) (policies []policy) {
	streamed := x.streamed
	if e := x.external; e != nil && e.Target != nil {
		policies = append(policies, t.external(e, x.name, x.rules)...)
		streamed = streamed || shows(e.Show.Request, "").streams
	}
	if own := x.own; own != nil {
		mode := ownMode(own, streamed)
		policies = append(policies, policy{
			name:   x.ownName,
			key:    fmt.Sprintf("own %s %v %v %v %v %v %v", x.chain, own.ReadsBody, own.ReadsResponse, own.FailOpen, own.chooses(), x.continues, streamed),
			build:  func() protoMessage { return t.ownExtProc(x.ownName, x.chain, own, mode, x.continues) },
			own:    true,
			bodies: bodies{passes(mode.RequestBodyMode), passes(mode.ResponseBodyMode)},
		})
	}
	return policies
}

// external is somebody's server, with what it needs before it.
func (t *translation) external(e *config.ExtProc, name string, rules mutationRules) (policies []policy) {
	if len(e.Show.Metadata) > 0 {
		policies = append(policies, policy{
			name:  name + ".metadata",
			key:   fmt.Sprintf("%#v", e.Show.Metadata),
			build: func() protoMessage { return setMetadata(e.Show.Metadata) },
		})
	}
	if anyLength(e.Show.Request) || anyLength(e.Show.Response) {
		policies = append(policies, policy{
			name:  name + ".length",
			key:   fmt.Sprint(anyLength(e.Show.Request), anyLength(e.Show.Response)),
			build: func() protoMessage { return forgetLength(e.Show) },
		})
	}
	return append(policies, policy{
		name:   name,
		key:    fmt.Sprintf("external %s %v %#v %v", extProcTargetCluster(e), e.FailOpen, e.Show, rules),
		build:  func() protoMessage { return t.externalExtProc(e, name, rules) },
		bodies: bodies{request: shows(e.Show.Request, e.Path), response: shows(e.Show.Response, e.Path)},
	})
}

// externalExtProc calls somebody's server the way agentgateway does.
//
// It has no receiving namespace: nobody but our service writes the metadata
// by which backends are chosen. And Envoy does not look for the route again.
func (t *translation) externalExtProc(e *config.ExtProc, name string, rules mutationRules) protoMessage {
	service := grpcService(t.extProcCluster(extProcTargetCluster(e), *e.Target, e.TLS, e.Path))
	for _, key := range slices.Sorted(maps.Keys(e.Show.InitialMetadata)) {
		service.InitialMetadata = append(service.InitialMetadata, &corev3.HeaderValue{
			Key:   key,
			Value: literal(e.Show.InitialMetadata[key]),
		})
	}
	x := &extprocfilterv3.ExternalProcessor{
		StatPrefix:       name,
		GrpcService:      service,
		FailureModeAllow: e.FailOpen,
		ProcessingMode: &extprocfilterv3.ProcessingMode{
			RequestHeaderMode:   headerMode(e.Show.Request.SkipHeaders),
			RequestBodyMode:     bodyModes[e.Show.Request.Body],
			RequestTrailerMode:  headerMode(e.Show.Request.SkipTrailers),
			ResponseHeaderMode:  headerMode(e.Show.Response.SkipHeaders),
			ResponseBodyMode:    bodyModes[e.Show.Response.Body],
			ResponseTrailerMode: headerMode(e.Show.Response.SkipTrailers),
		},
		MessageTimeout:            durationpb.New(extProcMessageTimeout),
		MutationRules:             rules.proto(),
		RouteCacheAction:          extprocfilterv3.ExternalProcessor_RETAIN,
		ProcessingRequestModifier: mappedAttributes(e.Show),
	}
	if len(e.Show.Metadata) > 0 {
		x.MetadataOptions = &extprocfilterv3.MetadataOptions{
			ForwardingNamespaces: &extprocfilterv3.MetadataOptions_MetadataNamespaces{Untyped: slices.Sorted(maps.Keys(e.Show.Metadata))},
		}
	}
	return x
}

var bodyModes = map[config.BodyMode]extprocfilterv3.ProcessingMode_BodySendMode{
	config.BodyFullDuplex: extprocfilterv3.ProcessingMode_FULL_DUPLEX_STREAMED,
	config.BodyBuffered:   extprocfilterv3.ProcessingMode_BUFFERED,
	config.BodyPartial:    extprocfilterv3.ProcessingMode_BUFFERED_PARTIAL,
	config.BodyNone:       extprocfilterv3.ProcessingMode_NONE,
}

func headerMode(skip bool) extprocfilterv3.ProcessingMode_HeaderSendMode {
	if skip {
		return extprocfilterv3.ProcessingMode_SKIP
	}
	return extprocfilterv3.ProcessingMode_SEND
}

// setMetadata writes what an ext_proc server gets with every message.
func setMetadata(of map[string]map[string]config.Expression) protoMessage {
	m := &setmetadatav3.Config{}
	for _, namespace := range slices.Sorted(maps.Keys(of)) {
		value := &structpb.Struct{Fields: map[string]*structpb.Value{}}
		for key, e := range of[namespace] {
			value.Fields[key] = literalValue(e)
		}
		m.Metadata = append(m.Metadata, &setmetadatav3.Metadata{MetadataNamespace: namespace, Value: value, AllowOverwrite: true})
	}
	return m
}

func literalValue(e config.Expression) *structpb.Value {
	switch v := e.Literal.(type) {
	case string:
		return structpb.NewStringValue(v)
	case bool:
		return structpb.NewBoolValue(v)
	case int64:
		return structpb.NewNumberValue(float64(v))
	case float64:
		return structpb.NewNumberValue(v)
	}
	return structpb.NewNullValue()
}

// anyLength tells whether the server may change the length of a body whose
// headers it does not see. They leave before the body comes, with a length that
// may be wrong by then.
func anyLength(s config.Shown) bool { return s.SkipHeaders && s.Body != config.BodyNone }

// forgetLength takes content-length out of such headers, as agentgateway does:
// a wrong one would be request smuggling.
func forgetLength(show config.Processing) protoMessage {
	m := &headermutationv3.Mutations{}
	remove := []*mutationv3.HeaderMutation{{Action: &mutationv3.HeaderMutation_Remove{Remove: "content-length"}}}
	if anyLength(show.Request) {
		m.RequestMutations = remove
	}
	if anyLength(show.Response) {
		m.ResponseMutations = remove
	}
	return &headermutationv3.HeaderMutation{Mutations: m}
}

// chainOfRoute names the chain that a route has in its metadata. So routes whose
// chains need the same of Envoy have the same filter, and a virtual host can carry
// it for all of them: Envoy builds it once, however many chains there are.
const chainOfRoute = "%METADATA(ROUTE:" + MetadataNamespace + ":" + ChainKey + ")%"

// routeMetadata is where chainOfRoute finds the chain of a route; nil for none.
func routeMetadata(own *Chain) *corev3.Metadata {
	if own == nil {
		return nil
	}
	return &corev3.Metadata{FilterMetadata: map[string]*structpb.Struct{
		MetadataNamespace: {Fields: map[string]*structpb.Value{ChainKey: structpb.NewStringValue(own.Ref)}},
	}}
}

// ownExtProc calls our service for the phases that the chain needs. The
// service always sets the right content-length, so it may (a wrong one would
// be request smuggling).
func (t *translation) ownExtProc(name, chain string, c *Chain, mode *extprocfilterv3.ProcessingMode, continues bool) protoMessage {
	cache := extprocfilterv3.ExternalProcessor_RETAIN
	if c.chooses() {
		cache = extprocfilterv3.ExternalProcessor_DEFAULT // the service clears it
	}
	service := grpcService(t.ownCluster())
	if t.replicated() {
		service.RetryPolicy = retryElsewhere()
	}
	service.InitialMetadata = []*corev3.HeaderValue{{Key: ChainMetadata, Value: chain}}
	attache := &extprocfilterv3.MetadataOptions_MetadataNamespaces{Untyped: []string{MetadataNamespace}}
	metadata := &extprocfilterv3.MetadataOptions{ReceivingNamespaces: attache}
	if continues {
		metadata.ForwardingNamespaces = attache // with the decision's id
	}
	return &extprocfilterv3.ExternalProcessor{
		StatPrefix:               name,
		GrpcService:              service,
		FailureModeAllow:         c.FailOpen,
		ProcessingMode:           mode,
		MessageTimeout:           durationpb.New(extProcMessageTimeout),
		MutationRules:            &mutationv3.HeaderMutationRules{AllowAllRouting: wrapperspb.Bool(true)},
		RouteCacheAction:         cache,
		AllowContentLengthHeader: true,
		MetadataOptions:          metadata,
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

// ownMode is the phases that a chain of ours needs. streamed tells that a filter
// before ours streams the request's body, see bodies.go.
func ownMode(c *Chain, streamed bool) *extprocfilterv3.ProcessingMode {
	mode := &extprocfilterv3.ProcessingMode{
		RequestHeaderMode:   extprocfilterv3.ProcessingMode_SEND,
		RequestBodyMode:     extprocfilterv3.ProcessingMode_NONE,
		RequestTrailerMode:  extprocfilterv3.ProcessingMode_SKIP,
		ResponseHeaderMode:  extprocfilterv3.ProcessingMode_SKIP,
		ResponseBodyMode:    extprocfilterv3.ProcessingMode_NONE,
		ResponseTrailerMode: extprocfilterv3.ProcessingMode_SKIP,
	}
	if c.ReadsBody || streamed {
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
	return mode
}
