package policy

import (
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/policy/capacity"
)

// ending is how a flight ends.
type ending struct {
	attempt int // whose answer the client gets; 0 for none
	outcome spillway.Outcome
	status  int
	refusal spillway.Refusal
}

// onDone ends the flight with a complete answer.
func (f *Flight) onDone(now time.Time, a *attempt, ev spillway.Event) {
	used := capacity.Cost{Prompt: f.prompt, Output: ev.Tokens}
	a.tokens = max(a.tokens, ev.Tokens)
	if ev.Usage.Known {
		used = capacity.Cost{Prompt: ev.Usage.Prompt, Cached: ev.Usage.Cached, Output: ev.Usage.Completion}
		a.tokens = ev.Usage.Completion / max(f.req.Choices, 1)
	}
	a.status, a.lastAt = ev.Status, now
	a.breaker.Record(now, a.permit, true)
	f.learnAnswer(now, a, ev)
	f.end(now, a, &used)
	a.meter.Calibrate(now, ev.Signals)
	for i := range f.attempts[:f.n] {
		if rival := &f.attempts[i]; rival.live {
			f.cancel(now, rival, spillway.FailureNone)
		}
	}
	f.recordUsage(a, ev)
	f.settle(now, ending{attempt: f.number(a), outcome: f.outcome(a, ev), status: ev.Status})
}

// learnAnswer teaches pace, length and prompt size.
func (f *Flight) learnAnswer(now time.Time, a *attempt, ev spillway.Event) {
	lengths := f.engine.lengths
	if ev.Usage.Known {
		lengths.ObservePrompt(now, f.key(), f.req.BodyBytes, ev.Usage.Prompt)
	}
	if !f.req.API.Generates() {
		return
	}
	f.learnPace(now, a, ev.Blocked)
	lengths.Observe(now, f.key(), a.tokens)
}

// lowered reports whether the limit that applied was ours.
func (f *Flight) lowered(a *attempt) bool { return a.grant > 0 && a.grant != f.req.AskTokens }

// outcome of a complete answer: whose limit ended it, if one did.
func (f *Flight) outcome(a *attempt, ev spillway.Event) spillway.Outcome {
	switch {
	case ev.Finish != spillway.FinishLength:
		return spillway.OutcomeOK
	case f.lowered(a):
		f.record.Truncated = spillway.TruncatedBudget
		return spillway.OutcomeTruncatedBudget
	case f.req.AskTokens > 0:
		return spillway.OutcomeOKClientCap
	}
	return spillway.OutcomeOK
}

// onDeadline ends the flight with what there is: a valid partial answer where
// tokens have arrived, an honest timeout otherwise.
func (f *Flight) onDeadline(now time.Time) {
	kept := 0
	for i := range f.attempts[:f.n] {
		a := &f.attempts[i]
		if !a.live {
			continue
		}
		if a.firstAt.IsZero() || f.blind(a) {
			f.cancel(now, a, f.timeoutClass(now, a))
			continue
		}
		kept = i + 1
		a.failed = f.timeoutClass(now, a)
		f.learnFailure(now, a)
		f.end(now, a, f.soFar(a))
		f.emit(spillway.Action{Kind: spillway.ActionCut, Attempt: kept})
	}
	switch {
	case kept > 0:
		f.record.Truncated = spillway.TruncatedDeadline
		f.record.Finish = spillway.FinishLength
		f.recordPartial(&f.attempts[kept-1])
		f.settle(now, ending{attempt: kept, outcome: spillway.OutcomeTruncatedDeadline, status: 200})
	case f.n > 0:
		f.refuse(now, spillway.OutcomeTimeout, spillway.Refusal{Code: spillway.RefusalDeadline, Status: 408})
	case f.queued:
		f.refuseBusy(now, spillway.OutcomeRefusedCapacity, spillway.RefusalNoCapacity)
	default:
		f.refuse(now, spillway.OutcomeTimeout, spillway.Refusal{Code: spillway.RefusalDeadline, Status: 408})
	}
}

// giveUp ends the flight without an answer: with upstream's own refusal where
// the last attempt got one that concerns the client, else with ours.
func (f *Flight) giveUp(now time.Time) {
	if f.n == 0 {
		f.giveUpUnsent(now)
		return
	}
	last := &f.attempts[f.n-1]
	switch status := last.status; {
	case status == 429:
		f.settle(now, ending{attempt: f.n, outcome: spillway.OutcomeThrottled, status: status})
	case status == 408:
		f.settle(now, ending{attempt: f.n, outcome: spillway.OutcomeTimeout, status: status})
	case last.unusable || status < 400:
		// Our credential, our configuration or our connection: not the
		// client's concern.
		f.refuse(now, spillway.OutcomeUpstreamError, spillway.Refusal{Code: spillway.RefusalUpstream, Status: 502})
	case status < 500:
		f.settle(now, ending{attempt: f.n, outcome: spillway.OutcomeRefusedInvalid, status: status})
	default:
		f.settle(now, ending{attempt: f.n, outcome: spillway.OutcomeUpstreamError, status: status})
	}
}

// giveUpUnsent refuses a request that no deployment has seen.
func (f *Flight) giveUpUnsent(now time.Time) {
	broken := true
	for _, d := range f.engine.deployments {
		broken = broken && d.breaker.Reason(now) == spillway.SpillBroken
	}
	switch {
	case broken:
		f.refuseBusyAs(now, spillway.OutcomeUpstreamError, spillway.Refusal{Code: spillway.RefusalNoHealthy, Status: 503})
	case f.crowded:
		f.refuseBusy(now, spillway.OutcomeRefusedQueue, spillway.RefusalQueueFull)
	case f.tooSlow:
		// There is room, and none of it is fast enough for the time allowed.
		f.refuse(now, spillway.OutcomeTimeout, spillway.Refusal{Code: spillway.RefusalDeadline, Status: 408})
	default:
		f.refuseBusy(now, spillway.OutcomeRefusedCapacity, spillway.RefusalNoCapacity)
	}
}

// refuseBusy refuses with a 429 that says when to come back.
func (f *Flight) refuseBusy(now time.Time, outcome spillway.Outcome, code spillway.RefusalCode) {
	f.refuseBusyAs(now, outcome, spillway.Refusal{Code: code, Status: 429})
}

func (f *Flight) refuseBusyAs(now time.Time, outcome spillway.Outcome, r spillway.Refusal) {
	for _, d := range f.engine.deployments {
		if wait := d.readyAt(now).Sub(now); r.RetryAfter == 0 || wait < r.RetryAfter {
			r.RetryAfter = max(wait, time.Second)
		}
	}
	f.refuse(now, outcome, r)
}

// refuse ends the flight with an error of our own.
func (f *Flight) refuse(now time.Time, outcome spillway.Outcome, r spillway.Refusal) {
	f.settle(now, ending{outcome: outcome, status: r.Status, refusal: r})
}

// settle ends the flight: the record is complete, and whoever waits may find
// the capacity that it held.
func (f *Flight) settle(now time.Time, end ending) {
	f.leaveQueue(now)
	f.settled = true
	f.recordSettle(now, end)
	f.emit(spillway.Action{Kind: spillway.ActionSettle, Attempt: end.attempt, Refusal: end.refusal})
	f.engine.wakeHead()
}
