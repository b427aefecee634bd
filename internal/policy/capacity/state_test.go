package capacity

import (
	"testing"
	"time"

	"github.com/spillway-ai/spillway"
)

// Depths and limits that were learned are kept; levels, configured figures and
// what cannot be are not.
func TestStateKeepsWhatWasLearned(t *testing.T) {
	start := time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC)
	ptu := spillway.Deployment{Kind: spillway.Provisioned, PTU: 100, InputTPMPerPTU: 2500, OutputRatio: 4}
	m := NewMeter(ptu)
	if m.State() != (State{}) {
		t.Errorf("a new meter has learned %+v", m.State())
	}
	for i := range 50 { // 10 s of drain for half of the bucket: it is 20 s deep
		now := start.Add(time.Duration(i) * time.Minute)
		m.Calibrate(now, spillway.Signals{Utilization: 1.5, RemainingTokens: -1, RemainingRequests: -1})
		m.Refused(now, 10*time.Second, Reservation{})
	}
	learned := m.State()
	if learned.DepthSeconds < 19 || learned.DepthSeconds > 21 {
		t.Fatalf("learned %+v, want about 20 s", learned)
	}
	again := NewMeter(ptu)
	again.Restore(time.Hour, learned)
	if again.State() != learned || again.Level(start) != 0 {
		t.Errorf("restored %+v at level %v, want %+v and empty", again.State(), again.Level(start), learned)
	}
	full := int(100 * 2500 / 60 * learned.DepthSeconds)
	again.Reserve(start, Demand{Cost: Cost{Prompt: full}, Tier: ""})
	if level := again.Level(start); level < 0.99 || level > 1.01 {
		t.Errorf("a full bucket is at %v", level)
	}
	fixed := ptu
	fixed.MeterDepth = time.Minute
	for name, tt := range map[string]struct {
		d  spillway.Deployment
		st State
	}{
		"a configured depth": {fixed, learned},
		"no depth":           {ptu, State{DepthSeconds: 0}},
		"too deep":           {ptu, State{DepthSeconds: 1e9}},
		"a standard limit":   {ptu, State{LimitTokens: 1000}},
	} {
		again := NewMeter(tt.d)
		again.Restore(0, tt.st)
		if again.provisioned.depth != defaultDepth.Seconds() {
			t.Errorf("%s: depth %v", name, again.provisioned.depth)
		}
	}
}

func TestStateKeepsLimits(t *testing.T) {
	start := time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		configured, told int
		age              time.Duration
		want             int64
	}{
		{0, 5000, 0, 5000}, {10_000, 5000, time.Minute, 5000}, {10_000, 5000, time.Hour, 10_000}, {3000, 5000, 0, 3000}, {10_000, 0, 0, 10_000},
	} {
		m := NewMeter(spillway.Deployment{TPM: 10_000})
		if tt.configured == 0 {
			m = NewMeter(spillway.Deployment{})
		}
		if tt.told > 0 {
			m.Calibrate(start, spillway.Signals{LimitTokens: tt.told, Utilization: -1, RemainingTokens: -1, RemainingRequests: -1})
		}
		again := NewMeter(spillway.Deployment{TPM: tt.configured})
		again.Restore(tt.age, m.State())
		if again.standard.limit != tt.want {
			t.Errorf("%+v: limit %d", tt, again.standard.limit)
		}
	}
}
