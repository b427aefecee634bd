package rules

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/spillway-ai/spillway/internal/diagnose"
	"github.com/spillway-ai/spillway/internal/numeral"
)

// Thresholds: a bucket is part of an outage when at least three requests, and
// half of those offered to a region or to one of its deployments, failed with
// 5xx, a reset or a cut stream, or were kept away by an open breaker. An outage
// is two such buckets with at most two others between them.
const (
	outageShare  = 0.5
	outageFailed = 3
	outageGap    = 3
)

// regionalOutage finds regions, or single deployments of them, that failed. It
// marks the time in their pools: whatever else happened then is a
// consequence.
func regionalOutage(f *facts) {
	regions := map[string][]*deployment{}
	var names []string
	for _, d := range f.all {
		name := cmp.Or(d.region, d.name)
		if regions[name] == nil {
			names = append(names, name)
		}
		regions[name] = append(regions[name], d)
	}
	marks := map[string]map[int64]bool{} // by pool
	for _, name := range names {
		if f.outage(name, regions[name], marks) {
			continue
		}
		for _, d := range regions[name] {
			f.outage(d.name, []*deployment{d}, marks)
		}
	}
	for _, d := range f.all {
		failing := marks[d.pool]
		for _, c := range d.cells {
			c.outage = failing[c.at] || failing[c.at-1] // failures echo into the next one
		}
	}
}

// outage reports that the deployments, which are those of a region or one of
// them, failed together, if they did.
func (f *facts) outage(name string, ds []*deployment, marks map[string]map[int64]bool) bool {
	cells := outageCells(ds)
	if len(cells) == 0 {
		return false
	}
	failed, tries, broken := 0.0, 0.0, 0.0
	for _, c := range cells {
		failed += c.failing()
		tries += c.offered()
		broken += c.broken
	}
	var own []*deployment // that failed themselves
	for _, d := range ds {
		mine := outageCells([]*deployment{d})
		if len(mine) == 0 {
			continue
		}
		own = append(own, d)
		if marks[d.pool] == nil {
			marks[d.pool] = map[int64]bool{}
		}
		for _, c := range mine {
			marks[d.pool][c.at] = true
		}
	}
	if len(own) == 1 && len(ds) > 1 {
		return f.outage(own[0].name, own, marks) // not the region
	}
	if len(own) > 0 {
		ds = own
	}
	lost := f.lostIn(ds, cells)
	title := fmt.Sprintf("%s is failing: %s of its requests got a 5xx, a reset or a cut stream, or were held back by the breaker", name, numeral.Percent(share(failed, tries)))
	if share(lost, failed) < 0.1 {
		title += "; other deployments took over"
	}
	f.report(diagnose.Finding{
		Code: diagnose.RegionalOutage, Subject: name, Confidence: 0.6 + 0.4*share(failed, tries), Title: title,
		Affected: share(lost, f.total.Tries),
		Evidence: []diagnose.Evidence{
			measured("failed attempts", broken, "count", "attempts.failure, attempts.status"),
			measured("requests held back by the breaker", failed-broken, "count", "spill broken, outcome upstream_error without an attempt"),
			measured("requests lost", lost, "count", "outcome"),
			measured("minutes", float64(len(cells))*f.bucket.Minutes(), "count", "time"),
		},
		RuledOut: f.othersHealthy(ds),
		Remedy:   f.takeOver(ds),
	}, scope{cells: cells, at: ds, covers: []diagnose.Code{diagnose.PTUSaturation, diagnose.QuotaExhausted}})
	return true
}

// lostIn is how many requests of the deployments' pools were lost in the
// buckets.
func (f *facts) lostIn(ds []*deployment, cells []*cell) (lost float64) {
	for _, d := range f.all {
		if !slices.ContainsFunc(ds, func(o *deployment) bool { return o.pool == d.pool }) {
			continue
		}
		s := d.sum(func(c *cell) bool { return has(cells, c.at) })
		lost += s.lost
	}
	return lost
}

// takeOver is what to do where deployments fail: others, if the pool has none
// yet, and else a breaker that opens sooner.
func (f *facts) takeOver(ds []*deployment) diagnose.Remedy {
	first := ds[0]
	for _, d := range f.all {
		if d.pool == first.pool && !slices.Contains(ds, d) && d.name != unknownDeployment {
			return diagnose.Remedy{
				Text:   "other deployments take over as configured; if requests are still lost, open the breaker sooner",
				Config: "breaker: {consecutive_failures: 3}",
			}
		}
	}
	return diagnose.Remedy{
		Text:   "add a deployment in another region as the next tier; the default breaker settings are enough",
		Config: "pools:\n  - {name: " + first.poolName() + ", tiers: [[" + first.name + "], [standard-elsewhere]]}",
	}
}

// failing is what broke, and what the breaker kept from breaking.
func (c *cell) failing() float64 { return c.broken + c.unsentBroken + c.skipped }

// offered is what would have been sent without the breaker.
func (c *cell) offered() float64 { return c.tries + c.unsentBroken + c.skipped }

// othersHealthy rules the requests out as the cause where the other deployments
// serve them.
func (f *facts) othersHealthy(failing []*deployment) []diagnose.RuledOut {
	broken, tries := 0.0, 0.0
	for _, d := range f.all {
		if slices.Contains(failing, d) {
			continue
		}
		s := d.sum(anyCell)
		broken, tries = broken+s.broken, tries+s.tries
	}
	if tries == 0 || share(broken, tries) > 0.05 {
		return nil
	}
	return []diagnose.RuledOut{ruledOut(diagnose.OversizedRequests, "not the requests: "+numeral.Percent(share(broken, tries))+" of attempts fail at other deployments")}
}

// outageCells are the buckets of a region's outages, in order.
func outageCells(ds []*deployment) []*cell {
	sums := map[int64]*cell{}
	for _, d := range ds {
		for _, c := range d.cells {
			if sums[c.at] == nil {
				sums[c.at] = &cell{at: c.at}
			}
			sums[c.at].join(c, false)
		}
	}
	var cells []*cell
	for _, c := range sums {
		if failed := c.failing(); failed >= outageFailed && c.broken+c.unsentBroken > 0 && failed >= outageShare*c.offered() {
			cells = append(cells, c)
		}
	}
	slices.SortFunc(cells, func(a, b *cell) int { return int(a.at - b.at) })
	return slices.DeleteFunc(cells, func(c *cell) bool {
		return !slices.ContainsFunc(cells, func(o *cell) bool {
			return o != c && o.at-c.at <= outageGap && c.at-o.at <= outageGap
		})
	})
}
