package config

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// celString returns the value of a CEL expression that is a string literal and
// nothing else, by the syntax of CEL's specification. It reports false for
// every other expression.
func celString(expression string) (value string, ok bool) {
	s := strings.TrimSpace(expression)
	raw := strings.HasPrefix(s, "r") || strings.HasPrefix(s, "R")
	if raw {
		s = s[1:]
	}
	quote := ""
	for _, q := range []string{`"""`, `'''`, `"`, `'`} {
		if strings.HasPrefix(s, q) {
			quote = q
			break
		}
	}
	if quote == "" {
		return "", false
	}
	s = s[len(quote):]
	var b strings.Builder
	for !strings.HasPrefix(s, quote) {
		switch {
		case s == "" || len(quote) == 1 && (s[0] == '\n' || s[0] == '\r'):
			return "", false
		case s[0] == '\\' && raw && len(s) > 1:
			// The quote behind a backslash does not end the literal.
			b.WriteString(s[:2])
			s = s[2:]
		case s[0] == '\\':
			c, rest, ok := celEscape(s[1:])
			if !ok {
				return "", false
			}
			b.WriteRune(c)
			s = rest
		default:
			b.WriteByte(s[0])
			s = s[1:]
		}
	}
	return b.String(), s == quote
}

// celEscapes are the escapes of one character.
var celEscapes = map[byte]rune{
	'a': '\a', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t', 'v': '\v',
	'\\': '\\', '?': '?', '"': '"', '\'': '\'', '`': '`',
}

// celEscape reads what follows a backslash.
func celEscape(s string) (c rune, rest string, ok bool) {
	if s == "" {
		return 0, "", false
	}
	if c, ok := celEscapes[s[0]]; ok {
		return c, s[1:], true
	}
	digits, base, skip := 3, 8, 0
	switch s[0] {
	case 'x', 'X':
		digits, base, skip = 2, 16, 1
	case 'u':
		digits, base, skip = 4, 16, 1
	case 'U':
		digits, base, skip = 8, 16, 1
	}
	if len(s) < skip+digits {
		return 0, "", false
	}
	n, err := strconv.ParseUint(s[skip:skip+digits], base, 32)
	if err != nil || base == 8 && n > 0o377 || n > utf8.MaxRune || !utf8.ValidRune(rune(n)) {
		return 0, "", false
	}
	return rune(n), s[skip+digits:], true
}
