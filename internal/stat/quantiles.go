package stat

import (
	"math"
	"time"
)

// generations is how many histograms share the window.
const generations = 4

// sketchScale is the resolution of Quantiles: 1e-6 to 1.7e7, in steps of at
// most 1/32. What a sketch keeps over a restart depends on it.
var sketchScale = Scale{Bits: 5, Low: -20, High: 24}

// Refresh bounds of a remembered answer: after 1/refreshShare of the samples
// are new, and after refreshMost of them at the latest.
const (
	refreshShare = 64
	refreshMost  = 64
)

// Quantiles estimates quantiles of the positive values seen during the last
// window, within 3.2% of the value. Values outside 1e-6–1.7e7 count as the
// nearest end of that range; its unit is the caller's.
//
// It is a Histogram for each of four generations of a quarter window;
// the oldest is emptied when a new one starts, so answers cover between three
// quarters of the window and all of it. Answers are remembered for up to four
// different q and computed again when 1/64 of the samples, or 64, are new.
type Quantiles struct {
	span    time.Duration // of one generation
	until   time.Time     // end of the current generation; zero before the first call
	current int
	gens    [generations]Histogram
	n       int    // samples in all generations
	added   uint32 // samples since construction: the version of an answer
	epoch   uint32 // counts emptied generations
	answers [4]answer
	next    int // answer to replace next
}

// answer is a remembered quantile.
type answer struct {
	q, v  float64
	added uint32
	epoch uint32
	valid bool
}

// NewQuantiles returns an empty sketch; a window of 0 means 10 minutes.
func NewQuantiles(window time.Duration) *Quantiles {
	if window <= 0 {
		window = 10 * time.Minute
	}
	s := &Quantiles{span: max(window/generations, 1)}
	for i := range s.gens {
		s.gens[i] = NewHistogram(sketchScale)
	}
	return s
}

// Add counts v at now. A value that is not a positive number is not counted.
func (s *Quantiles) Add(now time.Time, v float64) {
	s.advance(now)
	if !(v > 0) || math.IsInf(v, 1) {
		return
	}
	s.gens[s.current].Add(v)
	s.n++
	s.added++
}

// Quantile returns the q-quantile (0–1) of the values in the window that ends
// at now, and how many values that is. Without values it returns 0, 0.
func (s *Quantiles) Quantile(now time.Time, q float64) (v float64, n int) {
	s.advance(now)
	if s.n == 0 {
		return 0, 0
	}
	fresh := uint32(min(1+s.n/refreshShare, refreshMost))
	slot := -1
	for i := range s.answers {
		a := &s.answers[i]
		if !a.valid || a.q != q {
			continue
		}
		if a.epoch == s.epoch && s.added-a.added < fresh {
			return a.v, s.n
		}
		slot = i
		break
	}
	if slot < 0 {
		slot = s.next
		s.next = (s.next + 1) % len(s.answers)
	}
	v = quantileOf(s.gens[:], q)
	s.answers[slot] = answer{q: q, v: v, added: s.added, epoch: s.epoch, valid: true}
	return v, s.n
}

// Count returns the number of values in the window that ends at now.
func (s *Quantiles) Count(now time.Time) int {
	s.advance(now)
	return s.n
}

// advance starts new generations until now is in the current one.
func (s *Quantiles) advance(now time.Time) {
	if now.Before(s.until) {
		return
	}
	if s.until.IsZero() {
		s.until = now.Add(s.span)
		return
	}
	steps := now.Sub(s.until)/s.span + 1
	for range min(steps, generations) {
		s.current = (s.current + 1) % generations
		g := &s.gens[s.current]
		s.n -= g.n
		g.Clear()
	}
	s.until = s.until.Add(steps * s.span)
	s.epoch++
}
