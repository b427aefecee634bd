package diagnose

import "time"

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

// Finding is one cause of failures, with its evidence and a remedy.
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
}

// Evidence is one measurement and the data that it comes from.
type Evidence struct {
	Name   string  `json:"name"`
	Value  float64 `json:"value"`
	Unit   string  `json:"unit"` // share, tokens, ms, s, ratio, count, per_minute, r
	Source string  `json:"source"`
}

// RuledOut is a cause that does not apply, and the numbers that say so.
type RuledOut struct {
	Code Code   `json:"code"`
	Text string `json:"text"`
}

// Remedy is what to do, in words and as configuration. The other members
// describe the same change to a simulator; a zero member changes nothing.
type Remedy struct {
	Text   string `json:"text"`
	Config string `json:"config,omitempty"` // a part of spillway.yaml

	CapTokens   int    `json:"cap_tokens,omitempty"`
	WindowS     int    `json:"window_s,omitempty"` // that the cap is for
	RightSize   bool   `json:"right_size,omitempty"`
	Spill       bool   `json:"spill,omitempty"`        // add standard capacity as the next tier of Deployment's pool
	Deployment  string `json:"deployment,omitempty"`   // that Spill relieves
	OnePool     bool   `json:"one_pool,omitempty"`     // all deployments of the model serve all
	Queue       bool   `json:"queue,omitempty"`        // wait instead of being refused
	FewRetries  bool   `json:"few_retries,omitempty"`  // clients try once more at most
	LowPriority string `json:"low_priority,omitempty"` // caller
}

// Simulable reports whether a replay can predict the remedy's effect.
func (r *Remedy) Simulable() bool {
	return r.CapTokens > 0 || r.RightSize || r.Spill || r.OnePool || r.Queue || r.FewRetries || r.LowPriority != ""
}

// Codes lists every cause.
func Codes() []Code {
	return []Code{
		OversizedRequests, PTUSaturation, OverReservation, QuotaExhausted, QuotaFragmentation, RPMBursts, SlowPrefill, SlowDecode,
		RetryAmplification, SaturatedSpillover, RegionalOutage, ClientTimeout, CacheLoss, NoisyTenant,
	}
}
