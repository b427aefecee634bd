package policy

import (
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/policy/admit"
	"github.com/spillway-ai/spillway/internal/policy/retry"
)

// waitOrGiveUp waits for a deployment when there is time for that. Otherwise it
// sends the request to one that only our own meter regards as full, or gives up
// when there is none.
func (f *Flight) waitOrGiveUp(now time.Time) {
	if !f.cutAt.IsZero() && !now.Before(f.cutAt) {
		f.onDeadline(now)
		return
	}
	if d, ready := f.soonestReady(now); d != nil && f.mayWait(now, d, ready) {
		if tried, _ := f.tried(d); tried && !f.readyAtFor(now, d).After(now) {
			f.leaveQueue(now)
			f.backingOff, f.readyAt = true, ready
			return
		}
		if f.wait(now, earlier(ready, f.firstProbeAt(now))) {
			return
		}
	}
	if f.waitForProbe(now) {
		return
	}
	if d := f.leastUsed(now); d != nil {
		if g := f.compute(now, d, false); g.Feasible && !g.Reject {
			p := f.plan(now, d, g)
			if d.tier > 0 {
				p.spill = spillway.SpillQueue
			}
			f.send(now, d, p)
			return
		}
		f.tooSlow = true
	}
	f.giveUp(now)
}

// soonestReady returns the deployment that is expected to accept an attempt first,
// and when. Broken ones are left out, since it is not known when they work again;
// so are those that are too slow even now, when there is most time left. One that
// this flight has tried counts only while retries are allowed, and from the end
// of the backoff on.
func (f *Flight) soonestReady(now time.Time) (*deployment, time.Time) {
	var best *deployment
	var at time.Time
	for i, d := range f.engine.deployments {
		tried, class := f.tried(d)
		if f.excluded(d) || f.unfit.has(i) || !d.breaker.Ready(now) || tried && !f.retrying || final(class) {
			continue
		}
		ready := f.readyAtFor(now, d)
		if tried && f.backoffUntil.After(ready) {
			ready = f.backoffUntil
		}
		if best == nil || ready.Before(at) {
			best, at = d, ready
		}
	}
	return best, at
}

// firstProbeAt returns when the first broken deployment can be probed; zero means
// that there is none.
func (f *Flight) firstProbeAt(now time.Time) time.Time {
	var at time.Time
	for _, d := range f.engine.deployments {
		if !f.excluded(d) && !d.breaker.Ready(now) {
			at = earlier(at, d.breaker.ReadyAt(now))
		}
	}
	return at
}

// minAnswer is the least output, in tokens, that must still fit after a wait.
const minAnswer = 16

// DefaultMaxWait is the longest wait of a class that sets none.
const DefaultMaxWait = 30 * time.Second

// mayWait reports whether waiting for d until ready leaves time for a response.
func (f *Flight) mayWait(now time.Time, d *deployment, ready time.Time) bool {
	ttft, tbt := d.speed.Typical(now, d.meter.Level(now))
	need := ttft + minAnswer*tbt
	return !ready.After(f.waitLimit(now)) && admit.Feasible(now, f.cutAt, ready, need)
}

// waitLimit returns when the class's longest wait ends.
func (f *Flight) waitLimit(now time.Time) time.Time {
	wait := f.req.Class.MaxWait
	if wait <= 0 {
		wait = DefaultMaxWait
	}
	if f.queued {
		return f.queuedAt.Add(wait)
	}
	return now.Add(wait)
}

// readyAtFor returns when d is expected to accept an attempt of this request.
func (f *Flight) readyAtFor(now time.Time, d *deployment) time.Time {
	at := d.readyAt(now, f.demand(now, d))
	if until := f.refusedUntil(now, d); until.After(at) {
		return until
	}
	return at
}

// refusedUntil is when d may be tried again that has refused this request: when others
// check whether it still refuses such requests, and the last time after the wait that
// it asked for; at once when it has served another one like it. Zero if it has not refused
// this one.
func (f *Flight) refusedUntil(now time.Time, d *deployment) time.Time {
	var until time.Time
	for i := range f.n {
		a := f.attempt(i)
		at := a.checkAt
		if f.n+1 >= f.maxAttempts() {
			at = a.retryAt
		}
		if a.deployment == d && at.After(until) && !a.meter.ServedSince(now, a.reservation) {
			until = at
		}
	}
	return until
}

// leastUsed returns the least used deployment among those that only our own meter
// regards as full and that this flight has not tried. Our meter is an estimate;
// the service decides.
func (f *Flight) leastUsed(now time.Time) *deployment {
	var best *deployment
	lowest := 0.0
	for i, d := range f.engine.deployments {
		tried, _ := f.tried(d)
		full := d.MaxInFlight > 0 && d.inFlight >= d.MaxInFlight
		if tried || full || f.excluded(d) || f.misfit.has(i) || f.blocked(now, d) != spillway.SpillNone {
			continue
		}
		if level := d.meter.Level(now); best == nil || level < lowest {
			best, lowest = d, level
		}
	}
	return best
}

// wait keeps f in the queue until ready, and queues it first if it is not there.
// It reports false when there is no place.
func (f *Flight) wait(now, ready time.Time) bool {
	f.held = f.isHeld(now)
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

// isHeld reports whether a deployment would serve another request now, but not one like
// this.
func (f *Flight) isHeld(now time.Time) bool {
	for _, d := range f.engine.deployments {
		if !f.excluded(d) && d.breaker.Ready(now) && !d.meter.ReadyAt(now, 1).After(now) && f.blocked(now, d) != spillway.SpillNone {
			return true
		}
	}
	return false
}

// probeWait is how long a request may wait for the result of a probe when every
// deployment is broken.
const probeWait = 1500 * time.Millisecond

// waitForProbe queues a request for which every deployment is broken, until the
// result of the next probe, or until it can be the probe itself. It reports false
// when there is no time for that, or no more.
func (f *Flight) waitForProbe(now time.Time) bool {
	if f.n > 0 || !f.nothingLeft(now) {
		return false
	}
	giveUpAt := now.Add(probeWait)
	if f.probed {
		giveUpAt = f.giveUpAt
	}
	if !now.Before(giveUpAt) || !f.cutAt.IsZero() && giveUpAt.After(f.cutAt) {
		return false
	}
	ready := giveUpAt
	for _, d := range f.engine.deployments {
		if at := d.breaker.LastResortAt(now); !f.excluded(d) && at.After(now) {
			ready = earlier(ready, at)
		}
	}
	if !f.wait(now, ready) {
		return false
	}
	f.probed, f.giveUpAt = true, earlier(f.giveUpAt, giveUpAt)
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
// tried one already, needs a faster one, or waits because requests like it were
// refused. No other flight has to wait for it.
func (f *Flight) selective() bool { return f.req.Pin != "" || f.n > 0 || f.tooSlow || f.held }

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

// otherChoice returns another deployment that could serve the request now.
func (f *Flight) otherChoice(now time.Time) (choice, bool) {
	if f.n >= f.maxAttempts() {
		return choice{}, false
	}
	other, _ := f.chooseHeard(now)
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
