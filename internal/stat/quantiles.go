package stat

import (
	"math"
	"time"
)

// The histogram's resolution. A bucket is one of 2^subBits equal parts of an
// octave [2^k, 2^(k+1)), so it is at most 1/32 of its value wide.
const (
	subBits    = 5
	minOctave  = -20 // 2^-20 ≈ 1e-6
	maxOctave  = 24  // 2^24 ≈ 1.7e7
	binCount   = (maxOctave - minOctave) << subBits
	firstBin   = (1023 + minOctave) << subBits // of the exponent and top mantissa bits
	binShift   = 52 - subBits
	generation = 4 // generations that share the window
)

// Refresh bounds of a remembered answer: after 1/refreshShare of the samples
// are new, and after refreshMost of them at the latest.
const (
	refreshShare = 64
	refreshMost  = 64
)

// Quantiles estimates quantiles of the positive values seen during the last
// window, within 3.2% of the value. Values outside 1e-6–1.6e7 count as the
// nearest end of that range; its unit is the caller's.
//
// It is a log-linear histogram in four generations of a quarter window each;
// the oldest is emptied when a new one starts, so answers cover between three
// quarters of the window and all of it. Answers are remembered for up to four
// different q and computed again when 1/64 of the samples, or 64, are new.
type Quantiles struct {
	span    time.Duration // of one generation
	until   time.Time     // end of the current generation; zero before the first call
	current int
	gens    [generation]histogram
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

// histogram counts values by bucket. lo and hi bound the buckets in use.
type histogram struct {
	n        int
	lo, hi   int
	min, max float64
	bins     [binCount]uint32
}

// NewQuantiles returns an empty sketch; a window of 0 means 10 minutes.
func NewQuantiles(window time.Duration) *Quantiles {
	if window <= 0 {
		window = 10 * time.Minute
	}
	return &Quantiles{span: max(window/generation, 1)}
}

// Add counts v at now. A value that is not a positive number is not counted.
func (s *Quantiles) Add(now time.Time, v float64) {
	s.advance(now)
	if !(v > 0) || math.IsInf(v, 1) {
		return
	}
	s.gens[s.current].add(v)
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
	v = s.compute(q)
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
	for range min(steps, generation) {
		s.current = (s.current + 1) % generation
		g := &s.gens[s.current]
		s.n -= g.n
		g.clear()
	}
	s.until = s.until.Add(steps * s.span)
	s.epoch++
}

// compute finds the bucket of rank q·n from the nearer end, and the place in
// it by the share of its values below the rank.
func (s *Quantiles) compute(q float64) float64 {
	lo, hi := binCount, -1
	least, most := math.Inf(1), 0.0
	for i := range s.gens {
		if g := &s.gens[i]; g.n > 0 {
			lo, hi = min(lo, g.lo), max(hi, g.hi)
			least, most = min(least, g.min), max(most, g.max)
		}
	}
	rank := min(max(q, 0), 1) * float64(s.n)
	below := s.n
	bin, count := hi, 0
	if q >= 0.5 {
		for ; ; bin-- {
			count = s.at(bin)
			below -= count
			if bin == lo || count > 0 && float64(below) < rank {
				break
			}
		}
	} else {
		for bin, below = lo, 0; ; bin++ {
			count = s.at(bin)
			if bin == hi || count > 0 && float64(below+count) >= rank {
				break
			}
			below += count
		}
	}
	from, to := edge(bin), edge(bin+1)
	v := from + (to-from)*(rank-float64(below))/float64(max(count, 1))
	return min(max(v, least), most)
}

// at returns the values in one bucket over all generations.
func (s *Quantiles) at(bin int) int {
	n := 0
	for i := range s.gens {
		n += int(s.gens[i].bins[bin])
	}
	return n
}

func (g *histogram) add(v float64) {
	bin := binOf(v)
	if g.n == 0 {
		g.lo, g.hi, g.min, g.max = bin, bin, v, v
	}
	g.lo, g.hi = min(g.lo, bin), max(g.hi, bin)
	g.min, g.max = min(g.min, v), max(g.max, v)
	g.n++
	g.bins[bin]++
}

func (g *histogram) clear() {
	if g.n > 0 {
		clear(g.bins[g.lo : g.hi+1])
	}
	g.n = 0
}

// binOf returns the bucket of a positive number: the exponent and the highest
// mantissa bits of its IEEE 754 form count buckets without a logarithm.
func binOf(v float64) int {
	bin := int(math.Float64bits(v)>>binShift) - firstBin
	return min(max(bin, 0), binCount-1)
}

// edge returns the lower bound of a bucket.
func edge(bin int) float64 {
	return math.Float64frombits(uint64(bin+firstBin) << binShift)
}
