package wire

import (
	"bytes"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/jsonwalk"
)

// addChunk merges a chunk of a chat or completions stream. The tree's root
// has the members of the response; choices is an array by index, and the delta
// of a chat choice builds its message.
func (a *Assembler) addChunk(c *jsonwalk.Cursor) {
	t := &a.tree
	if failed(c.Whole()) {
		a.shape.spoil()
		c.Value()
		return
	}
	c.Enter('{')
	for c.More('}') {
		switch key := c.Key(); string(key) {
		case "object", "delta":
			c.Value()
		case "obfuscation":
			readHole(c, &a.shape, holeIgnored)
		case "choices":
			id := t.member(rootNode, key)
			if c.IsNull() {
				continue
			}
			t.become(id, nodeArray)
			c.Enter('[')
			for c.More(']') {
				a.addChoice(c, id)
			}
		case "id", "model", "created":
			if id, raw := t.member(rootNode, key), c.Value(); blank(t.nodes[id].text) {
				t.set(id, raw)
			}
		default:
			t.setFull(t.member(rootNode, key), c.Value())
		}
	}
}

// failed reports whether an event holds or is an error, and no chunk.
func failed(data []byte) bool {
	if !bytes.Contains(data, errorKey) {
		return false
	}
	c := jsonwalk.Lax(data)
	c.Enter('{')
	for c.More('}') {
		switch key := string(c.Key()); {
		case key == "error" && !c.IsNull():
			return true
		case key == "object" && string(c.Text()) == "error":
			return true
		case key != "error" && key != "object":
			c.Value()
		}
	}
	return false
}

var errorKey = []byte(`"error"`) // constant

// addChoice merges one choice into the array of them.
func (a *Assembler) addChoice(c *jsonwalk.Cursor, choices int32) {
	t := &a.tree
	index := 0
	if !a.OneChoice {
		start := c.Offset()
		index, _ = indexOf(c.Value())
		c.Rewind(start)
	}
	id := t.element(choices, index)
	t.become(id, nodeObject)
	c.Enter('{')
	for c.More('}') {
		switch key := c.Key(); string(key) {
		case "index", "content_filter_offsets":
			c.Value()
		case "delta":
			if message := t.member(id, messageKey); c.Peek() == '{' {
				a.addDelta(c, message)
			} else {
				c.Value()
			}
		case "text", "logprobs":
			t.merge(c, t.member(id, key), &a.shape)
		case "content_filter_results":
			a.addFilters(c, t.member(id, key))
		default:
			t.setFull(t.member(id, key), c.Value())
		}
	}
}

var messageKey = []byte("message") // constant

// addDelta merges a delta into the message that it is part of.
func (a *Assembler) addDelta(c *jsonwalk.Cursor, message int32) {
	t := &a.tree
	t.setKind(message, nodeObject, &a.shape)
	c.Enter('{')
	for c.More('}') {
		key := c.Key()
		id := t.member(message, key)
		if string(key) != "content" {
			t.merge(c, id, &a.shape)
			continue
		}
		switch held := t.nodes[id].kind; {
		case c.Peek() == '[' && held != nodeArray:
			a.addParts(c, id)
		case c.Peek() == '"' && held == nodeArray:
			a.shape.spoil()
			t.appendPart(id, c.Str())
		default:
			t.merge(c, id, &a.shape)
		}
	}
}

// addParts merges a list of parts into a content that is no list. If all of them are
// text, so is the content; otherwise it becomes a list, and its text the first part.
func (a *Assembler) addParts(c *jsonwalk.Cursor, id int32) {
	t := &a.tree
	a.shape.spoil()
	start := c.Offset()
	list := c.Value()
	if onlyText(list) {
		parts := jsonwalk.Lax(list)
		parts.Enter('[')
		for parts.More(']') {
			t.become(id, nodeText)
			t.extend(id, textMember(parts.Value(), "text"))
		}
		return
	}
	var text []byte
	if n := &t.nodes[id]; n.kind == nodeText {
		text = bytes.Clone(n.text)
	}
	t.become(id, nodeArray)
	t.appendPart(id, text)
	c.Rewind(start)
	t.merge(c, id, &a.shape)
}

// onlyText reports whether every element of a list is a part of type text.
func onlyText(list []byte) bool {
	c := jsonwalk.Lax(list)
	c.Enter('[')
	for c.More(']') {
		if part := c.Value(); part[0] != '{' || string(textMember(part, "type")) != "text" {
			return false
		}
	}
	return c.Done()
}

// addFilters keeps the latest verdict of every category.
func (a *Assembler) addFilters(c *jsonwalk.Cursor, id int32) {
	if c.Peek() != '{' {
		c.Value()
		return
	}
	a.tree.become(id, nodeObject)
	c.Enter('{')
	for c.More('}') {
		verdict := a.tree.member(id, c.Key())
		a.tree.set(verdict, c.Value())
	}
}

// appendAnswer appends the response of a chat or completions stream.
func (a *Assembler) appendAnswer(dst []byte, opts ResponseOptions) ([]byte, error) {
	t := &a.tree
	choices := int32(0)
	if len(t.nodes) > 0 {
		choices = t.find(rootNode, "choices")
	}
	if choices == 0 || t.nodes[choices].child == 0 {
		return dst, ErrNoResponse
	}
	object := `"text_completion"`
	if a.api == spillway.APIChat {
		object = `"chat.completion"`
	}
	dst = append(dst, '{')
	dst = a.appendNamed(dst, "id")
	dst = append(dst, `"object":`...)
	dst = append(dst, object...)
	dst = append(dst, ',')
	dst = a.appendNamed(dst, "created")
	dst = a.appendNamed(dst, "model")
	dst = append(dst, `"choices":[`...)
	for e := t.after(choices, 0); e != 0; e = t.after(choices, e) {
		if dst[len(dst)-1] != '[' {
			dst = append(dst, ',')
		}
		dst = a.appendChoice(dst, e, opts.Truncate)
	}
	dst = append(dst, ']')
	dst = a.appendSpent(dst, opts.Usage)
	for m := t.nodes[rootNode].child; m != 0; m = t.nodes[m].next {
		switch string(t.nodes[m].key) {
		case "id", "created", "model", "choices", "usage", "latency_checkpoint":
		default:
			dst = append(dst, ',')
			dst = t.appendMember(dst, m)
		}
	}
	return append(dst, '}'), nil
}

// appendNamed appends a top-level member and a comma, if the stream had it.
func (a *Assembler) appendNamed(dst []byte, key string) []byte {
	id := a.tree.find(rootNode, key)
	if id == 0 {
		return dst
	}
	return append(a.tree.appendMember(dst, id), ',')
}

// appendSpent appends a comma and the usage: upstream's, with the latency
// checkpoint inside as it is outside streams, or else the caller's.
func (a *Assembler) appendSpent(dst []byte, own spillway.Usage) []byte {
	t := &a.tree
	before := len(dst)
	dst = append(dst, `,"usage":`...)
	start := len(dst)
	if id := t.find(rootNode, "usage"); id != 0 && t.nodes[id].kind == nodeRaw {
		dst = t.appendTo(dst, id, false)
	} else {
		dst = appendUsage(dst, a.api, own)
	}
	if len(dst) == start {
		return dst[:before]
	}
	id := t.find(rootNode, "latency_checkpoint")
	if id != 0 && t.nodes[id].kind == nodeRaw && dst[len(dst)-1] == '}' {
		if dst = dst[:len(dst)-1]; dst[len(dst)-1] != '{' {
			dst = append(dst, ',')
		}
		dst = append(t.appendMember(dst, id), '}')
	}
	return dst
}

// appendChoice appends one choice of a response.
func (a *Assembler) appendChoice(dst []byte, id int32, truncate bool) []byte {
	t := &a.tree
	dst = append(dst, `{"index":`...)
	dst = appendCount(dst, t.nodes[id].index)
	if a.api == spillway.APIChat {
		dst = append(dst, `,"message":`...)
		dst = a.appendMessage(dst, t.find(id, "message"))
	} else {
		dst = append(dst, `,"text":`...)
		dst = a.appendOr(dst, t.find(id, "text"), `""`)
	}
	dst = append(dst, `,"logprobs":`...)
	dst = a.appendOr(dst, t.find(id, "logprobs"), "null")
	dst = append(dst, `,"finish_reason":`...)
	otherwise := "null"
	if truncate {
		otherwise = `"length"`
	}
	reason := t.find(id, "finish_reason")
	if message := t.find(id, "message"); message != 0 && (reason == 0 || t.nodes[reason].kind <= nodeNull) {
		reason = t.find(message, "finish_reason")
	}
	dst = a.appendOr(dst, reason, otherwise)
	for m := t.nodes[id].child; m != 0; m = t.nodes[m].next {
		switch string(t.nodes[m].key) {
		case "message", "text", "logprobs", "finish_reason":
		default:
			dst = append(dst, ',')
			dst = t.appendMember(dst, m)
		}
	}
	return append(dst, '}')
}

// appendOr appends the value of a node, or otherwise where it has none.
func (a *Assembler) appendOr(dst []byte, id int32, otherwise string) []byte {
	if id == 0 || a.tree.nodes[id].kind <= nodeNull {
		return append(dst, otherwise...)
	}
	return a.tree.appendTo(dst, id, false)
}

// appendMessage appends the message that the deltas of a choice made.
func (a *Assembler) appendMessage(dst []byte, id int32) []byte {
	t := &a.tree
	var role, content, refusal int32
	instead := false // something stands in for the content
	if id != 0 {
		role, content, refusal = t.find(id, "role"), t.find(id, "content"), t.find(id, "refusal")
		instead = t.find(id, "tool_calls") != 0 || t.find(id, "function_call") != 0
		instead = instead || refusal != 0 && len(t.nodes[refusal].text) > 0
	}
	dst = append(dst, `{"role":`...)
	dst = a.appendOr(dst, role, `"assistant"`)
	dst = append(dst, `,"content":`...)
	switch n := &t.nodes[content]; {
	case content != 0 && n.kind == nodeText && len(n.text) == 0 && instead:
		dst = append(dst, "null"...)
	default:
		dst = a.appendOr(dst, content, "null")
	}
	dst = append(dst, `,"refusal":`...)
	dst = a.appendOr(dst, refusal, "null")
	if id != 0 {
		for m := t.nodes[id].child; m != 0; m = t.nodes[m].next {
			if m != role && m != content && m != refusal && string(t.nodes[m].key) != "finish_reason" {
				dst = append(dst, ',')
				dst = t.appendMember(dst, m)
			}
		}
	}
	return append(dst, '}')
}
