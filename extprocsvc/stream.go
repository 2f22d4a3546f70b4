package extprocsvc

import (
	"context"
	"log/slog"
	"time"

	extprocfilterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/attache-dev/attache/extprocsvc/llm"
)

// The two directions of a stream are apart. The response direction has no
// state: nothing of ours looks at responses yet, so every message is passed on
// as its mode wants it. A stream that begins with response headers, because an
// earlier filter of Envoy's answered, needs no more than that.
//
// The request direction is in one of these states.
type state int

const (
	fresh   state = iota // nothing of the request was seen
	holding              // full duplex: the reply to the headers waits for the whole body
	waiting              // buffered: the headers were let pass, the body is to come in one piece
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
	request, response manner
	requestMode       extprocfilterv3.ProcessingMode_BodySendMode
	responseNone      bool // the first message says that no body of a response will come

	state state
	head  head
	body  []byte
	held  int64 // bytes taken from the budget
	doc   llm.Doc
	out   []byte // room for edited bodies

	run     run
	record  Record
	headers headersReply
	chunk   streamedReply
}

// recycle forgets the request and keeps the room.
func (s *stream) recycle() {
	s.release()
	s.record.reset()
	*s = stream{doc: s.doc, out: s.out, record: s.record}
}

// maxKept is the largest buffer, in bytes, that outlives its request.
const maxKept = 64 << 10

// serve answers messages until the stream ends. It returns nil early if
// nothing that is still to come needs an answer.
func (s *stream) serve() error {
	s.request = manners[extprocfilterv3.ProcessingMode_FULL_DUPLEX_STREAMED]
	s.requestMode = extprocfilterv3.ProcessingMode_FULL_DUPLEX_STREAMED
	s.response = s.request
	for {
		m, err := s.conn.Recv()
		if err != nil {
			return err
		}
		if c := m.GetProtocolConfig(); c != nil {
			s.requestMode = c.GetRequestBodyMode()
			s.request, s.response = manners[s.requestMode], manners[c.GetResponseBodyMode()]
			s.responseNone = !s.response.body
		}
		if m.GetObservabilityMode() {
			continue // replies are ignored, and nothing is to be observed yet
		}
		done, err := s.on(m)
		if done || err != nil {
			return err
		}
	}
}

// on answers one message. done means that the conversation is over.
func (s *stream) on(m *extprocv3.ProcessingRequest) (done bool, err error) {
	switch m := m.GetRequest().(type) {
	case *extprocv3.ProcessingRequest_RequestHeaders:
		return s.onHeaders(m.RequestHeaders)
	case *extprocv3.ProcessingRequest_RequestBody:
		return s.onBody(m.RequestBody)
	case *extprocv3.ProcessingRequest_RequestTrailers:
		return s.onTrailers()
	case *extprocv3.ProcessingRequest_ResponseHeaders:
		s.abandon()
		return false, s.conn.Send(passResponseHeaders)
	case *extprocv3.ProcessingRequest_ResponseBody:
		if s.response.echo {
			return false, s.conn.Send(s.chunk.echo(m.ResponseBody, true))
		}
		return false, s.conn.Send(passResponseBody)
	case *extprocv3.ProcessingRequest_ResponseTrailers:
		return false, s.conn.Send(passResponseTrailers)
	default:
		return false, nil // flow control, or something newer than we are
	}
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
	if !s.chain.readsBody {
		return s.pass(end)
	}
	switch {
	case s.head.refused != nil:
		return s.refuse(s.head.refused)
	case end:
		return s.pass(true)
	case !s.request.reads:
		return s.misconfigured("request_body_mode " + s.requestMode.String())
	case s.head.body != nil:
		return s.refuse(s.head.body)
	case s.head.bytes > s.server.maxBody:
		return s.refuse(tooLarge(s.server.maxBody))
	}
	s.state = s.request.state
	if s.state == waiting {
		return false, s.conn.Send(passRequestHeaders)
	}
	return false, nil
}

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
	s.state = passing
	if err := s.conn.Send(s.headers.with(set, remove)); err != nil {
		return true, err
	}
	return (end || !s.request.body) && s.mayLeave(), nil
}

func (s *stream) onBody(m *extprocv3.HttpBody) (done bool, err error) {
	switch s.state {
	case fresh:
		return s.headless(func() (bool, error) { return s.onBody(m) })
	case holding, waiting:
		if refused := s.hold(m.GetBody()); refused != nil {
			return s.refuse(refused)
		}
		if s.state == waiting {
			return s.replace(m.GetEndOfStream())
		}
		if m.GetEndOfStream() {
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
		if refused, err := s.decide(); refused != nil || err != nil {
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
// that reads bodies could be deceived then, and its changes would be ignored.
func (s *stream) headless(rest func() (bool, error)) (done bool, err error) {
	if s.chain.readsBody {
		return s.misconfigured("request_header_mode SKIP")
	}
	if refused, err := s.decide(); refused != nil || err != nil {
		return s.refuseOr(refused, err)
	}
	s.state = passing
	return rest()
}

// hold keeps a chunk, within the limits.
func (s *stream) hold(chunk []byte) *refusal {
	n := int64(len(chunk))
	if int64(len(s.body))+n > s.server.maxBody {
		return tooLarge(s.server.maxBody)
	}
	if s.server.held.Add(n) > s.server.budget {
		s.server.held.Add(-n)
		return overBudget
	}
	s.held += n
	if s.body == nil {
		s.body = chunk // most bodies come in one piece, which is ours already
	} else {
		s.body = join(s.body, chunk, s.head.bytes)
	}
	return nil
}

// release gives the body up, and everything that refers to it: the stream may
// go on for as long as the response takes.
func (s *stream) release() {
	s.server.held.Add(-s.held)
	s.held, s.body = 0, nil
	s.doc.Reset()
	s.run = run{}
	s.chunk.chunk.Body = nil
	if cap(s.out) > maxKept {
		s.out = nil
	}
}

// chunkSize is the size, in bytes, of the messages in which a held body is
// sent on.
const chunkSize = 256 << 10

// send decides about a body that was held and sends it on behind its headers.
// end tells that nothing follows the body.
func (s *stream) send(end bool) (done bool, err error) {
	if refused, err := s.decide(); refused != nil || err != nil {
		return s.refuseOr(refused, err)
	}
	body := s.edited()
	set, remove := contentLength(released(end), s.head.length, len(body))
	s.state = passing
	if err := s.conn.Send(s.headers.with(set, remove)); err != nil {
		return true, err
	}
	for {
		n := min(len(body), chunkSize)
		last := n == len(body)
		if n > 0 || end {
			if err := s.conn.Send(s.chunk.requestChunk(body[:n], last && end)); err != nil {
				return true, err
			}
		}
		if body = body[n:]; last {
			break
		}
	}
	s.release()
	return end && s.mayLeave(), nil
}

// replace decides about a body that Envoy holds in its buffer.
func (s *stream) replace(end bool) (done bool, err error) {
	if refused, err := s.decide(); refused != nil || err != nil {
		return s.refuseOr(refused, err)
	}
	reply := passRequestBody
	if s.doc.Changed() {
		body := s.edited()
		set, remove := contentLength(released(end), s.head.length, len(body))
		reply = wholeBody(body, set, remove)
	}
	s.state = passing
	err = s.conn.Send(reply)
	s.release()
	return err != nil || end && s.mayLeave(), err
}

// edited is the body with its edits.
func (s *stream) edited() []byte {
	if !s.doc.Changed() {
		return s.body
	}
	n := s.doc.Len()
	if n > cap(s.out) {
		s.out = make([]byte, 0, n)
	}
	s.out = s.doc.Append(s.out[:0])
	return s.out
}

// decide runs the chain on what is known of the request. It returns nil if the
// request may go on, with its edits in doc.
func (s *stream) decide() (refused *refusal, err error) {
	began := time.Now()
	s.record.Chain, s.record.Verdict = s.chain.ref, Passed
	s.run = run{
		chain: s.chain.Chain, timeout: s.server.stepTimeout, log: s.server.log, record: &s.record,
	}
	ctx := s.conn.Context()
	switch {
	case len(s.body) > 0:
		if err := s.doc.Scan(llm.ChatCompletions, s.body); err != nil {
			refused = badJSON(err)
			break
		}
		s.run.prompt = &s.doc
		refused, err = s.run.do(ctx)
	case s.chain.readsBody && (s.chain.model != "" || expectsBody(s.head.method)):
		refused = needsBody
	default:
		refused, err = s.run.do(ctx)
	}
	if err != nil {
		return nil, err
	}
	s.record.Duration = time.Since(began)
	if refused == nil {
		s.account()
	}
	return refused, nil
}

// account tells what was decided.
func (s *stream) account() {
	s.record.log(s.conn.Context(), s.server.log)
	if s.server.decided != nil {
		s.server.decided(&s.record)
	}
}

// refuse answers the request ourselves. The stream is over then.
func (s *stream) refuse(r *refusal) (done bool, err error) {
	s.server.count(r.verdict)
	s.record.Chain, s.record.Reason = s.chain.ref, r.code
	s.record.Verdict = r.verdict
	s.account()
	s.state = gone
	s.release()
	return true, s.conn.Send(r.reply())
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
	if s.chain.warned.CompareAndSwap(false, true) {
		s.server.log.LogAttrs(context.Background(), slog.LevelError,
			"the ext_proc filter does not show us what the chain must read; requests are refused with 500",
			slog.String("chain", s.chain.ref), slog.String("filter", what),
			slog.String("needed", "request_header_mode SEND with request_body_mode FULL_DUPLEX_STREAMED or BUFFERED"))
	}
	return s.refuse(unreadable)
}

// mayLeave tells whether to end the stream when the request is answered in
// full, so that Envoy does not ask about the response. In full duplex
// responses would be lost, and agentgateway takes a clean end for a failure.
func (s *stream) mayLeave() bool { return s.responseNone && !s.head.pseudoLast }
