package fleet

import (
	"testing"
	"time"
)

func TestFaultEffects(t *testing.T) {
	plain := NewServer(small(), 1, start).Offer(start, Ask{OutputTokens: 10, Seed: 5}).Plan
	for _, tc := range []struct {
		name  string
		fault Fault
		check func(v Verdict) bool
	}{
		{"408", Fault{Kind: FaultStatus408}, func(v Verdict) bool { return v.Status == 408 && v.Delay == time.Minute }},
		{"408 early", Fault{Kind: FaultStatus408, After: time.Second}, func(v Verdict) bool { return v.Delay == time.Second }},
		{"429", Fault{Kind: FaultStatus429}, func(v Verdict) bool { return v.Status == 429 && v.RetryAfter == time.Second }},
		{"500", Fault{Kind: FaultStatus5xx}, func(v Verdict) bool { return v.Status == 500 && v.Delay == 0 }},
		{"503", Fault{Kind: FaultStatus5xx, Status: 503}, func(v Verdict) bool { return v.Status == 503 }},
		{"stall before headers", Fault{Kind: FaultStallBeforeHeaders, After: time.Second}, func(v Verdict) bool {
			return v.Plan.Headers == plain.Headers+time.Second && v.Plan.At(1) == plain.At(1)+time.Second
		}},
		{"stall after headers", Fault{Kind: FaultStallAfterHeaders, After: time.Second}, func(v Verdict) bool {
			return v.Plan.Headers == plain.Headers && v.Plan.At(1) == plain.At(1)+time.Second
		}},
		{"stall for ever", Fault{Kind: FaultStallAfterHeaders, AtToken: 3}, func(v Verdict) bool {
			return v.Plan.At(3) == plain.At(3) && v.Plan.At(4) > Forever && v.Plan.Status == 408
		}},
		{"reset", Fault{Kind: FaultReset, AtToken: 2}, func(v Verdict) bool {
			at, ok := v.Plan.BreakAt()
			return ok && at == plain.At(2) && v.Plan.Break.Kind == BreakReset
		}},
		{"slow", Fault{Kind: FaultSlow, Factor: 3}, func(v Verdict) bool {
			return (v.Plan.TBT-3*plain.TBT).Abs() < 3 && (v.Plan.TTFT-3*plain.TTFT).Abs() < 3
		}},
		{"cut", Fault{Kind: FaultCutStream, AtToken: 4}, func(v Verdict) bool { return v.Plan.Break == Break{BreakCut, 4} }},
		{"malformed", Fault{Kind: FaultMalformedStream}, func(v Verdict) bool { return v.Plan.Break == Break{BreakMalformed, 0} }},
		{"missing usage", Fault{Kind: FaultMissingUsage}, func(v Verdict) bool { return v.Plan.NoUsage }},
		{"absurd", Fault{Kind: FaultAbsurdRetryAfter}, func(v Verdict) bool { return v.Status == 429 && v.RetryAfter == 24*time.Hour }},
	} {
		s := NewServer(small(), 1, start)
		s.SetFaults([]Fault{tc.fault})
		v := s.Offer(start, Ask{OutputTokens: 10, Seed: 5})
		if !tc.check(v) {
			t.Errorf("%s: got %+v", tc.name, v)
		}
		if v.Status != 200 && (v.Reason != RefusedFault || s.State(start).Utilization != 0) {
			t.Errorf("%s: a refused request was charged, or for reason %q", tc.name, v.Reason)
		}
	}
}

func TestFaultSchedule(t *testing.T) {
	for _, tc := range []struct {
		name  string
		fault Fault
		at    time.Duration
		want  int
	}{
		{"always", Fault{}, time.Hour, 500},
		{"before", Fault{From: time.Minute}, 59 * time.Second, 200},
		{"begin", Fault{From: time.Minute}, time.Minute, 500},
		{"last", Fault{Until: time.Minute}, time.Minute - 1, 500},
		{"end", Fault{Until: time.Minute}, time.Minute, 200},
		{"deployment", Fault{Deployment: "p"}, 0, 500},
		{"other deployment", Fault{Deployment: "q"}, 0, 200},
		{"region", Fault{Region: "eastus"}, 0, 500},
		{"other region", Fault{Region: "westus"}, 0, 200},
	} {
		s := NewServer(small(), 1, start)
		tc.fault.Kind = FaultStatus5xx
		s.SetFaults([]Fault{tc.fault})
		if v := s.Offer(at(tc.at), Ask{}); v.Status != tc.want {
			t.Errorf("%s: status %d, want %d", tc.name, v.Status, tc.want)
		}
	}
}

func TestFaultProbability(t *testing.T) {
	s := NewServer(standard(0, 0), 1, start)
	s.SetFaults([]Fault{{Kind: FaultStatus5xx, Probability: 0.25}})
	for range 4000 {
		s.Offer(start, Ask{})
	}
	if n := s.State(start).Counts.Faulted; n < 900 || n > 1100 {
		t.Errorf("%d of 4000 struck, want about 1000", n)
	}
}

func TestFaultKindNames(t *testing.T) {
	for k := range FaultKind(faultKindsEnd) {
		if got, err := ParseFaultKind(k.String()); err != nil || got != k {
			t.Errorf("%v parses as %v, %v", k, got, err)
		}
	}
	if _, err := ParseFaultKind("gremlin"); err == nil {
		t.Error("gremlin is a kind")
	}
}
