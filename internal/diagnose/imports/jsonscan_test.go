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

func TestElements(t *testing.T) {
	for _, tc := range []struct{ list, want string }{
		{"[]", ""},
		{" [ 1 , \"a,]\" , [2,[3]] , {\"b\":[4]} , null ]", "1 a,] [2,[3]] {\"b\":[4]}  "},
		{"[1", "error"},
		{"[1,]", "error"},
		{"[,1]", "error"},
		{"[1 2]", "error"},
		{"{}", "error"},
		{"", "error"},
		{`["a`, "error"},
	} {
		got := ""
		if err := elements([]byte(tc.list), func(value []byte) { got += text(value) + " " }); err != nil {
			got = "error"
		}
		if got != tc.want {
			t.Errorf("%s: %q, want %q", tc.list, got, tc.want)
		}
	}
}

// A JSON value as a CSV would hold it.
func TestText(t *testing.T) {
	for _, tc := range []struct{ value, text string }{
		{`"plain"`, "plain"},
		{`"a\"b\\c\u00e4\n"`, "a\"b\\cä\n"},
		{`""`, ""},
		{`null`, ""},
		{`true`, "true"},
		{`-1.5e3`, "-1.5e3"},
		{`{"a":["}"]}`, `{"a":["}"]}`},
		{`[[],{}]`, `[[],{}]`},
		{`"a\x"`, `a\x`}, // no JSON: as it is written
	} {
		if got := text([]byte(tc.value)); got != tc.text {
			t.Errorf("%s is %q, want %q", tc.value, got, tc.text)
		}
	}
}

// Values are found whole however little is buffered, with the lines that they
// take.
func TestScannerSmallBuffer(t *testing.T) {
	const input = "{\"a\":\"}\\\"\",\n\"b\":[1,{\"c\":\"\\\\\"}]}\n\n  {}\n{\"d\":\n1}"
	want := []string{"{\"a\":\"}\\\"\",\n\"b\":[1,{\"c\":\"\\\\\"}]}", "{}", "{\"d\":\n1}"}
	for size := 16; size < 40; size += 3 {
		s := &scanner{in: bufio.NewReaderSize(strings.NewReader(input), size), line: 1}
		var lines []int
		for i := range want {
			if _, err := s.next(); err != nil {
				t.Fatal(err)
			}
			lines = append(lines, s.line)
			v, err := s.value()
			if err != nil || string(v) != want[i] {
				t.Fatalf("a buffer of %d: value %d is %q, %v, want %q", size, i, v, err, want[i])
			}
		}
		if lines[0] != 1 || lines[1] != 4 || lines[2] != 5 {
			t.Errorf("a buffer of %d: values on lines %v, want 1, 4, 5", size, lines)
		}
		if _, err := s.next(); err == nil {
			t.Error("something follows the last value")
		}
	}
}

// What is a JSON list to encoding/json has the same elements here; nothing else
// breaks anything.
func FuzzElements(f *testing.F) {
	for _, s := range []string{`[]`, `[1,"a",null,{"b":[2]}]`, `[[[]]]`, `[1,`, `x`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var got []string
		err := elements(b, func(value []byte) { got = append(got, string(value)) })
		_ = sum(b)
		var want []json.RawMessage
		if json.Unmarshal(b, &want) != nil || want == nil {
			return
		}
		if err != nil || len(got) != len(want) {
			t.Fatalf("%s: %q, %v, want %d elements", b, got, err, len(want))
		}
		for i := range want {
			if got[i] != string(want[i]) {
				t.Errorf("%s: element %d is %s, want %s", b, i, got[i], want[i])
			}
		}
	})
}
