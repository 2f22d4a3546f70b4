package extprocsvc

import (
	"errors"
	"slices"

	"github.com/attache-dev/attache/extprocsvc/inflate"
)

// A held is a body that waits for its decision. Its size counts against the
// server's budget.
type held struct {
	// bytes is the body without its encodings.
	bytes []byte
	taken int64
	// decoder undoes the encodings, and came is the body with them; nil for a body
	// that has none.
	decoder *inflate.Decoder
	came    []byte
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
		if err := h.claim(s, len(h.bytes), len(chunk)); err != nil {
			return err
		}
		if h.bytes == nil {
			h.bytes = chunk // most bodies come in one piece, which is ours already
		} else {
			h.bytes = join(h.bytes, chunk, promised)
		}
		return nil
	}
	if err := h.claim(s, len(h.came), len(chunk)); err != nil {
		return err
	}
	if err := h.decoder.Write(chunk, h.decoded(s)); err != nil {
		return tooLargeOr(err)
	}
	h.came = join(h.came, chunk, promised)
	return nil
}

// end ends the body, all of which has come.
func (h *held) end(s *Server) error {
	if h.decoder == nil {
		return nil
	}
	return tooLargeOr(h.decoder.Close(h.decoded(s)))
}

func (h *held) decoded(s *Server) func([]byte) error {
	return func(piece []byte) error {
		err := h.claim(s, len(h.bytes), len(piece))
		if err == nil {
			h.bytes = join(h.bytes, piece, -1)
		}
		return err
	}
}

func tooLargeOr(err error) error {
	if errors.Is(err, inflate.ErrTooLarge) {
		return errTooLarge
	}
	return err
}

// claim takes room for n bytes behind others.
func (h *held) claim(s *Server, others, n int) error {
	if int64(others)+int64(n) > s.maxBody.Load() {
		return errTooLarge
	}
	if s.held.Add(int64(n)) > s.budget {
		s.held.Add(-int64(n))
		return errOverBudget
	}
	h.taken += int64(n)
	return nil
}

// encoded tells that the body is sent on without the encodings that it had.
func (h *held) encoded() bool { return h.decoder != nil }

// asItCame gives the decoding up. What is held is the body as it came.
func (h *held) asItCame() []byte {
	if h.decoder != nil {
		h.decoder.Stop()
		h.bytes, h.decoder, h.came = h.came, nil, nil
	}
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
	s.held.Add(-h.taken)
	if h.decoder != nil {
		h.decoder.Stop()
	}
	*h = held{}
}
