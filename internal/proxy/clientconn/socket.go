package clientconn

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// watchInterval is how often the kernel is asked whether a client has left
// while nothing reads from its connection.
const watchInterval = 50 * time.Millisecond

// errControlFlood closes a connection whose frames cost more than they achieve.
var errControlFlood = errors.New("too many HTTP/2 control frames")

// socket is one client's connection, below what the server does with it. It
// notices a client that leaves while nothing reads, and bounds the control frames
// of an HTTP/2 client.
//
// net/http notices that a client has left by reading from its connection while
// the handler runs, but only until the client sends a byte beyond its request: the
// server keeps one byte and reads no further. So whenever a Read returns during a
// request and no other follows, the socket asks the kernel instead.
type socket struct {
	net.Conn // what HTTP is spoken on: the network connection, or TLS on top of it

	lower   net.Conn        // the network connection
	limited *limitedConn    // lower, within a limit of connections; nil without one
	raw     syscall.RawConn // of lower; nil where the operating system does not know it
	conns   *Conns
	ctx     context.Context // of its requests; ends when the client has left or the connection is closed
	cancel  context.CancelFunc
	ahead   []byte // what Read returns first
	frames  frameGuard

	deadlineSetAt time.Time   // when the write deadline in force was set; HTTP/1.x only
	serving       atomic.Bool // an HTTP/1.x request is being served
	reading       atomic.Bool // a Read is under way

	mu     sync.Mutex
	timer  *time.Timer             // calls check; nil until first needed
	onGone context.CancelCauseFunc // in place of cancel while the response is detached
}

// newSocket returns the socket of a connection that HTTP is spoken on.
func newSocket(conn net.Conn, conns *Conns) *socket {
	s := &socket{Conn: conn, lower: conn, conns: conns}
	if over, ok := conn.(interface{ NetConn() net.Conn }); ok {
		s.lower = over.NetConn()
	}
	if known, ok := s.lower.(syscall.Conn); ok {
		s.raw, _ = known.SyscallConn() // nil when the connection is closed already
	}
	s.limited = limitedConnOf(conn)
	s.limited.attach()
	return s
}

// Read reads what was unread, and then from the connection.
func (s *socket) Read(p []byte) (int, error) {
	if len(s.ahead) > 0 {
		n := copy(p, s.ahead)
		s.ahead = s.ahead[n:]
		return n, nil
	}
	s.reading.Store(true)
	n, err := s.Conn.Read(p)
	s.reading.Store(false)
	s.watch()
	if err != nil {
		s.onReadError(err)
	}
	if !s.frames.read(p[:n], s.conns.opts.Now) {
		s.conns.flooded(s.RemoteAddr())
		return 0, errControlFlood
	}
	if s.frames.protocol == protocolHTTP2 && !s.holdHTTP2Header() {
		return 0, noRoom(s.RemoteAddr())
	}
	return n, err
}

// holdHTTP2Header counts what an HTTP/2 client has sent of a header that is not complete,
// instead of all that it sends. It reports whether there is room for it.
func (s *socket) holdHTTP2Header() bool {
	if s.limited == nil {
		return true
	}
	s.limited.header.Store(noHeader)
	return s.limited.holdHeader(int64(s.frames.headerBytes))
}

// HeaderRead says that the header of a request has been read that is answered without a
// Conn.
func HeaderRead(r *http.Request) {
	if s := socketOf(r); s != nil && r.ProtoMajor == 1 {
		s.limited.endHeader()
		s.limited.beginHeader()
	}
}

// onReadError logs a failed TLS handshake, which is part of the first Read, and
// answers a client that speaks no TLS.
func (s *socket) onReadError(err error) {
	if conn, ok := s.Conn.(*tls.Conn); !ok || conn.ConnectionState().HandshakeComplete || errors.Is(err, net.ErrClosed) {
		return
	}
	if log := s.conns.server.ErrorLog; log != nil {
		log.Printf("TLS handshake error from %s: %v", s.RemoteAddr(), err)
	}
	if record, ok := errors.AsType[tls.RecordHeaderError](err); ok && record.Conn != nil {
		refusePlaintext(record)
	}
}

// unread has the next Reads return p first.
func (s *socket) unread(p []byte) { s.ahead = p }

// Close closes the connection and ends the context of its requests.
func (s *socket) Close() error {
	if s.cancel != nil {
		s.cancel()
	}
	return s.Conn.Close()
}

// CloseWrite closes the sending side, where the connection can.
func (s *socket) CloseWrite() error { return closeWrite(s.Conn) }

// beginRequest has departures noticed until endRequest, by the context of the
// connection's requests.
func (s *socket) beginRequest() {
	s.serving.Store(true)
	s.limited.endHeader()
	if !s.reading.Load() {
		s.watch() // the server may have read a byte too many already
	}
}

// detach has a departure reported to onGone from now on.
func (s *socket) detach(onGone context.CancelCauseFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.onGone = onGone
}

// endRequest ends what beginRequest and detach have begun.
func (s *socket) endRequest() {
	s.serving.Store(false)
	s.limited.beginHeader()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.onGone = nil
}

// watch has check called soon, if a request is being served.
func (s *socket) watch() {
	if s.raw == nil || !s.serving.Load() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.timer == nil {
		s.timer = time.AfterFunc(watchInterval, s.check)
		return
	}
	s.timer.Reset(watchInterval)
}

// check asks the kernel whether the client has left, unless a Read would notice.
func (s *socket) check() {
	switch {
	case !s.serving.Load() || s.reading.Load():
	case hungUp(s.raw):
		s.gone()
	default:
		s.watch()
	}
}

// gone reports that the client has left.
func (s *socket) gone() {
	s.mu.Lock()
	onGone := s.onGone
	s.mu.Unlock()
	switch {
	case onGone != nil:
		onGone(nil)
	case s.cancel != nil:
		s.cancel()
	}
}

// refusePlaintext answers a client that speaks HTTP without TLS to a TLS
// listener, as net/http does.
func refusePlaintext(e tls.RecordHeaderError) {
	for _, c := range e.RecordHeader {
		if (c < 'A' || c > 'Z') && c != ' ' && c != '/' {
			return
		}
	}
	_, _ = io.WriteString(e.Conn, "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n")
	_ = e.Conn.Close() // the error is known already
}
