package route_test

import (
	"math"
	"testing"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/policy/route"
	"pgregory.net/rapid"
)

// number gives candidates their positions as indices.
func number(cands []route.Candidate) []route.Candidate {
	for i := range cands {
		cands[i].Index = i
	}
	return cands
}

func TestPickTier(t *testing.T) {
	type c = route.Candidate
	none := route.Choice{}
	tests := []struct {
		name  string
		cands []c
		cfg   route.Config
		want  route.Choice
	}{
		{"nobody", nil, route.Config{}, none},
		{"first tier", []c{{}, {Tier: 1}}, route.Config{}, route.Choice{Index: 0, OK: true}},
		{"order does not matter", []c{{Tier: 1}, {}}, route.Config{}, route.Choice{Index: 1, OK: true}},
		{"filled to the edge", []c{{Utilization: 0.969}, {Tier: 1}}, route.Config{}, route.Choice{Index: 0, OK: true}},
		{"full", []c{{Utilization: 0.98}, {Tier: 1}}, route.Config{}, route.Choice{Index: 1, Tier: 1, Reason: spillway.SpillUtilization, OK: true}},
		{"full by rule", []c{{Utilization: 0.6}, {Tier: 1}}, route.Config{SpillAt: 0.5}, route.Choice{Index: 1, Tier: 1, Reason: spillway.SpillUtilization, OK: true}},
		{"over 100% by rule", []c{{Utilization: 1.1}, {Tier: 1}}, route.Config{SpillAt: 1.2}, route.Choice{Index: 0, OK: true}},
		{"nowhere to spill to", []c{{Utilization: 0.99}, {Tier: 1, Blocked: spillway.SpillBroken}}, route.Config{}, route.Choice{Index: 0, OK: true}},
		{"nowhere to spill to, over", []c{{Utilization: 1.01}}, route.Config{}, route.Choice{Reason: spillway.SpillUtilization}},
		{"too many in flight", []c{{InFlight: 5, MaxInFlight: 5}, {Tier: 1, InFlight: 4, MaxInFlight: 5}}, route.Config{}, route.Choice{Index: 1, Tier: 1, Reason: spillway.SpillUtilization, OK: true}},
		{"blocked", []c{{Blocked: spillway.SpillPaused}, {Tier: 1}}, route.Config{}, route.Choice{Index: 1, Tier: 1, Reason: spillway.SpillPaused, OK: true}},
		{"a neighbour is no spill", []c{{Blocked: spillway.SpillPaused}, {}}, route.Config{}, route.Choice{Index: 1, OK: true}},
		{"two tiers down, why not the first", []c{{Blocked: spillway.SpillSlow}, {Tier: 1, Blocked: spillway.SpillBroken}, {Tier: 2}}, route.Config{}, route.Choice{Index: 2, Tier: 2, Reason: spillway.SpillSlow, OK: true}},
		{"the most telling", []c{{Utilization: 2}, {Blocked: spillway.SpillBroken}, {Blocked: spillway.SpillPaused}, {Tier: 1}}, route.Config{}, route.Choice{Index: 3, Tier: 1, Reason: spillway.SpillBroken, OK: true}},
		{"tried", []c{{Tried: true, Failed: spillway.SpillRefused}, {Tier: 1}}, route.Config{}, route.Choice{Index: 1, Tier: 1, Reason: spillway.SpillRefused, OK: true}},
		{"tried, nobody said why", []c{{Tried: true}, {Tier: 1}}, route.Config{}, route.Choice{Index: 1, Tier: 1, Reason: spillway.SpillBroken, OK: true}},
		{"all tried", []c{{Tried: true}, {Tier: 1, Tried: true}}, route.Config{}, route.Choice{Reason: spillway.SpillBroken}},
		{"all tried, again", []c{{Tried: true}, {Tier: 1, Tried: true}}, route.Config{AllowTried: true}, route.Choice{Index: 0, OK: true}},
		{"tried and paused", []c{{Tried: true, Blocked: spillway.SpillPaused, Failed: spillway.SpillRefused}, {Tier: 1, Tried: true}}, route.Config{AllowTried: true}, route.Choice{Index: 1, Tier: 1, Reason: spillway.SpillRefused, OK: true}},
		{"untried before tried", []c{{Tried: true}, {Tier: 1}}, route.Config{AllowTried: true}, route.Choice{Index: 1, Tier: 1, Reason: spillway.SpillBroken, OK: true}},
	}
	for _, tt := range tests {
		for _, s := range []route.Strategy{route.Weighted, route.LeastOutstanding, route.Affinity} {
			t.Run(tt.name+"/"+s.String(), func(t *testing.T) {
				tt.cfg.Strategy = s
				if got := route.Pick(number(tt.cands), tt.cfg, 7, 0.5); got != tt.want {
					t.Errorf("got %+v, want %+v", got, tt.want)
				}
			})
		}
	}
}

// shares counts which candidate is picked over n evenly spread draws.
func shares(cands []route.Candidate, s route.Strategy, affinity uint64, n int) []int {
	counts := make([]int, len(cands))
	for i := range n {
		counts[route.Pick(cands, route.Config{Strategy: s}, affinity, float64(i)/float64(n)).Index]++
	}
	return counts
}

func TestWeighted(t *testing.T) {
	cands := number([]route.Candidate{{Weight: 3}, {Blocked: spillway.SpillBroken, Weight: 50}, {}, {Tier: 1, Weight: 9}})
	if got := shares(cands, route.Weighted, 0, 400); got[0] != 300 || got[2] != 100 {
		t.Errorf("shares %v, want 300 and 100", got)
	}
}

func TestLeastOutstanding(t *testing.T) {
	tests := []struct {
		name  string
		cands []route.Candidate
		want  []int
	}{
		{"fewest", []route.Candidate{{Outstanding: 900}, {Outstanding: 300}, {Outstanding: 500}}, []int{0, 100, 0}},
		{"per weight", []route.Candidate{{Outstanding: 900, Weight: 4}, {Outstanding: 300}}, []int{100, 0}},
		{"equals by weight", []route.Candidate{{Weight: 3}, {Weight: 1}, {Outstanding: 1}}, []int{75, 25, 0}},
		{"blocked do not count", []route.Candidate{{Blocked: spillway.SpillPaused}, {Outstanding: 300}}, []int{0, 100}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := shares(number(tt.cands), route.LeastOutstanding, 0, 100)
			for i := range got {
				if got[i] != tt.want[i] {
					t.Fatalf("shares %v, want %v", got, tt.want)
				}
			}
		})
	}
}

func TestAffinity(t *testing.T) {
	cands := number([]route.Candidate{{Weight: 1}, {Weight: 1}, {Weight: 2}})
	cfg := route.Config{Strategy: route.Affinity}
	const prefixes = 8000
	counts := make([]int, len(cands))
	for p := range uint64(prefixes) {
		affinity := p + 1
		favourite := route.Pick(cands, cfg, affinity, 0).Index
		if other := route.Pick(cands, cfg, affinity, 0.9).Index; other != favourite {
			t.Fatalf("prefix %d goes to %d and %d", affinity, favourite, other)
		}
		counts[favourite]++

		// Another deployment's trouble moves nobody else.
		blocked := (favourite + 1) % len(cands)
		cands[blocked].Blocked = spillway.SpillPaused
		if other := route.Pick(cands, cfg, affinity, 0).Index; other != favourite {
			t.Fatalf("prefix %d moved from %d to %d", affinity, favourite, other)
		}
		cands[blocked].Blocked = spillway.SpillNone

		cands[favourite].Blocked = spillway.SpillPaused
		if other := route.Pick(cands, cfg, affinity, 0); !other.OK || other.Index == favourite {
			t.Fatalf("prefix %d stays at its blocked favourite", affinity)
		}
		cands[favourite].Blocked = spillway.SpillNone
	}
	for i, want := range []float64{0.25, 0.25, 0.5} {
		if got := float64(counts[i]) / prefixes; math.Abs(got-want) > 0.03 {
			t.Errorf("candidate %d has %.3f of the prefixes, want %.2f", i, got, want)
		}
	}

	// A lasting key survives another order.
	keyed := []route.Candidate{{Index: 0, Key: 11}, {Index: 1, Key: 22}, {Index: 2, Key: 33}}
	turned := []route.Candidate{{Index: 0, Key: 33}, {Index: 1, Key: 11}, {Index: 2, Key: 22}}
	for affinity := uint64(1); affinity < 100; affinity++ {
		a, b := route.Pick(keyed, cfg, affinity, 0).Index, route.Pick(turned, cfg, affinity, 0).Index
		if keyed[a].Key != turned[b].Key {
			t.Fatalf("prefix %d: %d and %d", affinity, keyed[a].Key, turned[b].Key)
		}
	}

	// No prefix: the least loaded.
	cands[0].Outstanding, cands[2].Outstanding = 5, 5
	if got := route.Pick(cands, cfg, 0, 0.99).Index; got != 1 {
		t.Errorf("without a prefix: %d, want 1", got)
	}
}

// drawCandidates draws a pool of up to 16.
func drawCandidates(t *rapid.T) []route.Candidate {
	cands := make([]route.Candidate, rapid.IntRange(0, 16).Draw(t, "n"))
	for i := range cands {
		cands[i] = route.Candidate{
			Index:       i,
			Tier:        rapid.IntRange(0, 3).Draw(t, "tier"),
			Weight:      rapid.IntRange(-1, 5).Draw(t, "weight"),
			Outstanding: rapid.IntRange(0, 4).Draw(t, "outstanding"),
			Utilization: rapid.SampledFrom([]float64{0, 0.5, 0.98, 1.5}).Draw(t, "utilization"),
			InFlight:    rapid.IntRange(0, 2).Draw(t, "inFlight"),
			MaxInFlight: rapid.IntRange(0, 2).Draw(t, "maxInFlight"),
			Blocked:     spillway.SpillReason(rapid.SampledFrom([]int{0, 0, 0, 1, 4, 5}).Draw(t, "blocked")),
			Tried:       rapid.IntRange(0, 3).Draw(t, "tried") == 0,
		}
	}
	return cands
}

func TestPickProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cands := drawCandidates(t)
		cfg := route.Config{
			Strategy:   route.Strategy(rapid.IntRange(0, 2).Draw(t, "strategy")),
			AllowTried: rapid.Bool().Draw(t, "allowTried"),
		}
		choice := route.Pick(cands, cfg, rapid.Uint64().Draw(t, "affinity"), rapid.Float64Range(0, 0.999999).Draw(t, "rnd"))
		first := math.MaxInt
		for _, c := range cands {
			first = min(first, c.Tier)
		}
		free := func(c route.Candidate) bool {
			return !c.Tried && c.Blocked == spillway.SpillNone && c.Utilization < 0.97 &&
				(c.MaxInFlight == 0 || c.InFlight < c.MaxInFlight)
		}
		for _, c := range cands {
			if free(c) && (!choice.OK || c.Tier < choice.Tier) {
				t.Fatalf("%+v is free, chosen was %+v", c, choice)
			}
		}
		if !choice.OK {
			return
		}
		c := cands[choice.Index]
		if c.Blocked != spillway.SpillNone || c.Utilization > 1 || c.Tier != choice.Tier || c.Tried && !cfg.AllowTried {
			t.Fatalf("chosen %+v", c)
		}
		if (choice.Reason == spillway.SpillNone) != (choice.Tier == first) {
			t.Fatalf("reason %v in tier %d, first is %d", choice.Reason, choice.Tier, first)
		}
	})
}

func TestStrategyNames(t *testing.T) {
	for s, want := range map[route.Strategy]string{route.Weighted: "weighted", route.LeastOutstanding: "least_outstanding", route.Affinity: "affinity", 9: "unknown"} {
		if got := s.String(); got != want {
			t.Errorf("strategy %d: %q, want %q", s, got, want)
		}
	}
}

func BenchmarkPick(b *testing.B) {
	for _, s := range []route.Strategy{route.Weighted, route.LeastOutstanding, route.Affinity} {
		b.Run(s.String(), func(b *testing.B) {
			cands := number(make([]route.Candidate, 16))
			for i := range cands {
				cands[i].Tier, cands[i].Outstanding = i/8, 100*(i%5)
			}
			b.ReportAllocs()
			for b.Loop() {
				route.Pick(cands, route.Config{Strategy: s}, 42, 0.5)
			}
		})
	}
}
