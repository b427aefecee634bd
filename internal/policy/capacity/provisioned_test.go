package capacity

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/spillway-ai/spillway"
)

var epoch = time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)

func at(d time.Duration) time.Time { return epoch.Add(d) }

// ptu is a deployment that drains 1,000 input tokens per second, with an
// output ratio of 4: 60,000 tokens are 100% at the default depth.
func ptu(depth time.Duration) spillway.Deployment {
	return spillway.Deployment{
		Kind: spillway.Provisioned, PTU: 60, InputTPMPerPTU: 1000, OutputRatio: 4, MeterDepth: depth,
	}
}

func level(t *testing.T, m *Meter, now time.Time, want float64) {
	t.Helper()
	if got := m.Level(now); math.Abs(got-want) > 1e-6 {
		t.Errorf("at %v: Level = %v, want %v", now.Sub(epoch), got, want)
	}
}

func utilization(u float64) spillway.Signals {
	s := spillway.NoSignals()
	s.Utilization = u
	return s
}

// TestExample is the documented example: 25 PTU of gpt-4o-mini drain 15,417
// input-token equivalents per second.
func TestExample(t *testing.T) {
	m := NewMeter(spillway.Deployment{Kind: spillway.Provisioned, Model: "gpt-4o-mini", PTU: 25})
	m.Reserve(epoch, Demand{Cost: Cost{Prompt: 92_500, Output: 208_125}, Tier: ""}) // 925,000 = one minute
	level(t, m, epoch, 1)
	level(t, m, at(30*time.Second), 0.5)
}

func TestProvisioned(t *testing.T) {
	m := NewMeter(ptu(time.Minute))
	level(t, m, epoch, 0)
	a := m.Reserve(epoch, Demand{Cost: Cost{Prompt: 12_000, Cached: 2_000, Output: 5_000}, Tier: ""}) // 10,000 + 20,000
	level(t, m, epoch, 0.5)
	level(t, m, at(6*time.Second), 0.4)
	m.Settle(at(6*time.Second), a, Cost{Prompt: 12_000, Cached: 2_000, Output: 2_000}) // 12,000 less
	level(t, m, at(6*time.Second), 0.2)
	b := m.Reserve(at(6*time.Second), Demand{Cost: Cost{Prompt: 3_000}, Tier: ""})
	level(t, m, at(6*time.Second), 0.25)
	m.Release(at(6*time.Second), b)
	level(t, m, at(6*time.Second), 0.2)
	c := m.Reserve(at(6*time.Second), Demand{Cost: Cost{Output: 500}, Tier: ""})
	m.Settle(at(6*time.Second), c, Cost{Output: 2_000}) // more than reserved
	level(t, m, at(6*time.Second), 0.2+8_000.0/60_000)
	level(t, m, at(5*time.Second), 0.2+8_000.0/60_000) // backwards
	level(t, m, at(time.Minute), 0)
	if got := m.Outstanding(); got != 0 {
		t.Errorf("Outstanding = %v, want 0", got)
	}
}

// TestAskingOftenDrainsTheSame: the parts of a unit that drain between two
// questions are not lost.
func TestAskingOftenDrainsTheSame(t *testing.T) {
	m := NewMeter(ptu(time.Minute))
	m.Reserve(epoch, Demand{Cost: Cost{Prompt: 60_000}, Tier: ""})
	for us := 0; us <= 1_000_000; us++ {
		m.Level(at(time.Duration(us) * 700 * time.Nanosecond)) // 0.7 units each
	}
	level(t, m, at(700*time.Millisecond), 1-0.7/60)
}

func TestUnlimited(t *testing.T) {
	for _, d := range []spillway.Deployment{{Kind: spillway.Provisioned}, {Kind: spillway.Standard}} {
		m := NewMeter(d)
		r := m.Reserve(epoch, Demand{Cost: Cost{Prompt: 1 << 40, Output: 1 << 30}, Tier: ""})
		level(t, m, epoch, 0)
		if got := m.ReadyAt(epoch, 0.97); !got.Equal(epoch) {
			t.Errorf("%v: ReadyAt = %v, want now", d.Kind, got)
		}
		m.Settle(epoch, r, Cost{})
		m.Calibrate(epoch, utilization(0.8))
		level(t, m, epoch, 0)
	}
}

// TestSettledReservationsLeaveNothing: whatever drains meanwhile and in
// whatever order they end, reservations without cost leave an empty meter.
func TestSettledReservationsLeaveNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := ptu(rapid.SampledFrom([]time.Duration{0, time.Second, 7 * time.Second}).Draw(t, "depth"))
		d.InputTPMPerPTU = rapid.IntRange(1, 60_000).Draw(t, "tpm")
		d.OutputRatio = rapid.SampledFrom([]float64{3, 4, 7.3}).Draw(t, "ratio")
		m := NewMeter(d)
		now := epoch
		var open []Reservation
		end := func(i int) {
			if rapid.Bool().Draw(t, "release") {
				m.Release(now, open[i])
			} else {
				m.Settle(now, open[i], Cost{})
			}
			open = append(open[:i], open[i+1:]...)
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(-1000, 1_000_000_000).Draw(t, "ns")))
			if len(open) > 0 && rapid.Bool().Draw(t, "end one") {
				end(rapid.IntRange(0, len(open)-1).Draw(t, "which"))
			} else {
				open = append(open, m.Reserve(now, Demand{Cost: Cost{
					Prompt: rapid.IntRange(0, 100_000).Draw(t, "prompt"),
					Cached: rapid.IntRange(0, 1_000).Draw(t, "cached"),
					Output: rapid.IntRange(0, 16_000).Draw(t, "output"),
				}, Tier: ""}))
			}
			if m.Level(now) < 0 || m.Outstanding() < 0 {
				t.Fatalf("below empty: level %v, outstanding %v", m.Level(now), m.Outstanding())
			}
		}
		for len(open) > 0 {
			end(0)
		}
		if m.Level(now) != 0 || m.Outstanding() != 0 {
			t.Fatalf("all settled: level %v, outstanding %v, want 0 and 0", m.Level(now), m.Outstanding())
		}
	})
}

// TestReadyAt: at that instant the level is below the limit, and 1 ms before
// it is not.
func TestReadyAt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := NewMeter(ptu(rapid.SampledFrom([]time.Duration{0, time.Second, 7 * time.Second}).Draw(t, "depth")))
		for range rapid.IntRange(0, 20).Draw(t, "requests") {
			m.Reserve(epoch, Demand{Cost: Cost{Prompt: rapid.IntRange(0, 20_000).Draw(t, "prompt")}, Tier: ""})
		}
		limit := rapid.Float64Range(0.05, 1.2).Draw(t, "limit")
		before := m.Level(epoch)
		ready := m.ReadyAt(epoch, limit)
		if before < limit && !ready.Equal(epoch) {
			t.Fatalf("level %v is below %v, but ready in %v", before, limit, ready.Sub(epoch))
		}
		early := *m // a copy, asked at an earlier instant
		if wait := ready.Sub(epoch); wait > time.Millisecond && early.Level(ready.Add(-time.Millisecond)) < limit {
			t.Fatalf("ready in %v, but the level is below %v a millisecond before", wait, limit)
		}
		if got := m.Level(ready); got >= limit {
			t.Fatalf("at ReadyAt the level is %v, want below %v", got, limit)
		}
	})
}

func TestCalibrate(t *testing.T) {
	m := NewMeter(ptu(time.Minute))
	m.Calibrate(epoch, utilization(0.6))
	level(t, m, epoch, 0.6) // upwards at once
	m.Calibrate(epoch, spillway.NoSignals())
	m.Calibrate(epoch, utilization(0.595))
	level(t, m, epoch, 0.6) // within the header's resolution

	now := epoch
	m.Calibrate(now, utilization(0))
	level(t, m, now, 0.6) // no time has passed since the last correction
	for range 50 {        // five seconds of responses that say 20%
		now = now.Add(100 * time.Millisecond)
		m.Calibrate(now, utilization(0.2))
	}
	if got := m.Level(now); got < 0.3 || got > 0.4 {
		t.Errorf("Level = %v after 5 s of headers of 20%%, want about half way from 60%%", got)
	}
	for range 300 {
		now = now.Add(100 * time.Millisecond)
		m.Calibrate(now, utilization(0.2))
	}
	if got := m.Level(now); got < 0.19 || got > 0.22 {
		t.Errorf("Level = %v after 35 s of headers of 20%%", got)
	}
}

// TestRefusalLeavesTheLevel: a refusal pauses requests of its size. It says nothing
// about how much is left for smaller ones, so the level stays what it was.
func TestRefusalLeavesTheLevel(t *testing.T) {
	for _, depth := range []time.Duration{0, time.Minute} {
		m := NewMeter(ptu(depth))
		m.Reserve(epoch, Demand{Cost: Cost{Prompt: 30_000}, Tier: ""})
		r := m.Reserve(epoch, Demand{Cost: Cost{Prompt: 6_000}, Tier: ""})
		m.Refused(epoch, 3*time.Second, r)
		level(t, m, epoch, 0.6)
		m.Release(epoch, r)
		level(t, m, epoch, 0.5)
		level(t, m, at(3*time.Second), 0.45)
		if got := m.ReadyAt(epoch, 0.97); !got.Equal(epoch) {
			t.Errorf("ReadyAt = %v, want now: the pause is not the level's", got.Sub(epoch))
		}
	}
}

// TestDepthIsLearned from refusals by a service whose 100% is 10 s of drain.
func TestDepthIsLearned(t *testing.T) {
	const truth = 10 * time.Second
	learn := func(m *Meter, u float64) float64 {
		now := epoch
		for range 30 {
			now = now.Add(time.Minute)
			m.Calibrate(now, utilization(u))
			m.Refused(now, time.Duration((u-1)*float64(truth)), Reservation{})
		}
		return m.provisioned.depth
	}
	if got := learn(NewMeter(ptu(0)), 1.2); got < 9.9 || got > 10.2 {
		t.Errorf("depth = %v s, want 10", got)
	}
	if got := learn(NewMeter(ptu(0)), 1.02); got != 60 {
		t.Errorf("depth = %v s from refusals that say nothing, want 60", got)
	}
	if got := learn(NewMeter(ptu(20*time.Second)), 1.2); got != 20 {
		t.Errorf("depth = %v s, want the configured 20", got)
	}
}

func BenchmarkMeter(b *testing.B) {
	for _, d := range []spillway.Deployment{ptu(0), {Kind: spillway.Standard, TPM: 1 << 30, RPM: 1 << 20}} {
		b.Run(d.Kind.String(), func(b *testing.B) {
			m := NewMeter(d)
			signals := spillway.Signals{Utilization: 0.5, LimitTokens: 1 << 30, RemainingTokens: 1 << 29, RemainingRequests: 9}
			now := epoch
			b.ReportAllocs()
			for b.Loop() {
				now = now.Add(time.Millisecond)
				m.Level(now)
				r := m.Reserve(now, Demand{Cost: Cost{Prompt: 100, Output: 20}, Tier: ""})
				m.ReadyAt(now, 0.97)
				m.Calibrate(now, signals)
				m.Settle(now, r, Cost{Prompt: 100, Output: 10})
			}
		})
	}
}

// TestCachedRatio meters cached input as the model says.
func TestCachedRatio(t *testing.T) {
	for _, tt := range []struct {
		model  string
		ratio  float64
		prompt int
		cached int
		want   int // input tokens that weigh as much
	}{
		{"gpt-5.4", 0, 10_000, 8_000, 2_000},
		{"gpt-6-astra", 0, 10_000, 8_000, 2_800},
		{"gpt-6-astra", 0.5, 10_000, 8_000, 6_000},
		{"gpt-6-astra", 0, 10_000, 90_000, 1_000},
		{"gpt-6-astra", 0, 10_000, -1, 10_000},
	} {
		d := spillway.Deployment{Kind: spillway.Provisioned, Model: tt.model, PTU: 1000, CachedRatio: tt.ratio}
		m, same := NewMeter(d), NewMeter(d)
		m.Reserve(epoch, Demand{Cost: Cost{Prompt: tt.prompt, Cached: tt.cached}})
		same.Reserve(epoch, Demand{Cost: Cost{Prompt: tt.want}})
		if got, want := m.Level(epoch), same.Level(epoch); got != want || got == 0 {
			t.Errorf("%s, ratio %v, %d cached of %d: level %v, want %v", tt.model, tt.ratio, tt.cached, tt.prompt, got, want)
		}
	}
}
