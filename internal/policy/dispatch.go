package policy

import (
	"cmp"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/policy/budget"
	"github.com/spillway-ai/spillway/internal/policy/capacity"
	"github.com/spillway-ai/spillway/internal/policy/route"
)

// plan is the decision about one attempt.
type plan struct {
	send     int // token limit to send, when it differs from the client's own; else 0
	grant    int // token limit that applies to each choice; 0 means none
	budget   int // what fits; 0 means unbounded
	basis    spillway.BudgetBasis
	charge   int // output tokens that the service will reserve, over all choices
	observed int // what clamp would have sent, in mode observe
	spill    spillway.SpillReason
	hedge    bool
}

// defaultCharge is what we assume that the service reserves for a response without
// a token limit, until lengths are learned. Azure documents no figure.
const defaultCharge = 512

// A learned length is sent as the limit once minLearned responses were complete, and
// times rightSizeRoom: a limit that is too low truncates responses.
const (
	minLearned    = 300
	rightSizeRoom = 2
)

// minOutput is the least output limit that is set for a client: the Responses API, and
// chat of reasoning models, accept none below it.
const minOutput = 16

// dispatch sends the next attempt to a deployment, waits, or gives up. Deployments
// that meet the objectives and the budget come first; when there is none, those
// that could finish in time at their fastest.
func (f *Flight) dispatch(now time.Time) {
	best, rejected := f.chooseHeard(now)
	switch {
	case best.ok:
	case rejected.Reject:
		f.record.BudgetTokens = rejected.Budget
		f.refuse(now, spillway.OutcomeRefusedBudget, spillway.Refusal{
			Code: spillway.RefusalTooLarge, FitTokens: rejected.FitTokens, Capped: rejected.Fixed,
		})
		return
	case f.tooSlow:
		best, _ = f.choose(now, false)
	}
	if !best.ok && f.nothingLeft(now) {
		f.lastResort = true
		if best, _ = f.choose(now, true); !best.ok && f.tooSlow {
			best, _ = f.choose(now, false)
		}
		f.lastResort = false
	}
	if !best.ok {
		f.waitOrGiveUp(now)
		return
	}
	f.send(now, best.deployment, best.plan)
	f.armHedge(now, best.deployment)
}

// choice is a deployment and the plan for an attempt there.
type choice struct {
	deployment *deployment
	plan       plan
	ok         bool
}

// chooseHeard is a strict choice among the deployments that are not silent, or else all.
func (f *Flight) chooseHeard(now time.Time) (choice, budget.Grant) {
	best, rejected := f.choose(now, true)
	if !best.ok && f.avoids {
		f.trusting = true
		best, rejected = f.choose(now, true)
		f.trusting = false
	}
	return best, rejected
}

// choose picks a deployment that accepts an attempt now and can serve it in time:
// when strict, within the objectives and the budget's quantile, else at its
// fastest. When deployments would have to reject the request, it also returns the
// largest budget among them.
func (f *Flight) choose(now time.Time, strict bool) (choice, budget.Grant) {
	var rejected budget.Grant
	f.tooSlow, f.avoids, f.unfit, f.misfit = false, false, 0, 0
	for {
		picked := f.pick(now)
		if !picked.OK {
			return choice{}, rejected
		}
		d := f.engine.deployments[picked.Index]
		g := f.compute(now, d, strict)
		switch {
		case g.Reject:
			if !rejected.Reject || g.FitTokens > rejected.FitTokens {
				rejected = g
			}
		case !g.Feasible, strict && f.missesObjective(now, d):
			f.tooSlow = true
		default:
			p := f.plan(now, d, g)
			p.spill = picked.Reason
			if f.fits(d, &p) {
				return choice{d, p, true}, rejected
			}
			f.misfit.add(picked.Index)
		}
		f.unfit.add(picked.Index)
	}
}

// deploymentSet is a set of indices into the engine's deployments.
type deploymentSet uint64

func (s *deploymentSet) add(i int)     { *s |= 1 << i }
func (s deploymentSet) has(i int) bool { return s&(1<<i) != 0 }

// pick has route pick a deployment, except those that are unfit or excluded.
func (f *Flight) pick(now time.Time) route.Choice {
	e := f.engine
	e.candidates = e.candidates[:0]
	for i, d := range e.deployments {
		tried, class := f.tried(d)
		if f.excluded(d) || class == spillway.FailureOversized {
			continue
		}
		c := d.candidate(now, i)
		c.Tried, c.Failed = tried, spillFor(class)
		switch {
		case f.misfit.has(i):
			c.Blocked = spillway.SpillUtilization
		case f.unfit.has(i), f.liveAt(d):
			c.Blocked = spillway.SpillSlow
		case final(class), tried && f.refusedUntil(now, d).After(now):
			c.Blocked = c.Failed
		default:
			c.Blocked = f.blocked(now, d)
			if c.Blocked == spillway.SpillNone && !f.trusting && f.avoided(now, d) {
				c.Blocked, f.avoids = spillway.SpillSlow, true
			}
		}
		e.candidates = append(e.candidates, c)
	}
	draw := 0.0
	if len(e.candidates) > 1 {
		draw = e.rnd()
	}
	return route.Pick(e.candidates, route.Config{
		Strategy: e.cfg.Strategy, SpillAt: e.cfg.Pool.SpillAt,
		AllowTried: f.retrying && !now.Before(f.backoffUntil),
	}, f.req.Affinity, draw)
}

// excluded reports whether the request may not be sent to d: d is beyond the tiers
// that a request may try, or the request is pinned to another deployment. A pin
// to a deployment that the pool no longer has is ignored.
func (f *Flight) excluded(d *deployment) bool {
	if limit := f.engine.cfg.Pool.MaxTiers; limit > 0 && d.tier >= limit {
		return true
	}
	return f.req.Pin != "" && d.Name != f.req.Pin && f.engine.find(f.req.Pin) != nil
}

// blocked returns why d cannot be used for this request now; SpillNone when it can.
func (f *Flight) blocked(now time.Time, d *deployment) spillway.SpillReason {
	switch {
	case f.lastResort && !d.breaker.LastResortAt(now).After(now):
	case !d.breaker.Ready(now), d.breaker.Excludes(now, f.who, f.operation).After(now):
		return spillway.SpillBroken
	}
	if d.meter.PausedUntil(now, f.demand(now, d)).After(now) {
		return spillway.SpillPaused
	}
	return spillway.SpillNone
}

// nothingLeft reports whether every deployment that this request may use, or try again,
// is broken or paused: then broken ones are used too. If all of them fail some of the
// requests, half of the service is better than none. A broken one that serves some
// requests also comes before one that has just failed this request.
func (f *Flight) nothingLeft(now time.Time) bool {
	broken, unstable, again := false, false, false
	for _, d := range f.engine.deployments {
		tried, class := f.tried(d)
		switch {
		case f.excluded(d) || final(class):
		case f.blocked(now, d) == spillway.SpillBroken:
			broken = true
			unstable = unstable || !tried && d.breaker.Unstable(now)
		case f.blocked(now, d) == spillway.SpillPaused:
		case tried:
			again = again || f.n < f.maxAttempts()
		default:
			return false
		}
	}
	return unstable || broken && !again
}

// demand estimates what the service will count for this request at d.
func (f *Flight) demand(now time.Time, d *deployment) capacity.Demand {
	if !d.meter.Paused(now) {
		return capacity.Demand{}
	}
	output := 0
	if f.req.API.Generates() {
		output = f.charge(d, f.req.AskTokens)
	}
	return f.demandOf(output)
}

// demandOf is what the service counts for this request with that output.
func (f *Flight) demandOf(output int) capacity.Demand {
	return capacity.Demand{Cost: capacity.Cost{Prompt: f.prompt, Output: output}, Tier: f.serviceTier(), By: f.who.Caller}
}

// fits reports whether the request can ever be served at d. The prompt is an
// estimate, so it must exceed the capacity clearly; without a token limit only the
// prompt counts.
func (f *Flight) fits(d *deployment, p *plan) bool {
	c := capacity.Cost{Prompt: f.prompt * 4 / 5}
	if p.grant > 0 {
		c.Output = p.charge
	}
	return d.meter.Fits(c)
}

// neverFits reports whether the request exceeds the capacity of every deployment,
// and the largest capacity.
func (f *Flight) neverFits() (most int, ok bool) {
	for i, d := range f.engine.deployments {
		switch {
		case f.excluded(d):
		case !f.misfit.has(i) && d.meter.Fits(capacity.Cost{Prompt: f.prompt * 4 / 5}):
			return 0, false
		default:
			most = max(most, d.meter.MaxTokens())
		}
	}
	return most, most > 0
}

// tried reports whether an attempt of this flight was sent to d, and how the last
// one failed there, or how one failed whose failure is final.
func (f *Flight) tried(d *deployment) (tried bool, class spillway.FailureClass) {
	for i := range f.n {
		if a := f.attempt(i); a.deployment == d && !final(class) {
			tried, class = true, a.failed
		}
	}
	return tried, class
}

// liveAt reports whether an attempt at d is under way.
func (f *Flight) liveAt(d *deployment) bool {
	for i := range f.n {
		if a := f.attempt(i); a.live && a.deployment == d {
			return true
		}
	}
	return false
}

// spillFor returns the reason to spill after a failure.
func spillFor(class spillway.FailureClass) spillway.SpillReason {
	switch class {
	case spillway.FailureRefused:
		return spillway.SpillRefused
	case spillway.FailureSlow, spillway.FailureNone:
		return spillway.SpillSlow
	}
	return spillway.SpillBroken
}

// compute budgets an attempt at d that starts now. When not strict, mode clamp acts
// as mode window: the ask is sent, and the response cut at the deadline. A retry
// never rejects the ask, since the first attempt did not.
func (f *Flight) compute(now time.Time, d *deployment, strict bool) budget.Grant {
	if !f.req.API.Generates() {
		return budget.Grant{Feasible: true}
	}
	level, q := d.meter.Level(now), f.quantile()
	fastTTFT, fastTBT := d.speed.Fastest(now)
	in := budget.Input{
		Rule:        f.req.Class.Budget,
		HasDeadline: !f.deadline.IsZero(),
		Left:        f.deadline.Sub(now),
		Window:      f.record.Window,
		Ask:         f.req.AskTokens,
		Choices:     f.req.Choices,
		MinTokens:   minOutput,
		Stream:      f.req.Stream,
		Fragile:     f.fragile(d),
		MaxTokens:   d.MaxOutputTokens,
		TTFT:        d.speed.TTFT(now, level, q),
		TBT:         d.speed.TBT(now, level, q),
		FastTTFT:    fastTTFT,
		FastTBT:     fastTBT,
	}
	switch {
	case !strict && in.Rule.Mode == spillway.BudgetClamp:
		in.Rule.Mode = spillway.BudgetWindow
	case f.n > 0 && in.Rule.Mode == spillway.BudgetReject:
		in.Rule.Mode = spillway.BudgetClamp
	}
	return budget.Compute(in)
}

// fragile reports whether a response from d is worthless when it is cut short.
func (f *Flight) fragile(d *deployment) bool {
	return f.req.Structured || f.req.Tools || f.reasons(d)
}

// reasons reports whether a response from d may spend hidden tokens.
func (f *Flight) reasons(d *deployment) bool {
	return f.req.Reasoning || d.Reasoning && !f.req.NoReasoning
}

// missesObjective reports whether d's measured median is slower than the request's
// objective.
func (f *Flight) missesObjective(now time.Time, d *deployment) bool {
	ttft, tbt := f.record.TTFTObjective, f.record.TBTObjective
	if ttft == 0 && tbt == 0 || !f.req.API.Generates() {
		return false
	}
	typicalTTFT, typicalTBT := d.speed.Typical(now, d.meter.Level(now))
	return ttft > 0 && typicalTTFT > ttft || tbt > 0 && typicalTBT > tbt
}

// plan returns what is sent with a grant, and what the service will reserve.
func (f *Flight) plan(now time.Time, d *deployment, g budget.Grant) plan {
	p := plan{grant: g.Tokens, observed: g.Observed}
	if g.Bounded {
		p.budget, p.basis = g.Budget, basis(now, d, g)
	}
	if !f.req.API.Generates() {
		return p
	}
	if rightSize := f.mayRightSize(now, d); rightSize || p.grant == 0 {
		learned := f.lengths.Quantile(0.99)
		limit := max(rightSizeRoom*learned.Tokens, minOutput)
		switch {
		case rightSize && learned.Complete >= minLearned && !learned.AtLeast && (p.grant == 0 || limit < p.grant):
			p.grant = limit
		}
	}
	if p.grant != f.req.AskTokens {
		p.send = p.grant
	}
	p.charge = f.charge(d, p.grant)
	return p
}

// Bounds of what a request can ask for. maxOutput is more than any published model
// generates, and maxChoices the most that the API accepts.
const (
	maxOutput  = 1 << 17
	maxChoices = 128
)

// charge returns the output tokens that the service reserves over all choices, for a
// limit per choice; 0 means none. It reserves nothing that it rejects as too large, so
// such a limit counts like none.
func (f *Flight) charge(d *deployment, limit int) int {
	choices := max(f.req.Choices, 1)
	if choices > maxChoices {
		choices = 1
	}
	if limit <= 0 || limit > cmp.Or(d.MaxOutputTokens, maxOutput) {
		learned := f.lengths.Quantile(0.99)
		switch {
		case learned.AtLeast:
			limit = max(learned.Tokens, defaultCharge)
		case learned.Answers > 0:
			limit = learned.Tokens
		default:
			limit = defaultCharge
		}
	}
	return min(limit, maxOutput) * choices
}

// basis returns what a budget at d was computed from.
func basis(now time.Time, d *deployment, g budget.Grant) spillway.BudgetBasis {
	switch {
	case g.Fixed:
		return spillway.BudgetFixed
	case d.speed.Measured(now):
		return spillway.BudgetMeasured
	}
	return spillway.BudgetPublished
}

// mayRightSize reports whether a learned length may be sent as the limit: only
// where capacity is short, so that a smaller reservation gains something.
func (f *Flight) mayRightSize(now time.Time, d *deployment) bool {
	c := f.req.Class
	return c.RightSize && c.Budget.Mode != spillway.BudgetObserve && !f.fragile(d) && d.meter.RecentlyNearLimit(now)
}
