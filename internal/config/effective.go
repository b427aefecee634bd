package config

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"strings"
)

// Effective writes the configuration as YAML with every default filled in and
// every secret as ***.
func (c *Config) Effective() []byte {
	var w yamlWriter
	w.fields(reflect.ValueOf(c).Elem(), "")
	return []byte(w.String())
}

// yamlWriter writes the schema's structs as YAML.
type yamlWriter struct{ strings.Builder }

// fields writes a struct's options, each on a line that begins with indent.
func (w *yamlWriter) fields(v reflect.Value, indent string) {
	for _, o := range options(v.Type()) {
		w.option(o.name, v.Field(o.index), indent)
	}
}

// option writes one option. Groups that are not given are left out.
func (w *yamlWriter) option(name string, v reflect.Value, indent string) {
	switch {
	case v.Kind() == reflect.Pointer:
		if !v.IsNil() {
			w.option(name, v.Elem(), indent)
		}
	case v.Kind() == reflect.Struct:
		w.WriteString(indent + name + ":\n")
		w.fields(v, indent+"  ")
	case v.Kind() == reflect.Slice && v.Len() > 0 && v.Type().Elem().Kind() == reflect.Struct:
		w.WriteString(indent + name + ":\n")
		for i := range v.Len() {
			w.element(v.Index(i), indent+"  ")
		}
	default:
		w.WriteString(indent + name + ": " + inline(v) + "\n")
	}
}

// element writes one struct of a list.
func (w *yamlWriter) element(v reflect.Value, indent string) {
	var inner yamlWriter
	inner.fields(v, indent+"  ")
	w.WriteString(indent + "- " + strings.TrimPrefix(inner.String(), indent+"  "))
}

// inline writes a single value, or a list of them in brackets.
func inline(v reflect.Value) string {
	if v.Kind() == reflect.Slice {
		parts := make([]string, v.Len())
		for i := range parts {
			parts[i] = inline(v.Index(i))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	text := formatScalar(v)
	if v.Kind() == reflect.String {
		return quote(text)
	}
	return text
}

// plain are the strings that need no quotes anywhere in YAML. It is constant.
var plain = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_./-]*$`)

// quote writes a string so that it is read as itself.
func quote(s string) string {
	s = strings.ReplaceAll(s, "${", "$${")
	switch strings.ToLower(s) {
	case "true", "false", "null", "yes", "no", "on", "off", "y", "n":
	default:
		if plain.MatchString(s) {
			return s
		}
	}
	quoted, err := json.Marshal(s)
	if err != nil {
		return fmt.Sprintf("%q", s)
	}
	return string(quoted)
}
