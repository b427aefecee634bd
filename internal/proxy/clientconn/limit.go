package clientconn

import (
	"container/list"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spillway-ai/spillway/internal/proxy/buffer"
)

const (
	// refusalWait is how long a connection beyond the limit waits while as many as may
	// be are being answered. Then it is closed without a response: those clients are
	// silent. For a second after that none waits, because further clients in the queue of
	// the listener would wait for the sum.
	refusalWait = 250 * time.Millisecond
	// refusalTimeout is how long a refused client has to send its request and to read
	// the response.
	refusalTimeout = 500 * time.Millisecond
)

// LimitOptions are the limit of a listener's connections.
type LimitOptions struct {
	Max int // connections at one time
	// Refusals is how many connections beyond Max are answered at one time.
	Refusals int
	// Refusal returns the whole HTTP/1.1 response to a connection beyond Max. It is
	// called by several goroutines.
	Refusal func() []byte
	TLS     *tls.Config // of the server; nil without TLS
	// Headers counts the headers that clients of an attached server have begun and not
	// completed; it may be nil. A connection for which there is no room is closed.
	Headers *buffer.Budget
	// Refused is called for each connection beyond Max, and Evicted with the number of
	// those that were closed to make room for one, in one goroutine. A nil one is not
	// called.
	Refused func()
	Evicted func(conns int)
}

// Limit returns a listener that accepts every connection of l and returns at most
// options.Max at one time. For a further one it closes connections of an attached
// server that are idle, first those whose clients have sent no valid key. Where there is
// none, it answers the further one itself and closes it, so that it does not wait in the
// queue of the listener. A connection counts until it is closed, whoever holds it.
func Limit(l net.Listener, options LimitOptions) net.Listener {
	if options.TLS != nil {
		options.TLS = options.TLS.Clone()
		options.TLS.NextProtos = []string{"http/1.1"} // which Refusal is
	}
	return &limitedListener{
		Listener: l, options: options, evictable: newEvictable(), refusing: make(chan struct{}, options.Refusals),
	}
}

// limitedListener is the listener of Limit.
type limitedListener struct {
	net.Listener
	options   LimitOptions
	open      atomic.Int64 // connections that were returned
	evictable *evictable
	refusing  chan struct{} // one for each that is being answered
	closedAt  time.Time     // when a connection was last closed without a response; of Accept
}

// Accept returns the next connection within the limit.
func (l *limitedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.enter(conn.RemoteAddr()) {
			limited := &limitedConn{Conn: conn, listener: l, budget: l.options.Headers}
			limited.header.Store(noHeader) // until the server has attached it
			return limited, nil
		}
		if l.options.Refused != nil {
			l.options.Refused()
		}
		wait := refusalWait
		if time.Since(l.closedAt) < time.Second {
			wait = 0
		}
		select {
		case l.refusing <- struct{}{}:
			go l.refuse(conn)
		case <-time.After(wait):
			conn.Close()
			l.closedAt = time.Now()
		}
	}
}

// enter counts a connection of a client, for which it may close others, unless there is
// no room.
func (l *limitedListener) enter(client net.Addr) bool {
	most := int64(l.options.Max)
	if l.open.Add(1) <= most {
		return true
	}
	if n := l.evictable.evict(client, time.Now()); n > 0 && l.options.Evicted != nil {
		l.options.Evicted(n)
	}
	if l.open.Load() <= most { // a connection may have closed meanwhile
		return true
	}
	l.open.Add(-1)
	return false
}

// refuse answers the first request of conn and closes it.
func (l *limitedListener) refuse(conn net.Conn) {
	defer func() { <-l.refusing }()
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(refusalTimeout)); err != nil {
		return
	}
	speak := conn
	if l.options.TLS != nil {
		speak = tls.Server(conn, l.options.TLS)
	}
	var room [1 << 10]byte
	// A client takes a response before its request for a broken connection.
	if _, err := speak.Read(room[:]); err != nil {
		return
	}
	if _, err := speak.Write(l.options.Refusal()); err != nil || closeWrite(speak) != nil {
		return
	}
	// Closing with unread bytes would lose the response.
	for {
		if _, err := conn.Read(room[:]); err != nil {
			return
		}
	}
}

// freeHeaderBytes is how much of a header does not count.
const freeHeaderBytes = 8 << 10

// noHeader is the header of a limitedConn while a request is being served.
const noHeader = -1

// limitedConn is a connection that counts until it is closed. It counts the bytes of a
// request's header as well, because the server keeps them before any handler sees
// the request: thousands of clients that do not complete theirs would take as many
// times its limit.
type limitedConn struct {
	net.Conn
	listener *limitedListener
	budget   *buffer.Budget // nil does not count headers
	once     sync.Once

	header  atomic.Int64 // bytes of the header that is being read, or noHeader
	countMu sync.Mutex
	counted atomic.Int64 // what the budget counts; changes with countMu held
	closed  bool         // guarded by countMu

	requests  atomic.Int64 // under way, and not to be refused for want of a key
	idleSince atomic.Int64 // when the last request has ended, as Unix time in nanoseconds
	keyed     atomic.Bool  // the client has sent a valid key

	number    uint64        // in the order in which connections were opened; constant
	openedAt  time.Time     // constant
	address   *addressConns // where evictable has it, and nil for one with a key; guarded by evictable.mu
	inAddress *list.Element
}

// limitedConnOf returns the limitedConn below conn, or nil.
func limitedConnOf(conn net.Conn) *limitedConn {
	if over, ok := conn.(interface{ NetConn() net.Conn }); ok { // TLS
		conn = over.NetConn()
	}
	limited, _ := conn.(*limitedConn)
	return limited
}

// Read reads from the connection.
func (c *limitedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if have := c.header.Load(); have != noHeader {
		have += int64(n)
		c.header.Store(have)
		if !c.holdHeader(have) {
			return 0, noRoom(c.RemoteAddr())
		}
	}
	return n, err
}

// holdHeader says how many bytes of a header have come that is not complete, and
// reports whether there is room for them. c may be nil.
func (c *limitedConn) holdHeader(n int64) bool {
	if c == nil || c.budget == nil {
		return true
	}
	n = max(n-freeHeaderBytes, 0)
	if n == c.counted.Load() { // the usual case
		return true
	}
	c.countMu.Lock()
	defer c.countMu.Unlock()
	more := n - c.counted.Load()
	switch {
	case more <= 0:
		c.budget.Add(more)
	case c.closed || !c.budget.Reserve(more):
		return false
	}
	c.counted.Store(n)
	return true
}

// noRoom is the error of reading a header for which there is no room. The server closes
// the connection without a response, as it does after errors of the network; others it
// takes for a malformed request.
func noRoom(client net.Addr) error {
	return &net.OpError{Op: "read", Net: "tcp", Addr: client, Err: buffer.ErrNoRoom}
}

// attach says that an attached server has the connection: it may be closed to make room
// from now on, and its next bytes are those of a header. c may be nil.
func (c *limitedConn) attach() {
	if c != nil {
		c.header.Store(0)
		c.listener.evictable.add(c)
	}
}

// beginRequest says that a request has come which is served. c may be nil.
func (c *limitedConn) beginRequest() {
	if c != nil {
		c.requests.Add(1)
	}
}

// authenticated says that the client has sent a valid key. c may be nil.
func (c *limitedConn) authenticated() {
	if c != nil && !c.keyed.Load() && c.keyed.CompareAndSwap(false, true) {
		c.listener.evictable.authenticated(c)
	}
}

// endRequest says that the response to a request has ended. c may be nil.
func (c *limitedConn) endRequest(now time.Time) {
	if c != nil {
		c.idleSince.Store(now.UnixNano())
		c.requests.Add(-1)
	}
}

// beginHeader says that the next bytes are those of a header. c may be nil.
func (c *limitedConn) beginHeader() {
	if c != nil {
		c.header.Store(0)
	}
}

// endHeader says that the header has been read, and that Read is to count none. c may
// be nil.
func (c *limitedConn) endHeader() {
	if c != nil {
		c.header.Store(noHeader)
		c.holdHeader(0)
	}
}

// Close closes the connection, and makes room for another.
func (c *limitedConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() {
		c.countMu.Lock()
		c.closed = true
		c.countMu.Unlock()
		c.endHeader()
		c.listener.evictable.remove(c)
		c.listener.open.Add(-1)
	})
	return err
}

// CloseWrite closes the sending side, where the connection can.
func (c *limitedConn) CloseWrite() error { return closeWrite(c.Conn) }

// SyscallConn gives access to the descriptor, where the connection has one.
func (c *limitedConn) SyscallConn() (syscall.RawConn, error) {
	if known, ok := c.Conn.(syscall.Conn); ok {
		return known.SyscallConn()
	}
	return nil, errors.ErrUnsupported
}

// closeWrite closes the sending side of a connection, if it can.
func closeWrite(conn net.Conn) error {
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}
