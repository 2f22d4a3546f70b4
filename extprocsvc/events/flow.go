package events

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/attache-dev/attache/extprocsvc/llm"
)

// MaxTexts bounds the texts of an answer that are open at a time.
const MaxTexts = 1024

// Why a stream is stopped.
var (
	// ErrTooLarge is for more bytes held than Config.MaxHeld.
	ErrTooLarge = errors.New("more than MaxHeld bytes of events would be held")
	// ErrTooMany is for more texts than MaxTexts.
	ErrTooMany = fmt.Errorf("more than %d texts at a time", MaxTexts)
	// ErrResumed is for a text that went on after it had ended, in the middle of
	// something that a guard would have changed.
	ErrResumed = errors.New("a text went on after its end, and belongs with what was sent")
)

// Stopped is the error for a guard that has stopped the answer.
type Stopped struct{ Guard int }

func (e *Stopped) Error() string { return fmt.Sprintf("guard %d stopped the answer", e.Guard) }

// Misbehaved is the error for a guard that has decided what makes no sense.
type Misbehaved struct{ Guard int }

func (e *Misbehaved) Error() string {
	return fmt.Sprintf("guard %d changes what it had decided, or what it has not got", e.Guard)
}

// Unreadable is the error for an event that cannot be read. It quotes nothing.
type Unreadable struct{ Err error }

func (e *Unreadable) Error() string { return "an event cannot be read: " + e.Err.Error() }

// Unwrap returns what is wrong with the event.
func (e *Unreadable) Unwrap() error { return e.Err }

// Config is what a flow is made of.
type Config struct {
	// Guards is the number of guards. Each text goes through them in order, each
	// sees what those before it have left.
	Guards int
	// New makes a guard at the beginning of a text.
	New func(guard int) Guard
	// MaxHeld bounds the bytes that are held; 0 means no bound.
	MaxHeld int
}

// A Flow is one streamed answer on its way through the guards. It is for one
// goroutine. After an error it is over.
type Flow struct {
	config   Config
	splitter llm.Splitter
	reader   llm.EventReader
	dialect  *llm.EventDialect

	// queue are the events that were not sent, from head on.
	queue  []*event
	head   int
	held   int   // bytes in the queue
	number int   // of the event at hand
	next   int64 // behind the last event that was sent, as the API counts
	free   []*event

	texts map[llm.TextKey]*text
	alone text // for what is complete in itself
	live  []*text
	rooms rooms
	idle  [][]Guard
	buf   []byte
}

// An event waits for its texts to be decided.
type event struct {
	raw     []byte
	room    []byte
	open    int // pieces that are not decided
	next    int64
	changes []change
}

// A change puts bytes in place of a range of an event.
type change struct {
	at, end int
	put     []byte
}

// New returns a flow at the beginning of an answer.
func New(c Config) *Flow {
	f := &Flow{config: c, texts: map[llm.TextKey]*text{}, idle: make([][]Guard, c.Guards)}
	f.splitter.Max = c.MaxHeld
	f.alone.flow, f.alone.once = f, true
	return f
}

// Dialect is that of the events so far, or nil.
func (f *Flow) Dialect() *llm.EventDialect { return f.dialect }

// Next is the number that the API would give to an event behind those that were
// sent; 0 for APIs that do not count.
func (f *Flow) Next() int64 { return f.next }

// Held is the number of bytes that came and were not sent.
func (f *Flow) Held() int { return f.held + len(f.splitter.Rest()) }

// Write takes the next piece of the stream, which is not kept, and appends what
// can be sent now, also where it fails.
func (f *Flow) Write(dst, piece []byte) ([]byte, error) {
	err := f.splitter.Write(piece, func(raw []byte) (err error) {
		dst, err = f.event(dst, raw)
		return err
	})
	switch {
	case errors.Is(err, llm.ErrEventTooLarge):
		return dst, ErrTooLarge
	case err == nil && f.config.MaxHeld > 0 && f.Held() > f.config.MaxHeld:
		return dst, ErrTooLarge
	}
	return dst, err
}

// Close ends the stream, and appends what is left to be sent.
func (f *Flow) Close(dst []byte) ([]byte, error) {
	var err error
	// Readers that are not strict take what no blank line ends for an event.
	rest := f.splitter.Rest()
	f.splitter = llm.Splitter{}
	if len(bytes.TrimSpace(rest)) > 0 {
		if dst, err = f.event(dst, rest); err != nil {
			return dst, err
		}
	} else if len(rest) > 0 {
		f.add(rest)
	}
	for _, t := range f.live {
		if err := t.close(); err != nil {
			return f.release(dst), err
		}
	}
	return f.release(dst), nil
}

// Rest appends what came and was not sent, as it came: for those who do not
// need to know what is in it. It ends the flow.
func (f *Flow) Rest(dst []byte) []byte {
	for _, e := range f.queue[f.head:] {
		dst = append(dst, e.raw...)
	}
	dst = append(dst, f.splitter.Rest()...)
	f.queue, f.head, f.held, f.splitter = nil, 0, 0, llm.Splitter{}
	return dst
}

// event takes one event.
func (f *Flow) event(dst, raw []byte) ([]byte, error) {
	e := f.add(raw)
	err := f.look(e)
	dst = f.release(dst)
	if e.open > 0 || f.head < len(f.queue) && f.queue[len(f.queue)-1] == e {
		e.room = append(e.room[:0], raw...)
		e.raw = e.room
	}
	return dst, err
}

// add queues an event.
func (f *Flow) add(raw []byte) *event {
	var e *event
	if n := len(f.free); n > 0 {
		e, f.free = f.free[n-1], f.free[:n-1]
	} else {
		e = &event{}
	}
	e.raw, e.open, e.next, e.changes = raw, 0, 0, e.changes[:0]
	f.queue = append(f.queue, e)
	f.held += len(raw)
	return e
}

// look guards the texts of an event.
func (f *Flow) look(e *event) error {
	found, err := f.reader.Read(e.raw)
	// Until it is through, the event must not be sent.
	e.open++
	if err != nil {
		return &Unreadable{err}
	}
	if found.Dialect != nil {
		f.dialect = found.Dialect
	}
	f.number++
	e.next = found.Next
	moved := false
	for i := range found.Finds {
		find := &found.Finds[i]
		switch find.Use {
		case llm.Withheld:
			e.changes = append(e.changes, change{find.At, find.End, []byte(find.Put)})
		case llm.Signature:
			err = f.sign(e, find)
		case llm.Joined:
			moved = true
			err = f.join(e, find)
		default:
			err = f.complete(e, find)
		}
		if err != nil {
			return err
		}
	}
	if moved && len(f.live) > 0 {
		err = f.overtake(found.Finds)
	}
	for i := range found.Ends {
		if err == nil {
			err = f.ends(&found.Ends[i])
		}
	}
	if err != nil {
		return err
	}
	e.open--
	f.live = slices.DeleteFunc(f.live, func(t *text) bool {
		t.listed = len(t.pieces) > 0
		return !t.listed
	})
	return nil
}

// sign ends the text that a signature is for, and marks the signature if the text
// was changed.
func (f *Flow) sign(e *event, find *llm.Find) error {
	t := f.texts[find.Key]
	if t == nil {
		return nil
	}
	if err := f.close(t); err != nil {
		return err
	}
	if t.changed {
		t.changed = false
		e.changes = append(e.changes, change{find.At, find.At, []byte(llm.SignatureMark)})
	}
	return nil
}

// complete guards a text that is complete in itself.
func (f *Flow) complete(e *event, find *llm.Find) error {
	t := &f.alone
	t.decoder, t.size, t.done, t.inner = llm.Decoder{}, 0, 0, nil
	if find.JSON {
		t.inner = &arguments{}
	}
	if err := f.take(t, e, find); err != nil {
		return err
	}
	return t.close()
}

// join guards the next piece of a text.
func (f *Flow) join(e *event, find *llm.Find) error {
	t := f.texts[find.Key]
	if t == nil {
		if len(f.texts) >= MaxTexts {
			return ErrTooMany
		}
		t = &text{flow: f, key: find.Key}
		if find.JSON {
			t.inner = &arguments{}
		}
		f.texts[find.Key] = t
	}
	t.event = f.number
	err := f.take(t, e, find)
	if len(t.pieces) > 0 && !t.listed {
		t.listed = true
		f.live = append(f.live, t)
	}
	return err
}

// take hands a piece to a text.
func (f *Flow) take(t *text, e *event, find *llm.Find) error {
	raw := e.raw[find.At:find.End]
	p := piece{event: e, at: find.At, end: find.End, from: t.size, decoder: t.decoder, quoted: find.Quoted}
	b := raw
	if find.Quoted {
		if bytes.IndexByte(raw, '\\') >= 0 {
			f.buf = t.decoder.Append(f.buf[:0], raw)
			b = f.buf
		} else {
			t.decoder = llm.Decoder{}
		}
	}
	p.to = p.from + len(b)
	t.pieces = append(t.pieces, p)
	e.open++
	return t.feed(b)
}

// overtake ends texts of which something is held while another text of the same
// choice goes on. A text at a place that no table knows may be over with one
// event.
func (f *Flow) overtake(finds []llm.Find) error {
	for _, t := range f.live {
		if t.event == f.number || len(t.pieces) == 0 {
			continue
		}
		over := t.stray()
		for i := range finds {
			over = over || finds[i].Use == llm.Joined && finds[i].Key.N[0] == t.key.N[0]
		}
		if over {
			if err := f.close(t); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *text) stray() bool { return bytes.IndexByte([]byte(t.key.Name), ':') >= 0 }

// ends ends texts because the dialect says so.
func (f *Flow) ends(end *llm.Ending) error {
	if !end.All && !end.Everything {
		if t := f.texts[end.Key]; t != nil {
			return f.close(t)
		}
		return nil
	}
	for _, t := range f.texts {
		if end.Everything || t.key.N[0] == end.Key.N[0] {
			if err := f.close(t); err != nil {
				return err
			}
		}
	}
	return nil
}

// close ends a text, and forgets it where nothing of it will be needed.
func (f *Flow) close(t *text) error {
	if err := t.close(); err != nil {
		return err
	}
	if t.nodes == nil && (t.inner == nil || t.inner.atRest()) {
		delete(f.texts, t.key)
	}
	return nil
}

// release appends the events that nothing holds.
func (f *Flow) release(dst []byte) []byte {
	for f.head < len(f.queue) && f.queue[f.head].open == 0 {
		e := f.queue[f.head]
		dst = e.append(dst)
		f.held -= len(e.raw)
		f.next = max(f.next, e.next)
		f.queue[f.head] = nil
		f.head++
		if e.raw = nil; cap(e.room) <= maxSpare {
			f.free = append(f.free, e)
		}
	}
	switch {
	case f.head == len(f.queue):
		f.queue, f.head = f.queue[:0], 0
	case f.head > len(f.queue)/2:
		n := copy(f.queue, f.queue[f.head:])
		clear(f.queue[n:])
		f.queue, f.head = f.queue[:n], 0
	}
	return dst
}

// maxSpare is the largest buffer, in bytes, that is used again.
const maxSpare = 16 << 10

// append appends the event with its changes.
func (e *event) append(dst []byte) []byte {
	if len(e.changes) > 1 {
		slices.SortStableFunc(e.changes, func(a, b change) int { return cmp.Compare(a.at, b.at) })
	}
	at := 0
	for _, c := range e.changes {
		if c.at > at {
			dst = append(dst, e.raw[at:c.at]...)
		}
		dst = append(dst, c.put...)
		at = max(at, c.end)
	}
	return append(dst, e.raw[at:]...)
}

// guard returns a guard at the beginning of a text.
func (f *Flow) guard(k int) Guard {
	idle := f.idle[k]
	if n := len(idle); n > 0 {
		g := idle[n-1]
		f.idle[k] = idle[:n-1]
		g.Reset()
		return g
	}
	return f.config.New(k)
}

// maxIdle is how many guards of a kind are kept for the next text.
const maxIdle = 4

func (f *Flow) spare(k int, g Guard) {
	if len(f.idle[k]) < maxIdle {
		f.idle[k] = append(f.idle[k], g)
	}
}

// rooms are lists of nodes that can be used again.
type rooms [][]node

func (r *rooms) take(n int) []node {
	if k := len(*r); k > 0 {
		room := (*r)[k-1]
		*r = (*r)[:k-1]
		return room
	}
	return make([]node, n)
}

func (r *rooms) give(nodes []node) {
	if len(*r) >= maxIdle {
		return
	}
	for i := range nodes {
		nodes[i] = node{held: nodes[i].held[:0]}
	}
	*r = append(*r, nodes)
}
