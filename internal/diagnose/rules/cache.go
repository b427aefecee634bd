package rules

import (
	"fmt"
	"math"

	"github.com/spillway-ai/spillway/internal/diagnose"
	"github.com/spillway-ai/spillway/internal/numeral"
)

// Thresholds: the cached share of long prompts was at least cacheGood over a
// tenth of the time and cachePoints prompt tokens, and over a later tenth is
// less than half of that: the step that divides time best.
const (
	cacheGood   = 0.2
	cacheDrop   = 0.5
	cachePart   = 0.1
	cachePoints = 50 * 1024
)

// cacheLoss looks for prompts that were cached and no longer are.
func cacheLoss(f *facts) {
	for _, d := range f.all {
		total := d.sum(anyCell)
		if total.cachable < 4*cachePoints {
			continue
		}
		var before cell
		best, at, good, bad := 0.0, -1, 0.0, 0.0
		for i, c := range d.cells {
			before.join(c, false)
			rest := total.cachable - before.cachable
			if min(before.cachable, rest) < max(cachePoints, cachePart*total.cachable) {
				continue
			}
			a, b := share(before.cached, before.cachable), share(total.cached-before.cached, rest)
			// What the step explains: the difference, weighed by both sides.
			if gain := (a - b) * math.Sqrt(before.cachable*rest); gain > best {
				best, at, good, bad = gain, i, a, b
			}
		}
		if at < 0 || good < cacheGood || bad > cacheDrop*good {
			continue
		}
		lost := (good - bad) * (total.cachable - joined(d.cells[:at+1]).cachable)
		f.report(diagnose.Finding{
			Code: diagnose.CacheLoss, Subject: d.name, Confidence: 0.65 + 0.35*(1-bad/good),
			Title:    fmt.Sprintf("prompt caching at %s has dropped: %s of long prompts cached, %s before %s", d.name, numeral.Percent(bad), numeral.Percent(good), f.begin(d.cells[at].at+1).Format("15:04")),
			Affected: 0.001 + 0.009*(good-bad),
			Evidence: []diagnose.Evidence{
				measured("cached before", good, "share", "usage.cached_tokens, prompts of at least 1,024 tokens"),
				measured("cached since", bad, "share", "as above"),
				measured("prompt tokens processed again", lost, "tokens", "as above"),
			},
			RuledOut: notLonger(d.cells[:at+1], d.cells[at+1:]),
			Remedy: diagnose.Remedy{
				Text:   "check what changed at the start of the prompts (a date, an id, the order of tools), and send each caller to one deployment",
				Config: "routing: {strategy: affinity}",
			},
		}, scope{cells: d.cells[at:], at: []*deployment{d}, causes: f.shortSince(d, d.cells[at].at)})
	}
}

// notLonger rules out that prompts have become longer, where they have not.
func notLonger(before, since []*cell) []diagnose.RuledOut {
	a, b := joined(before), joined(since)
	was, is := share(a.cachable, a.longPrompts), share(b.cachable, b.longPrompts)
	if is > 1.2*was {
		return nil
	}
	return []diagnose.RuledOut{ruledOut(diagnose.SlowPrefill, "not longer prompts: "+numeral.Whole(is)+" tokens on average, "+numeral.Whole(was)+" before")}
}

// shortSince is the want of capacity that began after a bucket, if it did: the lost
// cache contributes to it.
func (f *facts) shortSince(d *deployment, at int64) []diagnose.Code {
	cells, _ := f.pressedEnough(d)
	if len(cells) == 0 || cells[0].at < at {
		return nil
	}
	return []diagnose.Code{diagnose.PTUSaturation, diagnose.QuotaExhausted, diagnose.OverReservation}
}
