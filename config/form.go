package config

import (
	"reflect"
	"slices"
)

// formed is a type that decodes itself and tells the forms of its values: to
// the JSON Schema, the reference page and [Source]. A selfDecoder without forms
// takes anything, as far as these know, and is shown to nobody.
type formed interface{ forms() []form }

// form is one way to write a value.
type form struct {
	// like is a value of a Go type that is written this way, such as "" for a
	// string; nil for anything at all. A struct is a mapping with its keys, also
	// if it decodes itself.
	like any
	// pattern is a regular expression, without anchors, that a string matches.
	pattern string
	// words, if any, are the only values.
	words []string
	// name is what the reference page calls the form; empty for the name of
	// like.
	name string
	// secret tells that the text must not be shown.
	secret bool
}

// The forms of the types that decode themselves, by subject.

func (fileDuration) forms() []form {
	return []form{{like: "", pattern: `\+?([0-9]+(\.[0-9]*)?(ns|us|µs|ms|s|m|h))+`, name: "duration"}}
}

func (Raw) forms() []form { return []form{{name: "anything"}} }

func (filePattern) forms() []form { return []form{{like: ""}, {like: []any{}, name: "list"}} }

func (fileNames) forms() []form { return []form{{like: ""}, {like: []string{}}} }

func (fileResourceName) forms() []form { return []form{{like: fileResourceName{}}, {like: ""}} }

func (fileGatewayTarget) forms() []form { return []form{{like: fileGatewayTarget{}}, {like: ""}} }

func (fileRouteTarget) forms() []form { return []form{{like: fileRouteTarget{}}, {like: ""}} }

func (fileKey) forms() []form { return []form{{like: "", secret: true}, {like: fileKeyMapping{}}} }

func (fileSpan) forms() []form {
	return []form{{like: "", pattern: `\+?(0|([0-9]+(\.[0-9]*)?(ns|us|µs|ms|s|m|h))+)`, name: "duration"}}
}

func (fileSecret) forms() []form { return []form{{like: "", secret: true}} }

func (fileScalar) forms() []form { return []form{{like: ""}, {like: 0.0}, {like: false}} }

func (fileBytes) forms() []form { return []form{{like: ""}, {like: []uint8{}, name: "list of bytes"}} }

func (fileMessages) forms() []form { return []form{{like: []fileMessage{}}, {like: fileMessage{}}} }

func (fileAuthority) forms() []form {
	return []form{{like: "", words: []string{"auto", "none"}}, {like: fileAuthorityMapping{}}}
}

func (fileTCPTarget) forms() []form { return []form{{like: fileTCPTargetKeys{}}, {like: ""}} }

func (l oneOrMany[T]) forms() []form { return []form{{like: []T{}}, {like: *new(T)}} }

func (fileConcurrency) forms() []form {
	return []form{{like: "", words: []string{"parallel"}}, {like: 0, words: []string{"0"}}}
}

func (fileServiceName) forms() []form { return []form{{like: ""}, {like: fileServiceName{}}} }

func (fileBackendTarget) forms() []form { return []form{{like: fileBackendTarget{}}, {like: ""}} }

func (fileServiceTarget) forms() []form { return []form{{like: fileServiceTarget{}}, {like: ""}} }

func (fileBackend) forms() []form {
	return []form{{like: fileBackend{}}, {like: "", words: []string{"invalid"}}}
}

func (fileTCPBackend) forms() []form {
	return []form{{like: fileTCPBackend{}}, {like: "", words: []string{"invalid"}}}
}

func (fileTimeSpan) forms() []form {
	return append(fileDuration(0).forms(), form{like: fileTimeSpan{}})
}

// filePresent is looser here than it is: null is taken wherever a string is.
func (filePresent) forms() []form { return []form{{like: "", name: "null"}} }

// isPublic tells whether a scalar that is decoded into the type may be shown.
func isPublic(t reflect.Type) bool {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if forms, ok := formsOf(t); ok {
		return !slices.ContainsFunc(forms, func(f form) bool { return f.like == nil || f.secret })
	}
	switch t.Kind() {
	case reflect.Struct, reflect.Slice, reflect.Map, reflect.Interface:
		return false
	}
	return true
}

// holdsSecret tells whether a key of the struct is a secret.
func holdsSecret(t reflect.Type) bool {
	return slices.ContainsFunc(reflect.VisibleFields(t), func(f reflect.StructField) bool {
		forms, _ := formsOf(f.Type)
		if f.Type.Kind() == reflect.Pointer {
			forms, _ = formsOf(f.Type.Elem())
		}
		return slices.ContainsFunc(forms, func(f form) bool { return f.secret })
	})
}

// formsOf returns the forms of a type that decodes itself. One that does not
// tell them may be anything.
func formsOf(t reflect.Type) (forms []form, ok bool) {
	if t.Kind() == reflect.Pointer || !reflect.PointerTo(t).Implements(selfDecoderType) {
		return nil, false
	}
	if f, ok := reflect.New(t).Interface().(formed); ok {
		return f.forms(), true
	}
	return []form{{name: "anything"}}, true
}
