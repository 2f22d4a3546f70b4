package collect

import (
	"bytes"

	"github.com/attache-dev/attache/extprocsvc/llm"
)

// An uncommented makes a stream without the lines that say nothing to a reader who
// follows the standard: comments, and fields that it does not have. They keep a
// connection alive while an answer is waited for; here it is complete. Steps would
// take them for words of the model, and who does not see them cannot judge them.
type uncommented struct {
	stream []byte
	passed int    // bytes of it
	kept   []byte // what is left; nil while that is all of them
	cut    bool
}

// add takes the next event of the stream, which may be the rest of it.
func (u *uncommented) add(raw []byte, finds []llm.Find) {
	at := 0
	rest := func(to int) {
		if u.cut {
			u.kept = append(u.kept, raw[at:to]...)
		}
	}
	begin := -1 // of the event in what is kept
	for i := range finds {
		f := &finds[i]
		if !f.Aside {
			continue
		}
		if !u.cut {
			u.cut, u.kept = true, append([]byte{}, u.stream[:u.passed]...)
		}
		if begin < 0 {
			begin = len(u.kept)
		}
		rest(f.At)
		at = f.End
		if i+1 < len(finds) && finds[i+1].At == at {
			continue // it is of the same line
		}
		if at < len(raw) && raw[at] == '\r' {
			at++
		}
		if at < len(raw) && raw[at] == '\n' {
			at++
		}
	}
	rest(len(raw))
	if begin >= 0 && len(bytes.Trim(u.kept[begin:], "\r\n")) == 0 {
		u.kept = u.kept[:begin] // there was nothing else in it
	}
	u.passed += len(raw)
}

// end returns what is left of the stream.
func (u *uncommented) end() []byte {
	if !u.cut {
		return u.stream
	}
	return append(u.kept, u.stream[u.passed:]...)
}
