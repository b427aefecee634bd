package clientconn

import (
	"io"
	"net"
)

// readAheadConn is a connection that goes back to the server, with what was
// read of the client's next request.
type readAheadConn struct {
	net.Conn
	ahead []byte
}

// Read reads what was read before, and then from the connection.
func (c *readAheadConn) Read(p []byte) (int, error) {
	if len(c.ahead) == 0 {
		return c.Conn.Read(p)
	}
	n := copy(p, c.ahead)
	c.ahead = c.ahead[n:]
	return n, nil
}

// CloseWrite closes the sending side, where the connection can.
func (c *readAheadConn) CloseWrite() error { return closeWrite(c.Conn) }

func closeWrite(conn net.Conn) error {
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// oneConnListener is a listener with one connection to accept.
type oneConnListener struct {
	conn net.Conn // nil once accepted
	addr net.Addr
}

// Accept returns the connection the first time, and then io.EOF.
func (l *oneConnListener) Accept() (net.Conn, error) {
	if l.conn == nil {
		return nil, io.EOF
	}
	conn := l.conn
	l.conn = nil
	return conn, nil
}

// Close does nothing.
func (l *oneConnListener) Close() error { return nil }

// Addr returns the local address.
func (l *oneConnListener) Addr() net.Addr { return l.addr }
