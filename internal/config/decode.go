package config

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// maxNodes bounds the values of one file, aliases counted each time.
const maxNodes = 100_000

// decoder reads a syntax tree into the schema's structs and notes every
// problem on its way.
type decoder struct {
	problems
	expansions
	anchors map[string]ast.Node
	nodes   int
	empty   map[string]bool // options without a value
}

// newDecoder returns a decoder whose references lead to env and readFile.
func newDecoder(env func(string) (string, bool), readFile func(string) ([]byte, error)) *decoder {
	return &decoder{
		problems:   problems{paths: map[string]place{}, raw: map[string]string{}, hidden: map[int][]span{}},
		expansions: expansions{env: env, readFile: readFile},
		anchors:    map[string]ast.Node{},
		empty:      map[string]bool{},
	}
}

// given reports whether the file gives the option at path a value.
func (d *decoder) given(path string) bool {
	_, there := d.paths[path]
	return there && !d.empty[path]
}

// entry is one option as the file gives it.
type entry struct {
	key   string
	at    place
	value ast.Node
}

// structure decodes a mapping into a struct whose defaults are set.
func (d *decoder) structure(n ast.Node, v reflect.Value, path string) {
	entries, ok := d.entries(n)
	if !ok {
		d.hideUnder(v.Type(), n)
		d.add(position(n), path, "must be a group of options", "")
		return
	}
	list := options(v.Type())
	seen, meant := map[string]place{}, map[string]bool{}
	for _, e := range entries {
		if path == "" && strings.HasPrefix(e.key, "x-") {
			continue // a place for anchors
		}
		at := join(path, e.key)
		if first, twice := seen[e.key]; twice {
			d.hideUnder(v.Type(), e.value)
			d.add(e.at, at, fmt.Sprintf("is duplicate: the first is on line %d", first.line), "remove one")
			continue
		}
		seen[e.key] = e.at
		o, known := find(list, e.key)
		if !known {
			if secretLine.MatchString(e.key + ":") {
				ast.Walk(hider{d}, e.value)
			}
			d.hideUnder(v.Type(), e.value)
			fix := suggest(e.key, names(list))
			meant[fix] = true
			d.add(e.at, at, "unknown option", fix)
			continue
		}
		d.paths[at] = e.at
		d.value(e.value, v.Field(o.index), o, at)
	}
	for _, o := range list {
		if _, given := seen[o.name]; o.required && !given && !meant[didYouMean(o.name)] {
			d.add(d.placeOf(path), join(path, o.name), "is missing", o.doc)
		}
	}
}

func find(list []option, name string) (option, bool) {
	for _, o := range list {
		if o.name == name {
			return o, true
		}
	}
	return option{}, false
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// value decodes one option. An empty value leaves the default.
func (d *decoder) value(n ast.Node, v reflect.Value, o option, path string) {
	if d.nodes++; d.nodes > maxNodes {
		if d.nodes == maxNodes+1 {
			d.hideLines() // of what is not read nothing better is known
			d.add(position(n), "", "the file has too many values", "use fewer aliases")
		}
		return
	}
	if v.Type() == secretType {
		switch n.(type) {
		case *ast.AliasNode, *ast.AnchorNode, *ast.TagNode: // or a secret without the quotes that it needs
			d.hide(position(n), "")
		}
	}
	n = d.resolve(n)
	if n == nil || n.Type() == ast.NullType {
		d.empty[path] = true
		if o.required {
			d.add(d.placeOf(path), path, "is empty", "this option is required")
		}
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.structure(n, v, path)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fillDefaults(v.Elem())
		d.structure(n, v.Elem(), path)
	case reflect.Slice:
		d.list(n, v, o, path)
	default:
		d.scalar(n, v, o, path)
	}
}

// list decodes a sequence.
func (d *decoder) list(n ast.Node, v reflect.Value, o option, path string) {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		fix := "put it in [ ]"
		if v.Type().Elem().Kind() == reflect.Struct {
			fix = "start each element with a dash"
		}
		d.hideUnder(v.Type().Elem(), n)
		d.add(position(n), path, "must be a list", fix)
		return
	}
	if o.required && len(seq.Values) == 0 {
		d.add(position(n), path, "is empty", "this option is required")
	}
	v.Set(reflect.MakeSlice(v.Type(), len(seq.Values), len(seq.Values)))
	for i, item := range seq.Values {
		at := fmt.Sprintf("%s[%d]", path, i)
		d.paths[at] = position(item)
		element := v.Index(i)
		if element.Kind() == reflect.Struct {
			fillDefaults(element)
		}
		d.value(item, element, option{required: true, typ: element.Type(), enum: o.enum}, at)
		if d.nodes > maxNodes {
			return
		}
	}
}

// scalar decodes a single value.
func (d *decoder) scalar(n ast.Node, v reflect.Value, o option, path string) {
	at := position(n)
	d.paths[path] = at
	text, ok := scalarText(n)
	if !ok {
		d.hideUnder(v.Type(), n)
		d.add(at, path, "must be a single value", "")
		return
	}
	secret := v.Type() == secretType && !reference.MatchString(text)
	if secret {
		d.hide(at, text)
	}
	fail := func(err *scalarError) {
		shown := fmt.Sprintf("%q ", text)
		if v.Type() == secretType {
			shown = ""
		}
		d.add(at, path, shown+err.message, err.fix)
	}
	expanded, err := d.expand(text)
	if err != nil {
		if secret {
			err = &scalarError{"contains a ${ } that cannot be replaced", "write ${env:NAME} or ${file:/path}, or $${ for ${ itself"}
		}
		fail(err)
		return
	}
	if expanded != text {
		d.raw[path] = text
	}
	if err := setScalar(v, expanded); err != nil {
		fail(err)
		return
	}
	if err := o.check(v); err != nil {
		fail(err)
	}
}

// hideUnder masks the values under n if what should stand there is, holds or
// is beside a secret.
func (d *decoder) hideUnder(t reflect.Type, n ast.Node) {
	if holdsSecrets(t) {
		ast.Walk(hider{d}, n)
	}
}

// hider is a walk that masks every single value.
type hider struct{ d *decoder }

// Visit masks n.
func (h hider) Visit(n ast.Node) ast.Visitor {
	if text, ok := scalarText(n); ok {
		h.d.hide(position(n), text)
	}
	return h
}

// scalarText is the text of a single value.
func scalarText(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	}
	return "", false
}

// resolve follows aliases and drops anchors and tags.
func (d *decoder) resolve(n ast.Node) ast.Node {
	for range 100 { // an alias may lead to an alias, or round in a circle
		switch at := n.(type) {
		case *ast.AnchorNode:
			n = at.Value
		case *ast.TagNode:
			n = at.Value
		case *ast.AliasNode:
			target, ok := d.anchors[nodeName(at.Value)]
			if !ok {
				d.add(position(n), "", "unknown anchor", "")
				return nil
			}
			n = target
		default:
			return n
		}
	}
	return nil
}

// entries lists a mapping's options in the file's order. Those that a merge
// key brings come last, and only where the mapping has none of the name.
func (d *decoder) entries(n ast.Node) ([]entry, bool) {
	var values []*ast.MappingValueNode
	switch n := n.(type) {
	case *ast.MappingNode:
		values = n.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{n}
	default:
		return nil, false
	}
	var list, merged []entry
	for _, v := range values {
		if _, merge := v.Key.(*ast.MergeKeyNode); merge {
			merged = append(merged, d.merge(v.Value)...)
			continue
		}
		list = append(list, entry{nodeName(v.Key), position(v.Key), v.Value})
	}
	for _, m := range merged {
		if !has(list, m.key) {
			list = append(list, m)
		}
	}
	return list, true
}

// merge lists what the value of a merge key brings. A merged mapping's own
// merge keys are not followed.
func (d *decoder) merge(n ast.Node) []entry {
	from := []ast.Node{n}
	if seq, ok := d.resolve(n).(*ast.SequenceNode); ok {
		from = seq.Values
	}
	var list []entry
	for _, n := range from {
		mapping, ok := d.resolve(n).(*ast.MappingNode)
		if !ok {
			d.add(position(n), "", "<< needs an alias of a group of options", "")
			continue
		}
		for _, v := range mapping.Values {
			if key := nodeName(v.Key); !has(list, key) {
				list = append(list, entry{key, position(v.Key), v.Value})
			}
		}
	}
	return list
}

func has(list []entry, key string) bool {
	for _, e := range list {
		if e.key == key {
			return true
		}
	}
	return false
}

// nodeName is the text of a key or of an anchor's name.
func nodeName(n ast.Node) string {
	switch at := n.(type) {
	case *ast.MappingKeyNode:
		n = at.Value
	case *ast.AnchorNode:
		n = at.Value
	}
	if text, ok := scalarText(n); ok {
		return text
	}
	if n == nil || n.GetToken() == nil {
		return ""
	}
	return n.GetToken().Value
}

// position is where a value begins.
func position(n ast.Node) place {
	switch at := n.(type) {
	case nil:
		return place{}
	case *ast.MappingNode:
		if len(at.Values) > 0 && !at.IsFlowStyle {
			return position(at.Values[0].Key)
		}
	case *ast.MappingValueNode:
		return position(at.Key)
	}
	t := n.GetToken()
	if t == nil || t.Position == nil {
		return place{}
	}
	return place{t.Position.Line, t.Position.Column}
}
