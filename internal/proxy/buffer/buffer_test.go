package buffer

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"testing"
)

func TestSent(t *testing.T) {
	var pools Pools
	b := pools.Get(10)
	b.B = append(b.B, "body"...)
	read, closed := b.Reader(false), b.Reader(false)
	if Sent(read) || Sent(closed) {
		t.Error("a body counts as sent before it was read")
	}
	if _, err := io.ReadAll(read); err != nil {
		t.Fatal(err)
	}
	closed.Close()
	if !Sent(read) || !Sent(closed) {
		t.Error("a body that was read, or closed, does not count as sent")
	}
	if Sent(http.NoBody) {
		t.Error("a body of another kind counts as sent")
	}
}

func TestReadAtMost(t *testing.T) {
	var pools Pools
	for _, size := range []int{0, 1, 1023, 1024, 1025, 5000, 1 << 20, 1<<20 + 1} {
		for _, limit := range []int{size, size - 1} {
			buf := pools.Get(100)
			within, err := buf.ReadAtMost(bytes.NewReader(make([]byte, size)), int64(limit))
			if err != nil || within != (size <= limit) {
				t.Errorf("%d bytes within %d: %v, %v", size, limit, within, err)
			}
			if within && len(buf.B) != size {
				t.Errorf("read %d bytes, want %d", len(buf.B), size)
			}
			buf.Release()
		}
	}
}

// TestRequestBody keeps the memory until it has been read or closed.
func TestRequestBody(t *testing.T) {
	var pools Pools
	buf := pools.Get(5000)
	buf.B = append(buf.B, "hello"...)
	body := buf.Reader(true)
	unread := buf.Reader(true)
	buf.Release()
	var part [2]byte
	if n, err := body.Read(part[:]); n != 2 || err != nil || buf.refs.Load() != 2 {
		t.Errorf("read %d, %v; %d holders, want 2", n, err, buf.refs.Load())
	}
	if got, err := io.ReadAll(body); err != nil || string(got) != "llo" || buf.refs.Load() != 1 {
		t.Errorf("read %q, %v; %d holders, want 1", got, err, buf.refs.Load())
	}
	if n, err := body.Read(part[:]); n != 0 || err != io.EOF {
		t.Errorf("read %d, %v after the end", n, err)
	}
	unread.Close()
	if n := buf.refs.Load(); n != 0 {
		t.Errorf("%d holders, want none", n)
	}
	body.Close()
	body.Close()
	if _, err := body.Read(make([]byte, 1)); !errors.Is(err, http.ErrBodyReadAfterClose) {
		t.Errorf("read after close: %v", err)
	}
}
