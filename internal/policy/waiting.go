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

// enqueue takes a place. Whoever loses theirs for it is told.
func (f *Flight) enqueue(now time.Time) bool {
	evicted, has, ok := f.engine.queue.Push(now, admit.Item[*Flight]{
		Value: f, Priority: f.req.Class.Priority, Deadline: f.deadline, Caller: f.req.Caller,
	})
	if has {
		evicted.queued, evicted.evicted = false, true
		f.engine.wake(evicted)
	}
	f.crowded = !ok
	if !ok {
		return false
	}
	f.queued, f.queuedAt = true, now
	f.giveUpAt = f.waitLimit(now)
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
	f.engine.wakeHead()
}

// onWake looks at what is due: a lost place, the deadline, the end of a wait,
// a silent attempt, a hedge.
func (f *Flight) onWake(now time.Time) {
	switch {
	case f.evicted:
		f.refuseBusy(now, spillway.OutcomeRefusedQueue, spillway.RefusalQueueFull)
	case f.cuttable() && !f.cutAt.IsZero() && !now.Before(f.cutAt):
		f.onDeadline(now)
	case f.queued:
		f.onTurn(now)
	case f.backingOff:
		f.onBackoff(now)
	default:
		f.onSilence(now)
		f.onHedge(now)
	}
}

// onTurn tries again to leave the queue. Only the head may: others let it go
// first, and are woken after it.
func (f *Flight) onTurn(now time.Time) {
	if !now.Before(f.giveUpAt) {
		f.giveUp(now)
		return
	}
	if head, _ := f.engine.queue.Peek(); head != f && head.req.Pin == "" {
		f.engine.wake(head)
		f.readyAt = now.Add(busyPoll)
		return
	}
	f.repeat = f.retrying
	f.dispatch(now)
	f.repeat = false
}

// onBackoff repeats an attempt where it failed, after the pause between.
func (f *Flight) onBackoff(now time.Time) {
	if now.Before(f.readyAt) {
		return
	}
	f.backingOff, f.repeat = false, true
	f.dispatch(now)
	f.repeat = false
}

// onSilence ends an attempt that has been silent for too long, if that leaves
// the client better off: while the answer is not on its way, only when another
// deployment can take over and the retry budget affords it.
func (f *Flight) onSilence(now time.Time) {
	for i := range f.attempts[:f.n] {
		a := &f.attempts[i]
		if !a.live || a.stallAt.IsZero() || now.Before(a.stallAt) {
			continue
		}
		if f.committed {
			a.failed = spillway.FailureCut
			f.learnFailure(now, a)
			f.end(now, a, f.soFar(a))
			f.emit(spillway.Action{Kind: spillway.ActionCancel, Attempt: i + 1})
			f.settle(now, ending{attempt: i + 1, outcome: spillway.OutcomePartial, status: a.status})
			return
		}
		a.stallAt = time.Time{}
		switch {
		case f.live > 1:
			f.cancel(now, a, spillway.FailureSlow)
		case f.canMove(now):
			f.cancel(now, a, spillway.FailureSlow)
			f.dispatch(now)
			return
		}
	}
}

// canMove reports whether another deployment can take the request over, and
// pays for it.
func (f *Flight) canMove(now time.Time) bool {
	if f.n >= f.maxAttempts() || !f.pick(now, 0).OK {
		return false
	}
	return f.afford(now, spillway.FailureSlow)
}

// armHedge sets when a second attempt may start.
func (f *Flight) armHedge(now time.Time, d *deployment) {
	if !f.req.Class.Hedge || f.n != 1 || f.blind(&f.attempts[0]) || !f.req.API.Generates() {
		return
	}
	f.hedgeAt = now.Add(retry.HedgeDelay(d.speed.TTFT(now, d.meter.Level(now), hedgeQuantile)))
}

// onHedge starts a second attempt at another deployment when the first token
// is late and the retry budget affords it.
func (f *Flight) onHedge(now time.Time) {
	if f.hedgeAt.IsZero() || now.Before(f.hedgeAt) || f.live != 1 || f.settled {
		return
	}
	f.hedgeAt = time.Time{}
	choice := f.pick(now, 0)
	if !choice.OK || f.n >= f.maxAttempts() {
		return
	}
	d := f.engine.deployments[choice.Index]
	g := f.compute(now, d)
	if !g.Feasible || g.Reject || !f.afford(now, spillway.FailureNone) {
		return
	}
	p := f.plan(now, d, g)
	p.spill, p.hedge = choice.Reason, true
	f.send(now, d, p)
}
