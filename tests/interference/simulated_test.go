package interference

import (
	"flag"
	"fmt"
	"testing"

	spillway "github.com/spillway-ai/spillway"
)

// maxLostPercent is how much of the healthy callers' success the guilty one may
// cost, in percentage points, and maxSlower by how much their 99th percentile
// may grow.
const (
	maxLostPercent = 0.1
	maxSlower      = 1.05
)

// TestSimulated compares the healthy callers' success and latency with and
// without a guilty caller, in virtual time: every kind, in every layout.
func TestSimulated(t *testing.T) {
	for i, s := range scenarios(2400, crowds()[:1], patterns()[:1]) {
		t.Run(s.String(), func(t *testing.T) {
			t.Parallel()
			with, without := s.compare(t)
			board.add(row{simulated, i, s.kind.name, s.layout.name, without, with})
		})
	}
}

// TestSimulatedPatterns is the same for other crowds and patterns.
func TestSimulatedPatterns(t *testing.T) {
	for _, s := range scenarios(400, crowds(), patterns()) {
		for seed := range *seeds {
			s := s
			s.seed = 1 + seed
			t.Run(fmt.Sprintf("%s/%d", &s, s.seed), func(t *testing.T) {
				t.Parallel()
				s.compare(t)
			})
		}
	}
}

var seeds = flag.Uint64("seeds", 1, "number of seeds to simulate the patterns with")

// scenarios returns every combination.
func scenarios(healthy int, crowds []crowd, patterns []pattern) []scenario {
	var all []scenario
	for _, k := range kinds() {
		for _, l := range layouts() {
			for _, c := range crowds {
				for _, p := range patterns {
					all = append(all, scenario{kind: k, layout: l, crowd: c, pattern: p, healthy: healthy, seed: 1, rate: k.rate()})
				}
			}
		}
	}
	return all
}

// compare runs both and fails where the guilty caller cost the others something.
func (s *scenario) compare(t *testing.T) (with, without result) {
	with = s.with(t)
	without = s.without(t, with.uses)
	if without.requests != s.healthy || without.success() < 99.9 {
		t.Errorf("without: %d of %d requests succeeded, want all but one in a thousand", without.succeeded, s.healthy)
	}
	if with.requests != s.healthy {
		t.Errorf("with: %d requests ended, want %d", with.requests, s.healthy)
	}
	left := (s.kind.local || s.kind.committed) && s.pattern.alone > 0
	if left && s.kind.local && s.slow() {
		return with, without
	}
	lost := float64(maxLostPercent)
	if s.undecidable() {
		lost = 1
	}
	if without.success()-with.success() > lost {
		t.Errorf("success fell from %.2f%% to %.2f%%", without.success(), with.success())
	}
	if left || s.undecidable() {
		return with, without
	}
	if a, b := without.p99(), with.p99(); float64(b) > maxSlower*float64(a) {
		t.Errorf("p99 rose from %v to %v", a, b)
	}
	return with, without
}

// slow reports whether requests that leave the first deployment can be cut: the
// second tier is too slow for the budgets of this crowd. A deployment that fails
// everything that it gets, since nobody else sends any, is rightly left until it is
// probed.
func (s *scenario) slow() bool {
	return s.crowd.class.Budget.Mode == spillway.BudgetClamp && s.layout.name == "2 tiers"
}

// undecidable reports whether nothing tells the guilty requests from healthy ones: all
// have one anonymous caller and the same shapes, every deployment refuses the guilty
// ones for lack of capacity, and they come before the healthy ones, several at a time
// or again and again, so that most requests that wait are guilty. That is what a pool
// without capacity looks like. One request at a time finds out whether there is any,
// and the healthy ones wait for their turn. While a burst has been refused everywhere
// and not yet a second time, for some ten milliseconds, they are refused at once.
func (s *scenario) undecidable() bool {
	p := &s.pattern
	return s.kind.exhausted && s.crowd.guilty == s.crowd.callers[0] && (p.burst > 1 || p.sdk > 0 || p.alone > 0)
}
