package config

import (
	"regexp"
	"strconv"
	"strings"
)

// Expression is a CEL expression of those that Envoy evaluates as agentgateway
// does: a literal or one variable.
type Expression struct {
	// Literal is a string, an int64, a float64 or a bool; nil for a variable.
	Literal any
	// Variable is agentgateway's name, such as request.path; empty for a
	// literal. Of request.headers and response.headers, Key is the header in
	// lower case.
	Variable, Key string
}

// celVariables are the variables that an Expression can be. Those with true
// need a key.
var celVariables = map[string]bool{
	"request.method":       false,
	"request.host":         false,
	"request.scheme":       false,
	"request.path":         false,
	"request.pathAndQuery": false,
	"request.headers":      true,
	"source.address":       false,
	"source.port":          false,
	"destination.address":  false,
	"destination.port":     false,
	"response.code":        false,
	"response.headers":     true,
}

// celNames is a chain of names, perhaps with a key in brackets.
var celNames = regexp.MustCompile(`^([A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*)(?:\[\s*("[^"\\]*"|'[^'\\]*')\s*\])?$`)

// expression reads the CEL at path, or refuses it.
func (r *resolver) expression(path, text string) (e Expression, ok bool) {
	if e, ok = parseExpression(text); !ok {
		r.errorf(path, Unsupported, "an expression that Envoy cannot evaluate; not supported yet: it can be a literal, or one of %s", strings.Join(words(celVariables), ", "))
	}
	return e, ok
}

func parseExpression(text string) (Expression, bool) {
	text = strings.TrimSpace(text)
	if literal, ok := parseLiteral(text); ok {
		return Expression{Literal: literal}, true
	}
	m := celNames.FindStringSubmatch(text)
	if m == nil {
		return Expression{}, false
	}
	name, key := m[1], strings.Trim(m[2], `"'`)
	for _, headers := range []string{"request.headers", "response.headers"} {
		if field, ok := strings.CutPrefix(name, headers+"."); ok && m[2] == "" && !strings.Contains(field, ".") {
			name, key = headers, field // headers.host is headers["host"]
		}
	}
	keyed, known := celVariables[name]
	if !known || keyed != (key != "") || keyed && !tokenPattern.MatchString(key) {
		return Expression{}, false
	}
	return Expression{Variable: name, Key: strings.ToLower(key)}, true
}

// celNumber leaves out what only some readers of CEL take.
var celNumber = regexp.MustCompile(`^-?(?:0|[1-9][0-9]*)(\.[0-9]+)?$`)

func parseLiteral(text string) (any, bool) {
	switch {
	case text == "true", text == "false":
		return text == "true", true
	case celNumber.MatchString(text):
		if i, err := strconv.ParseInt(text, 10, 64); err == nil {
			return i, true
		}
		f, err := strconv.ParseFloat(text, 64)
		return f, err == nil && strings.Contains(text, ".")
	}
	if s, ok := celString(text); ok {
		return s, true
	}
	return nil, false
}
