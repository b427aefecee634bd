package policy

import (
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/policy/admit"
	"github.com/spillway-ai/spillway/internal/policy/budget"
	"github.com/spillway-ai/spillway/internal/policy/route"
)

// plan is what one attempt is sent with.
type plan struct {
	send     int // token limit to send, when it differs from the client's own; else 0
	grant    int // token limit that applies to each choice; 0 for none
	budget   int // what fits; 0 for unbounded
	basis    spillway.BudgetBasis
	charge   int // output tokens that the service will reserve, over all choices
	observed int // what clamp would have sent, in mode observe
	spill    spillway.SpillReason
	hedge    bool
}

// defaultCharge is what the service is taken to reserve for an answer without
// a token limit, as long as nothing is learned. Azure documents no figure.
const defaultCharge = 512

// A learned length is sent as the limit when so many answers stand behind it,
// and with so much room above it: an answer that is cut short is seen no longer
// than its limit, so without room what is learned would shrink with every cut.
const (
	minLearned    = 300
	rightSizeRoom = 2
)

// minResponses is the least max_output_tokens that the Responses API takes.
const minResponses = 16

// dispatch finds a deployment for the next attempt and sends it, or waits, or
// gives up. Deployments that keep the objectives and the budget come first;
// when there is none, those that could make it at their best.
func (f *Flight) dispatch(now time.Time) {
	best, rejected := f.choose(now, true)
	switch {
	case best.ok:
	case rejected.Reject:
		f.record.BudgetTokens = rejected.Budget
		f.refuse(now, spillway.OutcomeRefusedBudget, spillway.Refusal{
			Code: spillway.RefusalTooLarge, Status: 400, FitTokens: rejected.FitTokens,
		})
		return
	case f.tooSlow:
		best, _ = f.choose(now, false)
	}
	if !best.ok {
		f.stuck(now)
		return
	}
	f.send(now, best.deployment, best.plan)
	f.armHedge(now, best.deployment)
}

// choice is where an attempt goes and with what.
type choice struct {
	deployment *deployment
	plan       plan
	ok         bool
}

// choose picks a deployment that can take an attempt and serve it in time:
// strictly, within the objectives and the budget's quantile, or at its best.
// Of the deployments that would have to reject the request, it returns what
// the most generous says.
func (f *Flight) choose(now time.Time, strict bool) (choice, budget.Grant) {
	var rejected budget.Grant
	f.tooSlow, f.unfit = false, 0
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
			return choice{d, p, true}, rejected
		}
		f.unfit.add(picked.Index)
	}
}

// deploymentSet is a set of indices into the engine's deployments.
type deploymentSet uint64

func (s *deploymentSet) add(i int)     { *s |= 1 << i }
func (s deploymentSet) has(i int) bool { return s&(1<<i) != 0 }

// pick asks route for a deployment, leaving out those that do not fit.
func (f *Flight) pick(now time.Time) route.Choice {
	e := f.engine
	e.candidates = e.candidates[:0]
	for i, d := range e.deployments {
		tried, class := f.tried(d)
		if f.elsewhere(d) || class == spillway.FailureOversized {
			continue
		}
		c := d.candidate(now, i)
		if f.unfit.has(i) {
			c.Blocked = spillway.SpillSlow
		}
		c.Tried, c.Failed = tried, spillFor(class)
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

// elsewhere reports whether d is out of the question: beyond the tiers that a
// request may try, or not where the request is pinned to. A pin to a
// deployment that the pool no longer has means nothing.
func (f *Flight) elsewhere(d *deployment) bool {
	if limit := f.engine.cfg.Pool.MaxTiers; limit > 0 && d.tier >= limit {
		return true
	}
	return f.req.Pin != "" && d.Name != f.req.Pin && f.engine.find(f.req.Pin) != nil
}

// tried reports whether an attempt of this flight has been at d, and how the
// last one failed there. Oversized stays: the same ask will not fit later.
func (f *Flight) tried(d *deployment) (tried bool, class spillway.FailureClass) {
	for i := range f.n {
		if a := f.attempt(i); a.deployment == d && class != spillway.FailureOversized {
			tried, class = true, a.failed
		}
	}
	return tried, class
}

// spillFor is the reason to spill after a failure.
func spillFor(class spillway.FailureClass) spillway.SpillReason {
	switch class {
	case spillway.FailureRefused:
		return spillway.SpillRefused
	case spillway.FailureSlow, spillway.FailureNone:
		return spillway.SpillSlow
	}
	return spillway.SpillBroken
}

// compute budgets an attempt at d that starts now. When it need not be strict,
// a budget that has become too small gives way to a cut at the deadline; and a
// retry is never the reason to blame the client for too large an ask.
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
		MinTokens:   1,
		Stream:      f.req.Stream,
		Fragile:     f.fragile(d),
		MaxTokens:   d.MaxOutputTokens,
		TTFT:        d.speed.TTFT(now, level, q),
		TBT:         d.speed.TBT(now, level, q),
		FastTTFT:    fastTTFT,
		FastTBT:     fastTBT,
	}
	if f.req.API == spillway.APIResponses {
		in.MinTokens = minResponses
	}
	switch {
	case !strict && in.Rule.Mode == spillway.BudgetClamp:
		in.Rule.Mode = spillway.BudgetWindow
	case f.n > 0 && in.Rule.Mode == spillway.BudgetReject:
		in.Rule.Mode = spillway.BudgetClamp
	}
	return budget.Compute(in)
}

// fragile reports whether an answer is worthless when it is cut short.
func (f *Flight) fragile(d *deployment) bool {
	return f.req.Structured || f.req.Tools || f.req.Reasoning || d.Reasoning
}

// missesObjective reports whether d's median is beyond what the request wants,
// where d has been measured.
func (f *Flight) missesObjective(now time.Time, d *deployment) bool {
	ttft, tbt := f.record.TTFTObjective, f.record.TBTObjective
	if ttft == 0 && tbt == 0 || !f.req.API.Generates() {
		return false
	}
	typicalTTFT, typicalTBT := d.speed.Typical(now, d.meter.Level(now))
	return ttft > 0 && typicalTTFT > ttft || tbt > 0 && typicalTBT > tbt
}

// plan turns a grant into what is sent and what the service will reserve.
func (f *Flight) plan(now time.Time, d *deployment, g budget.Grant) plan {
	p := plan{grant: g.Tokens, observed: g.Observed}
	if g.Bounded {
		p.budget, p.basis = g.Budget, basis(now, d, g)
	}
	if !f.req.API.Generates() {
		return p
	}
	p.charge = p.grant
	if rightSize := f.mayRightSize(d); rightSize || p.grant == 0 {
		learned, n := f.lengths.Quantile(0.99)
		switch {
		case rightSize && n >= minLearned && (p.grant == 0 || rightSizeRoom*learned < p.grant):
			p.grant = max(rightSizeRoom*learned, minResponses)
			p.charge = p.grant
		case p.grant > 0:
		case n > 0:
			p.charge = learned
		default:
			p.charge = defaultCharge
		}
	}
	if p.grant != f.req.AskTokens {
		p.send = p.grant
	}
	p.charge *= max(f.req.Choices, 1)
	return p
}

// basis says what a budget at d was computed from.
func basis(now time.Time, d *deployment, g budget.Grant) spillway.BudgetBasis {
	switch {
	case g.Fixed:
		return spillway.BudgetFixed
	case d.speed.Measured(now):
		return spillway.BudgetMeasured
	}
	return spillway.BudgetPublished
}

// mayRightSize reports whether a learned length may be sent as the limit.
func (f *Flight) mayRightSize(d *deployment) bool {
	c := f.req.Class
	return c.RightSize && c.Budget.Mode != spillway.BudgetObserve && !f.fragile(d)
}

// stuck waits for a deployment when the time allows, tries one that our own
// meter calls full when it does not, and gives up when there is none.
func (f *Flight) stuck(now time.Time) {
	if !f.cutAt.IsZero() && !now.Before(f.cutAt) {
		f.onDeadline(now)
		return
	}
	if d, ready := f.soonest(now); d != nil && f.mayWait(now, d, ready) {
		if tried, _ := f.tried(d); tried && !d.readyAt(now).After(now) {
			f.leaveQueue(now)
			f.backingOff, f.readyAt = true, ready
			return
		}
		if f.wait(now, earlier(ready, f.healed(now))) {
			return
		}
	}
	if d := f.lastResort(now); d != nil {
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

// soonest is the deployment that can be expected to take an attempt first.
// Broken ones are not waited for: nobody knows when they are back. Nor are
// those that are too slow now, with more time than there will be. One that
// failed this flight is among them only while retries are allowed, and not
// before the backoff is over.
func (f *Flight) soonest(now time.Time) (*deployment, time.Time) {
	var best *deployment
	var at time.Time
	for i, d := range f.engine.deployments {
		tried, class := f.tried(d)
		if f.elsewhere(d) || f.unfit.has(i) || d.breaker.Reason(now) == spillway.SpillBroken ||
			tried && !f.retrying || class == spillway.FailureOversized {
			continue
		}
		ready := d.readyAt(now)
		if tried && f.backoffUntil.After(ready) {
			ready = f.backoffUntil
		}
		if best == nil || ready.Before(at) {
			best, at = d, ready
		}
	}
	return best, at
}

// healed is when the first broken deployment can be probed; zero for none.
func (f *Flight) healed(now time.Time) time.Time {
	var at time.Time
	for _, d := range f.engine.deployments {
		if !f.elsewhere(d) && d.breaker.Reason(now) == spillway.SpillBroken {
			at = earlier(at, d.breaker.ReadyAt(now))
		}
	}
	return at
}

// minAnswer is the output, in tokens, that must still fit for a wait to make
// sense.
const minAnswer = 16

// DefaultMaxWait bounds the wait of a class that names no bound.
const DefaultMaxWait = 30 * time.Second

// mayWait reports whether waiting for d until ready leaves time for an answer.
func (f *Flight) mayWait(now time.Time, d *deployment, ready time.Time) bool {
	ttft, tbt := d.speed.Typical(now, d.meter.Level(now))
	need := ttft + minAnswer*tbt
	return !ready.After(f.waitLimit(now)) && admit.Feasible(now, f.cutAt, ready, need)
}

// waitLimit is when the class's patience with the queue ends.
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

// lastResort is the emptiest deployment among those that only our own meter
// holds back and that have not failed this flight. Meters can be wrong; the
// service knows.
func (f *Flight) lastResort(now time.Time) *deployment {
	var best *deployment
	lowest := 0.0
	for _, d := range f.engine.deployments {
		tried, _ := f.tried(d)
		full := d.MaxInFlight > 0 && d.inFlight >= d.MaxInFlight
		if tried || full || !d.breaker.Ready(now) || f.elsewhere(d) {
			continue
		}
		if level := d.meter.Level(now); best == nil || level < lowest {
			best, lowest = d, level
		}
	}
	return best
}
