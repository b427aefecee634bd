package sink

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/spillway-ai/spillway/internal/observe/export"
)

// maxWhatBytes bounds what is read of an error's body, maxWhatRunes what is
// told of it.
const (
	maxWhatBytes = 16 << 10
	maxWhatRunes = 600
)

// failureOf reads an answer that is not a success. The body stays the caller's
// to close.
func failureOf(r *http.Response) *export.Failure {
	body, _ := io.ReadAll(io.LimitReader(r.Body, maxWhatBytes)) // what is there is enough
	return &export.Failure{Status: r.StatusCode, RetryAfter: readRetryAfter(r.Header), What: line(string(body))}
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
