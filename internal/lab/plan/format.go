package plan

import (
	"math"
	"strconv"

	"github.com/spillway-ai/spillway/internal/numeral"
)

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
	return "$" + numeral.Whole(v)
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

// format writes a value of the condition.
func (l *Condition) format(v float64) string {
	switch {
	case l.timed() && v == 0:
		return "no responses"
	case l.timed():
		return millis(v)
	case l.upper():
		return numeral.Share(v)
	}
	return near(v)
}
