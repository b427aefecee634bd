package buffer

import (
	"bytes"
	"io"
	"net/http"
	"sync"
)

// Reader returns the content as the body of one upstream request. It holds a
// reference of its own until it has been read to the end or is closed.
//
// Over HTTP/1.1 a transport sends a body together with the headers, in one
// write, if its type is one that the transport knows; but such a reader does
// not report when the transport has finished with it. oneWrite asks for that
// type where the memory is not pooled; elsewhere it has no effect.
func (b *Buffer) Reader(oneWrite bool) io.ReadCloser {
	if b.pools == nil && oneWrite {
		return io.NopCloser(bytes.NewReader(b.B))
	}
	return &requestBody{buf: b.Retain()}
}

// requestBody releases its buffer as soon as it has been read or is closed: a
// transport keeps a request for as long as the response's stream lasts, and
// must not keep the bytes. The transport may read and close it in different
// goroutines, also after the round trip has returned.
type requestBody struct {
	mu     sync.Mutex
	buf    *Buffer // nil once read or closed
	offset int
	closed bool
}

// Read reads the next bytes.
func (r *requestBody) Read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.closed:
		return 0, http.ErrBodyReadAfterClose
	case r.buf == nil:
		return 0, io.EOF
	}
	n := copy(p, r.buf.B[r.offset:])
	if r.offset += n; r.offset == len(r.buf.B) {
		r.release()
		return n, io.EOF
	}
	return n, nil
}

// Close releases the buffer; it may be called more than once.
func (r *requestBody) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.release()
	r.closed = true
	return nil
}

// Sent reports whether body is one of Buffer.Reader's that has been read to its end
// or closed. The transport then has no use for the header of its request any more:
// it has sent that before.
func Sent(body io.ReadCloser) bool {
	r, ok := body.(*requestBody)
	if !ok {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.buf == nil
}

// release ends the reference. mu is held.
func (r *requestBody) release() {
	r.buf.Release()
	r.buf = nil
}
