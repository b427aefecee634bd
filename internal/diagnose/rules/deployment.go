package rules

import (
	"cmp"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/diagnose"
)

// deployment is everything about one deployment.
type deployment struct {
	name, region, model, pool string
	kind                      spillway.Kind
	tier                      int
	known                     spillway.Deployment // as configured; zero where it is not
	configured                bool
	ratio                     float64 // input tokens that an output token weighs
	cachedRatio               float64 // what a cached input token weighs, as a part of another's

	byBucket map[int64]*cell
	last     *cell
	cells    []*cell // sorted, once all are there

	pace, ttft, output sketch
	grants             choices
	spilledTo          map[string]*spill
}

// spill counts requests that this deployment's pool sent on to another tier.
type spill struct{ n, refused float64 }

// deployment returns the named deployment. It adds it where it is new.
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
			d.known, d.configured, d.model, d.region, d.kind = known, true, known.Model, known.Region, known.Kind
			if known.OutputRatio > 0 {
				d.ratio = known.OutputRatio
			}
			d.cachedRatio = known.CachedRatio
		}
	}
	if d.kind == spillway.Standard && d.configured {
		d.ratio, d.cachedRatio = 1, 0
	}
	c.deployments[name] = d
	return d
}

// home is the deployment in the first tier of a request's pool. Requests without
// an attempt count there.
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

// cell returns the deployment's cell of that time.
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

// spill counts a request that was sent on to another tier.
func (c *Collector) spill(home *deployment, to string, o *diagnose.Observation) {
	s := home.spilledTo[to]
	if s == nil {
		s = &spill{}
		home.spilledTo[to] = s
	}
	s.n++
	s.refused += oneIf(o.Refused())
}

// sum joins the cells that keep accepts.
func (d *deployment) sum(keep func(*cell) bool) cell {
	var all cell
	for _, c := range d.cells {
		if keep(c) {
			all.join(c, false)
		}
	}
	return all
}

func anyCell(*cell) bool { return true }

// capacity is the tokens per second that a provisioned deployment drains; 0
// where it is not known.
func (d *deployment) capacity() float64 {
	return float64(d.known.PTU) * float64(d.known.InputTPMPerPTU) / 60
}

// calm reports whether nothing else explains what happened in a cell.
func calm(c *cell) bool { return !c.outage && !c.slow }

// pressed are the cells in which at least the share met want of capacity.
func (d *deployment) pressed(least float64) []*cell {
	var out []*cell
	for _, c := range d.cells {
		if met, all := c.pressure(); !c.outage && met >= 3 && share(met, all) >= least {
			out = append(out, c)
		}
	}
	return out
}

// joined is the sum of cells.
func joined(cells []*cell) cell {
	var all cell
	for _, c := range cells {
		all.join(c, false)
	}
	return all
}

// poolName is the name of the deployment's pool, for configuration snippets.
func (d *deployment) poolName() string {
	if d.pool != "" {
		return d.pool
	}
	return "chat"
}
