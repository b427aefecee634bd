package fleet

import "time"

// Ask is one request as the model sees it.
type Ask struct {
	PromptTokens int
	// Prefix identifies the prompt's cacheable blocks: Prefix[0] its first
	// 1,024 tokens, every further element 128 tokens more. Empty means that
	// nothing can be cached. The model does not keep the slice.
	Prefix []uint64
	// MaxTokens is the limit that the request sets; 0 means none.
	MaxTokens int
	// OutputTokens is how long the visible response wants to be; -1 draws it.
	OutputTokens int
	// ReasoningTokens is how many hidden tokens precede it on a reasoning
	// deployment; -1 draws them.
	ReasoningTokens int
	Choices         int  // 0 is 1
	Stream          bool // streams have no completion window
	// Prefill says that the request has no output at all, as embeddings.
	Prefill bool
	// ServiceTier is the tier that the request is served with, for faults that
	// strike one tier; "" where the model's user knows none.
	ServiceTier string
	// Seed fixes the request's randomness whatever came before it; 0 continues
	// the deployment's own sequence.
	Seed uint64
}

// Reason is why a request was refused.
type Reason uint8

// The reasons.
const (
	Accepted          Reason = iota
	RefusedFault             // by a scheduled fault
	RefusedCapacity          // provisioned utilization above 100%
	RefusedTokens            // TPM used up
	RefusedRequests          // RPM used up
	refusalReasonsEnd = iota
)

// constant
var reasonNames = [refusalReasonsEnd]string{"", "fault", "capacity", "tokens", "requests"}

// String returns the reason's name; "" when accepted.
func (r Reason) String() string { return reasonNames[r%refusalReasonsEnd] }

// Verdict is what becomes of a request.
type Verdict struct {
	Status int // 200 when accepted, otherwise what the client gets
	Reason Reason
	// Delay is how long the refusal takes to come.
	Delay      time.Duration
	RetryAfter time.Duration // of a 429
	Limits     Limits
	Plan       Plan // when accepted
}

// Limits is what the response headers say of capacity.
type Limits struct {
	Utilization float64 // 1 is full; -1 on standard deployments
	// The per-minute limits; 0 means not limited. What remains is what remains
	// of the current minute and of the current RPM window.
	TPM, RPM                           int
	RemainingTokens, RemainingRequests int
	ResetTokens, ResetRequests         time.Duration
}

// State is a deployment at one instant.
type State struct {
	Utilization float64 // of the meter: 1 is where refusals begin
	Load        float64 // work actually done against capacity
	InFlight    int
	Counts      Counts
}

// Counts are totals since the start.
type Counts struct {
	Offered      int
	Accepted     int
	Refused      int // 429s of the meters
	Faulted      int // refused by a fault
	Completed    int
	PromptTokens int // of accepted requests
	OutputTokens int // produced by completed requests
}
