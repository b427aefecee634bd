package spillway

// Outcome is how a request ended, of low cardinality.
type Outcome uint8

// The outcomes.
const (
	OutcomeUnknown           Outcome = iota
	OutcomeOK                        // complete
	OutcomeOKClientCap               // ended at the limit that the client itself set
	OutcomeTruncatedBudget           // ended at a limit that we set
	OutcomeTruncatedDeadline         // cut at the deadline, valid partial response
	OutcomeRefusedBudget             // mode reject: cannot finish in its window
	OutcomeRefusedQueue              // queue full, shed or evicted
	OutcomeRefusedCapacity           // no deployment could take it in time
	OutcomeRefusedInvalid            // upstream or we call the request itself wrong
	OutcomeThrottled                 // upstream's 429 reached the client
	OutcomeTimeout                   // 408: the deadline passed with nothing to return
	OutcomeUpstreamError             // every attempt failed
	OutcomePartial                   // broke off after bytes had reached the client
	OutcomeClientGone                // the client left
)

var outcomeNames = [...]string{
	"unknown", "ok", "ok_client_cap", "truncated_budget", "truncated_deadline",
	"refused_budget", "refused_queue", "refused_capacity", "refused_invalid",
	"throttled", "timeout", "upstream_error", "partial", "client_gone",
}

// String returns the name used in records and metrics.
func (o Outcome) String() string { return name(outcomeNames[:], uint8(o)) }

// Outcomes lists every outcome, for pre-registration of metrics.
func Outcomes() []Outcome {
	all := make([]Outcome, len(outcomeNames))
	for i := range all {
		all[i] = Outcome(i)
	}
	return all
}

// SpillReason is why an attempt was not made at the first tier.
type SpillReason uint8

// The reasons to spill.
const (
	SpillNone        SpillReason = iota
	SpillUtilization             // our meter predicts a refusal
	SpillQueue                   // waiting would miss the deadline
	SpillRefused                 // 429
	SpillPaused                  // told to wait by an earlier 429
	SpillBroken                  // failed, or its breaker is open
	SpillSlow                    // too slow for the time left
)

var spillNames = [...]string{"", "utilization", "queue", "refused", "paused", "broken", "slow"}

// String returns the name used in headers, records and metrics; "" for none.
func (r SpillReason) String() string { return name(spillNames[:], uint8(r)) }

// BudgetBasis is what a budget was computed from.
type BudgetBasis uint8

// The bases of a budget.
const (
	BudgetUnbounded BudgetBasis = iota
	BudgetFixed                 // the class's cap
	BudgetPublished             // the time left, and a speed that too few responses have confirmed: published, or taken on trust
	BudgetMeasured              // the time left, and the measured speed
)

var budgetBasisNames = [...]string{"", "fixed", "published", "measured"}

// String returns the name used in records; "" for a budget that nothing bounds.
func (b BudgetBasis) String() string { return name(budgetBasisNames[:], uint8(b)) }

// Truncation is why a response is shorter than the client allowed.
type Truncation uint8

// The truncations that the gateway causes.
const (
	TruncatedNot Truncation = iota
	TruncatedBudget
	TruncatedDeadline
)

var truncationNames = [...]string{"", "budget", "deadline"}

// String returns the value of x-spillway-truncated; "" for none.
func (t Truncation) String() string { return name(truncationNames[:], uint8(t)) }
