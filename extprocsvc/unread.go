package extprocsvc

// mayPassUnread tells whether a request that cannot be read may pass: all that
// would read it says so. The settings of a backend are not optional.
func (s *stream) mayPassUnread() bool {
	if s.chain.readsAll && !s.chain.passUnread {
		return false
	}
	path := s.head.bare()
	for _, b := range s.chain.backends {
		if a := b.at(path); a != nil && (a.settings != nil || a.guard != nil && !a.guard.unread) {
			return false
		}
	}
	return true
}

// passesUnread is the same for the answer.
func (s *stream) passesUnread() bool {
	return (!s.profiled() || s.chain.passUnread) && (s.guard == nil || s.guard.unread)
}

// unread refuses a request that cannot be read, or lets it pass as it is.
func (s *stream) unread(r *refusal, end bool) (done bool, err error) {
	if !s.mayPassUnread() {
		return s.refuse(r)
	}
	s.record.Unread = r.code
	return s.pass(end)
}

// passUnheld refuses a request whose body cannot be held, or lets it pass as it
// came: what is held of it, and the chunk that was too much.
func (s *stream) passUnheld(why error, chunk []byte, end bool) (done bool, err error) {
	refused := s.unheld(why)
	if refused == overBudget || !s.mayPassUnread() {
		return s.refuse(refused)
	}
	s.record.Unread = refused.code
	held := s.body.asItCame()
	s.body.bytes = nil // not to be looked at
	if s.state == waiting {
		return s.replace(end)
	}
	if refused, err := s.decide(); refused != nil || err != nil {
		return s.refuseOr(refused, err)
	}
	set, remove := contentLength(streamed, s.head.length, 0)
	if err := s.approve(set, remove); err != nil {
		return true, err
	}
	for _, part := range []struct {
		bytes []byte
		end   bool
	}{{held, false}, {chunk, end}} {
		if err := s.stream(part.bytes, part.end, s.chunk.requestChunk); err != nil {
			return true, err
		}
	}
	s.sent()
	return end && s.mayLeave(), nil
}
