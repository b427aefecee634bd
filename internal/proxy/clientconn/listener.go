package clientconn

import (
	"crypto/tls"
	"io"
	"net"
)

// Serve serves the connections that l accepts, over TLS if the server has a TLS
// configuration, until the server is shut down. Unlike the server's own Serve and
// ServeTLS, it notices every departure of a client and bounds the control frames of
// HTTP/2 clients.
func (c *Conns) Serve(l net.Listener) error { return c.serve(l, c.tls) }

// serve serves the connections that l accepts, over TLS if config is not nil. The
// server gets them decrypted, as sockets: what it would take as TLS, a *tls.Conn,
// lets nobody see the frames inside. So it needs UnencryptedHTTP2 for HTTP/2.
func (c *Conns) serve(l net.Listener, config *tls.Config) error {
	if config != nil {
		config = config.Clone()
		config.NextProtos = []string{"h2", "http/1.1"}
	}
	return c.server.Serve(&socketListener{Listener: l, conns: c, tls: config})
}

// socketListener accepts connections as sockets.
type socketListener struct {
	net.Listener
	conns *Conns
	tls   *tls.Config // nil without TLS
}

// Accept returns the next connection. Its first Read does the TLS handshake, so
// that no client delays another.
func (l *socketListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if l.tls != nil {
		conn = tls.Server(conn, l.tls)
	}
	return newSocket(conn, l.conns), nil
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
