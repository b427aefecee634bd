package rules

import (
	"fmt"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/diagnose"
	"github.com/spillway-ai/spillway/internal/numeral"
)

// Thresholds. Want of capacity is looked at when at least twenty requests, and
// one in 200, met it; buckets count in which at least 3% did. What tells
// saturation from reservation is the share of the meter that is reserved and
// not used while capacity is short; where the capacity is known, the work done
// against it decides.
const (
	pressedLeast  = 20
	pressedShare  = 0.005
	pressedBucket = 0.03
	reservedMost  = 0.5  // of the full mark
	workedMost    = 0.78 // of the capacity
	meterSeconds  = 60.0 // the meter's depth that is assumed if not configured
	fullMark      = 0.9  // utilization at which a deployment may be refusing
)

// pressedEnough returns the buckets in which capacity was short, if it was.
func (f *facts) pressedEnough(d *deployment) ([]*cell, float64) {
	met, _ := pressureOf(d)
	cells := d.pressed(pressedBucket)
	if met < pressedLeast || met < pressedShare*f.poolTries(d) || len(cells) == 0 {
		return nil, 0
	}
	s := joined(cells)
	met, _ = s.pressure()
	if met < pressedLeast {
		return nil, 0
	}
	return cells, met
}

// poolTries is how many tries the deployment has seen.
func (f *facts) poolTries(d *deployment) float64 {
	_, all := pressureOf(d)
	return all
}

// provisionedCapacity looks for provisioned deployments that refuse: because
// they are full of work, or of reservations.
func provisionedCapacity(f *facts) {
	for _, d := range f.all {
		if d.kind != spillway.Provisioned {
			continue
		}
		cells, met := f.pressedEnough(d)
		if cells == nil {
			continue
		}
		s := joined(cells)
		time := float64(len(cells)) * f.bucket.Seconds()
		held := s.excess / time
		depth := meterSeconds
		if m := d.known.MeterDepth; m > 0 {
			depth = m.Seconds()
		}
		worked := 0.0 // share of the capacity
		if capacity := d.capacity(); capacity > 0 {
			worked = s.work / time / capacity
			held /= depth * capacity
		} else {
			held = share(held, depth*s.work/time)
		}
		measuredAll := s.utilN > 0 && f.total.utilMetric == 0 // by each response, where a metric's mean hides what is shorter
		if measuredAll && s.utilMax < fullMark && s.unsent < s.refused {
			continue // it did not refuse for capacity
		}
		busy := s.metricN > 0 && s.metric/s.metricN >= workedMost // the work done fills it
		// What is reserved without a limit is assumed: alone it proves nothing.
		shown := s.reservationsKnown() || !f.cfg.Direct || s.metricN > 0
		if !busy && shown && s.tokensKnown() && (worked > 0 && worked < workedMost && held >= 0.15 || worked == 0 && held >= reservedMost) {
			f.overReserved(d, cells, reservation{met: met, worked: worked, held: held, used: share(s.tokens, s.reserved)})
			continue
		}
		if !busy && worked > 0 && worked < 0.6 {
			continue
		}
		f.saturated(d, cells, met, worked)
	}
}

func (f *facts) saturated(d *deployment, cells []*cell, met, worked float64) {
	s := joined(cells)
	evidence := []diagnose.Evidence{
		measured("requests refused or queued", met, "count", "attempts.status 429, refused_capacity, refused_queue, queue_ms ≥ 2 s"),
		measured("minutes", float64(len(cells))*f.bucket.Minutes(), "count", "time"),
		measured("work in those minutes, input-token equivalents", 60*share(s.work, float64(len(cells))*f.bucket.Seconds()), "per_minute", "usage"),
	}
	if s.utilN > 0 {
		evidence = append(evidence, measured("mean utilization in those minutes", s.util/s.utilN, "share", "attempts.utilization_ratio"))
	}
	title := d.name + " is saturated"
	confidence := 0.8
	text := "add standard capacity as the next tier, or PTUs (spillway plan computes how many)"
	switch mean := share(s.util, s.utilN); {
	case s.utilN == 0 || mean >= fullMark:
	case s.utilMax >= fullMark:
		evidence = append(evidence, measured("highest utilization in those minutes", s.utilMax, "share", "metric, Maximum"))
		title = d.name + " is saturated in bursts shorter than a minute: " + numeral.Percent(mean) + " utilization on average, " + numeral.Percent(s.utilMax) + " at most"
	default:
		confidence = 0.6
		title = d.name + " refuses requests at " + numeral.Percent(mean) + " utilization on average, probably in bursts shorter than a minute"
		text += "; export the metric with the aggregation Maximum too: it shows whether the deployment is full for moments"
	}
	if f.cfg.Direct && !s.reservationsKnown() && share(s.metric, s.metricN) < workedMost {
		confidence = min(confidence, 0.65)
		text += "; log token limits and token counts too: they show whether it is full of work or of reservations"
	}
	if worked >= 0.6 {
		evidence = append(evidence, measured("work, share of the capacity", worked, "share", "usage, configuration"))
		title = fmt.Sprintf("%s is saturated: %s of its %d PTUs in use", d.name, numeral.Percent(min(worked, 1)), d.known.PTU)
		confidence = 0.95
	} else if share(s.metric, s.metricN) >= fullMark {
		confidence = 0.9
	}
	f.report(diagnose.Finding{
		Code: diagnose.PTUSaturation, Subject: d.name, Title: title + fmt.Sprintf(", %s of requests refused or queued", numeral.Percent(share(met, f.total.Tries))),
		Confidence: confidence, Affected: share(f.clientsRefused(d, met), f.total.Tries), Evidence: evidence,
		RuledOut: notReserved(&s),
		Remedy: diagnose.Remedy{
			Text:   text,
			Config: "pools:\n  - {name: " + d.poolName() + ", tiers: [[" + d.name + "], [standard-elsewhere]], spill: {at: 0.97}}",
			Spill:  true, Deployment: d.name,
		},
	}, scope{cells: cells, at: []*deployment{d}})
}

// notReserved rules reservations out where they are known.
func notReserved(s *cell) []diagnose.RuledOut {
	if s.asked < 0.9*s.admitted || s.admitted == 0 {
		return nil
	}
	return []diagnose.RuledOut{ruledOut(diagnose.OverReservation, "not reservations: "+numeral.Percent(share(s.tokens, s.reserved))+" of the reserved tokens are used")}
}

// reservation is what a deployment's reserved tokens came to while it refused.
type reservation struct {
	met    float64 // requests that were refused or waited
	worked float64 // share of the capacity at work; 0 where the capacity is unknown
	held   float64 // share of the meter that was reserved and not used
	used   float64 // share of the reserved tokens that was used
}

func (f *facts) overReserved(d *deployment, cells []*cell, r reservation) {
	evidence := []diagnose.Evidence{
		measured("requests refused or queued", r.met, "count", "attempts.status 429, refused_capacity, refused_queue, queue_ms ≥ 2 s"),
		measured("reserved, p50", d.grants.quantile(0.5), "tokens", "attempts.grant_tokens"),
		measured("used, p50", d.output.quantile(0.5), "tokens", "usage.completion_tokens"),
		measured("used, p99", d.output.quantile(0.99), "tokens", "usage.completion_tokens"),
		measured("share of reserved tokens used", r.used, "share", "usage / (prompt + grant)"),
	}
	confidence := 0.6 + 0.3*min(1, r.held)
	if s := joined(cells); !s.reservationsKnown() {
		confidence = min(confidence, 0.65) // what is reserved without a limit is assumed
	}
	var not []diagnose.RuledOut
	if r.worked > 0 {
		evidence = append(evidence, measured("work, share of the capacity", r.worked, "share", "usage, configuration"))
		not = append(not, ruledOut(diagnose.PTUSaturation, "not saturation: the work done is "+numeral.Percent(r.worked)+" of the capacity"))
		confidence = 0.9
	}
	f.report(diagnose.Finding{
		Code: diagnose.OverReservation, Subject: d.name, Confidence: confidence, RuledOut: not,
		Title:    fmt.Sprintf("%s refuses requests because of over-reservation: only %s of the reserved tokens are used", d.name, numeral.Percent(r.used)),
		Affected: share(f.clientsRefused(d, r.met), f.total.Tries), Evidence: evidence,
		Remedy: diagnose.Remedy{
			Text:      "reserve the output length that callers are known to need, instead of their token limit",
			Config:    fmt.Sprintf("classes:\n  - {name: %s, window: 60s, right_size: true, budget: {mode: window}}  # responses need %s at p99", f.className(allTries), numeral.Whole(d.output.quantile(0.99))),
			RightSize: true,
		},
	}, scope{cells: cells, at: []*deployment{d}, covers: []diagnose.Code{diagnose.PTUSaturation, diagnose.QuotaExhausted}})
}

// clientsRefused is how many clients felt it: no more than were refused.
func (f *facts) clientsRefused(d *deployment, met float64) float64 {
	if len(d.spilledTo) == 0 {
		return met
	}
	return min(met, f.total.Refused)
}
