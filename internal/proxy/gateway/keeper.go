package gateway

import (
	"context"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"github.com/spillway-ai/spillway/internal/proxy/buffer"
)

// keeper takes connections of HTTP/1.1 clients over from a server, so that a
// stream needs nothing of it while it runs: not its goroutine and its buffers,
// which are most of what a stream would hold. Between a stream's end and the
// client's next request it keeps the connection, and then gives it back. It is
// safe for concurrent use.
type keeper struct {
	server  *http.Server
	buffers *buffer.Pools
	now     func() time.Time
	opened  sync.Once // lookout
	lookout *lookout

	mu     sync.Mutex
	idle   map[*taken]struct{} // between requests
	busy   map[*taken]struct{} // while a stream runs
	closed bool
}

// connKey finds, in the context of a request, what the requests of its
// connection have in common.
type connKey struct{}

// clientConn is that.
type clientConn struct {
	armed  time.Time // when the write deadline in force was set; HTTP/1 only
	keeper *keeper
}

// take takes the connection of a request over from the server, whose handler
// must have read the request, sent the beginning of the answer in chunks, and
// return soon. Then left is called when the client leaves.
func (k *keeper) take(control *http.ResponseController, r *http.Request, left context.CancelFunc) (*taken, bool) {
	conn, rw, err := control.Hijack()
	if err != nil {
		return nil, false
	}
	if c, ok := conn.(*resumed); ok && len(c.ahead) == 0 {
		conn = c.Conn
	}
	t := &taken{conn: conn, keeper: k, left: left, closes: r.Close}
	k.mu.Lock()
	if k.busy == nil {
		k.busy = make(map[*taken]struct{})
	}
	k.busy[t] = struct{}{}
	k.mu.Unlock()
	if n := rw.Reader.Buffered(); n > 0 {
		ahead, _ := rw.Reader.Peek(n) // they are there
		t.ahead, t.heard = append([]byte(nil), ahead...), true
		return t, true
	}
	k.watch(t)
	return t, true
}

// watch has the client of t watched: by the lookout where the connection is
// one of the system's.
func (k *keeper) watch(t *taken) {
	if conn, ok := plain(t.conn).(syscall.Conn); ok {
		k.opened.Do(func() { k.lookout = newLookout() })
		if k.lookout.add(t, conn) {
			t.lookout = k.lookout
			return
		}
	}
	go t.watch()
}

// await keeps a connection whose answer has ended until its watch hears of the
// client.
func (k *keeper) await(t *taken) {
	patience := k.server.IdleTimeout
	if t.closes {
		patience = lingerTime
		_ = closeWrite(t.conn) // the client may have left
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		t.conn.Close() // which ends its watch
		return
	}
	if k.idle == nil {
		k.idle = make(map[*taken]struct{})
	}
	k.idle[t] = struct{}{}
	_ = t.conn.SetReadDeadline(k.now().Add(patience)) // a dead connection ends the watch as well
}

// goOn gives a connection whose client has begun another request back to the
// server, or closes it.
func (k *keeper) goOn(t *taken) {
	k.mu.Lock()
	delete(k.idle, t)
	k.mu.Unlock()
	if len(t.ahead) == 0 || t.closes || t.conn.SetDeadline(time.Time{}) != nil {
		t.conn.Close()
		return
	}
	door := &single{conn: &resumed{Conn: t.conn, ahead: t.ahead}, addr: t.conn.LocalAddr()}
	_ = k.server.Serve(door) // it ends with its only connection, or is closed
	if door.conn != nil {
		t.conn.Close()
	}
}

// done ends what take has begun.
func (k *keeper) done(t *taken) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.busy, t)
}

// cut closes the connections of all streams under way.
func (k *keeper) cut() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for t := range k.busy {
		plain(t.conn).Close()
	}
}

// close closes the connections between requests, and those under way once
// their answers have ended.
func (k *keeper) close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.closed = true
	k.opened.Do(func() {})
	k.lookout.close()
	for t := range k.idle {
		t.conn.Close()
	}
}

// connOf returns what the requests of r's connection have in common; nil where
// they do not come one after the other, or through Server.
func connOf(r *http.Request) *clientConn {
	if r.ProtoMajor != 1 {
		return nil
	}
	c, _ := r.Context().Value(connKey{}).(*clientConn)
	return c
}

// newConn is an http.Server's ConnContext.
func (k *keeper) newConn(ctx context.Context, _ net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, &clientConn{keeper: k})
}
