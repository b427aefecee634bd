package rules

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/spillway-ai/spillway/internal/diagnose"
	"github.com/spillway-ai/spillway/internal/numeral"
)

// Thresholds: while capacity is short, one caller makes a third and more of the
// work, at least two and a half times what it does otherwise, and without it the
// others are as always: at most 1.4 times their usual. Work is what callers ask for,
// or what is done for them where nobody says which tries are retries.
const (
	noisyShare  = 0.33
	noisyFactor = 2.5
	noisyOthers = 1.4
	noisyAlone  = 2 // callers at least
)

// noisyTenant looks, in each pool, for one caller whose rush is what makes
// capacity short.
func noisyTenant(f *facts) {
	var pools []string
	for _, d := range f.all {
		if !slices.Contains(pools, d.pool) {
			pools = append(pools, d.pool)
		}
	}
	for _, pool := range pools {
		f.noisy(pool)
	}
}

func (f *facts) noisy(pool string) {
	short := map[int64]bool{}
	var at []*deployment
	var cells []*cell
	for _, d := range f.all {
		if d.pool != pool {
			continue
		}
		pressed, _ := f.pressedEnough(d)
		for _, c := range pressed {
			short[c.at] = true
			cells = append(cells, c)
		}
		if pressed != nil {
			at = append(at, d)
		}
	}
	var callers []*caller
	for key, who := range f.callers {
		if key.pool == pool {
			callers = append(callers, who)
		}
	}
	slices.SortFunc(callers, func(a, b *caller) int { return cmp.Compare(a.name, b.name) })
	calmTime := 0.0 // intervals in which the pool has traffic and capacity is not short
	for n := range activity(callers) {
		calmTime += oneIf(!short[n])
	}
	if len(short) == 0 || len(callers) < noisyAlone || calmTime < 2 {
		return
	}
	sum := callerShare{}
	for _, who := range callers {
		sum.add(f.workOf(who, short))
	}
	for _, who := range callers {
		mine := f.workOf(who, short)
		then, usual := mine.short/float64(len(short)), mine.calm/calmTime
		rest, restUsual := (sum.short-mine.short)/float64(len(short)), (sum.calm-mine.calm)/calmTime
		if who.name == others || share(mine.short, sum.short) < noisyShare || then < noisyFactor*usual || rest > noisyOthers*restUsual || restUsual == 0 {
			continue
		}
		f.report(diagnose.Finding{
			Code: diagnose.NoisyTenant, Subject: who.name, Confidence: 0.6 + 0.4*share(mine.short, sum.short),
			Title: fmt.Sprintf("%s uses up the shared capacity: %s of the work while it is short, %s otherwise",
				who.name, numeral.Percent(share(mine.short, sum.short)), numeral.Percent(share(mine.calm, sum.calm))),
			Affected: share(sum.met, f.total.Tries),
			Evidence: []diagnose.Evidence{
				measured("share of the work while capacity is short", share(mine.short, sum.short), "share", "caller, tenant, usage"),
				measured("share otherwise", share(mine.calm, sum.calm), "share", "as above"),
				measured("relative to its usual work", share(then, max(usual, 1)), "ratio", "as above"),
				measured("requests of others refused or queued", sum.met-mine.met, "count", "outcome, queue_ms"),
			},
			RuledOut: []diagnose.RuledOut{ruledOut(diagnose.PTUSaturation, "not growth: other callers do "+numeral.Decimals(share(rest, restUsual), 1)+" times their usual work")},
			Remedy: diagnose.Remedy{
				Text:        "assign it a low-priority class, and a deployment of its own if it needs low latency",
				Config:      "classes:\n  - {name: bulk, window: 60s, priority: low}\ncallers:\n  - {name: " + who.name + ", class: bulk}",
				LowPriority: who.name,
			},
		}, scope{cells: between(cells), at: at, covers: []diagnose.Code{diagnose.PTUSaturation, diagnose.QuotaExhausted, diagnose.OverReservation, diagnose.RPMBursts}})
		return
	}
}

// activity is the intervals in which any of the callers made a request.
func activity(callers []*caller) map[int64]bool {
	active := map[int64]bool{}
	for _, who := range callers {
		for n := range who.byBucket {
			active[n] = true
		}
	}
	return active
}

// callerShare is a caller's work while capacity is short and otherwise, and
// how many of its requests met that.
type callerShare struct{ short, calm, met float64 }

func (s *callerShare) add(o callerShare) {
	s.short, s.calm, s.met = s.short+o.short, s.calm+o.calm, s.met+o.met
}

// workOf divides a caller's work by the time in which capacity was short.
func (f *facts) workOf(who *caller, short map[int64]bool) (s callerShare) {
	for n, c := range who.byBucket {
		work := c.work
		if !f.knowsRetries() {
			work = c.done
		}
		if short[n] {
			s.add(callerShare{short: work, met: c.met})
		} else {
			s.calm += work
		}
	}
	return s
}
