package extprocsvc

import (
	"errors"
	"mime"
	"slices"
	"strings"
	"time"

	"github.com/attache-dev/attache/extprocsvc/events"
	"github.com/attache-dev/attache/extprocsvc/inflate"
)

// A streaming is a streamed answer while it is guarded.
type streaming struct {
	flow  *events.Flow
	steps []*guarding
	held  int64 // what it takes of the server's budget
	// decoder undoes the encodings; nil for an answer that has none.
	decoder *inflate.Decoder
	// free tells that the steps do not look any more.
	free bool
	// onlyLooks tells that the answer passes as it comes, encodings included.
	onlyLooks bool

	// What becomes of the chunk at hand.
	out     []byte
	refused *refusal
	err     error
}

// release gives everything back.
func (l *streaming) release(s *Server) {
	s.held.give(l.held)
	if l.decoder != nil {
		l.decoder.Stop()
	}
}

// isEvents tells whether the body is a stream of events that can be read.
func (h *head) isEvents() bool {
	types := h.values("content-type")
	if len(types) != 1 || h.body == compressed || h.refused != nil {
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
	if codings := s.answer.codings; len(codings) > 0 {
		s.live.decoder, s.live.onlyLooks = inflate.New(codings, s.server.maxBody.Load()), s.observing()
	}
	if s.live.onlyLooks {
		return false, s.conn.Send(responseHeaders(nil, nil, s.metadata()))
	}
	_, remove := contentLength(streamed, s.answer.length, 0)
	if s.live.decoder != nil {
		remove = append(slices.Clip(remove), encodingHeader)
	}
	return false, s.conn.Send(responseHeaders(nil, remove, s.metadata()))
}

// flow takes a chunk of a streamed answer and sends on what is decided.
func (s *stream) flow(chunk []byte, end bool) (done bool, err error) {
	began := time.Now()
	out, refused, err := s.pour(chunk, end)
	s.record.Duration += time.Since(began)
	switch {
	case err != nil:
		return true, err
	case refused != nil:
		return s.breakOff(refused, out, true)
	}
	s.keepRoom(out)
	over := end || s.live.over()
	if over {
		s.account()
	}
	if len(out) > 0 || end {
		m := s.chunk.responseChunk(out, end)
		if end {
			attach(m, s.metadata())
		}
		err = s.conn.Send(m)
	}
	if over {
		s.reply = passing
		s.release()
	}
	return err != nil, err
}

// pour runs a chunk, or the end, through the steps. out is what is to be sent on:
// of a chunk that becomes much, the last part. refused is why the answer ends
// here, and err that of the connection.
func (s *stream) pour(chunk []byte, end bool) (out []byte, refused *refusal, err error) {
	l := s.live
	l.out = s.out[:0]
	broken := l.decode(chunk, end, s.look)
	if end && broken == nil && !l.free {
		l.out, broken = l.flow.Close(l.out)
		broken = s.settle(broken)
	}
	if broken != nil && l.refused == nil && l.err == nil { // the encoding is at fault
		l.refused = unheldResponse(broken)
		if l.onlyLooks && s.tolerates(l.refused) {
			l.refused, l.free = nil, true
		}
	}
	s.record.Tags = s.run.tags
	if l.onlyLooks {
		l.out = append(l.out[:0], chunk...)
	}
	return l.out, l.refused, l.err
}

// look runs a part of the answer through the steps.
func (s *stream) look(piece []byte) (broken error) {
	l := s.live
	if l.free {
		l.out = append(l.out, piece...)
	} else {
		l.out, broken = l.flow.Write(l.out, piece)
		broken = s.settle(broken)
	}
	switch {
	case l.onlyLooks:
		l.out = l.out[:0]
	case l.decoder != nil && len(l.out) >= chunkSize && broken == nil:
		l.err = s.conn.Send(s.chunk.responseChunk(l.out, false))
		l.out, broken = l.out[:0], l.err
	}
	return broken
}

// settle notes why an answer has to be broken off, or lets the rest of it pass.
func (s *stream) settle(broken error) error {
	l := s.live
	r := s.weigh(broken)
	switch {
	case r == nil:
		return nil
	case s.tolerates(r):
		l.out, l.free = l.flow.Rest(l.out), true
		return nil
	}
	l.refused = r
	return errRefused
}

// errRefused ends the reading of a chunk.
var errRefused = errors.New("refused")

// decode hands a chunk on without its encodings.
func (l *streaming) decode(chunk []byte, end bool, look func([]byte) error) error {
	if l.decoder == nil {
		return look(chunk)
	}
	if err := l.decoder.Write(chunk, look); err != nil || !end {
		return err
	}
	return l.decoder.Close(look)
}

// over tells that what is still to come passes as it comes.
func (l *streaming) over() bool { return l.free && (l.decoder == nil || l.onlyLooks) }

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
	out, refused, err := s.pour(nil, true)
	switch {
	case err != nil:
		return true, err
	case refused != nil:
		if done, err = s.breakOff(refused, out, false); err != nil {
			return done, err
		}
		return false, s.conn.Send(passResponseTrailers)
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
	if l.decoder != nil {
		held += l.decoder.Held()
	}
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
