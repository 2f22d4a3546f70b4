package translator

import (
	extprocfilterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"

	"github.com/attache-dev/attache/config"
)

// Envoy 1.40 loses parts of a body that one ext_proc filter streams in full
// duplex while a filter behind it holds up the headers: one that is shown no body
// and has not answered yet, or a delay. The message arrives with status 200 and too
// short. So a chain of ours behind a filter that streams is always shown the body,
// and hands it back; delays stand before; and what is left is refused.

// bodies tell what the ext_proc filters of a chain do with the bodies that pass.
type bodies struct{ request, response passage }

// passage is one direction.
type passage struct {
	// streams tells that a filter sends the body on in full duplex.
	streams bool
	// buffers tells that a filter has Envoy hold the body.
	buffers bool
	// blind is the place of a policy that holds up headers, and is shown no body;
	// empty for none.
	blind string
}

// shows is the passage through somebody's server.
func shows(s config.Shown, path string) (p passage) {
	switch {
	case s.Body == config.BodyFullDuplex:
		p.streams = true
	case s.Body == config.BodyBuffered, s.Body == config.BodyPartial:
		p.buffers = true
	case s.Body == config.BodyNone && !s.SkipHeaders:
		p.blind = path
	}
	return p
}

// then is one passage, and another behind it.
func (p passage) then(q passage) passage {
	if q.blind == "" {
		q.blind = p.blind
	}
	return passage{p.streams || q.streams, p.buffers || q.buffers, q.blind}
}

// passes is the passage through a filter of ours.
func passes(mode extprocfilterv3.ProcessingMode_BodySendMode) passage {
	return passage{
		streams: mode == extprocfilterv3.ProcessingMode_FULL_DUPLEX_STREAMED,
		buffers: mode == extprocfilterv3.ProcessingMode_BUFFERED,
	}
}

// held tells that Envoy has to hold whole bodies, of requests or responses.
func (b bodies) held() bool { return b.request.buffers || b.response.buffers }

// unseen reports a policy behind one that streams the body past it: requests pass
// the gateway phase first, responses the route's.
func (t *translation) unseen(gateway, route bodies) {
	for _, way := range []struct {
		first, second passage
		key           string
	}{
		{gateway.request, route.request, "requestBodyMode"},
		{route.response, gateway.response, "responseBodyMode"},
	} {
		if way.first.streams && way.second.blind != "" {
			t.errorf(way.second.blind, config.Unsupported, "Envoy would lose parts of bodies here: the extProc that they pass before streams them; write processingOptions with another %s there, such as buffered, or here with another one than none", way.key)
		}
	}
}
