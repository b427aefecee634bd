package rules

import (
	"maps"
	"math"
	"slices"
)

// The sketch's resolution: 64 bins an octave, so that an answer is within 1.1%
// of the value.
const (
	sketchSub  = 64
	sketchLow  = -14 // octave of 2^-14
	sketchBins = 48 * sketchSub
)

// sketch is a distribution of positive values in 12 KiB.
type sketch struct {
	n    int
	bins [sketchBins]uint32
}

func (s *sketch) add(v float64) {
	if !(v > 0) {
		return
	}
	frac, exp := math.Frexp(v) // v = frac·2^exp, frac within [0.5, 1)
	bin := (exp-1-sketchLow)*sketchSub + int((frac*2-1)*sketchSub)
	s.bins[min(max(bin, 0), sketchBins-1)]++
	s.n++
}

// quantile returns the middle of the bin that holds it; 0 without values.
func (s *sketch) quantile(q float64) float64 {
	if s.n == 0 {
		return 0
	}
	rank, seen := q*float64(s.n), 0
	for i, n := range s.bins {
		if seen += int(n); n > 0 && float64(seen) >= rank {
			return middle(i)
		}
	}
	return middle(sketchBins - 1)
}

// maxChoices bounds the values that choices tells apart.
const maxChoices = 256

// choices is a distribution of numbers that people choose, such as limits:
// exact as long as they are few.
type choices struct {
	counts map[int]float64 // nil once there are too many
	many   bool
	sketch
}

func (c *choices) add(v int) {
	if v <= 0 {
		return
	}
	c.sketch.add(float64(v))
	if c.many {
		return
	}
	if c.counts == nil {
		c.counts = map[int]float64{}
	}
	if c.counts[v]++; len(c.counts) > maxChoices {
		c.counts, c.many = nil, true
	}
}

func (c *choices) quantile(q float64) float64 {
	if c.many {
		return c.sketch.quantile(q)
	}
	rank, seen := q*float64(c.n), 0.0
	for _, v := range slices.Sorted(maps.Keys(c.counts)) {
		if seen += c.counts[v]; seen >= rank {
			return float64(v)
		}
	}
	return 0
}

// peakBins is how wide a peak is: a fifth of its value.
const peakBins = sketchSub * 3 / 16

// peak returns the middle of the values where most stand close together, and
// the share of all that does.
func (s *sketch) peak() (v, share float64) {
	end, most, sum := 0, uint32(0), uint32(0)
	for i, n := range s.bins {
		sum += n
		if i >= peakBins {
			sum -= s.bins[i-peakBins]
		}
		if sum > most {
			end, most = i, sum
		}
	}
	seen := uint32(0)
	for i := max(end-peakBins+1, 0); i <= end; i++ {
		if seen += s.bins[i]; 2*seen >= most && most > 0 {
			return middle(i), float64(most) / float64(max(s.n, 1))
		}
	}
	return 0, 0
}

// middle is the value in the middle of a bin.
func middle(bin int) float64 {
	return math.Ldexp(1+(float64(bin%sketchSub)+0.5)/sketchSub, bin/sketchSub+sketchLow)
}

// line is a regression of y on x, as sums.
type line struct{ n, x, y, xx, xy, yy float64 }

func (l *line) add(x, y float64) {
	l.n++
	l.x += x
	l.y += y
	l.xx += x * x
	l.xy += x * y
	l.yy += y * y
}

func (l *line) join(o *line) {
	l.n += o.n
	l.x += o.x
	l.y += o.y
	l.xx += o.xx
	l.xy += o.xy
	l.yy += o.yy
}

// fit returns y = a + b·x with the correlation r; zeros where x does not vary.
func (l *line) fit() (a, b, r float64) {
	vx, vy := l.n*l.xx-l.x*l.x, l.n*l.yy-l.y*l.y
	if l.n < 3 || vx <= 1e-9*l.n*l.xx {
		return 0, 0, 0
	}
	cov := l.n*l.xy - l.x*l.y
	b = cov / vx
	a = (l.y - b*l.x) / l.n
	if vy > 0 {
		r = cov / math.Sqrt(vx*vy)
	}
	return a, b, r
}

// logMean is a geometric mean under way.
type logMean struct{ n, sum float64 }

func (m *logMean) add(v float64) {
	if v > 0 {
		m.n++
		m.sum += math.Log(v)
	}
}

func (m *logMean) join(o logMean) { m.n += o.n; m.sum += o.sum }

// value is the mean; 0 without values.
func (m logMean) value() float64 {
	if m.n == 0 {
		return 0
	}
	return math.Exp(m.sum / m.n)
}

// moments returns mean and standard deviation of n values with those sums.
func moments(n, sum, squares float64) (mean, dev float64) {
	if n <= 0 {
		return 0, 0
	}
	mean = sum / n
	return mean, math.Sqrt(max(squares/n-mean*mean, 0))
}
