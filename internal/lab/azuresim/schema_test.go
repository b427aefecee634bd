package azuresim

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// violation says how v fails the schema, "" when it does not. It knows the
// keywords that the generator claims to know.
func violation(root, schema map[string]any, v any) string {
	if ref, ok := schema["$ref"].(string); ok {
		var at any = root
		for part := range strings.SplitSeq(strings.TrimPrefix(ref, "#"), "/") {
			if part != "" {
				at = at.(map[string]any)[part]
			}
		}
		return violation(root, at.(map[string]any), v)
	}
	if c, ok := schema["const"]; ok && fmt.Sprint(c) != fmt.Sprint(v) {
		return fmt.Sprintf("%v is not %v", v, c)
	}
	if e, ok := schema["enum"].([]any); ok && !slices.Contains(e, v) {
		return fmt.Sprintf("%v is not one of %v", v, e)
	}
	for _, keyword := range []string{"anyOf", "oneOf"} {
		if alt, ok := schema[keyword].([]any); ok {
			why := "no alternative"
			for _, a := range alt {
				if w := violation(root, a.(map[string]any), v); w == "" {
					why = ""
				}
			}
			if why != "" {
				return why
			}
		}
	}
	for _, s := range list(schema["allOf"]) {
		if why := violation(root, s.(map[string]any), v); why != "" {
			return why
		}
	}
	types := list(schema["type"])
	if s, ok := schema["type"].(string); ok {
		types = []any{s}
	}
	if len(types) > 0 && !slices.ContainsFunc(types, func(t any) bool { return isType(t.(string), v) }) {
		return fmt.Sprintf("%v (%T) is not %v", v, v, types)
	}
	return violationOfValue(root, schema, v)
}

func violationOfValue(root, schema map[string]any, v any) string {
	limit := func(name string, byDefault float64) float64 {
		if f, ok := schema[name].(float64); ok {
			return f
		}
		return byDefault
	}
	inf := math.Inf(1)
	switch v := v.(type) {
	case float64:
		if v < limit("minimum", -inf) || v > limit("maximum", inf) || v <= limit("exclusiveMinimum", -inf) || v >= limit("exclusiveMaximum", inf) {
			return fmt.Sprintf("%v is out of bounds", v)
		}
		if m := limit("multipleOf", 0); m > 0 && math.Abs(v/m-math.Round(v/m)) > 1e-9 {
			return fmt.Sprintf("%v is no multiple of %v", v, m)
		}
	case string:
		if n := float64(len(v)); n < limit("minLength", 0) || n > limit("maxLength", inf) {
			return fmt.Sprintf("%q has a wrong length", v)
		}
		if p, ok := schema["pattern"].(string); ok && !regexp.MustCompile(p).MatchString(v) {
			return fmt.Sprintf("%q does not match %s", v, p)
		}
	case []any:
		if n := float64(len(v)); n < limit("minItems", 0) || n > limit("maxItems", inf) {
			return fmt.Sprintf("%d items", len(v))
		}
		if item, ok := schema["items"].(map[string]any); ok {
			for _, e := range v {
				if why := violation(root, item, e); why != "" {
					return why
				}
			}
		}
	case map[string]any:
		properties, _ := schema["properties"].(map[string]any)
		for _, name := range list(schema["required"]) {
			if _, ok := v[name.(string)]; !ok {
				return fmt.Sprintf("%v is missing", name)
			}
		}
		for name, e := range v {
			if p, ok := properties[name].(map[string]any); ok {
				if why := violation(root, p, e); why != "" {
					return name + ": " + why
				}
			} else if schema["additionalProperties"] == false {
				return name + " is not allowed"
			}
		}
	}
	return ""
}

func list(v any) []any { l, _ := v.([]any); return l }

func isType(name string, v any) bool {
	switch v := v.(type) {
	case nil:
		return name == "null"
	case bool:
		return name == "boolean"
	case string:
		return name == "string"
	case float64:
		return name == "number" || name == "integer" && v == math.Trunc(v)
	case []any:
		return name == "array"
	}
	return name == "object"
}

func TestSchemaText(t *testing.T) {
	for _, schema := range []string{
		`{"type":"object","properties":{"a":{"type":"string"},"b":{"type":"boolean"}},"required":["a","b"],"additionalProperties":false}`,
		`{"properties":{"a":{"enum":["x","y"]},"b":{"const":7},"c":{"type":["string","null"]}},"required":["a","b","c"]}`,
		`{"type":"object","properties":{"i":{"type":"integer","minimum":3,"maximum":5},"j":{"type":"integer","exclusiveMinimum":3,"exclusiveMaximum":5},"k":{"type":"integer","multipleOf":7,"minimum":50},"l":{"type":"integer","maximum":-200}},"required":["i","j","k","l"]}`,
		`{"type":"object","properties":{"x":{"type":"number","minimum":0.001,"maximum":0.002},"y":{"type":"number","exclusiveMinimum":0,"maximum":1},"z":{"type":"number","multipleOf":0.25}},"required":["x","y","z"]}`,
		`{"type":"object","properties":{"s":{"type":"string","minLength":90,"maxLength":95},"t":{"type":"string","maxLength":2},"p":{"type":"string","pattern":"^[A-Z]{3}-\\d{2,4}(x|y)+$"}},"required":["s","t","p"]}`,
		`{"type":"object","properties":{"a":{"type":"array","items":{"type":"integer"},"minItems":3,"maxItems":3},"e":{"type":"array","items":{"type":"string"},"maxItems":0}},"required":["a","e"]}`,
		`{"type":"object","properties":{"v":{"anyOf":[{"type":"object","properties":{"k":{"const":"a"}},"required":["k"]},{"type":"null"}]}},"required":["v"]}`,
		`{"type":"object","properties":{"head":{"$ref":"#/$defs/node"}},"required":["head"],"$defs":{"node":{"type":"object","properties":{"value":{"type":"number"},"next":{"anyOf":[{"$ref":"#/$defs/node"},{"type":"null"}]}},"required":["value","next"],"additionalProperties":false}}}`,
		`{"type":"object","properties":{"children":{"type":"array","items":{"$ref":"#"}}},"required":["children"],"additionalProperties":false}`,
		`{"type":"object","properties":{"w":{"allOf":[{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]},{"properties":{"b":{"type":"integer"}},"required":["b"]}]}},"required":["w"]}`,
		`{"type":"array","items":{"oneOf":[{"type":"string"},{"type":"integer"}]},"minItems":2}`,
		`{"type":"object"}`,
		`{}`,
	} {
		var decoded map[string]any
		if err := json.Unmarshal([]byte(schema), &decoded); err != nil {
			t.Fatal(err)
		}
		for seed := range uint64(50) {
			text := schemaText([]byte(schema), seed)
			var v any
			if err := json.Unmarshal([]byte(text), &v); err != nil {
				t.Fatalf("%s: %v in %s", schema, err, text)
			}
			if why := violation(decoded, decoded, v); why != "" {
				t.Fatalf("%s\ngives %s\n%s", schema, text, why)
			}
			if text != schemaText([]byte(schema), seed) {
				t.Fatalf("%s: not deterministic", schema)
			}
		}
	}
}

func TestSchemaKeepsOrder(t *testing.T) {
	got := schemaText([]byte(`{"properties":{"z":{"const":1},"a":{"const":[2]},"m":{"const":{"k":"v"}}}}`), 1)
	if want := `{"z":1,"a":[2],"m":{"k":"v"}}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func FuzzSchemaText(f *testing.F) {
	f.Add(`{"type":"object","properties":{"a":{"$ref":"#"}}}`)
	f.Add(`{"type":"array","minItems":1,"items":{"$ref":"#"}}`)
	f.Add(`{"type":"string","pattern":"(a|b)*[^\\x00-\\x{10ffff}]"}`)
	f.Add(`{"type":"number","minimum":1e308,"multipleOf":1e-300}`)
	f.Add(`{"type":"array","minItems":1e9}`)
	f.Add(`{"properties":3,"allOf":[{"properties":[]}],"required":"x"}`)
	f.Fuzz(func(t *testing.T, schema string) {
		if got := schemaText([]byte(schema), 1); json.Valid([]byte(schema)) && !json.Valid([]byte(got)) {
			t.Errorf("%s gives %s", schema, got)
		}
	})
}
