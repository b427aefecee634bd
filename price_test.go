package spillway

import (
	"math"
	"testing"
)

func TestCost(t *testing.T) {
	price := TokenPrice{Input: 2, Cached: 0.5, Output: 8}
	writes := TokenPrice{Input: 2, Cached: 0.5, Output: 8, CacheWrite: 2.5}
	for _, tc := range []struct {
		price TokenPrice
		count TokenCount
		want  float64
	}{
		{price, TokenCount{Prompt: 1_000_000}, 2},
		{price, TokenCount{Prompt: 1_000_000, Cached: 1_000_000}, 0.5},
		{price, TokenCount{Prompt: 1_000_000, Cached: 400_000, Completion: 250_000}, 0.6*2 + 0.4*0.5 + 0.25*8},
		{price, TokenCount{Prompt: 100_000, Cached: 200_000}, 0.05}, // never more cached than prompted
		{price, TokenCount{Prompt: 1_000_000, CacheWrite: 500_000}, 2},
		{writes, TokenCount{Prompt: 1_000_000, Cached: 400_000, CacheWrite: 500_000}, 0.1*2 + 0.4*0.5 + 0.5*2.5},
		{writes, TokenCount{Prompt: 1_000_000, Cached: 400_000, CacheWrite: 1_000_000}, 0.4*0.5 + 0.6*2.5},
		{writes, TokenCount{Prompt: 1_000_000, CacheWrite: -5}, 2},
		{price, TokenCount{}, 0},
	} {
		if got := tc.price.Cost(tc.count); far(got, tc.want) {
			t.Errorf("%+v.Cost(%+v) = %v, want %v", tc.price, tc.count, got, tc.want)
		}
	}
}

// TestAtServiceTier changes a price by what is known of a service tier, and says when
// nothing is.
func TestAtServiceTier(t *testing.T) {
	price := TokenPrice{Input: 2, Cached: 0.5, Output: 8, CacheWrite: 2.5, Flex: 0.5, Priority: 2}
	for tier, want := range map[string]float64{
		"": 2, "auto": 2, "default": 2, "standard": 2, "on_demand": 2, "flex": 1, "priority": 4,
		"scale": 0, "fast": 0, "other": 0,
	} {
		at, known := price.AtServiceTier(tier)
		if at.Input != want || known != (want > 0) || known && (at.Output != 4*want || at.Cached != want/4 || at.CacheWrite != want*1.25) {
			t.Errorf("at %q: %+v, %t; want input %v", tier, at, known, want)
		}
	}
	if at, known := (TokenPrice{Flex: 0.5}).AtServiceTier(""); known {
		t.Errorf("a price without figures is known: %+v", at)
	}
	if at, known := (TokenPrice{Input: 2, Output: 8}).AtServiceTier("priority"); known {
		t.Errorf("an unpublished price is known: %+v", at)
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
