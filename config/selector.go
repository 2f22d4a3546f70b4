package config

import (
	"fmt"
	"slices"
	"strings"
)

// operands are F5's words.
var operands = map[string]Operand{
	"": OperandAny, "any": OperandAny, "or": OperandAny,
	"all": OperandAll, "and": OperandAll,
	"none": OperandNone, "not": OperandNone,
}

// selectorType is a selector's type with the keys that go with it.
type selectorType struct {
	kind         SelectorKind
	key          bool // what key names, beside values
	tags, values bool
	keys         string // the same in words
}

var selectorTypes = map[string]selectorType{
	"":            {SelectTags, false, true, false, "tags, a list of \"key:value\""},
	"header":      {SelectHeader, true, false, true, "key, the name of a header, and values"},
	"jwt":         {SelectJWT, true, false, true, "key, the name of a claim, and values"},
	"input.model": {SelectInputModel, false, false, true, "values, the names of models"},
}

// selectorPlace is where a selector stands: the kinds that can hold there, and
// the answer to others.
type selectorPlace struct {
	kinds []SelectorKind
	other string
}

var (
	onCandidate = selectorPlace{[]SelectorKind{SelectHeader, SelectJWT}, "a profile is chosen by type header or jwt, before any step has run"}
	onStage     = selectorPlace{[]SelectorKind{SelectTags}, "a stage is selected by tags; leave type out and list tags"}
	onService   = selectorPlace{[]SelectorKind{SelectTags, SelectInputModel}, "a service is chosen by tags, without a type, or by type input.model"}
)

// selector reads F5's selector; nil, which always holds, for none.
func (r *resolver) selector(path string, f *fileSelector, place selectorPlace) *Selector {
	if f == nil {
		return nil
	}
	s := &Selector{Path: path, Key: f.Key, Values: f.Values}
	t, known := selectorTypes[f.Type]
	s.Kind = t.kind
	var ok bool
	if s.Operand, ok = operands[f.Operand]; !ok {
		r.errorf(path+".operand", Invalid, "unknown operand; expected any, all or none")
	}
	switch {
	case !known:
		r.errorf(path+".type", Invalid, "unknown type; %s", place.other)
		return s
	case !slices.Contains(place.kinds, t.kind):
		r.errorf(path+".type", Unsupported, "%s", place.other)
		return s
	case (f.Key != "") != t.key, (len(f.Tags) > 0) != t.tags, (len(f.Values) > 0) != t.values:
		r.missingf(path, "expected %s, and nothing else", t.keys)
		return s
	}
	switch t.kind {
	case SelectTags:
		s.Values = nil
		for i, tag := range f.Tags {
			s.Values = append(s.Values, r.tag(fmt.Sprintf("%s.tags[%d]", path, i), tag))
		}
	case SelectHeader:
		if s.Key = strings.ToLower(f.Key); !tokenPattern.MatchString(s.Key) {
			r.errorf(path+".key", Invalid, "not a header name")
		}
	case SelectInputModel:
		if s.Operand == OperandAll && len(f.Values) > 1 {
			r.warnf(path, Unreachable, "never holds: a request names one model, and this wants all of several")
		}
	case SelectJWT:
	}
	return s
}

// tag reads "key:value"; the key ends at the first colon.
func (r *resolver) tag(path, tag string) string {
	key, value, ok := strings.Cut(tag, ":")
	switch {
	case !ok && tag != "" && r.f5:
		r.errorf(path, Unsupported, "an early-access tag; write \"key:value\", such as \"language:en\"")
	case key == "" || value == "":
		r.errorf(path, Invalid, "expected \"key:value\"")
	case key == "language-id" && r.f5:
		r.warnf(path, Unsupported, "language-id was the key of an early-access tag; F5's processor language-id writes language")
	}
	return strings.ToLower(tag)
}

// holdsFor tells whether the selector holds over a set. Nil always holds.
func (s *Selector) holdsFor(set ...string) bool {
	if s == nil {
		return true
	}
	present := 0
	for _, v := range s.Values {
		if slices.Contains(set, v) {
			present++
		}
	}
	switch s.Operand {
	case OperandAll:
		return present == len(s.Values)
	case OperandNone:
		return present == 0
	default:
		return present > 0
	}
}

// total tells whether one of the selectors holds whatever the request is: one
// that is absent, or two of which each is the other's negation.
func total(selectors []*Selector) bool {
	for i, a := range selectors {
		if a == nil {
			return true
		}
		for _, b := range selectors[:i] {
			if a.negates(b) {
				return true
			}
		}
	}
	return false
}

func (s *Selector) negates(o *Selector) bool {
	return s.Kind == o.Kind && s.Key == o.Key &&
		(s.Operand == OperandAny && o.Operand == OperandNone || s.Operand == OperandNone && o.Operand == OperandAny) &&
		slices.Equal(slices.Compact(slices.Sorted(slices.Values(s.Values))), slices.Compact(slices.Sorted(slices.Values(o.Values))))
}
