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

// Where no log has tokens, the length is what remains: complete responses take
// as long in the minutes in which others ran out of time as in the rest, and those
// minutes are a fifth of all.
const (
	unseenLeast  = 50 // complete responses
	unseenSlower = 1.3
	unseenSpread = 0.2
)

// outOfTime is what ran out of a long window in calm time.
type outOfTime struct {
	worst  *deployment // that had the most of it
	count  float64
	cells  []*cell
	window float64 // s
}

// outOfTime adds it up. Clients that leave after the same time, of shortWindow or
// more, have a window of that length.
func (f *facts) outOfTime() outOfTime {
	var all outOfTime
	patience, alike := f.gone.peak()
	leave := alike >= clientPeak && patience >= shortWindow.Seconds() && patience < maxPatience
	most, left := 0.0, 0.0
	for _, d := range f.all {
		here := 0.0
		for _, c := range d.cells {
			if n := c.late + c.left*oneIf(leave); calm(c) && n > 0 {
				here += n
				left += c.left * oneIf(leave)
				all.cells = append(all.cells, c)
			}
		}
		all.count += here
		if here > most {
			all.worst, most = d, here
		}
	}
	at, part := f.windows.peak()
	all.window = f.windows.quantile(0.5)
	if 2*left > all.count {
		at, part, all.window = patience, 1, patience
	}
	if part > 0.8 && math.Abs(at-60) < 3 {
		all.window = 60
	}
	return all
}

// oversized looks for responses that are too long for their window.
func oversized(f *facts) {
	late := f.outOfTime()
	if late.worst == nil || late.count < oversizedLeast || late.count < oversizedShare*f.total.Tries {
		return
	}
	worst, window := late.worst, late.window
	p50, p99 := worst.pace.quantile(0.5), worst.pace.quantile(0.99)
	if p99 == 0 {
		f.unseenLength(&late)
		return
	}
	fits := int((1000*window - worst.ttft.quantile(0.99) - 250) / p99)
	if fits < 16 {
		return // it is not the length
	}
	evidence := []diagnose.Evidence{measured("tries that ran out of time while generating", late.count, "count", "outcome in (timeout, truncated_deadline), client_gone after the same time")}
	if f.lateAsks.count() > 0 || f.total.lateUnlimited > 0 {
		evidence = append(
			evidence, measured("their token limit, p50 (0: none)", f.lateAsks.quantile(0.5), "tokens", "ask_tokens"),
			measured("token limit of all requests, p50", f.asks.quantile(0.5), "tokens", "ask_tokens"),
		)
	}
	f.report(diagnose.Finding{
		Code: diagnose.OversizedRequests, Subject: worst.name,
		Title:      fmt.Sprintf("%s of tries ran out of their %s window; responses up to %s tokens fit", numeral.Percent(share(late.count, f.total.Tries)), numeral.Seconds(window), numeral.Whole(float64(fits))),
		Confidence: 0.75 + 0.2*min(1, late.count/50), Affected: share(late.count, f.total.Tries),
		Evidence: append(
			evidence, measured("time between tokens, p50", p50, "ms", f.paceSource()),
			measured("time between tokens, p99", p99, "ms", f.paceSource()),
			measured("tokens that fit the window", float64(fits), "tokens", "(window − ttft p99) / time between tokens p99"),
			measured("output tokens, p99", f.outputs.quantile(0.99), "tokens", "usage.completion_tokens"),
		),
		RuledOut: append(f.notCapacity(worst, cellLate, "running out of time"), f.notDecode(worst)...),
		Remedy: diagnose.Remedy{
			Text:      fmt.Sprintf("limit responses to what fits (%s tokens), and stream longer ones", numeral.Whole(float64(fits))),
			Config:    fmt.Sprintf("classes:\n  # quantile: 0.99 in place of the number follows the measured speed\n  - {name: %s, window: %ds, budget: {mode: clamp, max_output_tokens: %d}}", f.className(lateTries), int(window+0.5), fits),
			CapTokens: fits, WindowS: int(window + 0.5),
		},
	}, scope{cells: between(late.cells), at: []*deployment{worst}})
}

// unseenLength reports long responses as the likely cause, where neither tokens nor
// capacity are to be seen and the deployment was as fast as otherwise.
func (f *facts) unseenLength(late *outOfTime) {
	d := late.worst
	with := d.sum(func(c *cell) bool { return has(late.cells, c.at) })
	without := d.sum(func(c *cell) bool { return calm(c) && !has(late.cells, c.at) })
	met, all := pressureOf(d)
	spread := share(float64(len(late.cells)), float64(len(d.cells)))
	slower := share(with.took.value(), without.took.value())
	switch {
	case f.whole.count() < unseenLeast, spread < unseenSpread, slower > unseenSlower, share(met, all) > share(late.count, f.total.Tries):
		return
	case without.took.n < unseenLeast:
		slower = 0 // there is no other time to compare with
	}
	evidence := []diagnose.Evidence{
		measured("tries that ran out of time", late.count, "count", "outcome in (timeout, truncated_deadline), client_gone after the same time"),
		measured("duration of complete responses, p50", f.whole.quantile(0.5), "s", "e2e_ms"),
		measured("duration of complete responses, p99", f.whole.quantile(0.99), "s", "e2e_ms"),
		measured("minutes in which tries ran out of time", spread, "share", "time"),
	}
	var not []diagnose.RuledOut
	if slower > 0 {
		not = append(not, ruledOut(diagnose.SlowDecode, "not slow minutes: complete responses take "+numeral.Decimals(slower, 2)+" times as long in minutes with timeouts as in others"))
	}
	f.report(diagnose.Finding{
		Code: diagnose.OversizedRequests, Subject: d.name,
		Title:      fmt.Sprintf("%s of tries ran out of their %s window, probably because their responses are too long", numeral.Percent(share(late.count, f.total.Tries)), numeral.Seconds(late.window)),
		Confidence: 0.55 + 0.1*oneIf(f.whole.quantile(0.99) > late.window/2), Affected: share(late.count, f.total.Tries), Evidence: evidence,
		RuledOut: append(f.notCapacity(d, cellLate, "running out of time"), not...),
		Remedy: diagnose.Remedy{
			Text:   "export a log with tokens too (ApiManagementGatewayLlmLog): it confirms the cause and says how many tokens fit; a measured budget limits responses without knowing the number",
			Config: fmt.Sprintf("classes:\n  - {name: %s, window: %ds, budget: {mode: clamp, quantile: 0.99}}", f.className(lateTries), int(late.window+0.5)),
		},
	}, scope{cells: between(late.cells), at: []*deployment{d}})
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
