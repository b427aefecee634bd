package upstream

import (
	"context"
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
	wait     time.Duration
}

// newDialLimiter returns the limiter of an endpoint whose connections may take so
// long to open. Without TLS we speak HTTP/1.1, and there is nothing to share.
func newDialLimiter(scheme string, dialTimeout time.Duration) *dialLimiter {
	l := &dialLimiter{slots: make(chan struct{}, maxDials), wait: min(dialWait, dialTimeout)}
	l.unshared.Store(scheme != "https")
	return l
}

// reserve waits for a slot, where there is a limit, and returns it.
func (l *dialLimiter) reserve(ctx context.Context, s *dialSlot) {
	if l.unshared.Load() || !l.acquire(ctx) {
		return
	}
	s.limiter = l
	if l.unshared.Load() { // learned while waiting
		s.release()
	}
}

// acquire waits for a slot, and reports whether there is one to be released.
func (l *dialLimiter) acquire(ctx context.Context) bool {
	select {
	case l.slots <- struct{}{}:
		return true
	default:
	}
	timer := time.NewTimer(l.wait)
	defer timer.Stop()
	select {
	case l.slots <- struct{}{}:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

// dialSlot is one request's slot, or none. One goroutine uses it at a time.
type dialSlot struct{ limiter *dialLimiter }

// release gives the slot back, once.
func (s *dialSlot) release() {
	if s.limiter != nil {
		<-s.limiter.slots
		s.limiter = nil
	}
}
