package clientconn

import (
	"container/heap"
	"container/list"
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	// settling is how long a new connection has to send a key before another may take its
	// place: within a burst of new connections, those that came first are served.
	settling = 250 * time.Millisecond
	// keptIdle is how long a connection whose client has sent a valid key may be idle
	// while the listener is at its limit.
	keptIdle = 10 * time.Second
	// sweepInterval is how often those are looked for.
	sweepInterval = time.Second
	// maxLooks bounds how many connections are looked at to find one to close.
	maxLooks = 256
)

// evictable are the open connections of a listener, in the order in which they are
// closed at its limit:
//
//  1. Those whose clients have sent no valid key. The address with the most of them
//     comes first, so that one that floods closes its own, and then the oldest. One that
//     is still settling is closed only for an address that has fewer. What such a client
//     sends does not make its connection younger: neither silent nor slow clients keep
//     others out.
//  2. Those with a key that have been idle for keptIdle.
//
// A connection is never closed while a request is under way on it that is served with a
// key, or without one where that is allowed. It is safe for concurrent use.
type evictable struct {
	mu      sync.Mutex
	keyless addressHeap
	byAddr  map[netip.Prefix]*addressConns
	keyed   map[*limitedConn]struct{}
	opened  uint64 // connections so far
	sweptAt time.Time
}

// newEvictable returns one without connections.
func newEvictable() *evictable {
	return &evictable{byAddr: make(map[netip.Prefix]*addressConns), keyed: make(map[*limitedConn]struct{})}
}

// addressConns are the connections of one address whose clients have sent no valid key.
type addressConns struct {
	addr  netip.Prefix
	conns list.List // of *limitedConn, oldest first
	index int       // in the heap
}

// oldest is the number of the address's oldest connection.
func (a *addressConns) oldest() uint64 { return a.conns.Front().Value.(*limitedConn).number }

// add adds a connection whose client has sent nothing yet.
func (e *evictable) add(c *limitedConn) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.opened++
	c.number = e.opened
	c.openedAt = time.Now()
	addr := clientPrefix(c.RemoteAddr())
	a := e.byAddr[addr]
	if a == nil {
		a = &addressConns{addr: addr}
		e.byAddr[addr] = a
		c.inAddress, c.address = a.conns.PushBack(c), a
		heap.Push(&e.keyless, a)
		return
	}
	c.inAddress, c.address = a.conns.PushBack(c), a
	heap.Fix(&e.keyless, a.index)
}

// authenticated says that the client of c has sent a valid key.
func (e *evictable) authenticated(c *limitedConn) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.removeKeyless(c) {
		e.keyed[c] = struct{}{}
	}
}

// remove forgets a connection.
func (e *evictable) remove(c *limitedConn) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.removeKeyless(c)
	delete(e.keyed, c)
}

// removeKeyless reports whether c was among the connections without a key.
func (e *evictable) removeKeyless(c *limitedConn) bool {
	a := c.address
	if a == nil {
		return false
	}
	a.conns.Remove(c.inAddress)
	c.address, c.inAddress = nil, nil
	if a.conns.Len() > 0 {
		heap.Fix(&e.keyless, a.index)
		return true
	}
	heap.Remove(&e.keyless, a.index)
	delete(e.byAddr, a.addr)
	return true
}

// evict closes connections so that another one, of the client at an address, has room,
// and returns how many.
func (e *evictable) evict(client net.Addr, now time.Time) int {
	closing := e.choose(clientPrefix(client), now)
	for _, c := range closing {
		c.Close()
	}
	return len(closing)
}

// choose returns the connections to close: one without a key, or else every idle one.
func (e *evictable) choose(client netip.Prefix, now time.Time) []*limitedConn {
	e.mu.Lock()
	defer e.mu.Unlock()
	looks, would := 0, 1 // connections that the client would have
	if a := e.byAddr[client]; a != nil {
		would += a.conns.Len()
	}
	for _, a := range e.keyless { // the first has the most connections
		for at := a.conns.Front(); at != nil && looks < maxLooks; at = at.Next() {
			looks++
			c := at.Value.(*limitedConn)
			if now.Sub(c.openedAt) < settling && would >= a.conns.Len() {
				break // those that follow are younger
			}
			if c.requests.Load() == 0 {
				return []*limitedConn{c}
			}
		}
	}
	if now.Sub(e.sweptAt) < sweepInterval {
		return nil
	}
	e.sweptAt = now
	var idle []*limitedConn
	for c := range e.keyed {
		if c.requests.Load() == 0 && now.UnixNano()-c.idleSince.Load() > int64(keptIdle) {
			idle = append(idle, c)
		}
	}
	return idle
}

// clientPrefix is what the connections of one client have in common: its address, and
// of IPv6 the network of 64 bits, in which it has any number of addresses.
func clientPrefix(addr net.Addr) netip.Prefix {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	ip := tcp.AddrPort().Addr().Unmap().WithZone("")
	bits := min(ip.BitLen(), 64)
	prefix, _ := ip.Prefix(bits) // fails for an invalid address, of a connection that is closed
	return prefix
}

// addressHeap has first the address with the most connections, and among equals the one
// with the oldest.
type addressHeap []*addressConns

func (h addressHeap) Len() int { return len(h) }

func (h addressHeap) Less(i, j int) bool {
	if a, b := h[i].conns.Len(), h[j].conns.Len(); a != b {
		return a > b
	}
	return h[i].oldest() < h[j].oldest()
}

func (h addressHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push adds an address; container/heap calls it.
func (h *addressHeap) Push(x any) {
	a := x.(*addressConns)
	a.index = len(*h)
	*h = append(*h, a)
}

// Pop removes the last address; container/heap calls it.
func (h *addressHeap) Pop() any {
	last := len(*h) - 1
	a := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return a
}
