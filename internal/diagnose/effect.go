package diagnose

import (
	"fmt"
	"math"
	"time"

	"github.com/spillway-ai/spillway/internal/numeral"
)

// Rates are how the tries of some traffic ended, as shares of the tries, and
// the output tokens per call that clients received and that deployments
// generated; Generated is 0 where it is unknown.
type Rates struct {
	Timeout       float64 `json:"rate_408"`
	Cut           float64 `json:"rate_cut"` // valid responses, cut at the deadline
	Gone          float64 `json:"rate_499"` // clients that left
	Refused       float64 `json:"rate_429"`
	Truncated     float64 `json:"truncated"`    // by a budget
	Failed        float64 `json:"failed_calls"` // share of calls whose last try failed
	TokensPerCall float64 `json:"tokens_per_call"`
	Generated     float64 `json:"generated_per_call"`
}

// OutOfTime is the share of tries that had no whole response when the time of the
// service, the gateway or the client was over.
func (r *Rates) OutOfTime() float64 { return r.Timeout + r.Cut + r.Gone }

// Effect compares a replay of the traffic as it is served now with one under
// the remedy.
type Effect struct {
	Text  string `json:"text"`
	Calls int    `json:"calls"` // replayed
	Now   Rates  `json:"now"`
	Then  Rates  `json:"then"`
}

// NewEffect puts the comparison into words.
func NewEffect(remedy *Remedy, calls int, now, then Rates) *Effect {
	e := &Effect{Calls: calls, Now: now, Then: then}
	if remedy.CapTokens > 0 {
		e.Text = "cap " + numeral.Whole(float64(remedy.CapTokens)) + ": "
	}
	e.Text += fmt.Sprintf("408 %s → %s, 429 %s → %s", numeral.Percent(now.Timeout), numeral.Percent(then.Timeout), numeral.Percent(now.Refused), numeral.Percent(then.Refused))
	if then.Cut >= 0.0001 || now.Cut >= 0.0001 {
		e.Text += fmt.Sprintf(", cut at the deadline %s → %s", numeral.Percent(now.Cut), numeral.Percent(then.Cut))
	}
	if then.Gone >= 0.0001 || now.Gone >= 0.0001 {
		e.Text += fmt.Sprintf(", clients that leave %s → %s", numeral.Percent(now.Gone), numeral.Percent(then.Gone))
	}
	if then.Truncated > 0 || now.Truncated > 0 {
		e.Text += ", " + numeral.Percent(then.Truncated) + " truncated"
	}
	e.Text += change(now.Generated, then.Generated, "tokens generated") + change(now.TokensPerCall, then.TokensPerCall, "received")
	return e
}

// change describes a difference of at least 1%; "" for less.
func change(now, then float64, what string) string {
	c := 100 * (then/max(now, 1e-9) - 1)
	if now <= 0 || c > -1 && c < 1 {
		return ""
	}
	return fmt.Sprintf(", %s%% %s", numeral.Signed(c), what)
}

// Replay is the traffic served once more in virtual time, as it was: where the
// two do not come to the same, no effect of a remedy is predicted.
type Replay struct {
	From       time.Time `json:"from"`
	To         time.Time `json:"to"`
	Calls      int       `json:"calls"`
	Observed   Rates     `json:"observed"`
	Replayed   Rates     `json:"replayed"`
	Reproduced bool      `json:"reproduced"`
}

// Bounds within which a replay counts as the same: a quarter of a percentage
// point, or half as much again as was observed.
const (
	replayNear   = 0.0025
	replayFactor = 0.5
)

// NewReplay compares the two.
func NewReplay(from, to time.Time, calls int, observed, replayed Rates) *Replay {
	near := func(a, b float64) bool { return math.Abs(a-b) <= max(replayNear, replayFactor*a) }
	return &Replay{
		From: from, To: to, Calls: calls, Observed: observed, Replayed: replayed,
		Reproduced: near(observed.OutOfTime(), replayed.OutOfTime()) && near(observed.Refused, replayed.Refused),
	}
}
