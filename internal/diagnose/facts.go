package diagnose

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"time"

	spillway "github.com/spillway-ai/spillway"
)

// facts are what rules read: the sums, sorted, and the findings so far.
type facts struct {
	*Collector
	all      []*deployment // by name
	findings []Finding
}

// Diagnose returns what the observations so far say. The collector must not be
// used afterwards.
func (c *Collector) Diagnose() Diagnosis {
	f := &facts{Collector: c}
	for _, name := range slices.Sorted(maps.Keys(c.deployments)) {
		d := c.deployments[name]
		for _, n := range slices.Sorted(maps.Keys(d.byBucket)) {
			d.cells = append(d.cells, d.byBucket[n])
		}
		f.all = append(f.all, d)
	}
	out := Diagnosis{
		From: c.from.UTC(), To: c.to.UTC(), Tries: int(c.total.Tries), Calls: int(c.total.Calls),
		Timeout: share(c.total.Timeout, c.total.Tries), Cut: share(c.total.Cut, c.total.Tries),
		Refused: share(c.total.Refused, c.total.Tries), Failed: share(c.total.Failed, c.total.Tries),
		Findings: []Finding{}, Coverage: f.coverage(),
	}
	for _, d := range f.all {
		out.DeploymentNames = append(out.DeploymentNames, d.name)
	}
	if c.total.Tries >= minTries {
		// Outages and slowness first: they mark the time that they explain.
		for _, rule := range []func(*facts){
			regionalOutage, slowDecode, slowPrefill, oversized, clientTimeout, provisionedCapacity, standardQuota,
			quotaFragmentation, saturatedSpillover, noisyTenant, retryAmplification, cacheLoss,
		} {
			rule(f)
		}
	}
	out.Findings = append(out.Findings, rank(f.findings)...)
	out.Healthy = len(out.Findings) == 0 && c.total.Tries >= minTries && out.Failed < unexplained
	out.pictures = f.pictures()
	return out
}

// className is the class that has most of what of says; "sync" where the
// observations name none.
func (f *facts) className(of func(*classCount) float64) string {
	best, most := "", 0.0
	for _, name := range slices.Sorted(maps.Keys(f.classes)) {
		if n := of(f.classes[name]); n > most {
			best, most = name, n
		}
	}
	return cmp.Or(best, "sync")
}

func lateTries(n *classCount) float64 { return n.late }
func allTries(n *classCount) float64  { return n.tries }

const (
	// minTries is how few tries say nothing.
	minTries = 50
	// unexplained is the share of failed tries from which on finding no cause is
	// no good news.
	unexplained = 0.01
)

// rank drops findings that another one covers and sorts the others.
func rank(all []Finding) []Finding {
	kept := slices.DeleteFunc(slices.Clone(all), func(a Finding) bool {
		return slices.ContainsFunc(all, func(b Finding) bool { return b.covers[a.Code] && meet(a.at, b.at) })
	})
	slices.SortStableFunc(kept, func(a, b Finding) int {
		return cmp.Compare(b.Affected*b.Confidence, a.Affected*a.Confidence)
	})
	return kept
}

// meet reports whether the two have a deployment in common.
func meet(a, b []*deployment) bool {
	return slices.ContainsFunc(a, func(d *deployment) bool { return slices.Contains(b, d) })
}

// report adds a finding about deployments in the cells' time.
func (f *facts) report(x Finding, cells []*cell) {
	x.Confidence = math.Round(100*min(max(x.Confidence, 0.5), 0.99)) / 100
	switch {
	case x.Affected >= 0.01:
		x.Severity = Critical
	case x.Affected >= 0.001:
		x.Severity = Warning
	default:
		x.Severity = Notice
	}
	x.From, x.To = f.from.UTC(), f.to.UTC()
	if len(cells) > 0 {
		x.From, x.To = f.begin(cells[0].at), f.begin(cells[len(cells)-1].at+1)
	}
	if x.RuledOut == nil {
		x.RuledOut = []RuledOut{}
	}
	f.findings = append(f.findings, x)
}

// begin is when a bucket begins.
func (f *facts) begin(n int64) time.Time {
	return time.Unix(n*int64(f.bucket/time.Second), 0).UTC()
}

// coverage says what was not known and which rules had to do without.
func (f *facts) coverage() []Missing {
	t := &f.total
	var out []Missing
	add := func(missing float64, text string) {
		if missing > 0.05 {
			out = append(out, Missing{Text: text, Share: math.Round(1000*missing) / 1000})
		}
	}
	if t.Complete > 0 {
		add(1-share(t.promptKnown, t.Complete), "prompt tokens unknown: work, cache and prefill are understated")
	}
	if t.generating > 0 {
		add(1-share(t.ttftKnown, t.generating), "time to first token unknown: slow prefill is not looked for there")
		add(1-share(t.paceKnown, t.generating), "time between tokens unknown: taken from answers of 256 tokens and more")
		add(1-share(t.cachedKnown, t.Complete), "cached tokens unknown: cache loss is not looked for there")
	}
	if t.provisionedTries > 0 && t.utilMetric == 0 {
		add(1-share(t.utilKnown, t.provisionedTries), "utilization not reported: taken from the work of answers")
	}
	add(share(t.withoutDeployment, t.Tries), "deployment unknown: not attributed")
	unknown := 0.0
	for _, d := range f.all {
		unknown += one(!d.told)
	}
	add(share(unknown, float64(len(f.all))), "capacity of deployments not given: inferred (pass --config)")
	return out
}

// capacity is the tokens per second that a provisioned deployment drains; 0
// where it is not known.
func (d *deployment) capacity() float64 {
	return float64(d.known.PTU) * float64(d.known.InputTPMPerPTU) / 60
}

// calm reports whether nothing else explains what happened in a cell.
func calm(c *cell) bool { return !c.sick && !c.slow }

// pressed are the cells in which at least the share met want of capacity.
func (d *deployment) pressed(least float64) []*cell {
	var out []*cell
	for _, c := range d.cells {
		if met, all := c.pressure(); !c.sick && met >= 3 && share(met, all) >= least {
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
func (f *facts) notCapacity(d *deployment, of func(*cell) (float64, bool), what string) []RuledOut {
	var out []RuledOut
	if p95, r, ok := d.utilizationP95(of); ok && p95 < 0.95 {
		text := "not capacity: utilization p95 " + percent(p95)
		switch {
		case math.Abs(r) < 0.3:
			text += ", uncorrelated with " + what + ", r = " + decimals(r, 2)
		case r < 0:
			text += ", inverse to " + what + ", r = " + decimals(r, 2)
		}
		out = append(out, RuledOut{PTUSaturation, text})
	} else if met, all := pressureOf(d); d.kind == spillway.Standard || !ok {
		if share(met, all) < 0.01 {
			out = append(out, RuledOut{QuotaExhausted, "not capacity: " + percent(share(met, all)) + " of attempts refused"})
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

// notDecode rules slow decoding out where the numbers do.
func (f *facts) notDecode(d *deployment) []RuledOut {
	s := d.sum(anyCell)
	if s.pace.n < 20 {
		return nil
	}
	return []RuledOut{{SlowDecode, "not decoding: " + decimals(s.pace.value(), 1) + " ms between tokens, p95 " + decimals(d.pace.quantile(0.95), 1) + " ms, steady"}}
}

// paceSource says where the pace comes from: what was measured, or, where
// little was, the length and the time of whole answers.
func (f *facts) paceSource() string {
	if f.total.paceDerived > f.total.paceKnown {
		return "(e2e_ms − ttft_ms) / completion_tokens, of 256 and more"
	}
	return "tbt_mean_ms"
}
