package rules

import (
	"cmp"
	"fmt"
	"math"
	"strings"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/diagnose"
	"github.com/spillway-ai/spillway/internal/numeral"
)

// Thresholds. A standard deployment that refuses does so for requests when its
// limit per ten seconds is known and was reached, or when the number let in
// keeps within burstEven of its mean over the parts of minutes that refuse. It
// is a burst when a whole minute's first tries would have fitted.
const (
	burstEven    = 0.22
	burstParts   = 4
	burstCalm    = 0.85
	burstPeak    = 2 // of the mean, where the service's intervals are not the clock's
	burstMinutes = 3
)

// standardQuota looks for standard deployments that refuse: for tokens, for
// tokens that are reserved and not used, or for bursts of requests.
func standardQuota(f *facts) {
	for _, d := range f.all {
		if d.kind != spillway.Standard || d.name == unknownDeployment {
			continue
		}
		cells, met := f.pressedEnough(d)
		if cells == nil {
			continue
		}
		limit, even := partLimit(d, cells)
		switch s := joined(cells); {
		case f.bucket == firstBucket && even && f.fits(cells, limit) && f.overLimit(cells, limit):
			f.bursts(d, cells, met, limit)
		case f.bucket == firstBucket && f.inBursts(cells):
			f.bursts(d, cells, met, limit)
		case even && d.configured:
			f.exhausted(d, cells, met, fmt.Sprintf("%s requests per minute", numeral.Whole(limit*parts)))
		case even:
			f.exhausted(d, cells, met, fmt.Sprintf("%s requests", numeral.Whole(limit*parts))+orTokens(f, &s, len(cells), " or %s tokens")+" per minute")
		case s.tokensKnown() && s.reserved > 0 && share(s.tokens, s.reserved) < 0.5:
			f.overReserved(d, cells, reservation{met: met, held: 1 - share(s.tokens, s.reserved), used: share(s.tokens, s.reserved)})
		default:
			f.exhausted(d, cells, met, cmp.Or(strings.TrimSpace(orTokens(f, &s, len(cells), "%s tokens per minute")), "unknown size"))
		}
	}
}

// orTokens is how many tokens per minute were used, in a phrase; "" where the
// tokens are unknown.
func orTokens(f *facts, s *cell, buckets int, phrase string) string {
	if !s.tokensKnown() {
		return ""
	}
	return fmt.Sprintf(phrase, numeral.Whole(s.tokens/float64(buckets)/f.bucket.Minutes()))
}

// kindKnown reports whether it is known that the deployment is a standard one,
// and not merely that nothing says it is provisioned.
func (f *facts) kindKnown(d *deployment) bool {
	return !f.cfg.Direct || d.configured || f.total.utilMetric > 0 || f.total.utilKnown > 0
}

// partLimit is how many requests a sixth of a minute lets in while some are
// refused, and whether that number is even enough to be a limit.
func partLimit(d *deployment, cells []*cell) (limit float64, even bool) {
	n, sum, squares := 0.0, 0.0, 0.0
	for _, c := range cells {
		for _, p := range c.parts {
			if p.refused >= 1 && p.ok >= 1 {
				n++
				sum += p.ok
				squares += p.ok * p.ok
			}
		}
	}
	mean, dev := moments(n, sum, squares)
	if rpm := float64(d.known.RPM); d.configured {
		return rpm / parts, rpm > 0 && mean >= 0.8*rpm/parts
	}
	return mean, n >= burstParts && mean >= 5 && dev <= burstEven*mean+math.Sqrt(mean)/3
}

// fits reports whether the minutes' first tries would fit, evenly spread. Where
// nobody says which are retries, it is whether the minutes had room left: what was
// let in fits, and most of their parts refused nothing.
func (f *facts) fits(cells []*cell, limit float64) bool {
	good := 0
	for _, c := range cells {
		first, admitted, refusing := 0.0, 0.0, 0
		for _, p := range c.parts {
			first += p.first
			admitted += p.ok
			if p.refused > 0 {
				refusing++
			}
		}
		want, room := first, true
		if !f.knowsRetries() {
			want, room = admitted, 2*refusing <= parts
		}
		if room && want <= burstCalm*parts*limit {
			good++
		}
	}
	return 2*good > len(cells)
}

func (f *facts) knowsRetries() bool { return f.total.retryKnown > 0.5*f.total.Tries }

// overLimit reports whether more first tries than the limit came in the parts
// that refused: what came was not what is said again.
func (f *facts) overLimit(cells []*cell, limit float64) bool {
	over, refusing := 0.0, 0.0
	for _, c := range cells {
		for _, p := range c.parts {
			if p.refused > 0 {
				refusing++
				over += oneIf(p.first > limit*0.95)
			}
		}
	}
	return over >= 0.3*refusing
}

// inBursts reports whether most minutes refuse in a burst of tries and admit what
// comes after it. The service's intervals of ten seconds need not be the clock's,
// so that no number of admitted requests needs to be even.
func (f *facts) inBursts(cells []*cell) bool {
	good := 0
	for _, c := range cells {
		var came [parts]float64
		tries, refused, most := 0.0, 0.0, 0
		refusing, admitting := 0, 0
		for i, p := range c.parts {
			came[i] = p.tries
			if f.knowsRetries() {
				came[i] = p.first
			}
			tries += came[i]
			refused += p.refused
			refusing += int(oneIf(p.refused > 0))
			admitting += int(oneIf(p.refused == 0 && p.ok > 0))
			if came[i] > came[most] {
				most = i
			}
		}
		near := c.parts[most].refused // a burst may lie across two parts
		if most+1 < parts {
			near += c.parts[most+1].refused
		}
		if 2*refusing <= parts && 2*admitting >= parts-1 && near >= 0.7*refused && parts*came[most] >= burstPeak*tries && came[most] > c.parts[most].ok {
			good++
		}
	}
	return len(cells) >= burstMinutes && 3*good >= 2*len(cells)
}

// bursts reports refusals that spreading the minute's requests would have
// avoided.
func (f *facts) bursts(d *deployment, cells []*cell, met, limit float64) {
	peak, mean := 0.0, 0.0
	for _, c := range cells {
		for _, p := range c.parts {
			peak = max(peak, p.first)
			mean += p.first
		}
	}
	mean /= float64(len(cells))
	tries, source := "first tries", "time, client_retry 0"
	if !f.knowsRetries() {
		tries, source = "tries", "time"
	}
	f.report(diagnose.Finding{
		Code: diagnose.RPMBursts, Subject: d.name, Confidence: 0.75 + 0.2*min(1, peak/limit-1),
		Title:    fmt.Sprintf("%s refuses bursts: %s requests in 10 s, where %s are admitted; the per-minute limit would suffice", d.name, numeral.Whole(peak), numeral.Whole(limit)),
		Affected: share(f.clientsRefused(d, met), f.total.Tries),
		Evidence: []diagnose.Evidence{
			measured("admitted per 10 s while refusing", limit, "count", "attempts.start_ms, attempts.status"),
			measured("maximum of "+tries+" in 10 s", peak, "count", source),
			measured(tries+" in those minutes", mean, "per_minute", source),
			measured("limit", parts*limit, "per_minute", "ten-second limit × 6"),
		},
		RuledOut: []diagnose.RuledOut{ruledOut(diagnose.QuotaExhausted, "not the quota: "+numeral.Whole(mean)+" "+tries+" per minute, "+numeral.Whole(parts*limit)+" are allowed")},
		Remedy: diagnose.Remedy{
			Text:   "queue requests for some seconds instead of refusing them",
			Config: "queue: {max_length: 1024}\nclasses:\n  - {name: " + f.className(allTries) + ", window: 60s, max_wait: 15s}", Queue: true,
		},
	}, scope{cells: cells, at: []*deployment{d}, covers: []diagnose.Code{diagnose.QuotaExhausted}})
}

func (f *facts) exhausted(d *deployment, cells []*cell, met float64, quota string) {
	s := joined(cells)
	confidence, text := 0.8, "raise the quota, or add a deployment in another region"
	switch {
	case !f.kindKnown(d):
		confidence = 0.6
		text += "; the logs do not say that it is a standard deployment: if it is provisioned, it is saturated, which its utilization metric shows"
	case !s.reservationsKnown() && f.cfg.Direct:
		confidence = 0.7
		text += "; log token limits and token counts too: they show whether the quota is reserved and not used"
	}
	f.report(diagnose.Finding{
		Code: diagnose.QuotaExhausted, Subject: d.name, Confidence: confidence,
		Title:    fmt.Sprintf("%s has exhausted its quota of about %s", d.name, quota),
		Affected: share(f.clientsRefused(d, met), f.total.Tries),
		Evidence: []diagnose.Evidence{
			measured("requests refused or queued", met, "count", "attempts.status 429, refused_capacity, refused_queue"),
			measured("minutes", float64(len(cells))*f.bucket.Minutes(), "count", "time"),
		},
		Remedy: diagnose.Remedy{
			Text:   text,
			Config: "pools:\n  - {name: " + d.poolName() + ", tiers: [[" + d.name + "], [standard-elsewhere]]}",
			Spill:  true, Deployment: d.name,
		},
	}, scope{cells: cells, at: []*deployment{d}})
}
