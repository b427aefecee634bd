package answer

import (
	"math"
	"strings"
	"time"
)

// roundLevels are three to six round numbers from 0 to at least most.
func roundLevels(most float64) []float64 {
	power := math.Pow(10, math.Floor(math.Log10(most/4)))
	step := power * 10
	for _, factor := range [...]float64{1, 2, 2.5, 5} {
		if power*factor*5 >= most {
			step = power * factor
			break
		}
	}
	var all []float64
	for i := 0; ; i++ {
		all = append(all, float64(i)*step)
		if float64(i)*step >= most || i > 10 {
			return all
		}
	}
}

// timeSteps are the distances between the times that an axis names, in seconds.
var timeSteps = [...]float64{1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 4 * 3600, 6 * 3600, 12 * 3600, 86400, 2 * 86400, 7 * 86400, 30 * 86400, 90 * 86400, 365 * 86400}

// roundInstants are up to nine round times of an axis, in seconds, and how to
// write them.
func roundInstants(from, to float64) (instants []float64, layout string) {
	step := timeSteps[len(timeSteps)-1]
	for _, s := range timeSteps {
		if (to-from)/s <= 8 {
			step = s
			break
		}
	}
	for at := math.Ceil(from/step) * step; at <= to && len(instants) < 9; at += step {
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

// instant is a time of an axis.
func instant(seconds float64) time.Time { return time.UnixMicro(int64(seconds * 1e6)).UTC() }

// grouped writes a number with commas between thousands.
func grouped(f float64) string {
	whole, part, dot := strings.Cut(number(f), ".")
	for i := len(whole) - 3; i > 0 && whole[i-1] != '-' && !strings.Contains(whole, "e"); i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if dot {
		whole += "." + part
	}
	return whole
}
