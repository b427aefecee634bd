package rules

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/spillway-ai/spillway/internal/diagnose"
	"github.com/spillway-ai/spillway/internal/numeral"
)

// Thresholds. Stretches of buckets with at least decodePoints responses together
// are slow when their mean is decodeFactor times the usual one of the deployment,
// which is the lower quartile of its stretches. The deployment is slow throughout
// when the lower quartile itself is decodeFactor times that of another deployment
// of its kind, or worse than decodeLimit. Slow stretches must be at least two and
// hold a fiftieth of the responses.
const (
	decodePoints    = 10
	decodeFactor    = 1.9
	decodeLimit     = 45.0 // ms: 22 tokens per second, below every contract
	decodeStretches = 2
	decodeLeast     = 2 * decodePoints
	steadyFactor    = 1.4 // between the fastest stretch and the slowest, of those below
	steadyParts     = 10
	steadyPoints    = 30
)

// stretch is buckets that follow one another and have enough responses together to
// say how fast they were.
type stretch struct {
	cells []*cell
	pace  logMean
}

// stretches divides the deployment's time into parts with at least so many
// responses. Buckets at the end that are too few to be a stretch belong to the last
// one.
func (d *deployment) stretches(least float64) []stretch {
	var all []stretch
	var now stretch
	for _, c := range d.cells {
		now.cells = append(now.cells, c)
		now.pace.join(c.pace)
		if now.pace.n >= least {
			all = append(all, now)
			now = stretch{}
		}
	}
	if n := len(all); n > 0 {
		all[n-1].cells = append(all[n-1].cells, now.cells...)
		all[n-1].pace.join(now.pace)
	}
	return all
}

// slowDecode looks for deployments whose tokens come slower than they did, or
// than elsewhere, and marks the time.
func slowDecode(f *facts) {
	usual := map[*deployment]float64{}
	for _, d := range f.all {
		usual[d] = lowerQuartile(d)
	}
	for _, d := range f.all {
		if usual[d] == 0 {
			continue
		}
		r := reference{usual[d], decodeFactor * usual[d], "its usual pace"}
		if contract := f.slowest(d); usual[d] >= contract {
			r = reference{contract / slaMargin, contract, "the pace of its SLA"}
		}
		for _, o := range f.all {
			if o != d && f.alike(d, o) && usual[o] > 0 && usual[d] >= decodeFactor*usual[o] {
				r = reference{usual[o], decodeFactor * usual[o], "the pace of " + o.name}
			}
		}
		f.slowIn(d, r)
	}
}

// reference is the pace in ms that a deployment is held against, and the one from
// which on it is slow.
type reference struct {
	pace, slow float64
	name       string
}

// alike reports whether two deployments should be as fast as each other: of one
// model, and known to be of one kind.
func (f *facts) alike(d, o *deployment) bool {
	return o.kind == d.kind && o.model == d.model && (!f.cfg.Direct || d.configured && o.configured)
}

// slaMargin is how much slower than its SLA a deployment may be.
const slaMargin = 1.3

// slowest is the pace in ms that is too slow whatever it was before.
func (f *facts) slowest(d *deployment) float64 {
	if tps := d.known.TokensPerSecond; tps > 0 {
		return slaMargin * 1000 / tps
	}
	return decodeLimit
}

func lowerQuartile(d *deployment) float64 {
	var means []float64
	for _, s := range d.stretches(decodePoints) {
		means = append(means, s.pace.value())
	}
	if len(means) == 0 {
		return 0
	}
	slices.Sort(means)
	return means[len(means)/4]
}

func (f *facts) slowIn(d *deployment, r reference) {
	var slow, usual []*cell
	n := 0
	for _, s := range d.stretches(decodePoints) {
		if s.pace.value() < r.slow {
			usual = append(usual, s.cells...)
			continue
		}
		n++
		slow = append(slow, s.cells...)
	}
	s, u := joined(slow), joined(usual)
	if n < decodeStretches || s.pace.n < 0.02*(s.pace.n+u.pace.n) || s.pace.n < decodeLeast {
		return
	}
	factor := share(s.pace.value(), r.pace)
	if len(usual) > 0 && u.work > 0 && s.work/float64(len(slow)) > 2.2*u.work/float64(len(usual)) && factor < 2.5 {
		return // it is the load
	}
	for _, c := range d.cells {
		c.slow = slices.Contains(slow, c)
	}
	spreadSlow(d)
	late := s.late + s.lateShort + s.lateSilent
	f.report(diagnose.Finding{
		Code: diagnose.SlowDecode, Subject: d.name, Confidence: 0.5 + 0.35*(factor-1),
		Title:    fmt.Sprintf("%s generates slowly: %s ms between tokens, %s times %s", d.name, numeral.Decimals(s.pace.value(), 1), numeral.Decimals(factor, 1), r.name),
		Affected: share(max(late, 0.01*s.pace.n), f.total.Tries),
		Evidence: []diagnose.Evidence{
			measured("time between tokens, slow minutes", s.pace.value(), "ms", f.paceSource()),
			measured("time between tokens, otherwise", cmp.Or(u.pace.value(), r.pace), "ms", f.paceSource()),
			measured("slow minutes", float64(len(slow))*f.bucket.Minutes(), "count", "time"),
			measured("tries that ran out of time meanwhile", late, "count", "outcome"),
		},
		RuledOut: append(f.notCapacity(d, cellPace, "the pace"), f.notLength(&s, &u)...),
		Remedy: diagnose.Remedy{
			Text:   "send requests with little time left to a second tier, and limit output by measured budgets",
			Config: "pools:\n  - {name: " + d.poolName() + ", tiers: [[" + d.name + "], [standard-elsewhere]]}",
			Spill:  d.tier == 0 && len(f.all) == 1, Deployment: d.name,
		},
	}, scope{cells: slow, at: []*deployment{d}})
}

// spreadSlow marks cells between slow ones that have too few responses to tell.
func spreadSlow(d *deployment) {
	for i, c := range d.cells {
		if c.pace.n < decodePoints && (i > 0 && d.cells[i-1].slow || i+1 < len(d.cells) && d.cells[i+1].slow) {
			c.slow = true
			continue
		}
	}
}

// notLength rules out that answers had become longer.
func (f *facts) notLength(slow, usual *cell) []diagnose.RuledOut {
	if usual.ok == 0 || slow.ok == 0 {
		return nil
	}
	a, b := slow.out/max(slow.ok, 1), usual.out/max(usual.ok, 1)
	if a > 1.3*b {
		return nil
	}
	return []diagnose.RuledOut{ruledOut(diagnose.OversizedRequests, "not the length: "+numeral.Whole(a)+" tokens per response, "+numeral.Whole(b)+" otherwise")}
}

func cellPace(c *cell) (float64, bool) { return c.pace.value(), c.pace.n >= decodePoints }
