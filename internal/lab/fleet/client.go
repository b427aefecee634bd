package fleet

import (
	"math/rand/v2"
	"time"
)

// Client is how a client's SDK behaves. The zero value neither retries nor
// loses patience; OpenAISDK is what most clients are.
type Client struct {
	// Retries is how often a call is tried again.
	Retries int
	// BaseDelay doubles with every retry, up to MaxDelay; 0 takes 0.5 s and 8 s.
	BaseDelay, MaxDelay time.Duration
	// Jitter is by how much of itself a delay may be shorter, 0–1.
	Jitter float64
	// Timeout is how long one try may take; 0 is for ever.
	Timeout time.Duration
	// IgnoresHints says that x-should-retry: false does not end the retries, as in
	// clients other than OpenAI's SDKs.
	IgnoresHints bool
}

// maxHonored is the longest wait of a server that SDKs honor.
const maxHonored = time.Minute

// OpenAISDK is the behavior of the OpenAI SDKs for Python, Node and Go as they
// come: two retries after 0.5 s and 1 s, up to a quarter shorter, or after what
// the server says when that is at most a minute; ten minutes of patience.
func OpenAISDK() Client {
	return Client{Retries: 2, BaseDelay: 500 * time.Millisecond, MaxDelay: 8 * time.Second, Jitter: 0.25, Timeout: 10 * time.Minute}
}

// Retry reports whether the client tries again after its try number tries
// (1-based) ended with that status, 0 for none at all, and after which wait.
// retryAfter is what the server asked for; not positive for nothing.
func (c *Client) Retry(tries, status int, retryAfter time.Duration, rng *rand.Rand) (wait time.Duration, again bool) {
	if tries > c.Retries || !retryable(status) {
		return 0, false
	}
	if retryAfter > 0 && retryAfter <= maxHonored {
		return retryAfter, true
	}
	base, most := c.BaseDelay, c.MaxDelay
	orDuration(&base, 500*time.Millisecond)
	orDuration(&most, 8*time.Second)
	wait = most
	if shift := tries - 1; shift < 16 {
		wait = min(base<<shift, most)
	}
	if c.Jitter > 0 {
		wait -= time.Duration(rng.Float64() * c.Jitter * float64(wait))
	}
	return wait, true
}

// retryable reports whether SDKs retry after a status.
func retryable(status int) bool {
	return status == 0 || status == 408 || status == 409 || status == 429 || status >= 500
}
