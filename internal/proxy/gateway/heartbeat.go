package gateway

import (
	"cmp"
	"net/http"
	"strings"
	"time"

	"github.com/spillway-ai/spillway/internal/proxy/upstream"
	"github.com/spillway-ai/spillway/internal/proxy/wire"
)

// A heartbeat is a comment in a stream of events, for the client and for what is
// between it and the gateway: load balancers end connections on which nothing is sent.
// Clients ignore comments. The blank line is for clients that look for blank lines
// before they look for comments. It is left out of a stream whose events have ids:
// openai-python takes it for the end of an event there. azure-ai-inference for Python
// rejects comments and ignores blank lines: it gets a blank line alone.
const (
	heartbeat      = ": keep-alive\n\n"
	bareHeartbeat  = ": keep-alive\n"
	blankHeartbeat = "\n"
)

// rejectsComments is in the User-Agent of clients that get blank lines.
const rejectsComments = "azsdk-python-ai-inference/"

// heartbeat is what this client ignores.
func (f *flight) heartbeat() []byte {
	switch {
	case f.blankBeats:
		return []byte(blankHeartbeat)
	case f.eventIDs:
		return []byte(bareHeartbeat)
	}
	return []byte(heartbeat)
}

// allowEarlyHeartbeats lets the client of a stream get heartbeats before its first event,
// and notes which its client ignores.
func (f *flight) allowEarlyHeartbeats() {
	f.blankBeats = strings.Contains(f.r.UserAgent(), rejectsComments)
	if after := f.snap.limits.FirstHeartbeat; f.req.Stream && after > 0 {
		f.earlyBeatAt = f.accepted.Add(after)
	}
}

// sendEarlyHeartbeat sends a heartbeat before the first event; the first one begins the
// response. The flight is not committed by it: another attempt can still be made, and
// what it ends with is an event of the stream. While no attempt is under way, which
// is in the queue, none is sent, so that a refusal keeps its status.
func (f *flight) sendEarlyHeartbeat(now time.Time) error {
	limits := &f.snap.limits
	if len(f.attempts) == 0 {
		f.earlyBeatAt = now.Add(limits.FirstHeartbeat)
		return nil
	}
	f.earlyBeatAt = now.Add(max(limits.Heartbeat, limits.FirstHeartbeat))
	if !f.begunEarly {
		f.beginEarly()
	}
	_, err := f.out.Write(f.heartbeat())
	if err == nil {
		err = f.out.Flush()
	}
	return err
}

// beginEarly begins the response of a stream whose deployment is not known yet: what
// the headers would say of it follows as trailers.
func (f *flight) beginEarly() {
	f.begunEarly = true
	h := f.out.Header()
	h[wire.HeaderContentType] = []string{"text/event-stream; charset=utf-8"}
	h["Cache-Control"] = []string{"no-cache"}
	f.out.Set(wire.HeaderRequestID, f.call.ID)
	f.out.Start(http.StatusOK)
}

// writeErrorEvent ends a stream that has begun with heartbeats alone.
func (f *flight) writeErrorEvent(e wire.Error) {
	if n := len(f.attempts); n > 0 {
		f.setFlightHeaders(f.attempts[n-1])
	}
	if _, err := f.out.Write(wire.AppendStreamError(nil, f.req.API, e)); err == nil {
		_ = f.out.Flush() // f.out reports a disconnected client
	}
}

// errorOf is the error of an attempt whose response is no stream, for a stream that has
// begun with heartbeats alone.
func (f *flight) errorOf(a *upstream.Attempt) wire.Error {
	switch {
	case a.Fault() != nil:
		return faultError(a.Fault())
	case a.Response() == nil:
		return f.interruptedError(a)
	case a.Response().StatusCode < http.StatusBadRequest:
		f.undelivered = true
		return f.ourWords(wire.UnreadableResponse())
	}
	if fault := wire.ScanFault(a.Beginning()); fault != nil && !a.BeginningTruncated() {
		fault.Status = a.Response().StatusCode
		return faultError(fault)
	}
	how, _ := f.readableError(a)
	return f.upstreamError(a, cmp.Or(how, "without a readable error."))
}

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
	_, err := f.out.Write(f.heartbeat())
	if err == nil {
		err = f.out.Flush()
	}
	f.sentAt = f.g.deps.Now()
	return err
}
