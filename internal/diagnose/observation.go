package diagnose

import (
	"time"

	spillway "github.com/spillway-ai/spillway"
)

// Observation is what is known of one try of a client, from a record of this
// gateway or from the logs of another. A value that is not known is zero, or -1
// where zero has a meaning.
type Observation struct {
	Time                               time.Time // acceptance
	Pool, Model, Class, Caller, Tenant string
	Stream                             bool

	Outcome          spillway.Outcome
	Spill            spillway.SpillReason // why the first tier was not used
	Status           int                  // what the client got
	Retry            int                  // how often the client has already tried this call; -1 when unknown
	AskTokens        int                  // output tokens asked for; 0 when no limit was set, -1 when unknown
	PromptTokens     int
	CachedTokens     int // part of the prompt; -1 when unknown
	CompletionTokens int

	// Window is the time that was allowed; ClientTimeout the client's own part
	// of it where that is known.
	Window, ClientTimeout time.Duration
	Queue, TTFT, E2E      time.Duration
	TBT                   time.Duration // mean between tokens

	// Attempts are those at deployments. Whoever reads an observation must not
	// keep them.
	Attempts []spillway.Attempt
}

// RecordColumns are the columns of a record store that FromRecord reads.
func RecordColumns() []string {
	columns := []string{
		"time", "pool", "caller", "tenant", "class", "model", "stream", "outcome", "spill", "status", "client_retry",
		"choices", "ask_tokens", "prompt_estimate_tokens", "window_ms", "queue_ms", "ttft_ms", "e2e_ms", "tbt_mean_ms",
		"prompt_tokens", "cached_tokens", "completion_tokens", "usage_known",
	}
	for _, name := range []string{
		"deployment", "region", "kind", "tier", "start_ms", "end_ms", "ttft_ms", "status", "failure", "grant_tokens", "tokens", "utilization_ratio",
	} {
		columns = append(columns, "attempts."+name)
	}
	return columns
}

// FromRecord makes an observation of a record of this gateway. The two share
// their attempts.
func FromRecord(r *spillway.Record) Observation {
	o := Observation{
		Time: r.Time, Pool: r.Pool, Model: r.Model, Class: r.Class, Caller: r.Caller, Tenant: r.Tenant,
		Stream: r.Stream, Outcome: r.Outcome, Status: r.Status, Spill: r.Spill, Retry: r.ClientRetry,
		AskTokens: r.AskTokens * max(r.Choices, 1), PromptTokens: r.Usage.Prompt, CachedTokens: -1,
		CompletionTokens: r.Usage.Completion, Window: r.Window, Queue: r.Queue, TTFT: r.TTFT, E2E: r.E2E,
		TBT: r.TBTMean, Attempts: r.Attempts,
	}
	if r.Usage.Known {
		o.CachedTokens = r.Usage.Cached
	}
	if o.PromptTokens == 0 {
		o.PromptTokens = r.PromptEstimate
	}
	return o
}

// Who returns the tenant, or the caller where there is no tenant.
func (o *Observation) Who() string {
	if o.Tenant != "" {
		return o.Tenant
	}
	return o.Caller
}

// Complete reports whether the response was generated to its end.
func (o *Observation) Complete() bool {
	switch o.Outcome {
	case spillway.OutcomeOK, spillway.OutcomeOKClientCap, spillway.OutcomeTruncatedBudget:
		return true
	}
	return false
}

// Late reports whether the time ran out before the response was complete.
func (o *Observation) Late() bool {
	return o.Outcome == spillway.OutcomeTimeout || o.Outcome == spillway.OutcomeTruncatedDeadline
}

// Refused reports whether the client was refused for lack of capacity.
func (o *Observation) Refused() bool {
	switch o.Outcome {
	case spillway.OutcomeThrottled, spillway.OutcomeRefusedCapacity, spillway.OutcomeRefusedQueue:
		return true
	}
	return false
}

// Failed reports whether the client got no complete response, for a reason other
// than its own request.
func (o *Observation) Failed() bool {
	switch o.Outcome {
	case spillway.OutcomeUpstreamError, spillway.OutcomePartial, spillway.OutcomeClientGone:
		return true
	}
	return o.Late() || o.Refused()
}
