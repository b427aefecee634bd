package rules

import (
	"fmt"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/diagnose"
	"github.com/spillway-ai/spillway/internal/numeral"
)

// Thresholds: clients of one deployment were refused while another of the same
// model and kind, which that pool does not use, refused under a tenth of that
// share, and the other's free capacity, as its metric or the configuration shows it,
// is at least a tenth, and room for a third of the requests that were refused.
const (
	fragmentIdle  = 0.1
	fragmentFree  = 0.33
	fragmentLeast = 0.1
)

// quotaFragmentation looks for quota that lies idle beside quota that is short.
func quotaFragmentation(f *facts) {
	for _, d := range f.all {
		cells, met := f.pressedEnough(d)
		if cells == nil {
			continue
		}
		pressed := joined(cells)
		_, all := pressed.pressure()
		for _, o := range f.all {
			if o == d || o.model == "" || o.name == unknownDeployment || d.name == unknownDeployment || o.model != d.model || o.kind != d.kind || o.pool == d.pool && o.tier != d.tier || d.spilledTo[o.name] != nil {
				continue
			}
			same := o.sum(func(c *cell) bool { return has(cells, c.at) })
			otherMet, otherAll := same.pressure()
			if otherAll == 0 || share(otherMet, otherAll) > fragmentIdle*share(met, all) || f.sharesTraffic(d, o) {
				continue
			}
			free, source, known := freeShare(f, o, &same, len(cells))
			if !known || free < fragmentLeast || spare(&same, &pressed, free) < fragmentFree*met*share(f.total.Calls, f.total.Tries) { // a call that is tried again needs room once
				continue
			}
			f.report(diagnose.Finding{
				Code: diagnose.QuotaFragmentation, Subject: d.name, Confidence: 0.95,
				Title:    fmt.Sprintf("%s refuses requests while %s, with the same model, has spare capacity", d.name, o.name),
				Affected: share(met, f.total.Tries),
				Evidence: []diagnose.Evidence{
					measured("refused or queued at "+d.name, share(met, all), "share", "attempts.status, outcome, minutes short of capacity"),
					measured("refused or queued at "+o.name, share(otherMet, otherAll), "share", "as above"),
					measured("spare capacity at "+o.name, free, "share", source),
				},
				RuledOut: []diagnose.RuledOut{ruledOut(diagnose.QuotaExhausted, "not the total quota: "+o.name+" refuses or queues only "+numeral.Percent(share(otherMet, otherAll)))},
				Remedy: diagnose.Remedy{
					Text:    "put the deployments into one pool",
					Config:  "pools:\n  - {name: " + d.model + ", tiers: [[" + d.name + ", " + o.name + "]]}",
					OnePool: true,
				},
			}, scope{cells: cells, at: []*deployment{d}, covers: []diagnose.Code{diagnose.QuotaExhausted, diagnose.PTUSaturation}})
			return
		}
	}
}

// spare is for how many requests of a short deployment the other has room, by
// what it does with the part of its capacity that is in use.
func spare(other, short *cell, free float64) float64 {
	n := other.ok * free / max(1-free, 0.005)
	if a, b := share(other.work, other.ok), share(short.work, short.ok); a > 0 && b > 0 {
		n *= a / b
	}
	return n
}

// sharesTraffic reports whether the two are of one pool and tier, so that the
// gateway balances them. Logs without pools do not say so.
func (f *facts) sharesTraffic(d, o *deployment) bool {
	return d.pool == o.pool && d.tier == o.tier && (d.pool != "" || !f.cfg.Direct)
}

func has(cells []*cell, at int64) bool {
	for _, c := range cells {
		if c.at == at {
			return true
		}
	}
	return false
}

// freeShare is how much of a deployment's capacity was free in those buckets, and
// where that is from. What is not measured is not known: that a deployment was busier
// before does not say that nobody else uses it.
func freeShare(f *facts, d *deployment, c *cell, buckets int) (free float64, source string, known bool) {
	minutes := float64(buckets) * f.bucket.Minutes()
	switch {
	case d.kind == spillway.Provisioned && c.metricN > 0:
		return 1 - c.metric/c.metricN, "metric", true
	case d.kind == spillway.Provisioned && c.utilN > 0 && !f.cfg.Direct: // of others' logs it is a level at a moment
		return 1 - c.util/c.utilN, "attempts.utilization_ratio", true
	case d.capacity() > 0:
		return 1 - c.work/minutes/60/d.capacity(), "usage, configuration", true
	case d.known.TPM > 0:
		return 1 - c.reserved/minutes/float64(d.known.TPM), "usage, configuration", true
	case d.known.RPM > 0:
		return 1 - c.tries/minutes/float64(d.known.RPM), "usage, configuration", true
	}
	return 0, "", false
}
