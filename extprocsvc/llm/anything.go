package llm

import "unicode/utf8"

// Anything is what an API says that is no answer of a model, such as an error or a
// list of models: any JSON, or a plain text, as a field of an object. All in it is
// text.
var Anything = &Dialect{
	Name: "anything",
	top:  &object{fields: fields(isOther, "anything"), rest: isOther},
	any:  true,
}

const anythingOpen, anythingEnd = `{"anything":`, "}"

// ScanAnything reads a body, wrapped up as one of [Anything]; what
// [Doc.Append] gives then is for [UnwrapAnything]. plain tells that the body is no
// JSON. The error is an [*Error] if it is not UTF-8, or neither.
func (d *Doc) ScanAnything(body []byte) (plain bool, err error) {
	wrapped := make([]byte, 0, len(anythingOpen)+len(body)+len(anythingEnd))
	s := scanner{b: body}
	s.space()
	begins := s.peek()
	ok := s.value()
	if s.space(); ok && s.i == len(body) {
		return false, d.Scan(Anything, append(append(append(wrapped, anythingOpen...), body...), anythingEnd...))
	}
	if !utf8.Valid(body) || isJSONStart(begins) { // what reads JSON might read more of it than we
		return false, &Error{s.i, "neither JSON nor a text"}
	}
	wrapped = append(AppendQuoted(append(wrapped[:0], anythingOpen...), string(body)), anythingEnd...)
	return true, d.Scan(Anything, wrapped)
}

// UnwrapAnything returns the body as it is sent.
func UnwrapAnything(wrapped []byte, plain bool) []byte {
	body := wrapped[len(anythingOpen) : len(wrapped)-len(anythingEnd)]
	if plain {
		return AppendUnquoted(nil, body[1:len(body)-1])
	}
	return body
}
