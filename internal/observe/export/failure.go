package export

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
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

// refused reports whether the sink would not take the segment as it is: a
// client error that is neither about time (408, 429) nor about who asks (401,
// 403), nor about a place that is not there yet (404).
func refused(err error) bool {
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

// maxWhatBytes bounds what is read of an error's body, maxWhatRunes what is
// told of it.
const (
	maxWhatBytes = 16 << 10
	maxWhatRunes = 600
)

// failureOf reads an answer that is not a success. The body stays the caller's
// to close.
func failureOf(r *http.Response) *Failure {
	body, _ := io.ReadAll(io.LimitReader(r.Body, maxWhatBytes)) // what is there is enough
	return &Failure{Status: r.StatusCode, RetryAfter: readRetryAfter(r.Header), What: line(string(body))}
}

// readRetryAfter reads the header in seconds; a date is not asked for by any
// of the sinks.
func readRetryAfter(h http.Header) time.Duration {
	for _, name := range []struct {
		header string
		unit   time.Duration
	}{{"Retry-After-Ms", time.Millisecond}, {"X-Ms-Retry-After-Ms", time.Millisecond}, {"Retry-After", time.Second}} {
		if n, err := strconv.Atoi(h.Get(name.header)); err == nil && n > 0 {
			return time.Duration(n) * name.unit
		}
	}
	return 0
}

// line is a text as one short line without control characters.
func line(s string) string {
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
	if runes := []rune(s); len(runes) > maxWhatRunes {
		return string(runes[:maxWhatRunes]) + "…"
	}
	return s
}
