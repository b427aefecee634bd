package spillway

import "time"

// Priority orders classes when capacity is short. Higher is served first.
type Priority int8

// The priorities, from shed first to served first.
const (
	PriorityLow    Priority = -1
	PriorityNormal Priority = 0
	PriorityHigh   Priority = 1
)

// String returns the name used in records and configuration.
func (p Priority) String() string {
	switch {
	case p < PriorityNormal:
		return "low"
	case p > PriorityNormal:
		return "high"
	}
	return "normal"
}

// Objective is what a class wants: deployments that keep it come first. A zero
// limb is not an objective.
type Objective struct {
	TTFT time.Duration // time to first token
	TBT  time.Duration // mean time between tokens of one response
}

// Class is a kind of traffic: its priority, window, objectives and budget
// rule. It does not change once a request refers to it.
type Class struct {
	Name     string
	Priority Priority
	// Window is the completion window of synchronous requests, from
	// acceptance to the last byte; 0 means none.
	Window time.Duration
	// StreamWindow is the same for streams; 0 means none.
	StreamWindow time.Duration
	Objective    Objective
	Budget       BudgetRule
	// Sync says how synchronous requests travel upstream.
	Sync SyncMode
	// CutStructured says what becomes of a synchronous response that must parse and is
	// cut.
	CutStructured CutMode
	// MaxWait bounds the time in the queue, as the deadline does; 0 takes
	// policy.DefaultMaxWait.
	MaxWait time.Duration
	// SilenceTimeout is the longest silence within a stream that the client has
	// begun to read; 0 takes policy.DefaultSilenceTimeout.
	SilenceTimeout time.Duration
	// Hedge allows a second attempt when the first token is late.
	Hedge bool
	// RightSize sends the learned length as the token limit instead of the
	// client's ask, where Azure reserving less gains something. It can truncate.
	RightSize bool
}

// SyncMode says how a synchronous request travels upstream.
type SyncMode uint8

const (
	// SyncStream asks upstream for a stream and assembles the response.
	SyncStream SyncMode = iota
	// SyncPass sends the request as it is.
	SyncPass
)

var syncNames = [...]string{"stream", "pass"}

// String returns the name used in configuration.
func (m SyncMode) String() string { return name(syncNames[:], uint8(m)) }

// CutMode says what the client gets of a synchronous response with a tool call or of
// structured output that is cut at the deadline: what has arrived does not parse.
type CutMode uint8

const (
	// CutTimeout is a 408, as if nothing had arrived.
	CutTimeout CutMode = iota
	// CutPartial is what has arrived, as of any other response.
	CutPartial
)

var cutNames = [...]string{"timeout", "partial"}

// String returns the name used in configuration.
func (m CutMode) String() string { return name(cutNames[:], uint8(m)) }

// BudgetMode is what happens to a request that asks for more output tokens
// than fit the time left.
type BudgetMode uint8

const (
	// BudgetWindow sends the client's ask, lowered only to what could
	// possibly fit, and cuts the response at the deadline.
	BudgetWindow BudgetMode = iota
	// BudgetClamp grants at most the budget.
	BudgetClamp
	// BudgetReject refuses with 400 and says what would fit.
	BudgetReject
	// BudgetObserve changes nothing and records what clamp would have done.
	BudgetObserve
)

var budgetNames = [...]string{"window", "clamp", "reject", "observe"}

// String returns the name used in records, metrics and configuration.
func (m BudgetMode) String() string { return name(budgetNames[:], uint8(m)) }

// BudgetRule is how a class turns time into output tokens.
type BudgetRule struct {
	Mode BudgetMode
	// Quantile of TTFT and of per-request mean TBT to budget with, 0.5–0.999;
	// 0 takes budget.DefaultQuantile.
	Quantile float64
	// MaxOutputTokens is a fixed cap besides the measured one; 0 means none.
	// When set, the budget is this number and not the measured one.
	MaxOutputTokens int
	// Margin is kept free before the deadline for the reply itself; 0 takes
	// budget.DefaultMargin, and never more than a tenth of the window.
	Margin time.Duration
	// ClampStructured lets clamp and reject also lower requests whose response
	// is worthless when cut short: structured output, tools, reasoning.
	// Without it they are treated as BudgetWindow.
	ClampStructured bool
	// HardCap makes MaxOutputTokens bind every request: also streams and those
	// that ClampStructured names, and the sum of the choices instead of each.
	HardCap bool
}
