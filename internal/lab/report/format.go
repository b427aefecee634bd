package report

import (
	"math"
	"strconv"

	"github.com/spillway-ai/spillway/internal/numeral"
)

// unit is how a figure is written for people.
type unit uint8

const (
	unitRate   unit = iota // 884.2
	unitShare              // a rate that may be tiny: 1.93%, 0.017%
	unitWhole              // a share near the whole: 98.4%
	unitTokens             // 1,955
	unitMillis             // 9.6 ms, 52.6 s
	unitUSD                // 0.412
)

// format writes a value with as many digits as matter.
func (u unit) format(v float64) string {
	switch u {
	case unitShare:
		return numeral.Share(v)
	case unitWhole:
		return formatWhole(v)
	case unitTokens:
		return numeral.Whole(math.Round(v))
	case unitMillis:
		return formatMillis(v)
	case unitUSD:
		return numeral.Significant(v, 3)
	case unitRate:
	}
	return numeral.Significant(v, 4)
}

// formatWhole writes a share near one, with more digits the nearer it is. Only
// one is "100%".
func formatWhole(v float64) string {
	p := 100 * v
	switch {
	case p == 100:
		return "100%"
	case p >= 99.95 && p < 100:
		return strconv.FormatFloat(math.Floor(1000*p)/1000, 'f', 3, 64) + "%"
	}
	return strconv.FormatFloat(p, 'f', 1, 64) + "%"
}

// formatMillis writes milliseconds, as seconds from one second on.
func formatMillis(ms float64) string {
	switch {
	case ms >= 999_500:
		return numeral.Whole(math.Round(ms/1000)) + " s"
	case ms >= 999.5:
		return numeral.Significant(ms/1000, 3) + " s"
	}
	return numeral.Significant(ms, 3) + " ms"
}

// change writes how far v is from base: −62%, +8%, ×12; "" where there is
// nothing to compare with or hardly a difference.
func change(base, v float64) string {
	if base <= 0 || v < 0 {
		return ""
	}
	percent := 100 * (v/base - 1)
	switch {
	case math.Abs(percent) < 0.95:
		return ""
	case percent >= 900:
		return "×" + numeral.Significant(v/base, 2)
	case percent > -100 && math.Round(percent) == -100: // never quite all
		return numeral.Minus + strconv.FormatFloat(math.Floor(-10*percent)/10, 'f', 1, 64) + "%"
	case percent < 0:
		return numeral.Minus + strconv.FormatFloat(-percent, 'f', 0, 64) + "%"
	}
	return "+" + strconv.FormatFloat(percent, 'f', 0, 64) + "%"
}
