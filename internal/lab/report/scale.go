package report

import "math"

// scale places values on an axis that runs from pixel a to pixel b.
type scale struct {
	a, b   float64
	lo, hi float64 // the values at the ends
	log    bool
	// zero, of a logarithmic scale, keeps the axis's first pixels for values
	// of zero: they have their own place before the break.
	zero  float64
	ticks []float64
}

// linearScale runs from zero to a round number that is at least most, with
// about n steps.
func linearScale(most float64, n int) scale {
	if most <= 0 {
		most = 1
	}
	step := math.Pow(10, math.Floor(math.Log10(most/float64(n))))
	for _, f := range []float64{1, 2, 5, 10} {
		if step*f*float64(n) >= most*0.999 {
			step *= f
			break
		}
	}
	s := scale{}
	steps := math.Ceil(most/step - 0.001)
	for i := range int(steps) + 1 {
		s.ticks = append(s.ticks, step*float64(i))
	}
	s.hi = step * steps
	return s
}

// logScale covers the positive values with decades or parts of them. Without
// any it is the decade of one.
func logScale(values []float64) scale {
	lo, hi := positiveRange(values)
	s := scale{log: true, lo: partBelow(lo), hi: partAbove(hi)}
	if s.lo == s.hi {
		s.hi = partAbove(s.hi * 1.5)
	}
	parts := []float64{1, 2, 5}
	switch decades := math.Log10(s.hi / s.lo); {
	case decades > 4:
		parts = []float64{1}
	case decades > 2.2:
		parts = []float64{1, 3}
	}
	for decade := math.Floor(math.Log10(s.lo) + 1e-9); decade <= math.Log10(s.hi)+1e-9; decade++ {
		for _, p := range parts {
			v := p * math.Pow(10, decade)
			if v >= s.lo*0.999 && v <= s.hi*1.001 {
				s.ticks = append(s.ticks, v)
			}
		}
	}
	return s
}

// logZeroScale covers whole decades, with a place for zero before them. A
// value that is less than 1/100,000 of the largest would squeeze the others:
// it is drawn as the least that has a place.
func logZeroScale(values []float64) scale {
	lo, hi := positiveRange(values)
	lo = max(lo, hi/1e5)
	s := scale{
		log: true, zero: 34,
		lo: math.Pow(10, math.Floor(math.Log10(lo)+1e-9)), hi: math.Pow(10, math.Ceil(math.Log10(hi)-1e-9)),
	}
	if hi <= s.hi/2 {
		s.hi = partAbove(hi)
	}
	if s.hi <= s.lo {
		s.hi = 10 * s.lo
	}
	s.ticks = append(s.ticks, 0)
	for v := s.lo; v <= s.hi*1.001; v *= 10 {
		s.ticks = append(s.ticks, v)
	}
	return s
}

// over returns the scale on an axis from pixel a to pixel b.
func (s scale) over(a, b float64) scale {
	s.a, s.b = a, b
	return s
}

// at returns the pixel of a value.
func (s scale) at(v float64) float64 {
	if !s.log {
		return s.a + (s.b-s.a)*(v-s.lo)/(s.hi-s.lo)
	}
	if v <= 0 && s.zero > 0 {
		return s.a
	}
	start := s.a + math.Copysign(s.zero, s.b-s.a)
	if s.hi <= s.lo {
		return (start + s.b) / 2
	}
	v = min(max(v, s.lo), s.hi)
	return start + (s.b-start)*math.Log(v/s.lo)/math.Log(s.hi/s.lo)
}

func positiveRange(values []float64) (lo, hi float64) {
	lo, hi = math.Inf(1), 0
	for _, v := range values {
		if v > 0 {
			lo, hi = min(lo, v), max(hi, v)
		}
	}
	if hi == 0 {
		return 1, 10
	}
	return lo, hi
}

// partBelow returns the largest 1, 2 or 5 times a power of ten that is not
// above v; partAbove the smallest that is not below.
func partBelow(v float64) float64 {
	decade := math.Pow(10, math.Floor(math.Log10(v)+1e-9))
	for _, p := range []float64{5, 2} {
		if v >= p*decade*0.999 {
			return p * decade
		}
	}
	return decade
}

func partAbove(v float64) float64 {
	decade := math.Pow(10, math.Floor(math.Log10(v)+1e-9))
	for _, p := range []float64{1, 2, 5} {
		if v <= p*decade*1.001 {
			return p * decade
		}
	}
	return 10 * decade
}
