package config

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

const referenceHead = `# Configuration

<!-- Generated from the structs of internal/config by go generate ./internal/config; do not edit. -->

One YAML file describes deployments and pools, classes of traffic, and callers. ` + "`spillway check FILE`" + ` prints the effective
configuration, with secrets as ` + "`***`" + `, or reports every error with its line, column, and how to fix it.
[spillway.schema.json](spillway.schema.json) lets editors complete and validate the file: start it with
` + "`# yaml-language-server: $schema=spillway.schema.json`" + `. [examples/](../examples) has complete files.

- Unknown and duplicate options are errors. An option without a value keeps its default.
- ` + "`${env:NAME}`" + ` in any value is replaced by an environment variable, ` + "`${file:/path}`" + ` by the content of a file without its
  trailing line ends; ` + "`$${`" + ` is a literal ` + "`${`" + `. Missing variables and files are errors.
- A *duration* is a number with a unit: ` + "`250ms`" + `, ` + "`60s`" + `, ` + "`1m30s`" + `, ` + "`2h`" + `. A *size* is a number of bytes, or of KiB, MiB, GiB, kB,
  MB, GB: ` + "`64KiB`" + `. A *secret* is a string that is never printed.
- Anchors, aliases and ` + "`<<`" + ` work as in any YAML. Top-level options that start with ` + "`x-`" + ` are ignored and can hold anchors.
- The file is reloaded when it changes and on SIGHUP. An invalid file changes nothing. SIGHUP also reloads secrets and the
  listener's certificate. Changes of these options apply at the next start, and the log says so: ` + "`server.listen`" + `, ` + "`admin`" + `,
  ` + "`tls`" + ` on or off, ` + "`h2c`" + `, ` + "`header_timeout`" + `, ` + "`idle_timeout`" + `, ` + "`shutdown_delay`" + `, ` + "`drain_timeout`" + `, ` + "`max_header_bytes`" + `,
  ` + "`max_connections`" + `, ` + "`memory_limit`" + `, ` + "`leave_streams`" + `; ` + "`records`" + `; ` + "`store`" + `; ` + "`exports`" + `; ` + "`metrics`" + `; ` + "`otlp`" + `.
- ` + "`HTTPS_PROXY`" + `, ` + "`HTTP_PROXY`" + ` and ` + "`NO_PROXY`" + ` in the environment apply to endpoints.
`

// Reference writes docs/CONFIG.md: every option with its type, default, bounds
// and description.
func Reference() []byte {
	var b strings.Builder
	b.WriteString(referenceHead)
	var single []option
	for _, o := range options(reflect.TypeFor[Config]()) {
		element, kind := underlying(o.typ)
		if element.Kind() != reflect.Struct {
			single = append(single, o)
			continue
		}
		fmt.Fprintf(&b, "\n## %s\n\n%s", o.name, o.doc)
		if kind == reflect.Slice {
			b.WriteString(" A list of:")
		}
		b.WriteString("\n")
		table(&b, options(element))
	}
	b.WriteString("\n## Top-level options\n")
	table(&b, single)
	return []byte(b.String())
}

// underlying is what a pointer points to or a list consists of, and whether
// the type is a pointer, a list or neither.
func underlying(t reflect.Type) (reflect.Type, reflect.Kind) {
	if t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		return t.Elem(), t.Kind()
	}
	return t, reflect.Invalid
}

func table(b *strings.Builder, list []option) {
	b.WriteString("\n| option | type | default | meaning |\n|---|---|---|---|\n")
	rows(b, list, "")
}

// rows writes one line for each option; those of a group have its name in
// front.
func rows(b *strings.Builder, list []option, group string) {
	for _, o := range list {
		name := group + o.name
		fmt.Fprintf(b, "| `%s` | %s | %s | %s%s |\n", name, typeWord(o.typ), defaultWord(o), o.doc, limits(o))
		if element, _ := underlying(o.typ); element.Kind() == reflect.Struct {
			rows(b, options(element), name+".")
		}
	}
}

// typeWord names an option's type for people.
func typeWord(t reflect.Type) string {
	switch t {
	case durationType:
		return "duration"
	case bytesType:
		return "size"
	case secretType:
		return "secret"
	}
	switch t.Kind() {
	case reflect.Slice:
		return "list of " + typeWord(t.Elem())
	case reflect.Pointer, reflect.Struct:
		return "group"
	case reflect.Int:
		return "integer"
	case reflect.Float64:
		return "number"
	}
	return t.Kind().String()
}

func defaultWord(o option) string {
	switch {
	case o.required:
		return "*required*"
	case o.def != "":
		return "`" + o.def + "`"
	case o.typ.Kind() == reflect.Struct || o.typ.Kind() == reflect.Pointer:
		return ""
	case o.typ.Kind() == reflect.Slice:
		return "none"
	case o.typ.Kind() == reflect.String:
		return "empty"
	}
	return "`" + formatScalar(reflect.New(o.typ).Elem()) + "`"
}

// limits describes what values an option takes.
func limits(o option) string {
	switch {
	case len(o.enum) > 0:
		return " One of `" + strings.Join(o.enum, "`, `") + "`."
	case o.min != "" && o.max != "":
		return fmt.Sprintf(" %s to %s.", o.min, o.max)
	case o.min != "" && o.min != "0" && o.min != "0s":
		return fmt.Sprintf(" At least %s.", o.min)
	}
	return ""
}

// Schema writes docs/spillway.schema.json, a JSON Schema for editors.
func Schema() []byte {
	root := groupSchema(reflect.TypeFor[Config]())
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "Spillway configuration"
	root["patternProperties"] = map[string]any{"^x-": map[string]any{}}
	root["$defs"] = map[string]any{
		"expansion": stringSchema(`^\$\{(env|file):[^}]+\}$`),
		"duration":  stringSchema(`^(([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+|0|\$\{.*\})$`),
		"size":      map[string]any{"type": []string{"integer", "string"}, "pattern": `^([0-9_]+ ?(B|[KMG]iB|kB|MB|GB)?|\$\{.*\})$`},
	}
	out, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		panic("config: schema: " + err.Error()) // only maps, strings and numbers are in it
	}
	return append(out, '\n')
}

func stringSchema(pattern string) map[string]any {
	return map[string]any{"type": "string", "pattern": pattern}
}

func groupSchema(t reflect.Type) map[string]any {
	properties := map[string]any{}
	var required []string
	for _, o := range options(t) {
		properties[o.name] = optionSchema(o)
		if o.required {
			required = append(required, o.name)
		}
	}
	s := map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
	if required != nil {
		s["required"] = required
	}
	return s
}

func optionSchema(o option) map[string]any {
	s := typeSchema(o)
	s["description"] = o.doc
	if o.def != "" {
		v := reflect.New(o.typ).Elem()
		if err := setScalar(v, o.def); err == nil && o.typ != durationType && o.typ != bytesType {
			s["default"] = v.Interface()
		} else {
			s["default"] = o.def
		}
	}
	return s
}

// typeSchema describes the values of an option. Numbers may also come from an
// expansion.
func typeSchema(o option) map[string]any {
	ref := func(name string) map[string]any { return map[string]any{"$ref": "#/$defs/" + name} }
	orExpansion := func(s map[string]any) map[string]any {
		return map[string]any{"anyOf": []any{s, ref("expansion")}}
	}
	switch {
	case o.typ == durationType:
		return ref("duration")
	case o.typ == bytesType:
		return ref("size")
	case o.typ.Kind() == reflect.Slice:
		return map[string]any{"type": "array", "items": typeSchema(option{typ: o.typ.Elem(), enum: o.enum})}
	case len(o.enum) > 0:
		return orExpansion(map[string]any{"enum": o.enum})
	}
	switch o.typ.Kind() {
	case reflect.Struct:
		return groupSchema(o.typ)
	case reflect.Pointer:
		return groupSchema(o.typ.Elem())
	case reflect.Bool:
		return orExpansion(map[string]any{"type": "boolean"})
	case reflect.Int:
		return orExpansion(bounds(o, "integer"))
	case reflect.Float64:
		return orExpansion(bounds(o, "number"))
	}
	return map[string]any{"type": "string"}
}

func bounds(o option, kind string) map[string]any {
	s := map[string]any{"type": kind}
	if o.min != "" {
		s["minimum"] = json.Number(o.min)
	}
	if o.max != "" {
		s["maximum"] = json.Number(o.max)
	}
	return s
}
