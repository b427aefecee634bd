package numeral

import (
	"strconv"
	"strings"
)

// Percent writes a share as a percentage with at most two decimals, for
// prose. Shares above zero that would show as 0% are "<0.01%".
func Percent(v float64) string {
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

// Decimals writes a number with exactly n decimals.
func Decimals(v float64, n int) string {
	return strings.Replace(strconv.FormatFloat(v, 'f', n, 64), "-", Minus, 1)
}

// Signed writes a whole number with its sign.
func Signed(v float64) string {
	if v > 0 {
		return "+" + Whole(v)
	}
	return Whole(v)
}

// Seconds writes a duration in seconds with a unit that suits its size: ms, s
// or min.
func Seconds(s float64) string {
	switch {
	case s < 1:
		return Whole(1000*s) + " ms"
	case s < 120:
		return strings.TrimSuffix(Decimals(s, 1), ".0") + " s"
	}
	return Whole(s/60) + " min"
}
