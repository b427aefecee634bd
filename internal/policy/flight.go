package policy

import (
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/policy/breaker"
	"github.com/spillway-ai/spillway/internal/policy/budget"
	"github.com/spillway-ai/spillway/internal/policy/length"
)

// Flight is one request's life in the core, from Begin to Release. It is not
// safe for concurrent use: its engine's lock covers it. There is one for each
// open stream, so it holds what most of them need without a further allocation.
type Flight struct {
	// Driver is for the driver's use.
	Driver any

	engine *Engine
	req    *spillway.Request
	n      int // attempts made
	live   int // attempts under way

	committed  bool
	settled    bool
	woken      bool // in the engine's ready list
	queued     bool
	evicted    bool // lost its place in the queue
	queueFull  bool // the queue had no place for it
	tooSlow    bool // a deployment had capacity, but is too slow
	probed     bool // waits for a probe, since every deployment is broken
	lastResort bool // also choose deployments whose breaker is open
	avoids     bool // leaves out deployments that are silent
	trusting   bool // also choose those
	held       bool // waits because requests like it were refused
	paid       bool // for a retry, which pays back if it succeeds
	blamed     bool // one of its failures counts against a deployment
	perRead    bool // the deadline is the client's timeout of one read
	retrying   bool // deployments that failed this flight may be tried again, from backoffUntil on
	backingOff bool // waits until readyAt for that

	first  attempt
	others []*attempt // those made after the first, then zero ones to reuse
	last   *attempt   // the last one that failed; nil before any did

	accepted time.Time
	deadline time.Time // when the last byte is due; zero means none
	cutAt    time.Time // deadline less the reply margin; zero means none
	hedgeAt  time.Time

	prompt  int // estimated tokens
	lengths length.Source

	who       breaker.Suspect // who may be to blame besides a deployment
	operation uint64          // hash of what the request asks for

	unfit        deploymentSet // cannot serve the request in time
	misfit       deploymentSet // the request exceeds their capacity
	backoffUntil time.Time
	queuedAt     time.Time
	readyAt      time.Time // when waiting may end
	giveUpAt     time.Time // when the class's longest wait ends

	record      spillway.Record
	attemptRoom [1]spillway.Attempt // for the record of most flights
}

// begin starts the flight of a request.
func (f *Flight) begin(now time.Time, req *spillway.Request) {
	f.req = req
	f.accepted = now
	f.setDeadline(now)
	f.lengths = f.engine.lengths.Of(length.Key{Caller: req.Caller, Route: req.Route})
	f.prompt = f.lengths.EstimatePrompt(req.BodyBytes)
	f.who, f.operation = suspect(req)
	f.recordBegin(now)
	if req.ClientRetry == 0 {
		f.engine.retries.Deposit(now)
	}
	if req.Hops > f.engine.maxHops() {
		f.refuse(now, spillway.OutcomeRefusedInvalid, spillway.Refusal{Code: spillway.RefusalLoop})
		return
	}
	if req.Pin != "" || !f.mustQueue() {
		f.dispatch(now)
		return
	}
	// Flights that wait already are served first.
	f.waitOrGiveUp(now)
	f.engine.wakeQueue()
}

// mustQueue reports whether a flight waits that is served before f.
func (f *Flight) mustQueue() bool {
	first := f.engine.nextUnselective()
	return first != nil && first.req.Class.Priority >= f.req.Class.Priority
}

// setDeadline takes the smallest of the class's window and what the client
// allows. Operations that we know nothing about have no window.
func (f *Flight) setDeadline(now time.Time) {
	window := time.Duration(0)
	if f.req.API != spillway.APIOther {
		window = f.req.Class.Window
		if f.req.Stream {
			window = f.req.Class.StreamWindow
		}
	}
	if d := f.req.Deadline; d > 0 && (window <= 0 || d < window) {
		window, f.perRead = d, f.req.ReadTimeout
	}
	f.record.Window = max(window, 0)
	if window <= 0 {
		return
	}
	f.deadline = now.Add(window)
	f.cutAt = f.deadline.Add(-budget.Margin(f.req.Class.Budget, window))
}

// quantile returns the quantile of speed that budgets are computed with.
func (f *Flight) quantile() float64 {
	if q := f.req.Class.Budget.Quantile; q > 0 {
		return q
	}
	return budget.DefaultQuantile
}

// emit adds an action to the step.
func (f *Flight) emit(a spillway.Action) {
	f.engine.actions = append(f.engine.actions, a)
}

// step returns the finished step.
func (f *Flight) step() spillway.Step {
	return spillway.Step{Actions: f.engine.actions, WakeAt: f.wakeAt()}
}

// wakeAt returns the earliest instant at which the flight must be woken.
func (f *Flight) wakeAt() time.Time {
	var at time.Time
	if f.settled {
		return at
	}
	if f.cuttable() {
		at = f.cutAt
	}
	if f.queued {
		at = earlier(at, earlier(f.readyAt, f.giveUpAt))
	}
	if f.backingOff {
		at = earlier(at, f.readyAt)
	}
	if f.live > 0 {
		at = earlier(at, f.hedgeAt)
		for i := range f.n {
			if a := f.attempt(i); a.live {
				at = earlier(at, a.stallAt)
			}
		}
	}
	return at
}

// cuttable reports whether the deadline still applies.
func (f *Flight) cuttable() bool { return !f.committed || !f.perRead }

// earlier returns the earlier of two instants; zero means never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// On applies an event and returns what to do. Events of attempts that have ended
// are ignored.
func (f *Flight) On(now time.Time, ev spillway.Event) spillway.Step {
	f.engine.actions = f.engine.actions[:0]
	if f.settled {
		return f.step()
	}
	switch ev.Kind {
	case spillway.EventWake:
		f.onWake(now)
	case spillway.EventGone:
		f.onGone(now)
	case spillway.EventEnd:
		f.onEnd(now)
	default:
		if ev.Attempt < 1 || ev.Attempt > f.n {
			break
		}
		if a := f.attempt(ev.Attempt - 1); a.live {
			f.onAttempt(now, a, &ev)
		}
	}
	return f.step()
}

func (f *Flight) onAttempt(now time.Time, a *attempt, ev *spillway.Event) {
	switch ev.Kind {
	case spillway.EventFirstToken:
		f.onFirstToken(now, a, ev)
	case spillway.EventUnstreamed:
		f.onUnstreamed(a)
	case spillway.EventProgress:
		f.updateOutput(now, a, ev)
	case spillway.EventDone:
		f.onDone(now, a, ev)
	case spillway.EventFailed:
		f.onFailed(now, a, ev)
	}
}

// onFirstToken keeps this attempt and cancels the others. It commits the flight
// when the client reads the response as it comes; a response that is assembled is
// not committed.
func (f *Flight) onFirstToken(now time.Time, a *attempt, ev *spillway.Event) {
	if !a.firstAt.IsZero() {
		return
	}
	at := a.readAt(now, ev)
	a.firstAt, a.lastAt, a.status, a.servedBy = at, at, ev.Status, ev.ServedBy
	a.read = max(ev.Tokens, 1)
	a.firstRead, a.tokens = a.read, a.read
	f.hedgeAt = time.Time{}
	f.recordFirstToken(a, ev)
	f.calibrate(now, a, ev)
	f.served(now, a)
	a.permit = a.breaker.FirstOutput(now, a.permit)
	f.cancelOthers(now, a)
	f.judge(now)
	if !a.assembled {
		f.committed = true
		f.emit(spillway.Action{Kind: spillway.ActionForward, Attempt: a.number})
	}
	a.stallAt = time.Time{}
	if f.monitored(a) && a.servedBy == "" {
		a.deployment.speed.ObserveTTFT(now, a.load, at.Sub(a.start))
	}
	if f.monitored(a) && f.req.API.Generates() {
		a.stallAt = at.Add(f.tokenPatience(now, a))
	}
}

// served notes that a's deployment serves the request.
func (f *Flight) served(now time.Time, a *attempt) {
	if f.paid {
		f.paid = false
		f.engine.retries.Refund(now)
	}
	if f.servedAsAsked(a) {
		a.meter.Accepted(now, a.reservation)
	}
	a.deployment.refusals = 0
	a.deployment.silence.broken()
}

// servedAsAsked reports whether a's response has the service tier that the request asks
// for, as far as it says. One that was moved to another tier says nothing about the
// refusals of this one. Requests that name no tier get the deployment's, whichever it is.
func (f *Flight) servedAsAsked(a *attempt) bool {
	asked, got := f.serviceTier(), f.attemptRecord(a).ServiceTier
	return asked == "" || got == "" || got == "auto" || got == asked
}

// calibrate corrects the meter by a response's headers. Those of another service
// tier do not concern it.
func (f *Flight) calibrate(now time.Time, a *attempt, ev *spillway.Event) {
	if f.serviceTier() == "" {
		a.meter.Calibrate(now, ev.Signals)
	}
}

// cancelOthers cancels every attempt but a.
func (f *Flight) cancelOthers(now time.Time, a *attempt) {
	for i := range f.n {
		if other := f.attempt(i); other.live && other != a {
			class := spillway.FailureNone
			if other.relieved {
				class = spillway.FailureSlow
			}
			f.cancel(now, other, class)
		}
	}
}

// updateOutput records what an event says of the output so far. A count that is
// not larger than the last one is ignored, except that the end of a response also
// says when its last token was read.
func (f *Flight) updateOutput(now time.Time, a *attempt, ev *spillway.Event) {
	a.blocked = max(a.blocked, ev.Blocked)
	if ev.Finish != spillway.FinishUnknown {
		a.finish = ev.Finish
	}
	done := ev.Kind == spillway.EventDone
	a.held = ev.Held
	if !done && (ev.Tokens <= a.read || a.firstAt.IsZero()) {
		if a.held > 0 && !a.stallAt.IsZero() {
			a.stallAt = a.lastAt.Add(f.tokenPatience(now, a) + a.held)
		}
		return
	}
	a.read = max(a.read, ev.Tokens)
	a.tokens, a.lastAt = a.read, a.readAt(now, ev)
	if !done && f.monitored(a) {
		a.stallAt = a.lastAt.Add(f.tokenPatience(now, a) + a.held)
	}
}

// onGone cancels everything: the client has left. The deployment is not judged by
// it; the length of the response so far is learned as a lower bound.
func (f *Flight) onGone(now time.Time) {
	for i := range f.n {
		if a := f.attempt(i); a.live {
			f.recordPartial(a)
			f.cancel(now, a, spillway.FailureGone)
		}
	}
	f.settle(now, ending{outcome: spillway.OutcomeClientGone, status: spillway.StatusClientGone})
}

// Record returns the flight's record, which is complete after the settle action
// and valid until Release. The driver may add what only it knows.
func (f *Flight) Record() *spillway.Record { return &f.record }

// Release returns a settled flight to the engine. It must not be used afterwards.
func (f *Flight) Release() {
	e := f.engine
	if !f.settled || f.woken {
		// The ready list still refers to the flight: leave it to the garbage
		// collector.
		return
	}
	for i := 1; i < f.n; i++ {
		*f.attempt(i) = attempt{}
	}
	others, tries := f.others, f.record.Attempts[:0]
	*f = Flight{}
	f.engine, f.others, f.record.Attempts = e, others, tries
	e.free = append(e.free, f)
}
