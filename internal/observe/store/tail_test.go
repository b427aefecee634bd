package store

import (
	"bytes"
	"slices"
	"testing"

	spillway "github.com/spillway-ai/spillway"
)

// Whatever a tail's bytes are: reading them does not panic, gives whole rows,
// and a tail cut anywhere gives the first of them.
func FuzzTail(f *testing.F) {
	full := fullRecord(f)
	whole := tailBytes([]spillway.Record{full, at(1, "a")}, []spillway.Record{at(2, "b")})
	f.Add([]byte(nil), 0)
	f.Add(whole, len(whole)-1)
	f.Add(whole[:len(whole)-3], 30)
	f.Add(bytes.Replace(whole, []byte("outcome:string"), []byte("outcomf:string"), 1), 900)
	f.Add([]byte(tailMagic+"\xff\xff\xff\xff\x00\x00\x00\x00"), 8)
	f.Fuzz(func(t *testing.T, data []byte, cut int) {
		all := decodeAll(data)
		if cut < 0 || cut > len(data) {
			return
		}
		part := decodeAll(data[:cut])
		if len(part) > len(all) || !slices.Equal(part, all[:len(part)]) {
			t.Errorf("cut at %d it has %q, whole %q", cut, part, all)
		}
	})
}

// decodeAll returns the ids in a tail.
func decodeAll(data []byte) []string {
	parsed, err := parseTail(data)
	if err != nil {
		return nil
	}
	var decoded row
	var r spillway.Record
	all, _ := chooseColumns(nil)
	var out []string
	for _, tr := range parsed.rows {
		if parsed.layout.decode(tr.body, &decoded) == nil {
			decoded.record(&r, all, interner{})
			out = append(out, r.ID)
		}
	}
	return out
}

// FuzzRow gives the row decoder bytes that a checksum would have caught. What
// it takes can be written and read again, and is then the same.
func FuzzRow(f *testing.F) {
	full := fullRecord(f)
	f.Add(appendRow(nil, &full)[rowLengthBytes:])
	f.Add(appendRow(nil, &spillway.Record{})[rowLengthBytes:])
	f.Add([]byte{})
	all, err := chooseColumns(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		l := thisLayout()
		var decoded row
		if l.decode(body, &decoded) != nil {
			return
		}
		var r spillway.Record
		decoded.record(&r, all, interner{})
		once := appendRow(nil, &r)
		if err := l.decode(once[rowLengthBytes:], &decoded); err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		decoded.record(&r, all, interner{})
		if twice := appendRow(nil, &r); !bytes.Equal(once, twice) {
			t.Errorf("%x became %x", once, twice)
		}
	})
}

// A frame that is cut, altered or too long ends a tail.
func TestNextFrame(t *testing.T) {
	data := []byte("data")
	sum := frameHead(data)
	frame := append(sum[:], data...)
	long := bytes.Clone(frame)
	long[3] = 0xff
	type test struct {
		name string
		in   []byte
		ok   bool
	}
	tests := []test{
		{"whole", frame, true},
		{"with more after it", append(bytes.Clone(frame), 1, 2, 3), true},
		{"nothing", nil, false},
		{"half a head", frame[:5], false},
		{"half of it", frame[:10], false},
		{"too long", long, false},
		{"zeros", make([]byte, 64), false},
	}
	for i := range frame {
		altered := bytes.Clone(frame)
		altered[i] ^= 0x10
		tests = append(tests, test{"altered", altered, false})
	}
	for _, tt := range tests {
		got, rest, ok := nextFrame(tt.in)
		if ok != tt.ok || ok && (string(got) != "data" || len(rest) != len(tt.in)-len(frame)) || !ok && len(rest) != len(tt.in) {
			t.Errorf("%s: got %q, %d left, %v", tt.name, got, len(rest), ok)
		}
	}
}
