package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"math"
	"net/http"
	"strings"
	"time"
)

// mockModels are the models that the mock lists. It answers for any.
var mockModels = []string{"gpt-4o-mini", "gpt-4o", "mock"}

func openAIUsage(in, out int) object {
	return object{"prompt_tokens": in, "completion_tokens": out, "total_tokens": in + out}
}

func count(text string) int { return len(strings.Fields(text)) }

// streamOptions asks for one more event, with the usage.
type streamOptions struct {
	IncludeUsage bool `json:"include_usage"`
}

func (m *mock) chatCompletions(w http.ResponseWriter, r *http.Request) error {
	var request struct {
		Model         string        `json:"model"`
		Messages      []message     `json:"messages"`
		Stream        bool          `json:"stream"`
		StreamOptions streamOptions `json:"stream_options"`
	}
	if err := readJSON(r, &request); err != nil {
		return err
	}
	switch {
	case request.Model == "":
		return mockErrorf(http.StatusBadRequest, "you must provide a model parameter")
	case len(request.Messages) == 0:
		return mockErrorf(http.StatusBadRequest, "messages must not be empty")
	}
	heard := heard{model: request.Model}
	if err := heard.sayAll(request.Messages); err != nil {
		return err
	}
	text := heard.reply()
	usage := openAIUsage(heard.words, count(text))
	answer := object{
		"id": mockID("chatcmpl-"), "object": "chat.completion", "created": time.Now().Unix(),
		"model": request.Model, "system_fingerprint": "fp_mock", "service_tier": "default",
	}
	if !request.Stream {
		answer["choices"] = []object{{
			"index": 0, "logprobs": nil, "finish_reason": "stop",
			"message": object{"role": "assistant", "content": text, "refusal": nil, "annotations": []object{}},
		}}
		answer["usage"] = usage
		writeJSON(w, http.StatusOK, answer)
		return nil
	}

	answer["object"] = "chat.completion.chunk"
	m.streamChoices(w, r, answer, request.StreamOptions, usage, func(send func(choice object)) {
		delta := func(delta object, finish any) {
			send(object{"index": 0, "delta": delta, "logprobs": nil, "finish_reason": finish})
		}
		delta(object{"role": "assistant", "content": "", "refusal": nil}, nil)
		for _, piece := range pieces(text) {
			delta(object{"content": piece}, nil)
		}
		delta(object{}, "stop")
	})
	return nil
}

func (m *mock) completions(w http.ResponseWriter, r *http.Request) error {
	var request struct {
		Model         string          `json:"model"`
		Prompt        json.RawMessage `json:"prompt"`
		Stream        bool            `json:"stream"`
		StreamOptions streamOptions   `json:"stream_options"`
	}
	if err := readJSON(r, &request); err != nil {
		return err
	}
	if request.Model == "" {
		return mockErrorf(http.StatusBadRequest, "you must provide a model parameter")
	}
	prompts, err := inputs(request.Prompt)
	if err != nil {
		return err
	}
	heard := heard{model: request.Model}
	heard.say("user", strings.Join(prompts, " "))
	text := heard.reply()
	usage := openAIUsage(heard.words, count(text))
	answer := object{
		"id": mockID("cmpl-"), "object": "text_completion", "created": time.Now().Unix(),
		"model": request.Model, "system_fingerprint": "fp_mock",
	}
	choice := func(text string, finish any) object {
		return object{"index": 0, "text": text, "logprobs": nil, "finish_reason": finish}
	}
	if !request.Stream {
		answer["choices"] = []object{choice(text, "stop")}
		answer["usage"] = usage
		writeJSON(w, http.StatusOK, answer)
		return nil
	}
	m.streamChoices(w, r, answer, request.StreamOptions, usage, func(send func(choice object)) {
		for _, piece := range pieces(text) {
			send(choice(piece, nil))
		}
		send(choice("", "stop"))
	})
	return nil
}

// streamChoices sends what choices sends, each in an answer of its own, then
// the usage if it was asked for, and the end.
func (m *mock) streamChoices(w http.ResponseWriter, r *http.Request, answer object, options streamOptions, usage object, choices func(send func(choice object))) {
	stream := m.stream(w, r)
	if options.IncludeUsage {
		answer["usage"] = nil
	}
	choices(func(choice object) {
		answer["choices"] = []object{choice}
		stream.send("", encodeJSON(answer))
	})
	if options.IncludeUsage {
		answer["choices"], answer["usage"] = []object{}, usage
		stream.send("", encodeJSON(answer))
	}
	stream.send("", []byte("[DONE]"))
}

// inputs returns the texts of an input: one, or several. Tokens have no text.
func inputs(raw json.RawMessage) ([]string, error) {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return []string{text}, nil
	}
	var several []string
	if json.Unmarshal(raw, &several) == nil && len(several) > 0 {
		return several, nil
	}
	var tokens []int
	if json.Unmarshal(raw, &tokens) == nil && len(tokens) > 0 {
		return []string{string(raw)}, nil
	}
	var lists [][]int
	if json.Unmarshal(raw, &lists) == nil && len(lists) > 0 {
		var out []string
		for _, list := range lists {
			out = append(out, string(encodeJSON(list)))
		}
		return out, nil
	}
	return nil, mockErrorf(http.StatusBadRequest, "want a string, a list of strings or a list of tokens")
}

func (m *mock) embeddings(w http.ResponseWriter, r *http.Request) error {
	request := struct {
		Model      string          `json:"model"`
		Input      json.RawMessage `json:"input"`
		Dimensions int             `json:"dimensions"`
		Format     string          `json:"encoding_format"`
	}{Dimensions: 8}
	if err := readJSON(r, &request); err != nil {
		return err
	}
	switch {
	case request.Model == "":
		return mockErrorf(http.StatusBadRequest, "you must provide a model parameter")
	case request.Dimensions < 1 || request.Dimensions > 4096:
		return mockErrorf(http.StatusBadRequest, "dimensions: want 1 to 4096")
	case request.Format != "" && request.Format != "float" && request.Format != "base64":
		return mockErrorf(http.StatusBadRequest, "encoding_format: want float or base64")
	}
	parts, err := inputs(request.Input)
	if err != nil {
		return err
	}
	data := make([]object, len(parts))
	words := 0
	for i, text := range parts {
		var value any = embed(text, request.Dimensions)
		if request.Format == "base64" {
			bytes, _ := binary.Append(nil, binary.LittleEndian, value) // floats have a fixed size
			value = base64.StdEncoding.EncodeToString(bytes)
		}
		data[i] = object{"object": "embedding", "index": i, "embedding": value}
		words += count(text)
	}
	writeJSON(w, http.StatusOK, object{
		"object": "list", "data": data, "model": request.Model,
		"usage": object{"prompt_tokens": words, "total_tokens": words},
	})
	return nil
}

// embed returns a vector of length 1 that depends on the text alone.
func embed(text string, dimensions int) []float32 {
	vector := make([]float32, dimensions)
	var sum [sha256.Size]byte
	square := 0.0
	for i := range vector {
		if at := i % sha256.Size; at == 0 {
			sum = sha256.Sum256(append(sum[:], text...))
		}
		vector[i] = float32(sum[i%sha256.Size]) - 127.5
		square += float64(vector[i]) * float64(vector[i])
	}
	for i := range vector {
		vector[i] /= float32(math.Sqrt(square))
	}
	return vector
}

func (m *mock) responses(w http.ResponseWriter, r *http.Request) error {
	var request struct {
		Model        string          `json:"model"`
		Instructions *string         `json:"instructions"`
		Input        json.RawMessage `json:"input"`
		Stream       bool            `json:"stream"`
	}
	if err := readJSON(r, &request); err != nil {
		return err
	}
	if request.Model == "" {
		return mockErrorf(http.StatusBadRequest, "you must provide a model parameter")
	}
	heard := heard{model: request.Model}
	if request.Instructions != nil {
		heard.say("system", *request.Instructions)
	}
	var text string
	var turns []message
	switch {
	case json.Unmarshal(request.Input, &text) == nil:
		heard.say("user", text)
	case json.Unmarshal(request.Input, &turns) == nil && len(turns) > 0:
		if err := heard.sayAll(turns); err != nil {
			return err
		}
	default:
		return mockErrorf(http.StatusBadRequest, "input: want a string or a list of items")
	}
	text = heard.reply()
	used := count(text)

	part := object{"type": "output_text", "text": text, "annotations": []object{}, "logprobs": []object{}}
	item := object{"type": "message", "id": mockID("msg_"), "status": "completed", "role": "assistant", "content": []object{part}}
	answer := object{
		"id": mockID("resp_"), "object": "response", "created_at": time.Now().Unix(), "status": "completed",
		"model": request.Model, "instructions": request.Instructions, "output": []object{item},
		"error": nil, "incomplete_details": nil, "metadata": object{}, "previous_response_id": nil,
		"parallel_tool_calls": true, "tool_choice": "auto", "tools": []object{},
		"temperature": 1, "top_p": 1, "max_output_tokens": nil, "truncation": "disabled", "store": false,
		"reasoning": object{"effort": nil, "summary": nil}, "text": object{"format": object{"type": "text"}},
		"usage": object{
			"input_tokens": heard.words, "input_tokens_details": object{"cached_tokens": 0, "cache_write_tokens": 0},
			"output_tokens": used, "output_tokens_details": object{"reasoning_tokens": 0},
			"total_tokens": heard.words + used,
		},
	}
	if !request.Stream {
		writeJSON(w, http.StatusOK, answer)
		return nil
	}

	stream := m.stream(w, r)
	number := 0
	send := func(kind string, event object) {
		event["type"], event["sequence_number"] = kind, number
		number++
		stream.send(kind, encodeJSON(event))
	}
	begun := with(answer, object{"status": "in_progress", "output": []object{}, "usage": nil})
	send("response.created", object{"response": begun})
	send("response.in_progress", object{"response": begun})
	send("response.output_item.added", object{
		"output_index": 0, "item": with(item, object{"status": "in_progress", "content": []object{}}),
	})
	in := object{"item_id": item["id"], "output_index": 0, "content_index": 0}
	send("response.content_part.added", with(in, object{"part": with(part, object{"text": ""})}))
	for _, piece := range pieces(text) {
		send("response.output_text.delta", with(in, object{"delta": piece, "logprobs": []object{}}))
	}
	send("response.output_text.done", with(in, object{"text": text, "logprobs": []object{}}))
	send("response.content_part.done", with(in, object{"part": part}))
	send("response.output_item.done", object{"output_index": 0, "item": item})
	send("response.completed", object{"response": answer})
	return nil
}

// with returns a copy of an object with some keys set.
func with(base, changes object) object {
	out := object{}
	for _, from := range []object{base, changes} {
		for key, value := range from {
			out[key] = value
		}
	}
	return out
}

func (m *mock) models(w http.ResponseWriter, r *http.Request) error {
	data := make([]object, len(mockModels))
	for i, id := range mockModels {
		data[i] = describe(r, id)
	}
	if asksAnthropic(r) {
		writeJSON(w, http.StatusOK, object{
			"data": data, "has_more": false, "first_id": mockModels[0], "last_id": mockModels[len(mockModels)-1],
		})
		return nil
	}
	writeJSON(w, http.StatusOK, object{"object": "list", "data": data})
	return nil
}

func (m *mock) model(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	if id == "" {
		return mockErrorf(http.StatusNotFound, "no model is named in %s", r.URL.Path)
	}
	writeJSON(w, http.StatusOK, describe(r, id))
	return nil
}

// mockBirth is when every model was made.
var mockBirth = time.Date(2025, time.January, 1, 0, 0, 0, 0, time.UTC)

// describe returns a model in the shape of the API that was asked.
func describe(r *http.Request, id string) object {
	if asksAnthropic(r) {
		return object{
			"type": "model", "id": id, "display_name": id, "lifecycle": "active",
			"created_at": mockBirth.Format(time.RFC3339),
		}
	}
	return object{"id": id, "object": "model", "created": mockBirth.Unix(), "owned_by": "attache"}
}
