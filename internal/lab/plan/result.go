package plan

// Plan is what to buy, and why. Its JSON is stable and documented in
// docs/PLAN.md. Shares are 0–1; a month's cost is in USD.
type Plan struct {
	Met      bool     `json:"met"`     // something meets the service level
	Sentence string   `json:"summary"` // the recommendation
	Model    string   `json:"model"`
	Scope    string   `json:"scope"` // global, data-zone or regional
	SLO      string   `json:"slo"`
	Policy   string   `json:"policy"`
	Purchase Purchase `json:"purchase"` // what the recommendation is cheapest by

	// Recommended is the cheapest option; nil when none meets the level.
	Recommended *Option `json:"recommended,omitempty"`
	// Alone is the fewest PTUs without standard deployments; nil when no
	// number meets the level, for which Reasons says why.
	Alone    *Option  `json:"alone,omitempty"`
	Reasons  []string `json:"reasons,omitempty"`
	NoPolicy NoPolicy `json:"no_policy"`
	Saving   *Saving  `json:"saving,omitempty"`

	// Frontier is the options from standard alone to PTUs alone; Cheapest has
	// the size of the cheapest by each way of buying.
	Frontier []Option         `json:"frontier"`
	Cheapest map[Purchase]int `json:"cheapest"`

	DepthSeconds float64 `json:"depth_seconds"` // at which the plan holds
	Depths       []Depth `json:"depths,omitempty"`
	Seeds        int     `json:"seeds"`

	Workload  Workload `json:"workload"`
	Sold      Sold     `json:"sold"`
	Standards int      `json:"standard_deployments"`
	Prices    Figures  `json:"prices"`
	// TokenMS is the assumed mean time between tokens: on PTUs at 65% load,
	// and on the first standard deployment; 0 without one.
	TokenMS         float64 `json:"ptu_token_ms"`
	StandardTokenMS float64 `json:"standard_token_ms"`
	Simulations     int     `json:"simulations"`
}

// Option is one candidate. Rates are means over seeds, conditions the worst.
type Option struct {
	PTU      int  `json:"ptu"`
	Spill    bool `json:"spill"` // standard deployments take what is too much
	Met      bool `json:"met"`   // with every seed
	SeedsMet int  `json:"seeds_met"`
	Seeds    int  `json:"seeds"`
	// USD is a month's cost by how the PTUs are bought, standard tokens
	// included; nil when their price is not known.
	USD         *Monthly `json:"usd_per_month,omitempty"`
	StandardUSD float64  `json:"standard_usd_per_month"`

	Rate408    float64           `json:"rate_408"`
	Rate429    float64           `json:"rate_429"`
	Truncated  float64           `json:"truncated_rate"`
	Errors     float64           `json:"error_rate"`
	Attainment float64           `json:"attainment"`
	Spilled    float64           `json:"spilled_rate"`
	E2EP99     float64           `json:"e2e_p99_ms"`
	Work       float64           `json:"ptu_utilization"` // tokens charged over capacity; 0 without PTUs
	Conditions []ConditionResult `json:"limbs"`
}

// NoPolicy is the fewest PTUs when clients call the deployment themselves.
type NoPolicy struct {
	// Option is nil when no size meets even what is left of the level.
	Option *Option `json:"option,omitempty"`
	// Aside are the conditions that no size meets, with what the largest reaches,
	// and Reasons why. Option is without them.
	Aside   []ConditionResult `json:"aside,omitempty"`
	Reasons []string          `json:"reasons,omitempty"`
}

// Saving is against NoPolicy's option, which may be allowed to miss conditions.
// USD are of a month, by the plan's way of buying.
type Saving struct {
	// PTU and USD are of PTUs alone; 0 where none meet the level.
	PTU int     `json:"ptu"`
	USD float64 `json:"usd_per_month"`
	// RecommendedUSD is of the recommended option.
	RecommendedUSD float64 `json:"recommended_usd_per_month"`
}

// Depth is the recommended option at a depth of the meter.
type Depth struct {
	Seconds  float64 `json:"seconds"`
	Option   Option  `json:"option"`
	AlonePTU int     `json:"alone_ptu,omitempty"` // the fewest PTUs alone; 0 for none
}

// Workload is what was planned for.
type Workload struct {
	Calls       int     `json:"calls"`
	SpanSeconds float64 `json:"span_seconds"`
	RPS         float64 `json:"rps"`
	InputMean   float64 `json:"input_tokens_mean"`
	OutputMean  float64 `json:"output_tokens_mean"` // within the clients' limits
	// FluidPTU is what the work would keep busy if it came evenly.
	FluidPTU float64 `json:"fluid_ptu"`
	// The simulated part, of the first seed.
	SampleFrom     float64 `json:"sample_from_seconds"`
	SampleSeconds  float64 `json:"sample_seconds"`
	SampleCalls    int     `json:"sample_calls"`
	SampleFluidPTU float64 `json:"sample_fluid_ptu"`
	HoursPerMonth  float64 `json:"hours_per_month"`
}

// Sold is the sizes in which PTUs are sold.
type Sold struct {
	Min  int `json:"min"`
	Step int `json:"step"`
}

// Figures are the prices, in USD; tokens by the million, 0 where unknown.
type Figures struct {
	PTUHour  float64 `json:"ptu_hour"`
	PTUMonth float64 `json:"ptu_month"`
	PTUYear  float64 `json:"ptu_year"`
	Input    float64 `json:"input"`
	Cached   float64 `json:"cached"`
	Output   float64 `json:"output"`
}
