package diagnose

import (
	"fmt"
	"maps"
	"slices"
)

// Thresholds: while capacity is short, one caller makes a third and more of the
// work, at least three times what it does otherwise, and without it the others
// are as always: at most 1.4 times their usual.
const (
	noisyShare  = 0.33
	noisyFactor = 2.5
	noisyOthers = 1.4
	noisyAlone  = 2 // callers at least
)

// noisyTenant looks for one caller whose rush is what makes capacity short.
func noisyTenant(f *facts) {
	short := map[int64]bool{}
	var at []*deployment
	var cells []*cell
	for _, d := range f.all {
		pressed, _ := f.pressedEnough(d)
		for _, c := range pressed {
			short[c.at] = true
			cells = append(cells, c)
		}
		if pressed != nil {
			at = append(at, d)
		}
	}
	if len(short) == 0 || len(f.callers) < noisyAlone {
		return
	}
	calmTime := float64(len(f.total.retryBuckets) - len(short))
	if calmTime < 2 {
		return
	}
	shortWork, calmWork, shortMet := 0.0, 0.0, 0.0
	for _, who := range f.callers {
		a, b, m := who.work(short)
		shortWork, calmWork, shortMet = shortWork+a, calmWork+b, shortMet+m
	}
	for _, name := range slices.Sorted(maps.Keys(f.callers)) {
		who := f.callers[name]
		mine, before, met := who.work(short)
		then, usual := mine/float64(len(short)), before/calmTime
		rest, restUsual := (shortWork-mine)/float64(len(short)), (calmWork-before)/calmTime
		if name == others || share(mine, shortWork) < noisyShare || then < noisyFactor*usual || rest > noisyOthers*restUsual || restUsual == 0 {
			continue
		}
		f.report(Finding{
			Code: NoisyTenant, Subject: name, at: at, Confidence: 0.6 + 0.4*share(mine, shortWork),
			Title:    fmt.Sprintf("%s takes the capacity of all: %s of the work when it is short, %s otherwise", name, percent(share(mine, shortWork)), percent(share(before, calmWork))),
			Affected: share(shortMet, f.total.Tries),
			Evidence: []Evidence{
				{"its share of the work, short minutes", share(mine, shortWork), "share", "caller, tenant, usage"},
				{"its share otherwise", share(before, calmWork), "share", "the same"},
				{"against its own usual", share(then, max(usual, 1)), "ratio", "the same"},
				{"others refused or waiting for it", shortMet - met, "count", "outcome, queue_ms"},
			},
			RuledOut: []RuledOut{{PTUSaturation, "not growth: the others do " + decimals(share(rest, restUsual), 1) + " times their usual"}},
			Remedy: Remedy{
				Text:        "give it a class of low priority, and a deployment of its own if it must be fast",
				Config:      "classes:\n  - {name: bulk, window: 60s, priority: low}\ncallers:\n  - {name: " + name + ", class: bulk}",
				LowPriority: name,
			},
			covers: map[Code]bool{PTUSaturation: true, QuotaExhausted: true, OverReservation: true, RPMBursts: true},
		}, between(cells))
		return
	}
}

// work divides what a caller did by the time in which capacity was short.
func (w *caller) work(short map[int64]bool) (then, otherwise, met float64) {
	for n, c := range w.byBucket {
		if short[n] {
			then += c.work
			met += c.met
		} else {
			otherwise += c.work
		}
	}
	return then, otherwise, met
}
