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
// The zero value is unknown.
type TokenPrice struct {
	Input  float64 // prompt tokens that were not cached
	Cached float64 // prompt tokens that were
	Output float64 // completion tokens, hidden ones included
}

// Cost returns the price of an amount of tokens in USD. The cached ones are a
// part of the prompt.
func (p TokenPrice) Cost(prompt, cached, completion int64) float64 {
	cached = min(max(cached, 0), prompt)
	return (float64(prompt-cached)*p.Input + float64(cached)*p.Cached + float64(completion)*p.Output) / tokensPerPrice
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
