package main

import (
	"encoding/json"
	"net/http"
	"strings"
)

// asksAnthropic reports whether a request speaks Anthropic's API.
func asksAnthropic(r *http.Request) bool {
	return r.Header.Get("Anthropic-Version") != "" ||
		r.URL.Path == "/v1/messages" || strings.HasPrefix(r.URL.Path, "/v1/messages/")
}

// anthropicRequest is the part of a Messages request that the mock reads.
type anthropicRequest struct {
	Model     string          `json:"model"`
	MaxTokens int             `json:"max_tokens"`
	System    json.RawMessage `json:"system"`
	Messages  []message       `json:"messages"`
	Stream    bool            `json:"stream"`
}

func readAnthropic(r *http.Request) (anthropicRequest, heard, error) {
	var request anthropicRequest
	if err := readJSON(r, &request); err != nil {
		return request, heard{}, err
	}
	switch {
	case request.Model == "":
		return request, heard{}, mockErrorf(http.StatusBadRequest, "model: field required")
	case len(request.Messages) == 0:
		return request, heard{}, mockErrorf(http.StatusBadRequest, "messages: at least one message is required")
	}
	heard := heard{model: request.Model}
	system, err := texts(request.System)
	if err != nil {
		return request, heard, mockErrorf(http.StatusBadRequest, "system: %v", err)
	}
	for _, text := range system {
		heard.say("system", text)
	}
	return request, heard, heard.sayAll(request.Messages)
}

func (m *mock) messages(w http.ResponseWriter, r *http.Request) error {
	request, heard, err := readAnthropic(r)
	if err != nil {
		return err
	}
	if request.MaxTokens < 1 {
		return mockErrorf(http.StatusBadRequest, "max_tokens: field required")
	}
	text := heard.reply()
	usage := object{
		"input_tokens": heard.words, "output_tokens": count(text),
		"cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
	}
	answer := object{
		"id": mockID("msg_"), "type": "message", "role": "assistant", "model": request.Model,
		"content":     []object{{"type": "text", "text": text}},
		"stop_reason": "end_turn", "stop_sequence": nil, "usage": usage,
	}
	if !request.Stream {
		writeJSON(w, http.StatusOK, answer)
		return nil
	}

	stream := m.stream(w, r)
	send := func(kind string, event object) {
		event["type"] = kind
		stream.send(kind, encodeJSON(event))
	}
	send("message_start", object{"message": with(answer, object{
		"content": []object{}, "stop_reason": nil, "usage": with(usage, object{"output_tokens": 1}),
	})})
	send("content_block_start", object{"index": 0, "content_block": object{"type": "text", "text": ""}})
	send("ping", object{})
	for _, piece := range pieces(text) {
		send("content_block_delta", object{"index": 0, "delta": object{"type": "text_delta", "text": piece}})
	}
	send("content_block_stop", object{"index": 0})
	send("message_delta", object{
		"delta": object{"stop_reason": "end_turn", "stop_sequence": nil},
		"usage": object{"output_tokens": count(text)},
	})
	send("message_stop", object{})
	return nil
}

func (m *mock) countTokens(w http.ResponseWriter, r *http.Request) error {
	_, heard, err := readAnthropic(r)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, object{"input_tokens": heard.words})
	return nil
}
