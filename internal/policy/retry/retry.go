// Package retry classifies failures, computes how long to wait after them, and
// decides whether the retry budget allows another attempt.
//
// Retries and hedges share one budget: 20% of the requests of the last 10 s
// plus 10 per second, after Finagle's RetryBudget. A pool that fails
// every request gets at most 1.2 times its load plus that reserve, and at a low
// rate of requests retries are still possible.
//
// A retry that succeeds gives back its cost and that of another one. So the budget
// limits retries by how many of them fail, and not those that help: when every
// deployment fails 60% of its requests at random, all failed ones are still tried
// elsewhere. Hedges, and retries after a timeout, give nothing back: they use capacity
// twice.
package retry

import (
	"time"

	spillway "github.com/spillway-ai/spillway"
)

// defaultRetryAfter is the wait after a refusal that names none.
const defaultRetryAfter = time.Second

// Bounds of the wait before a hedge.
const (
	MinHedgeDelay = 100 * time.Millisecond
	MaxHedgeDelay = 10 * time.Second
)

// What an attempt costs the budget.
const (
	CostRetry   = 1.0
	CostTimeout = 2.0 // after a 408, whose attempt held capacity for its whole window
)

// ClampRetryAfter bounds a wait that an upstream asked for to between
// spillway.MinRetryAfter and spillway.MaxRetryAfter. A
// negative wait means that the upstream named none, and gives one second.
func ClampRetryAfter(d time.Duration) time.Duration {
	if d < 0 {
		return defaultRetryAfter
	}
	return min(max(d, spillway.MinRetryAfter), spillway.MaxRetryAfter)
}

// HedgeDelay is how long to wait for a first token before a second attempt:
// the quantile of TTFT that hedging starts at, within 0.1–10 s. Without a
// learned quantile (0) it is the upper bound.
func HedgeDelay(ttftQuantile time.Duration) time.Duration {
	if ttftQuantile <= 0 {
		return MaxHedgeDelay
	}
	return min(max(ttftQuantile, MinHedgeDelay), MaxHedgeDelay)
}

// Config is how a pool retries. Zero fields mean those of Defaults.
type Config struct {
	MaxAttempts  int           // of one request, the first included; at most spillway.MaxAttempts
	BaseDelay    time.Duration // before the first retry at the same deployment
	MaxDelay     time.Duration // longest of the waits before retries
	Ratio        float64       // retries per request; negative means none
	MinPerSecond float64       // retries that are always allowed; negative means none
	Window       time.Duration // how long requests add to the budget and retries count against it
}

// Defaults returns the values that zero fields take.
func Defaults() Config {
	return Config{
		MaxAttempts: 4, BaseDelay: 100 * time.Millisecond, MaxDelay: 2 * time.Second,
		Ratio: 0.2, MinPerSecond: 10, Window: 10 * time.Second,
	}
}

// Attempts is the number of attempts that one request may make.
func (c Config) Attempts() int {
	if c.MaxAttempts <= 0 {
		return Defaults().MaxAttempts
	}
	return min(c.MaxAttempts, spillway.MaxAttempts)
}

// Backoff is the wait after failed attempt number attempt (1-based), for rnd
// in [0, 1): base × 2^(attempt−1), at most MaxDelay, of which one half is
// fixed and one half random ("equal jitter"), so that requests that failed
// together are neither repeated at once nor together.
func (c Config) Backoff(attempt int, rnd float64) time.Duration {
	ceiling := c.maxDelay()
	delay := min(c.baseDelay(), ceiling)
	for i := 1; i < attempt && delay < ceiling; i++ {
		delay = min(2*delay, ceiling)
	}
	half := delay / 2
	return half + time.Duration(rnd*float64(delay-half))
}

func (c Config) baseDelay() time.Duration { return orDuration(c.BaseDelay, Defaults().BaseDelay) }
func (c Config) maxDelay() time.Duration  { return orDuration(c.MaxDelay, Defaults().MaxDelay) }
func (c Config) window() time.Duration    { return orDuration(c.Window, Defaults().Window) }
func (c Config) ratio() float64           { return orFloat(c.Ratio, Defaults().Ratio) }
func (c Config) minPerSecond() float64    { return orFloat(c.MinPerSecond, Defaults().MinPerSecond) }

// orDuration is d, or the default where d is not positive.
func orDuration(d, byDefault time.Duration) time.Duration {
	if d <= 0 {
		return byDefault
	}
	return d
}

// orFloat is f, the default where f is zero, and zero where it is negative.
func orFloat(f, byDefault float64) float64 {
	if f == 0 {
		return byDefault
	}
	return max(f, 0)
}
