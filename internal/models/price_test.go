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
		{"", spillway.Global, spillway.TokenPrice{}, false},
	} {
		got, known := Table{}.Price(tc.model, tc.scope)
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
		if p.input != 0 && !(0 < p.cached && p.cached < p.input && p.input < p.output) {
			t.Errorf("%s: %+v is not cached < input < output", p.model, p)
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
