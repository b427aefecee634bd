package imports

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf16"
	"unicode/utf8"
)

// Whatever a file is packed or encoded in, its text is the same.
func TestSource(t *testing.T) {
	const text = "TimeGenerated,CorrelationId\nä𝄞,1\n"
	for name, content := range map[string]string{ // without a mark, only ASCII is recognized as UTF-16, see TestForms
		"plain": text, "a mark": "\ufeff" + text, "utf-16": wide(text, true, false), "utf-16 big": wide(text, true, true),
		"gzip": packed(text), "gzip of utf-16": packed(wide(text, true, false)),
	} {
		s, err := openSource(write(t, content)[0])
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, err := io.ReadAll(s)
		s.close()
		if err != nil || string(got) != text {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		if s.size != int64(len(content)) || s.raw.n != s.size {
			t.Errorf("%s: %d of %d bytes read, the file has %d", name, s.raw.n, s.size, len(content))
		}
	}
}

func TestSourceErrors(t *testing.T) {
	for name, tc := range map[string]struct{ content, want string }{
		"empty": {"", "the file is empty"}, "packed nothing": {packed(""), "the file is empty"},
		"begins like gzip": {"\x1f\x8bnot gzip at all", "invalid gzip"},
		"torn at once":     {packed("some text")[:10], "cannot decompress"},
		"a zip":            {"PK\x03\x04\x14\x00\x06\x00", "a ZIP or .xlsx file"},
		"packed zip":       {packed("PK\x03\x04\x14\x00\x06\x00"), "a ZIP or .xlsx file"},
		"binary":           {"\x00\x01\x02\x03", "not CSV or JSON"},
		"PDF":              {"%PDF-1.7\n", "the file is application/pdf"},
	} {
		path := write(t, tc.content)[0]
		_, err := openSource(path)
		if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want %q with the path", name, err, tc.want)
		}
	}
	dir := t.TempDir()
	if _, err := openSource(dir); err == nil || !strings.Contains(err.Error(), "is a directory") {
		t.Errorf("a directory: %v", err)
	}
	if _, err := openSource(filepath.Join(dir, "none")); err == nil {
		t.Error("a file that there is not is no error")
	}
}

// UTF-16 is decoded alike however much is read at a time.
func TestWideReader(t *testing.T) {
	text := strings.Repeat("aä€𝄞\n", 3000)
	raw := []byte(wide(text, false, false))
	for name, r := range map[string]io.Reader{
		"at once": bytes.NewReader(raw), "by bytes": iotest.OneByteReader(bytes.NewReader(raw)), "by halves": iotest.HalfReader(bytes.NewReader(raw)),
	} {
		w := &wideReader{r: bufio.NewReaderSize(r, 16), order: binary.LittleEndian}
		got, err := io.ReadAll(iotest.OneByteReader(w))
		if err != nil || string(got) != text {
			t.Errorf("%s: %d bytes, %v, want %d", name, len(got), err, len(text))
		}
	}
	w := &wideReader{r: bufio.NewReader(bytes.NewReader(raw[:len(raw)-1])), order: binary.LittleEndian}
	if _, err := io.ReadAll(w); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("half a character: %v", err)
	}
}

// Whatever the bytes, what is read is UTF-8, and what the library makes of them.
func FuzzWideReader(f *testing.F) {
	f.Add([]byte(wide("aä€𝄞", false, false)))
	f.Add([]byte{0x00, 0xd8, 0x00, 0xd8, 0x00, 0xdc})
	f.Fuzz(func(t *testing.T, raw []byte) {
		raw = raw[:len(raw)&^1]
		w := &wideReader{r: bufio.NewReader(bytes.NewReader(raw)), order: binary.LittleEndian}
		got, err := io.ReadAll(w)
		if err != nil {
			t.Fatal(err)
		}
		if !utf8.Valid(got) {
			t.Fatalf("%q is not UTF-8", got)
		}
		units := make([]uint16, len(raw)/2)
		for i := range units {
			units[i] = binary.LittleEndian.Uint16(raw[2*i:])
		}
		want := string(utf16.Decode(units))
		if !strings.ContainsRune(want, utf8.RuneError) && string(got) != want {
			t.Errorf("%q, want %q", got, want)
		}
	})
}
