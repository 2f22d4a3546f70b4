package extprocsvc

import (
	"errors"
	"mime"
	"strings"
	"time"

	"github.com/attache-dev/attache/extprocsvc/events"
)

// A streaming is a streamed answer while it is guarded.
type streaming struct {
	flow  *events.Flow
	steps []*guarding
	held  int64 // what it takes of the server's budget
}

// isEvents tells whether the body is a stream of events that can be read.
func (h *head) isEvents() bool {
	types := h.values("content-type")
	if len(types) != 1 || h.encoded || h.refused != nil {
		return false
	}
	media, params, err := mime.ParseMediaType(types[0])
	if err != nil || media != "text/event-stream" {
		return false
	}
	charset, ok := params["charset"]
	return !ok || strings.EqualFold(charset, "utf-8")
}

// beginStream lets the headers of a streamed answer go. Its events follow as
// the steps let them pass.
func (s *stream) beginStream() (done bool, err error) {
	began := time.Now()
	r := &s.run
	r.response, r.prompt, r.doc = true, r.doc, nil
	var steps []*guarding
	var refused *refusal
	if s.guard != nil {
		// Its steps add no tags, so nobody misses what happens to the copy.
		own := *r
		own.profile = &s.guard.profile
		steps, refused = own.begin(s.conn.Context(), s.guard.replies)
	}
	if s.profiled() && refused == nil {
		var more []*guarding
		more, refused = r.begin(s.conn.Context(), s.profile.replies)
		steps = append(steps, more...)
	}
	r.prompt = nil
	s.live = &streaming{steps: steps}
	s.record.Duration += time.Since(began)
	switch {
	case refused != nil:
		return s.refuse(refused)
	case len(steps) == 0: // no stage was chosen
		s.account()
		s.release()
		return false, s.conn.Send(responseHeaders(nil, nil, s.metadata()))
	}
	s.live.flow = events.New(events.Config{
		Guards: len(steps), MaxHeld: int(s.server.maxBody.Load()),
		New: func(k int) events.Guard { return steps[k].newText() },
	})
	s.releaseRequest()
	s.reply = flowing
	_, remove := contentLength(streamed, s.answer.length, 0)
	return false, s.conn.Send(responseHeaders(nil, remove, s.metadata()))
}

// flow takes a chunk of a streamed answer and sends on what is decided.
func (s *stream) flow(chunk []byte, end bool) (done bool, err error) {
	began := time.Now()
	out, broken := s.live.flow.Write(s.out[:0], chunk)
	if broken == nil && end {
		out, broken = s.live.flow.Close(out)
	}
	refused := s.weigh(broken)
	s.record.Duration += time.Since(began)
	s.record.Tags = s.run.tags
	switch {
	case refused != nil && !s.tolerates(refused):
		return s.breakOff(refused, out, true)
	case refused != nil:
		out = s.live.flow.Rest(out)
		s.reply = passing
	}
	s.keepRoom(out)
	if s.reply == passing || end {
		s.account()
	}
	if len(out) > 0 || end {
		m := s.chunk.responseChunk(out, end)
		if end {
			attach(m, s.metadata())
		}
		err = s.conn.Send(m)
	}
	if s.reply == passing || end {
		s.reply = passing
		s.release()
	}
	return err != nil, err
}

// tolerates tells whether what is left of an answer passes that a refusal is
// for, and notes why.
func (s *stream) tolerates(r *refusal) bool {
	switch {
	case r == unreadableResponse && s.passesUnread():
		s.record.Unread = r.code
	case s.observing():
		s.record.Reason = r.code
	default:
		return false
	}
	return true
}

// keepRoom keeps the room for what is sent next.
func (s *stream) keepRoom(out []byte) {
	if s.out = out; cap(out) > maxKept {
		s.out = nil
	}
}

// flowEnd is the end of a streamed answer that trailers follow.
func (s *stream) flowEnd() (done bool, err error) {
	out, broken := s.live.flow.Close(s.out[:0])
	s.record.Tags = s.run.tags
	switch refused := s.weigh(broken); {
	case refused != nil && !s.tolerates(refused):
		if done, err = s.breakOff(refused, out, false); err != nil {
			return done, err
		}
		return false, s.conn.Send(passResponseTrailers)
	case refused != nil:
		out = s.live.flow.Rest(out)
	}
	s.account()
	if len(out) > 0 {
		if err := s.conn.Send(s.chunk.responseChunk(out, false)); err != nil {
			return true, err
		}
	}
	s.reply = passing
	s.release()
	return false, s.conn.Send(responseTrailers(s.metadata()))
}

// weigh tells why an answer has to be broken off, and accounts for what is
// held of it.
func (s *stream) weigh(broken error) *refusal {
	l := s.live
	if broken != nil {
		return l.why(broken)
	}
	held := int64(l.flow.Held())
	if held > l.held && !s.server.hold(held-l.held) {
		return overBudget
	}
	s.server.held.give(max(l.held-held, 0))
	l.held = held
	return nil
}

// why is the refusal for an answer that broke.
func (l *streaming) why(broken error) *refusal {
	var stopped *events.Stopped
	var mad *events.Misbehaved
	switch {
	case errors.As(broken, &stopped):
		return l.steps[stopped.Guard].refused
	case errors.As(broken, &mad):
		g := l.steps[mad.Guard]
		if g.fail(broken); g.refused == nil {
			// What it has done so far cannot be told from what it should have.
			g.refused = stepFailed(g.run.profile, g.stage.name, g.step.name, broken)
		}
		return g.refused
	case errors.Is(broken, events.ErrTooLarge), errors.Is(broken, events.ErrTooMany):
		return largeResponse
	}
	return unreadableResponse
}

// breakOff ends a streamed answer with an error event behind what may be sent.
func (s *stream) breakOff(r *refusal, out []byte, end bool) (done bool, err error) {
	out = append(out, s.errorEvent(r)...)
	s.judged(r)
	m := s.chunk.responseChunk(out, end)
	if end {
		attach(m, s.metadata())
	}
	s.reply = gone
	err = s.conn.Send(m)
	s.release()
	// Envoy ends its side when the answer has ended. agentgateway takes a
	// clean end for a failure.
	return err != nil || !s.head.pseudoLast, err
}
