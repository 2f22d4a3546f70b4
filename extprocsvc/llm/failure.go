package llm

import "unicode/utf8"

// Failure is what an API answers instead of an answer: any JSON, or a plain text,
// as the field error of an object. All in it is text.
var Failure = &Dialect{
	Name: "an error",
	top:  &object{fields: fields(isOther, "error"), rest: isOther},
	any:  true,
}

const failureOpen, failureEnd = `{"error":`, "}"

// ScanFailure reads the body of an error, wrapped up as a body of [Failure]; what
// [Doc.Append] gives then is for [UnwrapFailure]. plain tells that the body is no
// JSON. The error is an [*Error] if it is not UTF-8, or neither.
func (d *Doc) ScanFailure(body []byte) (plain bool, err error) {
	wrapped := make([]byte, 0, len(failureOpen)+len(body)+len(failureEnd))
	s := scanner{b: body}
	s.space()
	begins := s.peek()
	ok := s.value()
	if s.space(); ok && s.i == len(body) {
		return false, d.Scan(Failure, append(append(append(wrapped, failureOpen...), body...), failureEnd...))
	}
	if !utf8.Valid(body) || isJSONStart(begins) { // what reads JSON might read more of it than we
		return false, &Error{s.i, "neither JSON nor a text"}
	}
	wrapped = append(AppendQuoted(append(wrapped[:0], failureOpen...), string(body)), failureEnd...)
	return true, d.Scan(Failure, wrapped)
}

// UnwrapFailure returns the body of an error as it is sent.
func UnwrapFailure(wrapped []byte, plain bool) []byte {
	body := wrapped[len(failureOpen) : len(wrapped)-len(failureEnd)]
	if plain {
		return AppendUnquoted(nil, body[1:len(body)-1])
	}
	return body
}
