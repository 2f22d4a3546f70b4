package pattern

import (
	"encoding/binary"
	"slices"
	"sync"
	"sync/atomic"
)

const (
	// minRows and maxCells bound the table of the rough automaton: it begins
	// with minRows states and is made anew, twice as large, until it has
	// maxCells cells (1 MiB). Then it is made anew at that size.
	minRows  = 128
	maxCells = 1 << 18
)

// rough is the automaton that says where there is something to look at: for
// all patterns at once, without beginnings, preferences and counting. It may
// see a match or a thread where there is none, but never the reverse; only an
// alternative that waits in an exact automaton may be no more than a match here.
type rough struct {
	alphabet *alphabet
	insts    []inst
	alive    [][kinds]bool
	starts   []uint32
	// owner is the pattern of an instruction.
	owner []uint16
	eat   []classSet // by the set of the instruction
	back  [kinds]kind
	// table is that of today, which has at most limit rows.
	table atomic.Pointer[table]
	limit int

	mu sync.Mutex
	// behind and ahead are the instructions that were reached before and after
	// a step, if they have the number of the round.
	behind, ahead []uint64
	round         uint64
	key           []byte
	threads       []uint32
	matched       []uint16
}

// A table has a row for each state, and in it a cell for each class: the place
// of the row of the next state. What the loop over the bytes has to know about
// a state is in the order of the rows: 0 is not known yet; then come the idle
// states, for each kind of the last character; then those with threads; and
// from special on those that say that something may have matched.
type table struct {
	stride  uint32
	cells   []uint32
	idle    uint32 // the first row that is not idle
	special uint32
	// idles are the idle states by the kind of the last character.
	idles [end]uint32
	// rows has what a row stands for.
	rows []roughState
	// known, plain, marked and threads are for the builder: the states by key, and the
	// next free rows of either kind.
	known         map[string]uint32
	plain, marked uint32
	// threads counts those of all states.
	threads int
}

// A roughState is a set of threads.
type roughState struct {
	prev    kind
	threads []uint32
	// live are the patterns that have threads, and matched are those that may
	// have matched on the last step.
	live, matched []uint16
}

func newRough(a *alphabet, sets []classSet, programs []*program) *rough {
	r := &rough{alphabet: a, eat: sets, limit: max(minRows, maxCells/(a.size+1))}
	for i, p := range programs {
		base := uint32(len(r.insts))
		for _, in := range p.insts {
			in.out, in.arg = in.out+base, in.arg+base
			r.insts, r.owner = append(r.insts, in), append(r.owner, uint16(i))
		}
		r.alive = append(r.alive, p.alive...)
		r.starts = append(r.starts, p.start+base)
	}
	r.back = collapse(r.insts)
	r.behind, r.ahead = make([]uint64, len(r.insts)), make([]uint64, len(r.insts))
	r.renew()
	return r
}

// renew makes a table that knows the idle states only, twice as large as the
// last one if that is allowed.
func (r *rough) renew() *table {
	stride := r.alphabet.size + 1
	rows := minRows
	if old := r.table.Load(); old != nil {
		rows = min(2*len(old.rows), r.limit)
	}
	t := &table{
		stride:  uint32(stride),
		cells:   make([]uint32, rows*stride),
		rows:    make([]roughState, rows),
		known:   map[string]uint32{},
		plain:   1,
		special: uint32(rows*3/4) * uint32(stride),
	}
	t.marked = t.special / t.stride
	for k := range t.idles {
		t.idles[k] = r.intern(t, roughState{prev: r.back[k]})
	}
	t.idle = t.plain * t.stride
	r.table.Store(t)
	return t
}

// intern returns the place of the row of a state, or 0 if the table is full.
func (r *rough) intern(t *table, s roughState) uint32 {
	key := append(r.key[:0], byte(s.prev))
	for _, m := range s.matched {
		key = binary.AppendUvarint(key, uint64(m)+1)
	}
	key = append(key, 0)
	for _, pc := range s.threads {
		key = binary.AppendUvarint(key, uint64(pc))
	}
	r.key = key
	if at, ok := t.known[string(key)]; ok {
		return at
	}
	row, limit := &t.plain, t.special/t.stride
	if len(s.matched) > 0 {
		row, limit = &t.marked, uint32(len(t.rows))
	}
	if *row == limit || t.threads > 0 && t.threads+len(s.threads) > 4*maxThreads {
		return 0
	}
	t.threads += len(s.threads)
	at := *row * t.stride
	s.threads, s.matched = slices.Clone(s.threads), slices.Clone(s.matched)
	for _, pc := range s.threads {
		if p := r.owner[pc]; len(s.live) == 0 || s.live[len(s.live)-1] != p {
			s.live = append(s.live, p)
		}
	}
	t.rows[*row] = s
	t.known[string(key)] = at
	*row++
	return at
}

// start returns today's table and the row for the beginning of a text.
func (r *rough) start() (*table, uint32) {
	t := r.table.Load()
	return t, t.idles[begin]
}

// adopt returns today's table and the place of a state of an older one.
func (r *rough) adopt(old *table, at uint32) (*table, uint32) {
	t := r.table.Load()
	if t == old {
		return old, at
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.place(*old.state(at))
}

// place interns a state in today's table, or in a new one if that is full.
func (r *rough) place(s roughState) (*table, uint32) {
	s.live = nil
	t := r.table.Load()
	at := r.intern(t, s)
	if at == 0 {
		t = r.renew()
		at = r.intern(t, s)
	}
	return t, at
}

// next returns the place of the state behind a character, and its table.
func (r *rough) next(t *table, at uint32, class uint8) (*table, uint32) {
	cell := &t.cells[at+uint32(class)]
	if to := atomic.LoadUint32(cell); to != 0 {
		return t, to
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.step(t.state(at), class)
	if t == r.table.Load() {
		if to := r.intern(t, s); to != 0 {
			atomic.StoreUint32(cell, to)
			return t, to
		}
	}
	return r.place(s)
}

func (t *table) state(at uint32) *roughState { return &t.rows[at/t.stride] }

// step computes the state behind a character.
func (r *rough) step(s *roughState, class uint8) roughState {
	r.threads, r.matched = r.threads[:0], r.matched[:0]
	w := walk{rough: r, class: class, prev: s.prev, next: r.alphabet.kind[class]}
	w.after = r.back[w.next]
	r.round++
	for _, pc := range s.threads {
		w.expand(pc)
	}
	// What is reached anew can match with this character, but not without it.
	w.fresh = true
	for _, pc := range r.starts {
		w.expand(pc)
	}
	slices.Sort(r.threads)
	slices.Sort(r.matched)
	return roughState{prev: w.after, threads: r.threads, matched: slices.Compact(r.matched)}
}

// A walk computes one step.
type walk struct {
	*rough
	class             uint8
	prev, next, after kind
	fresh             bool
}

func (w *walk) expand(pc uint32) {
	for {
		in := &w.insts[pc]
		if in.op == opMatch {
			if !w.fresh {
				w.matched = append(w.matched, w.owner[pc])
			}
			return
		}
		if w.behind[pc] == w.round {
			return
		}
		w.behind[pc] = w.round
		switch in.op {
		case opAlt:
			w.expand(in.out)
			pc = in.arg
		case opLook:
			if !holds(in.look, w.prev, w.next) {
				return
			}
			pc = in.out
		case opEat:
			if w.eat[in.set].has(w.class) {
				w.arrive(in.out)
			}
			return
		default:
			return
		}
	}
}

func (w *walk) arrive(pc uint32) {
	for {
		in := &w.insts[pc]
		if w.ahead[pc] == w.round {
			return
		}
		w.ahead[pc] = w.round
		switch {
		case in.op == opMatch:
			w.matched = append(w.matched, w.owner[pc])
			return
		case in.op == opAlt:
			w.arrive(in.out)
			pc = in.arg
		case in.op == opLook && !in.looksAhead():
			if !holds(in.look, w.after, other) {
				return
			}
			pc = in.out
		default:
			if w.alive[pc][w.after] {
				w.threads = append(w.threads, pc)
			}
			return
		}
	}
}

// run follows a text from i on as long as the next state is known, has no
// match, and the character is ASCII. It returns how far it got, the row there,
// and the last place where the row was an idle one, which is quiet if there was
// none.
func (t *table) run(classes *[256]uint8, text []byte, i int, at uint32, quiet int) (int, uint32, int) {
	cells, least, span, idle := t.cells, t.stride, t.special-t.stride, int64(t.idle)
	for ; i < len(text); i++ {
		to := atomic.LoadUint32(&cells[at+uint32(classes[text[i]])])
		if to-least >= span {
			return i, at, quiet
		}
		at = to
		// quiet = i+1 if at < idle, without a branch that cannot be foreseen
		quiet ^= (quiet ^ (i + 1)) & int((int64(at)-idle)>>63)
	}
	return i, at, quiet
}

const (
	lanes = 4
	// minLane and maxLane are how many bytes each lane takes, and at most
	// laneSlack more.
	minLane = 64
	maxLane = 256
	// laneSlack is how far a lane looks for a place to begin.
	laneSlack = 64
)

// leap does what run does, for four stretches of size bytes at once: each
// load of run waits for the one before, so that four of them side by side take
// little longer than one. All lanes but the first begin behind white space and
// guess that the automaton is idle there, which the lane before them must
// confirm. It returns where the next lane would begin, with the row and the
// last idle place known; or ok is false, and run has to do it.
func (t *table) leap(classes *[256]uint8, text []byte, i, size int, at uint32) (to int, row uint32, quiet int, ok bool) {
	var from [lanes + 1]int
	var rows, ends [lanes]uint32
	from[0], rows[0] = i, at
	least := len(text)
	for k := 1; k <= lanes; k++ {
		p := i + k*size
		for limit := p + laneSlack; text[p-1] != ' ' && text[p-1] != '\n'; p++ {
			if p == limit {
				return i, at, i, false
			}
		}
		if from[k] = p; k < lanes {
			rows[k] = t.idles[kindOf(text[p-1])]
		}
		least = min(least, p-from[k-1])
	}
	if !t.abreast(classes, text[from[0]:][:least], text[from[1]:][:least], text[from[2]:][:least], text[from[3]:][:least], &rows, &ends) {
		return i, at, i, false
	}
	for k := range lanes {
		stop, row, _ := t.run(classes, text[:from[k+1]], from[k]+least, ends[k], 0)
		if stop < from[k+1] || k+1 < lanes && row != rows[k+1] {
			return i, at, i, false
		}
		ends[k] = row
	}
	to, row, quiet = from[lanes], ends[lanes-1], from[lanes-1]
	if row < t.idle {
		quiet = to
	}
	return to, row, quiet, true
}

// abreast follows four texts of one length, unless one of them comes to where
// run would stop.
func (t *table) abreast(classes *[256]uint8, a, b, c, d []byte, rows, ends *[lanes]uint32) bool {
	cells, least, span := t.cells, t.stride, t.special-t.stride
	ra, rb, rc, rd := rows[0], rows[1], rows[2], rows[3]
	b, c, d = b[:len(a)], c[:len(a)], d[:len(a)]
	for i := range a {
		ra = atomic.LoadUint32(&cells[ra+uint32(classes[a[i]])])
		rb = atomic.LoadUint32(&cells[rb+uint32(classes[b[i]])])
		rc = atomic.LoadUint32(&cells[rc+uint32(classes[c[i]])])
		rd = atomic.LoadUint32(&cells[rd+uint32(classes[d[i]])])
		if ra-least >= span || rb-least >= span || rc-least >= span || rd-least >= span {
			return false
		}
	}
	ends[0], ends[1], ends[2], ends[3] = ra, rb, rc, rd
	return true
}
