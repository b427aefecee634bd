package clientconn

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
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
	// Flooded is called for each connection that is closed because its client
	// sends too many HTTP/2 control frames; nil ignores them.
	Flooded func(client net.Addr)
}

// Conns are the connections of HTTP/1.1 clients that have left one server:
// those with a stream under way, and those that wait for the client's next
// request. It is safe for concurrent use.
type Conns struct {
	server  *http.Server
	opts    ServerOptions
	tls     *tls.Config // of server, which sets one of its own where there is none
	closing atomic.Bool // CloseAfterResponse was called

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
		server: server, opts: opts, tls: server.TLSConfig.Clone(),
		streaming: make(map[*hijackedConn]struct{}), idleConns: make(map[*hijackedConn]struct{}),
	}
	server.BaseContext = func(net.Listener) context.Context { return opts.Base }
	server.ConnContext = c.connContext
	server.RegisterOnShutdown(c.closeIdle)
	return c
}

// socketKey finds the socket in the context of a request.
type socketKey struct{}

// connContext returns the context of the requests of a connection.
func (c *Conns) connContext(ctx context.Context, conn net.Conn) context.Context {
	s, ok := conn.(*socket)
	if !ok {
		// Accepted by the server itself. Its Close is not seen, so its requests
		// share no context that would have to be ended.
		return context.WithValue(ctx, socketKey{}, newSocket(conn, c))
	}
	if s.ctx == nil {
		s.ctx, s.cancel = context.WithCancel(context.WithValue(ctx, socketKey{}, s))
	}
	return s.ctx
}

// socketOf returns the socket of r's connection; nil where r has not come through
// an attached server.
func socketOf(r *http.Request) *socket {
	s, _ := r.Context().Value(socketKey{}).(*socket)
	return s
}

// CloseAfterResponse asks clients to use other connections from now on: an
// HTTP/1.x connection is closed after its next response, and an HTTP/2 client gets
// a GOAWAY with it.
func (c *Conns) CloseAfterResponse() { c.closing.Store(true) }

// flooded reports a connection that is closed for its control frames.
func (c *Conns) flooded(client net.Addr) {
	if c.opts.Flooded != nil {
		c.opts.Flooded(client)
	}
}

// CutStreams breaks off the streams under way that have left the server, and closes
// the idle connections.
func (c *Conns) CutStreams() {
	c.mu.Lock()
	for h := range c.streaming {
		h.conn.lower.Close() // below TLS, whose Close waits for a write under way
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
// no further response follows on it. onClientGone is called when the client
// leaves before the response has ended.
func (c *Conns) hijack(s *socket, control *http.ResponseController, closes bool, onClientGone context.CancelCauseFunc) (*hijackedConn, bool) {
	_, rw, err := control.Hijack()
	if err != nil {
		return nil, false
	}
	h := &hijackedConn{conn: s, conns: c, onClientGone: onClientGone, closeAfter: closes}
	s.detach(onClientGone)
	c.mu.Lock()
	c.streaming[h] = struct{}{}
	c.mu.Unlock()
	if n := rw.Reader.Buffered(); n > 0 {
		ahead, _ := rw.Reader.Peek(n) // cannot fail: they are buffered
		h.readAhead, h.clientRead = append([]byte(nil), ahead...), true
		s.watch() // nothing reads until the response has ended
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
		_ = h.conn.CloseWrite() // fails where the client has left
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
	h.conn.unread(h.readAhead)
	l := &oneConnListener{conn: h.conn, addr: h.conn.LocalAddr()}
	_ = c.server.Serve(l) // returns after the only connection, or because the server is closed
	if l.conn != nil {
		h.conn.Close()
	}
}
