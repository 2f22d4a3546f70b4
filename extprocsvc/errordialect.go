package extprocsvc

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/attache-dev/attache/extprocsvc/llm"
)

// An errorDialect is how an API tells its clients about errors.
type errorDialect struct {
	// name is that of its event in a stream; empty if events have no names.
	name string
	// body makes the body out of a refusal, for the encoder. In a stream whose
	// events are counted, number is that of the event.
	body func(r *refusal, number int64) any
}

// openAIErrors is OpenAI's shape, and what everybody gets who does not speak
// another dialect: https://platform.openai.com/docs/guides/error-codes.
var openAIErrors = &errorDialect{"", func(r *refusal, _ int64) any {
	if r.policy {
		var b rejection
		b.Error.Message, b.Error.Type, b.Error.Code, b.Message = r.message, r.kind, r.code, r.message
		return b
	}
	var b openAIError
	b.Error.Message, b.Error.Type, b.Error.Code = r.message, r.kind, r.code
	return b
}}

// anthropicErrors is the shape of Anthropic's Messages API,
// https://docs.claude.com/en/api/errors.
var anthropicErrors = &errorDialect{"error", func(r *refusal, _ int64) any {
	b := anthropicError{Type: "error"}
	b.Error.Type, b.Error.Message = "api_error", r.message
	if kind, ok := anthropicTypes[r.status]; ok {
		b.Error.Type = kind
	}
	return b
}}

// responseErrors are those in a stream of OpenAI's Responses API. The reference
// has the fields of the event on top, the service sends, and OpenAI's clients
// look at, the object error: both are there.
var responseErrors = &errorDialect{"error", func(r *refusal, number int64) any {
	b := responseError{Type: "error", Code: r.code, Message: r.message, Number: number}
	b.Error.Message, b.Error.Type, b.Error.Code = r.message, r.kind, r.code
	return b
}}

type responseError struct {
	Type    string  `json:"type"`
	Code    string  `json:"code"`
	Message string  `json:"message"`
	Param   *string `json:"param"`
	Number  int64   `json:"sequence_number"`
	openAIError
}

type openAIError struct {
	Error struct {
		Message string  `json:"message"`
		Type    string  `json:"type"`
		Param   *string `json:"param"`
		Code    string  `json:"code"`
	} `json:"error"`
}

// rejection is the same for a rejection by a processor. The outer message is
// where clients of F5 AI Gateway look for it.
type rejection struct {
	Error struct {
		Message string `json:"message"`
		Type    string `json:"type"`
		Code    string `json:"code"`
	} `json:"error"`
	Message string `json:"message"`
}

type anthropicError struct {
	Type  string `json:"type"`
	Error struct {
		Type    string `json:"type"`
		Message string `json:"message"`
	} `json:"error"`
}

// anthropicTypes are Anthropic's types by status; others are api_error.
var anthropicTypes = map[uint32]string{
	400: "invalid_request_error", 415: "invalid_request_error", 422: "invalid_request_error",
	401: "authentication_error", 403: "permission_error", 404: "not_found_error",
	413: "request_too_large", 429: "rate_limit_error", 503: "overloaded_error", 504: "timeout_error",
}

func (d *errorDialect) encode(r *refusal, number int64) []byte {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(d.body(r, number)); err != nil {
		panic(err) // strings can always be encoded
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}

// errorEvent is a refusal as the last event of a stream, in the dialect of its
// events, or before the first in that of the client.
func (s *stream) errorEvent(r *refusal) []byte {
	d := s.errors()
	switch of := s.live.flow.Dialect(); {
	case of == llm.MessageEvents:
		d = anthropicErrors
	case of == llm.ResponseEvents, of == nil && s.reading.dialect == llm.Responses:
		d = responseErrors
	case of != nil:
		d = openAIErrors
	}
	var out []byte
	if d.name != "" {
		out = append(out, "event: "+d.name+"\n"...)
	}
	out = append(append(out, "data: "...), d.encode(r, s.live.flow.Next())...)
	return append(out, "\n\n"...)
}

// errors is the dialect of the client: that of its API, whatever becomes of the
// request behind us.
func (s *stream) errors() *errorDialect {
	path := s.head.bare()
	if s.reading.anthropic() || strings.HasSuffix(path, "/v1/messages") || strings.HasSuffix(path, "/v1/messages/count_tokens") ||
		len(s.head.values("anthropic-version")) > 0 {
		return anthropicErrors
	}
	return openAIErrors
}
