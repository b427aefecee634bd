package imports

import (
	"bufio"
	"encoding/json"
	"strings"
	"testing"
)

func TestMembers(t *testing.T) {
	for _, c := range []struct{ object, want string }{
		{`{}`, ""},
		{` { "a" : 1 , "b":"x" } `, "a=1 b=x "},
		{`{"a":{"b":[1,"}"]},"c":null,"d":true,"e":"q\"\\","f":"é\n"}`, "a={\"b\":[1,\"}\"]} c= d=true e=q\"\\ f=é\n "},
		{`{"a":1`, "error"},
		{`{"a"}`, "error"},
		{`{"a":}`, "error"},
		{`{"a":1,}`, "error"},
		{`{a:1}`, "error"},
		{`[1]`, "error"},
		{`"x"`, "error"},
		{``, "error"},
		{`{"a":"x`, "error"},
	} {
		got := ""
		if err := members([]byte(c.object), func(name, value []byte) { got += string(name) + "=" + text(value) + " " }); err != nil {
			got = "error"
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.object, got, c.want)
		}
	}
}

// Of what encoding/json calls an object, the same members are found; the
// others may be found to be none, but nothing breaks.
func FuzzMembers(f *testing.F) {
	for _, s := range []string{`{}`, `{"a":{"b":[1,"}"]},"c":null}`, `{"a":"\"","b":[[]]}`, `{"a":1,"a":2}`, `{"é":-1e5}`, `{"a":1`, `[`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got := map[string]json.RawMessage{}
		err := members(b, func(name, value []byte) { got[string(name)] = append(json.RawMessage(nil), value...) })
		var want map[string]json.RawMessage
		if json.Unmarshal(b, &want) != nil || want == nil || strings.ContainsRune(string(b), '\\') {
			return
		}
		if err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		for name, value := range want {
			if strings.ToValidUTF8(name, "") == name && !strings.ContainsRune(name, '\ufffd') && string(got[name]) != string(value) {
				t.Errorf("%s: %s is %s, want %s", b, name, got[name], value)
			}
		}
	})
}

// What the scanner calls a value ends where its brackets do.
func FuzzScanner(f *testing.F) {
	for _, s := range []string{`{"a":"}"} {"b":1}`, "{}\n{}", `{"a":"\\"}`, `{`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		sc := &scanner{in: bufio.NewReader(strings.NewReader(s)), line: 1}
		for {
			b, err := sc.next()
			if err != nil || b != '{' {
				return
			}
			v, err := sc.value()
			if err != nil {
				return
			}
			if v[0] != '{' || len(v) < 2 {
				t.Fatalf("%q: %q", s, v)
			}
		}
	})
}
