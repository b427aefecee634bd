package report

import (
	"math"
	"slices"
)

// Summary is how one policy did. Its JSON is stable and documented in
// docs/SIMULATE.md; a member without data is absent. Rates and shares are 0–1.
type Summary struct {
	Name string `json:"name"`

	Rate408       float64 `json:"rate_408"`       // of tries
	Rate429       float64 `json:"rate_429"`       // of tries
	CompleteRate  float64 `json:"complete_rate"`  // of ended calls; the next two are the others
	TruncatedRate float64 `json:"truncated_rate"` // of ended calls
	ErrorRate     float64 `json:"error_rate"`     // of ended calls

	Offered     int64    `json:"offered"` // calls
	OfferedRPS  float64  `json:"offered_rps"`
	GoodputRPS  float64  `json:"goodput_rps"`
	Attainment  float64  `json:"attainment"`             // of offered calls
	OracleRatio *float64 `json:"oracle_ratio,omitempty"` // nil: not computed

	// Tokens are of all tries of a call, per ended call.
	CompletionTokensPerRequest float64 `json:"completion_tokens_per_request"`
	UsefulTokensPerRequest     float64 `json:"useful_tokens_per_request"`
	RetriesPerCall             float64 `json:"retries_per_call"`
	SpilledRate                float64 `json:"spilled_rate"` // of ended calls

	// Of provisioned capacity: 1 is all of it; nil without any.
	PTUUtilization    *float64 `json:"ptu_utilization,omitempty"`
	PTUUtilizationMax *float64 `json:"ptu_utilization_max,omitempty"`
	PTUMeterP95       *float64 `json:"ptu_meter_p95,omitempty"`

	// Cost is nil when a model has no known price.
	CostUSDPer1K     *float64 `json:"cost_usd_per_1k,omitempty"`      // ended calls
	CostUSDPer1KGood *float64 `json:"cost_usd_per_1k_good,omitempty"` // calls of the goodput
	UnpricedModels   []string `json:"unpriced_models,omitempty"`

	// TTFT and TBT are of answered tries; E2E is of those and of timeouts;
	// CallE2E is of ended calls with all their tries and the waits between.
	TTFT    Percentiles `json:"ttft_ms,omitzero"`
	TBT     Percentiles `json:"tbt_ms,omitzero"`
	E2E     Percentiles `json:"e2e_ms,omitzero"`
	CallE2E Percentiles `json:"call_e2e_ms,omitzero"`

	Statuses map[string]float64 `json:"statuses"` // share of tries by status; "none" without one
	Outcomes map[string]float64 `json:"outcomes"` // share of ended calls by outcome

	Calls       int64   `json:"calls"`    // that ended
	Requests    int64   `json:"requests"` // tries
	Seed        uint64  `json:"seed"`     // the first, of several
	Seeds       int     `json:"seeds"`
	WallSeconds float64 `json:"wall_seconds"`

	// Bands holds, of several seeds, each figure's spread by its member's
	// name; a percentile's is like "ttft_ms.p99".
	Bands map[string]Band `json:"bands,omitempty"`
}

// Percentiles is a distribution in milliseconds. The zero value has no data.
type Percentiles struct {
	P50 float64 `json:"p50"`
	P95 float64 `json:"p95"`
	P99 float64 `json:"p99"`
}

// Band is a figure's spread over seeds.
type Band struct {
	Mean float64 `json:"mean"`
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// MergeSeeds returns the figures of one policy over several seeds: each is the
// mean of those that have it, counts too, so that they stay comparable with
// those of one seed. Bands has the spread. One summary is returned as it is.
func MergeSeeds(seeds ...Summary) Summary {
	if len(seeds) == 0 {
		return Summary{}
	}
	if len(seeds) == 1 {
		return seeds[0]
	}
	first := seeds[0]
	merged := Summary{
		Name: first.Name, Seed: first.Seed, Seeds: len(seeds),
		Bands:    make(map[string]Band),
		Statuses: make(map[string]float64), Outcomes: make(map[string]float64),
	}
	n := float64(len(seeds))
	var offered, calls, requests float64
	for _, s := range seeds {
		merged.UnpricedModels = append(merged.UnpricedModels, s.UnpricedModels...)
		offered += float64(s.Offered) / n
		calls += float64(s.Calls) / n
		requests += float64(s.Requests) / n
		merged.WallSeconds += s.WallSeconds / n
		addShares(merged.Statuses, s.Statuses, n)
		addShares(merged.Outcomes, s.Outcomes, n)
	}
	merged.Offered = int64(math.Round(offered))
	merged.Calls = int64(math.Round(calls))
	merged.Requests = int64(math.Round(requests))
	for _, g := range groups {
		for _, f := range g.figures {
			if b, ok := bandOf(f, seeds); ok {
				merged.Bands[f.key] = b
				*f.at(&merged, true) = b.Mean
			}
		}
	}
	merged.dropUnpriced()
	return merged
}

// addShares adds the n-th part of each share.
func addShares(to, from map[string]float64, n float64) {
	for k, v := range from {
		to[k] += v / n
	}
}

// dropUnpriced removes costs that leave a model out.
func (s *Summary) dropUnpriced() {
	if len(s.UnpricedModels) == 0 {
		return
	}
	slices.Sort(s.UnpricedModels)
	s.UnpricedModels = slices.Compact(s.UnpricedModels)
	s.CostUSDPer1K, s.CostUSDPer1KGood = nil, nil
	delete(s.Bands, "cost_usd_per_1k")
	delete(s.Bands, "cost_usd_per_1k_good")
}

// bandOf returns a figure's spread over the seeds that have it.
func bandOf(f figure, seeds []Summary) (Band, bool) {
	b := Band{Low: math.Inf(1), High: math.Inf(-1)}
	n, sum := 0.0, 0.0
	for i := range seeds {
		if v, ok := f.value(&seeds[i]); ok {
			n++
			sum += v
			b.Low, b.High = min(b.Low, v), max(b.High, v)
		}
	}
	b.Mean = rounded(sum / max(n, 1))
	return b, n > 0
}

// rounded leaves nine significant digits, so that the mean of equal values is
// that value.
func rounded(v float64) float64 {
	if v == 0 {
		return 0
	}
	unit := math.Pow(10, 9-math.Ceil(math.Log10(math.Abs(v))))
	return math.Round(v*unit) / unit
}
