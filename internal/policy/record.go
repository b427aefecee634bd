package policy

import (
	"cmp"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/policy/capacity"
)

// recordBegin records the request. The window is already set.
func (f *Flight) recordBegin(now time.Time) {
	q, r := f.req, &f.record
	r.ID, r.Time, r.Pool, r.Policy = q.ID, now, f.engine.cfg.Pool.Name, f.engine.cfg.Version
	r.Caller, r.Tenant, r.Class, r.Model, r.Route, r.API = q.Caller, q.Tenant, q.Class.Name, q.Model, q.Route, q.API
	r.Stream, r.Structured, r.Tools, r.Choices = q.Stream, q.Structured, q.Tools, q.Choices
	r.ServiceTier = q.ServiceTier
	r.ClientRetry, r.AskTokens, r.PromptEstimate = q.ClientRetry, q.AskTokens, f.prompt
	r.Mode, r.TraceParent = q.Class.Budget.Mode, q.TraceParent
	r.TTFTObjective = cmp.Or(q.TTFT, q.Class.Objective.TTFT)
	r.TBTObjective = cmp.Or(q.TPOT, q.Class.Objective.TBT)
}

// recordSend adds an attempt.
func (f *Flight) recordSend(now time.Time, a *attempt) {
	d := a.deployment
	f.record.Attempts = append(f.record.Attempts, spillway.Attempt{
		Deployment: d.Name, Region: d.Region, Kind: d.Kind, Tier: d.tier,
		Start: now.Sub(f.accepted), GrantTokens: a.plan.grant, Utilization: -1, Hedge: a.plan.hedge,
	})
	if !a.plan.hedge {
		f.recordPlan(a)
	}
}

// recordPlan records the decision about an attempt as the request's: that of the
// last attempt, then that of the attempt that answers.
func (f *Flight) recordPlan(a *attempt) {
	r, p := &f.record, &a.plan
	r.BudgetTokens, r.BudgetBasis, r.GrantTokens = p.budget, p.basis, p.grant
	r.ObservedGrant, r.Spill = p.observed, p.spill
}

// attemptRecord returns the record of an attempt.
func (f *Flight) attemptRecord(a *attempt) *spillway.Attempt { return &f.record.Attempts[a.number-1] }

func (f *Flight) recordFirstToken(a *attempt, ev *spillway.Event) {
	f.record.TTFT = a.firstAt.Sub(f.accepted)
	f.attemptRecord(a).TTFT = a.firstAt.Sub(a.start)
	f.recordResponse(a, ev)
	f.recordPlan(a)
}

// recordResponse records what an event says of the response besides its content.
func (f *Flight) recordResponse(a *attempt, ev *spillway.Event) {
	t, s := f.attemptRecord(a), &ev.Signals
	t.Status = ev.Status
	if s.Utilization >= 0 {
		t.Utilization = s.Utilization
	}
	t.ResetTokens, t.ResetRequests = max(s.ResetTokens, t.ResetTokens), max(s.ResetRequests, t.ResetRequests)
	t.ServiceTier = cmp.Or(ev.ServiceTier, t.ServiceTier)
}

func (f *Flight) recordFailure(a *attempt, ev *spillway.Event) {
	f.attemptRecord(a).RetryAfter = max(ev.RetryAfter, 0)
	f.recordResponse(a, ev)
}

func (f *Flight) recordEnd(now time.Time, a *attempt) {
	t := f.attemptRecord(a)
	t.End, t.Tokens, t.Class, t.ServedBy = now.Sub(f.accepted), a.tokens, a.failed, a.servedBy
}

// recordCost records what an attempt cost by the token. Provisioned capacity costs
// the same whether used or not, unless Azure's own spillover served the attempt.
func (f *Flight) recordCost(a *attempt, used *capacity.Cost) {
	d := a.deployment
	switch {
	case d.Kind == spillway.Provisioned && a.servedBy == "":
	default:
		t := f.attemptRecord(a)
		t.CostUSD = -1
		if price, known := d.Price.AtServiceTier(f.record.BilledTier(t)); known {
			t.CostUSD = price.Cost(spillway.TokenCount{
				Prompt: int64(used.Prompt), Cached: int64(used.Cached), CacheWrite: int64(a.cacheWrite), Completion: int64(used.Output),
			})
		}
	}
}

func (f *Flight) recordDone(a *attempt, ev *spillway.Event) {
	f.recordPlan(a)
	f.recordPartial(a)
	f.record.Finish, f.record.Usage = ev.Finish, f.recordable(a, ev.Finish, ev.Usage)
}

// recordPartial records the size and pace of a response by our own count. The pace is
// the mean time per token after the first delta.
func (f *Flight) recordPartial(a *attempt) {
	f.record.Usage = f.recordable(a, a.finish, spillway.Usage{Prompt: f.prompt, Completion: a.tokens})
	if a.firstAt.IsZero() {
		return
	}
	if mean, tokens := f.pace(a); tokens > 0 {
		f.record.TBTMean = mean
	}
}

func (f *Flight) recordSettle(now time.Time, end ending) {
	r := &f.record
	r.Outcome, r.Status, r.Refusal = end.outcome, end.status, end.refusal.Code
	r.E2E = now.Sub(f.accepted)
}
