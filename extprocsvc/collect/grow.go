package collect

// grow puts a delta into an object: pieces are appended to the texts that they
// continue, and objects and lists are gone through.
func grow(to, delta *value) error {
	for _, m := range delta.members {
		old, v := to.get(m.key), m.v
		switch {
		case v.isNothing():
			if old == nil {
				to.set(m.key, v)
			}
		case partLists[m.key] && (v.isList() || old.isList()):
			to.set(m.key, joinParts(old, v))
		case whole[m.key] && v.isList():
			if !old.isList() {
				old = listOf()
				to.set(m.key, old)
			}
			old.items = append(old.items, v.items...)
		case v.isList():
			if old.isNothing() {
				old = listOf()
				to.set(m.key, old)
			}
			if err := growList(old, v); err != nil {
				return err
			}
		case v.isObject():
			if old.isNothing() {
				old = object()
				to.set(m.key, old)
			}
			if !old.isObject() {
				return errContradiction
			}
			if err := grow(old, v); err != nil {
				return err
			}
		case old.isEmpty(), v.kind == 0 && old.kind == 0:
			to.set(m.key, v)
		case !old.isText() || !v.isText():
			return errContradiction
		case !names[m.key]:
			old.raw = append(old.raw, v.raw...)
		}
	}
	return to.bounded()
}

// names are the keys whose strings are not continued, but said again.
var names = map[string]bool{"id": true, "type": true, "object": true, "role": true, "status": true, "model": true, "name": true, "call_id": true, "item_id": true, "signature": true}

// whole are the keys of lists whose elements come in one piece.
var whole = map[string]bool{"annotations": true, "citations": true}

// growList puts the elements of a list of deltas where they belong.
func growList(to, delta *value) error {
	if !to.isList() {
		return errContradiction
	}
	for i, e := range delta.items {
		pos, ok := e.get("index").index()
		if !ok {
			pos = i
		}
		made := &value{kind: e.kind}
		if !e.isObject() {
			made = e
		}
		old := to.at(pos, func() *value { return made })
		switch {
		case old == nil:
			return errTooMany
		case e.isObject() && old.isObject():
			if err := grow(old, e); err != nil {
				return err
			}
		case old != e && !old.equal(e):
			return errContradiction
		}
	}
	return nil
}

// partLists are the keys of contents: a text, or a list of parts.
var partLists = map[string]bool{"content": true, "thinking": true}

// joinParts continues a content with a text or parts. Parts of a type that follow
// each other are one.
func joinParts(old, more *value) *value {
	if !old.isList() {
		first := old
		if old = listOf(); first.isText() && len(first.raw) > 0 {
			addPart(old, textPart(first))
		}
	}
	switch {
	case more.isList():
		for _, part := range more.items {
			addPart(old, part)
		}
	case more.isText() && len(more.raw) > 0:
		addPart(old, textPart(more))
	}
	return old
}

func textPart(v *value) *value { return object("type", text("text"), "text", v) }

func addPart(list, part *value) {
	if n := len(list.items); n > 0 {
		last := list.items[n-1]
		if last.without("text", "thinking").equal(part.without("text", "thinking")) {
			if a, b := last.get("text"), part.get("text"); a.isText() && b.isText() {
				a.raw = append(a.raw, b.raw...)
				return
			}
			if a, b := last.get("thinking"), part.get("thinking"); a.isList() && b.isList() {
				joinParts(a, b)
				return
			}
		}
	}
	list.items = append(list.items, part)
}

// settle puts the members of an object over those of another one: what comes
// later counts, but for null.
func settle(to, later *value, except ...string) error {
	for _, m := range later.without(except...).members {
		if !m.v.isNothing() || to.get(m.key) == nil {
			to.set(m.key, m.v)
		}
	}
	return to.bounded()
}

// bounded tells whether an object has become too large.
func (v *value) bounded() error {
	if len(v.members) > maxItems {
		return errTooMany
	}
	return nil
}
