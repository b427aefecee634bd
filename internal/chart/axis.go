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
	// LogZero is Log with a place for zero before a break; but Linear where
	// the positive values are within a factor of 100.
	LogZero
	// Time is linear over seconds since 1970, in UTC.
	Time
)

// Axis is one of a panel's two axes.
type Axis struct {
	Label  string // what it measures, with the unit
	Kind   Kind
	Names  []string               // makes rows of a vertical axis: row i is named i
	Least  float64                // a linear axis reaches at least this far
	Format func(v float64) string // of the values; nil takes numeral.Exact
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
	lo, hi := 0.0, 0.0
	least, most := math.Inf(1), 0.0 // of the positive ones
	for i, v := range values {
		if i == 0 || v < lo {
			lo = v
		}
		if i == 0 || v > hi {
			hi = v
		}
		if v > 0 {
			least, most = min(least, v), max(most, v)
		}
	}
	if most == 0 {
		least, most = 1, 10
	}
	var s scale
	switch {
	case a.Kind == Time:
		s = scale{lo: lo, hi: hi}
		var layout string
		s.ticks, layout = Instants(lo, hi, n)
		s.format = func(v float64) string { return instant(v).Format(layout) }
	case a.Kind == Log:
		s = logScale(least, most, n)
	case a.Kind == LogZero && most > 100*least:
		// A value that is less than 1/100,000 of the largest would squeeze the
		// others: it is drawn as the least that has a place.
		s = logScale(max(least, most/1e5), most, 2)
		s.zero, s.ticks = 34, append([]float64{0}, s.ticks...)
	default:
		s = linearScale(min(lo, 0), max(hi, a.Least), n)
	}
	switch {
	case a.Format != nil:
		s.format = a.Format
	case s.format == nil:
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
		part = math.Log(min(max(v, s.lo), s.hi)/s.lo) / math.Log(s.hi/s.lo)
	case s.hi > s.lo:
		part = (v - s.lo) / (s.hi - s.lo)
	}
	return start + (s.b-start)*part
}

// linearScale names about n round numbers, zero among them. It ends at one of
// them, unless that is far beyond the values.
func linearScale(lo, hi float64, n int) scale {
	if !(hi > lo) || math.IsInf(hi-lo, 0) {
		lo, hi = 0, 1
	}
	step := roundUp(0.8 * (hi - lo) / float64(n))
	var s scale
	for i := math.Floor(lo/step + 0.85); i*step < hi+0.85*step && i*step < hi*1.15; i++ {
		s.ticks = append(s.ticks, i*step)
	}
	s.lo, s.hi = min(lo, s.ticks[0]), max(hi, s.ticks[len(s.ticks)-1])
	return s
}

// logScale names decades, or parts of them where there is room for n.
func logScale(lo, hi float64, n int) scale {
	s := scale{log: true, lo: 1 / roundUp(1/lo), hi: roundUp(hi)}
	if s.lo == s.hi {
		s.hi = roundUp(1.5 * hi)
	}
	for _, parts := range [...][]float64{{1, 2, 5}, {1, 3}, {1}} {
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

// roundUp returns the smallest 1, 2 or 5 times a power of ten that is not below
// v. Its inverse is one, too.
func roundUp(v float64) float64 {
	decade := math.Pow(10, math.Floor(math.Log10(v)+1e-9))
	for _, p := range [...]float64{1, 2, 5} {
		if v <= p*decade*1.001 {
			return p * decade
		}
	}
	return 10 * decade
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
