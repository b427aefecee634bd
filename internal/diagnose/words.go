package diagnose

import (
	"math"
	"strconv"
	"strings"
)

// percent writes a share for people.
func percent(v float64) string {
	p := 100 * v
	switch {
	case p == 0:
		return "0%"
	case p < 0.01:
		return "<0.01%"
	case p < 10:
		return strings.TrimSuffix(strconv.FormatFloat(p, 'f', 2, 64), "0") + "%"
	}
	return strconv.FormatFloat(p, 'f', 0, 64) + "%"
}

// whole writes a number with commas.
func whole(v float64) string {
	digits := strconv.FormatFloat(math.Abs(math.Round(v)), 'f', 0, 64)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	if v <= -0.5 {
		return "−" + digits
	}
	return digits
}

// decimals writes a number with so many decimals, its minus as a minus.
func decimals(v float64, n int) string {
	return strings.Replace(strconv.FormatFloat(v, 'f', n, 64), "-", "−", 1)
}

// signed writes a whole number with its sign.
func signed(v float64) string {
	if v > 0 {
		return "+" + whole(v)
	}
	return whole(v)
}

// span writes seconds for people.
func span(s float64) string {
	switch {
	case s < 1:
		return whole(1000*s) + " ms"
	case s < 120:
		return strings.TrimSuffix(decimals(s, 1), ".0") + " s"
	}
	return whole(s/60) + " min"
}

// unitText writes a value of an evidence's unit.
func (e *Evidence) text() string {
	switch e.Unit {
	case "share":
		return percent(e.Value)
	case "ms":
		return span(e.Value / 1000)
	case "s":
		return span(e.Value)
	case "tokens":
		return whole(e.Value) + " tokens"
	case "per_minute":
		return whole(e.Value) + "/min"
	case "ratio":
		return "×" + decimals(e.Value, 1)
	case "r":
		return decimals(e.Value, 2)
	}
	return whole(e.Value)
}
