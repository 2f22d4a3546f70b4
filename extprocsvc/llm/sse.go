package llm

import (
	"bytes"
	"errors"
)

// ErrEventTooLarge is the error of [Splitter.Write] for an event above
// [Splitter.Max].
var ErrEventTooLarge = errors.New("an event is too large")

// A Splitter cuts a stream of server-sent events (text/event-stream of the HTML
// standard) into events, from bytes that come in any pieces. Lines may end with
// LF, CR LF or CR. Every byte belongs to exactly one event: what stands between
// two of them, such as further blank lines, to the later one. The zero Splitter
// is ready for use.
type Splitter struct {
	// Max is the largest size of an event in bytes; 0 means no bound.
	Max int

	buf []byte // of the event that is not complete
	at  int    // what of buf was looked at

	filled bool // the line at hand is not empty
	lines  bool // the event at hand has a line that is not empty
	cr     bool // the last byte was a CR that ended a line; an LF would belong to it
	ended  bool // that line ended the event, too
	pair   bool // the line before ended with CR LF
}

// maxSpare is the capacity beyond which buffers are given back.
const maxSpare = 64 << 10

// Write takes the next piece and calls event for each event that is complete
// now. The event's bytes are valid during the call only. An error of event ends
// the work and is returned.
func (s *Splitter) Write(piece []byte, event func(raw []byte) error) error {
	b := piece
	if len(s.buf) > 0 {
		s.buf = append(s.buf, piece...)
		b = s.buf
	}
	from, i := 0, s.at
	for i < len(b) {
		end := s.next(b, &i)
		if !end {
			continue
		}
		raw := b[from:i]
		from = i
		s.filled, s.lines, s.ended, s.pair = false, false, false, false
		if s.Max > 0 && len(raw) > s.Max {
			s.keep(b[i-len(raw):])
			return ErrEventTooLarge
		}
		if err := event(raw); err != nil {
			s.keep(b[from:])
			return err
		}
	}
	s.keep(b[from:])
	if s.Max > 0 && len(s.buf) > s.Max {
		return ErrEventTooLarge
	}
	return nil
}

// next looks at the bytes up to the end of a line, and tells whether an event
// ends there.
func (s *Splitter) next(b []byte, at *int) (end bool) {
	i := *at
	if s.cr {
		s.cr = false
		lf := b[i] == '\n'
		if s.pair = lf; lf {
			*at = i + 1
		}
		if lf || s.ended {
			return s.ended
		}
	}
	n := lineEnd(b[i:])
	if n < 0 {
		s.filled = s.filled || i < len(b)
		*at = len(b)
		return false
	}
	filled := s.filled || n > 0
	i += n
	cr := b[i] == '\r'
	i++
	s.filled = false
	ends := !filled && s.lines
	s.lines = s.lines || filled
	if cr && i == len(b) {
		// Where lines end with CR LF, the LF is waited for, so that events are
		// whole to readers that look for two CR LF. Elsewhere one that comes
		// counts as a blank line of the next event.
		if *at = i; ends && !s.pair {
			return true
		}
		s.cr, s.ended = true, ends
		return false
	}
	s.pair = false
	if cr && b[i] == '\n' {
		i++
		s.pair = true
	}
	*at = i
	return ends
}

// lineEnd returns the offset of the first CR or LF, or -1.
func lineEnd(b []byte) int {
	n := bytes.IndexByte(b, '\n')
	if n < 0 {
		return bytes.IndexByte(b, '\r')
	}
	if r := bytes.IndexByte(b[:n], '\r'); r >= 0 {
		return r
	}
	return n
}

// keep keeps the beginning of an event. It may be a part of the buffer.
func (s *Splitter) keep(rest []byte) {
	switch {
	case len(rest) == 0 && cap(s.buf) > maxSpare:
		s.buf = nil
	default:
		s.buf = append(s.buf[:0], rest...)
	}
	s.at = len(s.buf)
}

// Rest returns what has come of an event that is not complete. A reader that
// follows the standard ignores it where the stream ends.
func (s *Splitter) Rest() []byte { return s.buf }

// An sseLine is where a line of an event's data lies in the event.
type sseLine struct{ data, raw int }

// eventFields parts an event. data is the payload, the lines of the field data with
// LF between them, and lines tell where they come from; room is for a payload
// of several lines. For comments that are not blank, for lines of fields that the
// standard does not know, and for names and ids of events that look like a text,
// other is called with their ranges: nobody should show them to a person, but
// somebody could.
func eventFields(raw, room []byte, lines []sseLine, other func(at, end int)) (data []byte, _ []sseLine, found bool) {
	i := 0
	if bytes.HasPrefix(raw, byteOrderMark) {
		i = len(byteOrderMark)
	}
	for i < len(raw) {
		n := lineEnd(raw[i:])
		if n < 0 {
			n = len(raw) - i
		}
		line := raw[i : i+n]
		if len(line) > 0 {
			name, at := line, n
			if c := bytes.IndexByte(line, ':'); c >= 0 {
				name, at = line[:c], c+1
				if at < n && line[at] == ' ' {
					at++
				}
			}
			switch {
			case string(name) == "data":
				if !found {
					data, found = line[at:], true
					lines = append(lines, sseLine{0, i + at})
					break
				}
				if len(lines) == 1 {
					room = append(room[:0], data...)
				}
				room = append(room, '\n')
				lines = append(lines, sseLine{len(room), i + at})
				room = append(room, line[at:]...)
				data = room
			case (string(name) == "event" || string(name) == "id" || string(name) == "retry") && isIdentifier(line[at:]):
			case len(bytes.Trim(line, ": \t")) > 0:
				other(i, i+n)
			}
		}
		i += n + 1
	}
	return data, lines, found
}

var byteOrderMark = []byte("\ufeff")
