package extprocsvc

import (
	"bytes"
	"encoding/json"
	"strings"
)

// An errorDialect is how an API tells its clients about errors.
type errorDialect struct {
	// body makes the body out of a refusal, for the encoder.
	body func(*refusal) any
}

// openAIErrors is OpenAI's shape, and what everybody gets who does not speak
// another dialect: https://platform.openai.com/docs/guides/error-codes.
var openAIErrors = &errorDialect{func(r *refusal) any {
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
var anthropicErrors = &errorDialect{func(r *refusal) any {
	b := anthropicError{Type: "error"}
	b.Error.Type, b.Error.Message = "api_error", r.message
	if kind, ok := anthropicTypes[r.status]; ok {
		b.Error.Type = kind
	}
	return b
}}

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

func (d *errorDialect) encode(r *refusal) []byte {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(d.body(r)); err != nil {
		panic(err) // strings can always be encoded
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}

// errors is the dialect of the client.
func (h *head) errors() *errorDialect {
	path := h.bare()
	if strings.HasSuffix(path, "/v1/messages") || len(h.values("anthropic-version")) > 0 {
		return anthropicErrors
	}
	return openAIErrors
}
