package rules

import (
	"maps"
	"math"
	"slices"

	"github.com/spillway-ai/spillway/internal/stat"
)

// resolution is that of a sketch: a result is within 1.6% of the value.
var resolution = stat.Scale{Bits: 6, Low: -14, High: 34}

// sketch is a distribution of positive values. It takes 12 KiB from the first
// value on.
type sketch struct{ values *stat.Histogram }

func (s *sketch) add(v float64) {
	if !(v > 0) {
		return
	}
	if s.values == nil {
		h := stat.NewHistogram(resolution)
		s.values = &h
	}
	s.values.Add(v)
}

// count is the number of values.
func (s *sketch) count() int {
	if s.values == nil {
		return 0
	}
	return s.values.Count()
}

// quantile is 0 without values.
func (s *sketch) quantile(q float64) float64 {
	if s.values == nil {
		return 0
	}
	return s.values.Quantile(q)
}

// maxChoices bounds the distinct values of choices.
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
	rank, seen := q*float64(c.count()), 0.0
	for _, v := range slices.Sorted(maps.Keys(c.counts)) {
		if seen += c.counts[v]; seen >= rank {
			return float64(v)
		}
	}
	return 0
}

// peakWidth is how wide a peak is in buckets: a fifth of its value.
const peakWidth = 64 * 3 / 16

// peak returns the middle of the values where most stand close together, and
// the share of all that does.
func (s *sketch) peak() (v, share float64) {
	if s.values == nil {
		return 0, 0
	}
	end, most, sum := 0, 0, 0
	for i := range resolution.Len() {
		sum += s.values.In(i)
		if i >= peakWidth {
			sum -= s.values.In(i - peakWidth)
		}
		if sum > most {
			end, most = i, sum
		}
	}
	seen := 0
	for i := max(end-peakWidth+1, 0); i <= end; i++ {
		if seen += s.values.In(i); 2*seen >= most {
			return (resolution.Lower(i) + resolution.Lower(i+1)) / 2, float64(most) / float64(s.count())
		}
	}
	return 0, 0
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

// plane is a regression of z on x and y, as sums.
type plane struct{ n, x, y, z, xx, xy, yy, xz, yz, zz float64 }

func (p *plane) add(x, y, z float64) {
	p.n++
	p.x, p.y, p.z = p.x+x, p.y+y, p.z+z
	p.xx, p.xy, p.yy = p.xx+x*x, p.xy+x*y, p.yy+y*y
	p.xz, p.yz, p.zz = p.xz+x*z, p.yz+y*z, p.zz+z*z
}

func (p *plane) join(o *plane) {
	p.n, p.x, p.y, p.z = p.n+o.n, p.x+o.x, p.y+o.y, p.z+o.z
	p.xx, p.xy, p.yy = p.xx+o.xx, p.xy+o.xy, p.yy+o.yy
	p.xz, p.yz, p.zz = p.xz+o.xz, p.yz+o.yz, p.zz+o.zz
}

// fit returns z = a + b·x + c·y with the partial correlation r of z and x, y being
// accounted for; zeros where x and y do not vary apart from each other.
func (p *plane) fit() (a, b, c, r float64) {
	if p.n < 4 {
		return 0, 0, 0, 0
	}
	vx, vy, vz := p.xx-p.x*p.x/p.n, p.yy-p.y*p.y/p.n, p.zz-p.z*p.z/p.n
	xy, xz, yz := p.xy-p.x*p.y/p.n, p.xz-p.x*p.z/p.n, p.yz-p.y*p.z/p.n
	det := vx*vy - xy*xy
	if vz <= 0 || det <= 1e-6*p.xx*p.yy {
		return 0, 0, 0, 0
	}
	b, c = (xz*vy-yz*xy)/det, (yz*vx-xz*xy)/det
	mine, rest := b*b*det/vy, max(vz-b*xz-c*yz, 0)
	return (p.z - b*p.x - c*p.y) / p.n, b, c, math.Sqrt(share(mine, mine+rest))
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
