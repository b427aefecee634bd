package diagnose

import (
	"strconv"
	"strings"

	"github.com/spillway-ai/spillway/internal/numeral"
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

// decimals writes a number with so many decimals, its minus as a minus.
func decimals(v float64, n int) string {
	return strings.Replace(strconv.FormatFloat(v, 'f', n, 64), "-", "−", 1)
}

// signed writes a whole number with its sign.
func signed(v float64) string {
	if v > 0 {
		return "+" + numeral.Whole(v)
	}
	return numeral.Whole(v)
}

// span writes seconds for people.
func span(s float64) string {
	switch {
	case s < 1:
		return numeral.Whole(1000*s) + " ms"
	case s < 120:
		return strings.TrimSuffix(decimals(s, 1), ".0") + " s"
	}
	return numeral.Whole(s/60) + " min"
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
		return numeral.Whole(e.Value) + " tokens"
	case "per_minute":
		return numeral.Whole(e.Value) + "/min"
	case "ratio":
		return "×" + decimals(e.Value, 1)
	case "r":
		return decimals(e.Value, 2)
	}
	return numeral.Whole(e.Value)
}
