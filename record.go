package spillway

import "time"

// MaxAttempts bounds the attempts of one request.
const MaxAttempts = 8

// Record is what one request leaves behind: no prompt, no response, no secret.
// Durations count from acceptance where not said otherwise.
type Record struct {
	ID     string
	Time   time.Time // acceptance
	Pool   string
	Caller string
	Tenant string
	Class  string
	Model  string
	Route  string
	API    API
	Policy string // version of the policy that decided
	// TraceParent is the client's W3C trace context, valid; "" when it sent none.
	TraceParent string

	Stream          bool
	Structured      bool
	Tools           bool
	Choices         int
	ServiceTier     string // that the request asks for; "" when it names none
	ClientRetry     int
	AskTokens       int
	PromptEstimate  int // tokens
	Window          time.Duration
	Mode            BudgetMode
	TTFTObjective   time.Duration
	TBTObjective    time.Duration
	BudgetTokens    int // what fits the time left; 0 when nothing bounds it
	BudgetBasis     BudgetBasis
	GrantTokens     int // what was sent upstream; 0 when nothing was
	ObservedGrant   int // what clamp would have granted, in mode observe
	Spill           SpillReason
	Truncated       Truncation
	Finish          Finish
	Outcome         Outcome
	Refusal         RefusalCode
	Status          int // what the client got
	Queue           time.Duration
	TTFT            time.Duration // first output, as read from upstream
	E2E             time.Duration
	TBTMean, TBTMax time.Duration
	Usage           Usage
	Attempts        []Attempt
}

// Attempt is one try at one deployment.
type Attempt struct {
	Deployment  string
	Region      string
	Kind        Kind
	Tier        int
	Start       time.Duration // since acceptance
	End         time.Duration // since acceptance
	TTFT        time.Duration // since Start; 0 without a token
	Status      int
	Class       FailureClass
	RetryAfter  time.Duration
	GrantTokens int
	Tokens      int
	Utilization float64 // seen in the response; -1 when absent
	Hedge       bool
	// CostUSD is what it cost by the token: 0 where capacity is paid for
	// whether used or not, negative where the price is unknown.
	CostUSD  float64
	ServedBy string // where Azure's own spillover moved it; "" for nowhere
	// ServiceTier is the one that the response names last; "" when it names none.
	ServiceTier string
	// ResetTokens and ResetRequests are when the rate limits that the response names
	// are restored, from its arrival on; 0 when it does not say.
	ResetTokens, ResetRequests time.Duration

	// Of a real response only; the driver adds them. Their lengths are bounded.
	UpstreamRequestID string // the deployment's own id of the request; "" when it names none
	ServedRegion      string // the region that the response names; "" when it names none
	// Error is the text of a failure, for operators; "" without one. It contains no
	// credential.
	Error string
}

// MaxErrorText bounds Attempt.Error, in bytes.
const MaxErrorText = 256

// Error is the error of the attempt that failed last; "" when none failed.
func (r *Record) Error() string {
	text, end := "", time.Duration(-1)
	for i := range r.Attempts {
		if a := &r.Attempts[i]; a.Class != FailureNone && a.Error != "" && a.End >= end {
			text, end = a.Error, a.End
		}
	}
	return text
}

// Answer is the attempt that the client heard of: the last to end of those
// that did not fail, or else of all; nil without attempts.
func (r *Record) Answer() *Attempt {
	var best *Attempt
	for i := range r.Attempts {
		a := &r.Attempts[i]
		if best == nil {
			best = a
			continue
		}
		whole, bestWhole := a.Class == FailureNone, best.Class == FailureNone
		if whole && !bestWhole || whole == bestWhole && a.End >= best.End {
			best = a
		}
	}
	return best
}
