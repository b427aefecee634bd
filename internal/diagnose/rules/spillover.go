package rules

import (
	"fmt"

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
			f.report(diagnose.Finding{
				Code: diagnose.SaturatedSpillover, Subject: o.name, Confidence: 0.65 + 0.6*max(there, lost),
				Title:    fmt.Sprintf("%s spills to %s, which refuses %s of the requests", d.name, o.name, numeral.Percent(there)),
				Affected: share(min(met, f.total.Refused), f.total.Tries),
				Evidence: []diagnose.Evidence{
					measured("requests spilled", s.n, "count", "spill, attempts.tier"),
					measured("refused there", there, "share", "attempts.status 429"),
					measured("refused by both", lost, "share", "outcome"),
				},
				RuledOut: []diagnose.RuledOut{ruledOut(diagnose.RegionalOutage, "not an outage: "+numeral.Percent(share(same.broken, same.tries))+" of attempts fail there")},
				Remedy: diagnose.Remedy{
					Text:   "spill to dedicated capacity in a region that others do not use, and queue the rest",
					Config: "pools:\n  - {name: " + d.poolName() + ", tiers: [[" + d.name + "], [" + o.name + "], [standard-elsewhere]]}",
					Spill:  true, Deployment: d.name,
				},
			}, scope{cells: cells, at: []*deployment{d, o}, covers: []diagnose.Code{diagnose.PTUSaturation, diagnose.QuotaExhausted, diagnose.RPMBursts}})
			return
		}
	}
}

// unsentOf is how many requests found no room in any tier.
func (f *facts) unsentOf(d *deployment) float64 {
	s := d.sum(anyCell)
	return s.unsent
}
