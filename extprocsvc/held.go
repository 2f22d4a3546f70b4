package extprocsvc

// A held is a body that waits for its decision. Its size counts against the
// server's budget.
type held struct {
	bytes []byte
	taken int64
}

// add keeps a chunk, within the limits. promised is the value of
// content-length, or -1.
func (h *held) add(s *Server, chunk []byte, promised int64, large *refusal) *refusal {
	n := int64(len(chunk))
	if int64(len(h.bytes))+n > s.maxBody.Load() {
		return large
	}
	if !s.hold(n) {
		return overBudget
	}
	h.taken += n
	if h.bytes == nil {
		h.bytes = chunk // most bodies come in one piece, which is ours already
	} else {
		h.bytes = join(h.bytes, chunk, promised)
	}
	return nil
}

// release gives the body up.
func (h *held) release(s *Server) {
	s.held.give(h.taken)
	*h = held{}
}
