package gateway

import (
	"bytes"
	"io"
	"math/bits"
	"net/http"
	"sync"
	"sync/atomic"
)

// The pooled sizes are the powers of two between these; larger buffers are
// left to the garbage collector.
const (
	minBufferShift = 10
	maxBufferShift = 20
)

// bufferPools holds buffers by size. It is safe for concurrent use.
type bufferPools [maxBufferShift - minBufferShift + 1]sync.Pool

// buffer is bytes with several holders. Whoever fills it does so before it
// shares it; after that it is not changed.
type buffer struct {
	b     []byte
	refs  atomic.Int32
	pools *bufferPools // nil leaves the memory to the garbage collector
}

// smallBodyBytes is the largest request body that is kept out of the pools. It
// goes upstream together with the headers, in one write.
const smallBodyBytes = 3 << 10

// getBody is get for a request's body.
func (p *bufferPools) getBody(size int) *buffer {
	if size <= smallBodyBytes {
		return newBuffer(nil, make([]byte, 0, size))
	}
	return p.get(size)
}

// get returns an empty buffer with room for at least size bytes and one holder.
func (p *bufferPools) get(size int) *buffer {
	i := sizeClass(size)
	if i >= len(p) {
		return newBuffer(p, make([]byte, 0, size))
	}
	if buf, ok := p[i].Get().(*buffer); ok {
		buf.b = buf.b[:0]
		buf.refs.Store(1)
		return buf
	}
	return newBuffer(p, make([]byte, 0, 1<<(i+minBufferShift)))
}

func newBuffer(p *bufferPools, b []byte) *buffer {
	buf := &buffer{b: b, pools: p}
	buf.refs.Store(1)
	return buf
}

// sizeClass returns the index of the smallest pooled size that holds size.
func sizeClass(size int) int {
	return max(bits.Len(uint(max(size, 1)-1))-minBufferShift, 0)
}

func (b *buffer) hold() *buffer {
	b.refs.Add(1)
	return b
}

// drop ends one hold; the last one gives the memory back. A nil buffer has
// nothing to drop.
func (b *buffer) drop() {
	if b == nil || b.pools == nil || b.refs.Add(-1) > 0 {
		return
	}
	// A buffer that grew by append lies in the class that its capacity fills.
	i := bits.Len(uint(cap(b.b))) - 1 - minBufferShift
	if i >= 0 && i < len(b.pools) {
		b.pools[i].Put(b)
	}
}

// readFrom appends what r has up to limit bytes, and reports false when r has
// more than that.
func (b *buffer) readFrom(r io.Reader, limit int64) (within bool, err error) {
	for {
		if len(b.b) == cap(b.b) {
			b.b = append(b.b, 0)[:len(b.b)]
		}
		n, err := r.Read(b.b[len(b.b):cap(b.b)])
		b.b = b.b[:len(b.b)+n]
		if int64(len(b.b)) > limit {
			return false, nil
		}
		if err == io.EOF {
			return true, nil
		}
		if err != nil {
			return true, err
		}
	}
}

// reader returns a body for one upstream request. Over HTTP/1.1 a transport
// writes the kinds of reader that it knows together with the headers, but does
// not say when it has done with them; at once asks for one of those.
func (b *buffer) reader(atOnce bool) io.ReadCloser {
	if b.pools == nil && atOnce {
		return io.NopCloser(bytes.NewReader(b.b))
	}
	return &requestBody{buf: b.hold()}
}

// requestBody is a body that is let go of when it has been read or is closed: a
// transport that holds on to it for as long as its stream lasts does not hold
// the bytes. It may read and close it in different goroutines, also after the
// round trip has returned.
type requestBody struct {
	mu     sync.Mutex
	buf    *buffer // nil once read or closed
	offset int
	closed bool
}

func (r *requestBody) Read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.closed:
		return 0, http.ErrBodyReadAfterClose
	case r.buf == nil:
		return 0, io.EOF
	}
	n := copy(p, r.buf.b[r.offset:])
	if r.offset += n; r.offset == len(r.buf.b) {
		r.letGo()
		return n, io.EOF
	}
	return n, nil
}

// letGo ends the hold on the bytes. mu is held.
func (r *requestBody) letGo() {
	r.buf.drop()
	r.buf = nil
}

func (r *requestBody) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.letGo()
	r.closed = true
	return nil
}
