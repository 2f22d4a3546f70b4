package collect

// message puts the events of Anthropic's Messages together.
type message struct {
	top    *value
	blocks *value
	// inputs are the arguments of tools, in JSON, by the block.
	inputs map[*value]*value
}

func (m *message) add(kind string, e *value) error {
	switch kind {
	case "message_start":
		if start := e.get("message"); start.isObject() {
			for i, b := range elements(start.get("content")) {
				m.blocks.at(i, func() *value { return b })
			}
			return settle(m.top, start)
		}
	case "content_block_start", "content_block_delta":
		pos, _ := e.get("index").index()
		block := m.blocks.at(pos, func() *value { return object() })
		if block == nil {
			return errTooMany
		}
		if begun := e.get("content_block"); begun.isObject() && len(block.members) == 0 {
			block.members = begun.members
			return nil
		}
		return m.delta(block, e.get("delta"))
	case "message_delta":
		if usage := e.get("usage"); usage.isObject() {
			if !m.top.get("usage").isObject() {
				m.top.set("usage", object())
			}
			if err := settle(m.top.get("usage"), usage); err != nil {
				return err
			}
		}
		if delta := e.get("delta"); delta.isObject() {
			if err := settle(m.top, delta); err != nil {
				return err
			}
		}
		return settle(m.top, e, "type", "usage", "delta")
	}
	return nil // what else there is to read is beside the answer
}

// delta adds to a block.
func (m *message) delta(block, delta *value) error {
	if !delta.isObject() {
		return nil
	}
	if c := delta.get("citation"); c != nil {
		if err := grow(block, object("citations", listOf(c))); err != nil {
			return err
		}
	}
	if part := delta.get("partial_json"); part.isText() {
		if m.inputs[block] == nil {
			m.inputs[block] = object()
		}
		if err := grow(m.inputs[block], object("json", part)); err != nil {
			return err
		}
	}
	return grow(block, delta.without("type", "citation", "partial_json"))
}

func (m *message) body() (*value, []string) {
	var said []string
	for block, in := range m.inputs {
		json := in.get("json")
		said = append(said, json.str())
		if v, ok := parseObject(json.str()); ok {
			block.set("input", v)
		} else if len(json.raw) > 0 {
			block.set("input", json) // cut off
		}
	}
	m.top.set("content", m.blocks)
	return m.top, said
}

// streamMessage makes events of a message: one delta for each thing that has its
// own.
func streamMessage(w *writer, body *value) {
	start := body.with("content", listOf(), "stop_reason", null(), "stop_sequence", null())
	w.named("message_start", "message", start)
	for i, b := range elements(body.get("content")) {
		at := number(i)
		begun := b.without()
		var deltas []*value
		delta := func(kind, key string, v *value) {
			if !v.isEmpty() {
				deltas = append(deltas, object("type", text(kind), key, v))
			}
		}
		switch b.get("type").str() {
		case "text":
			begun = b.with("text", text(""))
			if c := b.get("citations"); c.isList() {
				begun.set("citations", listOf())
				for _, c := range elements(c) {
					delta("citations_delta", "citation", c)
				}
			}
			delta("text_delta", "text", b.get("text"))
		case "thinking":
			begun = b.with("thinking", text(""), "signature", text(""))
			delta("thinking_delta", "thinking", b.get("thinking"))
			delta("signature_delta", "signature", b.get("signature"))
		case "tool_use", "server_tool_use", "mcp_tool_use":
			begun = b.with("input", object())
			in := b.get("input")
			if !in.isText() && in != nil {
				in = text(string(in.append(nil)))
			}
			delta("input_json_delta", "partial_json", in)
		}
		w.named("content_block_start", "index", at, "content_block", begun)
		for _, d := range deltas {
			w.named("content_block_delta", "index", at, "delta", d)
		}
		w.named("content_block_stop", "index", at)
	}
	if w.fail() {
		return
	}
	end := object("delta", object("stop_reason", orNull(body.get("stop_reason")), "stop_sequence", orNull(body.get("stop_sequence"))))
	if usage := body.get("usage"); !usage.isNothing() {
		end.set("usage", usage)
	}
	w.named("message_delta", pairsOf(end)...)
	w.named("message_stop")
}

func orNull(v *value) *value {
	if v == nil {
		return null()
	}
	return v
}
