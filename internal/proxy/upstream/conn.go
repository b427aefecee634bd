package upstream

import (
	"crypto/tls"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// sameAge is how much later than a connection that failed another may have been
// opened, and still count as equally old: a burst opens many at about one time.
const sameAge = time.Second

// origin is what the connections to one address have in common.
type origin struct {
	// suspectUntil is before when connections were opened that are not used again;
	// nil for none.
	suspectUntil atomic.Pointer[time.Time]
}

// conn is a connection to a deployment.
type conn struct {
	net.Conn
	origin *origin
	opened time.Time
	// protocol is what the first request found; see shared.
	protocol atomic.Int32
	// requests is how many are under way on a shared connection, or about retired.
	requests  atomic.Int32
	closed    chan struct{} // closed by Close
	closeOnce sync.Once
}

// Close closes the connection.
func (c *conn) Close() error {
	err := c.Conn.Close()
	c.closeOnce.Do(func() { close(c.closed) })
	return err
}

// suspect reports whether the connection is as old as one that has failed.
func (c *conn) suspect() bool {
	until := c.origin.suspectUntil.Load()
	return until != nil && c.opened.Before(*until)
}

// condemn makes connections to the same address suspect that are as old as this
// one: what has broken it may have broken them, and not those to come.
func (c *conn) condemn() {
	until := c.opened.Add(sameAge)
	if now := time.Now(); now.Before(until) {
		until = now
	}
	for {
		before := c.origin.suspectUntil.Load()
		if before != nil && !before.Before(until) || c.origin.suspectUntil.CompareAndSwap(before, &until) {
			return
		}
	}
}

// The protocols of a connection.
const (
	protocolUnknown int32 = iota
	protocolHTTP1
	protocolHTTP2
)

// negotiate notes which protocol was negotiated on the connection, of which nc is
// the outermost layer.
func (c *conn) negotiate(nc net.Conn) {
	if c.protocol.Load() != protocolUnknown {
		return
	}
	protocol := protocolHTTP1
	if secure, ok := nc.(*tls.Conn); ok && secure.ConnectionState().NegotiatedProtocol == "h2" {
		protocol = protocolHTTP2
	}
	c.protocol.Store(protocol)
}

// shared reports whether requests share the connection: it speaks HTTP/2.
func (c *conn) shared() bool { return c.protocol.Load() == protocolHTTP2 }

// retired is the number of requests of a shared connection that takes no more. It
// is far from what counting can reach.
const retired = -1 << 30

// beginRequest begins one request's use of the connection. It reports false if the
// connection is closed before use: because it is unwanted, and no other request is
// under way on it.
func (c *conn) beginRequest(unwanted bool) bool {
	if !c.shared() {
		if unwanted {
			c.Close()
		}
		return !unwanted
	}
	if unwanted && c.requests.CompareAndSwap(0, retired) {
		c.Close()
		return false
	}
	return c.requests.Add(1) > 0
}

// finishRequest ends one request's use of the connection, which may be nil.
func (c *conn) finishRequest() {
	if c != nil && c.shared() {
		c.requests.Add(-1)
	}
}

// closesWithin reports whether the connection is closed, or is within d.
func (c *conn) closesWithin(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-c.closed:
		return true
	case <-timer.C:
		return false
	}
}

// ownConn returns our connection below the layers of TLS, or nil.
func ownConn(nc net.Conn) *conn {
	for {
		secure, ok := nc.(*tls.Conn)
		if !ok {
			break
		}
		nc = secure.NetConn()
	}
	c, _ := nc.(*conn)
	return c
}
