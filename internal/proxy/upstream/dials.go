package upstream

import (
	"context"
	"crypto/tls"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

const (
	// maxDials is how many requests may look for a connection at one time.
	maxDials = 4
	// dialWait bounds the wait for that: at an endpoint that accepts no
	// connections every request finds out for itself, and not much later.
	dialWait = 2 * time.Second
)

// dialLimiter bounds how many requests look for a connection to an endpoint at
// one time. A transport by itself dials for every request that finds no room on
// an HTTP/2 connection, and closes what it turns out not to need: a thousand
// requests at once are a thousand TLS handshakes, where ten connections would
// do. With the limit, the others find the connections that were dialed for a
// few. Where connections are not shared there is no limit.
type dialLimiter struct {
	unshared atomic.Bool // the endpoint does not speak HTTP/2
	slots    chan struct{}
}

// newDialLimiter returns the limiter of an endpoint. Without TLS we speak
// HTTP/1.1, and there is nothing to share.
func newDialLimiter(scheme string) *dialLimiter {
	l := &dialLimiter{slots: make(chan struct{}, maxDials)}
	l.unshared.Store(scheme != "https")
	return l
}

// roundTrip sends a request by the transport.
func (l *dialLimiter) roundTrip(transport *http.Transport, req *http.Request) (*http.Response, error) {
	if l.unshared.Load() || !l.acquire(req.Context()) {
		return transport.RoundTrip(req)
	}
	s := &dialSlot{limiter: l}
	if l.unshared.Load() { // learned while waiting
		s.release()
		return transport.RoundTrip(req)
	}
	defer s.release() // unless a connection was found
	ctx := httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{GotConn: s.connected})
	return transport.RoundTrip(req.WithContext(ctx))
}

// acquire waits for a slot, and reports whether there is one to be released.
func (l *dialLimiter) acquire(ctx context.Context) bool {
	select {
	case l.slots <- struct{}{}:
		return true
	default:
	}
	timer := time.NewTimer(dialWait)
	defer timer.Stop()
	select {
	case l.slots <- struct{}{}:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

// dialSlot is one request's slot.
type dialSlot struct {
	limiter  *dialLimiter
	released atomic.Bool
}

// connected ends the search for a connection.
func (s *dialSlot) connected(info httptrace.GotConnInfo) {
	if c, ok := info.Conn.(*tls.Conn); !ok || c.ConnectionState().NegotiatedProtocol != "h2" {
		s.limiter.unshared.Store(true)
	}
	s.release()
}

// release gives the slot back, once.
func (s *dialSlot) release() {
	if s.released.CompareAndSwap(false, true) {
		<-s.limiter.slots
	}
}
