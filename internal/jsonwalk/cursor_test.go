package jsonwalk

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// FuzzCursor holds what a strict cursor accepts equal to what jsontext does; a
// lax one accepts that too.
func FuzzCursor(f *testing.F) {
	for _, seed := range []string{
		`{"a":[1,-2.5e+3,true,false,null,"x\u00e9\n"],"b":{}}`, `[]`, `[1,]`, `{"a":}`, `01`, `-`, `1.`, `1e`,
		`"\x"`, `"\ud83d"`, "\"\x01\"", ` { "a" : [ ] } `, `[}`, `nul`, `1 2`, `{,}`, `{"a":1,}`, "\"\xff\"",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c := Strict(data)
		c.Value()
		got := c.Done()
		want := jsontext.Value(data).IsValid(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
		if got != want && bytes.Count(data, []byte("["))+bytes.Count(data, []byte("{")) < MaxNesting {
			t.Fatalf("strict cursor: %v, jsontext: %v: %q", got, want, data)
		}
		if lax := Lax(data); want {
			if lax.Value(); !lax.Done() {
				t.Fatalf("lax cursor refuses %q", data)
			}
		}
	})
}

// walk writes what a cursor finds in an object: its members, and one level of
// lists in them.
func walk(c Cursor) string {
	var found strings.Builder
	for c.Enter('{'); c.More('}'); {
		fmt.Fprintf(&found, "%s=", c.Key())
		switch {
		case c.IsNull():
			found.WriteString("nothing")
		case c.Peek() == '[':
			for c.Enter('['); c.More(']'); {
				fmt.Fprintf(&found, "<%s>", c.Value())
			}
		case c.Peek() == '"':
			found.Write(c.Text())
		default:
			fmt.Fprint(&found, c.Number())
		}
		found.WriteByte(' ')
	}
	if !c.Done() {
		found.WriteString("bad")
	}
	return strings.TrimSpace(found.String())
}

// Both cursors find the same in what is JSON. A lax one does not look into what
// it passes, but both notice a broken frame.
func TestCursor(t *testing.T) {
	for _, tt := range []struct{ text, strict, lax string }{
		{`{}`, "", ""},
		{` { "a" : 1 , "b" : "x" } `, "a=1 b=x", "a=1 b=x"},
		{`{"a":[1,{"b":"]"},"x\"]"],"c":null,"d":12.9,"e":-3}`, `a=<1><{"b":"]"}><"x\"]"> c=nothing d=12 e=0`, `a=<1><{"b":"]"}><"x\"]"> c=nothing d=12 e=0`},
		{`{"a":{"deep":[[1,2],[3]]},"b":99999999999}`, "a=0 b=0", "a=0 b=0"},
		{`{"a":{"b":nope},"c":1}`, "a=0 bad", "a=0 c=1"},
		{"{\"a\":\"\x01\",\"c\":1}", "a= bad", "a=\x01 c=1"},
		{`{"a":01,"c":1}`, "a=0 bad", "a=1 c=1"},
		{`{"a":1`, "a=1 bad", "a=1 bad"},
		{`{"a":1,}`, "a=1 bad", "a=1 bad"},
		{`{"a" 1}`, "=0 bad", "=0 bad"},
		{`{"a":"x`, "a= bad", "a= bad"},
		{`{a:1}`, "=0 bad", "=0 bad"},
		{`{"a":1} {`, "a=1 bad", "a=1 bad"},
		{`[1]`, "bad", "bad"},
		{``, "bad", "bad"},
		{strings.Repeat(`{"a":`, 2*MaxNesting), "a=0 bad", "a=0 bad"},
	} {
		if got := walk(Strict([]byte(tt.text))); got != tt.strict {
			t.Errorf("strict %.60s: %q, want %q", tt.text, got, tt.strict)
		}
		if got := walk(Lax([]byte(tt.text))); got != tt.lax {
			t.Errorf("lax %.60s: %q, want %q", tt.text, got, tt.lax)
		}
	}
}

// A value that was read can be read again.
func TestRewind(t *testing.T) {
	c := Lax([]byte(`{"a":{"b":1}}`))
	c.Enter('{')
	c.More('}')
	c.Key()
	at := c.Offset()
	first := string(c.Value())
	c.Rewind(at)
	if again := string(c.Value()); again != first || first != `{"b":1}` {
		t.Errorf("%q and then %q", first, again)
	}
}

// TestValueLinear passes texts on which a search for each bracket would take
// quadratic time: minutes.
func TestValueLinear(t *testing.T) {
	for _, part := range []string{"[1,", "[1]", "[[", "{", `"\\`, `["`, `[1,"]",`} {
		text := []byte("[" + strings.Repeat(part, 4<<20/len(part)))
		began := time.Now()
		for _, c := range []Cursor{Lax(text), Strict(text)} {
			if c.Value(); !c.Bad() {
				t.Errorf("%q without an end was accepted", part)
			}
		}
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("%q took %v", part, took)
		}
	}
}
