package cost

import (
	"cmp"
	"maps"
	"slices"
	"time"

	spillway "github.com/spillway-ai/spillway"
)

// Dimension is what the lines of a bill are about.
type Dimension string

// The dimensions.
const (
	ByDeployment Dimension = "deployment"
	ByCaller     Dimension = "caller"
	ByTenant     Dimension = "tenant"
	ByClass      Dimension = "class"
	ByModel      Dimension = "model"
)

// maxLines bounds the lines of one dimension: tenants are what clients say.
// Those beyond count as one.
const maxLines = 10_000

const (
	noName = "(none)"
	others = "(others)"
)

// Deployment is what is known of a deployment's price. The published figures
// of its model are to be filled in.
type Deployment struct {
	spillway.Deployment
	PTUHourUSD float64 // of one PTU
}

// Line is one line of a bill. Amounts are in USD.
type Line struct {
	Name     string `json:"name"`
	Requests int    `json:"requests"` // at a deployment: those that it answered
	Attempts int    `json:"attempts"`
	// Tokens are of responses; those that the deployment reported, or our own
	// counts.
	PromptTokens     int64 `json:"prompt_tokens"`
	CachedTokens     int64 `json:"cached_tokens"`
	CacheWriteTokens int64 `json:"cache_write_tokens"`
	CompletionTokens int64 `json:"completion_tokens"`
	ReasoningTokens  int64 `json:"reasoning_tokens"`
	Unreported       int   `json:"unreported"` // requests whose tokens are our own counts
	Unpriced         int   `json:"unpriced"`   // attempts whose price is unknown
	// TokenUSD is what standard deployments charge; EstimatedUSD the part of it
	// that rests on our own counts, UnusedUSD the part of attempts whose response
	// nobody got.
	TokenUSD     float64 `json:"token_usd"`
	EstimatedUSD float64 `json:"estimated_usd"`
	UnusedUSD    float64 `json:"unused_usd"`
	// PTUUSD is the share of provisioned capacity, by the work done there.
	PTUUSD float64 `json:"ptu_usd"`

	work map[string]float64 // by provisioned deployment, input-token equivalents
}

// USD is the line's whole amount.
func (l *Line) USD() float64 { return l.TokenUSD + l.PTUUSD }

// Collector adds records up.
type Collector struct {
	known    map[string]Deployment
	by       []Dimension
	lines    map[Dimension]map[string]*Line
	total    Line
	from, to time.Time
	used     usages
	// answers are those of provisioned deployments.
	answers usages
}

// usages are what deployments reported, by deployment and service tier.
type usages map[string]map[string]*usage

// usage is what a deployment reported of responses that it bills by the token.
type usage struct {
	model  string
	tokens spillway.TokenCount
	usd    float64
}

// of returns the usage of a deployment at a service tier.
func (u usages) of(deployment, tier, model string) *usage {
	byTier := u[deployment]
	if byTier == nil {
		byTier = map[string]*usage{}
		u[deployment] = byTier
	}
	if byTier[tier] == nil {
		byTier[tier] = &usage{model: model}
	}
	return byTier[tier]
}

// NewCollector returns one that has seen nothing. Deployments that nobody
// names are billed as their records say; their PTUs are unknown.
func NewCollector(deployments []Deployment, by []Dimension) *Collector {
	c := &Collector{
		known: map[string]Deployment{}, by: by, lines: map[Dimension]map[string]*Line{},
		total: Line{Name: "all", work: map[string]float64{}}, used: usages{}, answers: usages{},
	}
	for _, d := range deployments {
		c.known[d.Name] = d
	}
	for _, d := range by {
		c.lines[d] = map[string]*Line{}
	}
	return c
}

// Add takes a record, which it does not keep.
func (c *Collector) Add(r *spillway.Record) {
	if c.from.IsZero() || r.Time.Before(c.from) {
		c.from = r.Time
	}
	if end := r.Time.Add(r.E2E); end.After(c.to) {
		c.to = end
	}
	answer := r.Answer()
	c.reported(r, answer)
	c.total.request(r)
	for _, d := range c.by {
		if d != ByDeployment {
			l := c.line(d, nameOf(d, r))
			l.request(r)
		}
	}
	if answer != nil && slices.Contains(c.by, ByDeployment) {
		c.line(ByDeployment, answer.Deployment).request(r)
	}
	for i := range r.Attempts {
		a := &r.Attempts[i]
		for _, l := range c.linesOf(r, a) {
			l.attempt(r, a, a == answer)
		}
		if a.Kind == spillway.Provisioned && a.ServedBy == "" {
			c.worked(r, a, a == answer)
		}
	}
}

// linesOf are those that an attempt counts for.
func (c *Collector) linesOf(r *spillway.Record, a *spillway.Attempt) []*Line {
	all := []*Line{&c.total}
	for _, d := range c.by {
		name := a.Deployment
		if d != ByDeployment {
			name = nameOf(d, r)
		}
		all = append(all, c.line(d, name))
	}
	return all
}

// request adds a response's tokens.
func (l *Line) request(r *spillway.Record) {
	l.Requests++
	l.PromptTokens += int64(r.Usage.Prompt)
	l.CachedTokens += int64(r.Usage.Cached)
	l.CacheWriteTokens += int64(r.Usage.CacheWrite)
	l.CompletionTokens += int64(r.Usage.Completion)
	l.ReasoningTokens += int64(r.Usage.Reasoning)
	if !r.Usage.Known && r.Usage != (spillway.Usage{}) {
		l.Unreported++
	}
}

// attempt adds what an attempt cost by the token.
func (l *Line) attempt(r *spillway.Record, a *spillway.Attempt, answers bool) {
	l.Attempts++
	if a.CostUSD < 0 {
		l.Unpriced++
		return
	}
	l.TokenUSD += a.CostUSD
	if !answers || !r.Usage.Known {
		l.EstimatedUSD += a.CostUSD
	}
	if !answers {
		l.UnusedUSD += a.CostUSD
	}
}

// worked adds what an attempt did at a provisioned deployment.
func (c *Collector) worked(r *spillway.Record, a *spillway.Attempt, answers bool) {
	const usual = 4 // what an output token weighs at most models
	ratio := cmp.Or(c.known[a.Deployment].OutputRatio, usual)
	work := 0.0
	switch {
	case answers:
		cached := c.known[a.Deployment].CachedRatio * float64(max(min(r.Usage.Cached, r.Usage.Prompt), 0))
		work = float64(max(r.Usage.Prompt-r.Usage.Cached, 0)) + cached + ratio*float64(r.Usage.Completion)
	case a.Tokens > 0:
		work = float64(r.PromptEstimate) + ratio*float64(a.Tokens)
	}
	if work == 0 {
		return
	}
	for _, l := range c.linesOf(r, a) {
		l.work[a.Deployment] += work
	}
}

// reported notes what a bill can be held against, and what provisioned
// deployments answered.
func (c *Collector) reported(r *spillway.Record, answer *spillway.Attempt) {
	if answer == nil {
		return
	}
	sums := c.used
	switch {
	case answer.Kind == spillway.Provisioned:
		sums = c.answers
	case !r.Usage.Known || answer.CostUSD < 0:
		return
	}
	u := sums.of(answer.Deployment, r.BilledTier(answer), r.Model)
	u.tokens.Prompt += int64(r.Usage.Prompt)
	u.tokens.Cached += int64(r.Usage.Cached)
	u.tokens.CacheWrite += int64(r.Usage.CacheWrite)
	u.tokens.Completion += int64(r.Usage.Completion)
	u.usd += answer.CostUSD
}

func nameOf(d Dimension, r *spillway.Record) string {
	name := ""
	switch d {
	case ByCaller:
		name = r.Caller
	case ByTenant:
		name = r.Tenant
	case ByClass:
		name = r.Class
	case ByModel:
		name = cmp.Or(r.Model, r.Pool)
	case ByDeployment:
	}
	return cmp.Or(name, noName)
}

func (c *Collector) line(d Dimension, name string) *Line {
	all := c.lines[d]
	l := all[name]
	if l == nil && len(all) >= maxLines {
		name = others
		l = all[name]
	}
	if l == nil {
		l = &Line{Name: name, work: map[string]float64{}}
		all[name] = l
	}
	return l
}

// sorted are the lines of a dimension, the dearest first.
func (c *Collector) sorted(d Dimension) []Line {
	var all []Line
	for _, name := range slices.Sorted(maps.Keys(c.lines[d])) {
		all = append(all, *c.lines[d][name])
	}
	slices.SortStableFunc(all, func(a, b Line) int { return cmp.Compare(b.USD(), a.USD()) })
	return all
}
