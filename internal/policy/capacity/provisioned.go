package capacity

import (
	"math"
	"time"

	"github.com/spillway-ai/spillway"
)

// defaultDepth is the drain time that equals 100% utilization. The service
// documents none; its utilization metric has a resolution of a minute.
const defaultDepth = time.Minute

// Bounds of a depth that is learned from refusals.
const (
	minDepth = time.Second
	maxDepth = 10 * time.Minute
	// depthGain is how far one refusal moves the depth towards what it says.
	depthGain = 0.25
	// depthOvershoot is the utilization from which a refusal says anything:
	// the header has whole percents, so the error of u-1 is below a fifth.
	depthOvershoot = 1.03
)

// headerStep is the utilization header's resolution: less is no difference.
const headerStep = 0.01

// unitsPerToken is the resolution of the bucket. Whole units make a settled
// reservation leave exactly nothing, which floating point cannot promise.
const unitsPerToken = 1000

// bucket is the leaky bucket of a provisioned deployment.
type bucket struct {
	ratio       float64 // input tokens per output token
	cachedRatio float64 // input tokens per cached input token
	rate        float64 // drain, units per second
	depth       float64 // drain time of 100%, seconds
	fixedDepth  bool    // configured: not learned

	units int64   // level
	carry float64 // part of a unit that has drained besides
	at    time.Time

	seen   float64   // last utilization header, and when
	seenAt time.Time // zero before the first
}

// newBucket returns an empty bucket. Without PTUs it is not limited.
func newBucket(d spillway.Deployment) bucket {
	b := bucket{
		ratio:       d.OutputRatio,
		cachedRatio: d.CachedRatio,
		rate:        float64(d.PTU) * float64(d.InputTPMPerPTU) / 60 * unitsPerToken,
		depth:       d.MeterDepth.Seconds(),
		fixedDepth:  d.MeterDepth > 0,
	}
	if !b.fixedDepth {
		b.depth = defaultDepth.Seconds()
	}
	return b
}

// weigh returns the units of a cost.
func (b *bucket) weigh(c Cost) int64 {
	prompt, cached := bounded(c.Prompt), min(bounded(c.Cached), bounded(c.Prompt))
	input := float64(prompt-cached) + b.cachedRatio*float64(cached)
	return int64(math.Round((input + b.ratio*float64(bounded(c.Output))) * unitsPerToken))
}

func (b *bucket) full() float64 { return b.rate * b.depth }

func (b *bucket) level(now time.Time) float64 {
	if b.rate <= 0 {
		return 0
	}
	b.drain(now)
	return float64(b.units) / b.full()
}

func (b *bucket) reserve(now time.Time, size int64) Reservation {
	b.drain(now)
	units := b.atMost(size)
	b.units += units
	return Reservation{units: units}
}

func (b *bucket) settle(now time.Time, reserved, actual int64) {
	b.drain(now)
	b.units = max(b.units-reserved+b.atMost(actual), 0)
}

// atMost bounds what one request adds by the capacity.
func (b *bucket) atMost(units int64) int64 {
	if b.rate <= 0 {
		return units
	}
	return min(units, int64(b.full()))
}

// largest returns the most units that one request can cost; 0 means any amount. A
// depth that is not configured is uncertain, so the greatest possible one counts.
func (b *bucket) largest() int64 {
	depth := maxDepth.Seconds()
	if b.fixedDepth {
		depth = b.depth
	}
	return int64(b.rate * depth)
}

// readyAt drains to one unit below the limit, where that is above empty.
func (b *bucket) readyAt(now time.Time, limit float64) time.Time {
	if b.level(now) < limit {
		return now
	}
	ready := now
	target := max(int64(math.Ceil(limit*b.full()))-1, 0)
	if above := b.units - target; b.rate > 0 && above > 0 {
		wait := math.Ceil(float64(above) / b.rate * float64(time.Second))
		ready = later(now, b.at).Add(time.Duration(wait) + 1)
	}
	return ready
}

func (b *bucket) calibrate(now time.Time, s spillway.Signals) {
	if s.Utilization < 0 || b.rate <= 0 {
		return
	}
	b.drain(now)
	level := float64(b.units) / b.full()
	switch gap := s.Utilization - level; {
	case gap > headerStep:
		b.units = int64(s.Utilization * b.full())
	case gap < -headerStep:
		level += gap * downwardGain(now, b.seenAt)
		b.units = int64(level * b.full())
	}
	b.seen, b.seenAt = s.Utilization, now
}

// learnDepth uses a refusal that says both its utilization u and its wait w:
// the wait is the time to drain from u to 1, so the depth is w/(u-1). The
// utilization stays as it is.
func (b *bucket) learnDepth(now time.Time, retryAfter time.Duration) {
	b.drain(now)
	if b.fixedDepth || b.rate <= 0 || retryAfter <= 0 || !b.seenAt.Equal(now) || b.seen < depthOvershoot {
		return
	}
	says := retryAfter.Seconds() / (b.seen - 1)
	level := float64(b.units) / b.full()
	depth := b.depth * math.Pow(says/b.depth, depthGain)
	b.depth = min(max(depth, minDepth.Seconds()), maxDepth.Seconds())
	b.units = int64(level * b.full())
}

// drain lowers the level by what has drained since the last call.
func (b *bucket) drain(now time.Time) {
	if !now.After(b.at) {
		return
	}
	passed := now.Sub(b.at)
	b.at = now
	if b.units == 0 {
		return
	}
	out := passed.Seconds()*b.rate + b.carry
	if out >= float64(b.units) {
		b.units, b.carry = 0, 0
		return
	}
	whole := math.Floor(out)
	b.units -= int64(whole)
	b.carry = out - whole
}

// downwardGain returns the share of a downward gap to close, by the time
// since the last correction: many responses at once correct no more than one.
func downwardGain(now, last time.Time) float64 {
	if last.IsZero() {
		return 0.5
	}
	since := min(max(now.Sub(last), 0), calibrationHalfLife)
	return 1 - math.Exp2(-float64(since)/float64(calibrationHalfLife))
}
