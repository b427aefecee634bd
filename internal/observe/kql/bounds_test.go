package kql

import (
	"testing"
	"time"
)

// TestBounds has the times of the rows that each query depends on.
func TestBounds(t *testing.T) {
	const day = "2006-01-02 15:04:05.999999"
	for _, tt := range []struct{ query, from, to string }{
		{"requests", "", ""},
		{"print 1", "", ""},
		{"requests | where time > ago(1h)", "2026-11-22 11:00:00", ""},
		{"requests | where ['time'] >= ago(1h) and status == 429", "2026-11-22 11:00:00", ""},
		{"requests | where status == 429 and (stream or time > ago(1h))", "", ""},
		{"requests | where not(time > ago(1h))", "", ""},
		{"requests | where status == 429 | where time > ago(1h) | where time < now()", "2026-11-22 11:00:00", "2026-11-22 12:00:00.000001"},
		{"requests | where datetime(2026-11-20) <= time and ago(1d) > time", "2026-11-20 00:00:00", "2026-11-21 12:00:00.000001"},
		{"requests | where time == datetime(2026-11-20)", "2026-11-20 00:00:00", "2026-11-20 00:00:00.000001"},
		{"requests | where time between (datetime(2026-11-20) .. 1d)", "2026-11-20 00:00:00", "2026-11-21 00:00:00.000001"},
		{"requests | where time between (datetime(2026-11-20) .. datetime(2026-11-21))", "2026-11-20 00:00:00", "2026-11-21 00:00:00.000001"},
		{"requests | where time !between (datetime(2026-11-20) .. 1d)", "", ""},
		{"let since = ago(2 * 1h) - 1h; requests | where time > since", "", ""}, // 2 * 1h is not spelt out
		{"let since = ago(2h) - 1h; requests | where time > since", "2026-11-22 09:00:00", ""},
		{"requests | extend time = ago(1h) | where time > ago(1h)", "", ""},
		{"requests | take 5 | where time > ago(1h)", "", ""},
		{"requests | where time > ago(1h) | join kind=inner (requests | where time > ago(2h)) on id", "2026-11-22 10:00:00", ""},
		{"requests | where time > ago(1h) | join kind=inner (requests) on id", "", ""},
		{"requests | where time > ago(1h) | join kind=leftouter (attempts) on $left.id == $right.request_id", "", ""},
		{"let n = toscalar(requests | where time > ago(3h) | count); requests | where time > ago(1h) | extend n", "2026-11-22 09:00:00", ""},
		{"requests | where time > toscalar(requests | where time > ago(1h) | summarize max(time))", "", ""},
	} {
		q, err := Translate(instant, tt.query, sample())
		if err != nil {
			t.Errorf("%s: %v", tt.query, err)
			continue
		}
		text := func(at time.Time) string {
			if at.IsZero() {
				return ""
			}
			return at.Format(day)
		}
		if from, to := text(q.From), text(q.To); from != tt.from || to != tt.to {
			t.Errorf("%s\nwants %q to %q, want %q to %q", tt.query, from, to, tt.from, tt.to)
		}
	}
}
