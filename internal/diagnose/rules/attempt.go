package rules

import (
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/diagnose"
)

// attempt adds attempt number i (from 0) of a request to its deployment.
func (c *Collector) attempt(o *diagnose.Observation, a *spillway.Attempt, d *deployment, i int) {
	if !d.configured {
		d.kind, d.region = a.Kind, a.Region
		d.ratio = defaultRatio
		if d.kind == spillway.Standard {
			d.ratio = 1
		}
	}
	sent := o.Time.Add(a.Start)
	at := c.cell(d, sent)
	p := &at.parts[c.part(sent)]
	at.tries++
	p.tries++
	if o.Retry <= 0 && i == 0 {
		p.first++
	}
	c.utilization(a, at)
	switch answers := i == len(o.Attempts)-1; {
	case a.Status == 429 || a.Class == spillway.FailureRefused:
		at.refused++
		p.refused++
	case a.Class == spillway.FailureBroken || a.Class == spillway.FailureCut ||
		a.Class == spillway.FailureUnreachable || a.Class == spillway.FailureUnreadable || a.Status >= 500:
		at.broken++
		p.ok++ // it was admitted
	case answers && (o.Late() || a.Status == 408):
		at.timedOut++
		p.ok++
		c.accepted(o, a, d, at)
	case answers && o.Complete():
		at.ok++
		p.ok++
		c.accepted(o, a, d, at)
		c.speed(o, a, d, at)
	case a.Status == 200 || a.Tokens > 0:
		p.ok++
		c.accepted(o, a, d, at)
	}
}

// Utilization adds a sample of a deployment's provisioned utilization from
// Azure's metrics: the mean and the highest value of an interval, 1 when all
// capacity is used. It counts beside the utilization that answers carry.
// Observations have to be added first.
func (c *Collector) Utilization(deployment string, at time.Time, ratio, most float64) {
	if !(ratio >= 0) || !(most >= 0) {
		return
	}
	d := c.deployment(deployment, &diagnose.Observation{})
	if !d.configured {
		d.kind = spillway.Provisioned
	}
	cell := c.cell(d, at)
	cell.util += ratio
	cell.utilN++
	cell.utilMax = max(cell.utilMax, ratio, most)
	cell.metric += ratio
	cell.metricN++
	c.total.utilMetric++
}

func (c *Collector) utilization(a *spillway.Attempt, at *cell) {
	if a.Kind != spillway.Provisioned {
		return
	}
	c.total.provisionedTries++
	if a.Utilization < 0 {
		return
	}
	c.total.utilKnown++
	at.util += a.Utilization
	at.utilN++
	at.utilMax = max(at.utilMax, a.Utilization)
}

// accepted adds the work of a request that the deployment admitted.
func (c *Collector) accepted(o *diagnose.Observation, a *spillway.Attempt, d *deployment, at *cell) {
	out := max(o.CompletionTokens, a.Tokens)
	if out == 0 && o.Late() && at.pace.n > 0 {
		out = int(a.End.Seconds() * 1000 / at.pace.value()) // generated, and not seen
	}
	cached := max(o.CachedTokens, 0)
	grant := a.GrantTokens
	if grant == 0 {
		grant = max(o.AskTokens, 0)
	}
	unknown := grant == 0 && o.AskTokens < 0
	if grant == 0 && !unknown {
		at.guessed++
		grant = defaultReserveStandard
		if d.kind == spillway.Provisioned {
			grant = defaultReserveProvisioned
		}
		if o.CompletionTokens == 0 && o.Complete() {
			grant = 0 // nothing is generated
		}
	}
	if unknown {
		grant = out
	} else {
		d.grants.add(grant)
	}
	at.admitted++
	at.asked += oneIf(!unknown)
	at.counted += oneIf(o.PromptTokens > 0 || out > 0)
	at.work += float64(max(o.PromptTokens-cached, 0)) + d.cachedRatio*float64(min(cached, o.PromptTokens)) + d.ratio*float64(out)
	at.tokens += float64(o.PromptTokens + out)
	at.reserved += float64(o.PromptTokens + grant)
	at.out += float64(out)
	if held := (a.End - a.Start).Seconds(); held > 0 {
		at.excess += d.ratio * float64(max(grant-out, 0)) * held
	}
	if o.CachedTokens >= 0 && o.PromptTokens >= longPrompt {
		at.cached += float64(o.CachedTokens)
		at.cachable += float64(o.PromptTokens)
		at.longPrompts++
	}
}

// speed adds how fast a complete response was.
func (c *Collector) speed(o *diagnose.Observation, a *spillway.Attempt, d *deployment, at *cell) {
	if o.CompletionTokens > 0 {
		d.output.add(float64(o.CompletionTokens))
	}
	took := a.End - a.Start
	if took <= 0 {
		took = o.E2E - o.Queue
	}
	at.length.add(float64(o.CompletionTokens), millis(took))
	at.took.add(millis(took))
	first := a.TTFT
	if first <= 0 && len(o.Attempts) == 1 && o.TTFT > 0 {
		first = o.TTFT - a.Start
	}
	if first > 0 {
		d.ttft.add(millis(first))
		at.first.add(millis(first))
		at.prompt.add(float64(o.PromptTokens-max(o.CachedTokens, 0)), millis(first))
	}
	if first <= 0 && o.PromptTokens > 0 && o.CompletionTokens > 0 {
		at.whole.add(float64(o.PromptTokens-max(o.CachedTokens, 0)), float64(o.CompletionTokens), millis(took))
	}
	switch n := o.CompletionTokens; {
	case o.TBT > 0 && n >= 8:
		d.pace.add(millis(o.TBT))
		at.pace.add(millis(o.TBT))
	case o.TBT <= 0 && n >= derivedFrom:
		c.total.paceDerived++
		v := millis(took-first) / float64(n)
		d.pace.add(v)
		at.pace.add(v)
	}
}

// late adds a request that ran out of time to the cell of its last attempt.
func (c *Collector) late(o *diagnose.Observation) {
	left := o.Outcome == spillway.OutcomeClientGone && o.E2E >= shortWindow
	if !o.Late() && !left || len(o.Attempts) == 0 {
		return
	}
	a := &o.Attempts[len(o.Attempts)-1]
	at := c.cell(c.deployment(a.Deployment, o), o.Time.Add(a.Start))
	if left {
		at.left++
		return
	}
	c.total.lateAll++
	window := o.Window
	if window <= 0 || o.E2E > 0 && o.E2E < window*9/10 {
		window = o.E2E // the service's limit was shorter
	}
	if o.ClientTimeout > 0 {
		window = min(window, o.ClientTimeout)
	}
	switch seen := max(o.CompletionTokens, a.Tokens); {
	case 4*o.Queue >= o.E2E || a.Class == spillway.FailureRefused || a.Start > o.E2E/2:
		// The wait caused it. Add counts long waits in the queue.
		at.waited += oneIf(o.Queue < longWait)
	case window < shortWindow:
		at.lateShort++
		c.short.add(window.Seconds())
	case seen == 0 && !c.cfg.Direct && c.ttftUsual(): // other logs never say how much a failed response had
		at.lateSilent++
	default:
		at.late++
		c.windows.add(window.Seconds())
		c.lateAsks.add(o.AskTokens)
		c.total.lateUnlimited += oneIf(o.AskTokens == 0)
	}
}

// ttftUsual reports whether the time to the first token of most responses is
// known, so that a response without one says that no token came.
func (c *Collector) ttftUsual() bool { return c.total.ttftKnown > 0.5*c.total.Complete }

func millis(d time.Duration) float64 { return float64(d) / 1e6 }
