package policy

import (
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/policy/retry"
)

// afford withdraws another attempt from the retry budget, after a failure or, with
// FailureNone, for a hedge. It reports false when the budget is too low. After a
// refusal it is free: the deployment did no work, and its pause keeps further
// requests away from it.
func (f *Flight) afford(now time.Time, class spillway.FailureClass) bool {
	switch class {
	case spillway.FailureRefused:
		return true
	case spillway.FailureNone:
		return f.engine.retries.Withdraw(now, retry.CostRetry)
	case spillway.FailureSlow, spillway.FailureOversized:
		return f.engine.retries.Withdraw(now, retry.CostTimeout)
	}
	f.paid = f.engine.retries.Withdraw(now, retry.CostRetry)
	return f.paid
}

func (f *Flight) maxAttempts() int { return min(f.engine.cfg.Retry.Attempts(), spillway.MaxAttempts) }

// onRefused pauses the deployment for requests of this size, and tries another one.
// When another deployment has refused the request too, the request may be the cause, so
// those of other callers need not wait at either.
func (f *Flight) onRefused(now time.Time, a *attempt, ev *spillway.Event) {
	a.status, a.failed = ev.Status, spillway.FailureRefused
	a.breaker.Drop(now, a.permit)
	f.recordFailure(a, ev)
	f.calibrate(now, a, ev)
	wait := ev.RetryAfter
	if wait < 0 {
		wait = ev.Signals.Wait()
	}
	wait = a.deployment.refusedFor(wait)
	f.mayRetryFrom(now, a, a.meter.Refused(now, wait, a.reservation), now.Add(wait))
	elsewhere := false
	for i := range f.n {
		if other := f.attempt(i); other.failed == spillway.FailureRefused && other.meter != a.meter {
			other.meter.RefusedElsewhere(now, other.reservation)
			elsewhere = true
		}
	}
	if elsewhere {
		a.meter.RefusedElsewhere(now, a.reservation)
	}
	f.end(now, a, nil)
	f.next(now, a, ev)
}

// mayRetryFrom sets when the request may be sent again to a deployment that has refused
// it until an instant, and lets others check at an earlier one. It may check as well if
// it can wait that long, or was a check itself: then it waits on like those that it
// checked for. Its last attempt is kept for the end.
func (f *Flight) mayRetryFrom(now time.Time, a *attempt, checkAt, until time.Time) {
	switch {
	case f.mayWait(now, a.deployment, until):
	case a.reservation.Probes():
		until = earlier(until, f.waitLimit(now))
	default:
		checkAt = until
	}
	a.checkAt, a.retryAt = checkAt, until
}

// onFailed records what the failure says about the deployment and decides what to
// do next.
func (f *Flight) onFailed(now time.Time, a *attempt, ev *spillway.Event) {
	if ev.Class == spillway.FailureNone {
		ev.Class = retry.Classify(ev.Status)
	}
	if ev.Status > 0 {
		a.deployment.silence.broken()
	}
	switch {
	case ev.Class != spillway.FailureRefused:
	case a.firstAt.IsZero():
		f.onRefused(now, a, ev)
		return
	default:
		ev.Class = spillway.FailureCut // it was accepted: capacity is not the cause
	}
	a.status, a.failed, a.hopeless = ev.Status, ev.Class, ev.Hopeless
	f.updateOutput(now, a, ev)
	if ev.Status == 408 {
		a.failed = f.timeoutClass(now, a)
	}
	if f.req.API == spillway.APIOther && ev.Status > 0 {
		// For other operations, a status says something about the path, not
		// about the deployment.
		a.breaker.Drop(now, a.permit)
		if ev.NotFound {
			a.refusal = refusalOfObject
		}
	} else {
		a.refusal = refusalFor(ev)
		f.learnFailure(now, a)
	}
	f.recordFailure(a, ev)
	f.calibrate(now, a, ev)
	if ran := !a.firstAt.IsZero() || ev.Status == 408; ran {
		f.end(now, a, f.consumed(now, a))
	} else {
		f.end(now, a, nil)
	}
	f.next(now, a, ev)
}

// next decides what follows a failed attempt: nothing while another is under way;
// the end of the response when the client has already read some of it; another
// attempt where that can help; and otherwise the failure itself.
func (f *Flight) next(now time.Time, a *attempt, ev *spillway.Event) {
	f.last = a
	switch {
	case f.live > 0 && !f.leaveHung(now):
	case f.committed:
		f.recordPartial(a)
		f.settle(now, ending{attempt: a.number, outcome: spillway.OutcomePartial, status: 200})
	case ev.Hopeless, !f.repeatable(a, ev), f.n >= f.maxAttempts(), f.tooManyFailures(a),
		a.refusal != refusalOfObject && !f.afford(now, a.failed):
		f.giveUp(now)
	default:
		f.retrying = true
		f.backoffUntil = now.Add(f.engine.cfg.Retry.Backoff(f.n, f.engine.rnd()))
		f.dispatch(now)
	}
}

// repeatable reports whether the request may be sent again. Generating twice only
// costs tokens. Other operations may be repeated when they cannot have had an
// effect.
func (f *Flight) repeatable(a *attempt, ev *spillway.Event) bool {
	return f.req.API != spillway.APIOther || ev.Replayable || ev.NotFound || a.failed == spillway.FailureRefused
}

// maxFailures is how often a request may fail in a way that it may cause itself: a
// second time shows that it does.
const maxFailures = 2

// tooManyFailures reports whether another attempt is of no use after a's failure: the
// request is wrong for every deployment, it has failed elsewhere as well, or the
// client's SDK has used up the attempts with retries of its own.
func (f *Flight) tooManyFailures(a *attempt) bool {
	failures, ambiguous, refusals := 0, 0, 0
	for i := range f.n {
		if f.attempt(i).refusal == refusalOfObject {
			continue
		}
		switch f.attempt(i).failed {
		case spillway.FailureRefused:
			continue
		case spillway.FailureInvalid:
			refusals++
		case spillway.FailureBroken, spillway.FailureCut, spillway.FailureUnreadable:
			ambiguous++
		}
		failures++
	}
	switch a.failed {
	case spillway.FailureRefused:
		return false
	case spillway.FailureInvalid:
		if a.refusal == refusalOfObject {
			return false
		}
		if a.refusal == refusalOfRequest || refusals >= maxFailures {
			return true
		}
	}
	return ambiguous >= maxFailures || failures > 0 && failures >= f.maxAttempts()-f.req.ClientRetry
}

// final reports whether a failure excludes the same attempt at the same deployment:
// it would end the same way.
func final(class spillway.FailureClass) bool {
	switch class {
	case spillway.FailureOversized, spillway.FailureSlow, spillway.FailureInvalid, spillway.FailureUnreadable:
		return true
	}
	return false
}
