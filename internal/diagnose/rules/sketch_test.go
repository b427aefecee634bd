package rules

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestSketch(t *testing.T) {
	var s sketch
	for i := 1; i <= 10_000; i++ {
		s.add(float64(i))
	}
	for _, q := range []float64{0.01, 0.5, 0.99} {
		if got, want := s.quantile(q), 10_000*q; math.Abs(got-want) > 0.012*want {
			t.Errorf("quantile %v is %v, want %v", q, got, want)
		}
	}
}

// A value is exact while it is the only one, even outside the range; what is no
// positive number does not count.
func TestSketchBounds(t *testing.T) {
	for _, tc := range []struct {
		value float64
		n     int
		want  float64 // the median, within a bin
	}{
		{0, 0, 0},
		{-1, 0, 0},
		{math.NaN(), 0, 0},
		{1, 1, 1},
		{60, 1, 60},
		{1e9, 1, 1e9},
		{1e-9, 1, 1e-9},
		{1e300, 1, 1e300},
	} {
		var s sketch
		s.add(tc.value)
		if got := s.quantile(0.5); s.count() != tc.n || math.Abs(got-tc.want) > 0.012*tc.want {
			t.Errorf("%v: %d values, median %v, want %d, about %v", tc.value, s.count(), got, tc.n, tc.want)
		}
	}
}

// Quantiles of random values are within the resolution of the exact ones, and
// grow with the share.
func TestSketchQuantiles(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	var s sketch
	for range 5000 {
		s.add(math.Exp(3 * rng.NormFloat64()))
	}
	last := 0.0
	for q := 0.0; q <= 1; q += 0.05 {
		v := s.quantile(q)
		if v < last {
			t.Errorf("quantile %.2f is %v, below %v", q, v, last)
		}
		last = v
	}
	if p84 := s.quantile(0.8413); math.Abs(math.Log(p84)-3) > 0.15 {
		t.Errorf("one sigma above the median is at %v, want about e³", p84)
	}
}

func TestPeak(t *testing.T) {
	for _, tc := range []struct {
		name  string
		add   func(s *sketch)
		value float64
		share float64
	}{
		{"nothing", func(*sketch) {}, 0, 0},
		{"one value", func(s *sketch) { s.add(60) }, 60, 1},
		{"around one value", func(s *sketch) {
			for i := range 100 {
				s.add(58 + float64(i%5))
			}
		}, 60, 1},
		{"one of two values", func(s *sketch) {
			for i := range 100 {
				s.add([]float64{20, 60, 60, 60}[i%4])
			}
		}, 60, 0.75},
		{"spread out", func(s *sketch) {
			for i := 1; i <= 1000; i++ {
				s.add(float64(i))
			}
		}, 0, 0.1},
	} {
		var s sketch
		tc.add(&s)
		v, share := s.peak()
		if tc.value > 0 && math.Abs(v-tc.value) > 0.05*tc.value || math.Abs(share-tc.share) > 0.05 {
			t.Errorf("%s: %v with a share of %v, want %v, %v", tc.name, v, share, tc.value, tc.share)
		}
	}
}

// Limits are exact as long as they are few.
func TestChoices(t *testing.T) {
	var c choices
	if got := c.quantile(0.5); got != 0 {
		t.Errorf("of none the median is %v", got)
	}
	c.add(0) // no limit
	c.add(-1)
	for i := range 10_000 {
		c.add(4096 + 4096*(i%4/3))
	}
	if c.count() != 10_000 {
		t.Errorf("%d limits, want 10,000", c.count())
	}
	if low, high := c.quantile(0.5), c.quantile(0.9); low != 4096 || high != 8192 {
		t.Errorf("limits %v and %v, want 4096 and 8192", low, high)
	}
	for i := range maxChoices {
		c.add(100_000 + i)
	}
	if c.counts != nil {
		t.Errorf("%d limits are told apart, at most %d should be", len(c.counts), maxChoices)
	}
	if got := c.quantile(0.5); math.Abs(got-4096) > 0.012*4096 {
		t.Errorf("of many limits the median is %v, want about 4096", got)
	}
}

func TestLine(t *testing.T) {
	for _, tc := range []struct {
		name    string
		points  [][2]float64
		a, b, r float64
	}{
		{"nothing", nil, 0, 0, 0},
		{"two points", [][2]float64{{1, 1}, {2, 2}}, 0, 0, 0},
		{"x does not vary", [][2]float64{{5, 1}, {5, 2}, {5, 3}}, 0, 0, 0},
		{"y does not vary", [][2]float64{{1, 4}, {2, 4}, {3, 4}}, 4, 0, 0},
		{"rising", [][2]float64{{0, 3}, {1, 5}, {2, 7}}, 3, 2, 1},
		{"falling", [][2]float64{{0, 3}, {1, 2}, {2, 1}}, 3, -1, -1},
		{"a valley", [][2]float64{{0, 1}, {1, 0}, {2, 1}}, 2.0 / 3, 0, 0},
	} {
		var l line
		for _, p := range tc.points {
			l.add(p[0], p[1])
		}
		a, b, r := l.fit()
		if math.Abs(a-tc.a) > 1e-9 || math.Abs(b-tc.b) > 1e-9 || math.Abs(r-tc.r) > 1e-9 {
			t.Errorf("%s: %v + %v·x, r %v, want %v, %v, %v", tc.name, a, b, r, tc.a, tc.b, tc.r)
		}
	}
}

// Sums that are joined are the sums of all.
func TestJoinedSums(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	var left, right, all line
	var m, n, both logMean
	for i := range 100 {
		x, y := rng.Float64(), rng.Float64()
		all.add(x, y)
		both.add(x)
		if i%3 == 0 {
			left.add(x, y)
			m.add(x)
		} else {
			right.add(x, y)
			n.add(x)
		}
	}
	left.join(&right)
	m.join(n)
	for i, pair := range [][2]float64{
		{left.n, all.n},
		{left.x, all.x},
		{left.y, all.y},
		{left.xx, all.xx},
		{left.xy, all.xy},
		{left.yy, all.yy},
		{m.value(), both.value()},
	} {
		if math.Abs(pair[0]-pair[1]) > 1e-9 {
			t.Errorf("sum %d is %v, want %v", i, pair[0], pair[1])
		}
	}
}

func TestMeans(t *testing.T) {
	var m logMean
	if m.value() != 0 {
		t.Errorf("the mean of nothing is %v", m.value())
	}
	for _, v := range []float64{1, 100, 0, -5} {
		m.add(v)
	}
	if math.Abs(m.value()-10) > 1e-9 || m.n != 2 {
		t.Errorf("the geometric mean of 1 and 100 is %v, of %v", m.value(), m.n)
	}
	for _, tc := range []struct{ n, sum, squares, mean, dev float64 }{
		{0, 0, 0, 0, 0}, {1, 5, 25, 5, 0}, {2, 6, 20, 3, 1}, {3, 3, 2.9999, 1, 0},
	} {
		if mean, dev := moments(tc.n, tc.sum, tc.squares); mean != tc.mean || dev != tc.dev {
			t.Errorf("moments of %+v: %v, %v", tc, mean, dev)
		}
	}
	if share(1, 0) != 0 || share(1, 4) != 0.25 {
		t.Errorf("shares %v, %v", share(1, 0), share(1, 4))
	}
}

// Times that follow two lengths give back what each of them costs.
func TestPlane(t *testing.T) {
	var p, first, second plane
	for i := range 400 {
		x, y := float64(100+37*(i%50)), float64(10+13*(i%17))
		z := 250 + 0.4*x + 12*y + float64(i%7) // with a little noise
		p.add(x, y, z)
		half := &first
		if i >= 200 {
			half = &second
		}
		half.add(x, y, z)
	}
	a, b, c, r := p.fit()
	if math.Abs(a-253) > 2 || math.Abs(b-0.4) > 0.01 || math.Abs(c-12) > 0.05 || r < 0.999 {
		t.Errorf("%v + %v x + %v y, r %v", a, b, c, r)
	}
	first.join(&second)
	if a2, b2, c2, r2 := first.fit(); math.Abs(a2-a)+math.Abs(b2-b)+math.Abs(c2-c)+math.Abs(r2-r) > 1e-6 {
		t.Errorf("joined: %v %v %v %v", a2, b2, c2, r2)
	}
	var same plane
	for i := range 100 {
		same.add(float64(i), 2*float64(i), float64(i))
	}
	if a, b, c, r := same.fit(); a != 0 || b != 0 || c != 0 || r != 0 {
		t.Error("lengths that always go together are told apart")
	}
}
