package capacity

import (
	"testing"
	"time"

	"github.com/spillway-ai/spillway"
)

func TestRecentlyNearLimit(t *testing.T) {
	reserve := func(tokens int) func(*Meter) {
		return func(m *Meter) { m.Reserve(epoch, Demand{Cost: Cost{Prompt: tokens}, Tier: ""}) }
	}
	signals := func(s spillway.Signals) func(*Meter) { return func(m *Meter) { m.Calibrate(epoch, s) } }
	utilization, remaining := spillway.NoSignals(), spillway.NoSignals()
	utilization.Utilization, remaining.RemainingTokens = 0.75, 2_000
	// One PTU that drains 10,000 tokens a minute is full at 10,000.
	provisioned := spillway.Deployment{Kind: spillway.Provisioned, PTU: 1, InputTPMPerPTU: 10_000, OutputRatio: 4}
	for _, tt := range []struct {
		name string
		d    spillway.Deployment
		do   func(*Meter)
		want bool
	}{
		{"idle", standard(10_000, 0), func(*Meter) {}, false},
		{"below", standard(10_000, 0), reserve(6_999), false},
		{"at", standard(10_000, 0), reserve(7_000), true},
		{"provisioned, below", provisioned, reserve(6_900), false},
		{"provisioned, above", provisioned, reserve(7_100), true},
		{"without limits", standard(0, 0), reserve(1_000_000), false},
		{"by requests alone", standard(0, 6), reserve(1), false},
		{"used beyond the reservation", standard(10_000, 0), func(m *Meter) {
			m.Settle(epoch, m.Reserve(epoch, Demand{Cost: Cost{Prompt: 10}, Tier: ""}), Cost{Prompt: 10, Output: 8_000})
		}, true},
		{"by a utilization header", provisioned, signals(utilization), true},
		{"by a header of remaining tokens", standard(10_000, 0), signals(remaining), true},
		{"refused", standard(0, 0), func(m *Meter) { m.Refused(epoch, time.Second, Reservation{}) }, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := NewMeter(tt.d)
			tt.do(m)
			if got := m.RecentlyNearLimit(epoch); got != tt.want {
				t.Errorf("at once: %v, want %v", got, tt.want)
			}
			if got := m.RecentlyNearLimit(epoch.Add(nearMemory - time.Nanosecond)); got != tt.want {
				t.Errorf("within five minutes: %v, want %v", got, tt.want)
			}
			if m.RecentlyNearLimit(epoch.Add(nearMemory)) {
				t.Error("after five minutes: true")
			}
		})
	}
}
