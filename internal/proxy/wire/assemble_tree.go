package wire

import (
	"bytes"

	"github.com/spillway-ai/spillway/internal/jsonwalk"
)

// nodeKind is what a node of a tree holds.
type nodeKind uint8

const (
	nodeEmpty  nodeKind = iota // nothing yet
	nodeNull                   // null, which any other value replaces
	nodeRaw                    // any value, as it came
	nodeText                   // a string that grows
	nodeObject                 // children are its members
	nodeArray                  // children are its elements with a place, text the others
)

// node is one value of a tree.
type node struct {
	kind  nodeKind
	key   []byte // name within an object, escaped
	index int    // place within an array
	text  []byte // raw value, inside of a string, or elements joined by commas
	// Links to other nodes of the tree; 0 means none: the root has no parent.
	child, last, next int32
}

// tree is a JSON object that grows by merging. Nodes are reused, buffers and
// all, by the next response. Ids are stable.
type tree struct {
	nodes []node
	size  int // bytes kept
}

const (
	rootNode int32 = 0
	// maxNodes bounds a tree, whose members are searched one by one. Real
	// responses have dozens of nodes, those of a hundred choices a few thousand.
	maxNodes = 1 << 13
)

func (t *tree) reset() {
	t.nodes = t.nodes[:0]
	t.size = 0
	t.add()
	t.nodes[rootNode].kind = nodeObject
}

// err reports whether the tree has outgrown its limits.
func (t *tree) err() error {
	if t.size > MaxResponseText || len(t.nodes) >= maxNodes {
		return ErrTooLarge
	}
	return nil
}

// add makes a node.
func (t *tree) add() int32 {
	n := len(t.nodes)
	if n < cap(t.nodes) {
		t.nodes = t.nodes[:n+1]
		old := &t.nodes[n]
		*old = node{key: trim(old.key), text: trim(old.text)}
	} else {
		t.nodes = append(t.nodes, node{})
	}
	return int32(n)
}

// link appends a new node to the children of parent. In a full tree, which is
// of no further use, it gives parent itself.
func (t *tree) link(parent int32) int32 {
	if len(t.nodes) >= maxNodes {
		return parent
	}
	id := t.add()
	p := &t.nodes[parent]
	if p.last == 0 {
		p.child = id
	} else {
		t.nodes[p.last].next = id
	}
	p.last = id
	return id
}

// find returns a member of an object, 0 when it has none of that name.
func (t *tree) find(parent int32, key string) int32 {
	id := t.nodes[parent].child
	for id != 0 && string(t.nodes[id].key) != key {
		id = t.nodes[id].next
	}
	return id
}

// member returns a member of an object, making it if need be.
func (t *tree) member(parent int32, key []byte) int32 {
	if id := t.find(parent, string(key)); id != 0 {
		return id
	}
	id := t.link(parent)
	t.nodes[id].key = append(t.nodes[id].key[:0], key...)
	t.size += len(key)
	return id
}

// element returns the newest element of an array with an index, making it if need be.
func (t *tree) element(parent int32, index int) (newest int32) {
	for id := t.nodes[parent].child; id != 0; id = t.nodes[id].next {
		if t.nodes[id].index == index {
			newest = id
		}
	}
	if newest == 0 {
		newest = t.link(parent)
		t.nodes[newest].index = index
	}
	return newest
}

// become makes a node ready to hold a kind of value, dropping what it held if
// that was of another kind.
func (t *tree) become(id int32, kind nodeKind) *node {
	n := &t.nodes[id]
	if n.kind != kind {
		n.kind = kind
		n.text = n.text[:0]
		n.child, n.last = 0, 0
	}
	return n
}

// setKind is become for a value that is merged. A node that changes its kind
// within a response makes the event unlike any other.
func (t *tree) setKind(id int32, kind nodeKind, sh *shape) {
	if old := t.nodes[id].kind; old > nodeNull && old != kind {
		sh.spoil()
	}
	t.become(id, kind)
}

// extend appends to a node's text.
func (t *tree) extend(id int32, text []byte) {
	n := &t.nodes[id]
	n.text = append(n.text, text...)
	t.size += len(text)
}

// set replaces the value of a node, unless raw is null and it has one.
func (t *tree) set(id int32, raw []byte) {
	if len(raw) == 0 || raw[0] == 'n' {
		if n := &t.nodes[id]; n.kind == nodeEmpty {
			n.kind = nodeNull
		}
		return
	}
	n := t.become(id, nodeRaw)
	n.text = n.text[:0]
	t.extend(id, raw)
}

// setFull is set, but a value that says nothing does not replace one that
// does.
func (t *tree) setFull(id int32, raw []byte) {
	if n := &t.nodes[id]; n.kind == nodeRaw && !blank(n.text) && blank(raw) {
		return
	}
	t.set(id, raw)
}

// blank reports whether a value says nothing.
func blank(raw []byte) bool {
	switch string(raw) {
	case `""`, "0", "[]", "{}", "null", "":
		return true
	}
	return false
}

// replaces reports whether a string in a delta replaces the earlier one
// instead of continuing it.
func replaces(key []byte) bool {
	switch string(key) {
	case "role", "type", "id", "format", "finish_reason":
		return true
	}
	return false
}

// extendName continues the name of a call. Some servers repeat it in each delta, so
// an equal one adds nothing.
func (t *tree) extendName(id int32, name []byte, sh *shape) {
	t.setKind(id, nodeText, sh)
	held := t.nodes[id].text
	if bytes.Equal(held, name) {
		return
	}
	if len(held) > 0 {
		sh.spoil() // reading it again would append it again
	}
	t.extend(id, name)
}

// merge merges the value at the cursor into a node by the rules of Assembler.
// Strings that continue become holes of the shape.
func (t *tree) merge(c *jsonwalk.Cursor, id int32, sh *shape) {
	switch c.Peek() {
	case '"':
		if replaces(t.nodes[id].key) {
			t.setFull(id, c.Value())
			return
		}
		if string(t.nodes[id].key) == "name" {
			t.extendName(id, c.Str(), sh)
			return
		}
		text := readHole(c, sh, id)
		t.setKind(id, nodeText, sh)
		t.extend(id, text)
	case '{':
		t.setKind(id, nodeObject, sh)
		c.Enter('{')
		for c.More('}') {
			t.merge(c, t.member(id, c.Key()), sh)
		}
	case '[':
		t.setKind(id, nodeArray, sh)
		c.Enter('[')
		for c.More(']') {
			t.mergeElement(c, id, sh)
		}
	default:
		if raw := c.Value(); len(raw) > 0 && raw[0] != 'n' {
			t.setKind(id, nodeRaw, sh)
			t.set(id, raw)
		} else {
			t.set(id, nil)
		}
	}
}

// appendTo appends the value of a node, less the index of its elements if
// bare, as tool calls have it outside streams.
func (t *tree) appendTo(dst []byte, id int32, bare bool) []byte {
	n := &t.nodes[id]
	switch n.kind {
	case nodeRaw:
		return append(dst, n.text...)
	case nodeText:
		return appendQuoted(dst, n.text)
	case nodeObject:
		return t.appendObject(dst, id, bare)
	case nodeArray:
		return t.appendArray(dst, id, string(n.key) == "tool_calls")
	}
	return append(dst, "null"...)
}

func (t *tree) appendObject(dst []byte, id int32, bare bool) []byte {
	dst = append(dst, '{')
	open := len(dst)
	for m := t.nodes[id].child; m != 0; m = t.nodes[m].next {
		if bare && bytes.Equal(t.nodes[m].key, indexKey) {
			continue
		}
		if len(dst) > open {
			dst = append(dst, ',')
		}
		dst = t.appendMember(dst, m)
	}
	return append(dst, '}')
}

// appendMember appends a member's name and value.
func (t *tree) appendMember(dst []byte, id int32) []byte {
	dst = append(dst, '"')
	dst = append(dst, t.nodes[id].key...)
	dst = append(dst, '"', ':')
	return t.appendTo(dst, id, false)
}
