package report

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
)

// Tries as their names say. Times are such that a mistake shows.
func okTry() Try {
	return Try{
		Last: true, Status: 200, Outcome: spillway.OutcomeOK, Met: true,
		TTFT: 400 * time.Millisecond, TBT: 10 * time.Millisecond, E2E: 2 * time.Second, CallE2E: 2 * time.Second,
		PromptTokens: 400, CompletionTokens: 100, UsefulTokens: 100,
	}
}

func timeoutTry() Try {
	return Try{
		Status: 408, Outcome: spillway.OutcomeTimeout, E2E: 60 * time.Second, CallE2E: 60 * time.Second,
		PromptTokens: 400, CompletionTokens: 6000,
	}
}

// with changes a try.
func with(t Try, change func(*Try)) Try {
	change(&t)
	return t
}

func TestDefinitions(t *testing.T) {
	second := Totals{Duration: 2 * time.Second}
	for _, tc := range []struct {
		name   string
		tries  []Try
		totals Totals
		want   map[string]float64 // by key; one that is missing must be 0 or absent where checked
	}{
		{
			"one call, complete",
			[]Try{okTry()},
			second,
			map[string]float64{
				"rate_408": 0, "rate_429": 0, "complete_rate": 1, "truncated_rate": 0, "error_rate": 0, "offered": 1,
				"offered_rps": 0.5, "goodput_rps": 0.5, "attainment": 1, "completion_tokens_per_request": 100,
				"useful_tokens_per_request": 100, "retries_per_call": 0, "calls": 1, "requests": 1,
			},
		},
		{
			"408, then complete: one call of two tries",
			[]Try{
				timeoutTry(),
				with(okTry(), func(t *Try) { t.Retry, t.CallE2E = 1, 62500*time.Millisecond }),
			},
			second,
			map[string]float64{
				"rate_408": 0.5, "complete_rate": 1, "error_rate": 0, "offered": 1, "goodput_rps": 0.5, "attainment": 1,
				"completion_tokens_per_request": 6100, "useful_tokens_per_request": 100, "retries_per_call": 1,
				"calls": 1, "requests": 2, "e2e_ms.p50": 2000, "e2e_ms.p99": 60_000, "call_e2e_ms.p50": 62500,
			},
		},
		{
			"429 twice, given up",
			[]Try{
				{Status: 429, Outcome: spillway.OutcomeThrottled, E2E: time.Millisecond},
				{Status: 429, Outcome: spillway.OutcomeThrottled, Retry: 1, Last: true, CallE2E: time.Second},
				okTry(),
			},
			second,
			map[string]float64{
				"rate_429": 2.0 / 3, "complete_rate": 0.5, "error_rate": 0.5, "goodput_rps": 0.5, "attainment": 0.5,
				"completion_tokens_per_request": 50, "retries_per_call": 0.5, "calls": 2, "requests": 3,
			},
		},
		{
			"truncated is neither complete nor failed, and never good",
			[]Try{
				with(okTry(), func(t *Try) { t.Outcome = spillway.OutcomeTruncatedBudget }),
				with(okTry(), func(t *Try) { t.Outcome = spillway.OutcomeTruncatedDeadline }),
				with(okTry(), func(t *Try) { t.Outcome = spillway.OutcomeOKClientCap }),
				okTry(),
			},
			second,
			map[string]float64{
				"truncated_rate": 0.5, "complete_rate": 0.5, "error_rate": 0, "goodput_rps": 1, "attainment": 0.5,
				"ttft_ms.p50": 400, "tbt_ms.p50": 10,
			},
		},
		{
			"complete but too late is not good",
			[]Try{with(okTry(), func(t *Try) { t.Met = false })},
			second,
			map[string]float64{"complete_rate": 1, "goodput_rps": 0, "attainment": 0},
		},
		{
			"a failed try may say met: it means nothing",
			[]Try{with(timeoutTry(), func(t *Try) { t.Met, t.Last = true, true })},
			second,
			map[string]float64{"goodput_rps": 0, "error_rate": 1, "ttft_ms.p50": 0, "e2e_ms.p50": 60_000, "call_e2e_ms.p50": 60_000},
		},
		{
			"partial and gone are failures",
			[]Try{
				with(okTry(), func(t *Try) { t.Outcome = spillway.OutcomePartial }),
				with(okTry(), func(t *Try) { t.Outcome, t.Status = spillway.OutcomeClientGone, 0 }),
			},
			second,
			map[string]float64{"error_rate": 1, "complete_rate": 0, "goodput_rps": 0, "ttft_ms.p50": 0},
		},
		{
			"calls that never ended were offered too",
			[]Try{okTry()},
			Totals{Duration: time.Second, Offered: 4, OracleRPS: 2},
			map[string]float64{"offered": 4, "offered_rps": 4, "attainment": 0.25, "goodput_rps": 1, "oracle_ratio": 0.5, "complete_rate": 1},
		},
		{
			"spilled counts where another tier answered", []Try{
				with(okTry(), func(t *Try) { t.Spilled = true }), okTry(),
				with(timeoutTry(), func(t *Try) { t.Spilled, t.Last = true, true }), okTry(),
			}, second, map[string]float64{"spilled_rate": 0.25},
		},
		{
			"PTU for an hour, and tokens",
			[]Try{okTry(), with(okTry(), func(t *Try) { t.Met = false })},
			Totals{
				Duration: 30 * time.Minute, PTU: 100, PTUHourUSD: 2, PTUUtilization: 0.5, PTUUtilizationMax: 0.9, PTUMeterP95: 1.1,
				Standard: []Consumption{{Model: "gpt-4o-mini", Price: spillway.TokenPrice{Input: 0.15, Cached: 0.075, Output: 0.60}, Prompt: 2_000_000, Cached: 1_000_000, Completion: 1_000_000}},
			},
			map[string]float64{ // 100 USD, and 0.15 + 0.075 + 0.60, over two calls of which one is good
				"cost_usd_per_1k": 50_412.5, "cost_usd_per_1k_good": 100_825,
				"ptu_utilization": 0.5, "ptu_utilization_max": 0.9, "ptu_meter_p95": 1.1,
			},
		},
		{
			"data zones cost a tenth more; PTU the published hour", []Try{okTry()}, Totals{
				Duration: time.Hour, PTU: 15,
				Standard: []Consumption{{Model: "gpt-5-mini", Price: spillway.TokenPrice{Input: 0.275, Cached: 0.0275, Output: 2.20}, Prompt: 1_000_000}},
			}, map[string]float64{"cost_usd_per_1k": 15_275},
		},
		{"nothing at all", nil, Totals{}, map[string]float64{"offered": 0, "rate_408": 0, "attainment": 0, "goodput_rps": 0}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := NewCollector()
			for i := range tc.tries {
				c.Add(&tc.tries[i])
			}
			s := c.Finish("x", tc.totals)
			got := members(t, s)
			for key, want := range tc.want {
				tolerance := 1e-9
				if strings.Contains(key, "_ms.") {
					tolerance = 0.008 * want
				}
				if math.Abs(got[key]-want) > tolerance {
					t.Errorf("%s = %v, want %v", key, got[key], want)
				}
			}
			if sum := s.CompleteRate + s.TruncatedRate + s.ErrorRate; len(tc.tries) > 0 && math.Abs(sum-1) > 1e-9 {
				t.Errorf("complete, truncated and failed are %v of the calls", sum)
			}
		})
	}
}

// members reads a summary's JSON: its numbers by name, those of objects as
// "object.name".
func members(t *testing.T, s Summary) map[string]float64 {
	t.Helper()
	raw, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var tree map[string]any
	if err := json.Unmarshal(raw, &tree); err != nil {
		t.Fatal(err)
	}
	flat := make(map[string]float64)
	for k, v := range tree {
		switch v := v.(type) {
		case float64:
			flat[k] = v
		case map[string]any:
			for inner, number := range v {
				if f, ok := number.(float64); ok {
					flat[k+"."+inner] = f
				}
			}
		}
	}
	return flat
}

func TestAbsentMembers(t *testing.T) {
	c := NewCollector()
	c.Add(new(with(timeoutTry(), func(t *Try) { t.Last = true })))
	for _, totals := range []Totals{
		{},
		{Duration: time.Second, PTU: 1, Standard: []Consumption{{Model: "own", Prompt: 1}, {Model: "own", Prompt: 2}}},
	} {
		s := c.Finish("x", totals)
		raw, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		for _, member := range []string{"oracle_ratio", "cost_usd_per_1k", "cost_usd_per_1k_good", "ttft_ms", "tbt_ms", "bands"} {
			if strings.Contains(string(raw), `"`+member+`"`) {
				t.Errorf("%s is there without data: %s", member, raw)
			}
		}
		if totals.PTU > 0 && !slices.Equal(s.UnpricedModels, []string{"own"}) {
			t.Errorf("unpriced: %v", s.UnpricedModels)
		}
	}
}

func TestStatusesAndOutcomes(t *testing.T) {
	c := NewCollector()
	for _, status := range []int{200, 200, 408, 0, -5, 7_000} {
		c.Add(&Try{Status: status, Last: status == 408, Outcome: spillway.OutcomeTimeout})
	}
	s := c.Finish("x", Totals{})
	want := map[string]float64{"200": 2.0 / 6, "408": 1.0 / 6, "none": 3.0 / 6}
	if !reflect.DeepEqual(s.Statuses, want) {
		t.Errorf("statuses %v, want %v", s.Statuses, want)
	}
	if want := map[string]float64{"timeout": 1}; !reflect.DeepEqual(s.Outcomes, want) {
		t.Errorf("outcomes %v, want %v", s.Outcomes, want)
	}
}

// randomTry is any try at all.
func randomTry(r *rand.Rand) Try {
	e2e := time.Duration(r.ExpFloat64() * float64(time.Second))
	return Try{
		Retry: r.IntN(3), Last: r.IntN(4) > 0, Status: []int{200, 408, 429, 500}[r.IntN(4)],
		Outcome: spillway.Outcomes()[r.IntN(len(spillway.Outcomes()))], Met: r.IntN(2) == 0, Spilled: r.IntN(3) == 0,
		TTFT: e2e / 3, TBT: e2e / 200, E2E: e2e, CallE2E: 2 * e2e,
		CompletionTokens: r.IntN(8000), UsefulTokens: r.IntN(2000),
	}
}

func TestAddDoesNotAllocate(t *testing.T) {
	c, try := NewCollector(), okTry()
	if n := testing.AllocsPerRun(100, func() { c.Add(&try) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkAdd(b *testing.B) {
	r := rand.New(rand.NewPCG(5, 6))
	tries := make([]Try, 4096)
	for i := range tries {
		tries[i] = randomTry(r)
		if i%20 > 0 {
			tries[i].Outcome, tries[i].Last = spillway.OutcomeOK, true
		}
	}
	c, i := NewCollector(), 0
	b.ReportAllocs()
	for b.Loop() {
		c.Add(&tries[i&4095])
		i++
	}
}
