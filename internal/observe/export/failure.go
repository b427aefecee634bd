package export

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Failure is an answer that is not a success.
type Failure struct {
	// Status is the HTTP status.
	Status int
	// RetryAfter is how long the sink asks to be left alone; 0 when it does
	// not say.
	RetryAfter time.Duration
	// What is what the sink says, cut to a line.
	What string
}

// Error returns the status and what the sink says.
func (f *Failure) Error() string {
	if f.What == "" {
		return fmt.Sprintf("status %d", f.Status)
	}
	return fmt.Sprintf("status %d: %s", f.Status, f.What)
}

// Refused reports whether the sink would not take the segment as it is: a
// client error that is neither about time (408, 429) nor about who asks (401,
// 403), nor about a place that is not there yet (404).
func Refused(err error) bool {
	f, ok := errors.AsType[*Failure](err)
	if !ok || f.Status < 400 || f.Status > 499 {
		return false
	}
	switch f.Status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusRequestTimeout, http.StatusTooManyRequests:
		return false
	}
	return true
}

// retryAfter is how long the sink asks to be left alone.
func retryAfter(err error) time.Duration {
	if f, ok := errors.AsType[*Failure](err); ok {
		return f.RetryAfter
	}
	return 0
}
