package jsonschema

import (
	"encoding/json"
	"errors"
	"strconv"
	"unicode/utf8"

	"github.com/attache-dev/attache/extprocsvc/llm"
)

const (
	// maxDepth is how deep a value may be nested.
	maxDepth = llm.MaxDepth
	// maxNumber is how many bytes a number may have, and maxExponent how large
	// its exponent may be: checks are exact, and the digits of 1e999999 many.
	maxNumber   = 400
	maxExponent = 400
)

// What makes a value one that cannot be checked.
var (
	errSyntax    = errors.New("is not JSON")
	errDepth     = errors.New("is nested too deeply")
	errDuplicate = errors.New("has a key twice")
	errNumber    = errors.New("has a number that is too long")
	errValues    = errors.New("has too many values (max_values)")
)

// A reader makes the value of a JSON text that is known to be valid.
type reader struct {
	b     []byte
	i     int
	depth int
	left  int // values
	key   []byte
}

// read makes the value of a JSON text, in encoding/json's terms. Keys that
// come twice are refused: readers differ on which one counts.
func read(text []byte, maxValues int) (any, error) {
	if !json.Valid(text) || !utf8.Valid(text) {
		return nil, errSyntax
	}
	r := reader{b: text, left: maxValues}
	return r.value()
}

// next skips white space and returns the byte behind it.
func (r *reader) next() byte {
	for {
		switch c := r.b[r.i]; c {
		case ' ', '\t', '\n', '\r':
			r.i++
		default:
			return c
		}
	}
}

func (r *reader) value() (any, error) {
	if r.left--; r.left < 0 {
		return nil, errValues
	}
	switch c := r.next(); c {
	case '{':
		m := map[string]any{}
		return m, r.members('}', func() error {
			r.key = llm.AppendUnquoted(r.key[:0], r.quoted())
			key := string(r.key)
			if _, twice := m[key]; twice {
				return errDuplicate
			}
			r.next() // to the colon
			r.i++
			v, err := r.value()
			m[key] = v
			return err
		})
	case '[':
		list := []any{}
		err := r.members(']', func() error {
			v, err := r.value()
			list = append(list, v)
			return err
		})
		return list, err
	case '"':
		return string(llm.AppendUnquoted(nil, r.quoted())), nil
	case 't':
		r.i += len("true")
		return true, nil
	case 'f':
		r.i += len("false")
		return false, nil
	case 'n':
		r.i += len("null")
		return nil, nil
	}
	return r.number()
}

// members reads what lies between brackets; i is at the opening one.
func (r *reader) members(end byte, member func() error) error {
	if r.depth++; r.depth > maxDepth {
		return errDepth
	}
	r.i++
	for r.next() != end {
		if r.b[r.i] == ',' {
			r.i++
			r.next()
		}
		if err := member(); err != nil {
			return err
		}
	}
	r.i++
	r.depth--
	return nil
}

// quoted returns what lies between quotes; i is at the opening one.
func (r *reader) quoted() []byte {
	at := r.i + 1
	for r.i = at; r.b[r.i] != '"'; r.i++ {
		if r.b[r.i] == '\\' {
			r.i++
		}
	}
	r.i++
	return r.b[at : r.i-1]
}

func (r *reader) number() (any, error) {
	at, exponent := r.i, 0
	for ; r.i < len(r.b); r.i++ {
		c := r.b[r.i]
		switch {
		case c == 'e' || c == 'E':
			exponent = r.i + 1
		case '0' <= c && c <= '9' || c == '-' || c == '+' || c == '.':
		default:
			return r.check(at, exponent)
		}
	}
	return r.check(at, exponent)
}

func (r *reader) check(at, exponent int) (any, error) {
	text := r.b[at:r.i]
	if len(text) > maxNumber {
		return nil, errNumber
	}
	if exponent > 0 {
		if n, err := strconv.Atoi(string(r.b[exponent:r.i])); err != nil || n > maxExponent || n < -maxExponent {
			return nil, errNumber
		}
	}
	return json.Number(text), nil
}
