package extprocsvc

import (
	"errors"
	"slices"

	"github.com/attache-dev/attache/extprocsvc/inflate"
)

// A held is a body that waits for its decision. The room that it takes counts
// against the server's budget.
type held struct {
	kept // the body without its encodings
	// decoder undoes the encodings, and came is the body with them; nil for a body
	// that has none.
	decoder *inflate.Decoder
	came    kept
	// also is what else was taken of the budget, in bytes.
	also int64
}

const encodingHeader = "content-encoding"

// Why a body cannot be held. Others are an [*inflate.Corrupt].
var (
	errTooLarge   = errors.New("the body is too large")
	errOverBudget = errors.New("too many bodies are held")
)

// open begins a body with encodings.
func (h *held) open(s *Server, codings []string) {
	if len(codings) > 0 {
		h.decoder, h.bytes = inflate.New(codings, s.maxBody.Load()), []byte{}
	}
}

// add keeps a chunk, within the limits. promised is the value of
// content-length, or -1. A chunk that does not fit is not kept.
func (h *held) add(s *Server, chunk []byte, promised int64) error {
	if h.decoder == nil {
		return h.kept.add(s, chunk, promised)
	}
	before := h.came.bytes
	err := h.came.add(s, chunk, promised)
	if err == nil {
		if err = tooLargeOr(h.decoder.Write(chunk, h.decoded(s))); err == nil {
			err = h.claim(s, h.decoder.Held()-h.also)
		}
		if err != nil {
			h.came.bytes = before
		}
	}
	return err
}

// end ends the body, all of which has come.
func (h *held) end(s *Server) error {
	if h.decoder == nil {
		return nil
	}
	return tooLargeOr(h.decoder.Close(h.decoded(s)))
}

func (h *held) decoded(s *Server) func([]byte) error {
	return func(piece []byte) error { return h.kept.add(s, piece, -1) }
}

func tooLargeOr(err error) error {
	if errors.Is(err, inflate.ErrTooLarge) {
		return errTooLarge
	}
	return err
}

// claim takes room for n bytes that are kept elsewhere because of the body.
func (h *held) claim(s *Server, n int64) error {
	switch {
	case n <= 0:
		return nil
	case !s.hold(n):
		return errOverBudget
	}
	h.also += n
	return nil
}

// encoded tells that the body is sent on without the encodings that it had.
func (h *held) encoded() bool { return h.decoder != nil }

// asItCame gives the decoding up. What is held is the body as it came.
func (h *held) asItCame() []byte {
	if h.decoder == nil {
		return h.bytes
	}
	h.decoder.Stop()
	h.bytes, h.decoder = h.came.bytes, nil
	return h.bytes
}

// bare adds the header of the encodings to those that are removed, if the body is
// sent on without them.
func (h *held) bare(remove []string) []string {
	if h.encoded() {
		remove = append(slices.Clip(remove), encodingHeader)
	}
	return remove
}

// release gives the body up.
func (h *held) release(s *Server) {
	s.held.give(h.taken + h.came.taken + h.also)
	if h.decoder != nil {
		h.decoder.Stop()
	}
	*h = held{}
}

// A kept is bytes that come in chunks, and what they take of the budget.
type kept struct {
	bytes []byte
	taken int64
}

// add keeps a chunk behind the others. The first is kept as it is, where bytes is
// nil; all others are copied.
func (k *kept) add(s *Server, chunk []byte, promised int64) error {
	need := len(k.bytes) + len(chunk)
	if int64(need) > s.maxBody.Load() {
		return errTooLarge
	}
	has := cap(k.bytes)
	if k.bytes == nil {
		has = need // most bodies come in one piece, which is ours already
	}
	room := roomFor(need, has, promised)
	if more := int64(room) - k.taken; more > 0 {
		if !s.hold(more) {
			return errOverBudget
		}
		k.taken += more
	}
	if k.bytes == nil {
		k.bytes = chunk[:need:need]
		return nil
	}
	if room > cap(k.bytes) {
		k.bytes = append(make([]byte, 0, room), k.bytes...)
	}
	k.bytes = append(k.bytes, chunk...)
	return nil
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
