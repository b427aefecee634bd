// Package budget computes how many output tokens fit the time that is left:
//
//	budget = floor((left − q(TTFT) − margin) / q(TBT))
//
// TBT is the mean time per token of one whole response: gpt-4o-mini's 99th
// percentile of 30.4 ms (33 tokens/s) fits 1,955 tokens into 60 s. Several
// choices decode in parallel, so n does not count; a limit is for each of them.
// Only a hard cap is for all of them together.
package budget

import (
	"cmp"
	"math"
	"time"

	spillway "github.com/spillway-ai/spillway"
)

// DefaultQuantile of learned speed is counted on when the rule names none.
const DefaultQuantile = 0.99

// DefaultMargin is kept free before a deadline when the rule names no margin.
const DefaultMargin = 250 * time.Millisecond

// DefaultMaxTokens is a limit that every chat model in use accepts. A larger one
// can be refused as invalid, so the gateway sets none for a client without one.
const DefaultMaxTokens = 4096

// marginShare is the part of the window that the margin never exceeds: 1/10.
const marginShare = 10

// Input is what one attempt at one deployment is budgeted from. It is used for
// operations that generate output tokens only.
type Input struct {
	Rule spillway.BudgetRule

	HasDeadline bool
	Left        time.Duration // until the deadline; may be negative
	Window      time.Duration // the whole time from acceptance; bounds the margin; 0 means unknown

	Ask int // output tokens per choice that the client asked for; 0 means none
	// Choices is how many responses the client asked for; below 1 means 1.
	Choices int
	// MinTokens is the least limit that makes sense; below 1 means 1.
	MinTokens int
	// MaxTokens is the largest limit that the deployment accepts; 0 means
	// DefaultMaxTokens. A client's own ask may be larger.
	MaxTokens int
	Stream    bool // the client reads a stream
	Fragile   bool // worthless when cut short: structured output, tools, reasoning

	// TTFT and TBT at the rule's quantile. A TBT of 0 bounds nothing.
	TTFT, TBT time.Duration
	// FastTTFT and FastTBT are the best that the deployment can do; the
	// quantile's where those are faster.
	FastTTFT, FastTBT time.Duration
}

// Grant is what one attempt may produce.
type Grant struct {
	// Tokens is the limit per choice that the deployment should see; 0 sends
	// none. It differs from the client's ask exactly when Lowered is set.
	Tokens int
	// Lowered says that Tokens is our limit: below the ask, or set where the
	// client set none.
	Lowered bool
	// Budget is what fits the time left, or the fixed cap, whatever the mode.
	// It is meaningful only when Bounded is set.
	Budget  int
	Bounded bool
	Fixed   bool // Budget is the cap
	// Observed is the Tokens that clamp would have granted, in mode observe.
	Observed int
	// Feasible is false when not MinTokens can be expected in time: try a
	// faster deployment or refuse. Tokens is then 0.
	Feasible bool
	// Reject says that the ask exceeds the budget in mode reject, or that a hard
	// cap leaves no token for each choice; FitTokens is what would fit each
	// choice. Tokens is then 0.
	Reject    bool
	FitTokens int
}

// Compute budgets one attempt. It never grants more for less time.
//
//   - window: the ask, lowered only to what could possibly fit at the fastest.
//   - clamp: at most the budget, also where the client asked for no limit, if
//     the deployment accepts one that large.
//   - reject: an ask above the budget is rejected; without an ask as clamp.
//   - observe: the ask unchanged, and always feasible until the deadline.
//
// A fixed MaxOutputTokens replaces the measured budget, with or without a
// deadline, and also lowers in window. It is for synchronous requests: longer
// responses belong in streams, which it leaves to the measured budget. Fragile
// requests are neither clamped, capped nor rejected without
// Rule.ClampStructured: they are treated as window. With Rule.HardCap the cap
// knows no exceptions, and the choices share it: each is granted an equal part,
// and more choices than tokens are rejected in every mode but observe.
func Compute(in Input) Grant {
	if in.Rule.Mode == spillway.BudgetObserve {
		return observe(&in)
	}
	return compute(&in, in.Rule.Mode)
}

// compute is Compute in a mode other than observe.
func compute(in *Input, mode spillway.BudgetMode) Grant {
	ceiling, hard := in.Rule.MaxOutputTokens, hardCap(in)
	fixed := ceiling > 0 && (hard || !in.Stream)
	switch {
	case hard:
		ceiling /= max(in.Choices, 1)
	case in.Fragile && !in.Rule.ClampStructured:
		mode, fixed = spillway.BudgetWindow, false
	}
	possible := fit(in, min(in.FastTTFT, in.TTFT), fastTBT(in))
	budget := fit(in, in.TTFT, in.TBT)
	limit, needed := budget, budget
	switch {
	case fixed:
		budget, limit, needed = ceiling, ceiling, possible
	case mode == spillway.BudgetWindow:
		limit, needed = possible, possible
		if in.Ask <= 0 {
			limit = unbounded
		}
	}

	g := Grant{Budget: finite(budget), Bounded: budget != unbounded, Fixed: fixed, Feasible: needed >= least(in)}
	switch {
	case !g.Feasible:
	case mode == spillway.BudgetReject && in.Ask > limit, fixed && limit == 0:
		g.Reject, g.FitTokens = true, limit
	default:
		g.send(in, limit)
	}
	return g
}

// observe grants the ask and returns what clamp would have granted.
func observe(in *Input) Grant {
	clamped := compute(in, spillway.BudgetClamp)
	g := Grant{
		Budget:   clamped.Budget,
		Bounded:  clamped.Bounded,
		Fixed:    clamped.Fixed,
		Observed: clamped.Tokens,
		Feasible: !in.HasDeadline || in.Left > 0,
	}
	if g.Feasible {
		g.send(in, unbounded)
	}
	return g
}

// send sets what the deployment sees: the ask under a limit.
func (g *Grant) send(in *Input, limit int) {
	ask := in.Ask
	if ask <= 0 {
		ask = unbounded
		if largest := cmp.Or(in.MaxTokens, DefaultMaxTokens); limit > largest {
			if limit != unbounded && hardCap(in) {
				limit = largest // without a limit, the response could exceed the cap
			} else {
				limit = unbounded
			}
		}
	}
	g.Tokens = finite(min(ask, limit))
	g.Lowered = limit < ask
}

// hardCap reports whether the cap applies to every request.
func hardCap(in *Input) bool { return in.Rule.HardCap && in.Rule.MaxOutputTokens > 0 }

// least is the output that must fit for an attempt to make sense: MinTokens, or
// the ask where that is less.
func least(in *Input) int {
	n := max(in.MinTokens, 1)
	if in.Ask > 0 {
		n = min(n, in.Ask)
	}
	return n
}

// Margin is the time that rule keeps free before the deadline of a request
// with this window; a window of 0 bounds nothing.
func Margin(rule spillway.BudgetRule, window time.Duration) time.Duration {
	margin := rule.Margin
	if margin <= 0 {
		margin = DefaultMargin
	}
	if window > 0 {
		margin = min(margin, window/marginShare)
	}
	return margin
}

// unbounded is a number of tokens that nothing limits.
const unbounded = math.MaxInt

// finite is tokens, and 0 where nothing limits them.
func finite(tokens int) int {
	if tokens == unbounded {
		return 0
	}
	return tokens
}

// fit is how many tokens of tbt follow ttft in the time left.
func fit(in *Input, ttft, tbt time.Duration) int {
	if !in.HasDeadline {
		return unbounded
	}
	left := in.Left - ttft - Margin(in.Rule, in.Window)
	switch {
	case left <= 0:
		return 0
	case tbt <= 0:
		return unbounded
	}
	return int(left / tbt)
}

// fastTBT is the fastest pace, never slower than the quantile's.
func fastTBT(in *Input) time.Duration {
	if in.FastTBT <= 0 || in.TBT <= 0 {
		return in.TBT
	}
	return min(in.FastTBT, in.TBT)
}
