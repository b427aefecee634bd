package report

import spillway "github.com/spillway-ai/spillway"

// FromRecord returns the try that a record tells of: what one client call was,
// as the gateway saw it. A record knows neither when its run began nor whether
// its client tries again: At is 0, Last is true and CallE2E is E2E, until a
// reader who has seen the other records says otherwise.
func FromRecord(r *spillway.Record) Try {
	t := Try{
		Retry: r.ClientRetry, Last: true,
		Status: r.Status, Outcome: r.Outcome, Met: met(r), Stream: r.Stream,
		TTFT: r.TTFT, TBT: r.TBTMean, E2E: r.E2E, CallE2E: r.E2E,
		PromptTokens: r.Usage.Prompt, CachedTokens: r.Usage.Cached,
		CompletionTokens: r.Usage.Completion,
	}
	if t.PromptTokens == 0 {
		t.PromptTokens = r.PromptEstimate
	}
	if answered(r.Outcome) {
		t.UsefulTokens = r.Usage.Completion
		t.Spilled = r.Spill != spillway.SpillNone
	}
	if len(r.Attempts) == 0 {
		return t
	}
	// The usage is that of the attempt that answered. What the others made is
	// added from their own counts.
	last := r.Answer()
	if answered(r.Outcome) && last.ServedBy != "" {
		t.Spilled = true
	}
	t.CompletionTokens = max(t.CompletionTokens, last.Tokens)
	for i := range r.Attempts {
		if a := &r.Attempts[i]; a != last {
			t.CompletionTokens += a.Tokens
		}
	}
	return t
}

// met reports whether a complete answer kept its window and every limb of its
// objective that is set.
func met(r *spillway.Record) bool {
	return complete(r.Outcome) &&
		(r.Window <= 0 || r.E2E <= r.Window) &&
		(r.TTFTObjective <= 0 || r.TTFT <= r.TTFTObjective) &&
		(r.TBTObjective <= 0 || r.TBTMean <= r.TBTObjective)
}
