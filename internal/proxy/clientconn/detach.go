package clientconn

import (
	"context"
	"net/http"
)

// PrepareDetach returns the context for the work on a request whose response may
// be detached. It ends when the client leaves or ServerOptions.Base ends, and at
// EndResponse, or after Detach at ReleaseConn; not when the handler returns. Where
// the response cannot be detached it is the context of the request.
func (c *Conn) PrepareDetach() context.Context {
	served := c.r.Context()
	if c.socket == nil || c.socket.conns.opts.KeepStreams || c.r.ProtoMajor != 1 || c.r.ProtoMinor < 1 {
		return served
	}
	ctx, cancel := context.WithCancelCause(c.socket.conns.opts.Base)
	c.cancel = cancel
	c.stopServer = context.AfterFunc(served, func() { cancel(context.Cause(served)) })
	return ctx
}

// Detach takes the connection from the server, after PrepareDetach and once the
// response has begun and was flushed. If it returns true, the handler must return
// without using c again, and another goroutine finishes the response, with
// EndResponse and ReleaseConn.
func (c *Conn) Detach() bool {
	if c.cancel == nil {
		return false
	}
	h, ok := c.socket.conns.hijack(c.socket, c.control, c.r.Close || c.closing, c.cancel)
	if !ok {
		return false
	}
	c.stopServer() // what the server reports from now on is that its handler has returned
	c.stopServer = nil
	c.w, c.flusher, c.hijacked, c.deadlineSetAt = h, h, h, &h.deadlineSetAt
	c.control = h.control()
	c.r, c.socket, c.values, c.valuesUsed = nil, nil, nil, 0
	return true
}

// EndResponse ends the response. One that is not whole is broken off, which the client
// sees as an error: a detached connection is closed; otherwise EndResponse panics with
// http.ErrAbortHandler, as the server wants it.
func (c *Conn) EndResponse(whole bool) {
	now := c.now()
	c.extendWriteDeadline(now) // for what is still buffered, here or in the server
	if c.hijacked != nil {
		c.hijacked.endResponse(whole && !c.gone)
		c.accepted.endRequest(now)
		return
	}
	c.accepted.endRequest(now)
	switch {
	case c.frames != nil:
		if c.r.Context().Err() == nil {
			c.frames.credit(creditResponse)
		}
	case c.socket != nil:
		c.socket.endRequest()
	}
	if c.cancel != nil {
		c.stopServer()
		c.cancel(nil)
	}
	if !whole {
		panic(http.ErrAbortHandler)
	}
}

// ReleaseConn ends the context of a detached response and has the connection wait
// for the client's next request, after EndResponse. The request may be served before
// ReleaseConn returns.
func (c *Conn) ReleaseConn() {
	if c.hijacked != nil {
		c.cancel(nil)
		c.hijacked.awaitNextRequest()
	}
}
