package rules

import (
	"cmp"
	"math"
	"slices"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/diagnose"
	"github.com/spillway-ai/spillway/internal/numeral"
)

// utilizationP95 is of the buckets' means, and r its correlation with what
// of says of a bucket.
func (d *deployment) utilizationP95(of func(*cell) (float64, bool)) (p95, r float64, known bool) {
	var values []float64
	var l line
	for _, c := range d.cells {
		if c.utilN == 0 {
			continue
		}
		u := c.util / c.utilN
		values = append(values, u)
		if y, ok := of(c); ok {
			l.add(u, y)
		}
	}
	if len(values) == 0 {
		return 0, 0, false
	}
	slices.Sort(values)
	_, _, r = l.fit()
	return values[min(len(values)*95/100, len(values)-1)], r, true
}

// notCapacity rules capacity out where the numbers do.
func (f *facts) notCapacity(d *deployment, of func(*cell) (float64, bool), what string) []diagnose.RuledOut {
	var out []diagnose.RuledOut
	if p95, r, ok := d.utilizationP95(of); ok && p95 < 0.95 {
		text := "not capacity: utilization p95 " + numeral.Percent(p95)
		switch {
		case math.Abs(r) < 0.3:
			text += ", uncorrelated with " + what + ", r = " + numeral.Decimals(r, 2)
		case r < 0:
			text += ", inverse to " + what + ", r = " + numeral.Decimals(r, 2)
		}
		out = append(out, ruledOut(diagnose.PTUSaturation, text))
	} else if met, all := pressureOf(d); d.kind == spillway.Standard || !ok {
		if share(met, all) < 0.01 {
			out = append(out, ruledOut(diagnose.QuotaExhausted, "not capacity: "+numeral.Percent(share(met, all))+" of attempts refused"))
		}
	}
	return out
}

func pressureOf(d *deployment) (met, all float64) {
	for _, c := range d.cells {
		m, a := c.pressure()
		met, all = met+m, all+a
	}
	return met, all
}

// notDecode rules slow decoding out where the pace is known and was steady.
func (f *facts) notDecode(d *deployment) []diagnose.RuledOut {
	s := d.sum(anyCell)
	all := d.stretches(max(steadyPoints, s.pace.n/steadyParts))
	if len(all) < 2 {
		return nil
	}
	low, high := slices.MinFunc(all, byPace).pace.value(), slices.MaxFunc(all, byPace).pace.value()
	if high > steadyFactor*low {
		return nil
	}
	return []diagnose.RuledOut{ruledOut(diagnose.SlowDecode, "not decoding speed: "+numeral.Decimals(s.pace.value(), 1)+" ms between tokens, steady: "+
		numeral.Decimals(low, 1)+" to "+numeral.Decimals(high, 1)+" ms over time")}
}

func byPace(a, b stretch) int { return cmp.Compare(a.pace.value(), b.pace.value()) }

// paceSource says where the pace comes from: what was measured, or, where
// little was, the length and the time of whole responses.
func (f *facts) paceSource() string {
	if f.total.paceDerived > f.total.paceKnown {
		return "(e2e_ms − ttft_ms) / completion_tokens, at least 256 tokens"
	}
	return "tbt_mean_ms"
}
