package clientconn

import (
	"context"
	"sync"
)

// InFlight counts the requests in flight, detached or not, so that a shutdown
// can wait for them. The zero value is ready for use. It is safe for concurrent
// use.
type InFlight struct {
	mu    sync.Mutex
	count int
	empty chan struct{} // closed when n becomes 0; nil without a waiter
}

// Enter adds a request, unless limit are in flight already.
func (f *InFlight) Enter(limit int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.count >= limit {
		return false
	}
	f.count++
	return true
}

// Leave ends what Enter has begun.
func (f *InFlight) Leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.count--
	if f.count == 0 && f.empty != nil {
		close(f.empty)
		f.empty = nil
	}
}

// Count returns how many requests are in flight.
func (f *InFlight) Count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.count
}

// Wait waits until no request is in flight, or returns the cause of the end of
// ctx.
func (f *InFlight) Wait(ctx context.Context) error {
	f.mu.Lock()
	if f.count == 0 {
		f.mu.Unlock()
		return nil
	}
	if f.empty == nil {
		f.empty = make(chan struct{})
	}
	empty := f.empty
	f.mu.Unlock()
	select {
	case <-empty:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
