package spillway

// Scope is where a deployment may process its requests, which decides its
// price.
type Scope uint8

// The scopes.
const (
	Global Scope = iota
	DataZone
	Regional
)

var scopeNames = [...]string{"global", "data-zone", "regional"}

// String returns the name used in configuration and reports.
func (s Scope) String() string { return name(scopeNames[:], uint8(s)) }

// tokensPerPrice is the number of tokens that a TokenPrice is for.
const tokensPerPrice = 1_000_000

// TokenPrice is what a standard deployment charges, in USD per million tokens.
type TokenPrice struct {
	Input  float64 // prompt tokens that were not cached
	Cached float64 // prompt tokens that were read from the cache
	Output float64 // completion tokens, hidden ones included
	// CacheWrite is for prompt tokens that were written to the cache; 0 means as Input.
	CacheWrite float64
	// Flex and Priority are what a token costs at these service tiers, as a multiple of
	// what it costs at the default one; 0 is unknown.
	Flex, Priority float64
}

// Known reports whether the price of a token is known.
func (p TokenPrice) Known() bool { return p.Input != 0 || p.Output != 0 }

// AtServiceTier returns the price at a service tier; false where it is unknown.
func (p TokenPrice) AtServiceTier(tier string) (TokenPrice, bool) {
	factor := 0.0
	switch tier {
	case "", "auto", "default", "standard", "on_demand":
		factor = 1
	case "flex":
		factor = p.Flex
	case "priority":
		factor = p.Priority
	}
	if factor == 0 || !p.Known() {
		return TokenPrice{}, false
	}
	p.Input, p.Cached, p.CacheWrite, p.Output = p.Input*factor, p.Cached*factor, p.CacheWrite*factor, p.Output*factor
	return p, true
}

// TokenCount is an amount of tokens. Cached and CacheWrite are parts of the prompt that
// have no token in common.
type TokenCount struct{ Prompt, Cached, CacheWrite, Completion int64 }

// Cost returns the price of an amount of tokens in USD.
func (p TokenPrice) Cost(n TokenCount) float64 {
	cached := min(max(n.Cached, 0), n.Prompt)
	written := min(max(n.CacheWrite, 0), n.Prompt-cached)
	if p.CacheWrite == 0 {
		written = 0
	}
	return (float64(n.Prompt-cached-written)*p.Input + float64(cached)*p.Cached +
		float64(written)*p.CacheWrite + float64(n.Completion)*p.Output) / tokensPerPrice
}

// BilledTier is the service tier whose price an attempt has: the one that its response
// names, else the one that the request asks for.
func (r *Record) BilledTier(a *Attempt) string {
	if a.ServiceTier == "" {
		return r.ServiceTier
	}
	return a.ServiceTier
}

// Cost is what the request's attempts cost by the token, in USD; false where
// the price of one is unknown.
func (r *Record) Cost() (usd float64, known bool) {
	for i := range r.Attempts {
		if r.Attempts[i].CostUSD < 0 {
			return 0, false
		}
		usd += r.Attempts[i].CostUSD
	}
	return usd, true
}
