package rules

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/spillway-ai/spillway/internal/diagnose"
)

// facts are what rules read: the sums, sorted, and the findings so far.
type facts struct {
	*Collector
	all      []*deployment // by name
	findings []candidate
}

// Diagnose returns what the observations so far say. The collector must not be
// used afterwards.
func (c *Collector) Diagnose() diagnose.Diagnosis {
	f := &facts{Collector: c}
	for _, name := range slices.Sorted(maps.Keys(c.deployments)) {
		d := c.deployments[name]
		for _, n := range slices.Sorted(maps.Keys(d.byBucket)) {
			d.cells = append(d.cells, d.byBucket[n])
		}
		f.all = append(f.all, d)
	}
	out := diagnose.Diagnosis{
		From: c.from.UTC(), To: c.to.UTC(), Tries: int(c.total.Tries), Calls: int(c.total.Calls),
		Timeout: share(c.total.Timeout, c.total.Tries), Cut: share(c.total.Cut, c.total.Tries),
		Refused: share(c.total.Refused, c.total.Tries), Failed: share(c.total.Failed, c.total.Tries),
		Findings: []diagnose.Finding{}, Coverage: f.coverage(),
	}
	for _, d := range f.all {
		out.DeploymentNames = append(out.DeploymentNames, d.name)
	}
	if c.total.Tries >= diagnose.MinTries {
		// Outages and slowness first: they mark the time that they explain.
		for _, rule := range []func(*facts){
			regionalOutage, slowDecode, slowPrefill, oversized, clientTimeout, provisionedCapacity, standardQuota,
			quotaFragmentation, saturatedSpillover, noisyTenant, retryAmplification, cacheLoss,
		} {
			rule(f)
		}
	}
	out.Findings = append(out.Findings, rank(f.findings)...)
	out.Healthy = len(out.Findings) == 0 && c.total.Tries >= diagnose.MinTries && out.Failed < diagnose.Unexplained
	out.Charts = f.charts()
	for i := range out.Findings {
		if r := &out.Findings[i].Remedy; r.CapTokens > 0 && out.Charts != nil {
			out.Charts.WindowSeconds, out.Charts.BudgetTokens = float64(r.WindowS), r.CapTokens
		}
	}
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

// scope is what a finding is about.
type scope struct {
	cells  []*cell         // the time, from the first to the last; none for all of it
	at     []*deployment   // the deployments
	covers []diagnose.Code // causes that are consequences of this one at those deployments
	causes []diagnose.Code // causes that this one contributes to there, and that remain to be told
}

// candidate is a finding that may be dropped as a consequence of another.
type candidate struct {
	diagnose.Finding
	scope
}

// rank drops findings that another one covers and sorts the others: the most severe
// first, and each before what it contributes to.
func rank(all []candidate) []diagnose.Finding {
	kept := slices.DeleteFunc(slices.Clone(all), func(a candidate) bool {
		return slices.ContainsFunc(all, func(b candidate) bool { return slices.Contains(b.covers, a.Code) && meet(a.at, b.at) })
	})
	slices.SortStableFunc(kept, func(a, b candidate) int {
		return cmp.Compare(b.Affected*b.Confidence, a.Affected*a.Confidence)
	})
	for i, a := range kept {
		first := slices.IndexFunc(kept[:i], func(b candidate) bool { return slices.Contains(a.causes, b.Code) && meet(a.at, b.at) })
		if first >= 0 {
			copy(kept[first+1:i+1], kept[first:i])
			kept[first] = a
		}
	}
	var findings []diagnose.Finding
	for i := range kept {
		findings = append(findings, kept[i].Finding)
	}
	return findings
}

// meet reports whether the two have a deployment in common.
func meet(a, b []*deployment) bool {
	return slices.ContainsFunc(a, func(d *deployment) bool { return slices.Contains(b, d) })
}

// report adds a finding. It sets the severity and the period.
func (f *facts) report(x diagnose.Finding, s scope) {
	x.Confidence = math.Round(100*min(max(x.Confidence, 0.5), 0.99)) / 100
	switch {
	case x.Affected >= 0.01:
		x.Severity = diagnose.Critical
	case x.Affected >= 0.001:
		x.Severity = diagnose.Warning
	default:
		x.Severity = diagnose.Notice
	}
	x.From, x.To = f.from.UTC(), f.to.UTC()
	if len(s.cells) > 0 {
		x.From, x.To = f.begin(s.cells[0].at), f.begin(s.cells[len(s.cells)-1].at+1)
	}
	if x.RuledOut == nil {
		x.RuledOut = []diagnose.RuledOut{}
	}
	f.findings = append(f.findings, candidate{x, s})
}

func measured(name string, value float64, unit, source string) diagnose.Evidence {
	return diagnose.Evidence{Name: name, Value: value, Unit: unit, Source: source}
}

func ruledOut(code diagnose.Code, text string) diagnose.RuledOut {
	return diagnose.RuledOut{Code: code, Text: text}
}

// begin is when a bucket begins.
func (f *facts) begin(n int64) time.Time {
	return time.Unix(n*int64(f.bucket/time.Second), 0).UTC()
}
