package gateway

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/spillway-ai/spillway/internal/proxy/buffer"
)

// writeStretch is the most that one write deadline has to be enough for.
const writeStretch = 256 << 10

// reply is the client's side of a request. Only the handler's goroutine uses
// it. Every write has a deadline, so that a client which does not read is cut
// off.
type reply struct {
	// These four are what a chunk needs that passes as it is; see attempt.
	taken   *taken     // w, once the connection was taken over
	armed   *time.Time // when the write deadline in force was set
	timeout time.Duration
	now     func() time.Time

	w       http.ResponseWriter
	flusher interface{ FlushError() error } // w, where it is one: control would look for it at every chunk
	control *http.ResponseController
	conn    *clientConn // nil where requests do not come one after the other
	once    time.Time   // what armed is where requests do not share a deadline
	status  int         // 0 until the header was written
	gone    bool
	used    uint8 // of values
	// values backs the headers that we add, one string each.
	values *[16]string
}

func (o *reply) open(w http.ResponseWriter, r *http.Request, now func() time.Time, timeout time.Duration) {
	o.w, o.now, o.timeout = w, now, timeout
	o.control = http.NewResponseController(w)
	if o.flusher, _ = w.(interface{ FlushError() error }); o.flusher == nil {
		o.flusher = controlled{o.control}
	}
	o.armed = &o.once
	if o.conn = connOf(r); o.conn != nil {
		o.armed = &o.conn.armed
		*o.armed = time.Time{} // the server ends the deadline after every request
	}
}

// take takes the client's connection over from the server, so that the handler
// can return before the answer has ended. left is called when the client
// leaves. It reports false where that cannot be.
func (o *reply) take(r *http.Request, left context.CancelFunc) bool {
	if o.conn == nil || !r.ProtoAtLeast(1, 1) {
		return false
	}
	t, ok := o.conn.keeper.take(o.control, r, left)
	if !ok {
		return false
	}
	o.w, o.flusher, o.control, o.armed = t, t, http.NewResponseController(t), &t.armed
	o.conn, o.taken, o.values, o.used = nil, t, nil, 0
	return true
}

// controlled flushes through whatever wraps the server's own writer.
type controlled struct{ *http.ResponseController }

// FlushError sends what was written.
func (c controlled) FlushError() error { return c.Flush() }

// set sets a header whose name is in canonical form.
func (o *reply) set(name, value string) {
	if o.values == nil {
		o.values = new([16]string)
	}
	if int(o.used) == len(o.values) {
		o.w.Header()[name] = []string{value}
		return
	}
	at := o.used
	o.values[at] = value
	o.used++
	o.w.Header()[name] = o.values[at : at+1 : at+1]
}

// start writes the status and the headers.
func (o *reply) start(status int) {
	o.status = status
	o.arm(o.now())
	o.w.WriteHeader(status)
}

// arm renews the write deadline when a quarter of it is used up; renewing it
// for every write would cost as much as a small write.
func (o *reply) arm(now time.Time) {
	if now.Sub(*o.armed) < o.timeout/4 {
		return
	}
	*o.armed = now
	o.ignoreUnsupported(o.control.SetWriteDeadline(now.Add(o.timeout)))
}

// disarm ends the write deadline where the next write may be long in coming
// and the deadline would not wait for it: HTTP/2 resets a stream whose deadline
// passes, though nothing is being written.
func (o *reply) disarm() {
	if o.armed != &o.once || o.once.IsZero() {
		return // it is an HTTP/1 connection's, or none is set
	}
	o.once = time.Time{}
	o.ignoreUnsupported(o.control.SetWriteDeadline(time.Time{}))
}

// setReadDeadline bounds reading the request's body; zero ends that.
func (o *reply) setReadDeadline(at time.Time) {
	o.ignoreUnsupported(o.control.SetReadDeadline(at))
}

// ignoreUnsupported takes a writer without deadlines, as in-process callers
// have, for one that needs none. Any other error means a dead connection.
func (o *reply) ignoreUnsupported(err error) {
	if err != nil && !errors.Is(err, http.ErrNotSupported) {
		o.gone = true
	}
}

// Write writes p as it is. An error means that the client is gone.
func (o *reply) Write(p []byte) (int, error) {
	written := 0
	for len(p) > 0 {
		stretch := p[:min(len(p), writeStretch)]
		if written > 0 {
			*o.armed = time.Time{}
			o.arm(o.now())
		}
		n, err := o.w.Write(stretch)
		written += n
		if err != nil {
			o.gone = true
			return written, err
		}
		p = p[n:]
	}
	return written, nil
}

// pass sends the piece in room as it is. The room has the form of a chunk's, so
// that the piece need not be copied where it goes out as one.
func (o *reply) pass(room *buffer.Buffer) error {
	if o.taken == nil {
		if _, err := o.Write(room.B[buffer.Headroom:]); err != nil {
			return err
		}
		return o.flush()
	}
	err := o.taken.send(room)
	o.gone = o.gone || err != nil
	return err
}

// flush sends what was written.
func (o *reply) flush() error {
	err := o.flusher.FlushError()
	o.disarm()
	if err != nil && errors.Is(err, http.ErrNotSupported) {
		return nil
	}
	o.gone = o.gone || err != nil
	return err
}
