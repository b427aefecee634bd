package spillway

import (
	"math"
	"testing"
)

func TestCost(t *testing.T) {
	price := TokenPrice{Input: 2, Cached: 0.5, Output: 8}
	for _, tc := range []struct {
		prompt, cached, completion int64
		want                       float64
	}{
		{1_000_000, 0, 0, 2},
		{1_000_000, 1_000_000, 0, 0.5},
		{1_000_000, 400_000, 250_000, 0.6*2 + 0.4*0.5 + 0.25*8},
		{100_000, 200_000, 0, 0.05}, // never more cached than prompted
		{0, 0, 0, 0},
	} {
		if got := price.Cost(tc.prompt, tc.cached, tc.completion); far(got, tc.want) {
			t.Errorf("Cost(%d, %d, %d) = %v, want %v", tc.prompt, tc.cached, tc.completion, got, tc.want)
		}
	}
}

func TestScopeNames(t *testing.T) {
	for scope, want := range map[Scope]string{Global: "global", DataZone: "data-zone", Regional: "regional", 9: "unknown"} {
		if got := scope.String(); got != want {
			t.Errorf("Scope(%d) = %q, want %q", scope, got, want)
		}
	}
}

// The cost of a request is that of its attempts, unless one is unknown.
func TestRecordCost(t *testing.T) {
	for _, tc := range []struct {
		attempts []Attempt
		usd      float64
		known    bool
	}{
		{nil, 0, true},
		{[]Attempt{{CostUSD: 0}, {CostUSD: 0.25}, {CostUSD: 0.5}}, 0.75, true},
		{[]Attempt{{CostUSD: 0.25}, {CostUSD: -1}}, 0, false},
	} {
		r := Record{Attempts: tc.attempts}
		if usd, known := r.Cost(); usd != tc.usd || known != tc.known {
			t.Errorf("%+v: got %v, %t, want %v, %t", tc.attempts, usd, known, tc.usd, tc.known)
		}
	}
}

// far reports whether two amounts differ by more than rounding.
func far(a, b float64) bool { return math.Abs(a-b) > 1e-9 }
