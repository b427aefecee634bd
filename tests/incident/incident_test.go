// Package incident holds the claims that Spillway makes about the reference
// incident, as tests: in virtual time, and on demand in real time.
package incident

import (
	"testing"
	"time"

	"github.com/spillway-ai/spillway/internal/lab/fleet"
	"github.com/spillway-ai/spillway/internal/lab/report"
	"github.com/spillway-ai/spillway/internal/lab/setup"
	"github.com/spillway-ai/spillway/internal/lab/whatif"
	"github.com/spillway-ai/spillway/internal/lab/workload"
)

// study is the incident at a tenth of its size, with a fleet that change may
// alter first.
func study(tb testing.TB, change func(*fleet.Config)) *whatif.Study {
	tb.Helper()
	f, err := setup.IncidentFleet(scale)
	if err != nil {
		tb.Fatal(err)
	}
	if change != nil {
		change(&f)
	}
	policies, err := setup.IncidentPolicies(scale)
	if err != nil {
		tb.Fatal(err)
	}
	return &whatif.Study{
		Fleet: f, Client: fleet.OpenAISDK(), Policies: policies, Seeds: []uint64{1},
		Objective: whatif.Objective{Window: setup.IncidentWindow},
		OpenWorkload: func(seed uint64) (workload.Source, error) {
			return workload.Generate(workload.Incident(scale), seed)
		},
	}
}

// run returns the figures of each policy by its name.
func run(tb testing.TB, s *whatif.Study) map[string]report.Summary {
	tb.Helper()
	c, err := s.Run(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	out := map[string]report.Summary{}
	for _, p := range c.Policies {
		out[p.Name] = p
		tb.Logf("%-10s 408 %.4f%% 429 %.4f%% truncated %.2f%% tokens %.0f (%.0f useful) e2e p99 %.1f s, %s",
			p.Name, 100*p.Rate408, 100*p.Rate429, 100*p.TruncatedRate, p.CompletionTokensPerRequest, p.UsefulTokensPerRequest,
			p.E2E.P99/1000, report.Verdict(c.Policies[0], p))
	}
	return out
}

// eachRelease runs a test with streams that release single tokens, and with
// streams that release batches as the model does by default.
func eachRelease(t *testing.T, test func(t *testing.T, released func(*fleet.Config))) {
	t.Helper()
	for name, chunkTokens := range map[string]int{"single": 1, "batches": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, func(f *fleet.Config) {
				for i := range f.Deployments {
					f.Deployments[i].ChunkTokens = chunkTokens
				}
			})
		})
	}
}

// within fails the test unless low ≤ got ≤ high.
func within(t *testing.T, what string, got, low, high float64) {
	t.Helper()
	if got < low || got > high {
		t.Errorf("%s is %.5g, want %.5g to %.5g", what, got, low, high)
	}
}

// The claims, with the bounds that the reference figures allow.
func TestClaims(t *testing.T) { eachRelease(t, testClaims) }

func testClaims(t *testing.T, released func(*fleet.Config)) {
	of := run(t, study(t, released))
	base, capped, measured := of["baseline"], of["cap-2000"], of["measured"]
	window, spill, all := of["window"], of["spill-only"], of["all"]
	saved := func(p report.Summary) float64 {
		return p.CompletionTokensPerRequest/base.CompletionTokensPerRequest - 1
	}

	within(t, "408s of the baseline", base.Rate408, 0.014, 0.026)
	within(t, "its PTU utilization", *base.PTUUtilization, 0.5, 0.85)

	within(t, "408s of the cap", capped.Rate408, 0, 0.0005)
	within(t, "429s of the cap", capped.Rate429, 0, 0.0001)
	within(t, "tokens that the cap saves", saved(capped), -0.68, -0.55)

	within(t, "errors of the measured cap", measured.Rate408+measured.Rate429, 0, capped.Rate408+capped.Rate429+0.00001)
	within(t, "its tokens against the cap's", measured.CompletionTokensPerRequest/capped.CompletionTokensPerRequest, 0.9, 1.1)
	within(t, "its truncation against the cap's", measured.TruncatedRate/capped.TruncatedRate, 0.9, 1.1)

	within(t, "errors of the window", window.Rate408+window.Rate429, 0, capped.Rate408+capped.Rate429+0.00001)
	within(t, "its truncation against the cap's", window.TruncatedRate/capped.TruncatedRate, 0, 0.5)
	within(t, "its tokens against the cap's", window.CompletionTokensPerRequest/capped.CompletionTokensPerRequest, 1.1, 3)
	within(t, "its share of the oracle's goodput", *window.OracleRatio, 0.98, 1)

	// The requests that time out are the same. Half of the baseline's 408s are repeats by
	// SDKs, which the gateway tells not to repeat what times out.
	within(t, "408s of spillover alone, against the baseline's", spill.Rate408/base.Rate408, 0.45, 0.6)

	within(t, "errors of everything", all.Rate408+all.Rate429, 0, 0.0002)
	within(t, "tokens that everything saves", saved(all), -0.68, -0.55)
	within(t, "how many times better its p99 is", base.E2E.P99/all.E2E.P99, 3, 100)

	for name, p := range of {
		within(t, name+": share of the oracle's goodput", *p.OracleRatio, 0, 1)
	}
}

// A measured cap follows the fleet; a chosen one does not.
func TestMeasuredFollowsTheFleet(t *testing.T) { eachRelease(t, testMeasuredFollowsTheFleet) }

func testMeasuredFollowsTheFleet(t *testing.T, released func(*fleet.Config)) {
	at := func(factor float64) map[string]report.Summary {
		s := study(t, func(f *fleet.Config) {
			released(f)
			for i := range f.Deployments {
				sv := &f.Deployments[i].Service
				sv.TBTMean = time.Duration(float64(sv.TBTMean) * factor)
			}
		})
		s.Policies, s.NoOracle = s.Policies[1:3], true
		return run(t, s)
	}
	normal, slow, fast := at(1), at(1.6), at(0.6)
	within(t, "408s of the measured cap on a slow fleet", slow["measured"].Rate408, 0, 0.0005)
	if slow["cap-2000"].Rate408 < 0.0005 {
		t.Errorf("the fixed cap is as good on a slow fleet (408: %.4f%%): the test shows nothing", 100*slow["cap-2000"].Rate408)
	}
	tokens := func(of map[string]report.Summary) float64 { return of["measured"].UsefulTokensPerRequest }
	if !(tokens(slow) < tokens(normal) && tokens(normal) < tokens(fast)) {
		t.Errorf("tokens delivered by the measured cap: slow %.0f, normal %.0f, fast %.0f; want them to rise",
			tokens(slow), tokens(normal), tokens(fast))
	}
}

// Reservations of tokens that are never written make 429s on a meter that is
// shallow, at the same real work; no policy but the baseline has any.
func TestDepthBand(t *testing.T) { eachRelease(t, testDepthBand) }

func testDepthBand(t *testing.T, released func(*fleet.Config)) {
	s := study(t, released)
	s.NoOracle, s.DepthPolicies = true, []whatif.Policy{s.Policies[0], s.Policies[5]}
	s.Policies = s.Policies[:1]
	for _, seconds := range []int{10, 30, 60, 120} {
		s.Depths = append(s.Depths, time.Duration(seconds)*time.Second)
	}
	c, err := s.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := map[float64][2]float64{10: {0.15, 0.35}, 30: {0.03, 0.15}, 60: {0, 0.01}, 120: {0, 0.001}}
	for _, d := range c.Depths {
		t.Logf("%3.0f s: baseline 429 %.2f%%, all %.4f%%", d.Seconds, 100*d.Policies[0].Rate429, 100*d.Policies[1].Rate429)
		within(t, "429s of the baseline", d.Policies[0].Rate429, want[d.Seconds][0], want[d.Seconds][1])
		within(t, "errors of everything", d.Policies[1].Rate408+d.Policies[1].Rate429, 0, 0.0002)
	}
}

// The public trace at a tenth of the size is another run of the same workload:
// generation agrees with it.
func TestEqualSeedsEqualFigures(t *testing.T) {
	a, b := study(t, nil), study(t, nil)
	for _, s := range []*whatif.Study{a, b} {
		s.Policies, s.NoOracle = s.Policies[5:], true
	}
	x, y := run(t, a)["all"], run(t, b)["all"]
	if x.Rate408 != y.Rate408 || x.CompletionTokensPerRequest != y.CompletionTokensPerRequest || x.E2E != y.E2E || x.CallE2E != y.CallE2E {
		t.Errorf("one seed, two results:\n%+v\n%+v", x, y)
	}
}
