package report

import (
	"math"
	"strconv"
	"strings"

	"github.com/spillway-ai/spillway/internal/numeral"
)

// Verdict says in a line what a policy changes against base: its errors, its
// tokens, its latency, and what it truncates for that.
func Verdict(base, s Summary) string {
	var parts []string
	for _, e := range []struct {
		name          string
		before, after float64
	}{{"408s", base.Rate408, s.Rate408}, {"429s", base.Rate429, s.Rate429}} {
		if said := fewerErrors(e.name, e.before, e.after); said != "" {
			parts = append(parts, said)
		}
	}
	before, after := base.CompletionTokensPerRequest, s.CompletionTokensPerRequest
	if c := change(before, after); c != "" {
		parts = append(parts, "tokens "+c)
	}
	if before, after := base.CallE2E.P99, s.CallE2E.P99; before > 0 && after > 0 && change(before, after) != "" {
		parts = append(parts, "p99 of calls "+formatMillis(before)+" → "+formatMillis(after))
	}
	if s.TruncatedRate > 0 {
		parts = append(parts, "truncates "+numeral.Share(s.TruncatedRate))
	} else {
		parts = append(parts, "truncates nothing")
	}
	return strings.Join(parts, "; ")
}

// fewerErrors says how a rate of errors changed; "" when there never was one.
// A change of less than a tenth is within what a change of seed makes.
func fewerErrors(name string, before, after float64) string {
	switch {
	case before == 0 && after == 0:
		return ""
	case before == 0:
		return "new " + name + " (" + numeral.Share(after) + ")"
	case after == 0:
		return "no " + name + " left"
	case math.Abs(after/before-1) < 0.1:
		return "as many " + name + " as before"
	case after > before:
		return name + " × " + numeral.Significant(after/before, 2)
	}
	kept := after / before
	decimals := 0.0 // as many nines as it has
	for scale := 10.0; kept*scale < 1 && decimals < 3; scale *= 10 {
		decimals++
	}
	scale := math.Pow(10, max(decimals-1, 0))
	percent := math.Floor(100*scale*(1-kept)) / scale
	return strconv.FormatFloat(percent, 'f', int(max(decimals-1, 0)), 64) + "% fewer " + name
}
