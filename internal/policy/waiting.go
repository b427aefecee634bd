package policy

import (
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/policy/admit"
	"github.com/spillway-ai/spillway/internal/policy/retry"
)

// wait keeps f in the queue until ready, and queues it first if it is not there.
// It reports false when there is no place.
func (f *Flight) wait(now, ready time.Time) bool {
	if !f.queued && !f.enqueue(now) {
		return false
	}
	// When a deployment is ready already, flights that rank before f use it
	// first: check again later.
	f.readyAt = ready
	if !ready.After(now) {
		f.readyAt = now.Add(busyPoll)
	}
	return true
}

// enqueue adds f to the queue, and wakes the flight that is evicted for it, if any.
// The order is by when a flight gives up: at its deadline or after its longest
// wait.
func (f *Flight) enqueue(now time.Time) bool {
	giveUpAt := f.waitLimit(now)
	evicted, has, ok := f.engine.queue.Push(now, admit.Item[*Flight]{
		Value: f, Priority: f.req.Class.Priority, Deadline: earlier(f.deadline, giveUpAt), Caller: f.req.Caller,
	})
	if has {
		evicted.queued, evicted.evicted = false, true
		f.engine.wake(evicted)
	}
	f.queueFull = !ok
	if !ok {
		return false
	}
	f.queued, f.queuedAt, f.giveUpAt = true, now, giveUpAt
	return true
}

// leaveQueue removes f from the queue and wakes the next flight.
func (f *Flight) leaveQueue(now time.Time) {
	if !f.queued {
		return
	}
	f.queued = false
	f.engine.queue.Remove(f)
	f.record.Queue += now.Sub(f.queuedAt)
	f.engine.wakeQueue()
}

// selective reports whether f cannot use just any deployment: it is pinned, has
// tried one already, or needs a faster one. No other flight has to wait for it.
func (f *Flight) selective() bool { return f.req.Pin != "" || f.n > 0 || f.tooSlow }

// lookahead bounds how many selective flights at the head of the queue are
// skipped.
const lookahead = 16

// nextUnselective returns the first flight in the queue that can use any
// deployment, or nil.
func (e *Engine) nextUnselective() *Flight {
	for i := range min(e.queue.Len(), lookahead) {
		if f := e.queue.At(i); !f.selective() {
			return f
		}
	}
	return nil
}

// wakeQueue wakes the flights that may use new capacity: the first one that can use
// any deployment, and the selective ones before it.
func (e *Engine) wakeQueue() {
	for i := range min(e.queue.Len(), lookahead) {
		f := e.queue.At(i)
		e.wake(f)
		if !f.selective() {
			return
		}
	}
}

// onWake handles what is due: an eviction, the deadline, the end of a wait, a
// silent attempt, a hedge.
func (f *Flight) onWake(now time.Time) {
	switch {
	case f.evicted:
		f.record.Queue += now.Sub(f.queuedAt)
		f.refuseBusy(now, spillway.OutcomeRefusedQueue, spillway.RefusalQueueFull)
	case f.cuttable() && !f.cutAt.IsZero() && !now.Before(f.cutAt):
		f.onDeadline(now)
	case f.queued:
		f.onQueueWake(now)
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

// onQueueWake tries to leave the queue. Flights that can use any deployment do so
// in order.
func (f *Flight) onQueueWake(now time.Time) {
	if !now.Before(f.giveUpAt) {
		f.giveUp(now)
		return
	}
	if first := f.engine.nextUnselective(); first != f && first != nil && !f.selective() {
		f.engine.wake(first)
		f.readyAt = now.Add(busyPoll)
		return
	}
	f.dispatch(now)
}

// onSilence handles attempts that have been silent for too long. A committed one is
// ended, since its request cannot move to another deployment. Others are ended
// only when another attempt can replace them, or when no deadline would.
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

// takeOver moves the request from a silent attempt to another deployment, if one
// can generate more than the silent one already has, within the retry budget.
func (f *Flight) takeOver(now time.Time, a *attempt) bool {
	other, ok := f.otherChoice(now)
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

// otherChoice returns another deployment that could serve the request now.
func (f *Flight) otherChoice(now time.Time) (choice, bool) {
	if f.n >= f.maxAttempts() {
		return choice{}, false
	}
	other, _ := f.choose(now, true)
	return other, other.ok
}

// armHedge sets when a second attempt may start: when the first token is later than
// usual, or at half of the request's TTFT objective.
func (f *Flight) armHedge(now time.Time, d *deployment) {
	if !f.req.Class.Hedge || f.n != 1 || !f.monitored(&f.first) {
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

// onHedge starts a second attempt at another deployment when the first token is
// late and the retry budget allows it.
func (f *Flight) onHedge(now time.Time) {
	if f.hedgeAt.IsZero() || now.Before(f.hedgeAt) || f.live != 1 || f.settled {
		return
	}
	f.hedgeAt = time.Time{}
	other, ok := f.otherChoice(now)
	if !ok || !f.afford(now, spillway.FailureNone) {
		return
	}
	other.plan.hedge = true
	f.send(now, other.deployment, other.plan)
}
