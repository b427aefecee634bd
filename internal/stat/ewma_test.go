package stat

import (
	"math"
	"testing"
	"time"
)

var epoch = time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)

func at(d time.Duration) time.Time { return epoch.Add(d) }

func TestEWMA(t *testing.T) {
	type sample struct {
		at time.Duration
		v  float64
	}
	for _, tc := range []struct {
		name    string
		samples []sample
		want    float64
		ok      bool
	}{
		{"empty", nil, 0, false},
		{"first value stands alone", []sample{{0, 7}}, 7, true},
		{"same instant is a plain mean", []sample{{0, 1}, {0, 3}}, 2, true},
		{"one half-life weighs half", []sample{{0, 0}, {10 * time.Second, 3}}, 2, true},
		{"backwards counts as now", []sample{{10 * time.Second, 1}, {0, 3}}, 2, true},
		{"long ago hardly counts", []sample{{0, 1000}, {1000 * time.Second, 3}}, 3, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var e EWMA // zero: half-life 10 s
			for _, s := range tc.samples {
				e.Add(at(s.at), s.v)
			}
			if got, ok := e.Value(); math.Abs(got-tc.want) > 1e-9 || ok != tc.ok {
				t.Errorf("Value() = %v, %v, want %v, %v", got, ok, tc.want, tc.ok)
			}
		})
	}
}

func TestEWMAHalfLife(t *testing.T) {
	e := NewEWMA(time.Minute)
	e.Add(at(0), 0)
	e.Add(at(time.Minute), 3)
	if got, _ := e.Value(); math.Abs(got-2) > 1e-9 {
		t.Errorf("after one half-life of a minute: %v, want 2", got)
	}
}
