package capacity

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/spillway-ai/spillway"
)

func standard(tpm, rpm int) spillway.Deployment {
	return spillway.Deployment{Kind: spillway.Standard, TPM: tpm, RPM: rpm}
}

func TestStandardTokens(t *testing.T) {
	m := NewMeter(standard(10_000, 0))
	a := m.Reserve(epoch, Demand{Cost: Cost{Prompt: 2_000, Cached: 1_000, Output: 3_000}, Tier: ""}) // cached counts
	level(t, m, epoch, 0.5)
	level(t, m, at(59*time.Second), 0.5) // does not drain
	b := m.Reserve(at(30*time.Second), Demand{Cost: Cost{Prompt: 1_000}, Tier: ""})
	level(t, m, at(30*time.Second), 0.6)
	m.Release(at(31*time.Second), b)
	level(t, m, at(31*time.Second), 0.5)
	m.Settle(at(40*time.Second), a, Cost{Prompt: 2_000, Output: 100})
	level(t, m, at(40*time.Second), 0.5) // an estimate counts until the minute ends
	c := m.Reserve(at(40*time.Second), Demand{Cost: Cost{Prompt: 1_000}, Tier: ""})
	m.Settle(at(41*time.Second), c, Cost{Prompt: 1_000, Output: 1_000})
	level(t, m, at(41*time.Second), 0.7) // what was used beyond it counts at once
	level(t, m, at(time.Minute), 0)

	// The next minute starts with its first request, and is not touched by
	// what was reserved in the last.
	d := m.Reserve(at(90*time.Second), Demand{Cost: Cost{Prompt: 4_000}, Tier: ""})
	level(t, m, at(149*time.Second), 0.4)
	level(t, m, at(150*time.Second), 0)
	m.Reserve(at(160*time.Second), Demand{Cost: Cost{Prompt: 1_000}, Tier: ""})
	m.Release(at(161*time.Second), d)
	level(t, m, at(161*time.Second), 0.1)
}

func TestStandardRequests(t *testing.T) {
	for _, tc := range []struct {
		name     string
		rpm      int
		requests int
		want     float64
		ends     time.Duration
	}{
		{"per second from 600", 600, 5, 0.5, time.Second},
		{"per ten seconds below", 120, 5, 0.25, 10 * time.Second},
		{"at least one", 1, 1, 1, 10 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := NewMeter(standard(0, tc.rpm))
			for range tc.requests {
				m.Release(epoch, m.Reserve(epoch, Demand{Cost: Cost{Prompt: 9}, Tier: ""})) // refused ones count too
			}
			level(t, m, epoch, tc.want)
			level(t, m, at(tc.ends-1), tc.want)
			if got := m.ReadyAt(epoch, tc.want); !got.Equal(at(tc.ends)) {
				t.Errorf("ReadyAt = %v, want %v", got.Sub(epoch), tc.ends)
			}
			level(t, m, at(tc.ends), 0)
		})
	}
}

func TestStandardReadyAt(t *testing.T) {
	m := NewMeter(standard(10_000, 600))
	m.Reserve(epoch, Demand{Cost: Cost{Prompt: 10_000}, Tier: ""})
	for _, tc := range []struct {
		limit float64
		want  time.Duration
	}{
		{1.1, 0},
		{1, time.Minute},
		{0.05, time.Minute},
	} {
		if got := m.ReadyAt(epoch, tc.limit); !got.Equal(at(tc.want)) {
			t.Errorf("ReadyAt(%v) = %v, want %v", tc.limit, got.Sub(epoch), tc.want)
		}
	}
}

func TestStandardCalibrate(t *testing.T) {
	signals := func(limit, tokens, requests int) spillway.Signals {
		return spillway.Signals{Utilization: -1, LimitTokens: limit, RemainingTokens: tokens, RemainingRequests: requests}
	}
	for _, tc := range []struct {
		name string
		tpm  int
		s    spillway.Signals
		want float64
	}{
		{"nothing said", 10_000, signals(-1, -1, -1), 0.2},
		{"the same", 10_000, signals(10_000, 8_000, 599), 0.2},
		{"limit lowered", 10_000, signals(4_000, -1, -1), 0.5},
		{"limit above the configured", 10_000, signals(40_000, -1, -1), 0.2},
		{"more is used than we know", 10_000, signals(10_000, 3_000, 599), 0.7},
		{"less is used: gently", 10_000, signals(10_000, 10_000, 600), 0.1},
		{"limit that nobody configured", 0, signals(20_000, -1, -1), 0.1},
		{"no requests remain", 10_000, signals(-1, -1, 0), 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := NewMeter(standard(tc.tpm, 6000))
			m.Reserve(epoch, Demand{Cost: Cost{Prompt: 2_000}, Tier: ""})
			m.Calibrate(epoch, tc.s)
			level(t, m, epoch, tc.want)
		})
	}

	m := NewMeter(standard(10_000, 0))
	m.Calibrate(epoch, signals(10_000, 2_000, -1)) // others use it before we do
	level(t, m, at(59*time.Second), 0.8)
	level(t, m, at(time.Minute), 0)
	m.Calibrate(at(time.Minute), signals(5_000, -1, -1))
	m.Calibrate(at(2*time.Minute), signals(10_000, -1, -1)) // the limit is restored
	m.Reserve(at(2*time.Minute), Demand{Cost: Cost{Prompt: 5_000}, Tier: ""})
	level(t, m, at(2*time.Minute), 0.5)
}

// TestStandardRefused: a wait beyond the request period says when the minute ends.
// What is left of the minute stays as it was.
func TestStandardRefused(t *testing.T) {
	for _, tc := range []struct {
		name       string
		retryAfter time.Duration
		ends       time.Duration // of the minute
	}{
		{"the minute ends with the wait", 42 * time.Second, 42 * time.Second},
		{"a wait within the request period", 400 * time.Millisecond, time.Minute},
		{"a wait of the request period", 10 * time.Second, time.Minute},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := NewMeter(standard(10_000, 120))
			m.Reserve(epoch, Demand{Cost: Cost{Prompt: 5_000}, Tier: ""})
			r := m.Reserve(epoch, Demand{Cost: Cost{Prompt: 1_000}, Tier: ""})
			m.Refused(epoch, tc.retryAfter, r)
			m.Release(epoch, r)
			level(t, m, at(tc.ends-1), 0.5)
			level(t, m, at(tc.ends), 0)
		})
	}
}

// TestStandardReadyAtIsReady: at ReadyAt the level is below the limit.
func TestStandardReadyAtIsReady(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := NewMeter(standard(rapid.IntRange(0, 50_000).Draw(t, "tpm"), rapid.IntRange(0, 1200).Draw(t, "rpm")))
		now := epoch
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 5000).Draw(t, "ms")) * time.Millisecond)
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0:
				m.Refused(now, time.Duration(rapid.IntRange(1, 60_000).Draw(t, "retry after"))*time.Millisecond, Reservation{})
			case 1:
				s := spillway.NoSignals()
				s.RemainingTokens = rapid.IntRange(-1, 60_000).Draw(t, "remaining tokens")
				s.RemainingRequests = rapid.IntRange(-1, 10).Draw(t, "remaining requests")
				m.Calibrate(now, s)
			default:
				r := m.Reserve(now, Demand{Cost: Cost{Prompt: rapid.IntRange(0, 9000).Draw(t, "prompt")}, Tier: ""})
				m.Settle(now, r, Cost{})
			}
			if m.Outstanding() != 0 {
				t.Fatalf("Outstanding = %v, want 0", m.Outstanding())
			}
			limit := rapid.Float64Range(0.1, 1).Draw(t, "limit")
			if ready := m.ReadyAt(now, limit); ready.After(now) {
				copied := *m
				if got := copied.Level(ready); got >= limit {
					t.Fatalf("ready in %v, but the level is %v, not below %v", ready.Sub(now), got, limit)
				}
				if ready.Sub(now) > time.Minute {
					t.Fatalf("ready in %v, want a minute at most", ready.Sub(now))
				}
			}
		}
	})
}

// A limit that a header reports is not believed when no such quota exists, nor for long
// without another report, and refuses no request as too large until it is sure.
func TestReportedLimits(t *testing.T) {
	m := NewMeter(standard(0, 0))
	report := func(s float64, limit int) {
		signals := spillway.NoSignals()
		signals.LimitTokens = limit
		m.Calibrate(epoch.Add(time.Duration(s*float64(time.Second))), signals)
	}
	large := Cost{Prompt: 5000}
	report(0, 1)
	if m.Reserve(epoch, Demand{Cost: large}); m.Level(epoch) != 0 {
		t.Errorf("level %v with a limit of 1 token", m.Level(epoch))
	}
	report(1, 2000)
	if !m.Fits(large) {
		t.Error("one report makes a request too large for ever")
	}
	report(2, 2000)
	report(3, 2000)
	if m.Fits(large) || m.MaxTokens() != 2000 {
		t.Errorf("the limit is %d after three reports, want 2000", m.MaxTokens())
	}
	if now := epoch.Add(4 * time.Minute); m.Level(now) != 0 || !m.Fits(large) {
		t.Error("a limit counts for minutes without a report")
	}
}
