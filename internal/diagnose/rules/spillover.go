package rules

import (
	"fmt"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/diagnose"
	"github.com/spillway-ai/spillway/internal/numeral"
)

// Thresholds: at least twenty requests spilled from one tier to another that
// was refusing as well: 15% and more of its attempts, in the buckets in
// which the first was short.
const (
	spilledLeast   = 20
	spilledRefused = 0.15
)

// saturatedSpillover looks for overflow that goes where there is no room either.
func saturatedSpillover(f *facts) {
	for _, d := range f.all {
		cells, met := f.pressedEnough(d)
		if cells == nil {
			continue
		}
		for _, o := range f.all {
			s := d.spilledTo[o.name]
			if s == nil || s.n < spilledLeast {
				continue
			}
			same := o.sum(func(c *cell) bool { return has(cells, c.at) })
			there := share(same.refused, same.tries)
			lost := share(s.refused+f.unsentOf(d), s.n+f.unsentOf(d))
			if max(there, lost) < spilledRefused || same.refused < 5 {
				continue
			}
			f.spills(d, o, cells, overflow{n: s.n, there: there, lost: lost, met: met, broken: share(same.broken, same.tries)})
			return
		}
	}
	fullBehind(f)
}

// fullBehind looks for the same in the logs of gateways that name only the last
// attempt of a request: a provisioned deployment is full, and a standard one, which
// answers requests for the same, refuses.
func fullBehind(f *facts) {
	if !f.cfg.Direct {
		return
	}
	for _, o := range f.all {
		cells, met := f.pressedEnough(o)
		if cells == nil || o.kind != spillway.Standard || o.pool == "" {
			continue
		}
		same := joined(cells)
		there := share(same.refused, same.tries)
		for _, d := range f.all {
			first := d.sum(func(c *cell) bool { return has(cells, c.at) })
			if d.kind != spillway.Provisioned || d.pool != o.pool || first.utilN == 0 || first.utilMax < fullMark || first.ok < spilledLeast {
				continue
			}
			if there < spilledRefused || same.tries < spilledLeast {
				continue
			}
			f.spills(d, o, cells, overflow{n: same.tries, there: there, lost: share(same.refused, same.tries+first.tries), met: met, broken: share(same.broken, same.tries)})
			return
		}
	}
}

// overflow is what went from one tier to another, and what became of it.
type overflow struct {
	n      float64
	there  float64 // share refused there
	lost   float64 // share refused by both
	met    float64 // requests refused or queued
	broken float64 // share that failed there
}

func (f *facts) spills(d, o *deployment, cells []*cell, s overflow) {
	f.report(diagnose.Finding{
		Code: diagnose.SaturatedSpillover, Subject: o.name, Confidence: 0.65 + 0.6*max(s.there, s.lost),
		Title:    fmt.Sprintf("%s spills to %s, which refuses %s of the requests", d.name, o.name, numeral.Percent(s.there)),
		Affected: share(min(s.met, f.total.Refused), f.total.Tries),
		Evidence: []diagnose.Evidence{
			measured("requests spilled", s.n, "count", "spill, attempts.tier"),
			measured("refused there", s.there, "share", "attempts.status 429"),
			measured("refused by both", s.lost, "share", "outcome"),
		},
		RuledOut: []diagnose.RuledOut{ruledOut(diagnose.RegionalOutage, "not an outage: "+numeral.Percent(s.broken)+" of attempts fail there")},
		Remedy: diagnose.Remedy{
			Text:   "spill to dedicated capacity in a region that others do not use, and queue the rest",
			Config: "pools:\n  - {name: " + d.poolName() + ", tiers: [[" + d.name + "], [" + o.name + "], [standard-elsewhere]]}",
			Spill:  true, Deployment: d.name,
		},
	}, scope{cells: cells, at: []*deployment{d, o}, covers: []diagnose.Code{diagnose.PTUSaturation, diagnose.QuotaExhausted, diagnose.RPMBursts}})
}

// unsentOf is how many requests found no room in any tier.
func (f *facts) unsentOf(d *deployment) float64 {
	s := d.sum(anyCell)
	return s.unsent
}
