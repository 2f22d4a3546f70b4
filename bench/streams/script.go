package main

import (
	"bytes"
	"fmt"
)

// A model says the same again and again: ten events, of which one has a number
// and three make an address. The last of them leaves nothing that could go on.
var said = [10]string{" Well", ", note", " that", " NUMBER", " is", " a", "nn@exam", "ple.com", " here", ". "}

// What is to come of them: the address is masked where it began.
var maskedSaid = func() (h [10]string) {
	h = said
	h[5], h[6], h[7] = " <EMAIL_ADDRESS>", "", ""
	return h
}()

const (
	event  = `data: {"id":"chatcmpl-123","object":"chat.completion.chunk","created":1767225600,"model":"gpt-4o-mini","service_tier":"default","choices":[{"index":0,"delta":{"content":%q},"logprobs":null,"finish_reason":null}]}` + "\n\n"
	finish = `data: {"id":"chatcmpl-123","object":"chat.completion.chunk","created":1767225600,"model":"gpt-4o-mini","service_tier":"default","choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]}` + "\n\ndata: [DONE]\n\n"
)

// A script is a streamed answer, event by event.
type script struct {
	events [10][]byte
	number int // where the number is in its event
	n      int // events that were taken
}

// numberEvent is the one with the number.
const numberEvent = 3

func newScript(contents [10]string) *script {
	s := &script{}
	for i, c := range contents {
		s.events[i] = fmt.Appendf(nil, event, c)
	}
	s.number = bytes.Index(s.events[numberEvent], []byte("NUMBER"))
	return s
}

// next is the next event, until the one after.
func (s *script) next() []byte {
	e := s.events[s.n%len(s.events)]
	if s.n%len(s.events) == numberEvent { // in letters: digits could be part of a number of a card
		for i, n := 5, s.n/len(s.events); i >= 0; i, n = i-1, n/26 {
			e[s.number+i] = byte('a' + n%26)
		}
	}
	s.n++
	return e
}

// A check compares a stream with a script, byte by byte.
type check struct {
	script *script
	total  int    // events before the end
	rest   []byte // of the event that is coming
	ended  bool
}

// take looks at what has come. done are the events that are complete.
func (c *check) take(chunk []byte) (done int, err error) {
	for len(chunk) > 0 {
		if len(c.rest) == 0 {
			switch {
			case c.ended:
				return c.script.n, fmt.Errorf("%q behind the end", chunk)
			case c.script.n == c.total:
				c.rest, c.ended = []byte(finish), true
			default:
				c.rest = c.script.next()
			}
		}
		n := min(len(chunk), len(c.rest))
		if !bytes.Equal(chunk[:n], c.rest[:n]) {
			return c.script.n, fmt.Errorf("event %d: got %.300q, want %q", c.script.n, chunk, c.rest)
		}
		chunk, c.rest = chunk[n:], c.rest[n:]
	}
	if done = c.script.n; len(c.rest) > 0 && !c.ended {
		done--
	}
	return done, nil
}

// missing are the events that never came.
func (c *check) missing() int {
	n := c.total - c.script.n
	if len(c.rest) > 0 || !c.ended {
		n++
	}
	return n
}
