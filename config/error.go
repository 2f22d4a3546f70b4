package config

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/go-multierror"
)

// Kind classifies an [Error]. The words are stable: they are what
// `attache validate --json` prints.
type Kind string

// The kinds of errors.
const (
	// Syntax: the text is not YAML, or not one document.
	Syntax Kind = "syntax"
	// UnknownKey: a key that neither agentgateway nor Attaché has.
	UnknownKey Kind = "unknown-key"
	// Invalid: a value that cannot be.
	Invalid Kind = "invalid"
	// Unsupported: valid in agentgateway or F5 AI Gateway, but not done here.
	Unsupported Kind = "unsupported"
	// Reference: a name that nothing in the file has.
	Reference Kind = "reference"
	// Conflict: two things that cannot both be.
	Conflict Kind = "conflict"
	// Unreachable: something that can never take effect.
	Unreachable Kind = "unreachable"
	// Refused: good for us, and a real Envoy does not take what it becomes.
	Refused Kind = "refused"
	// Deprecated is for old spellings, which are only ever warned of. (A colon here
	// would tell Go that the constant is.)
	Deprecated Kind = "deprecated"
)

// Error is one mistake at one place.
type Error struct {
	File string
	// Line and Column count from 1; 0 means that the place is not known.
	Line, Column int
	// Path is the place in the tree, such as binds[0].port; empty for the
	// whole file.
	Path string
	Kind Kind
	// Msg says what is wrong and, after a semicolon, what would be right. It
	// never holds the value of a variable.
	Msg string
}

// Error returns "file:line:col: path: what is wrong; what would be right".
func (e *Error) Error() string { return string(e.appendPlace(nil, ": ")) + e.Msg }

// Place is "file:line:col: path", the beginning of every message about it.
func (e *Error) Place() string {
	b := e.appendPlace(make([]byte, 0, len(e.File)+len(e.Path)+16), "")
	return string(b)
}

// appendPlace writes the place, with something behind it.
func (e *Error) appendPlace(b []byte, behind string) []byte {
	b = append(b, e.File...)
	if e.Line > 0 && e.Line < math.MaxInt {
		b = strconv.AppendInt(append(b, ':'), int64(e.Line), 10)
		b = strconv.AppendInt(append(b, ':'), int64(e.Column), 10)
	}
	if e.Path != "" {
		b = append(append(b, ": "...), e.Path...)
	}
	return append(b, behind...)
}

// maxMistakes bounds how many errors are told: a file with more has one cause,
// and the text of a million errors would itself be a hang.
const maxMistakes = 1000

// mistakes collects errors up to the bound.
type mistakes struct{ list []*Error }

func (m *mistakes) full() bool { return len(m.list) > maxMistakes }

func (m *mistakes) add(e *Error) {
	switch {
	case len(m.list) < maxMistakes:
		m.list = append(m.list, e)
	case len(m.list) == maxMistakes:
		m.list = append(m.list, &Error{File: e.File, Line: math.MaxInt, Kind: e.Kind, Msg: fmt.Sprintf("more than %d mistakes; the others are not listed", maxMistakes)})
	}
}

// Join collects errors into a *[multierror.Error] that prints one per line, in
// file order. Errors without a place come first. It returns nil for none.
func Join(errs []*Error) error {
	if len(errs) == 0 {
		return nil
	}
	sorted := slices.Clone(errs)
	slices.SortStableFunc(sorted, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	m := &multierror.Error{ErrorFormat: lines}
	for _, e := range sorted {
		m.Errors = append(m.Errors, e)
	}
	return m
}

// Errors returns the mistakes in err: those that [Join] collected, or err
// itself as one without a place.
func Errors(err error) []*Error {
	switch err := err.(type) {
	case nil:
		return nil
	case *Error:
		return []*Error{err}
	case *multierror.Error:
		var all []*Error
		for _, e := range err.Errors {
			all = append(all, Errors(e)...)
		}
		return all
	default:
		return []*Error{{Kind: Invalid, Msg: err.Error()}}
	}
}

func lines(errs []error) string {
	s := make([]string, len(errs))
	for i, e := range errs {
		s[i] = e.Error()
	}
	return strings.Join(s, "\n")
}
