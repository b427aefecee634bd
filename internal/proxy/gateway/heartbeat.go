package gateway

import (
	"time"

	"github.com/spillway-ai/spillway/internal/proxy/upstream"
)

// A heartbeat is a comment in a stream of events, for the client and for what is
// between it and the gateway: load balancers end connections on which nothing is sent.
// Clients ignore comments. The blank line is for clients that look for blank lines
// before they look for comments. It is left out of a stream whose events have ids:
// openai-python takes it for the end of an event there.
const (
	heartbeat     = ": keep-alive\n\n"
	bareHeartbeat = ": keep-alive\n"
)

// allowHeartbeats lets heartbeats be sent from now on. The response has begun, and the
// handler writes only whole events.
func (f *flight) allowHeartbeats(a *upstream.Attempt) {
	f.sending.Lock()
	defer f.sending.Unlock()
	f.sentAt, f.eventIDs = f.g.deps.Now(), a.HasEventIDs()
}

// claimHeartbeat reports whether a heartbeat is due, and when to look again. If one is
// due, the caller must call sendHeartbeat.
func (f *flight) claimHeartbeat(now time.Time) (next time.Time, due bool) {
	every := f.snap.limits.Heartbeat
	if !f.sending.TryLock() {
		return now.Add(every), false // an event is being sent
	}
	if next = f.sentAt.Add(every); f.sentAt.IsZero() || now.Before(next) {
		defer f.sending.Unlock()
		if f.sentAt.IsZero() {
			next = now.Add(every)
		}
		return next, false
	}
	return now.Add(every), true
}

// sendHeartbeat sends the heartbeat that claimHeartbeat has claimed. An error means that
// the client is gone.
func (f *flight) sendHeartbeat() error {
	defer f.sending.Unlock()
	beat := heartbeat
	if f.eventIDs {
		beat = bareHeartbeat
	}
	_, err := f.out.Write([]byte(beat))
	if err == nil {
		err = f.out.Flush()
	}
	f.sentAt = f.g.deps.Now()
	return err
}
