package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	spillway "github.com/spillway-ai/spillway"
)

// accepts is what the scanner says of a text.
func accepts(text []byte) bool {
	s := scanner{src: text}
	return s.value() && s.end()
}

// reference is what jsontext says of it, with our limit of nesting.
func reference(text []byte) bool {
	d := jsontext.NewDecoder(bytes.NewReader(text))
	for {
		_, err := d.ReadToken()
		switch {
		case err != nil:
			return err == io.EOF && jsontext.Value(text).IsValid()
		case d.StackDepth() > maxDepth:
			return false
		}
	}
}

// refusal is why the scanner refuses a text.
func refusal(text []byte) *BadRequest {
	s := scanner{src: text}
	if s.value() && s.end() {
		return nil
	}
	return s.explain()
}

// many is an object with n members, the last named last.
func many(n int, last string) string {
	var b strings.Builder
	b.WriteByte('{')
	for i := range n {
		b.WriteString(`"k` + strings.Repeat("x", i) + `":0,`)
	}
	return b.String() + `"` + last + `":0}`
}

// members is an object with n members.
func members(n int) string {
	var b strings.Builder
	b.WriteByte('{')
	for i := range n {
		fmt.Fprintf(&b, `"%x":1,`, i)
	}
	return strings.TrimSuffix(b.String(), ",") + "}"
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
		strings.Repeat("[", 255) + strings.Repeat("]", 255),
		strings.Repeat("[", 256) + strings.Repeat("]", 256),
		strings.Repeat("[", 257) + strings.Repeat("]", 257),
		strings.Repeat(`{"a":`, 257) + "0" + strings.Repeat("}", 257),
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
		if bad := refusal(text); !want && (bad == nil || bad.Message == "") {
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
		{`{"a":1,"` + "\\u0061" + `":2}`, `duplicate key "a" (line 1, column 8)`, "a"},
		{`{"b":{"a":1,"c":2,"a":3}}`, `duplicate key "a" (line 1, column 19)`, "a"},
		{many(40, "kxx"), `duplicate key "kxx" (line 1, column`, "kxx"},
		{`{"` + strings.Repeat("x", 1<<20) + `":1,"` + strings.Repeat("x", 1<<20) + `":1}`, `duplicate key "xxx`, strings.Repeat("x", maxNameShown-1)},
		{strings.Repeat("[", maxDepth+1), "nest more than 256 deep (line 1, column 257)", ""},
		{members(maxOpenNames + 1), "more than 65536 members (line 1, column", ""},
	}
	for _, tt := range tests {
		bad := refusal([]byte(tt.body))
		if bad == nil || !strings.Contains(bad.Message, tt.message) || bad.Param != tt.param || bad.Code != CodeInvalidJSON {
			t.Errorf("refusal(%.60q) = %+v, want %q of %q", tt.body, bad, tt.message, tt.param)
		}
	}
}

// TestHostileJSON reads bodies that are made to be costly. What one takes is bounded
// by its length: in allocated bytes, and in time by what only a superlinear reader
// exceeds.
func TestHostileJSON(t *testing.T) {
	const size = 4 << 20
	fill := func(open, part, end string) string {
		return open + strings.Repeat(part, (size-len(open)-len(end))/len(part)) + end
	}
	numbered := func(open, format, end string) string {
		var b strings.Builder
		b.WriteString(open)
		for i := 0; b.Len() < size; i++ {
			fmt.Fprintf(&b, format, i)
		}
		return b.String() + end
	}
	tests := []struct {
		name, body string
		ok         bool
	}{
		{"one string", fill(`{"messages":"`, "x", `"}`), true},
		{"escapes", fill(`{"messages":"`, `\u00e9`, `"}`), true},
		{"escaped quotes", fill(`{"messages":"`, `\"`, `"}`), true},
		{"one name", fill(`{"`, "x", `":1}`), true},
		{"one escaped name", fill(`{"`, `\u0061`, `":1}`), true},
		{"members", numbered(`{`, `"%x":1,`, `"last":1}`), false},
		{"escaped members", numbered(`{`, `"\u0061%x":1,`, `"last":1}`), false},
		{"a name twice among many", numbered(`{"1":1,`, `"%x":1,`, `"last":1}`), false},
		{"a name twice, far apart", fill(`{"a":"`, "x", `","a":1}`), false},
		{"a long name twice", `{"` + fill("", "x", "") + `":1,"` + fill("", "x", "") + `":1}`, false},
		{"objects with many members", fill(`{"messages":[`, members(20_000)+",", members(20_000)+"]}"), true},
		{"objects with escaped names", fill(`{"messages":[`, `{"\u0061":1},`, `{}]}`), true},
		{"empty objects", fill(`{"messages":[`, `{},`, `{}]}`), true},
		{"depth", fill(`{"messages":`, `[`, ``), false},
		{"depth of objects", fill(`{"messages":`, `{"a":`, ``), false},
		{"many times deep", fill(`{"messages":[`, strings.Repeat("[", 250)+strings.Repeat("]", 250)+",", `1]}`), true},
		{"digits", fill(`{"messages":`, `9`, `}`), true},
		{"digits of a count", fill(`{"max_tokens":`, `9`, `}`), false},
		{"exponents", fill(`{"messages":[`, `1e400,`, `1]}`), true},
		{"digits of an exponent", fill(`{"messages":1e`, `9`, `}`), true},
		{"a long model", fill(`{"model":"`, "x", `"}`), false},
		{"a long cache key", fill(`{"prompt_cache_key":"`, "x", `"}`), true},
		{"cut in a string", fill(`{"messages":"`, "x", ``), false},
		{"cut in an array", fill(`{"messages":[`, `1,`, ``), false},
		{"cut among members", numbered(`{"a":[{`, `"%x":1,`, ``), false},
		{"cut among objects", fill(`{"messages":[`, `{"a":1},`, ``), false},
		{"invalid UTF-8 at the end", fill(`{"messages":"`, "x", "\xff\"}"), false},
		{"line ends", fill(`{"messages":1`, "\n", `x}`), false},
		{"data URLs", fill(`{"messages":[`, `"data:;base64,`+strings.Repeat("A", 600)+`",`, `1]}`), true},
	}
	for _, tt := range tests {
		body := []byte(tt.body)
		allocated, d, err := cost(func() error {
			_, err := ReadAsk(spillway.APIChat, body)
			return err
		})
		if d > 20*time.Second {
			t.Errorf("%s took %v", tt.name, d)
		}
		if (err == nil) != tt.ok {
			t.Errorf("%s: error %v, want ok %v", tt.name, err, tt.ok)
		}
		if bad, is := errors.AsType[*BadRequest](err); is && len(bad.Message)+len(bad.Param) > 1<<10 {
			t.Errorf("%s: the error has %d bytes", tt.name, len(bad.Message))
		}
		// The names of open objects and their hash table take 5 MiB, growing
		// included; a name with escapes takes its length once more.
		if limit := uint64(len(body) + 8<<20); allocated > limit {
			t.Errorf("%s: allocated %d KiB for %d KiB", tt.name, allocated>>10, len(body)>>10)
		}
	}
}

// cost returns what f allocates and how long it takes.
func cost(f func() error) (allocated uint64, took time.Duration, err error) {
	var before, after runtime.MemStats
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	runtime.ReadMemStats(&before)
	began := time.Now()
	err = f()
	took = time.Since(began)
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc, took, err
}
