package upstream

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"slices"
	"testing"
)

func TestAccepted(t *testing.T) {
	for _, tt := range []struct {
		lines   []string
		codings []string
		want    bool
	}{
		{nil, []string{"gzip"}, false},
		{[]string{"gzip"}, []string{"gzip"}, true},
		{[]string{"deflate", "GZIP ; q=0.2"}, []string{"gzip", "deflate"}, true},
		{[]string{"gzip"}, []string{"gzip", "br"}, false},
		{[]string{"*;q=0.1"}, []string{"br"}, true},
		{[]string{"*, br;q=0"}, []string{"br"}, false},
		{[]string{"br;q=x"}, []string{"br"}, false},
	} {
		if got := accepted(http.Header{"Accept-Encoding": tt.lines}, tt.codings); got != tt.want {
			t.Errorf("%q of %q: %v, want %v", tt.codings, tt.lines, got, tt.want)
		}
	}
}

func TestListed(t *testing.T) {
	if got := listed([]string{" GZip,, identity", "br "}); !slices.Equal(got, []string{"gzip", "br"}) {
		t.Errorf("listed %q", got)
	}
}

// FuzzDecodedBody decodes arbitrary bytes: nothing panics, and what comes out is
// bounded by what went in.
func FuzzDecodedBody(f *testing.F) {
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	w.Write(bytes.Repeat([]byte("data: {}\n\n"), 100))
	w.Close()
	names := []string{"gzip", "deflate", "br", "zstd", "utf-8"}
	f.Add(uint8(0), zipped.Bytes())
	f.Add(uint8(1), []byte("\x78\x9c"))
	f.Add(uint8(2), []byte("\x0b\x02\x80hello\x03"))
	f.Add(uint8(3), []byte("\x28\xb5\x2f\xfd\x04\x00"))
	f.Add(uint8(4), []byte("{}"))
	f.Add(uint8(25), zipped.Bytes())
	f.Fuzz(func(t *testing.T, which uint8, data []byte) {
		first, second := names[int(which)%len(names)], names[int(which)/len(names)%len(names)]
		d := &decodedBody{body: io.NopCloser(bytes.NewReader(data)), codings: []string{first, second}}
		n, _ := io.Copy(io.Discard, d)
		d.Close()
		if most := int64(freeBytes + (len(data)+1)*maxRatio + 32<<10); n > most {
			t.Errorf("%d bytes of %d", n, len(data))
		}
		if again, err := d.Read(make([]byte, 1)); again > 0 && err == nil && d.failed != nil {
			t.Error("it goes on after it has failed")
		}
	})
}
