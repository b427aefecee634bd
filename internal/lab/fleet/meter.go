package fleet

import (
	"math"
	"time"
)

// bucket meters provisioned capacity: a leaky bucket whose full mark is 100%
// utilization. The check is on the level before a request, so that one request
// may overshoot.
type bucket struct {
	drain float64 // input-token equivalents per second
	full  float64 // input-token equivalents at 100%
	level float64
	at    time.Time
}

// advance drains the bucket up to now. Time that goes back is ignored.
func (b *bucket) advance(now time.Time) {
	if d := now.Sub(b.at); d > 0 {
		b.level = max(0, b.level-b.drain*d.Seconds())
		b.at = now
	}
}

// add changes the level by cost, which is negative for a correction.
func (b *bucket) add(cost float64) { b.level = max(0, b.level+cost) }

// utilization is 1 at the full mark.
func (b *bucket) utilization() float64 {
	if b.full <= 0 {
		return math.Inf(1)
	}
	return b.level / b.full
}

// wait is the time until utilization is not above 100%.
func (b *bucket) wait() time.Duration {
	if b.drain <= 0 {
		return time.Minute
	}
	return time.Duration(max(0, b.level-b.full) / b.drain * float64(time.Second))
}

// window counts in periods that follow each other, such as the minute of a TPM
// limit. A limit of 0 does not limit.
type window struct {
	period time.Duration
	limit  int
	used   int
	end    time.Time // of the current period
}

// advance begins a new period when the current one is over. Periods stay
// aligned with the first.
func (w *window) advance(now time.Time) {
	if now.Before(w.end) {
		return
	}
	w.end = w.end.Add((now.Sub(w.end)/w.period + 1) * w.period)
	w.used = 0
}

func (w *window) full() bool { return w.limit > 0 && w.used >= w.limit }

func (w *window) remaining() int { return max(0, w.limit-w.used) }

// reset is the time until the period ends.
func (w *window) reset(now time.Time) time.Duration { return w.end.Sub(now) }

// decayed is a rate that forgets with time constant rateMemory.
type decayed struct {
	sum float64
	at  time.Time
}

const rateMemory = 10 * time.Second

func (r *decayed) advance(now time.Time) {
	if d := now.Sub(r.at); d > 0 {
		r.sum *= math.Exp(-d.Seconds() / rateMemory.Seconds())
		r.at = now
	}
}

func (r *decayed) perSecond() float64 { return r.sum / rateMemory.Seconds() }

// roundUp returns d rounded up to a multiple of unit, at least one unit.
func roundUp(d, unit time.Duration) time.Duration {
	return max(1, (d+unit-1)/unit) * unit
}
