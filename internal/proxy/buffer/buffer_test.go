package buffer

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"testing"
	"testing/iotest"
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
			within, err := buf.ReadAtMost(bytes.NewReader(make([]byte, size)), -1, int64(limit))
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

// TestReadAtMostReserves reads in small pieces. What is reserved is at most twice
// what has come, besides what there was room for, and at the end little more than
// what was announced.
func TestReadAtMostReserves(t *testing.T) {
	const first = 16 << 10
	tests := []struct {
		name           string
		come, expected int64
		capacity       int64 // at the end, at most
	}{
		{"nothing of much", 1, 1 << 30, first},
		{"the beginning of much", 100 << 10, 1 << 30, 256 << 10},
		{"all that was announced", 5 << 20, 5 << 20, 5<<20 + 1},
		{"all of unknown length", 5 << 20, -1, 10 << 20},
		{"more than was announced", 5 << 20, 100, 10 << 20},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var pools Pools
			buf := pools.GetBody(first)
			r := iotest.OneByteReader(io.LimitReader(zeros{}, tt.come))
			watched := readerFunc(func(p []byte) (int, error) {
				n, err := r.Read(p)
				if used, come := pools.Used(), int64(len(buf.B)); used > max(2*come+2, first) {
					t.Fatalf("%d bytes are reserved after %d have come", used, come)
				}
				return n, err
			})
			if within, err := buf.ReadAtMost(watched, tt.expected, 1<<30); !within || err != nil {
				t.Fatal(within, err)
			}
			if int64(len(buf.B)) != tt.come || int64(cap(buf.B)) > tt.capacity {
				t.Errorf("%d bytes in a buffer of %d, want %d in at most %d", len(buf.B), cap(buf.B), tt.come, tt.capacity)
			}
			buf.Release()
			if used := pools.Used(); used != 0 {
				t.Errorf("%d bytes still count", used)
			}
		})
	}
}

// TestBudget fills the budget: bodies stop at their share, other reads at the
// limit, and what is only counted at neither.
func TestBudget(t *testing.T) {
	const limit = 16 << 20
	var pools Pools
	pools.SetLimit(limit)
	var held []*Buffer
	read := func(buf *Buffer, bytes int64) error {
		held = append(held, buf)
		_, err := buf.ReadAtMost(io.LimitReader(zeros{}, bytes), bytes, 1<<30)
		return err
	}
	fill := func(get func() *Buffer) {
		for range 1000 {
			if err := read(get(), 60<<10); err != nil {
				if err != ErrNoRoom {
					t.Error(err)
				}
				return
			}
		}
		t.Error("the budget has no end")
	}
	fill(func() *Buffer { return pools.GetBody(16 << 10) })
	if used := pools.Used(); used > bodyLimit(limit) || used < bodyLimit(limit)-128<<10 {
		t.Errorf("bodies take %d of %d", used, limit)
	}
	fill(func() *Buffer { return pools.Get(4 << 10) })
	if used := pools.Used(); used > limit || used < limit-128<<10 {
		t.Errorf("%d in use of %d", used, limit)
	}
	if err := read(pools.Get(1<<10), 30<<10); err != nil {
		t.Errorf("a small read is refused: %v", err)
	}
	over := pools.Get(10)
	over.Grow(limit)
	if used := pools.Used(); used < limit+limit/2 {
		t.Errorf("%d in use after growing", used)
	}
	for _, b := range append(held, over) {
		b.Release()
	}
	if used := pools.Used(); used != 0 {
		t.Errorf("%d bytes still count", used)
	}
	if err := read(pools.GetBody(16<<10), pools.MaxBody()); err != nil {
		t.Errorf("the largest body is refused: %v", err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
