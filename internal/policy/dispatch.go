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
	send    int // token limit to send, when it differs from the client's own; else 0
	grant   int // token limit that applies; 0 for none
	budget  int // what fits; 0 for unbounded
	charge  int // output tokens that the service will reserve, over all choices
	observe int // what clamp would have sent, in mode observe
	spill   spillway.SpillReason
	hedge   bool
}

// defaultCharge is what the service is taken to reserve for an answer without
// a token limit, as long as nothing is learned. Azure documents no figure.
const defaultCharge = 512

// minLearned is how many answers a learned length needs to be sent as limit.
const minLearned = 100

// dispatch finds a deployment for the next attempt and sends it, or waits, or
// gives up.
func (f *Flight) dispatch(now time.Time) {
	var slow deploymentSet
	for {
		choice := f.pick(now, slow)
		if !choice.OK {
			f.stuck(now, slow)
			return
		}
		d := f.engine.deployments[choice.Index]
		g := f.compute(now, d)
		switch {
		case g.Reject:
			f.record.BudgetTokens = g.Budget
			f.refuse(now, spillway.OutcomeRefusedBudget, spillway.Refusal{
				Code: spillway.RefusalTooLarge, Status: 400, FitTokens: g.FitTokens,
			})
			return
		case !g.Feasible:
			slow.add(choice.Index)
			f.tooSlow = true
			continue
		}
		p := f.plan(now, d, g)
		p.spill = choice.Reason
		f.send(now, d, p)
		f.armHedge(now, d)
		return
	}
}

// deploymentSet is a set of indices into the engine's deployments.
type deploymentSet uint64

func (s *deploymentSet) add(i int)     { *s |= 1 << i }
func (s deploymentSet) has(i int) bool { return s&(1<<i) != 0 }

// pick asks route for a deployment, leaving out those that are too slow.
func (f *Flight) pick(now time.Time, slow deploymentSet) route.Choice {
	e := f.engine
	e.candidates = e.candidates[:0]
	for i, d := range e.deployments {
		if f.elsewhere(d) {
			continue
		}
		c := d.candidate(now, i)
		if slow.has(i) {
			c.Blocked = spillway.SpillSlow
		}
		c.Tried, c.Failed = f.tried(d)
		e.candidates = append(e.candidates, c)
	}
	draw := 0.0
	if len(e.candidates) > 1 {
		draw = e.rnd()
	}
	return route.Pick(e.candidates, route.Config{
		Strategy: e.cfg.Strategy, SpillAt: e.cfg.Pool.SpillAt, MaxTiers: e.cfg.Pool.MaxTiers,
		AllowTried: f.repeat,
	}, f.req.Affinity, draw)
}

// elsewhere reports whether the request is pinned to another deployment than d.
// A pin to one that the pool no longer has means nothing.
func (f *Flight) elsewhere(d *deployment) bool {
	return f.req.Pin != "" && d.Name != f.req.Pin && f.engine.find(f.req.Pin) != nil
}

// tried reports whether an attempt of this flight has been at d, and how it
// failed there.
func (f *Flight) tried(d *deployment) (bool, spillway.SpillReason) {
	for i := f.n - 1; i >= 0; i-- {
		if a := &f.attempts[i]; a.deployment == d {
			return true, spillFor(a.failed)
		}
	}
	return false, spillway.SpillNone
}

// spillFor is the reason to spill after a failure.
func spillFor(class spillway.FailureClass) spillway.SpillReason {
	switch class {
	case spillway.FailureRefused:
		return spillway.SpillRefused
	case spillway.FailureSlow, spillway.FailureOversized, spillway.FailureNone:
		return spillway.SpillSlow
	}
	return spillway.SpillBroken
}

// compute budgets an attempt at d that starts now.
func (f *Flight) compute(now time.Time, d *deployment) budget.Grant {
	if !f.req.API.Generates() {
		return budget.Grant{Feasible: true}
	}
	level, q := d.meter.Level(now), f.quantile()
	fastTTFT, fastTBT := d.speed.Fastest(now)
	return budget.Compute(budget.Input{
		Rule:        f.req.Class.Budget,
		HasDeadline: !f.deadline.IsZero(),
		Left:        f.deadline.Sub(now),
		Window:      f.record.Window,
		Ask:         f.req.AskTokens,
		Choices:     f.req.Choices,
		Stream:      f.req.Stream,
		Fragile:     f.req.Structured || f.req.Tools || f.req.Reasoning || d.Reasoning,
		CanCut:      f.req.Stream || f.canAssemble(),
		TTFT:        d.speed.TTFT(now, level, q),
		TBT:         d.speed.TBT(now, level, q),
		FastTTFT:    fastTTFT,
		FastTBT:     fastTBT,
	})
}

// plan turns a grant into what is sent and what the service will reserve.
func (f *Flight) plan(now time.Time, d *deployment, g budget.Grant) plan {
	p := plan{grant: g.Tokens, observe: g.Observed}
	if g.Bounded {
		p.budget = g.Budget
	}
	if !f.req.API.Generates() {
		return p
	}
	learned, n := f.engine.lengths.Quantile(now, f.key(), 0.99)
	if f.req.Class.RightSize && n >= minLearned && !d.Reasoning && learned > 0 && (p.grant == 0 || learned < p.grant) {
		p.grant = learned
	}
	if p.grant != f.req.AskTokens {
		p.send = p.grant
	}
	p.charge = p.grant
	if p.charge == 0 {
		if p.charge = learned; n == 0 {
			p.charge = defaultCharge
		}
	}
	p.charge *= max(f.req.Choices, 1)
	return p
}

// stuck waits for a deployment when the time allows, tries one that our own
// meter calls full when it does not, and gives up when there is none.
func (f *Flight) stuck(now time.Time, slow deploymentSet) {
	if !f.cutAt.IsZero() && !now.Before(f.cutAt) {
		f.onDeadline(now)
		return
	}
	if d, ready := f.soonest(now, slow); d != nil && f.mayWait(now, d, ready) {
		if tried, _ := f.tried(d); tried && !d.readyAt(now).After(now) {
			f.leaveQueue(now)
			f.backingOff, f.readyAt = true, ready
			return
		}
		if f.wait(now, ready) {
			return
		}
	}
	if i, ok := f.lastResort(now, slow); ok {
		d := f.engine.deployments[i]
		if g := f.compute(now, d); g.Feasible && !g.Reject {
			p := f.plan(now, d, g)
			p.spill = spillway.SpillQueue
			f.send(now, d, p)
			return
		}
	}
	f.giveUp(now)
}

// soonest is the deployment that can be expected to take an attempt first.
// Broken ones are not waited for: nobody knows when they are back. One
// that failed this flight is among them only while retries are allowed, and
// not at once.
func (f *Flight) soonest(now time.Time, slow deploymentSet) (*deployment, time.Time) {
	var best *deployment
	var at time.Time
	for i, d := range f.engine.deployments {
		if slow.has(i) || f.elsewhere(d) || d.breaker.Reason(now) == spillway.SpillBroken {
			continue
		}
		ready := d.readyAt(now)
		if tried, _ := f.tried(d); tried {
			if !f.retrying {
				continue
			}
			if backoff := now.Add(f.engine.cfg.Retry.Backoff(f.n, f.engine.rnd())); backoff.After(ready) {
				ready = backoff
			}
		}
		if best == nil || ready.Before(at) {
			best, at = d, ready
		}
	}
	return best, at
}

// minAnswer is the output, in tokens, that must still fit for a wait to make
// sense.
const minAnswer = 16

// defaultMaxWait bounds the wait of a class that names no bound.
const defaultMaxWait = 30 * time.Second

// mayWait reports whether waiting for d until ready leaves time for an answer.
func (f *Flight) mayWait(now time.Time, d *deployment, ready time.Time) bool {
	level := d.meter.Level(now)
	need := d.speed.TTFT(now, level, 0.5) + minAnswer*d.speed.TBT(now, level, 0.5)
	return !ready.After(f.waitLimit(now)) && admit.Feasible(now, f.cutAt, ready, need)
}

// waitLimit is when the class's patience with the queue ends.
func (f *Flight) waitLimit(now time.Time) time.Time {
	wait := f.req.Class.MaxWait
	if wait <= 0 {
		wait = defaultMaxWait
	}
	if f.queued {
		return f.queuedAt.Add(wait)
	}
	return now.Add(wait)
}

// lastResort is the emptiest deployment among those that only our own meter
// holds back and that have not failed this flight. Meters can be wrong; the
// service knows.
func (f *Flight) lastResort(now time.Time, slow deploymentSet) (int, bool) {
	best, at := 0.0, -1
	for i, d := range f.engine.deployments {
		tried, _ := f.tried(d)
		full := d.MaxInFlight > 0 && d.inFlight >= d.MaxInFlight
		if tried || full || slow.has(i) || !d.breaker.Ready(now) || f.elsewhere(d) {
			continue
		}
		if level := d.meter.Level(now); at < 0 || level < best {
			best, at = level, i
		}
	}
	return at, at >= 0
}
