package rules

import (
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/diagnose"
)

// Config says what is known besides the observations. The zero value is
// usable.
type Config struct {
	// Deployments are the capacities that the operator knows, with their
	// model's figures filled in; without them capacity is inferred.
	Deployments []spillway.Deployment
	// Direct says that the observations come from others' logs, which do not have
	// the kinds of deployments.
	Direct bool
}

// Bounds of what a collector keeps. Where there are more cells, buckets double
// their length; callers beyond the bound count as one.
const (
	maxCells       = 1 << 15
	maxCallers     = 512
	maxDeployments = 256
	firstBucket    = time.Minute
	defaultRatio   = 4 // input tokens per output token, of most models on PTU
	// What Azure reserves for a request without a limit is not published; these
	// are what the simulator takes.
	defaultReserveProvisioned = 4096
	defaultReserveStandard    = 16
	longPrompt                = 1024 // tokens from which on prompts are cached
	others                    = "(others)"
	unknownDeployment         = "(unknown)"
	// shortWindow is below what services allow by themselves: about a minute.
	shortWindow = 45 * time.Second
	longWait    = 2 * time.Second
	derivedFrom = 256 // output tokens from which a whole response gives the pace
)

// Collector adds observations up. It is not safe for concurrent use.
type Collector struct {
	cfg    Config
	bucket time.Duration
	cells  int

	deployments map[string]*deployment
	homes       map[string]*deployment // of a pool: its first tier
	callers     map[callerKey]*caller
	callerCells int

	from, to time.Time
	total    totals
	windows  sketch  // of what ran out of a long window, s
	gone     sketch  // s after which clients left
	short    sketch  // s of the short windows that ran out
	whole    sketch  // s of complete responses
	asks     choices // output tokens asked for
	classes  map[string]*classCount
	outputs  sketch  // output tokens of complete responses
	lateAsks choices // asked for by those that ran out of time
	heat     heatmaps
	answered struct{ n, tokens float64 } // complete responses
}

// totals are over all observations.
type totals struct {
	Tries, Calls, Complete, Timeout, Cut, Refused, Failed, Gone, Truncated float64
	retries                                                                [8]float64 // by the client's retry number, the last for more
	attempts                                                               float64
	unlimited                                                              float64 // asked without a limit
	ttftKnown, paceKnown, paceDerived, promptKnown, cachedKnown            float64
	utilKnown, provisionedTries, windowKnown, retryKnown, generating       float64
	utilMetric                                                             float64 // samples of the service's metrics
	withoutDeployment, lateUnlimited, lateAll                              float64
	retryBuckets                                                           map[int64]*retryCell
}

// retryCell is how much of a bucket's traffic was retries.
type retryCell struct{ first, tries, deep, failed, late, refused float64 }

// NewCollector returns a collector without observations.
func NewCollector(cfg Config) *Collector {
	return &Collector{
		cfg: cfg, bucket: firstBucket, deployments: map[string]*deployment{}, homes: map[string]*deployment{},
		callers: map[callerKey]*caller{}, classes: map[string]*classCount{}, total: totals{retryBuckets: map[int64]*retryCell{}},
	}
}

// Add adds an observation, which it does not keep. Observations may come in any
// order.
func (c *Collector) Add(o *diagnose.Observation) {
	if o.Outcome == spillway.OutcomeRefusedInvalid || o.Outcome == spillway.OutcomeRefusedBudget {
		c.total.Tries++
		return
	}
	if c.from.IsZero() || o.Time.Before(c.from) {
		c.from = o.Time
	}
	if o.Time.After(c.to) {
		c.to = o.Time
	}
	c.count(o)
	c.class(o)
	home := c.home(o)
	spilled := ""
	for i := range o.Attempts {
		d := c.deployment(o.Attempts[i].Deployment, o)
		c.attempt(o, &o.Attempts[i], d, i)
		if d != home && d.tier > home.tier {
			spilled = d.name
		}
	}
	at := c.cell(home, o.Time)
	at.lost += oneIf(o.Failed())
	if len(o.Attempts) == 0 {
		switch {
		case o.Refused():
			at.unsent++
			at.parts[c.part(o.Time)].refused++
		case o.Outcome == spillway.OutcomeUpstreamError:
			at.unsentBroken++
		}
		if o.Retry <= 0 {
			at.parts[c.part(o.Time)].first++
		}
		at.parts[c.part(o.Time)].tries++
	}
	if o.Spill == spillway.SpillBroken && len(o.Attempts) > 0 && o.Attempts[0].Deployment != home.name {
		at.skipped++
	}
	if o.Queue >= longWait && !o.Refused() {
		at.waited++
	}
	if spilled != "" {
		c.spill(home, spilled, o)
	}
	c.late(o)
	c.caller(o, home)
	if c.cells > maxCells || c.callerCells > maxCells {
		c.coarsen()
	}
}

// count adds to what is counted over all.
func (c *Collector) count(o *diagnose.Observation) {
	t := &c.total
	t.Tries++
	t.attempts += float64(len(o.Attempts))
	t.retryKnown += oneIf(o.Retry >= 0)
	t.retries[min(max(o.Retry, 0), len(t.retries)-1)]++
	r := t.retryBuckets[c.number(o.Time)]
	if r == nil {
		r = &retryCell{}
		t.retryBuckets[c.number(o.Time)] = r
	}
	r.tries++
	switch {
	case o.Retry <= 0:
		t.Calls++
		r.first++
	case o.Retry >= 3:
		r.deep++
	}
	switch {
	case o.Complete():
		t.Complete++
		c.whole.add(o.E2E.Seconds())
		c.outputs.add(float64(o.CompletionTokens))
		c.answered.n++
		c.answered.tokens += float64(o.CompletionTokens)
		t.generating += oneIf(o.CompletionTokens > 0)
		t.ttftKnown += oneIf(o.TTFT > 0)
		t.paceKnown += oneIf(o.TBT > 0)
		t.promptKnown += oneIf(o.PromptTokens > 0)
		t.cachedKnown += oneIf(o.CachedTokens >= 0)
	case o.Outcome == spillway.OutcomeTimeout:
		t.Timeout++
	case o.Outcome == spillway.OutcomeTruncatedDeadline:
		t.Cut++
	case o.Refused():
		t.Refused++
	case o.Outcome == spillway.OutcomeClientGone:
		t.Gone++
		c.gone.add(o.E2E.Seconds())
	}
	t.Truncated += oneIf(o.Outcome == spillway.OutcomeTruncatedBudget)
	t.Failed += oneIf(o.Failed())
	t.windowKnown += oneIf(o.Window > 0)
	r.failed += oneIf(o.Failed())
	r.late += oneIf(o.Late())
	r.refused += oneIf(o.Refused())
	c.asks.add(o.AskTokens)
	t.unlimited += oneIf(o.AskTokens == 0)
	c.heat.add(o)
}

// classCount is how many tries a class of traffic made, and how many of them
// ran out of time.
type classCount struct{ tries, late float64 }

func (c *Collector) class(o *diagnose.Observation) {
	n := c.classes[o.Class]
	if n == nil {
		if len(c.classes) >= maxCallers {
			return
		}
		n = &classCount{}
		c.classes[o.Class] = n
	}
	n.tries++
	n.late += oneIf(o.Late())
}

// oneIf is 1 for true and 0 for false, to be added up.
func oneIf(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
