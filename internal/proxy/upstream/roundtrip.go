package upstream

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"syscall"
	"time"

	spillway "github.com/spillway-ai/spillway"
)

const (
	// closeWait bounds the wait for an HTTP/2 connection to be closed whose
	// failure a request has noticed: then it has failed, and not the request alone.
	closeWait = 100 * time.Millisecond
	// maxTries bounds how often a request looks for a connection, of those that are
	// closed before use.
	maxTries = 8
	// silence is how long a request must have waited on a used connection before
	// giving it up makes the connection suspect.
	silence = time.Second
)

// roundTrip sends the request to the deployment.
//
// A connection that was used before may be dead without anybody knowing: the
// peer has restarted, or something between has forgotten the connection. When it
// fails before the first byte of a response, the request is sent again, once, on
// a new connection. Nothing is learned of the deployment.
func (a *Attempt) roundTrip() (*http.Response, error) {
	transport := a.deployment.transport.main
	var failed time.Time // when a connection failed; zero before that
	for repeated, tries := false, 1; ; tries++ {
		resp, trace, err := a.send(transport, failed)
		if err == nil {
			a.keepConn(trace)
			a.decode(resp)
			return resp, nil
		}
		again := tries < maxTries && a.notSent(trace)
		if !again && !repeated {
			again = a.pathFailed(trace, err)
			repeated = again
		}
		if !again {
			a.unsent = trace == nil || !trace.connected
			return nil, err
		}
		a.call.Logger.Debug("connection is dead, request is repeated", "request_id", a.call.ID,
			"deployment", a.deployment.name, "error", err)
		transport, failed = a.deployment.transport.forRepeat(trace.conn), time.Now()
	}
}

// forRepeat returns the transport for a request whose connection has failed.
func (t *transport) forRepeat(failed *conn) *http.Transport {
	if failed.shared() {
		return t.shared
	}
	return t.single
}

// keepConn keeps what is needed of the trace of a request that has a response.
func (a *Attempt) keepConn(trace *connTrace) {
	if trace.conn != nil && trace.conn.shared() {
		a.conn = trace.conn
	}
	trace.reset() // no hook is called once there is a response
	a.deployment.transport.traces.Put(trace)
}

// send sends the request by a transport, on no connection that was used before and
// opened before since. A failed one uses no connection when it returns. The trace is
// nil if the request could not be made.
func (a *Attempt) send(transport *http.Transport, since time.Time) (*http.Response, *connTrace, error) {
	trace, _ := a.deployment.transport.traces.Get().(*connTrace)
	if trace == nil {
		trace = newConnTrace()
	}
	req, err := a.request(httptrace.WithClientTrace(a.ctx, &trace.hooks))
	if err != nil {
		return nil, nil, err
	}
	trace.dials, trace.since = a.deployment.endpoint.dials, since
	trace.dials.reserve(a.ctx, &trace.slot)
	trace.began = a.call.Now()
	resp, err := transport.RoundTrip(req)
	trace.slot.release() // unless a connection was found
	if err != nil {
		trace.conn.finishRequest()
	}
	return resp, trace, err
}

// notSent reports whether a request failed because its connection was closed before
// use.
func (a *Attempt) notSent(trace *connTrace) bool {
	return trace != nil && trace.rejected && a.ctx.Err() == nil
}

// pathFailed reports whether a request failed because of the used connection that
// it was sent on, and may be sent again. If so, and if a used connection was given
// up because it was silent, others as old are not used again.
func (a *Attempt) pathFailed(trace *connTrace, err error) bool {
	switch {
	case trace == nil, trace.conn == nil, !trace.reused, trace.responded.Load():
		return false
	case a.ctx.Err() != nil:
		if a.call.Context.Err() == nil && a.call.Now().Sub(trace.began) >= silence {
			trace.conn.condemn()
		}
		return false
	case isTimeout(err), errors.As(err, new(streamError)):
		return false // the connection works
	case trace.conn.shared() && !trace.conn.closesWithin(closeWait):
		return false
	}
	trace.conn.condemn()
	return a.call.API != spillway.APIOther || a.call.Idempotent
}

// isTimeout reports whether we ended the wait for a response. The kernel's own
// timeout, of a peer that confirms nothing, is a failure of the connection.
func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout() && !errors.Is(err, syscall.ETIMEDOUT)
}

// streamError is an HTTP/2 stream that was reset, while its connection goes on.
// The error of net/http, which is not exported, converts itself to a type with
// these fields.
type streamError struct {
	StreamID uint32
	Code     uint32
	Cause    error
}

// Error names the error.
func (e streamError) Error() string { return "HTTP/2 stream was reset" }

// connTrace follows one round trip. Its hooks are made once; a trace is used for
// many round trips, one at a time.
type connTrace struct {
	hooks httptrace.ClientTrace
	dials *dialLimiter
	slot  dialSlot
	since time.Time // connections that were opened before are unwanted
	began time.Time

	connected bool  // a connection was found
	conn      *conn // the newest; nil while another is looked for
	reused    bool  // a request was sent on it before
	rejected  bool  // it was closed before use, because it may be dead
	responded atomic.Bool
}

// newConnTrace returns an unused trace.
func newConnTrace() *connTrace {
	t := new(connTrace)
	t.hooks.GetConn = func(string) { t.search() }
	t.hooks.GotConn = t.gotConn
	t.hooks.GotFirstResponseByte = func() { t.responded.Store(true) }
	return t
}

// reset makes the trace ready for another round trip.
func (t *connTrace) reset() {
	t.connected, t.conn, t.reused, t.rejected = false, nil, false, false
	t.responded.Store(false)
}

// search is called in the goroutine of the round trip when a connection is looked
// for, also when the transport does so again because nothing was sent on one.
func (t *connTrace) search() {
	t.conn.finishRequest()
	t.reset()
}

// gotConn is called likewise when a connection was found, before anything is sent
// on it. It closes one that may be dead: the transport takes that for a failure at
// which nothing was sent, and looks for another.
func (t *connTrace) gotConn(info httptrace.GotConnInfo) {
	t.conn.finishRequest()
	c := ownConn(info.Conn)
	t.connected, t.conn, t.reused, t.rejected = true, c, info.Reused, false
	if c != nil {
		c.negotiate(info.Conn)
		t.use(c)
	}
	t.slot.release()
}

// use begins a request on the connection, or closes it.
func (t *connTrace) use(c *conn) {
	if !c.shared() && !t.dials.unshared.Load() {
		t.dials.unshared.Store(true)
	}
	t.rejected = !c.beginRequest(t.reused && (c.suspect() || c.opened.Before(t.since)))
}
