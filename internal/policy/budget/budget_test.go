package budget_test

import (
	"math"
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/policy/budget"
	"pgregory.net/rapid"
)

const ms = time.Millisecond

// incident is a synchronous request on gpt-4o-mini that was just accepted: at
// the 99th percentile 30.4 ms per token, at best 5 ms.
func incident(mode spillway.BudgetMode, ask int) budget.Input {
	return budget.Input{
		Rule:        spillway.BudgetRule{Mode: mode},
		HasDeadline: true,
		Left:        60 * time.Second,
		Window:      60 * time.Second,
		Ask:         ask,
		TTFT:        300 * ms,
		TBT:         30400 * time.Microsecond,
		FastTTFT:    100 * ms,
		FastTBT:     5 * ms,
	}
}

// with changes an input for a table.
func with(in budget.Input, change func(*budget.Input)) budget.Input {
	change(&in)
	return in
}

func TestComputeModes(t *testing.T) {
	const (
		window  = spillway.BudgetWindow
		clamp   = spillway.BudgetClamp
		reject  = spillway.BudgetReject
		observe = spillway.BudgetObserve
		fits    = 1955  // (60 s − 0.3 s − 0.25 s) / 30.4 ms
		fastest = 11930 // (60 s − 0.1 s − 0.25 s) / 5 ms
	)
	noDeadline := func(in *budget.Input) { in.HasDeadline, in.Left, in.Window = false, 0, 0 }
	small := func(in *budget.Input) { in.MaxTokens = fits - 1 }
	fragile := func(in *budget.Input) { in.Fragile = true }
	clampFragile := func(in *budget.Input) { in.Fragile, in.Rule.ClampStructured = true, true }
	late := func(in *budget.Input) { in.Left = 560 * ms } // quantile: 10 ms left, 0 tokens; fastest: 42 tokens
	over := func(in *budget.Input) { in.Left = -ms }
	same := func(*budget.Input) {}

	tests := []struct {
		name   string
		mode   spillway.BudgetMode
		ask    int
		change func(*budget.Input)
		want   budget.Grant
	}{
		{"window sends the ask", window, 8000, same, budget.Grant{Tokens: 8000, Budget: fits, Bounded: true, Feasible: true}},
		{"window lowers the impossible", window, 20000, same, budget.Grant{Tokens: fastest, Lowered: true, Budget: fits, Bounded: true, Feasible: true}},
		{"window leaves no ask alone", window, 0, same, budget.Grant{Budget: fits, Bounded: true, Feasible: true}},
		{"clamp sets nothing that the model would refuse", clamp, 0, small, budget.Grant{Budget: fits, Bounded: true, Feasible: true}},
		{"clamp lowers an ask whatever the model takes", clamp, 8000, small, budget.Grant{Tokens: fits, Lowered: true, Budget: fits, Bounded: true, Feasible: true}},
		{"window goes on at the fastest", window, 8000, late, budget.Grant{Tokens: 42, Lowered: true, Budget: 0, Bounded: true, Feasible: true}},
		{"window gives up", window, 8000, over, budget.Grant{Bounded: true}},
		{"window without deadline", window, 8000, noDeadline, budget.Grant{Tokens: 8000, Feasible: true}},
		{"clamp lowers", clamp, 8000, same, budget.Grant{Tokens: fits, Lowered: true, Budget: fits, Bounded: true, Feasible: true}},
		{"clamp leaves what fits", clamp, 500, same, budget.Grant{Tokens: 500, Budget: fits, Bounded: true, Feasible: true}},
		{"clamp leaves what just fits", clamp, fits, same, budget.Grant{Tokens: fits, Budget: fits, Bounded: true, Feasible: true}},
		{"clamp sets what is unset", clamp, 0, same, budget.Grant{Tokens: fits, Lowered: true, Budget: fits, Bounded: true, Feasible: true}},
		{"clamp without deadline", clamp, 0, noDeadline, budget.Grant{Feasible: true}},
		{"clamp too late", clamp, 8000, late, budget.Grant{Bounded: true}},
		{"clamp leaves the fragile to window", clamp, 8000, fragile, budget.Grant{Tokens: 8000, Budget: fits, Bounded: true, Feasible: true}},
		{"clamp the fragile when told", clamp, 8000, clampFragile, budget.Grant{Tokens: fits, Lowered: true, Budget: fits, Bounded: true, Feasible: true}},
		{"reject", reject, 8000, same, budget.Grant{Budget: fits, Bounded: true, Feasible: true, Reject: true, FitTokens: fits}},
		{"reject lets pass", reject, fits, same, budget.Grant{Tokens: fits, Budget: fits, Bounded: true, Feasible: true}},
		{"reject sets what is unset", reject, 0, same, budget.Grant{Tokens: fits, Lowered: true, Budget: fits, Bounded: true, Feasible: true}},
		{"reject leaves the fragile to window", reject, 8000, fragile, budget.Grant{Tokens: 8000, Budget: fits, Bounded: true, Feasible: true}},
		{"reject too late is not the ask's fault", reject, 8000, late, budget.Grant{Bounded: true}},
		{"observe", observe, 8000, same, budget.Grant{Tokens: 8000, Budget: fits, Bounded: true, Observed: fits, Feasible: true}},
		{"observe what fits", observe, 500, same, budget.Grant{Tokens: 500, Budget: fits, Bounded: true, Observed: 500, Feasible: true}},
		{"observe no ask", observe, 0, same, budget.Grant{Budget: fits, Bounded: true, Observed: fits, Feasible: true}},
		{"observe late", observe, 8000, late, budget.Grant{Tokens: 8000, Bounded: true, Feasible: true}},
		{"observe over", observe, 8000, over, budget.Grant{Bounded: true}},
		{
			"clamp below what makes sense", clamp, 8000, func(in *budget.Input) { in.MinTokens = fits + 1 },
			budget.Grant{Budget: fits, Bounded: true},
		},
		{
			"clamp leaves an ask below that", clamp, 5, func(in *budget.Input) { in.MinTokens = 16 },
			budget.Grant{Tokens: 5, Budget: fits, Bounded: true, Feasible: true},
		},
		{"nothing learned about pace", clamp, 8000, func(in *budget.Input) { in.TBT = 0 }, budget.Grant{Tokens: 8000, Feasible: true}},
		{
			"fast figures that are slow do not count", window, 20000, func(in *budget.Input) { in.FastTTFT, in.FastTBT = time.Second, time.Second },
			budget.Grant{Tokens: fits, Lowered: true, Budget: fits, Bounded: true, Feasible: true},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := budget.Compute(with(incident(tt.mode, tt.ask), tt.change))
			if got != tt.want {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

func TestComputeFixedCap(t *testing.T) {
	const limit = 2000
	fixed := func(mode spillway.BudgetMode, ask int) budget.Input {
		in := incident(mode, ask)
		in.Rule.MaxOutputTokens = limit
		return in
	}
	tests := []struct {
		name     string
		in       budget.Input
		tokens   int
		rejected bool
		feasible bool
	}{
		{"clamp ignores the measured budget", fixed(spillway.BudgetClamp, 8000), limit, false, true},
		{"clamp sets what is unset", fixed(spillway.BudgetClamp, 0), limit, false, true},
		{"clamp leaves less", fixed(spillway.BudgetClamp, 100), 100, false, true},
		{"window is capped too", fixed(spillway.BudgetWindow, 8000), limit, false, true},
		{"window sets the cap", fixed(spillway.BudgetWindow, 0), limit, false, true},
		{"reject", fixed(spillway.BudgetReject, 8000), 0, true, true},
		{"observe", fixed(spillway.BudgetObserve, 8000), 8000, false, true},
		{"without deadline", with(fixed(spillway.BudgetClamp, 8000), func(in *budget.Input) { in.HasDeadline = false }), limit, false, true},
		{"streams keep the measured budget", with(fixed(spillway.BudgetClamp, 8000), func(in *budget.Input) { in.Stream = true }), 1955, false, true},
		{"streams without deadline are free", with(fixed(spillway.BudgetClamp, 8000), func(in *budget.Input) { in.Stream, in.HasDeadline = true, false }), 8000, false, true},
		{"fragile is not capped", with(fixed(spillway.BudgetClamp, 8000), func(in *budget.Input) { in.Fragile = true }), 8000, false, true},
		{"not in no time", with(fixed(spillway.BudgetClamp, 8000), func(in *budget.Input) { in.Left = 300 * ms }), 0, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := budget.Compute(tt.in)
			if got.Tokens != tt.tokens || got.Reject != tt.rejected || got.Feasible != tt.feasible {
				t.Errorf("got %+v, want tokens %d, rejected %v, feasible %v", got, tt.tokens, tt.rejected, tt.feasible)
			}
			if tt.in.Rule.Mode == spillway.BudgetObserve && got.Observed != limit {
				t.Errorf("observed %d, want %d", got.Observed, limit)
			}
		})
	}
}

func TestComputeHardCap(t *testing.T) {
	const limit = 2000
	hard := func(mode spillway.BudgetMode, ask int, change ...func(*budget.Input)) budget.Input {
		in := incident(mode, ask)
		in.Rule.MaxOutputTokens, in.Rule.HardCap, in.MaxTokens = limit, true, 16_384
		for _, c := range change {
			c(&in)
		}
		return in
	}
	stream := func(in *budget.Input) { in.Stream = true }
	fragile := func(in *budget.Input) { in.Fragile = true }
	noDeadline := func(in *budget.Input) { in.HasDeadline = false }
	choices := func(n int) func(*budget.Input) { return func(in *budget.Input) { in.Choices = n } }
	granted := func(tokens int) budget.Grant {
		return budget.Grant{Tokens: tokens, Lowered: true, Budget: tokens, Bounded: true, Fixed: true, Feasible: true}
	}
	rejected := func(fit int) budget.Grant {
		return budget.Grant{Budget: fit, Bounded: true, Fixed: true, Feasible: true, Reject: true, FitTokens: fit}
	}
	const (
		window  = spillway.BudgetWindow
		clamp   = spillway.BudgetClamp
		reject  = spillway.BudgetReject
		observe = spillway.BudgetObserve
	)
	tests := []struct {
		name string
		in   budget.Input
		want budget.Grant
	}{
		{"stream", hard(clamp, 8000, stream), granted(limit)},
		{"stream without ask", hard(clamp, 0, stream), granted(limit)},
		{"stream without deadline", hard(clamp, 8000, stream, noDeadline), granted(limit)},
		{"fragile", hard(clamp, 8000, fragile), granted(limit)},
		{"fragile stream in window", hard(window, 0, fragile, stream, noDeadline), granted(limit)},
		{"fragile in reject", hard(reject, 8000, fragile), rejected(limit)},
		{"stream in reject", hard(reject, 8000, stream), rejected(limit)},
		{
			"less stays as it is", hard(clamp, 400, choices(5)),
			budget.Grant{Tokens: 400, Budget: 400, Bounded: true, Fixed: true, Feasible: true},
		},
		{"choices share", hard(clamp, 8000, choices(3)), granted(666)},
		{"choices of a window share", hard(window, 0, choices(3), fragile), granted(666)},
		{"choices in reject", hard(reject, 700, choices(3)), rejected(666)},
		{"a token for each choice", hard(clamp, 8000, choices(limit)), granted(1)},
		{"more choices than tokens", hard(clamp, 0, choices(limit+1)), rejected(0)},
		{"more choices than tokens in window", hard(window, 1, choices(math.MaxInt), stream, fragile), rejected(0)},
		{"more choices than tokens in reject", hard(reject, 1, choices(limit+1)), rejected(0)},
		{
			"observe", hard(observe, 8000, stream, fragile, choices(4)),
			budget.Grant{Tokens: 8000, Budget: 500, Bounded: true, Fixed: true, Observed: 500, Feasible: true},
		},
		{"observe without ask", hard(observe, 0), budget.Grant{Budget: limit, Bounded: true, Fixed: true, Observed: limit, Feasible: true}},
		{
			"observe more choices than tokens", hard(observe, 8000, choices(limit+1)),
			budget.Grant{Tokens: 8000, Bounded: true, Fixed: true, Feasible: true},
		},
		{
			"the deployment's own limit where that is less", hard(clamp, 0, func(in *budget.Input) { in.MaxTokens = 1500 }),
			budget.Grant{Tokens: 1500, Lowered: true, Budget: limit, Bounded: true, Fixed: true, Feasible: true},
		},
		{"not in no time", hard(clamp, 8000, func(in *budget.Input) { in.Left = 300 * ms }), budget.Grant{Budget: limit, Bounded: true, Fixed: true}},
		{
			"of no cap", hard(clamp, 8000, stream, choices(3), func(in *budget.Input) { in.Rule.MaxOutputTokens = 0 }),
			budget.Grant{Tokens: 1955, Lowered: true, Budget: 1955, Bounded: true, Feasible: true},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := budget.Compute(tt.in); got != tt.want {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

func TestMargin(t *testing.T) {
	tests := []struct {
		rule, window, want time.Duration
	}{
		{0, 60 * time.Second, 250 * ms},
		{0, time.Second, 100 * ms},
		{0, 0, 250 * ms},
		{2 * time.Second, 60 * time.Second, 2 * time.Second},
		{2 * time.Second, 10 * time.Second, time.Second},
	}
	for _, tt := range tests {
		if got := budget.Margin(spillway.BudgetRule{Margin: tt.rule}, tt.window); got != tt.want {
			t.Errorf("Margin(%v, %v) = %v, want %v", tt.rule, tt.window, got, tt.want)
		}
	}
}

// drawInput draws any input, absurd ones included.
func drawInput(t *rapid.T) budget.Input {
	duration := func(label string) time.Duration {
		return time.Duration(rapid.Int64Range(0, int64(time.Minute)).Draw(t, label))
	}
	return budget.Input{
		Rule: spillway.BudgetRule{
			Mode:            spillway.BudgetMode(rapid.IntRange(0, 3).Draw(t, "mode")),
			MaxOutputTokens: rapid.SampledFrom([]int{0, 0, 1, 2000}).Draw(t, "fixed"),
			Margin:          rapid.SampledFrom([]time.Duration{0, time.Second}).Draw(t, "margin"),
			ClampStructured: rapid.Bool().Draw(t, "clampStructured"),
			HardCap:         rapid.Bool().Draw(t, "hardCap"),
		},
		HasDeadline: rapid.Bool().Draw(t, "hasDeadline"),
		Left:        duration("left") - time.Second,
		Window:      duration("window"),
		Ask:         rapid.SampledFrom([]int{0, 1, 500, 8000, math.MaxInt}).Draw(t, "ask"),
		Choices:     rapid.SampledFrom([]int{-1, 0, 1, 3, 128, 2001, math.MaxInt}).Draw(t, "choices"),
		MinTokens:   rapid.IntRange(0, 16).Draw(t, "min"),
		Stream:      rapid.Bool().Draw(t, "stream"),
		Fragile:     rapid.Bool().Draw(t, "fragile"),
		MaxTokens:   rapid.IntRange(0, 20_000).Draw(t, "max"),
		TTFT:        duration("ttft"),
		TBT:         duration("tbt") / 600,
		FastTTFT:    duration("fastTTFT"),
		FastTBT:     duration("fastTBT") / 600,
	}
}

func TestComputeProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawInput(t)
		g := budget.Compute(in)
		if g.Tokens < 0 || g.Budget < 0 || g.FitTokens < 0 {
			t.Fatalf("out of range: %+v", g)
		}
		if g.Tokens > 0 && in.Ask > 0 && g.Tokens > in.Ask {
			t.Fatalf("granted %d above the ask %d", g.Tokens, in.Ask)
		}
		sends := g.Feasible && !g.Reject
		if sends && !g.Lowered && in.Ask < math.MaxInt && g.Tokens != in.Ask {
			t.Fatalf("ask changed in silence: %+v", g)
		}
		if g.Lowered && (!sends || g.Tokens == 0 || in.Rule.Mode == spillway.BudgetObserve) {
			t.Fatalf("lowered: %+v", g)
		}
		if !sends && g.Tokens != 0 {
			t.Fatalf("tokens without a grant: %+v", g)
		}

		if fixed := in.Rule.MaxOutputTokens; fixed > 0 && in.Rule.HardCap && in.Rule.Mode != spillway.BudgetObserve && sends {
			if n := max(in.Choices, 1); g.Tokens == 0 || g.Tokens > fixed/n {
				t.Fatalf("%d tokens for each of %d choices exceed the hard cap of %d: %+v", g.Tokens, n, fixed, g)
			}
		}

		more := in
		more.Left += time.Duration(rapid.Int64Range(0, int64(time.Minute)).Draw(t, "more"))
		m := budget.Compute(more)
		if g.Feasible && !m.Feasible || m.Budget < g.Budget || m.Tokens < g.Tokens || m.Reject && g.Feasible && !g.Reject {
			t.Fatalf("more time, smaller grant: %+v with %v, %+v with %v", g, in.Left, m, more.Left)
		}
	})
}

func BenchmarkCompute(b *testing.B) {
	in := incident(spillway.BudgetClamp, 8000)
	b.ReportAllocs()
	for b.Loop() {
		budget.Compute(in)
	}
}
