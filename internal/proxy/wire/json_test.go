package wire

import (
	"bytes"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

// accepts is what the scanner says of a text.
func accepts(text []byte) bool {
	s := scanner{src: text}
	return s.value() && s.end()
}

// reference is what jsontext says of it.
func reference(text []byte) bool { return jsontext.Value(text).IsValid() }

// many is an object with n members, the last named last.
func many(n int, last string) string {
	var b strings.Builder
	b.WriteByte('{')
	for i := range n {
		b.WriteString(`"k` + strings.Repeat("x", i) + `":0,`)
	}
	return b.String() + `"` + last + `":0}`
}

// texts are seeds for every fuzz test of this package: valid and invalid JSON.
func texts() []string {
	return []string{
		``, ` `, `{}`, ` [ ] `, `nul`, `null`, `nullx`, `true`, `tru`, `false`, `{} {}`, `{},`, "\ufeff{}",
		`0`, `-0`, `01`, `-`, `1.`, `1.5`, `.5`, `1e`, `1e+`, `1E-9`, `+1`, `1 2`, `- 1`,
		`""`, `"`, `"a`, `"a\`, `"\"`, `"\x"`, `"\u12"`, `"\u12G4"`, `"\u00e9"`, `"\uD83D\uDE00"`, `"\uD83D"`, `"\uDE00"`,
		`"\ud83d\u0041"`, `"\ud83dxxxxxx"`, `"\uD83D\uD83D"`, "\"a\nb\"", "\"\x00\"", "\"\x7f\"", `"é漢字😀"`, "\"\xff\"", "\"\xc3\"", "\"\xed\xa0\x80\"",
		"\"plain text that is longer than eight bytes\xff and on\"", "\"12345678\x1f\"", `"1234567\n90123456\\"`,
		`{"a"}`, `{"a":}`, `{"a":1,}`, `{,}`, `{"a":1 "b":2}`, `{a:1}`, `{"a":1,"a":2}`, `{"a":1,"\u0061":2}`, `{"a":{"b":1,"b":1}}`,
		`[{"a":1},{"a":1}]`, `{"":1,"":1}`, `{"a":1,"b":{"a":1}}`, `[1,]`, `[,1]`, `[1 2]`, `[`, `{`, `]`, `{"a":[}`, `{"a":1]`,
		many(30, "kxx"), many(30, "zz"), many(15, "kxx"), many(16, "k\\u0078x"),
		strings.Repeat("[", 9_999) + strings.Repeat("]", 9_999),
		strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000),
		strings.Repeat("[", 10_001) + strings.Repeat("]", 10_001),
		strings.Repeat(`{"a":`, 10_001) + "0" + strings.Repeat("}", 10_001),
		`{"model":"m","messages":[{"role":"user","content":"hi"}],"max_tokens":5}`,
		"{\"model\":\"m\"\r\n,\t\"stream\" : true}",
	}
}

func TestScannerAcceptsAsJSONText(t *testing.T) {
	valid := 0
	for _, text := range texts() {
		got, want := accepts([]byte(text)), reference([]byte(text))
		if got != want {
			t.Errorf("accepts(%.60q) = %v, want %v", text, got, want)
		}
		if want {
			valid++
		}
	}
	if valid < 10 {
		t.Errorf("only %d seeds are valid", valid)
	}
}

// TestScannerStringEdges puts every byte at every place of a word.
func TestScannerStringEdges(t *testing.T) {
	for c := range 256 {
		for at := range 20 {
			text := []byte(`"` + strings.Repeat("a", 20) + `"`)
			text[1+at] = byte(c)
			if got, want := accepts(text), reference(text); got != want {
				t.Fatalf("accepts(%q) = %v, want %v", text, got, want)
			}
		}
	}
}

func FuzzScanner(f *testing.F) {
	for _, text := range texts() {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		before := bytes.Clone(text)
		got, want := accepts(text), reference(text)
		if got != want {
			t.Fatalf("accepts = %v, want %v", got, want)
		}
		if !bytes.Equal(before, text) {
			t.Fatal("the text was changed")
		}
		if !want && explain(text).Message == "" {
			t.Fatal("no explanation")
		}
	})
}

func TestExplain(t *testing.T) {
	tests := []struct{ body, message, param string }{
		{"", "not valid JSON: unexpected end (line 1, column 1)", ""},
		{"{\n  \"model\": \"m\",\n  \"n\": 1,\n}", "(line 4, column 1)", ""},
		{"{\"a\": tru}", "literal true", ""},
		{"{\n\"model\":\"a\",\n\"model\":\"b\"}", `duplicate key "model" (line 3, column 1)`, "model"},
		{`{} x`, "(line 1, column 4)", ""},
		{`{"a":1} {"b":2}`, "more than one value", ""},
		{`{"a":"` + "\xff" + `"}`, "UTF-8", ""},
		{`{"a":[1,2`, "unexpected EOF", ""},
	}
	for _, tt := range tests {
		bad := explain([]byte(tt.body))
		if !strings.Contains(bad.Message, tt.message) || bad.Param != tt.param || bad.Code != CodeInvalidJSON {
			t.Errorf("explain(%q) = %+v, want %q of %q", tt.body, *bad, tt.message, tt.param)
		}
	}
}
