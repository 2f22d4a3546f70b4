package envoy

import (
	"bytes"
	"io"
	"regexp"
)

// logFormat makes each record of Envoy's log one line that can be told from
// what else it writes to stderr.
const logFormat = "[%l][%n] %_"

// quietComponents are the parts of Envoy that log why a resource was refused.
// They quote all of it, private keys included.
const quietComponents = "config:critical,upstream:critical"

// record matches a line in logFormat.
var record = regexp.MustCompile(`^\[(trace|debug|info|warning|error|critical)\]\[\w+\] `)

// maxLine is how much of a line is kept.
const maxLine = 16 << 10

// logWriter passes the lines of Envoy's stderr on, each behind a prefix. What
// is not a record of its log comes through only before the first record (a
// wrong option, a missing library): after a crash Envoy writes the requests it
// was working on there, with their headers.
type logWriter struct {
	to      io.Writer
	line    []byte // of which no end has been seen yet
	tooLong bool
	records bool // one has been seen
	hidden  bool // something was left out, and that has been said
}

// Write implements [io.Writer]. It never fails, so that Envoy is never blocked.
func (w *logWriter) Write(p []byte) (int, error) {
	n := len(p)
	for {
		head, rest, ended := bytes.Cut(p, []byte("\n"))
		if room := maxLine - len(w.line); len(head) > room {
			head = head[:room]
			w.tooLong = true
		}
		w.line = append(w.line, head...)
		if !ended {
			return n, nil
		}
		w.flush()
		p = rest
	}
}

// flush passes on what was written as a line, whether it has ended or not.
func (w *logWriter) flush() {
	line := bytes.TrimRight(w.line, "\r")
	switch {
	case len(line) == 0:
	case record.Match(line):
		w.records = true
		w.put(line)
	case !w.records:
		w.put(line)
	case !w.hidden:
		w.hidden = true
		w.put([]byte("(lines that are not of its log are left out, they may quote requests)"))
	}
	w.line, w.tooLong = w.line[:0], false
}

func (w *logWriter) put(line []byte) {
	out := append([]byte("envoy: "), line...)
	if w.tooLong {
		out = append(out, "…"...)
	}
	_, _ = w.to.Write(append(out, '\n'))
}
