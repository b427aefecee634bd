package gateway

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spillway-ai/spillway/internal/proxy/buffer"
)

// taken is the connection of an HTTP/1.1 client while a stream goes out on it
// without the server, which has written the headers and the beginning: what is
// written here goes out as chunks of that answer. It implements
// http.ResponseWriter as far as reply needs it. Only the goroutine that owns
// the flight uses it; the watch of the client has a goroutine of its own,
// whose owner is the keeper.
type taken struct {
	conn    net.Conn
	keeper  *keeper
	chunk   *buffer.Buffer     // what was written and not sent; nil while there is nothing
	armed   time.Time          // when the write deadline in force was set
	left    context.CancelFunc // called when the client leaves before the end
	closes  bool               // the client wants no more than this answer
	seated  bool               // the watch was not started when the answer ended
	seat    int32              // the lookout's
	tail    http.Header        // trailers, under http.TrailerPrefix
	lookout *lookout           // nil where it does not watch

	mu    sync.Mutex
	over  bool   // the answer has ended
	heard bool   // the watch has ended
	ahead []byte // what the client has sent beyond its request
	first [1]byte
}

const (
	// chunkRoomBytes is the room for a chunk before it grows. It is held while a
	// chunk is written, and not while one is awaited.
	chunkRoomBytes = 4 << 10
	// lingerTime is how long a connection that is to be closed is read from
	// first, so that the client gets the end of its answer.
	lingerTime = 500 * time.Millisecond
)

var lineEnd = []byte("\r\n") // constant

// Header returns the header for trailers.
func (t *taken) Header() http.Header {
	if t.tail == nil {
		t.tail = make(http.Header)
	}
	return t.tail
}

// WriteHeader does nothing: the server has written the status.
func (t *taken) WriteHeader(int) {}

// SetWriteDeadline bounds what is written from now on.
func (t *taken) SetWriteDeadline(at time.Time) error { return t.conn.SetWriteDeadline(at) }

// Write adds p to the chunk that FlushError sends.
func (t *taken) Write(p []byte) (int, error) {
	if t.chunk == nil {
		t.chunk = t.keeper.buffers.Get(chunkRoomBytes)
		t.chunk.B = t.chunk.B[:buffer.Headroom]
	}
	t.chunk.B = append(t.chunk.B, p...)
	if len(t.chunk.B) >= writeStretch {
		return len(p), t.FlushError()
	}
	return len(p), nil
}

// FlushError sends what was written, as one chunk and in one piece.
func (t *taken) FlushError() error {
	if t.chunk == nil {
		return nil
	}
	err := t.send(t.chunk)
	t.chunk.Release()
	t.chunk = nil
	return err
}

// send sends a chunk, whose content follows buffer.Headroom of room. What was
// written must have been sent.
func (t *taken) send(chunk *buffer.Buffer) error {
	at := putChunkHead(chunk.B)
	chunk.B = append(chunk.B, lineEnd...)
	_, err := t.conn.Write(chunk.B[at:])
	return err
}

// putChunkHead writes the head of a chunk into the room before it, and returns
// where it begins.
func putChunkHead(b []byte) int {
	var digits [buffer.Headroom]byte
	head := append(strconv.AppendUint(digits[:0], uint64(len(b)-buffer.Headroom), 16), lineEnd...)
	at := buffer.Headroom - len(head)
	copy(b[at:], head)
	return at
}

// end ends the answer. One that is not whole is broken off.
func (t *taken) end(whole bool) {
	if whole {
		whole = t.FlushError() == nil // what the end of the stream has completed
	}
	if t.chunk != nil { // of a panic
		t.chunk.Release()
		t.chunk = nil
	}
	if whole {
		_, err := t.conn.Write(t.lastChunk())
		whole = err == nil
	}
	t.seated = t.lookout.remove(t) // before the connection is closed
	if !whole {
		t.closes = true
		t.conn.Close()
	}
}

// release leaves the connection to the keeper, once the answer has ended.
func (t *taken) release() {
	t.mu.Lock()
	t.over = true
	heard := t.heard
	if !heard {
		t.keeper.await(t) // before the watch can go on
	}
	t.mu.Unlock()
	switch {
	case heard:
		t.keeper.goOn(t)
	case t.seated:
		go t.watch()
	}
}

// lastChunk is the end of the transfer encoding, with the trailers.
func (t *taken) lastChunk() []byte {
	b := bytes.NewBufferString("0\r\n")
	if t.tail != nil {
		trailers := make(http.Header, len(t.tail))
		for name, values := range t.tail {
			if name, ok := strings.CutPrefix(name, http.TrailerPrefix); ok {
				trailers[name] = values
			}
		}
		_ = trailers.Write(b) // to memory
	}
	b.Write(lineEnd)
	return b.Bytes()
}

// watch waits for the client to leave, or to send its next request.
func (t *taken) watch() {
	n, _ := t.conn.Read(t.first[:]) // without a byte it is an end, whatever the error
	t.mu.Lock()
	t.heard = true
	t.ahead = t.first[:n]
	over := t.over
	t.mu.Unlock()
	switch {
	case over:
		t.keeper.goOn(t)
	case n == 0:
		t.left()
	}
}

// resumed is a connection that goes back to the server, with what was read of
// the next request.
type resumed struct {
	net.Conn
	ahead []byte
}

// Read reads what was read already, and then the connection.
func (c *resumed) Read(p []byte) (int, error) {
	if len(c.ahead) == 0 {
		return c.Conn.Read(p)
	}
	n := copy(p, c.ahead)
	c.ahead = c.ahead[n:]
	return n, nil
}

// CloseWrite tells the client that nothing more comes, where the connection
// can.
func (c *resumed) CloseWrite() error { return closeWrite(c.Conn) }

// plain is the connection below TLS.
func plain(conn net.Conn) net.Conn {
	if over, ok := conn.(*tls.Conn); ok {
		return over.NetConn()
	}
	return conn
}

func closeWrite(conn net.Conn) error {
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// single is a listener of one connection.
type single struct {
	conn net.Conn // nil once accepted
	addr net.Addr
}

// Accept returns the connection, and then an error.
func (l *single) Accept() (net.Conn, error) {
	if l.conn == nil {
		return nil, io.EOF
	}
	conn := l.conn
	l.conn = nil
	return conn, nil
}

// Close does nothing.
func (l *single) Close() error { return nil }

// Addr returns the local address.
func (l *single) Addr() net.Addr { return l.addr }
