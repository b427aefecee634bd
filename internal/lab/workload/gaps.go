package workload

import (
	"math"
	"time"
)

// gaps is the mean and variance of the times between calls (Welford's
// recurrence). The zero value has seen no call.
type gaps struct {
	n        int // gaps so far
	begun    bool
	last     time.Duration
	mean, m2 float64 // seconds
}

func (g *gaps) add(at time.Duration) {
	if g.begun {
		gap := (at - g.last).Seconds()
		g.n++
		delta := gap - g.mean
		g.mean += delta / float64(g.n)
		g.m2 += delta * (gap - g.mean)
	}
	g.begun, g.last = true, at
}

// cv is the standard deviation over the mean; 0 where it has no meaning.
func (g *gaps) cv() float64 {
	if g.n < 2 || g.mean <= 0 {
		return 0
	}
	return math.Sqrt(g.m2/float64(g.n)) / g.mean
}

// window counts calls in windows of one width that follow each other from the
// first call on.
type window struct {
	width   time.Duration
	current int // window being counted
	n       int // its calls so far
	counts  distribution
}

func (w *window) add(since time.Duration) {
	at := int(since / w.width)
	if at > w.current {
		w.counts.add(w.n, 1)
		if empty := at - w.current - 1; empty > 0 {
			w.counts.add(0, empty)
		}
		w.current, w.n = at, 0
	}
	w.n++
}

// burstiness leaves the last window out, which is not complete, unless it is
// the only one.
func (w *window) burstiness() Burstiness {
	b := Burstiness{WindowSeconds: int(w.width / time.Second)}
	if w.counts.Count() == 0 {
		b.P99, b.Max = 1, 1
		return b
	}
	mean := w.counts.mean()
	b.P99, b.Max = float64(w.counts.WholeQuantile(.99))/mean, w.counts.Max()/mean
	return b
}
