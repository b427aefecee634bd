package clientconn

import (
	"bytes"
	"context"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spillway-ai/spillway/internal/proxy/buffer"
)

const (
	// chunkBytes is the room for a chunk before it grows. It is held while a
	// chunk is written, and not while one is awaited.
	chunkBytes = 4 << 10
	// lingerTimeout is how long a connection that is to be closed is read from
	// first: closing it with unread bytes would lose the end of the response.
	lingerTimeout = 500 * time.Millisecond
)

var lineEnd = []byte("\r\n") // constant

// hijackedConn is the connection of an HTTP/1.1 client that has left the
// server, which has written the headers and the beginning of the response. What
// is written here are further chunks of that response. It is an
// http.ResponseWriter, so that Conn writes to it as to the server's. Only the
// goroutine that uses the Conn uses it, except for awaitClient, which has a goroutine
// of its own.
type hijackedConn struct {
	conn          *socket
	conns         *Conns
	chunk         *buffer.Buffer          // what was written and not sent; nil while there is nothing
	deadlineSetAt time.Time               // when the write deadline in force was set
	onClientGone  context.CancelCauseFunc // called when the client leaves before the response has ended
	closeAfter    bool                    // no further response follows
	trailers      http.Header             // trailers, under http.TrailerPrefix

	mu         sync.Mutex
	ended      bool   // the response has ended
	clientRead bool   // awaitClient has ended
	readAhead  []byte // what the client has sent beyond its request
	firstByte  [1]byte
}

// control returns the controller of h's deadlines.
func (h *hijackedConn) control() *http.ResponseController { return http.NewResponseController(h) }

// Header returns the header for trailers.
func (h *hijackedConn) Header() http.Header {
	if h.trailers == nil {
		h.trailers = make(http.Header)
	}
	return h.trailers
}

// WriteHeader does nothing: the server has written the status.
func (h *hijackedConn) WriteHeader(int) {}

// SetWriteDeadline bounds the writes that follow.
func (h *hijackedConn) SetWriteDeadline(at time.Time) error { return h.conn.SetWriteDeadline(at) }

// Write adds p to the chunk that FlushError sends.
func (h *hijackedConn) Write(p []byte) (int, error) {
	if h.chunk == nil {
		h.chunk = h.conns.opts.Buffers.Get(chunkBytes)
		h.chunk.B = h.chunk.B[:buffer.Headroom]
	}
	h.chunk.B = append(h.chunk.B, p...)
	if len(h.chunk.B) >= deadlineBytes {
		return len(p), h.FlushError()
	}
	return len(p), nil
}

// FlushError sends what was written as one chunk, in one write.
func (h *hijackedConn) FlushError() error {
	if h.chunk == nil {
		return nil
	}
	err := h.sendChunk(h.chunk)
	h.dropChunk()
	return err
}

func (h *hijackedConn) dropChunk() {
	h.chunk.Release()
	h.chunk = nil
}

// sendChunk sends the content of b, which follows the headroom, as a chunk.
// There is nothing to be flushed.
func (h *hijackedConn) sendChunk(b *buffer.Buffer) error {
	at := putChunkHead(b.B)
	b.B = append(b.B, lineEnd...)
	_, err := h.conn.Write(b.B[at:])
	return err
}

// putChunkHead writes the head of a chunk into the headroom of b, and returns
// where it begins.
func putChunkHead(b []byte) int {
	var digits [buffer.Headroom]byte
	head := append(strconv.AppendUint(digits[:0], uint64(len(b)-buffer.Headroom), 16), lineEnd...)
	at := buffer.Headroom - len(head)
	copy(b[at:], head)
	return at
}

// endResponse ends the response; one that is not whole is broken off.
func (h *hijackedConn) endResponse(whole bool) {
	if whole {
		whole = h.FlushError() == nil
	}
	h.dropChunk() // a panic may have left it
	if whole {
		_, err := h.conn.Write(h.lastChunk())
		whole = err == nil
	}
	if !whole {
		h.closeAfter = true
		h.conn.Close()
	}
	h.conn.endRequest()
	h.conns.streamEnded(h)
}

// lastChunk is the end of the transfer encoding, with the trailers.
func (h *hijackedConn) lastChunk() []byte {
	b := bytes.NewBufferString("0\r\n")
	if h.trailers != nil {
		trailers := make(http.Header, len(h.trailers))
		for name, values := range h.trailers {
			if name, ok := strings.CutPrefix(name, http.TrailerPrefix); ok {
				trailers[name] = values
			}
		}
		_ = trailers.Write(b) // to memory
	}
	b.Write(lineEnd)
	return b.Bytes()
}

// awaitNextRequest leaves the connection to conns, after end.
func (h *hijackedConn) awaitNextRequest() {
	h.mu.Lock()
	h.ended = true
	watched := h.clientRead
	if !watched {
		h.conns.addIdle(h) // before awaitClient can end
	}
	h.mu.Unlock()
	if watched {
		h.conns.serveAgain(h)
	}
}

// awaitClient waits for the client to leave or to send its next request.
func (h *hijackedConn) awaitClient() {
	n, _ := h.conn.Read(h.firstByte[:]) // without a byte the client has left, whatever the error
	h.mu.Lock()
	h.clientRead = true
	h.readAhead = h.firstByte[:n]
	ended := h.ended
	h.mu.Unlock()
	switch {
	case ended:
		h.conns.serveAgain(h)
	case n == 0:
		h.onClientGone(nil)
	}
}
