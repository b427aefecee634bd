package loadgen

import (
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/spillway-ai/spillway/internal/proxy/wire"
)

// The SDKs' waits (openai-python and openai-node, 2.x and 6.x).
const (
	firstWait    = 500 * time.Millisecond
	longestWait  = 8 * time.Second
	longestAsked = 60 * time.Second // a longer retry-after is not followed
	jitter       = 0.25             // most that is taken off a wait of our own
)

// retryable reports whether an SDK would repeat a request that was answered
// so.
func retryable(resp *http.Response) bool {
	switch resp.Header.Get(wire.HeaderShouldRetry) {
	case "true":
		return true
	case "false":
		return false
	}
	switch resp.StatusCode {
	case http.StatusRequestTimeout, http.StatusConflict, http.StatusTooManyRequests:
		return true
	}
	return resp.StatusCode >= http.StatusInternalServerError
}

// backoff returns the wait after a failed attempt, of which the first has
// retry 0. h is that of the response; nil when there was none.
func backoff(h http.Header, retry int, random rand.Source) time.Duration {
	if asked, ok := wire.ParseRetryAfter(h, time.Now()); ok && asked > 0 && asked <= longestAsked {
		return asked
	}
	wait := longestWait
	if retry < 4 {
		wait = firstWait << retry
	}
	return time.Duration(float64(wait) * (1 - jitter*rand.New(random).Float64()))
}
