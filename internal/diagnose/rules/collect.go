package rules

import (
	"cmp"
	"maps"
	"slices"
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
	// Direct says that the observations are logs of others, which do not tell of
	// what kind a deployment is.
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
	derivedFrom = 256 // output tokens from which on a whole answer tells the pace
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
	whole    sketch  // s of complete answers
	asks     choices // output tokens asked for
	classes  map[string]*classCount
	outputs  sketch  // output tokens of complete answers
	lateAsks choices // asked for by those that ran out of time
	heat     heatmaps
	answered struct{ n, tokens float64 } // complete answers
}

// totals are over all observations.
type totals struct {
	Tries, Calls, Complete, Timeout, Cut, Refused, Failed, Gone, Truncated float64
	retries                                                                [8]float64 // by the client's retry number, the last for more
	attempts                                                               float64
	unlimited                                                              float64 // asked without a limit
	ttftKnown, paceKnown, paceDerived, promptKnown, cachedKnown            float64
	utilKnown, provisionedTries, windowKnown, generating                   float64
	utilMetric                                                             float64 // samples of the service's metrics
	withoutDeployment, lateUnlimited, lateAll                              float64
	retryBuckets                                                           map[int64]*retryCell
}

// retryCell is how much of a bucket's traffic was said before.
type retryCell struct{ first, tries, deep, failed, late, refused float64 }

// NewCollector returns one that has seen nothing.
func NewCollector(cfg Config) *Collector {
	return &Collector{
		cfg: cfg, bucket: firstBucket, deployments: map[string]*deployment{}, homes: map[string]*deployment{},
		callers: map[callerKey]*caller{}, classes: map[string]*classCount{}, total: totals{retryBuckets: map[int64]*retryCell{}},
	}
}

// Add takes an observation, which it does not keep. Observations may come in
// any order.
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
	at.lost += one(o.Failed())
	if len(o.Attempts) == 0 {
		switch {
		case o.Refused():
			at.unsent++
			at.parts[c.part(o.Time)].refused++
		case o.Outcome == spillway.OutcomeUpstreamError:
			at.unsentBroken++
		}
		if o.Retry == 0 {
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
		t.generating += one(o.CompletionTokens > 0)
		t.ttftKnown += one(o.TTFT > 0)
		t.paceKnown += one(o.TBT > 0)
		t.promptKnown += one(o.PromptTokens > 0)
		t.cachedKnown += one(o.CachedTokens >= 0)
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
	t.Truncated += one(o.Outcome == spillway.OutcomeTruncatedBudget)
	t.Failed += one(o.Failed())
	t.windowKnown += one(o.Window > 0)
	r.failed += one(o.Failed())
	r.late += one(o.Late())
	r.refused += one(o.Refused())
	c.asks.add(o.AskTokens)
	t.unlimited += one(o.AskTokens == 0)
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
	n.late += one(o.Late())
}

func one(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// deployment returns the named one, new or known.
func (c *Collector) deployment(name string, o *diagnose.Observation) *deployment {
	name = cmp.Or(name, unknownDeployment)
	d := c.deployments[name]
	if d != nil {
		return d
	}
	if len(c.deployments) >= maxDeployments {
		name = others
		if d = c.deployments[name]; d != nil {
			return d
		}
	}
	d = &deployment{
		name: name, model: o.Model, pool: o.Pool, ratio: defaultRatio,
		byBucket: map[int64]*cell{}, spilledTo: map[string]*spill{},
	}
	for _, known := range c.cfg.Deployments {
		if known.Name == name {
			d.known, d.told, d.model, d.region, d.kind = known, true, known.Model, known.Region, known.Kind
			if known.OutputRatio > 0 {
				d.ratio = known.OutputRatio
			}
		}
	}
	if d.kind == spillway.Standard && d.told {
		d.ratio = 1
	}
	c.deployments[name] = d
	return d
}

// home is where a request's pool begins: what it did without an attempt counts
// there.
func (c *Collector) home(o *diagnose.Observation) *deployment {
	key := o.Pool + "\x00" + o.Model
	h := c.homes[key]
	for i := range o.Attempts {
		a := &o.Attempts[i]
		d := c.deployment(a.Deployment, o)
		d.tier = a.Tier
		if h == nil || h.name == unknownDeployment || d.tier < h.tier {
			h = d
			c.homes[key] = d
		}
	}
	if h == nil {
		c.total.withoutDeployment++
		h = c.deployment("", o)
	}
	return h
}

func (c *Collector) number(t time.Time) int64 { return t.Unix() / int64(c.bucket/time.Second) }

func (c *Collector) part(t time.Time) int {
	width := int64(c.bucket / time.Second)
	return int(((t.Unix()%width)+width)%width) * parts / int(width)
}

// cell is the deployment's of that time.
func (c *Collector) cell(d *deployment, t time.Time) *cell {
	n := c.number(t)
	if d.last != nil && d.last.at == n {
		return d.last
	}
	at := d.byBucket[n]
	if at == nil {
		at = &cell{at: n}
		d.byBucket[n] = at
		c.cells++
	}
	d.last = at
	return at
}

// spill notes a request that went on to another tier.
func (c *Collector) spill(home *deployment, to string, o *diagnose.Observation) {
	s := home.spilledTo[to]
	if s == nil {
		s = &spill{}
		home.spilledTo[to] = s
	}
	s.n++
	s.refused += one(o.Refused())
}

// caller adds to what the caller did.
func (c *Collector) caller(o *diagnose.Observation, home *deployment) {
	name := cmp.Or(o.Who(), unknownDeployment)
	who := c.callers[callerKey{home.pool, name}]
	if who == nil {
		if len(c.callers) >= maxCallers {
			name = others
			who = c.callers[callerKey{home.pool, name}]
		}
		if who == nil {
			who = &caller{name: name, byBucket: map[int64]*callerCell{}}
			c.callers[callerKey{home.pool, name}] = who
		}
	}
	at := who.byBucket[c.number(o.Time)]
	if at == nil {
		at = &callerCell{}
		who.byBucket[c.number(o.Time)] = at
		c.callerCells++
	}
	if o.Retry <= 0 { // what is said again is no more work
		at.requests++
		out := o.CompletionTokens
		if o.Failed() && out == 0 {
			out = int(share(c.answered.tokens, c.answered.n))
		}
		at.work += float64(o.PromptTokens) + home.ratio*float64(out)
	}
	at.met += one(o.Refused() || o.Queue >= longWait)
}

// coarsen doubles the length of the buckets.
func (c *Collector) coarsen() {
	c.bucket *= 2
	c.cells, c.callerCells = 0, 0
	half := func(n int64) int64 { return n >> 1 }
	for _, d := range c.deployments {
		old := d.byBucket
		d.byBucket, d.last = map[int64]*cell{}, nil
		for _, n := range slices.Sorted(maps.Keys(old)) {
			at := d.byBucket[half(n)]
			if at == nil {
				at = &cell{at: half(n)}
				d.byBucket[half(n)] = at
				c.cells++
			}
			at.join(old[n], n&1 == 1)
		}
	}
	for _, who := range c.callers {
		old := who.byBucket
		who.byBucket = map[int64]*callerCell{}
		for n, v := range old {
			at := who.byBucket[half(n)]
			if at == nil {
				at = &callerCell{}
				who.byBucket[half(n)] = at
				c.callerCells++
			}
			at.requests += v.requests
			at.work += v.work
			at.met += v.met
		}
	}
	old := c.total.retryBuckets
	c.total.retryBuckets = map[int64]*retryCell{}
	for n, v := range old {
		at := c.total.retryBuckets[half(n)]
		if at == nil {
			at = &retryCell{}
			c.total.retryBuckets[half(n)] = at
		}
		at.first += v.first
		at.tries += v.tries
		at.deep += v.deep
		at.failed += v.failed
		at.late += v.late
		at.refused += v.refused
	}
}
