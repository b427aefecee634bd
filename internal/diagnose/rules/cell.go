package rules

// parts divides a bucket of time, to see bursts: of a minute they are ten
// seconds.
const parts = 6

// cell is what one deployment did in one bucket of time. Counts are attempts,
// by the time that they were sent.
type cell struct {
	at int64 // bucket number

	tries, ok, refused, timedOut, broken float64
	// Requests that were refused or failed without an attempt, and those that
	// waited long, count at the pool's first deployment.
	unsent, unsentBroken, waited float64
	skipped                      float64 // sent elsewhere because the deployment is broken
	lost                         float64 // requests whose client got no whole response, at the pool's first deployment

	work     float64 // input-token equivalents of responses
	tokens   float64 // prompt and output tokens used
	reserved float64 // prompt and output tokens that were reserved
	excess   float64 // reserved and not used, times the seconds that it was held
	admitted float64 // responses that these three are of
	asked    float64 // of them, those whose reservation is known
	guessed  float64 // of those, the ones without a limit: what the service reserves is assumed
	counted  float64 // of them, those whose tokens are known
	out      float64 // output tokens

	took   logMean // ms of the whole
	pace   logMean // ms between tokens
	first  logMean // ms to the first token
	prompt line    // ms to the first token on tokens of prompt not cached
	length line    // ms of the whole on tokens of output
	whole  plane   // ms of the whole on tokens of prompt not cached and of output, where the first token's time is unknown

	util             float64 // sum
	utilN            float64
	utilMax          float64 // of the highest values within the samples' times
	metric           float64 // sum of the service's own metric: the work done, without reservations
	metricN          float64
	cached, cachable float64 // prompt tokens of prompts of 1,024 and more
	longPrompts      float64 // number of those prompts

	// What ran out of time, but for waiting: with a long window and a short
	// one, or silent. Left are those whose client left after shortWindow or more.
	late, lateShort, lateSilent, left float64

	parts [parts]part

	outage bool // an outage explains what happened
	slow   bool // decoding is slow here
}

// part is a sixth of a bucket.
type part struct{ first, tries, ok, refused float64 }

// pressure is how many requests met want of capacity, and of how many.
func (c *cell) pressure() (met, all float64) {
	return c.refused + c.unsent + c.waited, c.tries + c.unsent
}

// reservationsKnown reports whether what was reserved, and what was used of it,
// is known, and not assumed.
func (c *cell) reservationsKnown() bool {
	return c.admitted > 0 && c.asked-c.guessed >= 0.5*c.admitted && c.tokensKnown()
}

func (c *cell) tokensKnown() bool { return c.counted >= 0.5*c.admitted }

// share is a/b, or 0.
func share(a, b float64) float64 {
	if b <= 0 {
		return 0
	}
	return a / b
}
