package extprocsvc

// A held is a body that waits for its decision. The room that it takes counts
// against the server's budget.
type held struct {
	bytes []byte
	taken int64
}

// add keeps a chunk, within the limits. promised is the value of
// content-length, or -1.
func (h *held) add(s *Server, chunk []byte, promised int64, large *refusal) *refusal {
	need := len(h.bytes) + len(chunk)
	if int64(need) > s.maxBody.Load() {
		return large
	}
	has := cap(h.bytes)
	if h.bytes == nil {
		has = need // most bodies come in one piece, which is ours already
	}
	room := roomFor(need, has, promised)
	if more := int64(room) - h.taken; more > 0 {
		if !s.hold(more) {
			return overBudget
		}
		h.taken += more
	}
	if h.bytes == nil {
		h.bytes = chunk[:need:need]
		return nil
	}
	if room > cap(h.bytes) {
		h.bytes = append(make([]byte, 0, room), h.bytes...)
	}
	h.bytes = append(h.bytes, chunk...)
	return nil
}

// release gives the body up.
func (h *held) release(s *Server) {
	s.held.give(h.taken)
	*h = held{}
}

// roomFor is the room for a body of need bytes that has some already: what
// content-length promises, but never more than prealloc on its word alone.
func roomFor(need, has int, promised int64) int {
	const prealloc = 1 << 20
	if need <= has {
		return has
	}
	room := max(need, 2*has, int(min(promised, prealloc)))
	if int64(need) <= promised {
		room = min(room, int(promised))
	}
	return room
}
