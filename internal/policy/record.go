package policy

import (
	"time"

	spillway "github.com/spillway-ai/spillway"
)

// recordBegin notes what was asked. The window is already set.
func (f *Flight) recordBegin(now time.Time) {
	q, window := f.req, f.record.Window
	f.record = spillway.Record{
		ID: q.ID, Time: now, Pool: f.engine.cfg.Pool.Name, Caller: q.Caller, Tenant: q.Tenant,
		Class: q.Class.Name, Model: q.Model, Route: q.Route, API: q.API, Policy: f.engine.cfg.Version,
		Stream: q.Stream, Structured: q.Structured, Tools: q.Tools, Choices: q.Choices,
		ClientRetry: q.ClientRetry, AskTokens: q.AskTokens, PromptEstimate: f.prompt,
		Window: window, Mode: q.Class.Budget.Mode,
		Attempts: f.tries[:0],
	}
}

// recordSend notes the decision for an attempt. The record's own figures are
// those of the last attempt that was not a hedge.
func (f *Flight) recordSend(now time.Time, a *attempt, p plan) {
	d, r := a.deployment, &f.record
	r.Attempts = append(r.Attempts, spillway.Attempt{
		Deployment: d.Name, Region: d.Region, Kind: d.Kind, Tier: d.tier,
		Start: now.Sub(f.accepted), GrantTokens: a.grant, Utilization: -1, Hedge: p.hedge,
	})
	if p.hedge {
		return
	}
	r.BudgetTokens, r.GrantTokens, r.ObservedGrant = p.budget, a.grant, p.observe
	r.Spill = p.spill
}

// try is the record of an attempt.
func (f *Flight) try(a *attempt) *spillway.Attempt { return &f.record.Attempts[f.number(a)-1] }

func (f *Flight) recordFirstToken(now time.Time, a *attempt, ev spillway.Event) {
	f.record.TTFT = now.Sub(f.accepted)
	t := f.try(a)
	t.TTFT, t.Status, t.Utilization = now.Sub(a.start), ev.Status, ev.Signals.Utilization
	f.record.GrantTokens = a.grant
}

func (f *Flight) recordFailure(a *attempt, ev spillway.Event) {
	t := f.try(a)
	t.Status, t.RetryAfter = ev.Status, max(ev.RetryAfter, 0)
	if ev.Signals.Utilization >= 0 {
		t.Utilization = ev.Signals.Utilization
	}
}

func (f *Flight) recordEnd(now time.Time, a *attempt) {
	t := f.try(a)
	t.End, t.Tokens, t.Class = now.Sub(f.accepted), a.tokens, a.failed
}

func (f *Flight) recordUsage(a *attempt, ev spillway.Event) {
	r, t := &f.record, f.try(a)
	r.Finish, r.Usage = ev.Finish, ev.Usage
	if !ev.Usage.Known {
		r.Usage = spillway.Usage{Prompt: f.prompt, Completion: ev.Tokens}
	}
	t.Status, t.Tokens = ev.Status, a.tokens
	if ev.Signals.Utilization >= 0 {
		t.Utilization = ev.Signals.Utilization
	}
	f.recordPace(a, ev.Blocked)
}

// recordPartial notes an answer that was ended before upstream could say what
// it used.
func (f *Flight) recordPartial(a *attempt) {
	f.record.Usage = spillway.Usage{Prompt: f.prompt, Completion: a.tokens * max(f.req.Choices, 1)}
	f.recordPace(a, 0)
}

func (f *Flight) recordPace(a *attempt, blocked time.Duration) {
	if a.firstAt.IsZero() {
		return
	}
	if mean, ok := f.pace(a, blocked); ok {
		f.record.TBTMean = mean
	}
}

func (f *Flight) recordSettle(now time.Time, end ending) {
	r := &f.record
	r.Outcome, r.Status, r.Refusal = end.outcome, end.status, end.refusal.Code
	r.E2E = now.Sub(f.accepted)
}
