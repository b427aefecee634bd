package upstream

import (
	"net"
	"sync"
	"syscall"
)

// burstBytes is how much of a burst is read at once.
const burstBytes = 16 << 10

// burstConn reads what arrives in a burst with few system calls, although its
// reader has a small buffer: there are as many of those as streams, and most wait.
// Only while a burst is read there is a large one, from a pool.
type burstConn struct {
	net.Conn
	raw   syscall.RawConn
	pool  *sync.Pool // of *burst
	more  bool       // the last read has filled its buffer
	burst *burst     // nil for none
}

// burst is what was read at once of a connection.
type burst struct {
	room   [burstBytes]byte
	unread []byte // of room
	// read reads from a socket into room, without waiting. It is made once.
	read func(fd uintptr) (done bool)
}

// newBurstConn returns c as a burstConn, or as it is where that cannot be.
func newBurstConn(c net.Conn, pool *sync.Pool) net.Conn {
	socket, ok := c.(syscall.Conn)
	if !ok {
		return c
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return c
	}
	return &burstConn{Conn: c, raw: raw, pool: pool}
}

// Read reads the next bytes. One goroutine reads at a time.
func (c *burstConn) Read(p []byte) (int, error) {
	if c.more && c.burst == nil {
		c.readBurst()
	}
	if b := c.burst; b != nil {
		n := copy(p, b.unread)
		if b.unread = b.unread[n:]; len(b.unread) == 0 {
			c.releaseBurst()
		}
		return n, nil
	}
	n, err := c.Conn.Read(p)
	c.more = err == nil && n == len(p) && n > 1
	return n, err
}

// readBurst reads what has arrived, without waiting. Errors are left to the next
// read.
func (c *burstConn) readBurst() {
	b, _ := c.pool.Get().(*burst)
	if b == nil {
		b = new(burst)
		b.read = b.readSocket
	}
	c.burst, b.unread = b, nil
	_ = c.raw.Read(b.read) // the next read returns the error
	c.more = len(b.unread) == burstBytes
	if len(b.unread) == 0 {
		c.releaseBurst()
	}
}

func (c *burstConn) releaseBurst() {
	c.pool.Put(c.burst)
	c.burst = nil
}
