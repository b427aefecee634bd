package diagnose

import (
	"fmt"

	spillway "github.com/spillway-ai/spillway"
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
	meterSeconds  = 60.0 // the meter's depth that is assumed where nobody told
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
		if s.utilN > 0 && s.utilMax < 0.9 && s.unsent < s.refused {
			continue // it did not refuse for capacity
		}
		if worked > 0 && worked < workedMost && held >= 0.15 || worked == 0 && held >= reservedMost {
			f.overReserved(d, cells, [4]float64{met, worked, held, share(s.tokens, s.reserved)})
			continue
		}
		if worked > 0 && worked < 0.6 {
			continue
		}
		f.saturated(d, cells, met, worked)
	}
}

func (f *facts) saturated(d *deployment, cells []*cell, met, worked float64) {
	s := joined(cells)
	evidence := []Evidence{
		{"met want of capacity", met, "count", "attempts.status 429, refused_capacity, refused_queue, queue_ms ≥ 2 s"},
		{"minutes of it", float64(len(cells)) * f.bucket.Minutes(), "count", "time"},
		{"work done then, of input-token equivalents", 60 * share(s.work, float64(len(cells))*f.bucket.Seconds()), "per_minute", "usage"},
	}
	if s.utilN > 0 {
		evidence = append(evidence, Evidence{"utilization then, mean", s.util / s.utilN, "share", "attempts.utilization_ratio"})
	}
	title := d.name + " is full"
	confidence := 0.8
	if worked > 0 {
		evidence = append(evidence, Evidence{"work done, of the capacity", worked, "share", "usage, configuration"})
		title = fmt.Sprintf("%s is full: %s of its %d PTU at work", d.name, percent(min(worked, 1)), d.known.PTU)
		confidence = 0.95
	}
	f.report(Finding{
		Code: PTUSaturation, Subject: d.name, Title: title + fmt.Sprintf(", %s of requests refused or waiting", percent(share(met, f.total.Tries))),
		Confidence: confidence, Affected: share(f.clientsRefused(d, met), f.total.Tries), at: []*deployment{d}, Evidence: evidence,
		RuledOut: []RuledOut{{OverReservation, "not reservations: " + percent(share(s.tokens, s.reserved)) + " of what was reserved is used"}},
		Remedy: Remedy{
			Text:   "add standard capacity behind it (or PTUs: spillway plan says how many)",
			Config: "pools:\n  - {name: " + d.poolName() + ", tiers: [[" + d.name + "], [standard-elsewhere]], spill: {at: 0.97}}",
			Spill:  true,
		},
	}, cells)
}

// overReserved reports met, worked, held and used, in that order.
func (f *facts) overReserved(d *deployment, cells []*cell, v [4]float64) {
	evidence := []Evidence{
		{"met want of capacity", v[0], "count", "attempts.status 429, refused_capacity, refused_queue, queue_ms ≥ 2 s"},
		{"reserved, p50", d.grants.quantile(0.5), "tokens", "attempts.grant_tokens"},
		{"used, p50", d.output.quantile(0.5), "tokens", "usage.completion_tokens"},
		{"used, p99", d.output.quantile(0.99), "tokens", "usage.completion_tokens"},
		{"reserved tokens that are used", v[3], "share", "usage / (prompt + grant)"},
	}
	confidence := 0.6 + 0.3*min(1, v[2])
	var not []RuledOut
	if v[1] > 0 {
		evidence = append(evidence, Evidence{"work done, of the capacity", v[1], "share", "usage, configuration"})
		not = append(not, RuledOut{PTUSaturation, "not saturation: the work done is " + percent(v[1]) + " of the capacity"})
		confidence = 0.9
	}
	f.report(Finding{
		Code: OverReservation, Subject: d.name, at: []*deployment{d}, Confidence: confidence, RuledOut: not,
		Title:    fmt.Sprintf("%s refuses for what is reserved and not used: %s of reserved tokens are used", d.name, percent(v[3])),
		Affected: share(f.clientsRefused(d, v[0]), f.total.Tries), Evidence: evidence,
		covers: map[Code]bool{PTUSaturation: true, QuotaExhausted: true},
		Remedy: Remedy{
			Text:      "send the length that callers are known to need as the limit",
			Config:    fmt.Sprintf("classes:\n  - {name: %s, window: 60s, right_size: true}  # answers need %s at p99", f.className(allTries), numeral.Whole(d.output.quantile(0.99))),
			RightSize: true,
		},
	}, cells)
}

// clientsRefused is how many clients felt it: no more than were refused.
func (f *facts) clientsRefused(d *deployment, met float64) float64 {
	if len(d.spilledTo) == 0 {
		return met
	}
	return min(met, f.total.Refused)
}
