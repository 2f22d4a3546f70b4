package extprocsvc

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	extprocfilterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/attache-dev/attache/config"
	"github.com/attache-dev/attache/extprocsvc/llm"
)

// Each direction of a stream is in one of these states. A stream that begins
// with response headers, because an earlier filter of Envoy's answered, has
// nothing to decide about and passes them on.
type state int

const (
	fresh   state = iota // nothing was seen
	holding              // full duplex: the reply to the headers waits for the whole body
	waiting              // buffered: the headers were let pass, the body is to come in one piece
	flowing              // a streamed answer: events are passed on as the steps let them
	copying              // a streamed answer: it passes, and a copy waits for its end
	passing              // decided: the rest is passed on as it comes
	gone                 // somebody else answered the request; there is nobody to reply to
)

// A manner is how a body mode is served.
type manner struct {
	// reads tells that the whole body can be seen before the request leaves;
	// then state is the one that waits for it.
	reads bool
	state state
	// echo tells that Envoy drops what is not sent back.
	echo bool
	// body tells that messages with a body come at all.
	body bool
}

var manners = map[extprocfilterv3.ProcessingMode_BodySendMode]manner{
	extprocfilterv3.ProcessingMode_NONE:                 {},
	extprocfilterv3.ProcessingMode_STREAMED:             {body: true},
	extprocfilterv3.ProcessingMode_BUFFERED:             {body: true, reads: true, state: waiting},
	extprocfilterv3.ProcessingMode_BUFFERED_PARTIAL:     {body: true},
	extprocfilterv3.ProcessingMode_FULL_DUPLEX_STREAMED: {body: true, reads: true, state: holding, echo: true},
	extprocfilterv3.ProcessingMode_GRPC:                 {body: true, echo: true},
}

// A stream is the conversation about one request. Streams are used again.
type stream struct {
	server *Server
	chain  *installed
	conn   extprocv3.ExternalProcessor_ProcessServer

	// request and response are the body modes. They are full duplex unless
	// the first message says something else: agentgateway v0.10 does not say.
	request, response         manner
	requestMode, responseMode extprocfilterv3.ProcessingMode_BodySendMode
	responseNone              bool // the first message says that no body of a response will come

	state, reply state // of the request, of the response
	ended        ends
	head         head
	answer       head    // of the response
	reading      reading // how the body is read
	profile      *profile
	body, result held       // of the request, of the response
	live         *streaming // of a response that is a stream of events
	collecting   collecting // of one that has to be complete first
	anything     anything   // of one that is no answer of a model
	doc, done    llm.Doc
	out          []byte // room for edited bodies
	fields, wire []byte // room for metadata

	run       run
	record    Record
	accounted bool
	choice    string // the backend for Envoy; empty for none
	guard     *guard // of the answer, of the backend that was chosen; nil for none
	changes   bool   // the settings of a backend change requests for this path
	headers   headersReply
	chunk     streamedReply
}

// recycle forgets the request and keeps the room.
func (s *stream) recycle() {
	s.release()
	s.record.reset()
	*s = stream{doc: s.doc, done: s.done, out: s.out, record: s.record, fields: s.fields, wire: s.wire}
}

// maxKept is the largest buffer, in bytes, that outlives its request.
const maxKept = 64 << 10

// serve answers messages until the stream ends. It returns nil early if
// nothing that is still to come needs an answer.
func (s *stream) serve() error {
	for first := true; ; first = false {
		m, err := s.recv()
		if errors.Is(err, errLate) {
			if done, err := s.unseen(lateResponse, &extprocv3.HttpBody{}); done || err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		if first {
			s.learn(m)
		}
		if s.record.ID == "" {
			s.record.ID = gatewayID(m)
		}
		done, err := s.on(m)
		if done || err != nil {
			return err
		}
	}
}

func (s *stream) mode(request, response extprocfilterv3.ProcessingMode_BodySendMode) {
	s.requestMode, s.responseMode = request, response
	s.request, s.response = manners[request], manners[response]
	s.responseNone = !s.response.body
}

// on answers one message. done means that the conversation is over.
func (s *stream) on(m *extprocv3.ProcessingRequest) (done bool, err error) {
	switch m := m.GetRequest().(type) {
	case *extprocv3.ProcessingRequest_RequestHeaders:
		return s.onHeaders(m.RequestHeaders)
	case *extprocv3.ProcessingRequest_RequestBody:
		if !s.ended.request.goesOn(m.RequestBody) {
			return true, behindTheEnd
		}
		return s.onBody(m.RequestBody)
	case *extprocv3.ProcessingRequest_RequestTrailers:
		return s.onTrailers()
	case *extprocv3.ProcessingRequest_ResponseHeaders:
		return s.onResponseHeaders(m.ResponseHeaders)
	case *extprocv3.ProcessingRequest_ResponseBody:
		if !s.ended.response.goesOn(m.ResponseBody) {
			return true, behindTheEnd
		}
		return s.onResponseBody(m.ResponseBody)
	case *extprocv3.ProcessingRequest_ResponseTrailers:
		return s.onResponseTrailers()
	default:
		return false, nil // flow control, or something newer than we are
	}
}

// ends are the ends of the bodies that have come.
type ends struct{ request, response end }

type end bool

// behindTheEnd is for a peer that sends more of a body than it has: what was
// decided about it would not be about that.
var behindTheEnd = status.Error(codes.InvalidArgument, "a part of a body came behind its end")

// goesOn notes the end, and tells whether a part may come.
func (e *end) goesOn(m *extprocv3.HttpBody) bool {
	if *e && len(m.GetBody()) > 0 {
		return false
	}
	*e = *e || end(m.GetEndOfStream())
	return true
}

// abandon gives up a request that has not been let pass and got a response:
// from Envoy, for example because the client took too long.
func (s *stream) abandon() {
	if s.state != passing {
		s.state = gone
		s.release()
	}
}

func (s *stream) onHeaders(m *extprocv3.HttpHeaders) (done bool, err error) {
	if s.state != fresh {
		return true, status.Error(codes.InvalidArgument, "request headers came twice or too late")
	}
	end := m.GetEndOfStream()
	s.head = readHead(m.GetHeaders().GetHeaders())
	s.reading = s.chain.reading(&s.head)
	s.identify()
	if s.head.size > maxHead {
		return s.refuse(largeHead)
	}
	p, refused := s.chain.pick(&s.head)
	if refused != nil {
		return s.refuse(refused)
	}
	s.profile = p
	if p != nil {
		s.record.Profile = p.name
		if s.chain.listsModels || p.rule == config.ModelsListed && s.head.asksForModels() {
			return s.refuse(listModels(p))
		}
	}
	s.changes = s.chain.changesAt(s.head.bare())
	if (s.inspects() || s.changes && s.chain.guardsAnswers()) && !s.response.reads {
		return s.misconfigured("response_body_mode " + s.responseMode.String())
	}
	if !s.chain.readsAll && !s.changes {
		return s.pass(end)
	}
	switch {
	case s.head.refused != nil:
		return s.unread(s.head.refused, end)
	case end:
		return s.pass(true)
	case !s.request.reads:
		return s.misconfigured("request_body_mode " + s.requestMode.String())
	case s.head.body != nil:
		return s.unread(s.head.body, end)
	case s.head.bytes > s.server.maxBody.Load():
		return s.unread(tooLarge(s.server.maxBody.Load()), end)
	}
	s.body.open(s.server, s.head.codings)
	if s.state = s.request.state; s.state == waiting {
		return false, s.conn.Send(s.headers.with(s.plain(nil), s.dropped(nil), nil, false))
	}
	return false, nil
}

// inspects tells whether the response has to go through stages.
func (s *stream) inspects() bool { return s.profiled() || s.guard != nil }

// profiled tells whether it has to go through those of the profile.
func (s *stream) profiled() bool { return s.profile != nil && len(s.profile.replies) > 0 }

// canStream tells whether all stages can work on an answer while it comes.
func (s *stream) canStream() bool {
	return s.response.echo && (!s.profiled() || s.profile.streams) && (s.guard == nil || s.guard.streams)
}

// observing tells that what becomes of the response changes nothing.
func (s *stream) observing() bool { return s.guard == nil && s.profile != nil && s.profile.observe }

// pass decides without a body, when the headers are there, and lets the rest
// of the request through as it comes.
func (s *stream) pass(end bool) (done bool, err error) {
	if refused, err := s.decide(); refused != nil || err != nil {
		return s.refuseOr(refused, err)
	}
	f := untouched
	if !end && s.request.echo {
		f = streamed
	}
	set, remove := contentLength(f, s.head.length, 0)
	if err := s.approve(set, remove); err != nil {
		return true, err
	}
	return (end || !s.request.body) && s.mayLeave(), nil
}

// approve lets the headers of a request go that was decided.
func (s *stream) approve(set []*corev3.HeaderValueOption, remove []string) error {
	s.state = passing
	if s.choice != "" {
		remove = append(remove[:len(remove):len(remove)], choiceHeader)
	}
	return s.conn.Send(s.headers.with(s.plain(set), s.dropped(remove), s.metadata(), s.choice != ""))
}

// choiceHeader is removed from requests whose backend we choose. Envoy looks
// for the route again only if a reply changes the headers.
const choiceHeader = "x-attache-backend"

// plain asks for a response that we can read, if we have to.
func (s *stream) plain(set []*corev3.HeaderValueOption) []*corev3.HeaderValueOption {
	if !s.inspects() || s.head.first("accept-encoding") == "" {
		return set
	}
	return append(set, setHeader("accept-encoding", []byte("identity")))
}

// dropped adds the client's headers that must not reach the backend.
func (s *stream) dropped(remove []string) []string {
	if !s.chain.dropsHeaders {
		return remove
	}
	remove = slices.Clip(remove)
	for _, kv := range s.head.headers {
		key := kv.GetKey()
		kept := strings.HasPrefix(key, ":") || strings.HasPrefix(key, "x-envoy-") || keptHeaders[key] ||
			key == "accept-encoding" && s.inspects()
		if !kept {
			remove = append(remove, key)
		}
	}
	return remove
}

// keptHeaders describe the body, the connection or the request itself.
var keptHeaders = set("host", "content-type", "content-length", encodingHeader, "transfer-encoding", "te", "trailer", "expect", "accept", "x-request-id", "x-forwarded-proto")

func (s *stream) onBody(m *extprocv3.HttpBody) (done bool, err error) {
	switch s.state {
	case fresh:
		return s.headless(func() (bool, error) { return s.onBody(m) })
	case holding, waiting:
		end := m.GetEndOfStream()
		if err := s.body.add(s.server, m.GetBody(), s.head.bytes); err != nil {
			return s.passUnheld(err, m.GetBody(), end)
		}
		switch {
		case s.state == waiting:
			return s.replace(end)
		case end:
			return s.send(true)
		}
		return false, nil
	case passing:
		reply := passRequestBody
		if s.request.echo {
			reply = s.chunk.echo(m, false)
		}
		if err := s.conn.Send(reply); err != nil {
			return true, err
		}
		return m.GetEndOfStream() && s.mayLeave(), nil
	default:
		return false, nil
	}
}

func (s *stream) onTrailers() (done bool, err error) {
	switch s.state {
	case fresh:
		return s.headless(s.onTrailers)
	case holding:
		if done, err := s.send(false); done || err != nil {
			return done, err
		}
	case waiting: // the body was empty
		refused, err := s.decide()
		if refused == nil && s.choice != "" {
			refused = needsBody // Envoy takes a choice with headers or a body only
		}
		if refused != nil || err != nil {
			return s.refuseOr(refused, err)
		}
		s.state = passing
	case gone:
		return false, nil
	case passing:
	}
	if err := s.conn.Send(passRequestTrailers); err != nil {
		return true, err
	}
	return s.mayLeave(), nil
}

// headless serves a request whose headers Envoy was told not to send. A chain
// that reads bodies or headers could be deceived then, and its changes would be
// ignored.
func (s *stream) headless(rest func() (bool, error)) (done bool, err error) {
	c := s.chain
	if c.readsBody || c.readsResponse || c.chooses || c.dropsHeaders || c.auth != nil || len(c.candidates) > 1 {
		return s.misconfigured("request_header_mode SKIP")
	}
	s.identify()
	var refused *refusal
	if s.profile, refused = c.pick(&s.head); refused == nil {
		refused, err = s.decide()
	}
	if refused != nil || err != nil {
		return s.refuseOr(refused, err)
	}
	s.state = passing
	s.responseNone = false // without its headers, who knows whether the peer is one that must not be left
	return rest()
}

// identify begins the record of a request. What our chain in the gateway phase
// decided about it has the same ID.
func (s *stream) identify() {
	s.record.ID, s.record.Time = cmp.Or(s.record.ID, newID()), time.Now()
}

// release gives the bodies up, and everything that refers to them: the stream
// may go on for as long as the response takes.
func (s *stream) release() {
	s.releaseRequest()
	s.result.release(s.server)
	s.collecting.answer = nil
	if s.live != nil {
		s.live.release(s.server)
		s.live = nil
	}
	s.done.Reset()
	s.run = run{}
}

func (s *stream) releaseRequest() {
	s.body.release(s.server)
	s.doc.Reset()
	s.chunk.chunk.Body = nil
	if cap(s.out) > maxKept {
		s.out = nil
	}
}

// sent gives up what the response does not need.
func (s *stream) sent() {
	s.chunk.chunk.Body = nil
	if !s.inspects() {
		s.release()
	}
}

// chunkSize is the size, in bytes, of the messages in which a held body is
// sent on.
const chunkSize = 256 << 10

// send decides about a body that was held and sends it on behind its headers.
// end tells that nothing follows the body.
func (s *stream) send(end bool) (done bool, err error) {
	if err := s.body.end(s.server); err != nil {
		return s.passUnheld(err, nil, end)
	}
	if refused, err := s.decide(); refused != nil || err != nil {
		return s.refuseOr(refused, err)
	}
	body := s.edited(&s.doc, s.body.bytes)
	set, remove := contentLength(released(end), s.head.length, len(body))
	if err := s.approve(set, s.body.bare(remove)); err != nil {
		return true, err
	}
	if err := s.stream(body, end, s.chunk.requestChunk); err != nil {
		return true, err
	}
	s.sent()
	return end && s.mayLeave(), nil
}

// stream sends a body on in pieces.
func (s *stream) stream(body []byte, end bool, reply func([]byte, bool) *extprocv3.ProcessingResponse) error {
	for {
		n := min(len(body), chunkSize)
		last := n == len(body)
		if n > 0 || end {
			if err := s.conn.Send(reply(body[:n], last && end)); err != nil {
				return err
			}
		}
		if body = body[n:]; last {
			return nil
		}
	}
}

// replace decides about a body that Envoy holds in its buffer.
func (s *stream) replace(end bool) (done bool, err error) {
	if err := s.body.end(s.server); err != nil {
		return s.passUnheld(err, nil, end)
	}
	if refused, err := s.decide(); refused != nil || err != nil {
		return s.refuseOr(refused, err)
	}
	var body []byte
	var set []*corev3.HeaderValueOption
	var remove []string
	if s.doc.Changed() || s.body.encoded() {
		body = s.edited(&s.doc, s.body.bytes)
		set, remove = contentLength(released(end), s.head.length, len(body))
		remove = s.body.bare(remove)
	}
	if s.choice != "" {
		remove = append(remove[:len(remove):len(remove)], choiceHeader)
	}
	s.state = passing
	err = s.conn.Send(wholeBody(body, set, remove, s.metadata(), s.choice != ""))
	s.sent()
	return err != nil || end && s.mayLeave(), err
}

// edited is a body with its edits.
func (s *stream) edited(doc *llm.Doc, body []byte) []byte {
	if !doc.Changed() {
		return body
	}
	n := doc.Len()
	if n > cap(s.out) {
		s.out = make([]byte, 0, n)
	}
	s.out = doc.Append(s.out[:0])
	return s.out
}

// decide runs the chain on what is known of the request. It returns nil if the
// request may go on, with its edits in doc and the backend in choice.
func (s *stream) decide() (refused *refusal, err error) {
	began := time.Now()
	s.record.Chain, s.record.Verdict = s.chain.ref, Passed
	s.run = run{server: s.server, chain: s.chain.Chain, profile: s.profile, record: &s.record, unread: s.mayPassUnread()}
	refused, err = s.judge()
	if err != nil {
		return nil, err
	}
	s.record.Duration = time.Since(began)
	if refused == nil && !s.inspects() {
		s.account()
	}
	return refused, nil
}

func (s *stream) judge() (refused *refusal, err error) {
	var model string
	named := false
	p := s.profile
	switch {
	case len(s.body.bytes) > 0:
		if err := s.reading.scan(&s.doc, s.body.bytes); err != nil {
			refused := badJSON(err)
			if !s.run.unread {
				return refused, nil
			}
			s.record.Unread = refused.code
			break
		}
		s.run.doc = &s.doc
		model, _ = s.doc.Model()
		named = s.doc.NamesModel()
	case s.record.Unread == "" && (s.chain.readsAll || s.changes) && (s.chain.needsBody(p) || expectsBody(s.head.method)):
		return needsBody, nil
	}
	if p != nil {
		if refused := p.permits(model, named); refused != nil {
			return refused, nil
		}
		if len(p.stages) > 0 || len(p.replies) > 0 {
			s.run.call = s.head.call()
		}
		if refused, err := s.run.do(s.conn.Context(), p.stages); refused != nil || err != nil {
			return refused, err
		}
	}
	b, service, refused := s.chain.choose(p, s.run.tags, model)
	if refused != nil || b == nil {
		return refused, nil
	}
	if s.record.Service = service; s.chain.chooses {
		s.choice, s.record.Backend = b.choice, b.name
	}
	api := b.at(s.head.bare())
	if api == nil || api.settings == nil && api.guard == nil {
		return nil, nil
	}
	if s.run.doc == nil && s.record.Unread == "" && api.settings != nil {
		return needsBody, nil
	}
	if api.settings != nil {
		switch err := s.doc.Set(api.settings); {
		case errors.Is(err, llm.ErrNoModel):
			return modelNotSpecified, nil
		case err != nil:
			return badMessages(err), nil
		}
	}
	return s.guarded(api.guard)
}

// guarded runs a guard on what the model is to get, and notes whether it is to
// see the answer.
func (s *stream) guarded(g *guard) (refused *refusal, err error) {
	if g == nil {
		return nil, nil
	}
	s.run.call = s.head.call()
	if s.run.doc != nil {
		refused, err = s.run.under(&g.profile, s.conn.Context(), g.stages)
	}
	if refused != nil || err != nil || len(g.replies) == 0 {
		return refused, err
	}
	s.guard = g
	return nil, nil
}

// needsBody tells whether a request without a body cannot be served.
func (c *Chain) needsBody(p *profile) bool {
	return p != nil && p.rule == config.ModelsListed && !p.observe
}

// account tells what was decided, once.
func (s *stream) account() {
	if s.accounted || s.record.Chain == "" {
		return
	}
	s.accounted = true
	if s.live != nil {
		for _, g := range s.live.steps {
			s.record.Steps = append(s.record.Steps, g.rec)
			s.server.calls.count(&g.rec)
		}
	}
	s.server.ring.add(&s.record)
	s.record.log(s.conn.Context(), s.server.log)
	if s.server.decided != nil {
		s.server.decided(&s.record)
	}
}

// refuse answers the request ourselves. The stream is over then.
func (s *stream) refuse(r *refusal) (done bool, err error) {
	s.judged(r)
	s.state, s.reply = gone, gone
	m := r.reply(s.errors(), s.record.ID)
	s.choice = ""
	attach(m, s.metadata())
	s.release()
	return true, s.conn.Send(m)
}

// judged notes the refusal of a request or its answer.
func (s *stream) judged(r *refusal) {
	s.server.count(r.verdict)
	if s.record.Time.IsZero() {
		s.identify()
	}
	s.record.Chain, s.record.Reason = s.chain.ref, r.code
	s.record.Verdict = r.verdict
	if r.verdict == Rejected {
		s.record.Reason = reasonOf(r.code)
	}
	s.account()
}

func (s *stream) refuseOr(r *refusal, err error) (done bool, _ error) {
	if err != nil {
		return true, err
	}
	return s.refuse(r)
}

// misconfigured refuses requests because the filter is set up so that we
// cannot read what we must. It is no failure that the failure mode covers.
func (s *stream) misconfigured(what string) (done bool, err error) {
	s.complain(what)
	return s.refuse(misconfiguration(what))
}

// complain tells operators, once, how the filter is set up.
func (s *stream) complain(what string) {
	if s.chain.warned.CompareAndSwap(false, true) {
		becomes, modes := "are refused with 500", "FULL_DUPLEX_STREAMED or BUFFERED"
		if s.record.Unheard {
			becomes, modes = "are not decided about", "STREAMED"
		}
		s.server.log.LogAttrs(context.Background(), slog.LevelError,
			"the ext_proc filter does not show us what the chain must read; requests "+becomes,
			slog.String("chain", s.chain.ref), slog.String("filter", what),
			slog.String("needed", "header modes SEND and body modes "+modes+", of requests, and of responses where the profile has response stages"))
	}
}

// mayLeave tells whether to end the stream when the request is answered in
// full, so that Envoy does not ask about the response. In full duplex
// responses would be lost, and agentgateway takes a clean end for a failure.
func (s *stream) mayLeave() bool { return s.responseNone && !s.head.pseudoLast }
