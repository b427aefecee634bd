package azuresim

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/spillway-ai/spillway/internal/stat"
)

// format is the shape that a response must have.
type format struct {
	object bool            // any JSON object
	schema json.RawMessage // JSON that validates against it
}

func (f *format) structured() bool { return f.object || len(f.schema) > 0 }

// text is a response of the format's shape. A length > 0 makes a free object
// about that many tokens long.
func (f *format) text(seed uint64, length int) string {
	if len(f.schema) > 0 {
		return schemaText(f.schema, seed)
	}
	p, b := prose{seed: seed}, []byte(`{"summary":"`)
	want := 12 * bytesPerToken
	if length > 0 {
		want = max(len(b)+3, length*bytesPerToken-2)
	}
	for len(b) < want {
		b = p.word(b)
	}
	return string(append(b[:want], `"}`...))
}

// node is decoded JSON that keeps the order of an object's members.
type node struct {
	members []member // of an object
	items   []*node  // of an array
	raw     json.RawMessage
	object  bool
}

type member struct {
	name  string
	value *node
}

// get returns the named member, or nil.
func (n *node) get(name string) *node {
	if n == nil {
		return nil
	}
	for i := range n.members {
		if n.members[i].name == name {
			return n.members[i].value
		}
	}
	return nil
}

// text is the node as a string, "" for anything else.
func (n *node) text() string {
	var s string
	if n != nil {
		_ = json.Unmarshal(n.raw, &s)
	}
	return s
}

// number is the node as a number.
func (n *node) number() (v float64, ok bool) {
	if n == nil || n.raw == nil {
		return 0, false
	}
	v, err := strconv.ParseFloat(string(n.raw), 64)
	return v, err == nil
}

// count is the node as a count of at most a billion, or byDefault.
func (n *node) count(byDefault int) int {
	if v, ok := n.number(); ok && v >= 0 {
		return int(min(v, 1e9))
	}
	return byDefault
}

// parseNode decodes valid JSON.
func parseNode(raw []byte) (*node, error) {
	n := &node{raw: raw}
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || raw[0] != '{' && raw[0] != '[' {
		return n, nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	n.object = raw[0] == '{'
	for d.More() {
		m := member{}
		if n.object {
			key, err := d.Token()
			if err != nil {
				return nil, err
			}
			m.name, _ = key.(string)
		}
		var inner json.RawMessage
		if err := d.Decode(&inner); err != nil {
			return nil, err
		}
		var err error
		if m.value, err = parseNode(inner); err != nil {
			return nil, err
		}
		if n.object {
			n.members = append(n.members, m)
		} else {
			n.items = append(n.items, m.value)
		}
	}
	return n, nil
}

// schemaText is JSON that validates against the schema: every property of an
// object, one or two items of an array, the first alternative that ends. A
// schema that does not parse gives an empty object.
func schemaText(schema []byte, seed uint64) string {
	root, err := parseNode(schema)
	if err != nil || !root.object {
		return "{}"
	}
	w := writer{root: root, seed: seed}
	w.value(root, 0)
	return string(w.out)
}

// Bounds of a generated value. Schemas that demand more get a value that does
// not validate.
const (
	maxDepth  = 6       // where recursive schemas are ended as early as they allow
	maxLength = 1000    // items of an array, bytes of a string
	maxBytes  = 1 << 16 // of the whole
	maxNumber = 1e12
)

// writer writes one value of a schema.
type writer struct {
	root *node
	seed uint64
	out  []byte
}

// rand is the next pseudo-random word.
func (w *writer) rand() uint64 {
	w.seed++
	return stat.Mix(w.seed)
}

func (w *writer) literal(s string) { w.out = append(w.out, s...) }

// value writes a value of the schema n.
func (w *writer) value(n *node, depth int) {
	if depth > 4*maxDepth || len(w.out) > maxBytes { // nothing finite satisfies it
		w.literal("null")
		return
	}
	if ref := n.get("$ref"); ref != nil {
		w.value(w.resolve(ref.text()), depth+1)
		return
	}
	if c := n.get("const"); c != nil {
		w.literal(string(bytes.TrimSpace(c.raw)))
		return
	}
	if e := n.get("enum"); e != nil && len(e.items) > 0 {
		w.literal(string(bytes.TrimSpace(e.items[w.rand()%uint64(len(e.items))].raw)))
		return
	}
	for _, keyword := range []string{"anyOf", "oneOf"} {
		if alt := n.get(keyword); alt != nil && len(alt.items) > 0 {
			w.value(w.alternative(alt.items, depth), depth+1)
			return
		}
	}
	if all := n.get("allOf"); all != nil && len(all.items) > 0 {
		w.value(w.merged(n, all.items), depth+1)
		return
	}
	switch w.kind(n, depth) {
	case "object":
		w.object(n, depth)
	case "array":
		w.array(n, depth)
	case "integer":
		w.number(n, true)
	case "number":
		w.number(n, false)
	case "boolean":
		w.literal(strconv.FormatBool(w.rand()&1 == 0))
	case "null":
		w.literal("null")
	default:
		w.string(n)
	}
}

// resolve follows a reference such as #/$defs/Step.
func (w *writer) resolve(ref string) *node {
	n := w.root
	for part := range strings.SplitSeq(strings.TrimPrefix(strings.TrimPrefix(ref, "#"), "/"), "/") {
		if part != "" {
			n = n.get(strings.NewReplacer("~1", "/", "~0", "~").Replace(part))
		}
	}
	if n == nil {
		return &node{}
	}
	return n
}

// alternative picks the first one, or near the depth limit the first that is a
// plain value.
func (w *writer) alternative(items []*node, depth int) *node {
	if depth >= maxDepth {
		for _, n := range items {
			if k := n.get("type").text(); k != "" && k != "object" && k != "array" {
				return n
			}
		}
	}
	return items[0]
}

// merged is one object schema with the members of all, for allOf. Properties
// are joined, other keywords of later schemas win.
func (w *writer) merged(base *node, all []*node) *node {
	properties := &node{object: true}
	out := &node{object: true}
	for _, n := range append([]*node{base}, all...) {
		if ref := n.get("$ref"); ref != nil {
			n = w.resolve(ref.text())
		}
		for _, m := range n.members {
			switch m.name {
			case "allOf":
			case "properties":
				properties.members = append(properties.members, m.value.members...)
			default:
				out.members = append([]member{m}, out.members...)
			}
		}
	}
	if len(properties.members) > 0 {
		out.members = append(out.members, member{"properties", properties})
	}
	return out
}

// kind is the JSON type to write.
func (w *writer) kind(n *node, depth int) string {
	t := n.get("type")
	if t != nil && len(t.items) > 0 {
		if depth >= maxDepth && slices.ContainsFunc(t.items, func(e *node) bool { return e.text() == "null" }) {
			return "null"
		}
		return t.items[0].text()
	}
	switch {
	case t != nil:
		return t.text()
	case n.get("properties") != nil:
		return "object"
	case n.get("items") != nil, n.get("prefixItems") != nil:
		return "array"
	case n.get("minimum") != nil, n.get("maximum") != nil:
		return "number"
	}
	return "string"
}

func (w *writer) object(n *node, depth int) {
	w.literal("{")
	first := true
	required := n.get("required")
	for _, m := range n.get("properties").list() {
		if depth >= maxDepth && !required.contains(m.name) {
			continue
		}
		if !first {
			w.literal(",")
		}
		first = false
		w.out = appendQuoted(w.out, m.name)
		w.literal(":")
		w.value(m.value, depth+1)
	}
	w.literal("}")
}

// list is an object's members; none for nil.
func (n *node) list() []member {
	if n == nil {
		return nil
	}
	return n.members
}

// contains reports whether an array of strings has the name.
func (n *node) contains(name string) bool {
	return n != nil && slices.ContainsFunc(n.items, func(e *node) bool { return e.text() == name })
}

func (w *writer) array(n *node, depth int) {
	least := min(n.get("minItems").count(0), maxLength)
	count := max(least, 1+int(w.rand()&1))
	count = min(count, max(least, n.get("maxItems").count(count)))
	if depth >= maxDepth {
		count = least
	}
	heads, item := n.get("prefixItems"), n.get("items")
	if heads != nil {
		count = max(count, len(heads.items))
	}
	if item == nil {
		item = &node{}
	}
	w.literal("[")
	for i := range count {
		if i > 0 {
			w.literal(",")
		}
		if heads != nil && i < len(heads.items) {
			w.value(heads.items[i], depth+1)
			continue
		}
		w.value(item, depth+1)
	}
	w.literal("]")
}

// number writes a number within the bounds, a whole one when integer.
func (w *writer) number(n *node, integer bool) {
	low, hasLow := bound(n, "minimum", "exclusiveMinimum", 1, integer)
	high, hasHigh := bound(n, "maximum", "exclusiveMaximum", -1, integer)
	switch {
	case !hasLow && !hasHigh:
		low, high = 1, 100
	case !hasHigh:
		high = low + 100
	case !hasLow:
		low = min(0, high-100)
	}
	low, high = max(-maxNumber, min(low, maxNumber)), max(-maxNumber, min(high, maxNumber))
	if step, ok := n.get("multipleOf").number(); ok && step >= 1/maxNumber && step <= maxNumber {
		first := math.Ceil(low / step)
		steps := max(0, math.Floor(high/step)-first)
		v := (first + float64(w.rand()%uint64(min(steps, 100)+1))) * step
		w.out = strconv.AppendFloat(w.out, v, 'f', -1, 64)
		return
	}
	if integer {
		low, high = math.Ceil(low), math.Floor(high)
		v := low + float64(w.rand()%uint64(min(max(0, high-low), 1e6)+1))
		w.out = strconv.AppendFloat(w.out, v, 'f', -1, 64)
		return
	}
	v := low + (high-low)*float64(w.rand()%1000)/1000
	if rounded := math.Round(v*100) / 100; rounded >= low && rounded <= high {
		v = rounded
	}
	w.out = strconv.AppendFloat(w.out, v, 'f', -1, 64)
}

// bound reads a limit; an exclusive one is moved inwards.
func bound(n *node, inclusive, exclusive string, inward float64, integer bool) (float64, bool) {
	if v, ok := n.get(inclusive).number(); ok {
		return v, true
	}
	v, ok := n.get(exclusive).number()
	if !ok {
		return 0, false
	}
	if integer {
		return v + inward, true
	}
	return v + inward*max(1e-6, math.Abs(v)*1e-9), true
}

// formats is constant: an example of each string format.
var formats = map[string]string{
	"date-time": "2026-05-04T09:30:00Z",
	"date":      "2026-05-04",
	"time":      "09:30:00Z",
	"duration":  "PT5M",
	"email":     "ada@example.com",
	"hostname":  "www.example.com",
	"ipv4":      "192.0.2.7",
	"ipv6":      "2001:db8::7",
	"uri":       "https://www.example.com/report",
	"uuid":      "3f2b8c1e-7a44-4d0b-9f0e-5c6d7e8f9a0b",
}

func (w *writer) string(n *node) {
	if example, ok := formats[n.get("format").text()]; ok {
		w.out = appendQuoted(w.out, example)
		return
	}
	if p := n.get("pattern"); p != nil {
		if s, ok := matching(p.text(), w); ok {
			w.out = appendQuoted(w.out, s)
			return
		}
	}
	least, most := min(n.get("minLength").count(0), maxLength), n.get("maxLength").count(-1)
	p := prose{seed: w.rand()}
	var b []byte
	for i := 0; i < 4 || len(b) < least; i++ {
		b = p.word(b)
	}
	if most >= 0 && len(b) > most {
		b = b[:most]
	}
	w.out = appendQuoted(w.out, string(b))
}
