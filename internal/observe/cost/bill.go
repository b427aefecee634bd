package cost

import (
	"maps"
	"slices"
	"time"

	spillway "github.com/spillway-ai/spillway"
)

// Capacity is what a provisioned deployment costs and what was made of it.
type Capacity struct {
	Name     string  `json:"name"`
	PTU      int     `json:"ptu"`
	HourUSD  float64 `json:"ptu_hour_usd"` // of one PTU
	PTUHours float64 `json:"ptu_hours"`
	USD      float64 `json:"usd"`
	// Used is the work done, as a share of what the PTUs can do.
	Used float64 `json:"used"`
	// AllTokensUSD is what its responses would have cost at the model's price by
	// the token; 0 where that is unknown.
	AllTokensUSD float64 `json:"at_token_price_usd"`
}

// Check holds what records say against the usage that deployments reported.
type Check struct {
	Deployment string  `json:"deployment"`
	RecordsUSD float64 `json:"records_usd"`
	// UsageUSD is the reported usage at the price that is in force now.
	UsageUSD float64 `json:"usage_usd"`
}

// Group is the lines of one dimension, the dearest first.
type Group struct {
	By    Dimension `json:"by"`
	Lines []Line    `json:"lines"`
}

// Bill is what requests of a time cost, in USD.
type Bill struct {
	From  time.Time `json:"from"`
	To    time.Time `json:"to"`
	Hours float64   `json:"hours"`

	Total  Line    `json:"total"`
	Groups []Group `json:"groups"`

	Provisioned []Capacity `json:"provisioned"`
	// UnusedPTUUSD is what provisioned deployments cost that did nothing: it is
	// in the total and in no line.
	UnusedPTUUSD float64 `json:"unused_ptu_usd"`
	// UnknownPTU are provisioned deployments without a configured PTU count.
	UnknownPTU []string `json:"unknown_ptu"`
	Checks     []Check  `json:"checks"`
	// Prices names the source of prices that are not configured.
	Prices string `json:"prices"`
}

// Bill returns the bill of the time from–to; a zero bound is that of the
// records. price is what a model's tokens cost where no deployment says so.
// The collector must not be used afterwards.
func (c *Collector) Bill(from, to time.Time, price func(model string) spillway.TokenPrice) Bill {
	if from.IsZero() {
		from = c.from
	}
	if to.IsZero() {
		to = c.to
	}
	b := Bill{
		From: from.UTC(), To: to.UTC(), Hours: max(to.Sub(from).Hours(), 0),
		Groups: []Group{}, Provisioned: []Capacity{}, UnknownPTU: []string{}, Checks: []Check{},
	}
	c.capacities(&b)
	for _, name := range slices.Sorted(maps.Keys(c.used)) {
		if check, known := c.check(name, price); known {
			b.Checks = append(b.Checks, check)
		}
	}
	b.Total = c.total
	for _, d := range c.by {
		b.Groups = append(b.Groups, Group{d, c.sorted(d)})
	}
	return b
}

// capacities bills provisioned deployments and shares the amounts out.
func (c *Collector) capacities(b *Bill) {
	for name := range c.total.work {
		if c.known[name].PTU == 0 {
			b.UnknownPTU = append(b.UnknownPTU, name)
		}
	}
	slices.Sort(b.UnknownPTU)
	for _, name := range slices.Sorted(maps.Keys(c.known)) {
		d := c.known[name]
		if d.Kind != spillway.Provisioned || d.PTU == 0 {
			continue
		}
		hours := float64(d.PTU) * b.Hours
		x := Capacity{Name: name, PTU: d.PTU, HourUSD: d.PTUHourUSD, PTUHours: hours, USD: hours * d.PTUHourUSD}
		all := c.total.work[name]
		if can := hours * 60 * float64(d.InputTPMPerPTU); can > 0 {
			x.Used = all / can
		}
		x.AllTokensUSD = c.atTokenPrice(name)
		b.Provisioned = append(b.Provisioned, x)
		c.total.PTUUSD += x.USD
		if all == 0 {
			b.UnusedPTUUSD += x.USD
			continue
		}
		for _, lines := range c.lines {
			for _, l := range lines {
				l.PTUUSD += x.USD * l.work[name] / all
			}
		}
	}
}

// check holds what the records say of a deployment against what its tokens cost; false
// where their price is unknown at every service tier.
func (c *Collector) check(name string, price func(model string) spillway.TokenPrice) (check Check, known bool) {
	check.Deployment = name
	for _, tier := range slices.Sorted(maps.Keys(c.used[name])) {
		u := c.used[name][tier]
		p := c.known[name].Price
		if !p.Known() {
			p = price(u.model)
		}
		if at, ok := p.AtServiceTier(tier); ok {
			known = true
			check.RecordsUSD += u.usd
			check.UsageUSD += at.Cost(u.tokens)
		}
	}
	return check, known
}

// atTokenPrice is what the responses of a provisioned deployment would have cost
// by the token.
func (c *Collector) atTokenPrice(name string) (usd float64) {
	for _, u := range c.answers[name] {
		usd += c.known[name].Price.Cost(u.tokens)
	}
	return usd
}
