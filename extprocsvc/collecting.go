package extprocsvc

import (
	"cmp"
	"errors"
	"time"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"

	"github.com/attache-dev/attache/extprocsvc/collect"
)

// A collecting is a streamed answer that the stages see when it is complete, in
// the form of one that is not streamed. Until then nothing of it is sent, not even
// its headers, so that it can still be refused with a status.
type collecting struct {
	on       bool
	deadline time.Time
	answer   *collect.Answer // nil until it is complete
	next     chan received   // what is being received while there is a deadline
}

type received struct {
	message *extprocv3.ProcessingRequest
	err     error
}

// errLate tells that an answer takes longer to collect than it may.
var errLate = errors.New("the answer is not complete in time")

// collect begins to collect an answer. One that is only observed passes meanwhile.
func (s *stream) collect() {
	s.collecting.on = true
	s.collecting.deadline = time.Now().Add(cmp.Or(s.chain.limit, s.server.collectTimeout))
	s.record.Collected = true
	if s.observing() && s.response.echo {
		s.reply = copying
	}
}

// recv waits for the next message: of an answer that is collected no longer than
// until its deadline. Where Envoy buffers it, it has limits of its own.
func (s *stream) recv() (*extprocv3.ProcessingRequest, error) {
	c := &s.collecting
	limited := c.on && s.reply == holding && s.response.echo
	if c.next == nil {
		if !limited {
			return s.conn.Recv()
		}
		conn, next := s.conn, make(chan received, 1)
		c.next = next
		go func() {
			m, err := conn.Recv()
			next <- received{m, err}
		}()
	}
	var late <-chan time.Time
	if limited {
		timer := time.NewTimer(time.Until(c.deadline))
		defer timer.Stop()
		late = timer.C
	}
	select {
	case r := <-c.next:
		c.next = nil
		return r.message, r.err
	case <-late:
		return nil, errLate
	}
}

// gather reads an answer that is complete.
func (s *stream) gather() error {
	a, err := collect.Read(s.result.bytes)
	if err != nil {
		return err
	}
	if err := s.result.claim(s.server, int64(len(a.Body))); err != nil {
		return err
	}
	if s.observing() { // nothing changes
		a.Events = s.result.bytes
	}
	s.collecting.answer = a
	return s.done.Scan(a.Dialect, a.Body)
}

// copy lets a chunk pass, and keeps a copy of it.
func (s *stream) copy(m *extprocv3.HttpBody) (done bool, err error) {
	out := s.chunk.echo(m, true)
	if err := s.result.add(s.server, m.GetBody(), s.answer.bytes); err != nil {
		s.giveUp(unheldResponse(err))
	} else if m.GetEndOfStream() {
		if err := s.copied(); err != nil {
			return true, err
		}
		out = attach(s.chunk.echo(m, true), s.metadata())
	}
	return false, s.conn.Send(out)
}

// copied runs the stages on the copy of an answer. Whatever they say, it has
// passed.
func (s *stream) copied() error {
	if err := s.result.end(s.server); err != nil {
		s.giveUp(unheldResponse(err))
		return nil
	}
	_, err := s.decideResponse()
	s.reply = passing
	s.release()
	return err
}

// giveUp looks at an answer no more.
func (s *stream) giveUp(why *refusal) {
	s.record.Reason = why.code
	s.account()
	s.reply = passing
	s.release()
}
