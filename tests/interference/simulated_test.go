package interference

import (
	"flag"
	"fmt"
	"testing"
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
	if lost := without.success() - with.success(); lost > maxLostPercent {
		t.Errorf("success fell from %.2f%% to %.2f%%", without.success(), with.success())
	}
	if s.kind.local && s.pattern.alone > 0 {
		return with, without // until the deployment is used again, requests go to slower ones
	}
	if a, b := without.p99(), with.p99(); float64(b) > maxSlower*float64(a) {
		t.Errorf("p99 rose from %v to %v", a, b)
	}
	return with, without
}
