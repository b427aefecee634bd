package plan

import (
	"math"
	"strconv"
	"strings"
)

// percent writes a share with two decimals, or with two digits where those
// would hide it.
func percent(v float64) string {
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
	return strconv.FormatFloat(p, 'g', 2, 64) + "%"
}

// near writes a share near the whole, rounded down so that only the whole is
// 100%.
func near(v float64) string {
	if v == 1 {
		return "100%"
	}
	return strconv.FormatFloat(math.Floor(v*1e4)/100, 'f', 2, 64) + "%"
}

// millis writes milliseconds, as seconds from one second on.
func millis(ms float64) string {
	if ms >= 999.5 {
		return strconv.FormatFloat(ms/1000, 'f', 1, 64) + " s"
	}
	return strconv.FormatFloat(ms, 'f', 1, 64) + " ms"
}

// dollars writes whole dollars.
func dollars(v float64) string {
	if v < 0 {
		return "−" + dollars(-v)
	}
	return "$" + thousands(v)
}

// thousands writes a whole number with commas.
func thousands(v float64) string {
	digits := strconv.FormatFloat(math.Abs(math.Round(v)), 'f', 0, 64)
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}

// span writes seconds the way people say them: 45 s, 10 min, 2.5 h, 14 d.
func span(seconds float64) string {
	for _, unit := range [...]struct {
		name string
		of   float64
	}{{" d", 86_400}, {" h", 3600}, {" min", 60}} {
		if seconds >= 1.995*unit.of {
			return strconv.FormatFloat(math.Round(10*seconds/unit.of)/10, 'f', -1, 64) + unit.name
		}
	}
	return strconv.FormatFloat(math.Round(seconds), 'f', 0, 64) + " s"
}

// format writes a value of the limb.
func (l *Limb) format(v float64) string {
	switch {
	case l.timed() && v == 0:
		return "no answers"
	case l.timed():
		return millis(v)
	case l.upper():
		return percent(v)
	}
	return near(v)
}
