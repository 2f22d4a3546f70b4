package envoy

import (
	"bytes"
	"context"
	"log/slog"
	"regexp"
	"strings"
)

// logFormat makes each record of Envoy's log one line that can be told from
// what else it writes to stderr.
const logFormat = "[%l][%n] %_"

// quietComponents are the parts of Envoy that log why a resource was refused.
// They quote all of it, private keys included.
const quietComponents = "config:critical,upstream:critical"

// record matches a line in logFormat.
var record = regexp.MustCompile(`^\[(trace|debug|info|warning|error|critical)\]\[(\w+)\] (.*)$`)

var levels = map[string]slog.Level{
	"trace": slog.LevelDebug, "debug": slog.LevelDebug, "info": slog.LevelInfo,
	"warning": slog.LevelWarn, "error": slog.LevelError, "critical": slog.LevelError,
}

// maxLine is how much of a line is kept.
const maxLine = 16 << 10

// logWriter makes the lines of Envoy's stderr records of our log. What is not a
// record of its log comes through only before the first record (a wrong option,
// a missing library): after a crash Envoy writes the requests it was working on
// there, with their headers.
type logWriter struct {
	to      *slog.Logger
	line    []byte // of which no end has been seen yet
	tooLong bool
	records bool // one has been seen
	hidden  bool // something was left out, and that has been said
	// lastWords are why it ended, if it has said so.
	lastWords string
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
	line := string(bytes.TrimRight(w.line, "\r"))
	if w.tooLong {
		line += "…"
	}
	switch m := record.FindStringSubmatch(line); {
	case strings.TrimSpace(line) == "":
	case m != nil:
		w.records = true
		level, component, text := m[1], m[2], m[3]
		if level == "critical" && component == "main" {
			w.lastWords = text
			text = withoutResources(text)
		}
		w.to.Log(context.Background(), levels[level], "envoy: "+text, "component", component)
	case !w.records:
		w.lastWords += line + "\n"
		w.to.Warn("envoy: " + line)
	case !w.hidden:
		w.hidden = true
		w.to.Warn("envoy: (lines that are not of its log are left out, they may quote requests)")
	}
	w.line, w.tooLong = w.line[:0], false
}
