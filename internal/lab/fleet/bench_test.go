package fleet

import (
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
)

// BenchmarkOffer is one request's whole stay at a deployment, Offer and
// Complete, among 2,000 others.
func BenchmarkOffer(b *testing.B) {
	for _, bench := range []struct {
		name string
		d    Deployment
		ask  Ask
	}{
		{"provisioned", Deployment{Deployment: spillway.Deployment{Name: "p", Model: "gpt-4o-mini", Kind: spillway.Provisioned, PTU: 20_000}}, Ask{Seed: 1}},
		{"standard", Deployment{Deployment: spillway.Deployment{Name: "s", Model: "gpt-4o-mini", TPM: 2_000_000_000, RPM: 12_000_000}}, Ask{Seed: 1}},
		{"own_sequence", Deployment{Deployment: spillway.Deployment{Name: "p", Model: "gpt-4o-mini", Kind: spillway.Provisioned, PTU: 20_000}}, Ask{}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			s := NewServer(bench.d, 1, start)
			ask := bench.ask
			ask.PromptTokens, ask.MaxTokens, ask.OutputTokens = 600, 4096, 220
			ids := make([]uint64, 2000)
			now, i := start, 0
			b.ReportAllocs()
			for b.Loop() {
				now = now.Add(time.Millisecond)
				s.Complete(now, ids[i], 220)
				if ask.Seed != 0 {
					ask.Seed++
				}
				v := s.Offer(now, ask)
				if v.Status != 200 {
					b.Fatalf("refused: %v", v.Reason)
				}
				ids[i] = v.Plan.ID
				if i++; i == len(ids) {
					i = 0
				}
			}
		})
	}
}

// TestOfferAllocatesNothing is the bound that the benchmark only reports.
func TestOfferAllocatesNothing(t *testing.T) {
	s := NewServer(small(), 1, start)
	now := start
	if n := testing.AllocsPerRun(1000, func() {
		now = now.Add(time.Second)
		v := s.Offer(now, Ask{PromptTokens: 100, MaxTokens: 100, OutputTokens: -1, Seed: uint64(now.Unix())})
		s.Complete(now, v.Plan.ID, v.Plan.OutputTokens)
	}); n != 0 {
		t.Errorf("%v allocations for one request, want none", n)
	}
}
