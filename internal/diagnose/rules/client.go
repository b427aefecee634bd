package rules

import (
	"fmt"

	"github.com/spillway-ai/spillway/internal/diagnose"
	"github.com/spillway-ai/spillway/internal/numeral"
)

// Thresholds: at least five requests, and one in 1,000, ran out of a window
// below 45 s, or at least 60% of the clients that left did so after the same
// time.
const (
	clientLeast = 5
	clientShare = 0.001
	clientPeak  = 0.6
	maxPatience = 900 // s
)

// clientTimeout looks for clients that wait less than the work takes.
func clientTimeout(f *facts) {
	short := 0.0
	var cells []*cell
	var at []*deployment
	for _, d := range f.all {
		here := 0.0
		for _, c := range d.cells {
			if calm(c) && c.lateShort > 0 {
				here += c.lateShort
				cells = append(cells, c)
			}
		}
		if here > 0 {
			at = append(at, d)
		}
		short += here
	}
	patience, source := f.short.quantile(0.5), "window_ms of tries that ran out of time"
	n := short
	if short < clientShare*f.total.Tries || short < clientLeast {
		n = 0
	}
	if peak, part := f.gone.peak(); part >= clientPeak && peak < shortWindow.Seconds() && f.total.Gone >= clientLeast && f.total.Gone >= clientShare*f.total.Tries {
		n += f.total.Gone
		if short < f.total.Gone {
			patience, source = peak, "e2e_ms of outcome client_gone: "+numeral.Percent(part)+" at one value"
		}
	}
	if n == 0 || patience >= maxPatience {
		return
	}
	p99 := f.whole.quantile(0.99)
	f.report(diagnose.Finding{
		Code: diagnose.ClientTimeout, Confidence: 0.8 + 0.15*min(1, n/50), Affected: share(n, f.total.Tries),
		Title: fmt.Sprintf("client timeout of %s is too short: %s of tries lost", numeral.Seconds(patience), numeral.Percent(share(n, f.total.Tries))),
		Evidence: []diagnose.Evidence{
			measured("client timeout", patience, "s", source),
			measured("tries lost", n, "count", "outcome in (client_gone, timeout, truncated_deadline)"),
			measured("duration of complete responses, p99", p99, "s", "e2e_ms"),
		},
		RuledOut: []diagnose.RuledOut{ruledOut(diagnose.OversizedRequests, "not the service's limit: they end at "+numeral.Seconds(patience)+", and not at about 60 s")},
		Remedy: diagnose.Remedy{
			Text:   "raise the clients' timeout or stream; where neither is possible, limit responses to what fits the timeout",
			Config: "classes:\n  - {name: " + f.className(lateTries) + ", window: 60s, budget: {mode: clamp, quantile: 0.99}}  # clients: timeout ≥ 60 s",
		},
	}, scope{cells: between(cells), at: at})
}
