package gateway

import (
	"cmp"
	"net/http"
	"sync"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/policy"
	"github.com/spillway-ai/spillway/internal/proxy/buffer"
	"github.com/spillway-ai/spillway/internal/proxy/clientconn"
	"github.com/spillway-ai/spillway/internal/proxy/upstream"
)

// flight is one request in flight. Its handler's goroutine owns it, except
// where a field says otherwise.
type flight struct {
	out clientconn.Conn
	// sending is held while an event or a heartbeat is sent to a client.
	sending  sync.Mutex
	sentAt   time.Time // of the last one; guarded by sending, zero while no heartbeat may be sent
	eventIDs bool      // the events that were sent have ids; guarded by sending

	call upstream.Call // the request: what attempts are sent. Its context ends when the client leaves or the gateway ends
	g    *Gateway
	snap *snapshot
	r    *http.Request // nil once the server has done its part

	accepted time.Time
	req      spillway.Request
	body     *buffer.Buffer // nil without a body, and once nothing can be sent again

	pool *pool
	core *policy.Flight // guarded by pool.mu

	// What the core returned last. setStep sets them under pool.mu.
	actions    []action
	actionRoom [1]action
	wakeAt     time.Time
	decision   decision

	attempts  []*upstream.Attempt // attempts[i] is attempt i+1
	wakeNow   chan struct{}       // holds a token when the engine wants the flight woken
	wakeTimer wakeTimer

	// earlyBeatAt is when the client of a stream gets a heartbeat although no event has
	// come; zero means never.
	earlyBeatAt time.Time
	begunEarly  bool // the response of a stream has begun, with heartbeats alone
	blankBeats  bool // its client rejects comments
	undelivered bool // the client did not get a response that the core takes for complete

	forwarded     *upstream.Attempt // the committed attempt
	responseBegun bool              // its response has begun
	settled       bool
	aborted       bool // the response cannot be ended validly
	// includesUsage is what the ask says of the response.
	includesUsage bool
	storedID      string          // of the object that the request refers to; "" for none
	verdict       spillway.Action // the settle
}

// decision is what the headers of a response say of the core's decisions.
type decision struct {
	spill       spillway.SpillReason
	truncated   spillway.Truncation
	grantTokens int // output tokens; 0 when no limit was sent
	queue       time.Duration
	ttft        time.Duration
}

// action is one of the core's, and where a send goes.
type action struct {
	spillway.Action
	to *upstream.Deployment
}

// run drives the flight from Begin to Settle. The response of a flight that was
// not committed is still to be written. It reports whether the flight was
// detached: then it is not settled, and serveDetached is the rest of it.
func (f *flight) run() (detached bool) {
	f.wakeNow = make(chan struct{}, 1)
	f.prepareCall()
	f.allowEarlyHeartbeats()
	f.pool.begin(f)
	f.perform()
	for !f.settled {
		a := f.forwarded
		if a == nil || f.responseBegun {
			f.wait()
			continue
		}
		err := f.beginResponse(a)
		if err == nil && f.detach(a) {
			return true
		}
		f.forward(a, err)
	}
	return false
}

// prepareCall completes what attempts are sent.
func (f *flight) prepareCall() {
	c := &f.call
	c.Settings, c.Method, c.Header, c.RawQuery = f.snap.calls, f.r.Method, f.r.Header, f.r.URL.RawQuery
	c.API, c.Stream, c.Choices, c.Hops = f.req.API, f.req.Stream, c.Ask.Choices, f.req.Hops
	c.SilenceTimeout = cmp.Or(f.req.Class.SilenceTimeout, policy.DefaultSilenceTimeout)
	c.Idempotent = f.r.Method == http.MethodGet || f.r.Method == http.MethodHead
}

// setStep copies what the core returned. pool.mu is held.
func (f *flight) setStep(step spillway.Step) {
	f.actions = f.actionRoom[:0]
	for _, act := range step.Actions {
		next := action{Action: act}
		switch act.Kind {
		case spillway.ActionSend:
			next.to = f.pool.deployments[act.Deployment]
		case spillway.ActionForward, spillway.ActionSettle:
			rec := f.core.Record()
			f.decision = decision{rec.Spill, rec.Truncated, rec.GrantTokens, rec.Queue, rec.TTFT}
		}
		f.actions = append(f.actions, next)
	}
	f.wakeAt = step.WakeAt
}

// handle reports an event to the core and performs the actions it returns.
func (f *flight) handle(ev spillway.Event) {
	if f.settled {
		return
	}
	f.pool.on(f, ev)
	f.perform()
}

// perform performs the actions that the core returned last. It does not block:
// attempts run in goroutines of their own.
func (f *flight) perform() {
	for i := range f.actions {
		act := &f.actions[i]
		switch act.Kind {
		case spillway.ActionSend:
			f.attempts = append(f.attempts, f.call.Start(upstream.Send{
				Number: act.Attempt, Deployment: act.to, Grant: act.Grant, Stream: act.Stream, Body: f.body,
			}))
		case spillway.ActionForward:
			f.forwarded = f.attempt(act.Attempt)
			f.dropBody()
		case spillway.ActionCancel:
			f.attempt(act.Attempt).Cancel()
		case spillway.ActionCut:
			f.attempt(act.Attempt).Cut()
		case spillway.ActionSettle:
			f.settled, f.verdict = true, act.Action
		}
	}
	f.actions = f.actionRoom[:0]
}

func (f *flight) attempt(number int) *upstream.Attempt { return f.attempts[number-1] }

// wait waits for the next event and handles it.
func (f *flight) wait() {
	var alarm <-chan time.Time
	if at := earlier(f.wakeAt, f.earlyBeatAt); !at.IsZero() {
		timer := time.NewTimer(at.Sub(f.g.deps.Now()))
		defer timer.Stop()
		alarm = timer.C
	}
	select {
	case r := <-f.call.Reports():
		f.onReport(r)
	case <-f.wakeNow:
		f.onWake()
	case <-alarm:
		f.onAlarm()
	case <-f.call.Context.Done():
		f.onContextDone()
	}
}

// onReport handles an attempt's event. It ignores failures of attempts that it
// canceled, and failures that a disconnected client has caused.
func (f *flight) onReport(r upstream.Report) {
	switch {
	case r.Panic != nil:
		panic(r.Panic)
	case f.call.Context.Err() != nil:
		f.onContextDone()
	case !f.attempt(r.Event.Attempt).Canceled():
		f.handle(*r.Event)
	}
}

// earlier returns the earlier of two instants; zero means never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// onAlarm does what is due: a heartbeat, and what the core wants to be woken for.
func (f *flight) onAlarm() {
	now := f.g.deps.Now()
	if !f.earlyBeatAt.IsZero() && !now.Before(f.earlyBeatAt) && f.sendEarlyHeartbeat(now) != nil {
		f.onClientGone()
		return
	}
	if !f.wakeAt.IsZero() && !now.Before(f.wakeAt) {
		f.onWake()
	}
}

// onWake handles what is known already, then the progress of what is under way,
// and then the wake-up: a complete response is not cut because its report and the
// deadline came together.
func (f *flight) onWake() {
	for pending := true; pending && !f.settled && f.forwarded == nil; {
		select {
		case r := <-f.call.Reports():
			f.onReport(r)
		default:
			pending = false
		}
	}
	if f.forwarded != nil && !f.responseBegun {
		return // it was committed just now; its wake timer handles wake-ups
	}
	f.reportProgress()
	f.handle(spillway.Event{Kind: spillway.EventWake})
}

// reportProgress reports how many tokens the attempts have received.
func (f *flight) reportProgress() {
	for _, a := range f.attempts {
		if ev, more := a.Progress(); more {
			f.handle(ev)
		}
	}
}

// requestWake asks for a wake-up as soon as possible. pool.mu is held.
func (f *flight) requestWake() {
	if f.wakeTimer.active {
		f.wakeTimer.fireNow()
		return
	}
	select {
	case f.wakeNow <- struct{}{}:
	default:
	}
}

// dropBody releases the request's body: no further attempt will be sent.
func (f *flight) dropBody() {
	f.body.Release()
	f.body = nil
}

// stopAttempts ends whatever the flight has started and waits for it.
func (f *flight) stopAttempts() {
	for _, a := range f.attempts {
		if !a.Complete() {
			a.Cancel()
		}
	}
	f.call.Wait()
	for _, a := range f.attempts {
		a.Close()
	}
	f.dropBody()
}
