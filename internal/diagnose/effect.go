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
// the remedy. What is not known, such as how long responses would have been that
// nobody saw the end of, is replayed in several ways: Now and Then are of the first,
// and Low and High are the least and the most of each figure that any way came to.
type Effect struct {
	Text  string `json:"text"`
	Calls int    `json:"calls"` // replayed
	Now   Rates  `json:"now"`
	Then  Rates  `json:"then"`
	Low   Rates  `json:"then_low"`
	High  Rates  `json:"then_high"`
}

// Outcome is one way that the traffic may have gone, and how it goes then.
type Outcome struct{ Now, Then Rates }

// NewEffect puts the comparison into words. There is at least one outcome.
func NewEffect(remedy *Remedy, calls int, all []Outcome) *Effect {
	now, then := all[0].Now, all[0].Then
	e := &Effect{Calls: calls, Now: now, Then: then, Low: then, High: then}
	for _, o := range all {
		e.Low, e.High = each(e.Low, o.Then, math.Min), each(e.High, o.Then, math.Max)
	}
	if remedy.CapTokens > 0 {
		e.Text = "cap " + numeral.Whole(float64(remedy.CapTokens)) + ": "
	}
	e.Text += "408 " + numeral.Percent(now.Timeout) + " → " + between(e.Low.Timeout, e.High.Timeout) +
		", 429 " + numeral.Percent(now.Refused) + " → " + between(e.Low.Refused, e.High.Refused)
	if e.High.Cut >= 0.0001 || now.Cut >= 0.0001 {
		e.Text += ", cut at the deadline " + numeral.Percent(now.Cut) + " → " + between(e.Low.Cut, e.High.Cut)
	}
	if e.High.Gone >= 0.0001 || now.Gone >= 0.0001 {
		e.Text += ", clients that leave " + numeral.Percent(now.Gone) + " → " + between(e.Low.Gone, e.High.Gone)
	}
	if e.High.Truncated > 0 || now.Truncated > 0 {
		e.Text += ", " + between(e.Low.Truncated, e.High.Truncated) + " truncated"
	}
	e.Text += change(all, func(r *Rates) float64 { return r.Generated }, "tokens generated") +
		change(all, func(r *Rates) float64 { return r.TokensPerCall }, "received")
	return e
}

// each applies f to the figures of two rates.
func each(a, b Rates, f func(a, b float64) float64) Rates {
	return Rates{
		Timeout: f(a.Timeout, b.Timeout), Cut: f(a.Cut, b.Cut), Gone: f(a.Gone, b.Gone), Refused: f(a.Refused, b.Refused),
		Truncated: f(a.Truncated, b.Truncated), Failed: f(a.Failed, b.Failed),
		TokensPerCall: f(a.TokensPerCall, b.TokensPerCall), Generated: f(a.Generated, b.Generated),
	}
}

// between is a range of shares; one of them where both read the same.
func between(low, high float64) string {
	from, to := numeral.Percent(low), numeral.Percent(high)
	if from == to {
		return from
	}
	return from + " to " + to
}

// change describes a difference of at least 1%; "" for less.
func change(all []Outcome, of func(*Rates) float64, what string) string {
	low, high := math.Inf(1), math.Inf(-1)
	for _, o := range all {
		now, then := of(&o.Now), of(&o.Then)
		if now <= 0 {
			return ""
		}
		c := 100 * (then/now - 1)
		low, high = min(low, c), max(high, c)
	}
	from, to := numeral.Signed(low), numeral.Signed(high)
	switch {
	case low > -1 && high < 1:
		return ""
	case from == to:
		return fmt.Sprintf(", %s%% %s", from, what)
	}
	return fmt.Sprintf(", %s to %s%% %s", from, to, what)
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

// How far a replay may be off and count as the same: a quarter of a percentage point
// or a quarter of the share of tries that ran out of time, and of those that were
// refused, and a sixth of the tokens that clients received.
const (
	replayNear   = 0.0025
	replayFactor = 0.25
	replayTokens = 1. / 6
)

// NewReplay compares the two.
func NewReplay(from, to time.Time, calls int, observed, replayed Rates) *Replay {
	near := func(a, b float64) bool { return math.Abs(a-b) <= max(replayNear, replayFactor*a) }
	tokens := observed.TokensPerCall <= 0 || math.Abs(replayed.TokensPerCall-observed.TokensPerCall) <= replayTokens*observed.TokensPerCall
	return &Replay{
		From: from, To: to, Calls: calls, Observed: observed, Replayed: replayed,
		Reproduced: near(observed.OutOfTime(), replayed.OutOfTime()) && near(observed.Refused, replayed.Refused) && tokens,
	}
}
