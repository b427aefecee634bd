package policy

import (
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/policy/capacity"
)

// ending is how a flight ends.
type ending struct {
	attempt int // whose response the client gets; 0 means none
	outcome spillway.Outcome
	status  int
	refusal spillway.Refusal
	noRetry bool // a retry by the client cannot help
}

// onDone ends the flight with a complete response.
func (f *Flight) onDone(now time.Time, a *attempt, ev *spillway.Event) {
	f.updateOutput(now, a, ev)
	ev.Usage = f.usage(now, a, ev.Usage)
	a.tokens, a.hidden, a.cacheWrite = ev.Usage.Completion, ev.Usage.Reasoning, ev.Usage.CacheWrite
	used := capacity.Cost{Prompt: ev.Usage.Prompt, Cached: ev.Usage.Cached, Output: a.tokens}
	a.status, a.servedBy, a.complete = ev.Status, ev.ServedBy, true
	f.recordResponse(a, ev)
	a.breaker.Succeed(now, a.permit)
	outcome := f.outcome(a, ev)
	f.learnAnswer(now, a, ev, outcome)
	f.calibrate(now, a, ev)
	f.served(now, a)
	f.end(now, a, &used)
	f.cancelOthers(now, a)
	f.recordDone(a, ev)
	f.settle(now, ending{attempt: a.number, outcome: outcome, status: ev.Status})
}

// learnAnswer learns from a complete response: pace, length and prompt size. A
// response that ended at a limit of ours or of the client would have been longer.
func (f *Flight) learnAnswer(now time.Time, a *attempt, ev *spillway.Event, outcome spillway.Outcome) {
	if ev.Usage.Known && f.req.API != spillway.APIOther {
		f.lengths.ObservePrompt(now, f.req.BodyBytes, ev.Usage.Prompt)
	}
	switch {
	case f.req.API == spillway.APIEmbeddings:
		if a.firstAt.IsZero() && a.servedBy == "" {
			a.deployment.speed.ObserveTTFT(now, a.load, now.Sub(a.start))
		}
	case f.req.API.Generates():
		f.learnPace(now, a)
		tokens := a.tokens / max(f.req.Choices, 1)
		if outcome == spillway.OutcomeOK {
			f.lengths.Observe(now, tokens)
		} else {
			f.lengths.ObserveAtLeast(now, tokens)
		}
	}
}

// outcome returns the outcome of a complete response: whether a limit ended it, and
// whose.
func (f *Flight) outcome(a *attempt, ev *spillway.Event) spillway.Outcome {
	switch {
	case ev.Finish != spillway.FinishLength:
		return spillway.OutcomeOK
	case a.plan.send > 0:
		f.record.Truncated = spillway.TruncatedBudget
		return spillway.OutcomeTruncatedBudget
	case f.req.AskTokens > 0:
		return spillway.OutcomeOKClientCap
	}
	return spillway.OutcomeOK
}

// onDeadline ends the flight: with a valid partial response when tokens have
// arrived, by breaking off a response that is passed through as it comes, with
// upstream's own refusal when that was the only result, and with a timeout otherwise.
func (f *Flight) onDeadline(now time.Time) {
	tried, committed := f.live > 0, f.committed
	cut := f.cut(now, f.timeoutClass)
	switch {
	case cut:
	case committed:
		f.breakOff(now)
	case !tried && f.last != nil && f.last.failed == spillway.FailureRefused:
		f.giveUp(now)
	case f.queued && f.n == 0:
		f.refuseBusy(now, spillway.OutcomeRefusedCapacity, spillway.RefusalNoCapacity)
	default:
		f.refuse(now, spillway.OutcomeTimeout, spillway.Refusal{Code: spillway.RefusalDeadline})
	}
}

// onEnd ends the flight because the driver shuts down: with the response so far, or
// with a refusal. The deployment is not judged by it; the length of the response so
// far is learned as a lower bound.
func (f *Flight) onEnd(now time.Time) {
	committed := f.committed
	cut := f.cut(now, func(time.Time, *attempt) spillway.FailureClass { return spillway.FailureGone })
	switch {
	case cut:
	case committed:
		f.breakOff(now)
	default:
		f.refuse(now, spillway.OutcomeRefusedQueue, spillway.Refusal{
			Code: spillway.RefusalEnding, RetryAfter: time.Second,
		})
	}
}

// breakOff ends a committed flight whose response cannot be cut to a valid one.
func (f *Flight) breakOff(now time.Time) {
	f.settle(now, ending{attempt: f.n, outcome: spillway.OutcomePartial, status: 200})
}

// finishEnded ends the flight with a response whose choices have all ended, if there
// is one: it is complete, although its usage and the end of its stream have not
// come.
func (f *Flight) finishEnded(now time.Time) bool {
	for i := range f.n {
		a := f.attempt(i)
		if !a.live || a.finish == spillway.FinishUnknown || !f.monitored(a) {
			continue
		}
		f.emit(spillway.Action{Kind: spillway.ActionCut, Attempt: a.number})
		f.onDone(now, a, &spillway.Event{
			Kind: spillway.EventDone, Attempt: a.number, At: a.lastAt, Tokens: a.read, Finish: a.finish,
			Status: a.status, ServedBy: a.servedBy, Signals: spillway.NoSignals(), RetryAfter: -1, Blocked: a.blocked,
		})
		return true
	}
	return false
}

// cut ends every attempt under way; class returns why each one failed. When one
// of them has output that makes a valid partial response, cut settles the flight
// with it and returns true.
func (f *Flight) cut(now time.Time, class func(time.Time, *attempt) spillway.FailureClass) bool {
	if f.finishEnded(now) {
		return true
	}
	var kept *attempt
	for i := range f.n {
		a := f.attempt(i)
		switch {
		case !a.live:
		case f.req.API.Generates() && f.monitored(a) && !a.firstAt.IsZero():
			kept = a
			a.failed = class(now, a)
			f.learnFailure(now, a)
			f.end(now, a, f.consumed(now, a))
			f.emit(spillway.Action{Kind: spillway.ActionCut, Attempt: i + 1})
		default:
			f.cancel(now, a, class(now, a))
		}
	}
	if kept == nil {
		return false
	}
	f.record.Truncated, f.record.Finish = spillway.TruncatedDeadline, spillway.FinishLength
	f.recordPartial(kept)
	f.settle(now, ending{attempt: kept.number, outcome: spillway.OutcomeTruncatedDeadline, status: 200})
	return true
}

// giveUp ends the flight without a response: with the error that upstream returned
// for this request, else with an error of ours.
func (f *Flight) giveUp(now time.Time) {
	if f.last == nil {
		f.giveUpUnsent(now)
		return
	}
	a := f.bestError()
	if a == nil {
		f.refuse(now, spillway.OutcomeUpstreamError, spillway.Refusal{Code: spillway.RefusalUpstream})
		return
	}
	outcome, status := spillway.OutcomeUpstreamError, a.status
	switch {
	case a.failed == spillway.FailureUnreadable && f.monitored(a):
		status = spillway.RefusalUpstream.Status() // a part of a stream is no response
	case a.failed == spillway.FailureUnreadable:
	case a.status == 429:
		outcome = spillway.OutcomeThrottled
	case a.status == 408:
		outcome = spillway.OutcomeTimeout
	case a.status < 500:
		outcome = spillway.OutcomeRefusedInvalid
	}
	f.settle(now, ending{attempt: a.number, outcome: outcome, status: status, noRetry: f.hopeless(a)})
}

// bestError returns the attempt whose response the client gets when none succeeded:
// the last that upstream answered with an error, but a refusal for lack of capacity
// only if there is no other. nil means that there is none.
func (f *Flight) bestError() *attempt {
	var best *attempt
	for i := range f.n {
		a := f.attempt(i)
		readable := a.status >= 400 || a.failed == spillway.FailureUnreadable
		if readable && (best == nil || best.failed == spillway.FailureRefused || a.failed != spillway.FailureRefused) {
			best = a
		}
	}
	return best
}

// hopeless reports whether a retry by the client would end as a's attempt did: the
// output does not fit the window, or the request has failed at several deployments, or
// as often as the gateway itself would try, when its client repeats it.
func (f *Flight) hopeless(a *attempt) bool {
	return a.status == 408 || a.failed == spillway.FailureOversized ||
		f.req.ClientRetry > 0 && ambiguous(a.failed) && (f.failedElsewhere(a) || f.req.ClientRetry >= f.maxAttempts()-1)
}

// giveUpUnsent refuses a request that was sent to no deployment.
func (f *Flight) giveUpUnsent(now time.Time) {
	most, never := f.neverFits()
	broken := true
	for _, d := range f.engine.deployments {
		broken = broken && (f.excluded(d) || !d.breaker.Ready(now))
	}
	switch {
	case never:
		f.refuse(now, spillway.OutcomeRefusedInvalid, spillway.Refusal{
			Code: spillway.RefusalNeverFits, FitTokens: most,
		})
	case broken:
		f.refuseBusy(now, spillway.OutcomeUpstreamError, spillway.RefusalNoHealthy)
	case f.queueFull:
		f.refuseBusy(now, spillway.OutcomeRefusedQueue, spillway.RefusalQueueFull)
	case f.tooSlow:
		// There is capacity, but none is fast enough for the time left.
		f.refuse(now, spillway.OutcomeTimeout, spillway.Refusal{Code: spillway.RefusalDeadline})
	default:
		f.refuseBusy(now, spillway.OutcomeRefusedCapacity, spillway.RefusalNoCapacity)
	}
}

// refuseBusy refuses, and says when to retry: at the earliest time at which a
// deployment is expected to be ready.
func (f *Flight) refuseBusy(now time.Time, outcome spillway.Outcome, code spillway.RefusalCode) {
	r := spillway.Refusal{Code: code}
	for _, d := range f.engine.deployments {
		if f.excluded(d) {
			continue
		}
		ready := f.readyAtFor(now, d)
		if code == spillway.RefusalNoHealthy {
			ready = d.breaker.LastResortAt(now)
		}
		if wait := ready.Sub(now); r.RetryAfter == 0 || wait < r.RetryAfter {
			r.RetryAfter = max(wait, time.Second)
		}
	}
	f.refuse(now, outcome, r)
}

// refuse ends the flight with an error of our own.
func (f *Flight) refuse(now time.Time, outcome spillway.Outcome, r spillway.Refusal) {
	f.settle(now, ending{outcome: outcome, status: r.Code.Status(), refusal: r})
}

// settle ends the flight and completes its record.
func (f *Flight) settle(now time.Time, end ending) {
	f.leaveQueue(now)
	f.settled = true
	f.judge(now)
	f.recordSettle(now, end)
	f.emit(spillway.Action{Kind: spillway.ActionSettle, Attempt: end.attempt, Refusal: end.refusal, NoRetry: end.noRetry})
}
