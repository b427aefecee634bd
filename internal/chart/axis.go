package chart

import (
	"math"
	"time"

	"github.com/spillway-ai/spillway/internal/numeral"
)

// Kind is how an axis places values.
type Kind uint8

const (
	// Linear runs from zero, or from below where there are negative values.
	Linear Kind = iota
	// Log is logarithmic over the positive values.
	Log
	// LogZero is logarithmic, with a place for zero before a break.
	LogZero
	// Time is linear over seconds since 1970, in UTC.
	Time
)

// Axis is one of a panel's two axes.
type Axis struct {
	Label string // what it measures, with the unit
	Kind  Kind
	// Names makes rows of a vertical axis: row i is named i.
	Names  []string
	Least  float64                // the axis reaches at least this far
	Ticks  []float64              // values to name; none chooses round ones
	Format func(v float64) string // of the values; nil takes numeral.Exact
	Limit  float64                // a value that is marked by a line, such as a deadline; 0 is none
}

// scale places values between pixels a and b.
type scale struct {
	a, b   float64
	lo, hi float64 // the values at the ends
	log    bool
	zero   float64 // of LogZero: the pixels before the break
	ticks  []float64
	format func(float64) string
}

// scale fits the axis to values, with about n ticks.
func (a *Axis) scale(values []float64, n int) scale {
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, v := range values {
		lo, hi = min(lo, v), max(hi, v)
	}
	var s scale
	switch a.Kind {
	case Log:
		lo, hi = positive(values)
		s = logScale(lo, hi, n)
	case LogZero:
		s = logZeroScale(positive(values))
	case Time:
		if lo > hi {
			lo, hi = 0, 0
		}
		s = scale{lo: lo, hi: hi}
		var layout string
		s.ticks, layout = Instants(lo, hi, n)
		s.format = func(v float64) string { return instant(v).Format(layout) }
	case Linear:
		s = linearScale(min(lo, 0), max(hi, a.Least), n)
	}
	if a.Ticks != nil {
		s.ticks = a.Ticks
		if a.Kind == Log {
			s.lo, s.hi = positive(append(values, a.Ticks...))
		}
	}
	if a.Format != nil {
		s.format = a.Format
	}
	if s.format == nil {
		s.format = numeral.Exact
	}
	return s
}

// over puts the scale on the axis from pixel a to pixel b.
func (s scale) over(a, b float64) scale {
	s.a, s.b = a, b
	return s
}

// at returns the pixel of a value.
func (s *scale) at(v float64) float64 {
	start, part := s.a, 0.5
	switch {
	case s.log && v <= 0 && s.zero > 0:
		return s.a
	case s.log:
		start += math.Copysign(s.zero, s.b-s.a)
		if s.hi > s.lo {
			part = math.Log(min(max(v, s.lo), s.hi)/s.lo) / math.Log(s.hi/s.lo)
		}
	case s.hi > s.lo:
		part = (v - s.lo) / (s.hi - s.lo)
	}
	return start + (s.b-start)*part
}

// Levels returns about n round numbers, from at most lo to at least hi, with
// zero among them where it is between. Without a range they run to one.
func Levels(lo, hi float64, n int) []float64 {
	if !(hi > lo) || math.IsInf(hi-lo, 0) {
		lo, hi = 0, 1
	}
	step := (hi - lo) / float64(n)
	unit := math.Pow(10, math.Floor(math.Log10(step)))
	for _, f := range [...]float64{1, 2, 2.5, 5, 10} {
		if unit*f >= step*0.999 {
			step = unit * f
			break
		}
	}
	first, last := math.Floor(lo/step+0.001), math.Ceil(hi/step-0.001)
	all := make([]float64, 0, n+2)
	for i := first; i <= last; i++ {
		all = append(all, i*step)
	}
	return all
}

// linearScale runs to a round number, where that is not far beyond the values.
func linearScale(lo, hi float64, n int) scale {
	levels := Levels(lo, hi, n)
	s := scale{ticks: levels, lo: levels[0], hi: levels[len(levels)-1]}
	if hi <= lo {
		return s
	}
	const waste = 0.15
	if last := len(s.ticks) - 1; s.hi-hi > waste*(hi-lo) && last > 1 {
		s.hi, s.ticks = hi, s.ticks[:last]
	}
	if lo-s.lo > waste*(hi-lo) && len(s.ticks) > 2 {
		s.lo, s.ticks = lo, s.ticks[1:]
	}
	return s
}

// timeSteps are the distances between the times that an axis names, in seconds.
var timeSteps = [...]float64{
	1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 4 * 3600, 6 * 3600, 12 * 3600,
	86400, 2 * 86400, 7 * 86400, 30 * 86400, 90 * 86400, 365 * 86400,
}

// Instants returns at most n+1 round times between two, in seconds since 1970,
// and how to write them.
func Instants(from, to float64, n int) (instants []float64, layout string) {
	step := timeSteps[len(timeSteps)-1]
	for _, s := range timeSteps {
		if (to-from)/s <= float64(n) {
			step = s
			break
		}
	}
	for at := math.Ceil(from/step) * step; at <= to && len(instants) <= n; at += step {
		instants = append(instants, at)
	}
	switch {
	case step >= 86400:
		return instants, "01-02"
	case instant(from).YearDay() != instant(to).YearDay():
		return instants, "01-02 15:04"
	case step < 60:
		return instants, "15:04:05"
	}
	return instants, "15:04"
}

func instant(seconds float64) time.Time { return time.UnixMicro(int64(seconds * 1e6)).UTC() }

// logScale covers the range with decades or parts of them.
func logScale(lo, hi float64, n int) scale {
	s := scale{log: true, lo: partBelow(lo), hi: partAbove(hi)}
	if s.lo == s.hi {
		s.hi = partAbove(s.hi * 1.5)
	}
	for _, parts := range [][]float64{{1, 2, 5}, {1, 3}, {1}} {
		s.ticks = nil
		for decade := math.Floor(math.Log10(s.lo) + 1e-9); decade <= math.Log10(s.hi)+1e-9; decade++ {
			for _, p := range parts {
				if v := p * math.Pow(10, decade); v >= s.lo*0.999 && v <= s.hi*1.001 {
					s.ticks = append(s.ticks, v)
				}
			}
		}
		if len(s.ticks) <= n+2 {
			break
		}
	}
	return s
}

// logZeroScale covers whole decades, with a place for zero before them. A
// value that is less than 1/100,000 of the largest would squeeze the others:
// it is drawn as the least that has a place.
func logZeroScale(lo, hi float64) scale {
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

// positive returns the range of the positive values; 1 to 10 without any.
func positive(values []float64) (lo, hi float64) {
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
	for _, p := range [...]float64{5, 2} {
		if v >= p*decade*0.999 {
			return p * decade
		}
	}
	return decade
}

func partAbove(v float64) float64 {
	decade := math.Pow(10, math.Floor(math.Log10(v)+1e-9))
	for _, p := range [...]float64{1, 2, 5} {
		if v <= p*decade*1.001 {
			return p * decade
		}
	}
	return 10 * decade
}
