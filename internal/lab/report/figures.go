package report

// figure is one number of a Summary: where it is and how people read it.
type figure struct {
	key   string // of its member in JSON
	title string
	unit  unit
	sense sense
	brief bool // shown in the terminal's table
	// at returns the number's place. That of an optional number is nil when it
	// is absent, unless make asks for it.
	at func(s *Summary, make bool) *float64
}

// sense says which way a figure is better.
type sense int8

const (
	neutral sense = 0
	fewer   sense = -1
	more    sense = 1
)

// value returns the figure of a summary, and whether there is one. Of what is
// measured in milliseconds, zero is none.
func (f figure) value(s *Summary) (float64, bool) {
	at := f.at(s, false)
	if at == nil || f.unit == unitMillis && *at == 0 {
		return 0, false
	}
	return *at, true
}

// optional returns the place of a number that may be absent.
func optional(field **float64, make bool) *float64 {
	if *field == nil && make {
		*field = new(float64)
	}
	return *field
}

// group is a part of the table.
type group struct {
	title   string
	figures []figure
}

// groups is constant: every figure, in the order in which it is shown.
var groups = [...]group{
	{"Errors and truncation", []figure{
		{"rate_408", "408, of tries", unitShare, fewer, true, func(s *Summary, _ bool) *float64 { return &s.Rate408 }},
		{"rate_429", "429, of tries", unitShare, fewer, true, func(s *Summary, _ bool) *float64 { return &s.Rate429 }},
		{"error_rate", "failed calls", unitShare, fewer, true, func(s *Summary, _ bool) *float64 { return &s.ErrorRate }},
		{"truncated_rate", "truncated calls", unitShare, fewer, true, func(s *Summary, _ bool) *float64 { return &s.TruncatedRate }},
		{"complete_rate", "complete calls", unitShare, more, false, func(s *Summary, _ bool) *float64 { return &s.CompleteRate }},
	}},
	{"Goodput", []figure{
		{"offered_rps", "offered, calls/s", unitRate, neutral, false, func(s *Summary, _ bool) *float64 { return &s.OfferedRPS }},
		{"goodput_rps", "goodput, calls/s", unitRate, more, true, func(s *Summary, _ bool) *float64 { return &s.GoodputRPS }},
		{"attainment", "attainment", unitWhole, more, true, func(s *Summary, _ bool) *float64 { return &s.Attainment }},
		{"oracle_ratio", "share of the oracle", unitWhole, more, true, func(s *Summary, make bool) *float64 { return optional(&s.OracleRatio, make) }},
	}},
	{"Work per call", []figure{
		{"completion_tokens_per_request", "tokens generated", unitTokens, fewer, true, func(s *Summary, _ bool) *float64 { return &s.CompletionTokensPerRequest }},
		{"useful_tokens_per_request", "tokens delivered", unitTokens, neutral, true, func(s *Summary, _ bool) *float64 { return &s.UsefulTokensPerRequest }},
		{"retries_per_call", "retries, of calls", unitShare, fewer, true, func(s *Summary, _ bool) *float64 { return &s.RetriesPerCall }},
	}},
	{"Latency", []figure{
		{"ttft_ms.p50", "first token p50", unitMillis, fewer, true, func(s *Summary, _ bool) *float64 { return &s.TTFT.P50 }},
		{"ttft_ms.p95", "first token p95", unitMillis, fewer, false, func(s *Summary, _ bool) *float64 { return &s.TTFT.P95 }},
		{"ttft_ms.p99", "first token p99", unitMillis, fewer, true, func(s *Summary, _ bool) *float64 { return &s.TTFT.P99 }},
		{"tbt_ms.p50", "between tokens p50", unitMillis, fewer, true, func(s *Summary, _ bool) *float64 { return &s.TBT.P50 }},
		{"tbt_ms.p95", "between tokens p95", unitMillis, fewer, false, func(s *Summary, _ bool) *float64 { return &s.TBT.P95 }},
		{"tbt_ms.p99", "between tokens p99", unitMillis, fewer, true, func(s *Summary, _ bool) *float64 { return &s.TBT.P99 }},
		{"e2e_ms.p50", "response p50", unitMillis, fewer, true, func(s *Summary, _ bool) *float64 { return &s.E2E.P50 }},
		{"e2e_ms.p95", "response p95", unitMillis, fewer, true, func(s *Summary, _ bool) *float64 { return &s.E2E.P95 }},
		{"e2e_ms.p99", "response p99", unitMillis, fewer, true, func(s *Summary, _ bool) *float64 { return &s.E2E.P99 }},
		{"call_e2e_ms.p50", "call with retries p50", unitMillis, fewer, false, func(s *Summary, _ bool) *float64 { return &s.CallE2E.P50 }},
		{"call_e2e_ms.p95", "call with retries p95", unitMillis, fewer, false, func(s *Summary, _ bool) *float64 { return &s.CallE2E.P95 }},
		{"call_e2e_ms.p99", "call with retries p99", unitMillis, fewer, true, func(s *Summary, _ bool) *float64 { return &s.CallE2E.P99 }},
	}},
	{"Capacity and cost", []figure{
		{"ptu_utilization", "PTU busy, mean", unitWhole, neutral, true, func(s *Summary, make bool) *float64 { return optional(&s.PTUUtilization, make) }},
		{"ptu_utilization_max", "PTU busy, peak", unitWhole, neutral, false, func(s *Summary, make bool) *float64 { return optional(&s.PTUUtilizationMax, make) }},
		{"ptu_meter_p95", "PTU meter p95", unitWhole, neutral, true, func(s *Summary, make bool) *float64 { return optional(&s.PTUMeterP95, make) }},
		{"spilled_rate", "spilled calls", unitShare, neutral, true, func(s *Summary, _ bool) *float64 { return &s.SpilledRate }},
		{"cost_usd_per_1k", "USD per 1,000 calls", unitUSD, fewer, true, func(s *Summary, make bool) *float64 { return optional(&s.CostUSDPer1K, make) }},
		{"cost_usd_per_1k_good", "USD per 1,000 good", unitUSD, fewer, true, func(s *Summary, make bool) *float64 { return optional(&s.CostUSDPer1KGood, make) }},
	}},
}
