package wire

import (
	"bytes"

	"github.com/spillway-ai/spillway/internal/jsonwalk"
)

// mergeElement merges one element into an array: into the element that it continues,
// or at the end if there is none.
func (t *tree) mergeElement(c *jsonwalk.Cursor, id int32, sh *shape) {
	start := c.Offset()
	raw := c.Value()
	at, numbered := t.continued(id, raw)
	if !numbered {
		sh.spoil() // reading it again would do it again
	}
	switch {
	case numbered, at != 0:
	case t.joinsElements(id, raw):
		at = t.appendElement(id)
	default:
		if len(t.nodes[id].text) > 0 {
			t.extend(id, comma)
		}
		t.extend(id, raw)
		return
	}
	c.Rewind(start)
	t.merge(c, at, sh)
}

// joinsElements reports whether later elements may continue one that has no number: a
// call, or a part of a content. What follows one keeps its place behind it.
func (t *tree) joinsElements(id int32, raw []byte) bool {
	switch string(t.nodes[id].key) {
	case "tool_calls":
		return true
	case "content", "thinking": // log probabilities have a content too
		return t.nodes[id].last != 0 || len(textMember(raw, "type")) > 0
	}
	return false
}

// continued returns the element of an array that another one continues, 0 without one,
// and whether a number says so. An element of a number that no other has had is begun.
func (t *tree) continued(id int32, raw []byte) (at int32, numbered bool) {
	if index, ok := indexOf(raw); ok {
		if at = t.element(id, index); t.startsCall(at, raw) {
			at = t.link(id)
			t.nodes[at].index = index
		}
		return at, true
	}
	at = t.nodes[id].last
	if at == 0 || len(raw) == 0 || raw[0] != '{' {
		return 0, false
	}
	switch string(t.nodes[id].key) {
	case "tool_calls":
		if t.startsCall(at, raw) || len(textMember(raw, "id")) == 0 && namesCall(raw) {
			return 0, false
		}
	case "content", "thinking":
		if !t.continuesPart(at, raw) {
			return 0, false
		}
	default:
		return 0, false
	}
	return at, false
}

// appendElement begins an element at the end of an array.
func (t *tree) appendElement(id int32) int32 {
	index := 0
	if last := t.nodes[id].last; last != 0 {
		index = t.nodes[last].index + 1
	}
	at := t.link(id)
	t.nodes[at].index = index
	return at
}

// startsCall reports whether an element has another id than the one that it would
// merge with. Some servers number every call 0, or give calls no number.
func (t *tree) startsCall(at int32, raw []byte) bool {
	held := t.find(at, "id")
	if held == 0 || blank(t.nodes[held].text) {
		return false
	}
	id := textMember(raw, "id")
	return len(id) > 0 && !bytes.Equal(bytes.Trim(t.nodes[held].text, `"`), id)
}

// namesCall reports whether an element of tool_calls has the name of its function or
// tool, with which a call begins.
func namesCall(raw []byte) (named bool) {
	c := jsonwalk.Lax(raw)
	c.Enter('{')
	for c.More('}') {
		key := string(c.Key())
		if value := c.Value(); key == "function" || key == "custom" {
			named = named || len(textMember(value, "name")) > 0
		}
	}
	return named
}

// continuesPart reports whether a part of a content goes on with the one before it:
// both are text, or both are thinking.
func (t *tree) continuesPart(at int32, raw []byte) bool {
	held := t.find(at, "type")
	if held == 0 {
		return false
	}
	switch kind := textMember(raw, "type"); string(kind) {
	case "text", "thinking":
		return bytes.Equal(bytes.Trim(t.nodes[held].text, `"`), kind)
	}
	return false
}

// appendPart adds escaped text to a list of parts.
func (t *tree) appendPart(id int32, text []byte) {
	if len(text) == 0 {
		return
	}
	part := append(append([]byte(`{"type":"text","text":"`), text...), `"}`...)
	c := jsonwalk.Lax(part)
	t.mergeElement(&c, id, new(shape))
}

var comma = []byte(",") // constant

// indexOf returns the member index of an object.
func indexOf(raw []byte) (index int, ok bool) {
	if len(raw) == 0 || raw[0] != '{' {
		return 0, false
	}
	c := jsonwalk.Lax(raw)
	c.Enter('{')
	for c.More('}') {
		if bytes.Equal(c.Key(), indexKey) {
			value := c.Value()
			return jsonwalk.Atoi(value), jsonwalk.Digits(value) > 0
		}
		c.Value()
	}
	return 0, false
}

var indexKey = []byte("index") // constant

// appendArray appends the elements without an index as they came, and after
// them the others in the order of their index.
func (t *tree) appendArray(dst []byte, id int32, bare bool) []byte {
	dst = append(dst, '[')
	open := len(dst)
	dst = append(dst, t.nodes[id].text...)
	for e := t.after(id, 0); e != 0; e = t.after(id, e) {
		if len(dst) > open {
			dst = append(dst, ',')
		}
		dst = t.appendTo(dst, e, bare)
	}
	return append(dst, ']')
}

// after returns the element that follows one, in the order of their indices and, of
// equal ones, of their arrival; 0 without one. Before the first is 0.
func (t *tree) after(id, element int32) (next int32) {
	least := -1
	if element != 0 {
		least = t.nodes[element].index
	}
	for e := t.nodes[id].child; e != 0; e = t.nodes[e].next {
		at := t.nodes[e].index
		if (at > least || at == least && e > element) && (next == 0 || at < t.nodes[next].index) {
			next = e
		}
	}
	return next
}
