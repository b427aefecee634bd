package clientconn

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/spillway-ai/spillway/internal/proxy/buffer"
)

// ServerOptions are what the connections of a server share.
type ServerOptions struct {
	Base    context.Context // parent of the context of every request
	Buffers *buffer.Pools
	Now     func() time.Time
	// KeepStreams leaves every stream in the server until it has ended, as
	// net/http does by itself.
	KeepStreams bool
}

// Conns are the connections of HTTP/1.1 clients that have left one server:
// those with a stream under way, and those that wait for the client's next
// request. It is safe for concurrent use.
type Conns struct {
	server *http.Server
	opts   ServerOptions

	mu        sync.Mutex
	streaming map[*hijackedConn]struct{}
	idleConns map[*hijackedConn]struct{}
	closed    bool
}

// Attach makes Conns for a server that does not serve yet. It sets the server's
// BaseContext and ConnContext. The server's Shutdown closes the idle
// connections as well, and those under way once their responses have ended, but
// neither Shutdown nor Close waits for streams under way or breaks them off;
// see InFlight and CutStreams.
func Attach(server *http.Server, opts ServerOptions) *Conns {
	c := &Conns{
		server: server, opts: opts,
		streaming: make(map[*hijackedConn]struct{}), idleConns: make(map[*hijackedConn]struct{}),
	}
	server.BaseContext = func(net.Listener) context.Context { return opts.Base }
	server.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		limited := limitedConnOf(conn)
		limited.beginHeader()
		return context.WithValue(ctx, stateKey{}, &connState{conns: c, limited: limited})
	}
	server.RegisterOnShutdown(c.closeIdle)
	return c
}

// stateKey finds the connState in the context of a request.
type stateKey struct{}

// connState is what the requests of one HTTP/1.x connection share.
type connState struct {
	deadlineSetAt time.Time // when the write deadline in force was set
	conns         *Conns
	limited       *limitedConn // nil where there is no limit
}

// stateOf returns the state of r's connection; nil where requests share the
// connection at one time, or have not come through an attached server. The header of
// r has been read.
func stateOf(r *http.Request) *connState {
	state, _ := r.Context().Value(stateKey{}).(*connState)
	if state == nil {
		return nil
	}
	state.limited.endHeader()
	if r.ProtoMajor != 1 {
		return nil
	}
	return state
}

// CutStreams breaks off the streams under way that have left the server, and closes
// the idle connections.
func (c *Conns) CutStreams() {
	c.mu.Lock()
	for h := range c.streaming {
		h.tcp().Close() // below TLS, whose Close waits for a write under way
	}
	c.mu.Unlock()
	c.closeIdle()
}

// closeIdle closes the idle connections, and from now on each connection that
// becomes idle.
func (c *Conns) closeIdle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for h := range c.idleConns {
		h.conn.Close() // which ends awaitClient
	}
}

// hijack takes the connection of a request from the server. closes says that
// the client wants no further response on it. onClientGone is called when the client
// leaves before the response has ended.
func (c *Conns) hijack(control *http.ResponseController, closes bool, onClientGone context.CancelCauseFunc) (*hijackedConn, bool) {
	conn, rw, err := control.Hijack()
	if err != nil {
		return nil, false
	}
	if again, ok := conn.(*readAheadConn); ok && len(again.ahead) == 0 {
		conn = again.Conn
	}
	h := &hijackedConn{conn: conn, conns: c, onClientGone: onClientGone, closeAfter: closes}
	c.mu.Lock()
	c.streaming[h] = struct{}{}
	c.mu.Unlock()
	if n := rw.Reader.Buffered(); n > 0 {
		ahead, _ := rw.Reader.Peek(n) // cannot fail: they are buffered
		h.readAhead, h.clientRead = append([]byte(nil), ahead...), true
		return h, true
	}
	go h.awaitClient()
	return h, true
}

// streamEnded removes h from the streams under way.
func (c *Conns) streamEnded(h *hijackedConn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.streaming, h)
}

// addIdle keeps h, whose response has ended, until awaitClient ends.
func (c *Conns) addIdle(h *hijackedConn) {
	timeout := c.server.IdleTimeout
	if h.closeAfter {
		timeout = lingerTimeout
		_ = closeWrite(h.conn) // fails where the client has left
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		h.conn.Close() // which ends awaitClient
		return
	}
	c.idleConns[h] = struct{}{}
	_ = h.conn.SetReadDeadline(c.opts.Now().Add(timeout)) // a dead connection ends awaitClient as well
}

// serveAgain has the server serve the connection if its client has begun another
// request, and closes it if not.
func (c *Conns) serveAgain(h *hijackedConn) {
	c.mu.Lock()
	delete(c.idleConns, h)
	c.mu.Unlock()
	if len(h.readAhead) == 0 || h.closeAfter || h.conn.SetDeadline(time.Time{}) != nil {
		h.conn.Close()
		return
	}
	l := &oneConnListener{conn: &readAheadConn{Conn: h.conn, ahead: h.readAhead}, addr: h.conn.LocalAddr()}
	_ = c.server.Serve(l) // returns after the only connection, or because the server is closed
	if l.conn != nil {
		h.conn.Close()
	}
}
