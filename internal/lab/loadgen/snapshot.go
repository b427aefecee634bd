package loadgen

import (
	"fmt"
	"strings"
	"time"
)

// Snapshot is a run in progress.
type Snapshot struct {
	Elapsed                     time.Duration
	Offered, InFlight           int
	Complete, Truncated         int
	Throttled, TimedOut, Errors int // Errors has every other error
	Retries                     int
	TTFTP50, TTFTP99            time.Duration // from intended start
	E2EP50, E2EP99, LatenessP99 time.Duration
}

// Snapshot returns how the run stands.
func (r *Runner) Snapshot() Snapshot {
	t := r.tally
	t.mu.Lock()
	defer t.mu.Unlock()
	by := &t.total.by
	at := func(of timings, percentile float64) time.Duration {
		return time.Duration(of.h.ValueAtPercentile(percentile)) * time.Microsecond
	}
	return Snapshot{
		Elapsed: time.Since(t.began), Offered: t.total.offered, InFlight: t.inFlight,
		Complete: by[complete], Truncated: by[truncated], Throttled: by[throttled], TimedOut: by[timedOut],
		Errors: by[failed] + by[broken] + by[gaveUp], Retries: t.retries,
		TTFTP50: at(t.total.ttft, 50), TTFTP99: at(t.total.ttft, 99),
		E2EP50: at(t.total.e2e, 50), E2EP99: at(t.total.e2e, 99), LatenessP99: at(t.lateness, 99),
	}
}

// String returns the snapshot as one line for people.
func (s Snapshot) String() string {
	var line strings.Builder
	fmt.Fprintf(&line, "%5.0fs  sent %d  in flight %d  complete %d", s.Elapsed.Seconds(), s.Offered, s.InFlight, s.Complete)
	for _, part := range [...]struct {
		name  string
		count int
	}{{"truncated", s.Truncated}, {"429", s.Throttled}, {"408", s.TimedOut}, {"errors", s.Errors}, {"retries", s.Retries}} {
		if part.count > 0 {
			fmt.Fprintf(&line, "  %s %d", part.name, part.count)
		}
	}
	if s.TTFTP99 > 0 {
		fmt.Fprintf(&line, "  TTFT %s/%s", readable(s.TTFTP50), readable(s.TTFTP99))
	}
	if s.E2EP99 > 0 {
		fmt.Fprintf(&line, "  E2E %s/%s", readable(s.E2EP50), readable(s.E2EP99))
	}
	if s.LatenessP99 > lateAfter {
		fmt.Fprintf(&line, "  late by %s", readable(s.LatenessP99))
	}
	return line.String()
}

// readable returns d to three digits.
func readable(d time.Duration) string { return milliseconds(float64(d) / float64(time.Millisecond)) }

// milliseconds words a time in milliseconds to about three digits.
func milliseconds(ms float64) string {
	switch {
	case ms >= 100_000:
		return fmt.Sprintf("%.0fs", ms/1000)
	case ms >= 1000:
		return fmt.Sprintf("%.3gs", ms/1000)
	case ms >= 100:
		return fmt.Sprintf("%.0fms", ms)
	case ms > 0:
		return fmt.Sprintf("%.3gms", ms)
	}
	return "0"
}
