package diagnose

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/spillway-ai/spillway/internal/numeral"
)

// Code names a cause. Codes are stable.
type Code string

// The causes.
const (
	OversizedRequests  Code = "oversized_requests"
	PTUSaturation      Code = "ptu_saturation"
	OverReservation    Code = "over_reservation"
	QuotaExhausted     Code = "quota_exhausted"
	QuotaFragmentation Code = "quota_fragmentation"
	RPMBursts          Code = "rpm_bursts"
	SlowPrefill        Code = "slow_prefill"
	SlowDecode         Code = "slow_decode"
	RetryAmplification Code = "retry_amplification"
	SaturatedSpillover Code = "saturated_spillover"
	RegionalOutage     Code = "regional_outage"
	ClientTimeout      Code = "client_timeout"
	CacheLoss          Code = "cache_loss"
	NoisyTenant        Code = "noisy_tenant"
)

// Severity says how much it matters to clients.
type Severity string

// The severities: at least 1% of the tries failed for it, at least 0.1%, or
// less.
const (
	Critical Severity = "critical"
	Warning  Severity = "warning"
	Notice   Severity = "notice"
)

// Finding is one cause with what speaks for it.
type Finding struct {
	Code       Code       `json:"code"`
	Severity   Severity   `json:"severity"`
	Confidence float64    `json:"confidence"` // 0–1
	Title      string     `json:"title"`
	Subject    string     `json:"subject,omitempty"` // deployment, region or caller
	From       time.Time  `json:"from"`
	To         time.Time  `json:"to"`
	Affected   float64    `json:"affected"` // share of tries, 0–1
	Evidence   []Evidence `json:"evidence"`
	RuledOut   []RuledOut `json:"ruled_out"`
	Remedy     Remedy     `json:"remedy"`
	// Effect is what a replay predicts; nil where there was none.
	Effect *Effect `json:"effect,omitempty"`

	covers map[Code]bool // of the same deployments: consequences of this
	at     []*deployment
}

// Evidence is one number and where it comes from.
type Evidence struct {
	Name   string  `json:"name"`
	Value  float64 `json:"value"`
	Unit   string  `json:"unit"` // share, tokens, ms, s, ratio, count, per_minute, r
	Source string  `json:"source"`
}

// RuledOut is a cause that it is not, and the numbers that say so.
type RuledOut struct {
	Code Code   `json:"code"`
	Text string `json:"text"`
}

// Remedy is what to do, in words and as configuration. The other members say
// the same to a simulator; a zero one changes nothing.
type Remedy struct {
	Text   string `json:"text"`
	Config string `json:"config,omitempty"` // a part of spillway.yaml

	CapTokens   int    `json:"cap_tokens,omitempty"`
	WindowS     int    `json:"window_s,omitempty"` // that the cap is for
	RightSize   bool   `json:"right_size,omitempty"`
	Spill       bool   `json:"spill,omitempty"`        // add standard capacity as the next tier
	OnePool     bool   `json:"one_pool,omitempty"`     // all deployments of the model serve all
	Queue       bool   `json:"queue,omitempty"`        // wait instead of being refused
	FewRetries  bool   `json:"few_retries,omitempty"`  // clients try once more at most
	LowPriority string `json:"low_priority,omitempty"` // caller
}

// Simulable reports whether a replay can tell what the remedy does.
func (r *Remedy) Simulable() bool {
	return r.CapTokens > 0 || r.RightSize || r.Spill || r.OnePool || r.Queue || r.FewRetries || r.LowPriority != ""
}

// Rates are what a replay of the traffic comes to, as shares of tries, and for
// each call the output tokens that its client got and those that were
// generated for it; 0 where the latter are unknown.
type Rates struct {
	Timeout       float64 `json:"rate_408"`
	Cut           float64 `json:"rate_cut"` // valid answers, cut at the deadline
	Refused       float64 `json:"rate_429"`
	Truncated     float64 `json:"truncated"` // by a budget
	Failed        float64 `json:"failed_calls"`
	TokensPerCall float64 `json:"tokens_per_call"`
	Generated     float64 `json:"generated_per_call"`
}

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
	e.Text += fmt.Sprintf("408 %s → %s, 429 %s → %s", percent(now.Timeout), percent(then.Timeout), percent(now.Refused), percent(then.Refused))
	if then.Cut >= 0.0001 || now.Cut >= 0.0001 {
		e.Text += fmt.Sprintf(", cut at the deadline %s → %s", percent(now.Cut), percent(then.Cut))
	}
	if then.Truncated > 0 || now.Truncated > 0 {
		e.Text += ", " + percent(then.Truncated) + " truncated"
	}
	e.Text += change(now.Generated, then.Generated, "tokens generated") + change(now.TokensPerCall, then.TokensPerCall, "received")
	return e
}

// change is by how much something differs, if it does.
func change(now, then float64, what string) string {
	c := 100 * (then/max(now, 1e-9) - 1)
	if now <= 0 || c > -1 && c < 1 {
		return ""
	}
	return fmt.Sprintf(", %s%% %s", signed(c), what)
}

// Missing is something that was not known, and what it costs.
type Missing struct {
	Text  string  `json:"text"`
	Share float64 `json:"share"` // of what would have had it
}

// Diagnosis is the answer.
type Diagnosis struct {
	From     time.Time `json:"from"`
	To       time.Time `json:"to"`
	Tries    int       `json:"tries"`
	Calls    int       `json:"calls"`
	Timeout  float64   `json:"rate_408"` // shares of tries
	Cut      float64   `json:"rate_cut"`
	Refused  float64   `json:"rate_429"`
	Failed   float64   `json:"rate_failed"`
	Healthy  bool      `json:"healthy"`
	Blind    bool      `json:"blind,omitempty"` // how requests ended is not known
	Findings []Finding `json:"findings"`        // the gravest first
	Coverage []Missing `json:"coverage"`
	// Sources are the files that were imported; none where a store was read.
	Sources []Source `json:"sources,omitempty"`

	// Replay says what the predicted effects rest on; nil where there is none.
	Replay *Replay `json:"replay,omitempty"`

	DeploymentNames []string `json:"deployments"`
	pictures        []picture
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
		Reproduced: near(observed.Timeout+observed.Cut, replayed.Timeout+replayed.Cut) && near(observed.Refused, replayed.Refused),
	}
}

// Simulable reports whether a replay can tell what one of the remedies does.
func (d *Diagnosis) Simulable() bool {
	return slices.ContainsFunc(d.Findings, func(f Finding) bool { return f.Remedy.Simulable() })
}

// Predict asks what each remedy that can be simulated would do. ask returns nil
// where it cannot say.
func (d *Diagnosis) Predict(ask func(*Finding) *Effect) {
	for i := range d.Findings {
		if f := &d.Findings[i]; f.Remedy.Simulable() {
			f.Effect = ask(f)
		}
	}
}

// Codes lists every cause.
func Codes() []Code {
	return []Code{
		OversizedRequests, PTUSaturation, OverReservation, QuotaExhausted, QuotaFragmentation, RPMBursts, SlowPrefill, SlowDecode,
		RetryAmplification, SaturatedSpillover, RegionalOutage, ClientTimeout, CacheLoss, NoisyTenant,
	}
}
