package collect

import (
	"slices"
	"strings"
)

// response puts the events of OpenAI's Responses together. The last one usually
// has all of it.
type response struct {
	top   *value
	items *value
}

// growing are the texts that come in pieces: the list of the item that their part
// is in, with the key of its number, and the key of the text.
var growing = map[string]struct{ list, number, key string }{
	"response.output_text":                {"content", "content_index", "text"},
	"response.refusal":                    {"content", "content_index", "refusal"},
	"response.reasoning_text":             {"content", "content_index", "text"},
	"response.audio.transcript":           {"content", "content_index", "transcript"},
	"response.reasoning_summary_text":     {"summary", "summary_index", "text"},
	"response.function_call_arguments":    {"", "", "arguments"},
	"response.mcp_call_arguments":         {"", "", "arguments"},
	"response.custom_tool_call_input":     {"", "", "input"},
	"response.code_interpreter_call_code": {"", "", "code"},
}

func (r *response) add(kind string, e *value) error {
	if whole := e.get("response"); whole.isObject() {
		return settle(r.top, whole)
	}
	pos, ok := e.get("output_index").index()
	if !ok {
		return nil // what there is to read is beside the answer
	}
	item := r.items.at(pos, func() *value { return object() })
	if item == nil {
		return errTooMany
	}
	switch kind {
	case "response.output_item.added", "response.output_item.done":
		if whole := e.get("item"); whole.isObject() {
			item.members = whole.members
		}
		return nil
	case "response.content_part.added", "response.content_part.done":
		return place(item, "content", e.get("content_index"), e.get("part"))
	case "response.reasoning_summary_part.added", "response.reasoning_summary_part.done":
		return place(item, "summary", e.get("summary_index"), e.get("part"))
	case "response.output_text.annotation.added":
		return place(item, "content", e.get("content_index"), object("annotations", listOf(orNull(e.get("annotation")))), grow)
	}
	name, piece := strings.CutSuffix(kind, ".delta")
	name, done := strings.CutSuffix(name, ".done")
	at, known := growing[name]
	said := e.get(at.key)
	if piece {
		said = e.get("delta")
	}
	if !known || !piece && !done || !said.isText() {
		return nil
	}
	how := grow
	if done {
		how = repeatIfMissing
	}
	if at.list == "" {
		return how(item, object(at.key, said))
	}
	return place(item, at.list, e.get(at.number), object(at.key, said), how)
}

// place puts a part into a list of an item, or with a function what is added to
// that part.
func place(item *value, list string, number, part *value, how ...func(to, delta *value) error) error {
	pos, ok := number.index()
	if !ok || !part.isObject() {
		return nil
	}
	parts := item.get(list)
	if !parts.isList() {
		parts = listOf()
		item.set(list, parts)
	}
	to := parts.at(pos, func() *value { return object() })
	switch {
	case to == nil:
		return errTooMany
	case len(how) > 0:
		return how[0](to, part)
	}
	return settle(to, part)
}

// repeatIfMissing takes what is done where its pieces did not come. Where they
// did, the cover of the texts compares the two.
func repeatIfMissing(to, whole *value) error {
	for _, m := range whole.members {
		if to.get(m.key).isEmpty() {
			to.set(m.key, m.v)
		}
	}
	return nil
}

func (r *response) body() (*value, []string) {
	if r.top.get("output").isEmpty() {
		r.top.set("output", r.items)
	}
	return r.top, nil
}

// numbered writes an event of a response.
func (w *writer) numbered(kind string, pairs ...any) {
	w.named(kind, append([]any{"sequence_number", number(w.number)}, pairs...)...)
	w.number++
}

// streamResponse makes events of a response: everything once as a delta and once
// more when it is done.
func streamResponse(w *writer, body *value) {
	begun := body.with("output", listOf(), "status", text("in_progress"), "usage", null())
	w.numbered("response.created", "response", begun)
	w.numbered("response.in_progress", "response", begun)
	for i, item := range elements(body.get("output")) {
		streamItem(w, number(i), item)
	}
	if w.fail() {
		return
	}
	end := "response.completed"
	switch status := body.get("status").str(); status {
	case "failed", "incomplete":
		end = "response." + status
	}
	w.numbered(end, "response", body)
}

// streamItem makes events of an item.
func streamItem(w *writer, at, item *value) {
	where := []any{"output_index", at}
	if id := item.get("id"); id != nil {
		where = append(where, "item_id", id)
	}
	where = slices.Clip(where)
	begun := item.without()
	if begun.get("status") != nil {
		begun.set("status", text("in_progress"))
	}
	for _, list := range []string{"content", "summary"} {
		if item.get(list).isList() {
			begun.set(list, listOf())
		}
	}
	name, key := "", ""
	switch item.get("type").str() {
	case "function_call":
		name, key = "response.function_call_arguments", "arguments"
	case "mcp_call":
		name, key = "response.mcp_call_arguments", "arguments"
	case "custom_tool_call":
		name, key = "response.custom_tool_call_input", "input"
	}
	said := item.get(key)
	if said.isText() {
		begun.set(key, text(""))
	}
	w.numbered("response.output_item.added", "output_index", at, "item", begun)
	for i, p := range elements(item.get("summary")) {
		streamPart(w, append(where, "summary_index", number(i)), "response.reasoning_summary_part", "response.reasoning_summary_text", "text", p)
	}
	for i, p := range elements(item.get("content")) {
		name, key := "response.output_text", "text"
		switch p.get("type").str() {
		case "refusal":
			name, key = "response.refusal", "refusal"
		case "reasoning_text":
			name = "response.reasoning_text"
		}
		streamPart(w, append(where, "content_index", number(i)), "response.content_part", name, key, p)
	}
	if said.isText() {
		w.numbered(name+".delta", append(where, "delta", said)...)
		w.numbered(name+".done", append(where, key, said)...)
	}
	w.numbered("response.output_item.done", "output_index", at, "item", item)
}

// streamPart makes events of a part of an item.
func streamPart(w *writer, where []any, part, name, key string, p *value) {
	where = slices.Clip(where)
	said := p.get(key)
	begun := p.without()
	if said.isText() {
		begun.set(key, text(""))
	}
	if begun.get("annotations").isList() {
		begun.set("annotations", listOf())
	}
	w.numbered(part+".added", append(where, "part", begun)...)
	if said.isText() {
		w.numbered(name+".delta", append(where, "delta", said, "logprobs", listOf())...)
		for i, a := range elements(p.get("annotations")) {
			w.numbered("response.output_text.annotation.added", append(where, "annotation_index", number(i), "annotation", a)...)
		}
		w.numbered(name+".done", append(where, key, said, "logprobs", listOf())...)
	}
	w.numbered(part+".done", append(where, "part", p)...)
}
