package config

import (
	"slices"
	"strings"
)

// DirectResponse answers the requests of a route in place of a backend.
type DirectResponse struct {
	// Path is the place in the file.
	Path string
	// Status is 200 to 599.
	Status uint16
	// Body may be empty. It is of any type: only Headers can tell.
	Body []byte
	// Headers are its headers by name, in lower case.
	Headers map[string]string
}

func (r *resolver) directResponse(path string, f *fileDirectResponse) *DirectResponse {
	answer := &f.fileResponse
	if f.Conditional != nil {
		if answer.Status != nil || answer.Body != nil || answer.BodyExpression != nil || answer.Headers != nil {
			r.errorf(path, Conflict, "conditional excludes all other keys")
			return nil
		}
		if len(f.Conditional) != 1 {
			r.errorf(path+".conditional", Unsupported, "only a single entry without a condition is supported here")
			return nil
		}
		path, answer = path+".conditional[0]", &f.Conditional[0].fileResponse
	}
	return r.response(path, answer)
}

func (r *resolver) response(path string, f *fileResponse) *DirectResponse {
	a := &DirectResponse{Path: path, Body: f.Body}
	switch {
	case f.Status == nil:
		r.missingf(path, "expected status")
		return nil
	case *f.Status < 100 || *f.Status > 999:
		r.errorf(path+".status", Invalid, "not a status; expected 200 to 599")
	case *f.Status < 200 || *f.Status > 599:
		r.errorf(path+".status", Unsupported, "Envoy does not answer with this status; expected 200 to 599")
	}
	a.Status = *f.Status
	if f.BodyExpression != nil {
		text, ok := celString(*f.BodyExpression)
		switch {
		case len(f.Body) > 0:
			r.errorf(path+".bodyExpression", Conflict, "body and bodyExpression exclude each other")
		case !ok:
			r.errorf(path+".bodyExpression", Unsupported, celLiteralOnly)
		}
		a.Body = []byte(text)
	}
	if (a.Status == 204 || a.Status == 304) && len(a.Body) > 0 {
		r.warnf(path, Unreachable, "the body is never sent: answers with this status have none")
		a.Body = nil
	}
	a.Headers = map[string]string{}
	for _, name := range words(f.Headers) {
		value := r.responseHeader(path+".headers."+name, name, f.Headers[name])
		if _, twice := a.Headers[strings.ToLower(name)]; twice {
			r.errorf(path+".headers."+name, Conflict, "a second header of this name; names are the same in upper and lower case")
		}
		a.Headers[strings.ToLower(name)] = value
	}
	return a
}

const celLiteralOnly = `only a string literal is supported here; expected a text in quotes of CEL, as in '"text"'`

// framingHeaders belong to the connection, and are never the file's to set.
var framingHeaders = []string{"connection", "content-length", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}

// responseHeader returns the value of a header.
func (r *resolver) responseHeader(path, name, expression string) string {
	value, ok := celString(expression)
	switch {
	case !tokenPattern.MatchString(name):
		r.errorf(path, Invalid, "not a header name; expected a token")
	case slices.Contains(framingHeaders, strings.ToLower(name)):
		r.errorf(path, Unsupported, "this header belongs to the connection; leave it to Envoy")
	case !ok:
		r.errorf(path, Unsupported, celLiteralOnly)
	case strings.ContainsFunc(value, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }):
		r.errorf(path, Invalid, "not a header value; expected a text without control characters")
	}
	return value
}
