package clientconn

import (
	"crypto/tls"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// refusalWait is how long a connection beyond the limit waits while as many as may
	// be are being answered. Then it is closed without a response: those clients are
	// silent.
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
	// Refusal is the whole HTTP/1.1 response to a connection beyond Max.
	Refusal []byte
	TLS     *tls.Config // of the server; nil without TLS
	// Refused is called for each such connection, in one goroutine; nil is not called.
	Refused func()
}

// Limit returns a listener that accepts every connection of l and returns at most
// options.Max at one time. It answers further ones itself and closes them, so that
// they do not wait in the queue of the listener. A connection counts until it is closed, whoever holds it.
func Limit(l net.Listener, options LimitOptions) net.Listener {
	if options.TLS != nil {
		options.TLS = options.TLS.Clone()
		options.TLS.NextProtos = []string{"http/1.1"} // which Refusal is
	}
	return &limitedListener{Listener: l, options: options, refusing: make(chan struct{}, options.Refusals)}
}

// limitedListener is the listener of Limit.
type limitedListener struct {
	net.Listener
	options  LimitOptions
	open     atomic.Int64  // connections that were returned
	refusing chan struct{} // one for each that is being answered
}

// Accept returns the next connection within the limit.
func (l *limitedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.open.Add(1) <= int64(l.options.Max) {
			return &limitedConn{Conn: conn, open: &l.open}, nil
		}
		l.open.Add(-1)
		if l.options.Refused != nil {
			l.options.Refused()
		}
		select {
		case l.refusing <- struct{}{}:
			go l.refuse(conn)
		case <-time.After(refusalWait):
			conn.Close()
		}
	}
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
	if _, err := speak.Write(l.options.Refusal); err != nil || closeWrite(speak) != nil {
		return
	}
	// Closing with unread bytes would lose the response.
	for {
		if _, err := conn.Read(room[:]); err != nil {
			return
		}
	}
}

// limitedConn is a connection that counts until it is closed.
type limitedConn struct {
	net.Conn
	open *atomic.Int64
	once sync.Once
}

// Close closes the connection, and makes room for another.
func (c *limitedConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() { c.open.Add(-1) })
	return err
}

// CloseWrite closes the sending side, where the connection can.
func (c *limitedConn) CloseWrite() error { return closeWrite(c.Conn) }
