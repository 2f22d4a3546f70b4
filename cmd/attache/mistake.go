package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"strconv"

	"github.com/attache-dev/attache/config"
)

// Severities of a mistake. A file with warnings loads.
const (
	severityError   = "error"
	severityWarning = "warning"
)

// mistake is one error or warning as --json and the status print it.
type mistake struct {
	File     string      `json:"file"`
	Line     int         `json:"line,omitempty"`
	Column   int         `json:"column,omitempty"`
	Path     string      `json:"path,omitempty"`
	Kind     config.Kind `json:"kind"`
	Severity string      `json:"severity"`
	Message  string      `json:"message"`
}

// String is the mistake as a line of text.
func (m mistake) String() string {
	e := config.Error{File: m.File, Line: m.Line, Column: m.Column, Path: m.Path, Kind: m.Kind, Msg: m.Message}
	if m.Severity == severityWarning {
		return e.Place() + ": warning: " + m.Message
	}
	return e.Error()
}

func mistakesOf(errs []*config.Error, severity string) []mistake {
	var all []mistake
	for _, e := range errs {
		m := mistake{File: e.File, Line: e.Line, Column: e.Column, Path: e.Path, Kind: e.Kind, Severity: severity, Message: e.Msg}
		if m.Line == math.MaxInt { // what comes behind everything
			m.Line = 0
		}
		all = append(all, m)
	}
	return all
}

// show writes the mistake and, if there is a source, the line with a caret
// below the column.
func (m mistake) show(w io.Writer, source *config.Source) {
	fmt.Fprintln(w, m)
	if source == nil {
		return
	}
	if text, caret, ok := source.Line(m.Line, m.Column); ok {
		number := strconv.Itoa(m.Line)
		fmt.Fprintf(w, "  %s | %s\n  %*s | %*s\n", number, text, len(number), "", caret+1, "^")
	}
}

// sourceFor is the text of a file for somebody who reads it on a terminal; nil
// for a pipe or a file.
func sourceFor(w io.Writer, file string) *config.Source {
	f, ok := w.(*os.File)
	if !ok {
		return nil
	}
	if info, err := f.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return nil
	}
	text, err := readFile(file)
	if err != nil {
		return nil
	}
	return config.NewSource(text)
}
