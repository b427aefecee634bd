package gateway

import (
	"context"
	"crypto/tls"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

const (
	// gateWidth is how many requests may look for a connection at one time.
	gateWidth = 4
	// gatePatience bounds the wait for that: at an endpoint which takes no
	// connections every request learns so for itself, and not much later.
	gatePatience = 2 * time.Second
)

// gate leads requests to the connections of an endpoint. Of itself the transport
// dials for every request that finds no room on an HTTP/2 connection, and
// closes what it turns out not to need: a thousand requests at once are a
// thousand TLS handshakes, where ten connections would do. So only a few at a
// time may look for a connection; the others find the one that was dialled for
// those. Where connections are not shared, everybody passes.
type gate struct {
	apart atomic.Bool // the endpoint does not speak HTTP/2
	slots chan struct{}
}

// newGate returns the gate of an endpoint. Without TLS we speak HTTP/1.1, and
// there is nothing to share.
func newGate(scheme string) *gate {
	g := &gate{slots: make(chan struct{}, gateWidth)}
	g.apart.Store(scheme != "https")
	return g
}

// roundTrip sends a request by the transport.
func (g *gate) roundTrip(transport *http.Transport, req *http.Request) (*http.Response, error) {
	if g.apart.Load() || !g.enter(req.Context()) {
		return transport.RoundTrip(req)
	}
	p := &passage{gate: g}
	if g.apart.Load() { // that has turned out meanwhile
		p.leave()
		return transport.RoundTrip(req)
	}
	defer p.leave() // unless a connection was found
	ctx := httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{GotConn: p.connected})
	return transport.RoundTrip(req.WithContext(ctx))
}

// enter waits for a slot, and reports whether there is one to be left.
func (g *gate) enter(ctx context.Context) bool {
	select {
	case g.slots <- struct{}{}:
		return true
	default:
	}
	timer := time.NewTimer(gatePatience)
	defer timer.Stop()
	select {
	case g.slots <- struct{}{}:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

// passage is one request's slot.
type passage struct {
	gate *gate
	left atomic.Bool
}

// connected ends the search.
func (p *passage) connected(info httptrace.GotConnInfo) {
	if c, ok := info.Conn.(*tls.Conn); !ok || c.ConnectionState().NegotiatedProtocol != "h2" {
		p.gate.apart.Store(true)
	}
	p.leave()
}

func (p *passage) leave() {
	if p.left.CompareAndSwap(false, true) {
		<-p.gate.slots
	}
}
