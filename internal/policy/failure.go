package policy

import (
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/policy/retry"
)

// ejectFor is how long no attempt is sent to a deployment that is missing or that
// refuses our credential; then it is probed.
const ejectFor = 30 * time.Second

// afford withdraws another attempt from the retry budget, after a failure or, with
// FailureNone, for a hedge. It reports false when the budget is too low. After a
// refusal it is free: the deployment did no work, and its pause keeps further
// requests away from it.
func (f *Flight) afford(now time.Time, class spillway.FailureClass) bool {
	switch class {
	case spillway.FailureRefused:
		return true
	case spillway.FailureSlow, spillway.FailureOversized:
		return f.engine.retries.Withdraw(now, retry.CostTimeout)
	}
	return f.engine.retries.Withdraw(now, retry.CostRetry)
}

func (f *Flight) maxAttempts() int { return min(f.engine.cfg.Retry.Attempts(), spillway.MaxAttempts) }

// onRefused pauses the deployment and tries another one.
func (f *Flight) onRefused(now time.Time, a *attempt, ev *spillway.Event) {
	d := a.deployment
	a.status, a.failed = ev.Status, spillway.FailureRefused
	a.breaker.Drop(now, a.permit)
	f.recordFailure(a, ev)
	a.meter.Calibrate(now, ev.Signals)
	a.meter.Refused(now, ev.RetryAfter)
	d.breaker.Pause(now, retry.ClampRetryAfter(ev.RetryAfter))
	f.end(now, a, nil)
	f.next(now, a, ev)
}

// onFailed records what the failure says about the deployment and decides what to
// do next.
func (f *Flight) onFailed(now time.Time, a *attempt, ev *spillway.Event) {
	if ev.Class == spillway.FailureNone {
		ev.Class = retry.Classify(ev.Status)
	}
	if ev.Class == spillway.FailureRefused {
		f.onRefused(now, a, ev)
		return
	}
	a.status, a.failed = ev.Status, ev.Class
	f.updateOutput(now, a, ev)
	if ev.Status == 408 {
		a.failed = f.timeoutClass(now, a)
	}
	if f.req.API == spillway.APIOther && ev.Status > 0 {
		// For other operations, a status says something about the path, not
		// about the deployment.
		a.breaker.Drop(now, a.permit)
	} else {
		f.learnFailure(now, a)
		a.unusable = unusable(ev)
	}
	f.recordFailure(a, ev)
	a.meter.Calibrate(now, ev.Signals)
	if a.unusable {
		a.deployment.breaker.Eject(now, ejectFor)
	}
	if ran := !a.firstAt.IsZero() || ev.Status == 408; ran {
		f.end(now, a, f.consumed(now, a))
	} else {
		f.end(now, a, nil)
	}
	f.next(now, a, ev)
}

// unusable reports whether the deployment cannot serve any request: it does not
// exist, or refuses our credential.
func unusable(ev *spillway.Event) bool {
	return ev.Missing || ev.Status == 401 || ev.Status == 403
}

// next decides what follows a failed attempt: nothing while another is under way;
// the end of the response when the client has already read some of it; another
// attempt where that can help; and otherwise the failure itself.
func (f *Flight) next(now time.Time, a *attempt, ev *spillway.Event) {
	f.last = a
	switch {
	case f.live > 0:
	case f.committed:
		f.recordPartial(a)
		f.settle(now, ending{attempt: a.number, outcome: spillway.OutcomePartial, status: 200})
	case a.failed == spillway.FailureInvalid && !a.unusable,
		ev.Hopeless,
		!f.repeatable(a, ev),
		f.n >= f.maxAttempts(),
		!f.afford(now, a.failed):
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
	return f.req.API != spillway.APIOther || ev.Replayable || a.failed == spillway.FailureRefused
}
