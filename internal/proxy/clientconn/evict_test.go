package clientconn

import (
	"net"
	"net/netip"
	"testing"
	"time"
)

// fakeConn is a connection of a client with an address.
type fakeConn struct {
	net.Conn
	from string
}

func (c *fakeConn) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(c.from))
}

func (c *fakeConn) Close() error { return nil }

// limited returns a listener within a limit and a function that opens connections on it
// without the network.
func limited(most int) (*limitedListener, func(from string) *limitedConn) {
	l := Limit(nil, LimitOptions{Max: most}).(*limitedListener)
	return l, func(from string) *limitedConn {
		conn := &fakeConn{from: from}
		if !l.enter(conn.RemoteAddr()) {
			return nil
		}
		c := &limitedConn{Conn: conn, listener: l}
		c.attach()
		c.openedAt = time.Now().Add(-settling)
		return c
	}
}

// closed reports whether c is closed.
func closed(c *limitedConn) bool {
	c.countMu.Lock()
	defer c.countMu.Unlock()
	return c.closed
}

// TestEvict opens connections and then one more than the limit: the expected one is closed
// for it.
func TestEvict(t *testing.T) {
	now := time.Now()
	tests := map[string]struct {
		from   []string
		change func(conns []*limitedConn)
		want   int // the index of the connection that is closed, -1 for none
	}{
		"the oldest": {[]string{"10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"}, nil, 0},
		"of the address with the most": {
			[]string{"10.0.0.1:1", "10.0.0.2:1", "10.0.0.2:2"}, nil, 1,
		},
		"an IPv6 network is one client": {
			[]string{"10.0.0.1:1", "[2001:db8::1]:1", "[2001:db8::ffff]:1"}, nil, 1,
		},
		"other networks are others": {
			[]string{"[2001:db8:0:1::1]:1", "[2001:db8:0:2::1]:1", "[2001:db8:0:3::1]:1"}, nil, 0,
		},
		"an IPv4 client by IPv6 is the same": {
			[]string{"10.0.0.1:1", "10.0.0.2:1", "[::ffff:10.0.0.2]:2"}, nil, 1,
		},
		"not one with a request": {
			[]string{"10.0.0.1:1", "10.0.0.1:2", "10.0.0.1:3"},
			func(conns []*limitedConn) { conns[0].beginRequest() }, 1,
		},
		"not one with a request, although its address has the most": {
			[]string{"10.0.0.1:1", "10.0.0.1:2", "10.0.0.2:1"},
			func(conns []*limitedConn) { conns[0].beginRequest(); conns[1].beginRequest() }, 2,
		},
		"requests without a key do not make it younger": {
			[]string{"10.0.0.1:1", "10.0.0.1:2", "10.0.0.1:3"},
			func(conns []*limitedConn) { conns[0].beginRequest(); conns[0].endRequest(now) }, 0,
		},
		"not one with a key": {
			[]string{"10.0.0.1:1", "10.0.0.2:1", "10.0.0.1:2"},
			func(conns []*limitedConn) { serve(conns[0], now); serve(conns[2], now) }, 1,
		},
		"idle ones with a key": {
			[]string{"10.0.0.1:1", "10.0.0.1:2", "10.0.0.1:3"},
			func(conns []*limitedConn) {
				serve(conns[0], now)
				serve(conns[1], now.Add(-keptIdle-time.Second))
				conns[2].authenticated()
				conns[2].beginRequest()
			}, 1,
		},
		"none": {
			[]string{"10.0.0.1:1", "10.0.0.1:2", "10.0.0.1:3"},
			func(conns []*limitedConn) {
				for _, c := range conns {
					serve(c, now)
				}
			}, -1,
		},
		"not settling ones, for an address that has as many": {
			[]string{"10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"}, settle, -1,
		},
		"nor for one that would have as many": {
			[]string{"10.9.9.9:8", "10.0.0.2:1", "10.0.0.2:2"}, settle, -1,
		},
		"a settling one, for an address that has fewer": {
			[]string{"10.0.0.1:1", "10.0.0.2:1", "10.0.0.2:2"}, settle, 1,
		},
		"a settling one, because the older has a request": {
			[]string{"10.0.0.1:1", "10.0.0.1:2", "10.0.0.2:1"},
			func(conns []*limitedConn) { conns[0].beginRequest(); settle(conns[1:]) }, 1,
		},
		"one that was closed": {
			[]string{"10.0.0.1:1", "10.0.0.1:2", "10.0.0.1:3"},
			func(conns []*limitedConn) { conns[1].Close(); conns[1].authenticated() }, 1,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, open := limited(len(tt.from))
			var conns []*limitedConn
			for _, from := range tt.from {
				conns = append(conns, open(from))
			}
			if tt.change != nil {
				tt.change(conns)
			}
			if opened := open("10.9.9.9:1") != nil; opened != (tt.want >= 0) {
				t.Errorf("opened a further one: %v", opened)
			}
			for i, c := range conns {
				if closed(c) != (i == tt.want) {
					t.Errorf("connection %d closed: %v", i, closed(c))
				}
			}
		})
	}
}

// settle has connections be new.
func settle(conns []*limitedConn) {
	for _, c := range conns {
		c.openedAt = time.Now().Add(time.Minute) // however slow the test is
	}
}

// serve is a request with a key that has ended.
func serve(c *limitedConn, end time.Time) {
	c.beginRequest()
	c.authenticated()
	c.endRequest(end)
}

// TestEvictCounts opens and closes connections of several clients, and compares what is
// known of them with what is open.
func TestEvictCounts(t *testing.T) {
	const most, opened = 40, 1000
	l, open := limited(most)
	var conns []*limitedConn
	for i := range opened {
		c := open(netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i % 7 * (i % 3))}), uint16(i)).String())
		if c == nil {
			t.Fatalf("no room for connection %d", i)
		}
		conns = append(conns, c)
		if i%97 == 0 {
			serve(c, time.Now())
		}
		if i%5 == 0 {
			conns[i/2].Close()
			conns[i/2].Close() // has no further effect
		}
		keyless, keyed := 0, 0
		for at, a := range l.evictable.keyless {
			keyless += a.conns.Len()
			if a.index != at || l.evictable.byAddr[a.addr] != a {
				t.Fatalf("address %v is not where it says", a.addr)
			}
			if parent := (at - 1) / 2; at > 0 && l.evictable.keyless.Less(at, parent) {
				t.Fatalf("address %v is out of order", a.addr)
			}
		}
		keyed = len(l.evictable.keyed)
		if n := int(l.open.Load()); n > most || n != keyless+keyed || len(l.evictable.byAddr) != len(l.evictable.keyless) {
			t.Fatalf("%d open, of which %d without a key and %d with one", n, keyless, keyed)
		}
	}
	for _, c := range conns {
		c.Close()
	}
	if l.open.Load() != 0 || len(l.evictable.keyless)+len(l.evictable.byAddr)+len(l.evictable.keyed) != 0 {
		t.Errorf("%d open and %d known afterwards", l.open.Load(), len(l.evictable.keyed)+len(l.evictable.byAddr))
	}
}
