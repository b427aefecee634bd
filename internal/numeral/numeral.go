// Package numeral formats numbers for people, the same in every report.
package numeral

import (
	"math"
	"strconv"
	"strings"
)

// Minus is the sign of a negative number: as wide as a plus.
const Minus = "−"

// Whole writes a number without decimals, with commas between thousands.
func Whole(v float64) string {
	digits := strconv.FormatFloat(math.Abs(math.Round(v)), 'f', 0, 64)
	var b strings.Builder
	if v <= -0.5 {
		b.WriteString(Minus)
	}
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}

// Exact writes a number with the digits that it has, rounded to six significant
// ones, with commas between thousands: a value that somebody chose, or that an
// axis names.
func Exact(v float64) string {
	if v == 0 {
		return "0"
	}
	unit := math.Pow(10, 6-math.Ceil(math.Log10(math.Abs(v))))
	v = math.Round(v*unit) / unit
	whole, part, dot := strings.Cut(strconv.FormatFloat(math.Abs(v), 'f', -1, 64), ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if v < 0 {
		whole = Minus + whole
	}
	if dot {
		whole += "." + part
	}
	return whole
}

// Significant writes a number with that many significant digits, whole ones
// always in full.
func Significant(v float64, digits int) string {
	if v == 0 {
		return "0"
	}
	whole := int(math.Floor(math.Log10(math.Abs(v)))) + 1
	if math.Abs(v) >= math.Pow(10, float64(whole))-0.5*math.Pow(10, float64(whole-digits)) {
		whole++ // it is rounded up to the next power of ten
	}
	decimals := max(digits-whole, 0)
	if decimals == 0 {
		return Whole(v)
	}
	return strconv.FormatFloat(v, 'f', decimals, 64)
}

// Share writes a rate as a percentage with two decimals, and with two
// significant digits where those decimals would hide it. Nothing is "0".
func Share(v float64) string {
	p := 100 * v
	switch {
	case p == 0:
		return "0"
	case p >= 9.995:
		return strconv.FormatFloat(p, 'f', 1, 64) + "%"
	case p >= 0.0995:
		return strconv.FormatFloat(p, 'f', 2, 64) + "%"
	case p < 0.0001:
		return "<0.0001%"
	}
	return Significant(p, 2) + "%"
}

// USD writes an amount with cents, or with two digits that matter.
func USD(v float64) string {
	switch {
	case v == 0:
		return "$0"
	case v < 0.1:
		return "$" + strconv.FormatFloat(v, 'f', 1-int(math.Floor(math.Log10(v))), 64)
	}
	cents := math.Round(100 * v)
	return "$" + Whole(math.Floor(cents/100)) + strconv.FormatFloat(1+math.Mod(cents, 100)/100, 'f', 2, 64)[1:]
}
