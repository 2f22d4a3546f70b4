package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// A conditionalExtProc is an entry of extProc.conditional. The last one of a
// list has no condition, and perhaps no extProc.
type conditionalExtProc struct {
	variant string
	tests   []ValueMatch
	extProc *ExtProc
}

// maxConditional is how many entries agentgateway takes.
const maxConditional = 64

// routeExtProc gives a route its external processing, which stands at path.
func (r *resolver) routeExtProc(path string, rt *Route, f *fileExtProc) {
	if f.Conditional == nil {
		rt.ExtProc = r.extProc(path, &f.fileExternal)
		return
	}
	list := path + ".conditional"
	if !reflect.ValueOf(f.fileExternal).IsZero() {
		r.errorf(list, Conflict, "conditional stands alone; write what is beside it into its entries")
	}
	if n := len(f.Conditional); n == 0 || n > maxConditional {
		r.errorf(list, Invalid, "expected 1 to %d entries", maxConditional)
	}
	var entries []conditionalExtProc
	rest := conditionalExtProc{}
	for i := range f.Conditional {
		c, place := &f.Conditional[i], fmt.Sprintf("%s[%d]", list, i)
		e := conditionalExtProc{extProc: r.extProc(place, &c.fileExternal)}
		if c.Condition == nil {
			if rest = e; i < len(f.Conditional)-1 {
				r.errorf(place, Invalid, "an entry without condition must be the last one; those behind it would never run")
			}
			continue
		}
		e.variant = "if-" + shortHash(*c.Condition)
		if slices.ContainsFunc(entries, func(o conditionalExtProc) bool { return o.variant == e.variant }) {
			r.errorf(place+".condition", Unreachable, "never runs: an entry before it has the same condition")
			continue
		}
		var ok bool
		if e.tests, ok = parseCondition(*c.Condition); !ok {
			r.errorf(place+".condition", Unsupported, `a condition that a route cannot test; not supported yet: it can be request.method, request.host, request.path or request.headers["name"] == "text", request.path.startsWith("/text"), and several of them joined by &&`)
		}
		entries = append(entries, e)
	}
	r.split[rt] = append(entries, rest)
}

// unconditional is for places where no route can test a condition.
func (r *resolver) unconditional(path string, f *fileExtProc) *ExtProc {
	if f.Conditional != nil {
		r.errorf(path+".conditional", Unsupported, "conditions are tested by routes, and here there is none yet; not supported: write them on the routes")
		return &ExtProc{Path: path}
	}
	return r.extProc(path, &f.fileExternal)
}

// splitRoutes replaces each route whose external processing depends on
// conditions by one for each entry and a last one for when none holds.
func (r *resolver) splitRoutes() {
	for _, l := range r.cfg.Listeners {
		if slices.ContainsFunc(l.Routes, func(rt *Route) bool { return r.split[rt] != nil }) {
			var routes []*Route
			for _, rt := range l.Routes {
				routes = append(routes, variants(rt, r.split[rt])...)
			}
			l.Routes = routes
		}
		r.sameMetadata(l)
	}
}

func variants(rt *Route, entries []conditionalExtProc) []*Route {
	if entries == nil {
		return []*Route{rt}
	}
	routes := make([]*Route, len(entries))
	for i, e := range entries {
		v := *rt
		v.Variant, v.If, v.ExtProc = e.variant, e.tests, e.extProc
		routes[i] = &v
	}
	return routes
}

func shortHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:4])
}

// startsWith is the one test that is not an equality.
var startsWith = regexp.MustCompile(`^request\.path\.startsWith\(\s*(.*?)\s*\)$`)

// parseCondition returns what a route must test for a condition to hold.
func parseCondition(text string) (tests []ValueMatch, ok bool) {
	for _, term := range splitOutside(text, "&&") {
		test, ok := parseTest(strings.TrimSpace(term))
		if !ok {
			return nil, false
		}
		tests = append(tests, test)
	}
	return tests, true
}

func parseTest(term string) (test ValueMatch, ok bool) {
	if m := startsWith.FindStringSubmatch(term); m != nil {
		prefix, ok := textOf(m[1])
		return ValueMatch{":path", regexp.QuoteMeta(prefix) + ".*", true}, ok && isPath(prefix)
	}
	sides := splitOutside(term, "==")
	if len(sides) != 2 {
		return test, false
	}
	variable, _ := parseExpression(sides[0])
	value, ok := textOf(sides[1])
	if !ok {
		variable, _ = parseExpression(sides[1])
		value, ok = textOf(sides[0])
	}
	switch variable.Variable {
	case "request.method":
		return ValueMatch{Name: ":method", Value: value}, ok
	case "request.host":
		return ValueMatch{Name: ":authority", Value: value}, ok
	case "request.path":
		return ValueMatch{":path", regexp.QuoteMeta(value) + `(\?.*)?`, true}, ok && isPath(value)
	case "request.headers":
		// Envoy sees several headers of one name joined by commas, and the host
		// as no header.
		return ValueMatch{Name: variable.Key, Value: value}, ok && value != "" && !strings.Contains(value, ",") && variable.Key != "host"
	}
	return test, false
}

// textOf reads a literal that is a string.
func textOf(text string) (string, bool) {
	literal, ok := parseLiteral(strings.TrimSpace(text))
	s, isText := literal.(string)
	return s, ok && isText
}

func isPath(s string) bool { return strings.HasPrefix(s, "/") && !strings.ContainsAny(s, "?#") }

// splitOutside splits a text at an operator that stands outside of quotes.
func splitOutside(text, operator string) (parts []string) {
	quote, begin := byte(0), 0
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quote != 0 && c == '\\':
			i++
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		case quote == 0 && strings.HasPrefix(text[i:], operator):
			parts, begin = append(parts, text[begin:i]), i+len(operator)
			i = begin - 1
		}
	}
	return append(parts, text[begin:])
}
