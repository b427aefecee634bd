package diagnose

import (
	"time"

	spillway "github.com/spillway-ai/spillway"
)

// Observation is what is known of one try of a client: a record of our own, or
// a row of somebody else's logs. What is not known is zero, and -1 where zero
// means something.
type Observation struct {
	Time                               time.Time // acceptance
	Pool, Model, Class, Caller, Tenant string
	Stream                             bool

	Outcome          spillway.Outcome
	Spill            spillway.SpillReason // why the first tier was not used
	Status           int                  // what the client got
	Retry            int                  // how often the client has already tried this call
	AskTokens        int                  // output tokens asked for; 0 when no limit was set, -1 when unknown
	PromptTokens     int
	CachedTokens     int // part of the prompt; -1 when unknown
	CompletionTokens int

	// Window is the time that was allowed; ClientTimeout the client's own part
	// of it where that is known.
	Window, ClientTimeout time.Duration
	Queue, TTFT, E2E      time.Duration
	TBT                   time.Duration // mean between tokens

	// Attempts are those at deployments, at least one where any was made. The
	// collector does not keep them.
	Attempts []spillway.Attempt
}

// FromRecord is the observation that a record of the gateway holds. It shares
// the record's attempts.
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

// who is the tenant, or the caller where there is none.
func (o *Observation) who() string {
	if o.Tenant != "" {
		return o.Tenant
	}
	return o.Caller
}

// complete reports whether the answer came to its own end.
func (o *Observation) complete() bool {
	switch o.Outcome {
	case spillway.OutcomeOK, spillway.OutcomeOKClientCap, spillway.OutcomeTruncatedBudget:
		return true
	}
	return false
}

// late reports whether the time was over before the answer was whole.
func (o *Observation) late() bool {
	return o.Outcome == spillway.OutcomeTimeout || o.Outcome == spillway.OutcomeTruncatedDeadline
}

// refused reports whether the client was refused for want of capacity.
func (o *Observation) refused() bool {
	switch o.Outcome {
	case spillway.OutcomeThrottled, spillway.OutcomeRefusedCapacity, spillway.OutcomeRefusedQueue:
		return true
	}
	return false
}

// failed reports whether the client got no whole answer for a reason that is
// not its own.
func (o *Observation) failed() bool {
	switch o.Outcome {
	case spillway.OutcomeUpstreamError, spillway.OutcomePartial, spillway.OutcomeClientGone:
		return true
	}
	return o.late() || o.refused()
}
