package repetitiondetect

import (
	"hash/maphash"

	"github.com/attache-dev/attache/extprocsvc/words"
)

const (
	// gram is how many words make a sequence; in scripts without spaces it is
	// gramRunes characters.
	gram, gramRunes = 3, 8
	// window is how many sequences are also counted by themselves, so that a
	// repetition does not hide in a long text.
	window = 256
	// segment is how many sequences are counted together at most. It bounds
	// the memory to 4 MiB.
	segment = 1 << 16
	// maxWord is how long a word may be, in bytes: one long word can be a
	// repetition, too.
	maxWord = 16
	// longRun is the length, in bytes, from which a run of symbols counts
	// even where it stands alone. Shorter ones are punctuation.
	longRun = 4
)

var seed = maphash.MakeSeed()

// A counter measures how often a text repeats itself. It can be used again.
type counter struct {
	scan words.Scanner
	text []byte // room for an unquoted text

	// last are the hashes of the last words, the latest first; known is how
	// many there are.
	last  [gramRunes]uint64
	known int
	words int
	// symbol tells that what came last was one.
	symbol bool

	// table holds the sequences of this segment, and where each was last:
	// their numbers are above base, slots with others are free. total is how
	// many were counted, distinct how many of them differ.
	table                 []slot
	base, total, distinct int
	// latest tells, for the sequences in the window, which are not repeated
	// later in it; fresh counts them.
	latest [window]bool
	fresh  int
	worst  float64
}

// A slot holds a sequence, and its number.
type slot struct {
	hash uint64
	at   int32
}

func (c *counter) begin() {
	c.forget()
	*c = counter{scan: words.Scanner{Max: maxWord, Symbols: true}, text: c.text, table: c.table, base: c.base}
}

// read counts the sequences of one text of the message.
func (c *counter) read(text []byte) {
	s := &c.scan
	s.Reset(text)
	for s.Next() {
		symbol := s.IsSymbol
		if !symbol || c.symbol || len(s.Text) >= longRun {
			c.word(maphash.Bytes(seed, s.Text), s.Unspaced)
		}
		c.symbol = symbol
	}
}

func (c *counter) word(hash uint64, unspaced bool) {
	copy(c.last[1:], c.last[:])
	c.last[0] = hash
	c.known++
	c.words++
	n := gram
	if unspaced {
		n = gramRunes
	}
	if c.known < n {
		return
	}
	var sum uint64
	for _, h := range c.last[:n] {
		sum = (sum ^ h) * 0x9e3779b97f4a7c15
		sum ^= sum >> 29
	}
	c.sequence(sum)
}

// sequence counts one.
func (c *counter) sequence(hash uint64) {
	if c.total == segment {
		c.close()
	}
	if 2*(c.distinct+1) > len(c.table) {
		c.grow()
	}
	c.total++
	at := c.base + c.total
	s := c.find(hash)
	if c.total > window && c.latest[at%window] {
		c.fresh-- // the one that leaves the window
	}
	switch before := int(s.at); {
	case before <= c.base:
		c.distinct++
	case before > at-window && c.latest[before%window]:
		c.latest[before%window] = false
		c.fresh--
	}
	*s = slot{hash, int32(at)}
	c.latest[at%window] = true
	c.fresh++
	if c.total >= window {
		c.worst = max(c.worst, window/float64(c.fresh))
	}
}

// find returns the slot of a sequence, or the free one where it belongs.
func (c *counter) find(hash uint64) *slot {
	mask := uint64(len(c.table) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		if s := &c.table[i]; int(s.at) <= c.base || s.hash == hash {
			return s
		}
	}
}

func (c *counter) grow() {
	old := c.table
	c.table = make([]slot, max(256, 2*len(old)))
	for _, s := range old {
		if int(s.at) > c.base {
			*c.find(s.hash) = s
		}
	}
}

// close ends a segment.
func (c *counter) close() {
	if c.distinct > 0 {
		c.worst = max(c.worst, float64(c.total)/float64(c.distinct))
	}
	c.forget()
	c.fresh = 0
	c.latest = [window]bool{}
}

// forget makes every slot free, without touching it as long as there are
// numbers.
func (c *counter) forget() {
	c.base += c.total
	c.total, c.distinct = 0, 0
	if c.base > maxBase {
		clear(c.table)
		c.base = 0
	}
}

// maxBase leaves room for the numbers of a segment.
const maxBase = 1 << 30

// end returns the ratio of the message: 1 if nothing is said twice, or if it
// has fewer words than it needs.
func (c *counter) end(minWords int) float64 {
	if c.words < minWords {
		return 1
	}
	c.close()
	return max(1, c.worst)
}
