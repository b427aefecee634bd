package capacity

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/spillway-ai/spillway"
)

func TestMaxTokens(t *testing.T) {
	limit := func(tokens int) func(*Meter) {
		s := spillway.NoSignals()
		s.LimitTokens = tokens
		return func(m *Meter) {
			for range sureReports {
				m.Calibrate(epoch, s)
			}
		}
	}
	nothing := func(*Meter) {}
	for _, tc := range []struct {
		name    string
		d       spillway.Deployment
		learned func(*Meter)
		want    int // 0: not known
	}{
		{"standard, configured", standard(30_000, 0), nothing, 30_000},
		{"standard, lowered for a while", standard(30_000, 0), limit(1_000), 30_000},
		{"standard, a header above the configured limit", standard(30_000, 0), limit(90_000), 30_000},
		{"standard, learned", standard(0, 0), limit(20_000), 20_000},
		{"standard, learned anew", standard(0, 0), func(m *Meter) { limit(20_000)(m); limit(40_000)(m) }, 40_000},
		{"standard, restored", standard(0, 0), func(m *Meter) { m.Restore(time.Minute, State{LimitTokens: 7_000}) }, 7_000},
		{"standard, not known", standard(0, 0), nothing, 0},
		{"standard, limited by requests alone", standard(0, 60), nothing, 0},
		{"standard, a header of zero", standard(0, 0), limit(0), 0},
		{"provisioned, configured depth", ptu(30 * time.Second), nothing, 30_000},
		{"provisioned, unknown depth", ptu(0), nothing, 600_000}, // ten minutes at most
		{"provisioned, learned depth", ptu(0), func(m *Meter) { m.Restore(0, State{DepthSeconds: 20}) }, 600_000},
		{"provisioned, without PTUs", spillway.Deployment{Kind: spillway.Provisioned}, nothing, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := NewMeter(tc.d)
			tc.learned(m)
			if got := m.MaxTokens(); got != tc.want {
				t.Errorf("MaxTokens = %d, want %d", got, tc.want)
			}
			for _, c := range []struct {
				c    Cost
				want bool
			}{
				{Cost{}, true},
				{Cost{Prompt: tc.want}, true},
				{Cost{Prompt: tc.want + 1}, tc.want == 0},
				{Cost{Prompt: tc.want, Output: 1}, tc.want == 0},
				{Cost{Prompt: math.MaxInt, Output: math.MaxInt}, tc.want == 0},
				{Cost{Prompt: -5, Output: -5}, true},
			} {
				if got := m.Fits(c.c); got != c.want {
					t.Errorf("Fits(%+v) = %v, want %v", c.c, got, c.want)
				}
			}
		})
	}
}

// What fits counts in the meter's own units.
func TestFitsByKind(t *testing.T) {
	for _, tc := range []struct {
		name string
		d    spillway.Deployment
		c    Cost
		want bool
	}{
		{"standard: output counts once", standard(30_000, 0), Cost{Prompt: 20_000, Output: 10_000}, true},
		{"standard: one more", standard(30_000, 0), Cost{Prompt: 20_000, Output: 10_001}, false},
		{"standard: cached tokens count", standard(30_000, 0), Cost{Prompt: 30_001, Cached: 30_001}, false},
		{"provisioned: output counts four times", ptu(30 * time.Second), Cost{Prompt: 20_000, Output: 2_500}, true},
		{"provisioned: one more", ptu(30 * time.Second), Cost{Prompt: 20_000, Output: 2_501}, false},
		{"provisioned: cached tokens are free", ptu(30 * time.Second), Cost{Prompt: 40_000, Cached: 10_000}, true},
	} {
		if got := NewMeter(tc.d).Fits(tc.c); got != tc.want {
			t.Errorf("%s: Fits = %v, want %v", tc.name, got, tc.want)
		}
	}
}

// absurd is a figure that a client or a deployment may have made up.
var absurd = []int{0, 1, -1, 5_000, 1e9, 999_999_999, maxTokens - 1, maxTokens, maxTokens + 1, 1 << 53, math.MaxInt64, math.MaxInt64 - 1, math.MinInt64 + maxTokens, -1e9}

// No figure overflows: a request counts from nothing to the whole capacity.
func TestAbsurdCosts(t *testing.T) {
	for _, d := range []spillway.Deployment{
		ptu(0), ptu(time.Second), standard(10_000, 0), standard(0, 60), standard(0, 0),
		{Kind: spillway.Provisioned},
		{Kind: spillway.Provisioned, PTU: 1_000_000, InputTPMPerPTU: 60_000, OutputRatio: 100},
	} {
		for _, prompt := range absurd {
			for _, output := range absurd {
				for _, cached := range []int{0, 1, 1e9, math.MaxInt64, -1e9} {
					c := Cost{Prompt: prompt, Output: output, Cached: cached}
					m := NewMeter(d)
					size, larger := m.size(c), m.size(Cost{Prompt: maxTokens, Output: maxTokens})
					if size < 0 || size > larger {
						t.Fatalf("%+v weighs %d, want 0 to %d", c, size, larger)
					}
					if cached < 0 && size != m.size(Cost{Prompt: prompt, Output: output}) {
						t.Fatalf("%+v weighs %d, want what it does without cached tokens", c, size)
					}
					for range 3 {
						before := m.Level(epoch)
						r := m.Reserve(epoch, Demand{Cost: c, Tier: ""})
						reserved := m.Level(epoch)
						if reserved < before || reserved > before+1+1e-9 || m.Outstanding() < 0 {
							t.Fatalf("%+v: level %v after a reservation at %v; outstanding %v", c, reserved, before, m.Outstanding())
						}
						m.Settle(epoch, r, c)
						if got := m.Level(epoch); math.Abs(got-reserved) > 1e-9 || m.Outstanding() != 0 {
							t.Fatalf("%+v: level %v after it cost what was reserved, at %v; outstanding %v", c, got, reserved, m.Outstanding())
						}
					}
					m.PausedUntil(epoch, Demand{Cost: c, Tier: ""})
					m.Fits(c)
				}
			}
		}
	}
}

// figure is an ordinary or an absurd figure.
func figure(t *rapid.T, name string) int {
	if rapid.IntRange(0, 3).Draw(t, name+" is absurd") == 0 {
		return rapid.SampledFrom(absurd).Draw(t, name)
	}
	return rapid.IntRange(-10, 20_000).Draw(t, name)
}

// TestOneRequestOneCapacity: no request, whatever it asks for and whatever usage is
// reported of it, changes the level by more than the whole capacity, and nothing is
// outstanding when all have ended.
func TestOneRequestOneCapacity(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := NewMeter(rapid.SampledFrom([]spillway.Deployment{
			ptu(0), ptu(time.Second), standard(10_000, 0), standard(10_000, 1), standard(0, 0), {Kind: spillway.Provisioned},
		}).Draw(t, "deployment"))
		now := epoch
		var open []Reservation
		bounded := func(what string, step func()) {
			before := m.Level(now)
			step()
			if got := m.Level(now); got < 0 || math.IsNaN(got) || math.Abs(got-before) > 1+1e-9 {
				t.Fatalf("%s: level %v, before %v", what, got, before)
			}
			if got := m.Outstanding(); got < 0 || len(open) == 0 && got != 0 {
				t.Fatalf("%s: outstanding %v with %d reservations", what, got, len(open))
			}
		}
		finish := func(i int) {
			r := open[i]
			open = append(open[:i], open[i+1:]...)
			switch rapid.IntRange(0, 2).Draw(t, "how") {
			case 0:
				bounded("release", func() { m.Release(now, r) })
			case 1:
				bounded("refusal", func() { m.Refused(now, time.Second, r); m.Release(now, r) })
			default:
				c := Cost{Prompt: figure(t, "used prompt"), Cached: figure(t, "used cached"), Output: figure(t, "used output")}
				bounded("settlement", func() { m.Settle(now, r, c) })
			}
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 30_000).Draw(t, "ms")) * time.Millisecond)
			if len(open) > 0 && rapid.Bool().Draw(t, "end one") {
				finish(rapid.IntRange(0, len(open)-1).Draw(t, "which"))
				continue
			}
			c := Cost{Prompt: figure(t, "prompt"), Cached: figure(t, "cached"), Output: figure(t, "output")}
			bounded("reservation", func() { open = append(open, m.Reserve(now, Demand{Cost: c, Tier: ""})) })
		}
		for len(open) > 0 {
			finish(0)
		}
		if got := m.Outstanding(); got != 0 {
			t.Fatalf("outstanding %v after all have ended", got)
		}
	})
}

// TestNoRequestFillsMore: the same while headers and refusals move the limits: then
// too no request raises the level by more than the whole capacity.
func TestNoRequestFillsMore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := NewMeter(rapid.SampledFrom([]spillway.Deployment{ptu(0), standard(10_000, 60), standard(0, 0)}).Draw(t, "deployment"))
		now := epoch
		var open []Reservation
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 30_000).Draw(t, "ms")) * time.Millisecond)
			before, limited := m.Level(now), m.kind == spillway.Provisioned || m.standard.limit > 0
			switch rapid.IntRange(0, 4).Draw(t, "what") {
			case 0:
				s := spillway.NoSignals()
				s.Utilization = float64(rapid.IntRange(-1, 1_000_000).Draw(t, "percent")) / 100
				s.LimitTokens, s.RemainingTokens, s.RemainingRequests = figure(t, "limit"), figure(t, "remaining tokens"), figure(t, "remaining requests")
				m.Calibrate(now, s)
				limited = false // a header may say anything
			case 1:
				m.Refused(now, time.Duration(rapid.IntRange(1, 60_000).Draw(t, "wait"))*time.Millisecond, Reservation{})
				before += 1e-3 // whole units of another depth
			case 2, 3:
				open = append(open, m.Reserve(now, Demand{Cost: Cost{Prompt: figure(t, "prompt"), Output: figure(t, "output")}, Tier: ""}))
			default:
				if len(open) > 0 {
					m.Settle(now, open[0], Cost{Prompt: figure(t, "used prompt"), Output: figure(t, "used output")})
					open = open[1:]
				}
			}
			if got := m.Level(now); got < 0 || math.IsNaN(got) || limited && got > before*(1+1e-9)+1 {
				t.Fatalf("level %v, before %v", got, before)
			}
		}
		for _, r := range open {
			m.Release(now, r)
		}
		if m.Outstanding() != 0 || m.Level(now) < 0 {
			t.Fatalf("outstanding %v, level %v after all have ended", m.Outstanding(), m.Level(now))
		}
	})
}
