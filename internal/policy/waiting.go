package policy

import (
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/policy/admit"
	"github.com/spillway-ai/spillway/internal/policy/retry"
)

// wait takes a place in the queue, or keeps the one that f has, until ready.
// It reports false when there is none.
func (f *Flight) wait(now, ready time.Time) bool {
	if !f.queued && !f.enqueue(now) {
		return false
	}
	// Sooner than the poll comes only what is known to become ready: with room
	// already there, those ahead have to take theirs first.
	f.readyAt = ready
	if !ready.After(now) {
		f.readyAt = now.Add(busyPoll)
	}
	return true
}

// enqueue takes a place. Whoever loses theirs for it is told. Who is served
// first is who has to give up first, by the deadline or by patience.
func (f *Flight) enqueue(now time.Time) bool {
	giveUpAt := f.waitLimit(now)
	evicted, has, ok := f.engine.queue.Push(now, admit.Item[*Flight]{
		Value: f, Priority: f.req.Class.Priority, Deadline: earlier(f.deadline, giveUpAt), Caller: f.req.Caller,
	})
	if has {
		evicted.queued, evicted.evicted = false, true
		f.engine.wake(evicted)
	}
	f.crowded = !ok
	if !ok {
		return false
	}
	f.queued, f.queuedAt, f.giveUpAt = true, now, giveUpAt
	return true
}

// leaveQueue gives the place up and lets the next one try.
func (f *Flight) leaveQueue(now time.Time) {
	if !f.queued {
		return
	}
	f.queued = false
	f.engine.queue.Remove(f)
	f.record.Queue += now.Sub(f.queuedAt)
	f.engine.wakeQueue()
}

// picky says that f cannot take whatever comes free: it is pinned, or has been
// somewhere already, or needs somebody faster. Nobody else has to wait for it.
func (f *Flight) picky() bool { return f.req.Pin != "" || f.n > 0 || f.tooSlow }

// lookahead bounds how many picky flights at the head of the queue are looked
// past.
const lookahead = 16

// nextPlain is the first in the queue that takes what it gets, or nil.
func (e *Engine) nextPlain() *Flight {
	for i := range min(e.queue.Len(), lookahead) {
		if f := e.queue.At(i); !f.picky() {
			return f
		}
	}
	return nil
}

// wakeQueue lets those try again who may take what has come free: the first
// that takes anything, and the picky ones before it.
func (e *Engine) wakeQueue() {
	for i := range min(e.queue.Len(), lookahead) {
		f := e.queue.At(i)
		e.wake(f)
		if !f.picky() {
			return
		}
	}
}

// onWake looks at what is due: a lost place, the deadline, the end of a wait,
// a silent attempt, a hedge.
func (f *Flight) onWake(now time.Time) {
	switch {
	case f.evicted:
		f.record.Queue += now.Sub(f.queuedAt)
		f.refuseBusy(now, spillway.OutcomeRefusedQueue, spillway.RefusalQueueFull)
	case f.cuttable() && !f.cutAt.IsZero() && !now.Before(f.cutAt):
		f.onDeadline(now)
	case f.queued:
		f.onTurn(now)
	case f.backingOff:
		if !now.Before(f.readyAt) {
			f.backingOff = false
			f.dispatch(now)
		}
	default:
		f.onSilence(now)
		f.onHedge(now)
	}
}

// onTurn tries again to leave the queue. Those that take anything go in order.
func (f *Flight) onTurn(now time.Time) {
	if !now.Before(f.giveUpAt) {
		f.giveUp(now)
		return
	}
	if first := f.engine.nextPlain(); first != f && first != nil && !f.picky() {
		f.engine.wake(first)
		f.readyAt = now.Add(busyPoll)
		return
	}
	f.dispatch(now)
}

// onSilence looks at attempts that have been silent for too long. One whose
// client cannot be helped any more is ended; another is ended only when
// somebody else can take over, or when nothing else would ever end it.
func (f *Flight) onSilence(now time.Time) {
	for i := range f.n {
		a := f.attempt(i)
		if !a.live || a.stallAt.IsZero() || now.Before(a.stallAt) {
			continue
		}
		switch {
		case f.committed:
			f.recordPartial(a)
			f.cancel(now, a, spillway.FailureCut)
			f.settle(now, ending{attempt: i + 1, outcome: spillway.OutcomePartial, status: a.status})
			return
		case f.live > 1:
			f.cancel(now, a, spillway.FailureSlow)
		case f.takeOver(now, a):
			return
		case f.cutAt.IsZero() && now.Sub(a.start) >= max(silencePatience, a.patience):
			f.cancel(now, a, spillway.FailureSlow)
			f.refuse(now, spillway.OutcomeTimeout, spillway.Refusal{Code: spillway.RefusalDeadline})
			return
		default:
			a.stallAt = now.Add(minTTFTPatience)
		}
	}
}

// takeOver moves the request from a silent attempt to another deployment, if
// one can give more than the silent one already has and it can be afforded.
func (f *Flight) takeOver(now time.Time, a *attempt) bool {
	other, ok := f.rival(now)
	if !ok || other.plan.grant > 0 && other.plan.grant*max(f.req.Choices, 1) <= a.tokens || !f.afford(now, spillway.FailureSlow) {
		return false
	}
	f.cancel(now, a, spillway.FailureSlow)
	if other.plan.spill == spillway.SpillNone && other.deployment.tier > 0 {
		other.plan.spill = spillway.SpillSlow
	}
	f.send(now, other.deployment, other.plan)
	return true
}

// rival is another deployment that could serve the request now.
func (f *Flight) rival(now time.Time) (choice, bool) {
	if f.n >= f.maxAttempts() {
		return choice{}, false
	}
	other, _ := f.choose(now, true)
	return other, other.ok
}

// armHedge sets when a second attempt may start: when the first token is later
// than usual, or later than the request wants it.
func (f *Flight) armHedge(now time.Time, d *deployment) {
	if !f.req.Class.Hedge || f.n != 1 || !f.audible(&f.first) {
		return
	}
	delay := retry.HedgeDelay(d.speed.TTFT(now, d.meter.Level(now), hedgeQuantile))
	if want := f.record.TTFTObjective; want > 0 {
		delay = max(min(delay, want/2), retry.MinHedgeDelay)
	}
	f.hedgeAt = now.Add(delay)
}

// hedgeQuantile is the quantile of TTFT after which a first token is late.
const hedgeQuantile = 0.95

// onHedge starts a second attempt at another deployment when the first token
// is late and the retry budget affords it.
func (f *Flight) onHedge(now time.Time) {
	if f.hedgeAt.IsZero() || now.Before(f.hedgeAt) || f.live != 1 || f.settled {
		return
	}
	f.hedgeAt = time.Time{}
	other, ok := f.rival(now)
	if !ok || !f.afford(now, spillway.FailureNone) {
		return
	}
	other.plan.hedge = true
	f.send(now, other.deployment, other.plan)
}
