package config

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

const (
	// maxFileBytes bounds a configuration file.
	maxFileBytes = 1 << 20
	// maxNesting bounds what is within what, so that a hostile file cannot
	// exhaust the parser's stack.
	maxNesting = 200
)

// Load reads the configuration file at path with readFile, which also reads
// the files that it names; env finds environment variables. An invalid file
// gives an *Errors.
func Load(path string, env func(string) (string, bool), readFile func(string) ([]byte, error)) (*Config, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	return Parse(path, data, env, readFile)
}

// Parse is Load for a file whose bytes are at hand; name is its name in errors.
func Parse(name string, data []byte, env func(string) (string, bool), readFile func(string) ([]byte, error)) (*Config, error) {
	return newDecoder(env, readFile).config(name, data)
}

// config reads a whole configuration.
func (d *decoder) config(name string, data []byte) (*Config, error) {
	c := &Config{}
	if root, ok := d.parse(data); ok {
		fillDefaults(reflect.ValueOf(c).Elem())
		d.structure(root, reflect.ValueOf(c).Elem(), "")
		if d.nodes <= maxNodes {
			d.derive(c)
			d.validate(c)
		}
	}
	if err := d.err(name); err != nil {
		return nil, err
	}
	return c, nil
}

// parse makes the syntax tree, or notes why there is none.
func (d *decoder) parse(data []byte) (root ast.Node, ok bool) {
	if at, message := unreadable(data); message != "" {
		d.add(at, "", message, "")
		return nil, false
	}
	d.lines = strings.Split(strings.ReplaceAll(string(data), "\r\n", "\n"), "\n")
	defer func() {
		// The parser has panicked on strange input before; a configuration
		// that is being edited must never end the gateway.
		if trouble := recover(); trouble != nil {
			d.hideLines()
			d.add(place{}, "", fmt.Sprintf("the file cannot be parsed: %v", trouble), "")
			root, ok = nil, false
		}
	}()
	file, err := parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		d.syntax(err)
		return nil, false
	}
	var bodies []ast.Node
	for _, doc := range file.Docs {
		if doc.Body != nil && doc.Body.Type() != ast.NullType && doc.Body.Type() != ast.CommentType {
			bodies = append(bodies, doc.Body)
		}
	}
	switch len(bodies) {
	case 0:
		return &ast.MappingNode{}, true
	case 1:
		ast.Walk(anchorer{d}, bodies[0])
		return bodies[0], true
	}
	d.add(position(bodies[1]), "", "the file has more than one document", "remove the line ---")
	return nil, false
}

// syntax notes the parser's error. Secrets are not known yet, so whatever
// looks like one is masked.
func (d *decoder) syntax(err error) {
	d.hideLines()
	var at place
	message := err.Error()
	if e, ok := errors.AsType[yaml.Error](err); ok {
		message = e.GetMessage()
		if t := e.GetToken(); t != nil && t.Position != nil {
			at = place{t.Position.Line, t.Position.Column}
		}
	}
	d.add(at, "", "invalid YAML: "+message, syntaxFix(d.lines, at, message))
}

// unreadable says what keeps data from being parsed at all, and where.
func unreadable(data []byte) (at place, message string) {
	if len(data) > maxFileBytes {
		return at, fmt.Sprintf("the file is larger than %v", Bytes(maxFileBytes))
	}
	if !utf8.Valid(data) {
		valid := bytes.ToValidUTF8(data, []byte{0})
		bad := bytes.IndexByte(valid, 0)
		before := valid[:bad]
		line := 1 + bytes.Count(before, []byte{'\n'})
		column := 1 + utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:])
		return place{line, column}, "the file is not UTF-8 text"
	}
	if line := tooDeep(data); line > 0 {
		return place{line, 1}, "the file nests too deep here"
	}
	return at, ""
}

// tooDeep returns the first line that nests more than maxNesting deep, or 0.
// It bounds from above: quotes and comments count as if they were not.
func tooDeep(data []byte) int {
	brackets, number := 0, 0
	for line := range bytes.Lines(data) {
		number++
		prefix := 0 // dashes of lists within lists, tags and anchors
		for _, c := range bytes.TrimLeft(line, "- ?") {
			switch c {
			case '[', '{':
				brackets++
			case ']', '}':
				brackets = max(brackets-1, 0)
			case '!', '&':
				prefix++
			}
			if brackets > maxNesting {
				return number
			}
		}
		start := line[:len(line)-len(bytes.TrimLeft(line, "- ?"))]
		prefix += bytes.Count(start, []byte("- ")) + bytes.Count(start, []byte("? "))
		if prefix > maxNesting {
			return number
		}
	}
	return 0
}

// anchorer is a walk that notes every anchor.
type anchorer struct{ d *decoder }

// Visit notes n if it is an anchor.
func (a anchorer) Visit(n ast.Node) ast.Visitor {
	if anchor, ok := n.(*ast.AnchorNode); ok {
		a.d.anchors[nodeName(anchor.Name)] = anchor.Value
	}
	return a
}
