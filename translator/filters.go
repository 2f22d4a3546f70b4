package translator

import (
	"fmt"
	"strings"

	mutationv3 "github.com/envoyproxy/go-control-plane/envoy/config/common/mutation_rules/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	commonfaultv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/common/fault/v3"
	bufferv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/buffer/v3"
	faultv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/fault/v3"
	headermutationv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/header_mutation/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/attache-dev/attache/config"
)

// buffer holds the body of a request before anything else looks at it.
func buffer(f *config.Filters) (policies []policy) {
	if f.MaxRequestBody == 0 {
		return nil
	}
	return []policy{{
		name: routeBuffer,
		key:  fmt.Sprint(f.MaxRequestBody),
		build: func() protoMessage {
			return &bufferv3.Buffer{MaxRequestBytes: wrapperspb.UInt32(f.MaxRequestBody)}
		},
	}}
}

// headerModifiers is one filter for both directions: behind external
// processing, it comes after that on requests and before it on responses.
func headerModifiers(name string, request, response *config.HeaderModifier) []policy {
	if request == nil && response == nil {
		return nil
	}
	return []policy{{
		name: name,
		key:  fmt.Sprintf("%+q %+q", request, response),
		build: func() protoMessage {
			return &headermutationv3.HeaderMutation{Mutations: &headermutationv3.Mutations{
				RequestMutations:  mutations(request),
				ResponseMutations: mutations(response),
			}}
		},
	}}
}

// mutations are agentgateway's, in its order.
func mutations(m *config.HeaderModifier) (list []*mutationv3.HeaderMutation) {
	if m == nil {
		return nil
	}
	for _, h := range m.Add {
		list = append(list, appendHeader(h.Name, literal(h.Value), corev3.HeaderValueOption_APPEND_IF_EXISTS_OR_ADD))
	}
	for _, h := range m.Set {
		list = append(list, appendHeader(h.Name, literal(h.Value), corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD))
	}
	for _, name := range m.Remove {
		list = append(list, &mutationv3.HeaderMutation{Action: &mutationv3.HeaderMutation_Remove{Remove: name}})
	}
	return list
}

func appendHeader(name, format string, action corev3.HeaderValueOption_HeaderAppendAction) *mutationv3.HeaderMutation {
	return &mutationv3.HeaderMutation{Action: &mutationv3.HeaderMutation_Append{Append: &corev3.HeaderValueOption{
		Header:         &corev3.HeaderValue{Key: name, Value: format},
		AppendAction:   action,
		KeepEmptyValue: true,
	}}}
}

// literal is a text in a place where Envoy takes a format.
func literal(s string) string { return strings.ReplaceAll(s, "%", "%%") }

// delay lets each request wait. It stands before what streams bodies, see
// bodies.go.
func delay(f *config.Filters) []policy {
	if f.Delay == 0 || f.Redirect != nil { // a redirect comes before
		return nil
	}
	return []policy{{
		name:   routeDelay,
		key:    f.Delay.String(),
		bodies: bodies{request: passage{blind: f.DelayPath}},
		build: func() protoMessage {
			return &faultv3.HTTPFault{Delay: &commonfaultv3.FaultDelay{
				FaultDelaySecifier: &commonfaultv3.FaultDelay_FixedDelay{FixedDelay: durationpb.New(f.Delay)},
				Percentage:         &typev3.FractionalPercent{Numerator: 100},
			}}
		},
	}}
}
