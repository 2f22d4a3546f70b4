package translator

import (
	_ "embed"
	"fmt"
	"unicode/utf8"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/attache-dev/attache/config"
)

//go:embed directresponse.lua
var directResponseSource string

var directResponseScript = luaScript(directResponseSource)

// answer is the action of a route with a direct response.
func answer(d *config.DirectResponse) func(*routev3.Route) {
	a := &routev3.DirectResponseAction{Status: uint32(d.Status)}
	switch {
	case len(d.Body) == 0:
	case utf8.Valid(d.Body):
		a.Body = inlineString(string(d.Body))
	default:
		a.Body = &corev3.DataSource{Specifier: &corev3.DataSource_InlineBytes{InlineBytes: d.Body}}
	}
	return func(e *routev3.Route) { e.Action = &routev3.Route_DirectResponse{DirectResponse: a} }
}

// responseHeaders is what gives a direct response its headers, and takes
// Envoy's from it. It must be the last policy of its route.
func responseHeaders(d *config.DirectResponse) []policy {
	if d == nil {
		return nil
	}
	return []policy{{
		name: routeDirectResponse,
		key:  fmt.Sprintf("%q", d.Headers),
		build: func() protoMessage {
			headers := map[string]*structpb.Value{}
			for name, value := range d.Headers {
				headers[name] = structpb.NewStringValue(value)
			}
			return lua(directResponseScript, headers)
		},
	}}
}

// envoyMaxDirectResponse is the longest body, in bytes, that Envoy takes unless
// the route table says otherwise.
const envoyMaxDirectResponse = 4096

// maxDirectResponse is the limit that the longest body of some routes needs;
// nil for Envoy's own.
func maxDirectResponse(listeners []*config.Listener) *wrapperspb.UInt32Value {
	longest := 0
	for _, l := range listeners {
		for _, r := range l.Routes {
			if r.DirectResponse != nil {
				longest = max(longest, len(r.DirectResponse.Body))
			}
		}
	}
	if longest <= envoyMaxDirectResponse {
		return nil
	}
	return wrapperspb.UInt32(uint32(longest))
}

// routeChain is what our service does for a route. A route that answers by
// itself has no backend to choose or to prepare requests for.
func (t *translation) routeChain(r *config.Route) *Chain {
	own := t.opts.RouteChain(r)
	switch {
	case own == nil || r.DirectResponse == nil && r.Redirect == nil:
		return own
	case r.ExtProc == nil || len(r.ExtProc.Profiles) == 0:
		return nil
	}
	c := *own
	c.Choice = nil
	return &c
}
