package inflate

import (
	"errors"
	"io"
	"iter"
	"sync"
)

// MaxRatio is how many times longer than what came a body may become beyond its
// limit.
const MaxRatio = 256

// ErrTooLarge is for a body that becomes longer than its limit and [MaxRatio]
// times as long as what came.
var ErrTooLarge = errors.New("the content is too large for what came of it")

// Corrupt is the error for a body that is not what its encodings say. It quotes
// nothing of it.
type Corrupt struct{ Err error }

func (e *Corrupt) Error() string {
	return "the content is not what its encoding says: " + e.Err.Error()
}

// Unwrap returns what is wrong.
func (e *Corrupt) Unwrap() error { return e.Err }

var (
	errTrailing = errors.New("something follows its end")
	errPanic    = errors.New("the decoder panicked")
	errStopped  = errors.New("stopped")
)

// A Decoder undoes the encodings of one body. It is for one goroutine, and after
// an error it is over. [Decoder.Stop] must be called in the end.
type Decoder struct {
	layers []*layer // the last encoding first
	came   int64    // bytes
}

// New returns a decoder at the beginning of a body with the encodings that
// [Codings] has read. limit is in bytes.
func New(list []string, limit int64) *Decoder {
	d := &Decoder{}
	for i := len(list) - 1; i >= 0; i-- {
		l := &layer{of: d, coding: codings[list[i]], limit: limit}
		l.next, l.stop = iter.Pull(l.decode)
		d.layers = append(d.layers, l)
	}
	return d
}

// Write takes the next piece of the body, which is not kept, and calls take with
// what it tells, in pieces that are valid during the call. An error of take ends
// the work and is returned. Others are [ErrTooLarge] or a [*Corrupt].
func (d *Decoder) Write(piece []byte, take func([]byte) error) error {
	if len(piece) == 0 {
		return nil
	}
	d.came += int64(len(piece))
	return d.write(0, piece, false, take)
}

// Close ends the body: what has come must be all of it. A body of no bytes has no
// content.
func (d *Decoder) Close(take func([]byte) error) error {
	for i := range d.layers {
		if err := d.write(i, nil, true, take); err != nil {
			return err
		}
	}
	return nil
}

// Held is about how many bytes the decoder remembers.
func (d *Decoder) Held() (n int64) {
	for _, l := range d.layers {
		if l.upFront && l.of.came > 0 {
			n += l.window
		} else {
			n += min(l.gave, l.window)
		}
	}
	return n
}

// Stop gives everything back. It may be called more than once.
func (d *Decoder) Stop() {
	for _, l := range d.layers {
		l.stop()
	}
}

func (d *Decoder) write(i int, piece []byte, end bool, take func([]byte) error) error {
	if i == len(d.layers) {
		return take(piece)
	}
	return d.layers[i].write(piece, end, func(out []byte) error { return d.write(i+1, out, false, take) })
}

// A layer undoes one encoding.
type layer struct {
	of *Decoder
	coding
	limit, gave int64 // bytes

	in   []byte // what came and was not read
	end  bool   // nothing else comes
	over bool   // the decoder is through
	err  error  // why

	// next runs the decoder until it has something, or with nil until it wants
	// something.
	next func() (out []byte, more bool)
	stop func()
}

func (l *layer) write(piece []byte, end bool, take func([]byte) error) error {
	l.in, l.end = piece, end
	if l.of.came == 0 {
		return nil
	}
	for !l.over {
		out, more := l.next()
		switch {
		case !more:
			l.over = true
		case out == nil:
			return nil
		default:
			if l.gave += int64(len(out)); l.gave > l.limit && l.gave/MaxRatio > l.of.came {
				return ErrTooLarge
			}
			if err := take(out); err != nil {
				return err
			}
		}
	}
	if l.err == nil && len(l.in) > 0 {
		l.err = errTrailing
	}
	if l.err != nil {
		return &Corrupt{l.err}
	}
	return nil
}

var buffers = sync.Pool{New: func() any { return new([16 << 10]byte) }}

// decode is the coroutine.
func (l *layer) decode(yield func([]byte) bool) {
	buf := buffers.Get().(*[16 << 10]byte)
	defer buffers.Put(buf)
	defer func() {
		if recover() != nil {
			l.err = errPanic
		}
	}()
	r, err := l.open(&source{layer: l, yield: yield})
	opened := err == nil
	if c, ok := r.(interface{ Close() }); ok && opened {
		defer c.Close()
	}
	for n := 0; err == nil; {
		n, err = r.Read(buf[:])
		if n > 0 && !yield(buf[:n]) {
			return
		}
	}
	switch {
	case err != io.EOF:
		l.err = err
	case !opened: // the end came before there was anything
		l.err = io.ErrUnexpectedEOF
	}
}

// A source is what the decoder of a layer reads.
type source struct {
	*layer
	yield func([]byte) bool
}

// wait returns when there is something to read.
func (s *source) wait() error {
	for len(s.in) == 0 {
		switch {
		case s.end:
			return io.EOF
		case !s.yield(nil):
			return errStopped
		}
	}
	return nil
}

// Read reads what is there, and waits if there is nothing.
func (s *source) Read(p []byte) (n int, err error) {
	if err := s.wait(); err != nil {
		return 0, err
	}
	n = copy(p, s.in)
	s.in = s.in[n:]
	return n, nil
}

// ReadByte reads one byte. With it no decoder needs a buffer of its own, in which
// it would hide what follows the end.
func (s *source) ReadByte() (byte, error) {
	if err := s.wait(); err != nil {
		return 0, err
	}
	b := s.in[0]
	s.in = s.in[1:]
	return b, nil
}

// unread puts back what was read at the beginning.
func (s *source) unread(head []byte) { s.in = append(head[:len(head):len(head)], s.in...) }
