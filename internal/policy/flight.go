package policy

import (
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/policy/breaker"
	"github.com/spillway-ai/spillway/internal/policy/budget"
	"github.com/spillway-ai/spillway/internal/policy/length"
)

// Flight is one request's life in the core, from Begin to Release. It is not
// safe for concurrent use: its engine's lock covers it. There are as many as
// there are streams, so it has room for what most of them need.
type Flight struct {
	// Driver is the driver's own handle on the flight.
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
	crowded    bool // there was no place in the queue
	tooSlow    bool // a deployment had room and not the speed
	retrying   bool // deployments that failed this flight may be tried again, from backoffUntil on
	backingOff bool // waits until readyAt for that

	first  attempt
	others []*attempt // those made after the first, and behind them zero ones to use again
	last   *attempt   // that failed; nil before any did

	accepted time.Time
	deadline time.Time // when the last byte is due; zero for none
	cutAt    time.Time // deadline less the reply margin; zero for none
	hedgeAt  time.Time

	prompt  int // estimated tokens
	lengths length.Source

	unfit        deploymentSet // cannot serve the request in time
	backoffUntil time.Time
	queuedAt     time.Time
	readyAt      time.Time // when waiting may end
	giveUpAt     time.Time // when waiting is over, whatever the deadline

	record spillway.Record
	room   [1]spillway.Attempt // of the record, for what most flights need
}

// begin takes a new request in.
func (f *Flight) begin(now time.Time, req *spillway.Request) {
	f.req = req
	f.accepted = now
	f.setDeadline(now)
	f.lengths = f.engine.lengths.Of(length.Key{Caller: req.Caller, Route: req.Route})
	f.prompt = f.lengths.Estimate(req.BodyBytes)
	f.recordBegin(now)
	if req.ClientRetry == 0 {
		f.engine.retries.Deposit(now)
	}
	if req.Hops > f.engine.maxHops() {
		f.refuse(now, spillway.OutcomeRefusedInvalid, spillway.Refusal{Code: spillway.RefusalLoop, Status: 508})
		return
	}
	if req.Pin != "" || !f.behind() {
		f.dispatch(now)
		return
	}
	// Those who wait are served first.
	f.stuck(now)
	f.engine.wakeQueue()
}

// behind reports whether somebody waits who is to be served before f.
func (f *Flight) behind() bool {
	first := f.engine.nextPlain()
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
		window = d
	}
	f.record.Window = max(window, 0)
	if window <= 0 {
		return
	}
	f.deadline = now.Add(window)
	f.cutAt = f.deadline.Add(-budget.Margin(f.req.Class.Budget, window))
}

// quantile is what budgets are computed with.
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

// step closes the step.
func (f *Flight) step() spillway.Step {
	return spillway.Step{Actions: f.engine.actions, WakeAt: f.wakeAt()}
}

// wakeAt is the earliest instant that the flight cares about.
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

// cuttable reports whether the deadline still means something: an answer that
// is passed through in pieces cannot be cut to a valid one.
func (f *Flight) cuttable() bool { return !f.committed || f.req.API.Generates() && f.req.Stream }

// earlier is the earlier of two instants of which zero means never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// On tells the flight what happened. Events of attempts that have ended are
// ignored.
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
	case spillway.EventProgress:
		f.note(now, a, ev)
	case spillway.EventDone:
		f.onDone(now, a, ev)
	case spillway.EventFailed:
		f.onFailed(now, a, ev)
	}
}

// onFirstToken keeps this attempt and ends its rivals. What the client reads
// as it comes is committed; an answer to assemble is not.
func (f *Flight) onFirstToken(now time.Time, a *attempt, ev *spillway.Event) {
	if !a.firstAt.IsZero() {
		return
	}
	a.firstAt, a.lastAt, a.status, a.servedBy = now, now, ev.Status, ev.ServedBy
	a.tokens = max(ev.Tokens, 1)
	f.hedgeAt = time.Time{}
	f.recordFirstToken(now, a, ev)
	a.meter.Calibrate(now, ev.Signals)
	if a.breaker.State(now) == breaker.HalfOpen {
		// A probe that speaks has answered its question, however long it goes on.
		a.breaker.Record(now, a.permit, true)
		a.permit = a.breaker.Acquire(now)
	}
	f.cancelRivals(now, a)
	if !a.assembled {
		f.committed = true
		f.emit(spillway.Action{Kind: spillway.ActionForward, Attempt: a.number})
	}
	a.stallAt = time.Time{}
	if f.audible(a) && a.servedBy == "" {
		a.deployment.speed.ObserveTTFT(now, a.load, now.Sub(a.start))
	}
	if f.audible(a) && f.req.API.Generates() {
		a.stallAt = now.Add(f.tokenPatience(now, a))
	}
}

// cancelRivals ends every attempt but a.
func (f *Flight) cancelRivals(now time.Time, a *attempt) {
	for i := range f.n {
		if rival := f.attempt(i); rival.live && rival != a {
			f.cancel(now, rival, spillway.FailureNone)
		}
	}
}

// note takes in what an event says of the output so far. Tokens that arrived
// since the last report count as of now.
func (f *Flight) note(now time.Time, a *attempt, ev *spillway.Event) {
	a.blocked = max(a.blocked, ev.Blocked)
	switch {
	case ev.Kind == spillway.EventDone:
		a.tokens, a.lastAt = max(a.tokens, ev.Tokens), now
	case ev.Tokens > a.tokens && !a.firstAt.IsZero():
		a.tokens, a.lastAt = ev.Tokens, now
		if f.audible(a) {
			a.stallAt = now.Add(f.tokenPatience(now, a))
		}
	}
}

// onGone ends everything: nobody reads any more. It teaches nothing.
func (f *Flight) onGone(now time.Time) {
	for i := range f.n {
		if a := f.attempt(i); a.live {
			f.recordPartial(a)
			f.cancel(now, a, spillway.FailureGone)
		}
	}
	f.settle(now, ending{outcome: spillway.OutcomeClientGone, status: statusClientGone})
}

// statusClientGone is what records show for a client that left: nginx's code
// for it, which no client ever sees.
const statusClientGone = 499

// Record is the flight's record: complete after the settle action, valid until
// Release. The driver may add what only it knows.
func (f *Flight) Record() *spillway.Record { return &f.record }

// Release gives a settled flight back. Nothing of it may be used afterwards.
func (f *Flight) Release() {
	e := f.engine
	if !f.settled || f.woken {
		// A flight that is still listed to be woken is left to the collector.
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
