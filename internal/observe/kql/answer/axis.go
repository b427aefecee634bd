package answer

import (
	"strings"
	"time"
)

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
