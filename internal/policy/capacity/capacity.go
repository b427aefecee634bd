// Package capacity meters the use of one deployment's capacity: it reserves an
// estimate when an attempt starts, and corrects it when the attempt ends.
//
// A provisioned deployment is a leaky bucket of input-token equivalents: a
// request adds (prompt - cached) + ratio·output, PTU·inputTPM/60 drains each
// second, and it is refused when the level before it is above 100% (Microsoft,
// "Provisioned throughput", utilization-based request evaluation). A standard
// deployment has tokens per minute and requests per 1 or 10 s (Microsoft,
// "Manage quota"). Response headers correct both meters. A refusal pauses requests
// of its size, and does not change the level.
package capacity

import (
	"time"

	"github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/models"
)

// Cost is what a request consumes, in tokens.
type Cost struct {
	Prompt int
	Cached int // part of Prompt
	Output int
}

// Demand is what a request asks of a deployment.
type Demand struct {
	Cost
	Tier string // service tier; "" is the default one
	By   uint64 // hash of the caller
}

// Reservation is capacity held for one attempt. It ends in exactly one Settle
// or Release, at the meter that gave it.
type Reservation struct {
	units  int64 // of the bucket, or tokens of the minute
	minute int64 // of a standard deployment: which minute it was counted in

	size  int64 // what the service compares, in the same units; units is at most the capacity
	tier  string
	by    uint64
	probe uint64 // number of the probe that the attempt is; 0 means none

	resumed uint64 // of the meter, then
	started time.Time
}

// Meter meters one deployment, of either kind. It is not safe for
// concurrent use; no method allocates.
type Meter struct {
	kind        spillway.Kind
	provisioned bucket
	standard    quota
	held        int64     // sum of the units of unsettled reservations
	nearUntil   time.Time // when RecentlyNearLimit ends

	refused     [maxTiers]refusals
	pausedUntil time.Time // the last of their ends
	probes      uint64    // number of the last probe
	resumed     uint64    // how often all pauses were ended
}

// NewMeter returns the meter of an idle deployment. models.Fill replaces zero
// figures of a provisioned deployment.
func NewMeter(d spillway.Deployment) *Meter {
	d = models.Fill(d)
	m := &Meter{kind: d.Kind}
	if d.Kind == spillway.Provisioned {
		m.provisioned = newBucket(d)
	} else {
		m.standard = newQuota(d)
	}
	return m
}

// Level returns the utilization. 0 is idle; at 1 and above the deployment is
// expected to refuse. Without limits it is always 0.
func (m *Meter) Level(now time.Time) float64 {
	if m.provisionedKind() {
		return m.provisioned.level(now)
	}
	return m.standard.level(now)
}

// Reserve counts an attempt that starts now. It never refuses: compare Level with the
// limit first, as the service looks at the level before the request. No attempt raises
// the level by more than 1.
func (m *Meter) Reserve(now time.Time, d Demand) Reservation {
	var r Reservation
	size := m.size(d.Cost)
	if m.provisionedKind() {
		r = m.provisioned.reserve(now, size)
	} else {
		r = m.standard.reserve(now, size)
	}
	r.size, r.tier, r.by, r.started, r.resumed = max(size, 1), d.Tier, d.By, now, m.resumed
	m.startProbe(now, &r)
	m.held += r.units
	m.noticeNear(now)
	return r
}

func (m *Meter) provisionedKind() bool { return m.kind == spillway.Provisioned }

// size returns a cost in the meter's units.
func (m *Meter) size(c Cost) int64 {
	if m.provisionedKind() {
		return m.provisioned.weigh(c)
	}
	return quotaTokens(c)
}

// tokens is the inverse of size.
func (m *Meter) tokens(units int64) int {
	if m.provisionedKind() {
		return int(units / unitsPerToken)
	}
	return int(units)
}

// MaxTokens returns the most that one request can cost here, in input-token
// equivalents where the deployment is provisioned; 0 means that it is not known. A
// larger request can never be served.
func (m *Meter) MaxTokens() int {
	if m.provisionedKind() {
		return m.tokens(m.provisioned.largest())
	}
	return m.tokens(m.standard.largest())
}

// Fits reports whether a request of that cost can ever be served here.
func (m *Meter) Fits(c Cost) bool {
	largest := m.MaxTokens()
	return largest == 0 || m.tokens(m.size(c)) <= largest
}

// maxTokens bounds every figure of a Cost, so that sums of them do not overflow.
const maxTokens = 1 << 31

// bounded returns a figure within 0 and maxTokens.
func bounded(tokens int) int { return min(max(tokens, 0), maxTokens) }

// nearLimit is the utilization by tokens from which capacity counts as nearly
// used up. Below it, requests are not refused for the tokens that they reserve,
// so lowering what they reserve gains nothing. It is lower than where
// deployments refuse, since many requests can arrive before one ends.
const nearLimit = 0.7

// nearMemory is how long that counts afterwards: over several minutes of a
// standard deployment, each of which starts at zero.
const nearMemory = 5 * time.Minute

// RecentlyNearLimit reports whether the deployment has used 70% of its tokens
// or more, or refused a request, within the last five minutes.
func (m *Meter) RecentlyNearLimit(now time.Time) bool { return now.Before(m.nearUntil) }

// noticeNear is called after whatever can raise the level.
func (m *Meter) noticeNear(now time.Time) {
	if m.tokenLevel(now) >= nearLimit {
		m.nearUntil = now.Add(nearMemory)
	}
}

// tokenLevel is the utilization by tokens alone: that of requests per minute
// left aside.
func (m *Meter) tokenLevel(now time.Time) float64 {
	if m.provisionedKind() {
		return m.provisioned.level(now)
	}
	m.standard.advance(now)
	return m.standard.tokenShare()
}

// Settle corrects a reservation to what the attempt really consumed. A
// provisioned bucket returns the difference at once; its level is never below
// zero. A standard counter counts estimates until its minute ends: it adds
// what was used beyond the reservation, and returns nothing.
func (m *Meter) Settle(now time.Time, r Reservation, actual Cost) {
	m.held -= r.units
	m.endProbe(now, r)
	if m.provisionedKind() {
		m.provisioned.settle(now, r.units, m.provisioned.weigh(actual))
	} else {
		m.standard.settle(now, r, actual)
	}
	m.noticeNear(now)
}

// Release cancels a reservation: the attempt was refused or never ran. The
// request itself still counts against a standard deployment's request limit,
// as unsuccessful requests do.
func (m *Meter) Release(now time.Time, r Reservation) {
	m.held -= r.units
	m.endProbe(now, r)
	if m.provisionedKind() {
		m.provisioned.settle(now, r.units, 0)
		return
	}
	m.standard.release(now, r)
}

// Outstanding returns the tokens held by unsettled reservations, in input-token
// equivalents where the deployment is provisioned. It is exactly 0 when every
// reservation has been settled or released.
func (m *Meter) Outstanding() float64 {
	if m.provisionedKind() {
		return float64(m.held) / unitsPerToken
	}
	return float64(m.held)
}

// ReadyAt returns when the level will be below limit if nothing is added and
// nothing settles; now, if it is already.
func (m *Meter) ReadyAt(now time.Time, limit float64) time.Time {
	if m.provisionedKind() {
		return m.provisioned.readyAt(now, limit)
	}
	return m.standard.readyAt(now, limit)
}

// Calibrate corrects the meter by a response's headers. Upward corrections are
// made at once: others may use the deployment too, and a level that is too low
// leads to refusals. Downward, half of the difference is corrected in 5 s,
// because a header does not include attempts that are still on their way.
func (m *Meter) Calibrate(now time.Time, s spillway.Signals) {
	if m.provisionedKind() {
		m.provisioned.calibrate(now, s)
	} else {
		m.standard.calibrate(now, s)
	}
	m.noticeNear(now)
}

// calibrationHalfLife is the time in which half of a downward correction is
// made.
const calibrationHalfLife = 5 * time.Second
