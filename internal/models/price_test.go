package models

import (
	"math"
	"testing"

	"github.com/spillway-ai/spillway"
)

func TestPrice(t *testing.T) {
	for _, tc := range []struct {
		model string
		scope spillway.Scope
		want  spillway.TokenPrice
		known bool
	}{
		{"gpt-4o-mini", spillway.Global, spillway.TokenPrice{Input: 0.15, Cached: 0.075, Output: 0.60}, true},
		{"gpt-4o-mini-2024-07-18", spillway.Global, spillway.TokenPrice{Input: 0.15, Cached: 0.075, Output: 0.60}, true},
		{"gpt-5-mini", spillway.DataZone, spillway.TokenPrice{Input: 0.275, Cached: 0.0275, Output: 2.20}, true},
		{"gpt-5-mini", spillway.Regional, spillway.TokenPrice{Input: 0.275, Cached: 0.0275, Output: 2.20}, true},
		{"GPT-5-nano", spillway.Global, spillway.TokenPrice{Input: 0.05, Cached: 0.005, Output: 0.40}, true},
		{"gpt-4o-2024-11-20", spillway.Global, spillway.TokenPrice{Input: 2.50, Cached: 1.25, Output: 10}, true},
		{"gpt-4o-2024-05-13", spillway.Global, spillway.TokenPrice{}, false},
		{"gpt-5-codex", spillway.Global, spillway.TokenPrice{}, false},
		{"gpt-6-sol-2026-09-22", spillway.Global, spillway.TokenPrice{Input: 2, Cached: 0.20, Output: 10, CacheWrite: 2.50}, true},
		{"gpt-6-astra", spillway.DataZone, spillway.TokenPrice{Input: 11, Cached: 1.1, Output: 55, CacheWrite: 13.75}, true},
		{"gpt-6", spillway.Global, spillway.TokenPrice{}, false},
		{"", spillway.Global, spillway.TokenPrice{}, false},
	} {
		got, known := Table{}.Price(tc.model, tc.scope)
		if known != tc.known || far(got.Input, tc.want.Input) || far(got.Cached, tc.want.Cached) || far(got.Output, tc.want.Output) || far(got.CacheWrite, tc.want.CacheWrite) {
			t.Errorf("Price(%q, %v) = %+v, %v, want %+v, %v", tc.model, tc.scope, got, known, tc.want, tc.known)
		}
	}
}

func TestPricesAreOrdered(t *testing.T) {
	seen := make(map[string]bool)
	for _, p := range prices {
		if seen[p.model] {
			t.Errorf("%s is there twice", p.model)
		}
		seen[p.model] = true
		if p.input != 0 && !(0 < p.cached && p.cached < p.input && p.input < p.output) {
			t.Errorf("%s: %+v is not cached < input < output", p.model, p)
		}
		if p.cacheWrite != 0 && far(p.cacheWrite, 1.25*p.input) || p.priority != 0 && !(1 < p.priority && p.priority <= 3) {
			t.Errorf("%s: writing to the cache or priority is off: %+v", p.model, p)
		}
	}
}

// TestPriceByTier knows the price of the tiers that are published: half for flex, more for
// priority where the model has it. It is the same share in every scope.
func TestPriceByTier(t *testing.T) {
	for model, priority := range map[string]float64{
		"gpt-4.1": 3.50, "gpt-4o": 4.25, "gpt-4o-mini": 0.25, "gpt-5-mini": 0.45, "gpt-5.1": 2.50, "gpt-5.2": 3.50,
		"gpt-5.4": 5, "gpt-5.4-mini": 1.50, "gpt-5.5": 12.50, "gpt-5-nano": 0, "gpt-6-luna": 0,
	} {
		for scope, factor := range map[spillway.Scope]float64{spillway.Global: 1, spillway.DataZone: nearFactor} {
			price, _ := Table{}.Price(model, scope)
			if at, known := price.AtServiceTier("priority"); far(at.Input, factor*priority) || known != (priority > 0) {
				t.Errorf("%s, %v, priority: %+v, %t", model, scope, at, known)
			}
			if at, known := price.AtServiceTier("flex"); far(at.Input, price.Input/2) || far(at.Output, price.Output/2) || !known {
				t.Errorf("%s, %v, flex: %+v, %t", model, scope, at, known)
			}
		}
	}
}

// TestFillPrice fills what is not configured of a price with what is published.
func TestFillPrice(t *testing.T) {
	for _, tc := range []struct {
		model       string
		given, want spillway.TokenPrice
	}{
		{"gpt-6-sol", spillway.TokenPrice{}, spillway.TokenPrice{Input: 2, Cached: 0.20, Output: 10, CacheWrite: 2.50, Flex: 0.5, Priority: 2}},
		{"gpt-6-sol", spillway.TokenPrice{Input: 1, Cached: 0.5, Output: 4}, spillway.TokenPrice{Input: 1, Cached: 0.5, Output: 4, Flex: 0.5, Priority: 2}},
		{"gpt-6-sol", spillway.TokenPrice{Priority: 1}, spillway.TokenPrice{Input: 2, Cached: 0.20, Output: 10, CacheWrite: 2.50, Flex: 0.5, Priority: 1}},
		{"unheard-of", spillway.TokenPrice{}, spillway.TokenPrice{}},
		{"unheard-of", spillway.TokenPrice{Input: 1, Cached: 1, Output: 4, Flex: 0.6}, spillway.TokenPrice{Input: 1, Cached: 1, Output: 4, Flex: 0.6}},
	} {
		if got := Fill(spillway.Deployment{Model: tc.model, Price: tc.given}).Price; got != tc.want {
			t.Errorf("%s with %+v: %+v, want %+v", tc.model, tc.given, got, tc.want)
		}
	}
}

func TestPriceOfPTU(t *testing.T) {
	for scope, hour := range map[spillway.Scope]float64{spillway.Global: 1, spillway.DataZone: 1.10, spillway.Regional: 2} {
		if got, want := PriceOfPTU(scope), (PTUPrice{Hour: hour, Month: 260, Year: 2_652}); got != want {
			t.Errorf("PriceOfPTU(%v) = %+v, want %+v", scope, got, want)
		}
	}
}

// far reports whether two amounts differ by more than rounding.
func far(a, b float64) bool { return math.Abs(a-b) > 1e-9 }
