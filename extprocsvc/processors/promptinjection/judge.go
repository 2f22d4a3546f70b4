package promptinjection

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"unicode/utf8"

	"github.com/attache-dev/attache/extprocsvc/words"
)

const (
	// near is how many words apart signals may be to count together, so that
	// a long text does not gather them.
	near = 400 * width
	// quoteWords is how long a quotation may be.
	quoteWords = 64 * width
	// apartWords is how far a text and what is decoded from it are apart, so
	// that no rule begins in one and ends in the other.
	apartWords = 16 * width
	// around is how many words must stand outside of quotations for them to be
	// ones.
	around = 3
	// cited is what a rule counts where the words are quoted, or where nobody
	// asks for it.
	cited = 0.4
)

// evidence is the weight of each signal, and where it was seen.
type evidence struct {
	weight [signals]float64
	pos    [signals]int32
	score  float64 // the highest so far
}

// add notes a signal, and the score of all that are near.
func (e *evidence) add(s signal, weight float64, pos int32) {
	if weight >= e.weight[s] || pos-e.pos[s] > near {
		e.weight[s], e.pos[s] = weight, pos
	}
	doubt := 1.0
	for i, w := range e.weight {
		if w > 0 && pos-e.pos[i] <= near {
			doubt *= 1 - w
		}
	}
	e.score = max(e.score, 1-doubt)
}

// A place is where a step of a rule was last reached.
type place struct {
	pos     int32 // of its word; 0: not yet
	quote   int32
	unasked bool
	odd     bool // a word so far was disguised
}

// A judge scores messages, one text after the other. It can be used again, by
// one goroutine at a time.
type judge struct {
	scan words.Scanner
	// places are those of the steps of all rules, one after the other.
	places []place

	// pos counts words, in halves.
	pos int32
	// taken has quotations weakened, literal not.
	taken, literal evidence
	// inside is the number of the quotation we are in, 0 outside; quotes counts
	// them, closing is the character that ends this one, opened where it began.
	inside, quotes int32
	closing        rune
	opened         int32
	quoted         evidence
	// quotedWords counts the words inside of quotations, quotedBefore those
	// before this one; wordCount counts all.
	quotedWords, quotedBefore, wordCount int32
	// data tells that the message is no person's, such as the result of a
	// tool; quotation marks mean nothing in it.
	data bool
	// encoded tells that the text was found in an encoding.
	encoded bool
	// last are where the words of lead stood last.
	last [len(lead)]int32
	// letters is a run of letters that stand apart, runes one of characters.
	letters, runes []byte
	invisible      int
	tagged         int
	// backwards counts the words that were spelled backwards.
	backwards int
	// seen is the first marker.
	seen string

	// buf holds what was decoded, text what a processor judges, leet a word.
	buf, text, leet []byte
}

// offsets holds where the places of each rule begin.
var offsets = func() []int {
	o := make([]int, len(rules)+1)
	for i, r := range rules {
		o[i+1] = o[i] + len(r.steps)
	}
	return o
}()

// begin begins a message.
func (j *judge) begin(data bool) {
	if j.places == nil {
		j.places = make([]place, offsets[len(rules)])
	}
	clear(j.places)
	*j = judge{scan: j.scan, places: j.places, data: data, letters: j.letters[:0], runes: j.runes[:0], buf: j.buf, text: j.text, leet: j.leet}
}

// end returns the score of the message: from 0 to 1.
func (j *judge) end() float64 {
	j.unquote(false)
	if j.invisible >= 3 {
		j.note(hidden, 0.6)
	}
	if j.tagged >= 12 {
		j.note(hidden, 0.9)
	}
	if j.wordCount-j.quotedWords < around {
		return j.literal.score
	}
	return j.taken.score
}

// read goes over one text of the message.
func (j *judge) read(text []byte) {
	j.words(text)
	if j.scan.Overrides > 0 {
		j.note(hidden, 0.4)
	}
	j.encoded = true
	if j.backwards > 1 {
		j.unquote(false)
		j.pos += apartWords
		j.buf = appendReversed(slices.Grow(j.buf[:0], len(text)), text)
		j.words(j.buf)
	}
	runs(text, func(run []byte) {
		if decoded := j.decode(run); decoded != nil {
			j.unquote(false)
			j.pos += apartWords
			j.words(decoded)
		}
	})
	j.encoded = false
}

// appendReversed appends the characters of a text from the last to the first.
func appendReversed(dst, text []byte) []byte {
	for at := len(text); at > 0; {
		_, n := utf8.DecodeLastRune(text[:at])
		dst = append(dst, text[at-n:at]...)
		at -= n
	}
	return dst
}

// minRun is how long a run of base64 or hexadecimal digits must be to be looked
// into: 18 bytes of text in base64.
const minRun = 24

var runByte = func() (is [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_") {
		is[c] = true
	}
	return is
}()

// runs yields the long runs of digits of base64.
func runs(text []byte, yield func([]byte)) {
	for i := 0; i < len(text); {
		at := i
		for i < len(text) && runByte[text[i]] {
			i++
		}
		if i-at >= minRun {
			yield(text[at:i])
		}
		i++
	}
}

// decode returns the text that a run encodes, or nil. It is valid until the
// next call.
func (j *judge) decode(run []byte) []byte {
	if cap(j.buf) < len(run) {
		j.buf = make([]byte, len(run))
	}
	dst := j.buf[:cap(j.buf)]
	if n, err := hex.Decode(dst, run[:len(run)&^1]); err == nil && printable(dst[:n]) {
		return dst[:n]
	}
	encoding := base64.RawStdEncoding
	if bytes.ContainsAny(run, "-_") {
		encoding = base64.RawURLEncoding
	}
	if n, err := encoding.Decode(dst, run[:len(run)-len(run)%4]); err == nil && printable(dst[:n]) {
		return dst[:n]
	}
	return nil
}

// words goes over the words of a text.
func (j *judge) words(text []byte) {
	s := &j.scan
	s.Reset(text)
	end := 0
	j.letters, j.runes = j.letters[:0], j.runes[:0]
	for s.Next() {
		if s.At != end+1 || text[end] != ' ' {
			j.between(text, end, s.At)
		}
		joined := s.At == end
		if s.Unspaced {
			j.pos++
			j.character(joined)
		} else {
			j.pos += width
			j.word(text, end)
		}
		j.wordCount++
		if j.inside != 0 {
			j.quotedWords++
		}
		if s.Hidden > 0 && !s.Foreign && !s.Unspaced && s.Text[0] < utf8.RuneSelf {
			j.invisible++
		}
		j.tagged += s.Tags
		end = s.End
	}
	j.between(text, end, len(text))
}

// between looks at what stands between two words: markers and quotation marks.
func (j *judge) between(text []byte, at, end int) {
	for i := at; i < end; {
		c := text[i]
		for _, m := range markersOf[c] {
			if m.at(text[i:]) {
				j.note(delimiters, m.weight)
				if j.seen == "" {
					j.seen = m.literal
				} else if j.seen != m.literal {
					j.note(templates, 0.5)
				}
			}
		}
		r, n := rune(c), 1
		switch {
		case c >= utf8.RuneSelf:
			r, n = utf8.DecodeRune(text[i:end])
		case c == '.' || c == '!' || c == '?' || c == ':' || c == ';' || c == '\n':
			clear(j.last[:]) // what a verb means is decided in its sentence
		}
		j.mark(text, i, r)
		i += n
	}
}

// opens holds the quotation marks and what closes each.
func opens(r rune) rune {
	switch r {
	case '"', '`', '\'':
		return r
	case '“', '„':
		return '”'
	case '‘', '‚':
		return '’'
	case '«':
		return '»'
	case '「':
		return '」'
	case '『':
		return '』'
	case '《':
		return '》'
	}
	return 0
}

// mark takes a character outside of words for a quotation mark, if it is one.
func (j *judge) mark(text []byte, i int, r rune) {
	if j.data {
		return
	}
	switch {
	case j.closing != 0 && (r == j.closing || j.closing == '”' && r == '“'):
		// An apostrophe is between letters.
		if r != '\'' && r != '’' || i+utf8.RuneLen(r) >= len(text) || !isLetter(text[i+utf8.RuneLen(r)]) {
			j.unquote(true)
		}
	case j.closing != 0:
	case r == '\'' && i > 0 && (isLetter(text[i-1]) || text[i-1] >= utf8.RuneSelf):
	case r == '"' && isValue(text[:i]):
		// A string of JSON is no quotation; its end must not begin one.
		j.closing = r
	case opens(r) != 0:
		j.closing = opens(r)
		j.quotes++
		j.inside, j.opened = j.quotes, j.pos
	}
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' }

// isValue tells whether before ends with a key of a JSON object and a colon.
func isValue(before []byte) bool {
	before = bytes.TrimRight(before, " ")
	return bytes.HasSuffix(before, []byte(`":`))
}

// unquote ends a quotation. One that is too long or has no end was none.
func (j *judge) unquote(closed bool) {
	if j.inside != 0 {
		factor := cited
		if !closed || j.pos-j.opened > quoteWords {
			factor, j.quotedWords = 1, j.quotedBefore
		}
		for s, w := range j.quoted.weight {
			if w > 0 {
				j.taken.add(signal(s), w*factor, j.pos)
			}
		}
		j.quoted, j.quotedBefore = evidence{}, j.quotedWords
	}
	j.inside, j.closing = 0, 0
}

// note adds evidence that a quotation weakens like others.
func (j *judge) note(s signal, weight float64) { j.found(s, weight, j.inside != 0) }

func (j *judge) found(s signal, weight float64, quoted bool) {
	if s == addressed && j.data {
		weight = 0.9 // a person may speak to the model, a document has no reason to
	}
	j.literal.add(s, weight, j.pos)
	if quoted {
		j.quoted.add(s, weight, j.pos)
	} else {
		j.taken.add(s, weight, j.pos)
	}
}

// word takes the scanner's word. end is where the one before ended.
func (j *judge) word(text []byte, end int) {
	s := &j.scan
	if e := lexicon[string(s.Text)]; e != nil {
		j.step(e, e.encoded || s.Mixed || s.Hidden > 0 || s.Tags > 0 || styled(text[s.At:s.End]))
	} else if s.Digits {
		for _, one := range []byte("il") {
			j.leet = spelled(j.leet[:0], s.Text, one)
			if e := lexicon[string(j.leet)]; e != nil {
				j.step(e, true)
				break
			}
		}
	} else if s.Foreign {
		if latin, ok := s.Latin(); ok {
			if e := lexicon[string(latin)]; e != nil {
				j.step(e, true)
			}
		}
	}
	if weight, ok := turns[string(s.Text)]; ok && s.End+1 < len(text) && text[s.End] == ':' && text[s.End+1] == ' ' {
		if gap := text[end:s.At]; bytes.IndexByte(gap, '\n') >= 0 || end == 0 && s.At < 4 {
			j.note(delimiters, weight)
		}
	}
	j.runes = j.runes[:0]
	j.apart()
}

// styled tells whether a word, which folds to one of the vocabulary, was
// written in letters that only look like plain ones.
func styled(raw []byte) bool {
	for i := 0; i < len(raw); {
		if raw[i] < utf8.RuneSelf {
			i++
			continue
		}
		r, n := utf8.DecodeRune(raw[i:])
		if 0x250 <= r && r < 0x2b0 || 0x1d00 <= r && r < 0x1e00 || 0x2100 <= r && r < 0x2200 || 0x2460 <= r && r < 0x2500 || r >= 0xff00 {
			return true
		}
		i += n
	}
	return false
}

// apart takes letters that stand apart for the words that they spell.
func (j *judge) apart() {
	if len(j.scan.Text) != 1 {
		j.letters = j.letters[:0]
		return
	}
	if len(j.letters) >= 4*maxSpelled {
		j.letters = append(j.letters[:0], j.letters[len(j.letters)-maxSpelled:]...)
	}
	j.letters = append(j.letters, j.scan.Text[0])
	if len(j.letters) > minSpelled {
		j.pos -= width // the letters of a word count for one
	}
	for n := minSpelled; n <= min(maxSpelled, len(j.letters)); n++ {
		if e := lexicon[string(j.letters[len(j.letters)-n:])]; e != nil {
			j.pos += width
			j.step(e, true)
		}
	}
}

// character takes a character of a script without spaces, as the end of a word.
func (j *judge) character(joined bool) {
	j.letters = j.letters[:0]
	if !joined {
		j.runes = j.runes[:0]
	}
	if len(j.runes) > 256 {
		j.runes = append(j.runes[:0], j.runes[len(j.runes)-64:]...)
	}
	j.runes = append(j.runes, j.scan.Text...)
	for at, n := len(j.runes), 0; at > 0 && n < maxRunes; n++ {
		_, size := utf8.DecodeLastRune(j.runes[:at])
		at -= size
		if e := lexicon[string(j.runes[at:])]; e != nil {
			j.step(e, false)
		}
	}
}

// step lets a word of the vocabulary take its steps.
func (j *judge) step(e *entry, odd bool) {
	if e.backwards {
		j.backwards++
		return
	}
	begins := j.pos // where the word begins; pos is where it ends
	if j.scan.Unspaced {
		begins -= e.runes - 1
	}
	odd = odd || j.encoded
	unasked := j.unasked()
	for _, m := range e.moves {
		r := &rules[m.rule]
		at := offsets[m.rule] + int(m.step)
		p := place{pos: j.pos, quote: j.inside, unasked: unasked, odd: odd}
		if m.step > 0 {
			before := j.places[at-1]
			if before.pos == 0 || before.pos >= begins || begins-before.pos > int32(r.steps[m.step].gap*width) {
				continue
			}
			p.quote, p.unasked, p.odd = before.quote, before.unasked, odd || before.odd
			if p.quote != j.inside {
				p.quote = 0
			}
		}
		if int(m.step)+1 < len(r.steps) {
			j.places[at] = p
			continue
		}
		weight := r.weight
		if r.asked && p.unasked {
			weight *= cited
		}
		quoted := p.quote != 0 && p.quote == j.inside
		j.found(r.signal, weight, quoted)
		if p.odd {
			j.found(disguised, 0.7, quoted)
		}
	}
	for i, c := range lead {
		if e.class&c != 0 {
			j.last[i] = j.pos
		}
	}
}

// lead are the classes that decide what a verb behind them means.
var lead = [...]class{not, to, you, third, how}

// unasked tells whether a verb at this place is no request: it is denied,
// belongs to somebody else, or to a question.
func (j *judge) unasked() bool {
	denied, to, you, third, how := j.last[0], j.last[1], j.last[2], j.last[3], j.last[4]
	within := func(at, n int32) bool { return at > 0 && j.pos-at <= n*width }
	switch {
	case within(denied, 2):
		return true
	case within(you, 6) && you > how:
		return false
	}
	return within(to, 1) || within(third, 2) || within(how, 6)
}
