package fleet

import (
	"math"
	"slices"
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
)

func TestTokenInstants(t *testing.T) {
	s := NewServer(small(), 5, start)
	for _, faults := range [][]Fault{nil, {{Kind: FaultStallAfterHeaders, AtToken: 40, After: time.Minute}}} {
		s.SetFaults(faults)
		p := s.Offer(start, Ask{OutputTokens: 300, MaxTokens: 300, Stream: true}).Plan
		if p.Headers >= p.TTFT || p.At(1) != p.TTFT {
			t.Fatalf("headers at %v, first token at %v, TTFT %v", p.Headers, p.At(1), p.TTFT)
		}
		for i := 2; i <= p.OutputTokens; i++ {
			if gap := p.At(i) - p.At(i-1); gap <= 0 {
				t.Fatalf("token %d comes %v after the one before", i, gap)
			}
		}
		for i := range p.OutputTokens + 1 {
			if got := p.TokensAt(p.At(i)); i > 0 && got != i {
				t.Fatalf("%d tokens at the instant of token %d", got, i)
			}
		}
		if got := p.TokensAt(p.At(1) - 1); got != 0 {
			t.Errorf("%d tokens before the first", got)
		}
		if p.End != p.At(300) || p.TokensAt(time.Hour) != 300 {
			t.Errorf("ends at %v with %d tokens", p.End, p.TokensAt(time.Hour))
		}
		stall := time.Duration(0)
		if faults != nil {
			stall = time.Minute
			if got := p.At(41) - p.At(40); got < time.Minute {
				t.Errorf("stall of %v", got)
			}
		}
		mean := (p.At(300) - p.At(1) - stall).Seconds() / 299
		if math.Abs(mean/p.TBT.Seconds()-1) > 0.01 {
			t.Errorf("mean gap %.6f, TBT %v", mean, p.TBT)
		}
	}
}

// The per-request mean TBT is lognormal with the configured mean; TTFT is
// lognormal with the configured median.
func TestServiceTimes(t *testing.T) {
	d := standard(0, 0)
	d.Service = Service{TBTMean: 9 * time.Millisecond, TBTSigma: 0.5, TTFT: 300 * time.Millisecond, TTFTSigma: 0.6}
	s := NewServer(d, 9, start)
	var tbt, ttft []float64
	sum := 0.0
	const n = 40_000
	for range n {
		p := s.Offer(start, Ask{PromptTokens: 2500, OutputTokens: 10}).Plan
		s.Complete(start, p.ID, 10)
		tbt = append(tbt, p.TBT.Seconds())
		ttft = append(ttft, p.TTFT.Seconds())
		sum += p.TBT.Seconds()
	}
	slices.Sort(tbt)
	slices.Sort(ttft)
	for _, c := range []struct {
		name      string
		got, want float64
	}{
		{"mean TBT", sum / n, 0.009},
		{"p99 TBT", tbt[n*99/100], 0.009 * math.Exp(2.326*0.5-0.125)},
		{"median TTFT", ttft[n/2], 0.3 + 0.1},
		{"p95 TTFT", ttft[n*95/100], 0.3*math.Exp(1.645*0.6) + 0.1},
	} {
		if math.Abs(c.got/c.want-1) > 0.03 {
			t.Errorf("%s %.5f, want %.5f", c.name, c.got, c.want)
		}
	}
}

func TestOutputLength(t *testing.T) {
	reasoner := standard(0, 0)
	reasoner.Reasoning = true
	for _, tc := range []struct {
		name              string
		d                 Deployment
		ask               Ask
		tokens, reasoning int
		finish            spillway.Finish
	}{
		{"asked", standard(0, 0), Ask{OutputTokens: 70, MaxTokens: 100}, 70, 0, spillway.FinishStop},
		{"to the limit", standard(0, 0), Ask{OutputTokens: 100, MaxTokens: 100}, 100, 0, spillway.FinishStop},
		{"limited", standard(0, 0), Ask{OutputTokens: 101, MaxTokens: 100}, 100, 0, spillway.FinishLength},
		{"model's limit", standard(0, 0), Ask{OutputTokens: 20_000}, 16_384, 0, spillway.FinishLength},
		{"prefill", standard(0, 0), Ask{OutputTokens: 5, Prefill: true}, 0, 0, spillway.FinishStop},
		{"hidden", reasoner, Ask{OutputTokens: 70, ReasoningTokens: 30}, 100, 30, spillway.FinishStop},
		{"hidden only", reasoner, Ask{OutputTokens: 70, ReasoningTokens: 30, MaxTokens: 20}, 20, 20, spillway.FinishLength},
		{"not hidden", standard(0, 0), Ask{OutputTokens: 70, ReasoningTokens: -1}, 70, 0, spillway.FinishStop},
	} {
		p := NewServer(tc.d, 1, start).Offer(start, tc.ask).Plan
		if p.OutputTokens != tc.tokens || p.ReasoningTokens != tc.reasoning || p.Finish != tc.finish {
			t.Errorf("%s: got %d (%d hidden), %v", tc.name, p.OutputTokens, p.ReasoningTokens, p.Finish)
		}
	}
	s := NewServer(standard(0, 0), 1, start)
	var drawn []int
	for range 2001 {
		drawn = append(drawn, s.Offer(start, Ask{OutputTokens: -1}).Plan.OutputTokens)
	}
	slices.Sort(drawn)
	if m := drawn[1000]; m < 200 || m > 240 {
		t.Errorf("median drawn length %d", m)
	}
}

func TestCompletionWindow(t *testing.T) {
	d := small()
	d.MeterDepth = time.Hour
	d.Service.TBTSigma = 1e-9
	for _, tc := range []struct {
		name   string
		window time.Duration
		stream bool
		status int
		end    time.Duration // 0: whatever it takes
	}{
		{"synchronous", 0, false, 408, time.Minute},
		{"own window", 10 * time.Second, false, 408, 10 * time.Second},
		{"no window", -1, false, 200, 0},
		{"stream", 0, true, 200, 0},
	} {
		d.CompletionWindow = tc.window
		p := NewServer(d, 1, start).Offer(start, Ask{OutputTokens: 16_000, Stream: tc.stream}).Plan
		if p.Status != tc.status || tc.end > 0 && p.End != tc.end || tc.end == 0 && p.End < time.Minute {
			t.Errorf("%s: %d at %v", tc.name, p.Status, p.End)
		}
	}
}

func TestPromptCache(t *testing.T) {
	s := NewServer(small(), 1, start)
	for i, st := range []struct {
		at     time.Duration
		hash   uint64
		prompt int
		cached int
	}{
		{0, 1, 1500, 0},
		{time.Second, 1, 1500, 1408}, // 1024 + 3·128
		{time.Second, 1, 1100, 1024},
		{time.Second, 1, 1023, 0},
		{time.Second, 2, 1500, 0},
		{time.Second, 1, 3000, 1408}, // steps 1 and 2 only knew that much
		{time.Second, 1, 3000, 2944},
		{time.Hour, 1, 1500, 0}, // forgotten
	} {
		v := s.Offer(at(st.at), Ask{PromptTokens: st.prompt, MaxTokens: 1, Prefix: PrefixChain(st.hash, st.prompt)})
		if v.Plan.CachedTokens != st.cached {
			t.Errorf("step %d: %d cached tokens, want %d", i, v.Plan.CachedTokens, st.cached)
		}
	}
}
