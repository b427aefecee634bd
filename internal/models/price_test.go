package models

import (
	"math"
	"testing"
)

func TestPrice(t *testing.T) {
	for _, tc := range []struct {
		model string
		scope Scope
		want  TokenPrice
		known bool
	}{
		{"gpt-4o-mini", Global, TokenPrice{0.15, 0.075, 0.60}, true},
		{"gpt-4o-mini-2024-07-18", Global, TokenPrice{0.15, 0.075, 0.60}, true},
		{"gpt-5-mini", DataZone, TokenPrice{0.275, 0.0275, 2.20}, true},
		{"gpt-5-mini", Regional, TokenPrice{0.275, 0.0275, 2.20}, true},
		{"GPT-5-nano", Global, TokenPrice{0.05, 0.005, 0.40}, true},
		{"gpt-4o-2024-11-20", Global, TokenPrice{2.50, 1.25, 10}, true},
		{"gpt-4o-2024-05-13", Global, TokenPrice{}, false},
		{"gpt-5-codex", Global, TokenPrice{}, false},
		{"", Global, TokenPrice{}, false},
	} {
		got, known := Price(tc.model, tc.scope)
		if known != tc.known || far(got.Input, tc.want.Input) || far(got.Cached, tc.want.Cached) || far(got.Output, tc.want.Output) {
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
		if p.price != (TokenPrice{}) && !(0 < p.price.Cached && p.price.Cached < p.price.Input && p.price.Input < p.price.Output) {
			t.Errorf("%s: %+v is not cached < input < output", p.model, p.price)
		}
	}
}

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

func TestPriceOfPTU(t *testing.T) {
	for scope, hour := range map[Scope]float64{Global: 1, DataZone: 1.10, Regional: 2} {
		if got, want := PriceOfPTU(scope), (PTUPrice{Hour: hour, Month: 260, Year: 2_652}); got != want {
			t.Errorf("PriceOfPTU(%v) = %+v, want %+v", scope, got, want)
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

// far reports whether two amounts differ by more than rounding.
func far(a, b float64) bool { return math.Abs(a-b) > 1e-9 }
