package rules

import (
	"fmt"

	"github.com/spillway-ai/spillway/internal/diagnose"
	"github.com/spillway-ai/spillway/internal/numeral"
)

// Thresholds: over calm time, the first token waits at least prefillWait on
// account of a long prompt (the 95th percentile of prompts), that is at least
// half of what it waits then, and prompt and wait are correlated.
const (
	prefillPoints = 100
	prefillWait   = 1500.0 // ms
	prefillShare  = 0.5
	prefillR      = 0.35
)

// slowPrefill looks for first tokens that wait for long prompts to be read.
func slowPrefill(f *facts) {
	for _, d := range f.all {
		s := d.sum(calm)
		a, b, r := s.prompt.fit()
		if s.prompt.n < prefillPoints || b <= 0 || r < prefillR {
			continue
		}
		mean, dev := moments(s.prompt.n, s.prompt.x, s.prompt.xx)
		long := mean + 1.65*dev
		wait := b * long
		if wait < prefillWait || wait < prefillShare*(max(a, 0)+wait) {
			continue
		}
		p95 := d.ttft.quantile(0.95)
		f.report(diagnose.Finding{
			Code: diagnose.SlowPrefill, Subject: d.name,
			Title:      fmt.Sprintf("%s processes prompts slowly: %s of the time to first token at %s prompt tokens", d.name, numeral.Seconds(wait/1000), numeral.Whole(long)),
			Confidence: 0.45 + 0.5*r, Affected: max(0.001, share(s.lateSilent, f.total.Tries)),
			Evidence: []diagnose.Evidence{
				measured("time to first token, p95", p95, "ms", "attempts.ttft_ms"),
				measured("prefill of 1,000 prompt tokens", 1000*b, "ms", "regression of attempts.ttft_ms on uncached prompt tokens"),
				measured("time to first token, empty prompt", max(a, 0), "ms", "as above"),
				measured("correlation", r, "r", "as above"),
			},
			RuledOut: append(f.notCapacity(d, cellFirst, "the first token"), f.notDecode(d)...),
			Remedy: diagnose.Remedy{
				Text:   "shorten prompts, or put the repeated part first so that it is cached, and send each caller to one deployment",
				Config: "routing: {strategy: affinity}",
			},
		}, scope{at: []*deployment{d}})
	}
}

func cellFirst(c *cell) (float64, bool) { return c.first.value(), c.first.n >= decodePoints }
