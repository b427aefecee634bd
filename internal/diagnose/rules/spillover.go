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
			f.spills(d, o, cells, overflow{n: s.n, there: there, lost: lost, met: met, broken: share(same.broken, same.tries), confidence: 0.65 + 0.6*max(there, lost), covers: spillCovers()})
			return
		}
	}
	fullBehind(f)
}

// fullBehind looks for the same in the logs of gateways that name only the last
// attempt of a request: requests for one deployment are answered by a provisioned
// one, which is full, and by a standard one, which refuses too. A gateway that tries
// the first again after the second logs few refusals of the second.
func fullBehind(f *facts) {
	if !f.cfg.Direct {
		return
	}
	for _, d := range f.all {
		for _, o := range f.all {
			if d.kind != spillway.Provisioned || o.kind != spillway.Standard || d.pool == "" || d.pool != o.pool || !f.kindKnown(o) {
				continue
			}
			if f.fullBoth(d, o) {
				return
			}
		}
	}
}

func (f *facts) fullBoth(d, o *deployment) bool {
	cells, met := f.pressedEnough(o)
	covers := spillCovers()
	if cells == nil {
		if cells, met = f.pressedEnough(d); cells == nil {
			return false
		}
		covers = nil // that the first is full is surer
	}
	first := d.sum(func(c *cell) bool { return has(cells, c.at) })
	second := o.sum(func(c *cell) bool { return has(cells, c.at) })
	there, lost := share(second.refused, second.tries), share(first.refused+second.refused, first.tries+second.tries)
	full := first.refused >= pressedLeast || first.utilN > 0 && first.utilMax >= fullMark
	if !full || first.ok < spilledLeast || second.tries < spilledLeast || second.refused < 5 || lost < spilledRefused && there < spilledRefused {
		return false
	}
	confidence := 0.65 + 0.6*there
	f.spills(d, o, cells, overflow{
		n: second.tries, there: there, lost: lost, met: met, broken: share(second.broken, second.tries), confidence: confidence, covers: covers,
	})
	return true
}

// overflow is what went from one tier to another, and what became of it.
type overflow struct {
	n      float64
	there  float64 // share refused there
	lost   float64 // share refused by both
	met    float64 // requests refused or queued
	broken float64 // share that failed there

	confidence float64
	covers     []diagnose.Code
}

func spillCovers() []diagnose.Code {
	return []diagnose.Code{diagnose.PTUSaturation, diagnose.QuotaExhausted, diagnose.RPMBursts}
}

func (f *facts) spills(d, o *deployment, cells []*cell, s overflow) {
	f.report(diagnose.Finding{
		Code: diagnose.SaturatedSpillover, Subject: o.name, Confidence: s.confidence,
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
	}, scope{cells: cells, at: []*deployment{d, o}, covers: s.covers})
}

// unsentOf is how many requests found no room in any tier.
func (f *facts) unsentOf(d *deployment) float64 {
	s := d.sum(anyCell)
	return s.unsent
}
