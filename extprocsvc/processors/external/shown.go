package external

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/attache-dev/attache/extprocsvc/llm"
)

// F5's SDK answers 400 or 500 to content that JSON and the model's API allow:
// contents that are lists of parts, halves of surrogate pairs, integers of
// thousands of digits, choices without a message. A client must not get around
// a processor by sending it such things, so processors are shown a copy without
// them:
//
//   - a content that is a list becomes one string, its texts joined by line
//     feeds. A text is every string in it that is not known for something else,
//     such as an image;
//   - half of a surrogate pair becomes U+FFFD, as it does for most readers;
//   - a number outside of the range of a double becomes 0;
//   - a choice without a message gets an empty one.
//
// The model gets what the client sent. Where the processor changes the list,
// the messages that differ from what it was shown are restored if it left them
// alone. If it changed the content alone, and left the content as many lines as it
// had or the list has one text, the texts of the list are changed, so that it would
// be shown as what the processor made of it. All other changes to such messages are
// refused.

// shown tells what was simplified.
type shown struct {
	touched []touched
}

// A touched message or choice is shown simplified.
type touched struct {
	index int
	// texts are those of its content, if all that was simplified is that this is a
	// list.
	texts []span
}

// A span is a string, with its quotes, in a message or a choice.
type span struct{ from, to int }

// show simplifies the list that begins at b[at:] and ends with b: valid JSON,
// as a Doc has it. Nearly everything is done in place, as what is put in is
// never longer than what was there; white space fills the rest.
func show(b []byte, at int, choices bool) ([]byte, shown) {
	w := walk{b: b, i: at}
	w.items('[', ']', func() {
		w.from, w.dirty, w.joined, w.texts = w.i, false, false, nil
		if choices {
			w.choice()
		} else {
			w.message()
		}
		if w.dirty || w.joined {
			t := touched{index: w.n}
			if !w.dirty {
				t.texts = w.texts
			}
			w.touched = append(w.touched, t)
		}
		w.n++
	})
	if len(w.missing) == 0 {
		return b, shown{w.touched}
	}
	out := make([]byte, at, len(b)+len(w.missing)*len(emptyMessage)+64)
	copy(out, b)
	from := at
	for _, m := range w.missing {
		out = append(append(out, b[from:m]...), emptyMessage...)
		if from = m; b[skipSpace(b, m)] != '}' {
			out = append(out, ',')
		}
	}
	return append(out, b[from:]...), shown{w.touched}
}

const emptyMessage = `"message":{"role":"assistant","content":""}`

// A walk goes over valid JSON once and simplifies it.
type walk struct {
	b []byte
	i int
	// n counts the elements of the list. The present one begins at from; joined
	// tells that its content was a list, with these texts, and dirty that something
	// else in it was changed.
	n, from       int
	joined, dirty bool
	texts         []span
	touched       []touched
	missing       []int // where choices begin that lack a message
}

func skipSpace(b []byte, i int) int {
	for b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r' {
		i++
	}
	return i
}

// items visits what lies between two brackets; each call must go over one
// item. i ends behind the closing one.
func (w *walk) items(open, end byte, item func()) {
	w.i = skipSpace(w.b, w.i) + 1
	for {
		switch w.i = skipSpace(w.b, w.i); w.b[w.i] {
		case end:
			w.i++
			return
		case ',':
			w.i++
		default:
			item()
		}
	}
}

// members visits the values of an object, by their keys.
func (w *walk) members(value func(key []byte)) {
	w.items('{', '}', func() {
		key := w.text()
		if bytes.IndexByte(key, '\\') >= 0 {
			key = llm.AppendUnquoted(nil, key)
		}
		w.i = skipSpace(w.b, w.i) + 1 // the colon
		w.i = skipSpace(w.b, w.i)
		value(key)
	})
}

func (w *walk) choice() {
	if w.b[w.i] != '{' {
		w.value()
		return
	}
	open, found := w.i+1, false
	w.members(func(key []byte) {
		if string(key) != "message" {
			w.value()
			return
		}
		found = true
		w.message()
	})
	if !found {
		w.missing = append(w.missing, open)
		w.dirty = true
	}
}

func (w *walk) message() {
	if w.b[w.i] != '{' {
		w.value()
		return
	}
	w.members(func(key []byte) {
		if string(key) == "content" && w.b[w.i] == '[' {
			w.join()
		} else {
			w.value()
		}
	})
}

// notText are the members of a part that are known to hold no text.
var notText = map[string]bool{
	"type": true, "image_url": true, "video_url": true, "input_audio": true,
	"file_data": true, "file_id": true, "cache_control": true,
}

// join makes one string of the texts in a list of parts. Between two texts lie
// at least three bytes, and a line feed takes two, so what is written stays
// behind what is read.
func (w *walk) join() {
	at := w.i
	to := at
	put := func() {
		if to == at {
			w.b[to] = '"'
		} else {
			w.b[to], w.b[to+1] = '\\', 'n'
			to++
		}
		to++
	}
	var texts func()
	texts = func() {
		switch w.b[w.i] {
		case '"':
			from := w.i - w.from
			raw := w.text()
			w.texts = append(w.texts, span{from, w.i - w.from})
			put()
			to += copy(w.b[to:], raw)
		case '{':
			w.members(func(key []byte) {
				if notText[string(key)] {
					w.value()
				} else {
					texts()
				}
			})
		case '[':
			w.items('[', ']', texts)
		default:
			w.value()
		}
	}
	texts()
	w.joined = true
	if w.texts == nil {
		put()
	}
	w.b[to] = '"'
	for to++; to < w.i; to++ {
		w.b[to] = ' '
	}
}

// value goes over any value.
func (w *walk) value() {
	switch c := w.b[w.i]; c {
	case '"':
		w.text()
	case '{':
		w.items('{', '}', func() {
			w.text()
			w.i = skipSpace(w.b, w.i) + 1
			w.i = skipSpace(w.b, w.i)
			w.value()
		})
	case '[':
		w.items('[', ']', w.value)
	case 't', 'n':
		w.i += 4
	case 'f':
		w.i += 5
	default:
		w.number()
	}
}

// number replaces a number that is infinite as a double, which all integers
// are that Python refuses to read.
func (w *walk) number() {
	from, plain := w.i, true
	for w.i < len(w.b) {
		c := w.b[w.i]
		if c == 'e' || c == 'E' {
			plain = false
		} else if c != '-' && c != '+' && c != '.' && (c < '0' || c > '9') {
			break
		}
		w.i++
	}
	number := w.b[from:w.i]
	if plain && len(number) <= 300 {
		return
	}
	if _, err := strconv.ParseFloat(string(number), 64); err == nil {
		return
	}
	w.dirty = true
	number[0] = '0'
	for i := 1; i < len(number); i++ {
		number[i] = ' '
	}
}

// text goes over a string and returns what is between its quotes, with its
// escapes, of which none is half of a surrogate pair any more.
func (w *walk) text() []byte {
	b, from := w.b, w.i+1
	at := from
	quote := at + bytes.IndexByte(b[at:], '"')
	for {
		k := bytes.IndexByte(b[at:quote], '\\')
		if k < 0 {
			w.i = quote + 1
			return b[from:quote]
		}
		at += k
		switch b[at+1] {
		case 'u':
			high := hex4(b[at+2:])
			if high < 0xd800 || high > 0xdfff {
				at += 6
			} else if low := b[at+6:]; high < 0xdc00 && low[0] == '\\' && low[1] == 'u' && hex4(low[2:])>>10 == 0xdc00>>10 {
				at += 12
			} else {
				copy(b[at:], `\ufffd`)
				w.dirty = true
				at += 6
			}
		default:
			at += 2
		}
		if at > quote {
			quote = at + bytes.IndexByte(b[at:], '"')
		}
	}
}

// hex4 is the number that four hexadecimal digits make.
func hex4(b []byte) (n int) {
	for _, c := range b[:4] {
		switch {
		case c <= '9':
			n = n<<4 | int(c-'0')
		default:
			n = n<<4 | int(c|0x20-'a'+10)
		}
	}
	return n
}

// restore returns the list to be sent on, where the processor was shown sent,
// made of what is in doc, and answered theirs: valid JSON. It is nil if nothing
// changed; ok is false if one cannot tell what to send.
func (s shown) restore(sent []byte, doc *llm.Doc, theirs []byte) (list []byte, ok bool) {
	if len(s.touched) == 0 {
		return theirs, true
	}
	was, seen, now := elements(doc.AppendList(nil)), elements(sent), elements(theirs)
	if len(now) == len(seen) {
		same := make([]bool, len(now)) // that element is the shown one
		for i := range now {
			same[i] = equal(seen[i], now[i])
		}
		if !slices.Contains(same, false) {
			return nil, true
		}
		for _, t := range s.touched {
			if i := t.index; !same[i] {
				if now[i], ok = t.carry(was[i], seen[i], now[i]); !ok {
					return nil, false
				}
			}
		}
		for i := range now {
			if same[i] {
				now[i] = was[i]
			}
		}
		return join(now), true
	}
	// Messages were put in or taken out. What is alike at both ends is known
	// for sure, unless the two overlap.
	short := min(len(now), len(seen))
	head, tail := 0, 0
	for head < short && equal(seen[head], now[head]) {
		head++
	}
	for tail < short && equal(seen[len(seen)-1-tail], now[len(now)-1-tail]) {
		tail++
	}
	if head+tail > short {
		return nil, false
	}
	for _, t := range s.touched {
		if t.index >= head && t.index < len(seen)-tail {
			return nil, false
		}
	}
	copy(now[:head], was)
	copy(now[len(now)-tail:], was[len(was)-tail:])
	return join(now), true
}

// carry returns what was there with the texts that the processor made of those it
// saw, if that is all it changed. As they were joined by line feeds, it tells them
// apart by their numbers of lines.
func (t touched) carry(was, seen, now []byte) (element []byte, ok bool) {
	before, after := meaning(seen), meaning(now)
	text, ok := takeContent(after).(string)
	takeContent(before)
	if !ok || !same(before, after) || len(t.texts) == 0 {
		return nil, false
	}
	lines, done := strings.Split(text, "\n"), 0
	for _, s := range t.texts {
		n := 1 + bytes.Count(llm.AppendUnquoted(nil, was[s.from+1:s.to-1]), []byte("\n"))
		if len(t.texts) == 1 {
			n = len(lines)
		} else if n > len(lines) {
			return nil, false
		}
		element = llm.AppendQuoted(append(element, was[done:s.from]...), strings.Join(lines[:n], "\n"))
		lines, done = lines[n:], s.to
	}
	return append(element, was[done:]...), len(lines) == 0
}

// takeContent removes the content of a message, or of the one in a choice.
func takeContent(v any) (content any) {
	m, _ := v.(map[string]any)
	if inner, ok := m["message"].(map[string]any); ok {
		m = inner
	}
	content = m["content"]
	delete(m, "content")
	return content
}

func join(elements [][]byte) []byte {
	return append(append([]byte{'['}, bytes.Join(elements, []byte{','})...), ']')
}

// elements are those of a list, which is valid JSON.
func elements(list []byte) (all [][]byte) {
	var raw []json.RawMessage
	if json.Unmarshal(list, &raw) != nil {
		return nil
	}
	for _, r := range raw {
		all = append(all, r)
	}
	return all
}

// equal tells whether two messages or choices mean the same to an SDK
// processor, which writes numbers anew and adds the role that it assumed.
func equal(a, b []byte) bool { return bytes.Equal(a, b) || same(meaning(a), meaning(b)) }

func meaning(b []byte) any {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return nil
	}
	complete(v)
	if m, ok := v.(map[string]any); ok {
		complete(m["message"])
	}
	return v
}

// complete gives a message the role and the content that a missing one means.
func complete(v any) {
	m, ok := v.(map[string]any)
	if !ok || m["message"] != nil {
		return
	}
	if m["role"] == nil {
		m["role"] = "user"
	}
	if _, ok := m["content"]; !ok {
		m["content"] = nil
	}
}

func same(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for k, v := range a {
			if w, ok := b[k]; !ok || !same(v, w) {
				return false
			}
		}
		return true
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, same)
	case json.Number:
		b, ok := b.(json.Number)
		if !ok || a == b {
			return ok
		}
		x, errX := a.Float64()
		y, errY := b.Float64()
		return errX == nil && errY == nil && x == y
	}
	return a == b
}
