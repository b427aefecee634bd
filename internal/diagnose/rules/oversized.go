package rules

import (
	"fmt"
	"math"

	"github.com/spillway-ai/spillway/internal/diagnose"
	"github.com/spillway-ai/spillway/internal/numeral"
)

// Thresholds: at least five requests, and one in 2,000, ran out of a window of
// 45 s and more in calm time, while tokens came at the usual pace.
const (
	oversizedLeast = 5
	oversizedShare = 0.0005
)

// oversized looks for responses that are too long for their window.
func oversized(f *facts) {
	var worst *deployment
	most, all := 0.0, 0.0
	var cells []*cell
	for _, d := range f.all {
		late := 0.0
		for _, c := range d.cells {
			if calm(c) && c.late > 0 {
				late += c.late
				cells = append(cells, c)
			}
		}
		all += late
		if late > most {
			worst, most = d, late
		}
	}
	if worst == nil || all < oversizedLeast || all < oversizedShare*f.total.Tries {
		return
	}
	window := f.windows.quantile(0.5)
	if peak, part := f.windows.peak(); part > 0.8 && math.Abs(peak-60) < 3 {
		window = 60
	}
	p50, p99 := worst.pace.quantile(0.5), worst.pace.quantile(0.99)
	first := worst.ttft.quantile(0.99)
	fits := 0
	if p99 > 0 {
		fits = int((1000*window - first - 250) / p99)
	}
	if fits < 16 {
		return // it is not the length
	}
	evidence := []diagnose.Evidence{measured("tries that ran out of time while generating", all, "count", "outcome in (timeout, truncated_deadline)")}
	if f.lateAsks.count() > 0 || f.total.lateUnlimited > 0 {
		evidence = append(
			evidence, measured("their token limit, p50 (0: none)", f.lateAsks.quantile(0.5), "tokens", "ask_tokens"),
			measured("token limit of all requests, p50", f.asks.quantile(0.5), "tokens", "ask_tokens"),
		)
	}
	f.report(diagnose.Finding{
		Code: diagnose.OversizedRequests, Subject: worst.name,
		Title:      fmt.Sprintf("%s of tries ran out of their %s window; responses up to %s tokens fit", numeral.Percent(share(all, f.total.Tries)), numeral.Seconds(window), numeral.Whole(float64(fits))),
		Confidence: 0.75 + 0.2*min(1, all/50), Affected: share(all, f.total.Tries),
		Evidence: append(
			evidence, measured("time between tokens, p50", p50, "ms", f.paceSource()),
			measured("time between tokens, p99", p99, "ms", f.paceSource()),
			measured("tokens that fit the window", float64(fits), "tokens", "(window − ttft p99) / time between tokens p99"),
			measured("output tokens, p99", f.outputs.quantile(0.99), "tokens", "usage.completion_tokens"),
		),
		RuledOut: append(f.notCapacity(worst, cellLate, "running out of time"), f.notDecode(worst)...),
		Remedy: diagnose.Remedy{
			Text:      fmt.Sprintf("limit responses to what fits (%s tokens), and stream longer ones", numeral.Whole(float64(fits))),
			Config:    fmt.Sprintf("classes:\n  - {name: %s, window: %ds, budget: {mode: clamp, quantile: 0.99}}  # or budget: {mode: clamp, max_output_tokens: %d}", f.className(lateTries), int(window+0.5), fits),
			CapTokens: fits, WindowS: int(window + 0.5),
		},
	}, scope{cells: between(cells), at: []*deployment{worst}})
}

// between returns the first and the last of cells in time.
func between(cells []*cell) []*cell {
	if len(cells) == 0 {
		return nil
	}
	first, last := cells[0], cells[0]
	for _, c := range cells {
		if c.at < first.at {
			first = c
		}
		if c.at > last.at {
			last = c
		}
	}
	return []*cell{first, last}
}

func cellLate(c *cell) (float64, bool) { return share(c.late, c.tries), c.tries >= decodePoints }
