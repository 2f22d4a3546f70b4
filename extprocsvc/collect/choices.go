package collect

// choices puts the chunks of OpenAI's Chat Completions and Completions together.
type choices struct {
	object string
	top    *value
	list   *value
}

func newChoices(object string) *choices {
	return &choices{object: object, top: &value{kind: '{'}, list: listOf()}
}

func (c *choices) add(kind string, chunk *value) error {
	if kind != "" && chunk.get("choices") == nil {
		return nil // what there is to read is beside the answer
	}
	if err := settle(c.top, chunk, "choices"); err != nil {
		return err
	}
	if chunk.get("choices").isList() {
		for i, e := range chunk.get("choices").items {
			pos, ok := e.get("index").index()
			if !ok {
				pos = i
			}
			choice := c.list.at(pos, func() *value { return object("index", number(pos)) })
			if choice == nil {
				return errTooMany
			}
			if err := choose(choice, e); err != nil {
				return err
			}
		}
		c.top.set("choices", c.list)
	}
	return nil
}

// choose adds what a chunk says of a choice.
func choose(choice, e *value) error {
	for _, m := range e.members {
		old := choice.get(m.key)
		switch m.key {
		case "index":
		case "delta", "message":
			if m.v.isNothing() {
				continue
			}
			said := choice.get("message")
			if said == nil {
				said = object()
				choice.set("message", said)
			}
			if !m.v.isObject() {
				return errContradiction
			}
			if m.key == "delta" {
				if err := grow(said, m.v); err != nil {
					return err
				}
			} else if err := repeat(said, m.v); err != nil {
				return err
			}
		case "text":
			if err := grow(choice, object("text", m.v)); err != nil {
				return err
			}
		case "logprobs":
			if old.isObject() && m.v.isObject() {
				for _, l := range m.v.members {
					if have := old.get(l.key); have.isList() && l.v.isList() {
						have.items = append(have.items, l.v.items...)
					} else {
						old.set(l.key, l.v)
					}
				}
				continue
			}
			fallthrough
		default:
			if !m.v.isNothing() || old == nil {
				choice.set(m.key, m.v)
			}
		}
	}
	return choice.bounded()
}

// repeat takes an object that says everything again.
func repeat(said, again *value) error {
	for _, m := range again.members {
		old := said.get(m.key)
		switch {
		case old.isEmpty():
			said.set(m.key, m.v)
		case !m.v.isEmpty() && !names[m.key] && !old.equal(m.v):
			return errContradiction
		}
	}
	return said.bounded()
}

func (c *choices) body() (*value, []string) {
	for _, choice := range c.list.items {
		m := choice.get("message")
		if m == nil {
			continue
		}
		if m.get("role").isEmpty() {
			m.set("role", text("assistant"))
		}
		if m.get("content") == nil {
			m.set("content", null())
		}
		if calls := m.get("tool_calls"); calls.isList() {
			for i, call := range calls.items {
				calls.items[i] = call.without("index")
			}
		}
	}
	if c.top.get("object") != nil {
		c.top.set("object", text(c.object))
	}
	return c.top, nil
}

// streamChat makes chunks of a chat completion: two for each choice, and one for
// the usage.
func streamChat(w *writer, body *value) {
	top := body.without("choices", "usage")
	if top.get("object") != nil {
		top.set("object", text("chat.completion.chunk"))
	}
	for i, c := range elements(body.get("choices")) {
		at := c.get("index")
		if _, ok := at.index(); !ok {
			at = number(i)
		}
		delta := c.get("message")
		if !delta.isObject() {
			delta = object()
		}
		if calls := delta.get("tool_calls"); calls.isList() {
			counted := listOf()
			for n, call := range calls.items {
				if call.isObject() && call.get("index") == nil {
					call = object("index", number(n)).with(pairsOf(call)...)
				}
				counted.items = append(counted.items, call)
			}
			delta = delta.with("tool_calls", counted)
		}
		first := object("index", at, "delta", delta).with(pairsOf(c.without("index", "message", "finish_reason"))...)
		w.data(top.with("choices", listOf(first.with("finish_reason", null()))))
		if why := c.get("finish_reason"); !why.isNothing() {
			w.data(top.with("choices", listOf(object("index", at, "delta", object(), "finish_reason", why))))
		}
	}
	if usage := body.get("usage"); !usage.isNothing() {
		w.data(top.with("choices", listOf(), "usage", usage))
	}
	w.fail()
}

// streamCompletion makes a chunk of a completion, which is one already.
func streamCompletion(w *writer, body *value) {
	w.data(body)
	w.fail()
}

// elements are the objects of a list.
func elements(list *value) (objects []*value) {
	if list.isList() {
		for _, e := range list.items {
			if e.isObject() {
				objects = append(objects, e)
			}
		}
	}
	return objects
}

// pairsOf are the keys and values of an object in turn.
func pairsOf(v *value) (pairs []any) {
	for _, m := range v.members {
		pairs = append(pairs, m.key, m.v)
	}
	return pairs
}
