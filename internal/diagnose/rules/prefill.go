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
	wholeR        = 0.5 // where the whole duration is what is known
)

// prefill is how the wait for a first token grows with the prompt.
type prefill struct {
	empty, perToken, r float64 // ms
	long               float64 // tokens, the 95th percentile of prompts
	source             string
}

// prefillOf takes the times to first tokens, or where they are unknown what remains
// of whole durations once the output is accounted for.
func prefillOf(s *cell) (p prefill, known bool) {
	n, sum, squares := s.prompt.n, s.prompt.x, s.prompt.xx
	p.empty, p.perToken, p.r = s.prompt.fit()
	p.source = "regression of attempts.ttft_ms on uncached prompt tokens"
	least := prefillR
	if n < prefillPoints {
		n, sum, squares = s.whole.n, s.whole.x, s.whole.xx
		p.empty, p.perToken, _, p.r = s.whole.fit()
		p.source = "regression of e2e_ms on uncached prompt tokens and completion_tokens"
		least = wholeR
	}
	mean, dev := moments(n, sum, squares)
	p.long = mean + 1.65*dev
	return p, n >= prefillPoints && p.perToken > 0 && p.r >= least
}

// slowPrefill looks for first tokens that wait for long prompts to be read.
func slowPrefill(f *facts) {
	for _, d := range f.all {
		s := d.sum(calm)
		p, known := prefillOf(&s)
		wait := p.perToken * p.long
		if !known || wait < prefillWait || wait < prefillShare*(max(p.empty, 0)+wait) {
			continue
		}
		var evidence []diagnose.Evidence
		if p95 := d.ttft.quantile(0.95); p95 > 0 {
			evidence = append(evidence, measured("time to first token, p95", p95, "ms", "attempts.ttft_ms"))
		}
		f.report(diagnose.Finding{
			Code: diagnose.SlowPrefill, Subject: d.name,
			Title:      fmt.Sprintf("%s processes prompts slowly: %s of the time to first token at %s prompt tokens", d.name, numeral.Seconds(wait/1000), numeral.Whole(p.long)),
			Confidence: 0.45 + 0.5*p.r, Affected: max(0.001, share(s.lateSilent, f.total.Tries)),
			Evidence: append(
				evidence, measured("prefill of 1,000 prompt tokens", 1000*p.perToken, "ms", p.source),
				measured("time to first token, empty prompt", max(p.empty, 0), "ms", "as above"),
				measured("correlation", p.r, "r", "as above"),
			),
			RuledOut: append(f.notCapacity(d, cellFirst, "the first token"), f.notDecode(d)...),
			Remedy: diagnose.Remedy{
				Text:   "shorten prompts, or put the repeated part first so that it is cached, and send each caller to one deployment",
				Config: "routing: {strategy: affinity}",
			},
		}, scope{at: []*deployment{d}})
	}
}

func cellFirst(c *cell) (float64, bool) { return c.first.value(), c.first.n >= decodePoints }
