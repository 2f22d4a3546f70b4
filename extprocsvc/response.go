package extprocsvc

import (
	"errors"
	"slices"
	"strconv"
	"time"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"

	"github.com/attache-dev/attache/extprocsvc/llm"
)

// onResponseHeaders holds what response stages have to see: the complete
// answers of the model, and its errors. Everything else is passed on as its mode
// wants it.
func (s *stream) onResponseHeaders(m *extprocv3.HttpHeaders) (done bool, err error) {
	decided := s.state == passing
	if s.state == fresh {
		if done, err := s.beginsWithResponse(m); done || err != nil {
			return done, err
		}
	}
	if s.record.Unheard && s.state == holding && len(s.body.bytes) == 0 {
		return s.misconfigured("observability_mode, where it shows bodies by body mode STREAMED alone")
	}
	s.abandon()
	s.reply = passing
	if !decided || !s.inspects() || m.GetEndOfStream() || s.head.method == "HEAD" {
		return s.passResponse()
	}
	s.answer = readHead(m.GetHeaders().GetHeaders())
	code, _ := strconv.Atoi(s.answer.first(":status"))
	if code < 200 {
		return s.passResponse()
	}
	s.anything.is = code > 299
	events := s.answer.isEvents()
	if events && s.guard != nil && !s.guard.enabled {
		s.guard = nil // as agentgateway has it; the file was warned of
		if !s.profiled() {
			return s.passResponse()
		}
	}
	if events && s.canStream() {
		return s.beginStream()
	}
	readable := s.answer.body == nil && s.answer.first("content-type") != "" || events
	if s.anything.is {
		readable = s.answer.isText()
	}
	switch {
	case s.answer.refused != nil, !readable:
		return s.unseen(unreadableResponse, nil)
	case s.answer.bytes > s.server.maxBody.Load(), s.answer.size > maxHead:
		return s.unseen(largeResponse, nil)
	}
	s.result.open(s.server, s.answer.codings)
	s.reply = s.response.state
	if events {
		s.collect()
	}
	if s.reply != holding {
		return false, s.conn.Send(passResponseHeaders)
	}
	return false, nil
}

// passResponse lets a response go in which there is nothing to look at. Its
// account is there before the client can ask for it.
func (s *stream) passResponse() (done bool, err error) {
	s.account()
	s.release()
	return false, s.conn.Send(passResponseHeaders)
}

// unseen ends a response that no stage can look at; a profile that is only
// observed lets it pass as it came: what is held of it, and a chunk behind that;
// nil where nothing came yet.
func (s *stream) unseen(r *refusal, chunk *extprocv3.HttpBody) (done bool, err error) {
	switch {
	case s.passesUnread():
		s.record.Unread = r.code
	case s.observing():
		s.record.Reason = r.code
	default:
		return s.refuse(r)
	}
	s.account()
	was := s.reply
	s.reply = passing
	if was == waiting {
		s.release()
		return false, s.conn.Send(passResponseBody)
	}
	if err := s.conn.Send(passResponseHeaders); err != nil || chunk == nil {
		s.release()
		return err != nil, err
	}
	held := append(slices.Clip(s.result.asItCame()), chunk.GetBody()...)
	err = s.stream(held, chunk.GetEndOfStream(), s.chunk.responseChunk)
	s.release()
	return err != nil, err
}

func (s *stream) onResponseBody(m *extprocv3.HttpBody) (done bool, err error) {
	if s.reply == fresh && s.mustSee() {
		return s.misconfigured("response_header_mode SKIP") // it must not pass unseen
	}
	switch s.reply {
	case flowing:
		return s.flow(m.GetBody(), m.GetEndOfStream())
	case gone:
		return false, nil // it was broken off
	case copying:
		return s.copy(m)
	case holding, waiting:
		if err := s.result.add(s.server, m.GetBody(), s.answer.bytes); err != nil {
			return s.unseen(unheldResponse(err), m)
		}
		switch {
		case s.reply == waiting:
			return s.replaceResponse(m.GetEndOfStream())
		case m.GetEndOfStream():
			return s.sendResponse(true)
		}
		return false, nil
	default:
		if s.response.echo {
			return false, s.conn.Send(s.chunk.echo(m, true))
		}
		return false, s.conn.Send(passResponseBody)
	}
}

// mustSee tells whether a response must not pass whose headers were not shown. As
// long as nothing is known of the request, that is one that any profile reads.
func (s *stream) mustSee() bool {
	if s.state != passing {
		return s.chain.readsResponse
	}
	return s.inspects() && !s.observing()
}

func (s *stream) onResponseTrailers() (done bool, err error) {
	switch s.reply {
	case flowing:
		return s.flowEnd()
	case gone:
		return false, nil
	case copying:
		if err := s.copied(); err != nil {
			return true, err
		}
		return false, s.conn.Send(responseTrailers(s.metadata()))
	case holding:
		if done, err := s.sendResponse(false); done || err != nil {
			return done, err
		}
	}
	return false, s.conn.Send(passResponseTrailers)
}

// sendResponse decides about a response that was held and sends it on behind
// its headers.
func (s *stream) sendResponse(end bool) (done bool, err error) {
	if err := s.result.end(s.server); err != nil {
		return s.unseen(unheldResponse(err), &extprocv3.HttpBody{EndOfStream: end})
	}
	if refused, err := s.decideResponse(); refused != nil || err != nil {
		return s.refuseOr(refused, err)
	}
	body := s.finished()
	set, remove := contentLength(released(end), s.answer.length, len(body))
	s.reply = passing
	if err := s.conn.Send(responseHeaders(set, s.result.bare(remove), s.metadata())); err != nil {
		return true, err
	}
	err = s.stream(body, end, s.chunk.responseChunk)
	s.release()
	return err != nil, err
}

// replaceResponse decides about a response that Envoy holds in its buffer.
func (s *stream) replaceResponse(end bool) (done bool, err error) {
	if err := s.result.end(s.server); err != nil {
		return s.unseen(unheldResponse(err), nil)
	}
	if refused, err := s.decideResponse(); refused != nil || err != nil {
		return s.refuseOr(refused, err)
	}
	s.reply = passing
	if s.differs() {
		body := s.finished()
		set, remove := contentLength(released(end), s.answer.length, len(body))
		err = s.conn.Send(wholeResponse(body, set, s.result.bare(remove), s.metadata()))
	} else {
		err = s.conn.Send(wholeResponse(nil, nil, nil, s.metadata()))
	}
	s.release()
	return err != nil, err
}

// scanResponse reads a response that is complete.
func (s *stream) scanResponse() error {
	switch {
	case s.collecting.on:
		return s.gather()
	case s.anything.is:
		return s.readAnything()
	}
	if d := s.doc.Dialect(); d != nil {
		return s.done.Scan(d.Answer(), s.result.bytes)
	}
	// Without a request to tell, its keys do.
	for _, as := range []*llm.Dialect{llm.ChatCompletion, llm.Response} {
		if s.done.Scan(as, s.result.bytes) == nil && s.done.Messages() == nil {
			return nil
		}
	}
	if s.anything.is = s.textsOnly(); s.anything.is {
		return s.readAnything()
	}
	return s.done.Scan(llm.ChatCompletion, s.result.bytes)
}

// finished is the response as the stages have left it.
func (s *stream) finished() []byte {
	a := s.collecting.answer
	switch {
	case s.anything.is && s.done.Changed():
		return llm.UnwrapAnything(s.edited(&s.done, nil), s.anything.plain)
	case s.anything.is:
		return s.result.bytes
	case a == nil:
		return s.edited(&s.done, s.result.bytes)
	case s.done.Changed():
		return a.Stream(s.edited(&s.done, nil))
	}
	return a.Events
}

// differs tells whether that is not the response as it came.
func (s *stream) differs() bool {
	a := s.collecting.answer
	return s.done.Changed() || s.result.encoded() || a != nil && len(a.Events) != len(s.result.bytes)
}

// decideResponse runs the response stages.
func (s *stream) decideResponse() (refused *refusal, err error) {
	began := time.Now()
	if scanErr := s.scanResponse(); errors.Is(scanErr, errOverBudget) {
		refused = overBudget
	} else if scanErr == nil {
		r := &s.run
		r.response, r.prompt, r.doc, r.unread = true, r.doc, &s.done, s.passesUnread()
		r.anything = s.anything.is
		if s.guard != nil {
			refused, err = r.under(&s.guard.profile, s.conn.Context(), s.guard.replies)
		}
		if s.profiled() && refused == nil && err == nil {
			refused, err = r.do(s.conn.Context(), s.profile.replies)
		}
	} else if s.passesUnread() {
		s.record.Unread = unreadableResponse.code
	} else if !s.observing() {
		refused = unreadableResponse
	}
	s.record.Duration += time.Since(began)
	if refused == nil && err == nil {
		s.account()
	}
	return refused, err
}
