package clientconn

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/spillway-ai/spillway/internal/proxy/buffer"
)

// deadlineBytes is the most that one write deadline has to suffice for.
const deadlineBytes = 256 << 10

// Options are what a Conn needs of its surroundings.
type Options struct {
	Now func() time.Time
	// WriteTimeout bounds each write to a client that does not read.
	WriteTimeout time.Duration
}

// Conn is the client's side of one request. Init makes it ready for use. Only
// one goroutine uses it at a time. Every write has a deadline; after one that
// fails, Gone reports true.
type Conn struct {
	// Sending a chunk needs these four, so they share a cache line: with a
	// thousand streams that take turns nothing of a stream is cached when its
	// chunk arrives.
	hijacked      *hijackedConn // w, once detached
	deadlineSetAt *time.Time    // when the write deadline in force was set
	timeout       time.Duration
	now           func() time.Time

	w       http.ResponseWriter
	r       *http.Request // nil once detached
	flusher flusher       // w, where it is one: the controller would look for it at every chunk
	control *http.ResponseController
	socket  *socket     // nil once detached, and where the server is not attached
	frames  *frameGuard // nil except for HTTP/2 through Conns.Serve

	accepted *limitedConn // counts the request since Accepted; nil before, and without a limit

	cancel     context.CancelCauseFunc // of the context of PrepareDetach; else nil
	stopServer func() bool             // keeps the server from cancelling that context; else nil

	status      uint16 // 0 until Start
	gone        bool
	closing     bool        // the connection is closed after this response
	ownDeadline bool        // deadlineSetAt belongs to this request alone, not to its connection
	valuesUsed  uint8       // of values
	values      *[16]string // backs the headers of Set, one string each
}

// flusher is how an http.ResponseWriter of net/http flushes.
type flusher interface{ FlushError() error }

// controlledFlusher flushes through writers that wrap the server's own.
type controlledFlusher struct{ *http.ResponseController }

// FlushError sends what was written.
func (c controlledFlusher) FlushError() error { return c.Flush() }

// Init makes c the client's side of a request that a handler has got.
func (c *Conn) Init(w http.ResponseWriter, r *http.Request, opts Options) {
	c.w, c.r, c.now, c.timeout = w, r, opts.Now, opts.WriteTimeout
	c.control = http.NewResponseController(w)
	if c.flusher, _ = w.(flusher); c.flusher == nil {
		c.flusher = controlledFlusher{c.control}
	}
	c.socket = socketOf(r)
	if c.socket != nil && r.ProtoMajor == 1 {
		c.socket.beginRequest()
		c.deadlineSetAt = &c.socket.deadlineSetAt
		*c.deadlineSetAt = time.Time{} // the server ends the deadline after every request
	} else {
		c.deadlineSetAt, c.ownDeadline = new(time.Time), true
		if c.socket != nil && c.socket.frames.protocol == protocolHTTP2 {
			c.frames = &c.socket.frames
		} else if c.socket != nil {
			c.socket.limited.endHeader() // the server reads from the connection itself
		}
	}
	if r.ProtoMajor == 1 && r.Header["Expect"] != nil {
		c.extendWriteDeadline(c.now()) // the server writes "100 Continue" when the body is read
	}
}

// Accepted says that the request is not refused for want of a key. Its connection is not
// closed for new ones until EndResponse.
func (c *Conn) Accepted() {
	if c.socket != nil && c.accepted == nil {
		c.accepted = c.socket.limited
		c.accepted.beginRequest()
	}
}

// Authenticated says that the caller of the request is known, after Accepted. headerBytes
// is the size of its header. It entitles an HTTP/2 client to further control frames, and
// keeps the connection from being closed for new ones until it has been idle for some
// time.
func (c *Conn) Authenticated(headerBytes int) {
	c.frames.credit(creditAuthenticated + headerBytes/creditHeaderBytes)
	c.accepted.authenticated()
}

// Header returns the headers of the response; once it has begun, its trailers,
// under http.TrailerPrefix.
func (c *Conn) Header() http.Header { return c.w.Header() }

// Set sets a header whose name is in canonical form.
func (c *Conn) Set(name, value string) {
	if c.values == nil {
		c.values = new([16]string)
	}
	if int(c.valuesUsed) == len(c.values) {
		c.w.Header()[name] = []string{value}
		return
	}
	at := c.valuesUsed
	c.values[at] = value
	c.valuesUsed++
	c.w.Header()[name] = c.values[at : at+1 : at+1]
}

// Start begins the response with its status and the headers.
func (c *Conn) Start(status int) {
	c.status = uint16(status)
	if c.closing = c.socket != nil && c.socket.conns.closing.Load(); c.closing {
		c.Set("Connection", "close")
	}
	c.w.WriteHeader(status)
}

// Status is the status of the response; 0 until it has begun.
func (c *Conn) Status() int { return int(c.status) }

// Gone reports whether the client has left or does not read.
func (c *Conn) Gone() bool { return c.gone }

// MarkGone has Gone report true from now on.
func (c *Conn) MarkGone() { c.gone = true }

// Write writes p to the response; Flush sends it. An error means that the client
// is gone.
func (c *Conn) Write(p []byte) (int, error) {
	c.extendWriteDeadline(c.now())
	written := 0
	for len(p) > 0 {
		part := p[:min(len(p), deadlineBytes)]
		if written > 0 {
			*c.deadlineSetAt = time.Time{}
			c.extendWriteDeadline(c.now())
		}
		n, err := c.w.Write(part)
		written += n
		if err != nil {
			c.gone = true
			return written, err
		}
		p = p[n:]
	}
	c.frames.credit(written / creditWriteBytes)
	return written, nil
}

// Flush sends what was written.
func (c *Conn) Flush() error {
	err := c.flusher.FlushError()
	c.ClearWriteDeadline()
	if err != nil && errors.Is(err, http.ErrNotSupported) {
		return nil
	}
	if err == nil {
		c.frames.credit(creditFlush)
	}
	c.gone = c.gone || err != nil
	return err
}

// Send sends the content of b behind its first buffer.Headroom bytes. What was
// written before must have been flushed. b has buffer.Tailroom bytes of spare
// capacity; Send may write to both, so only the caller may hold b.
func (c *Conn) Send(now time.Time, b *buffer.Buffer) error {
	c.extendWriteDeadline(now)
	if c.hijacked == nil {
		if _, err := c.Write(b.B[buffer.Headroom:]); err != nil {
			return err
		}
		return c.Flush()
	}
	err := c.hijacked.sendChunk(b)
	c.gone = c.gone || err != nil
	return err
}

// ClearWriteDeadline says that the next write may be long in coming. It ends the write
// deadline where that would not wait for a write: HTTP/2 resets a stream whose
// deadline passes, although nothing is being written.
func (c *Conn) ClearWriteDeadline() {
	if !c.ownDeadline || c.deadlineSetAt.IsZero() {
		return // the deadline is that of an HTTP/1 connection, or none is set
	}
	*c.deadlineSetAt = time.Time{}
	c.setDeadline(c.control.SetWriteDeadline, time.Time{})
}

// extendWriteDeadline sets the write deadline anew once a quarter of it has passed; to do so
// for every write would cost as much as a small write.
func (c *Conn) extendWriteDeadline(now time.Time) {
	if now.Sub(*c.deadlineSetAt) < c.timeout/4 {
		return
	}
	*c.deadlineSetAt = now
	c.setDeadline(c.control.SetWriteDeadline, now.Add(c.timeout))
}

// setDeadline sets a deadline. Writers of in-process callers have none and need
// none; any other error means that the connection is dead.
func (c *Conn) setDeadline(set func(time.Time) error, at time.Time) {
	if err := set(at); err != nil && !errors.Is(err, http.ErrNotSupported) {
		c.gone = true
	}
}
