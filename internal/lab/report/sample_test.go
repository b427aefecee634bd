package report

import "testing"

// sample is an invented comparison of the six policies of the incident, for
// the looks of things: only its order of magnitude is meant.
func sample(t testing.TB, seeds int) Comparison {
	t.Helper()
	rows := []struct {
		name                            string
		r408, r429, truncated, failed   float64
		goodput, made, useful, retries  float64
		ttft, tbt, e2e, call            Percentiles
		busy, meter, spilled, usd, good float64
		oracle                          float64
	}{
		{
			"baseline", 0.0193, 0.004, 0, 0.0113, 884.2, 279, 186, 0.0231,
			Percentiles{361, 1015, 1560},
			Percentiles{8.3, 20.7, 30.6},
			Percentiles{740, 6210, 52_600},
			Percentiles{751, 6640, 180_900},
			0.79, 1.02, 0, 0.988, 0.999, 0.994,
		},
		{
			"cap-2000", 0.00017, 0, 0.0206, 0.00004, 879.1, 106, 104, 0.00018,
			Percentiles{322, 890, 1390},
			Percentiles{7.6, 18.8, 27.5},
			Percentiles{664, 4650, 14_100},
			Percentiles{664, 4660, 14_200},
			0.52, 0.61, 0, 0.988, 1.011, 0.989,
		},
		{
			"measured", 0.00018, 0, 0.0205, 0.00004, 879.2, 107, 105, 0.00019,
			Percentiles{322, 891, 1391},
			Percentiles{7.6, 18.8, 27.6},
			Percentiles{664, 4660, 14_300},
			Percentiles{664, 4670, 14_400},
			0.52, 0.62, 0, 0.988, 1.011, 0.989,
		},
		{
			"window", 0.00012, 0.0021, 0.0087, 0.00003, 889.9, 191, 190, 0.0022,
			Percentiles{340, 950, 1480},
			Percentiles{8.1, 20.0, 29.5},
			Percentiles{702, 5820, 58_900},
			Percentiles{705, 5890, 59_000},
			0.68, 0.93, 0, 0.988, 0.999, 0.997,
		},
		{
			"spill-only", 0.0195, 0, 0, 0.0109, 884.9, 281, 187, 0.0196,
			Percentiles{360, 1020, 1570},
			Percentiles{8.3, 20.8, 30.9},
			Percentiles{739, 6220, 52_900},
			Percentiles{745, 6530, 180_800},
			0.78, 0.97, 0.0041, 0.991, 1.003, 0.995,
		},
		{
			"all", 0.000098, 0, 0.0189, 0.00002, 881.0, 112, 111, 0.0001,
			Percentiles{322, 889, 1388},
			Percentiles{7.6, 18.8, 27.5},
			Percentiles{664, 4660, 14_200},
			Percentiles{664, 4660, 14_300},
			0.53, 0.6, 0.0002, 0.989, 1.010, 0.991,
		},
	}
	var policies []Summary
	for _, r := range rows {
		one := Summary{
			Name: r.name, Rate408: r.r408, Rate429: r.r429, TruncatedRate: r.truncated, ErrorRate: r.failed,
			CompleteRate: 1 - r.truncated - r.failed, Offered: 540_000, OfferedRPS: 900, GoodputRPS: r.goodput,
			Attainment: r.goodput / 900, OracleRatio: new(r.oracle),
			CompletionTokensPerRequest: r.made, UsefulTokensPerRequest: r.useful, RetriesPerCall: r.retries,
			SpilledRate: r.spilled, PTUUtilization: new(r.busy), PTUUtilizationMax: new(r.busy + 0.2), PTUMeterP95: new(r.meter),
			CostUSDPer1K: new(r.usd), CostUSDPer1KGood: new(r.good),
			TTFT: r.ttft, TBT: r.tbt, E2E: r.e2e, CallE2E: r.call,
			Statuses: map[string]float64{"200": 1 - r.r408 - r.r429, "408": r.r408, "429": r.r429},
			Outcomes: map[string]float64{"ok": 1 - r.truncated - r.failed, "truncated_budget": r.truncated, "timeout": r.failed},
			Calls:    540_000, Requests: int64(540_000 * (1 + r.retries)), Seed: 1, Seeds: 1, WallSeconds: 2.1,
		}
		var runs []Summary
		for i := range seeds {
			run := one
			shift := 1 + 0.03*float64(i-seeds/2)
			run.Rate408 *= shift
			run.Rate429 *= shift * shift
			run.TruncatedRate *= 1 + (shift-1)/3
			run.CompletionTokensPerRequest *= 1 + (shift-1)/4
			run.CallE2E.P99 *= 1 + (shift-1)/2
			runs = append(runs, run)
		}
		policies = append(policies, MergeSeeds(runs...))
	}
	c := NewComparison("Incident: 900 calls/s for 600 s, 3,200 PTU gpt-4o-mini (sample figures)", policies...)
	c.WallSeconds = 7.9
	sampleDepths(&c)
	sampleSweep(&c)
	return c
}

func sampleDepths(c *Comparison) {
	for _, d := range []struct{ seconds, r429 float64 }{{10, 0.26}, {30, 0.09}, {60, 0.004}, {90, 0.0006}, {120, 0}} {
		at := DepthOf(d.seconds, c.Policies...)
		at.Policies[0].Rate429 = d.r429
		at.Policies[0].Rate408 = 0.0193 * (1 - d.r429)
		at.Policies[1].Rate429 = d.r429 * d.r429 / 20
		at.Policies[2].Rate429 = d.r429 * d.r429 / 18
		at.Policies[3].Rate429 = d.r429 / 3
		c.Depths = append(c.Depths, at)
	}
}

func sampleSweep(c *Comparison) {
	for _, p := range []Point{
		{Value: 1000, Rate408: 0, TruncatedRate: 0.024, CompletionTokensPerRequest: 86, GoodputRPS: 875},
		{Value: 1500, Rate408: 0.00004, TruncatedRate: 0.0219, CompletionTokensPerRequest: 96, GoodputRPS: 877},
		{Value: 2000, Rate408: 0.00017, TruncatedRate: 0.0206, CompletionTokensPerRequest: 106, GoodputRPS: 879},
		{Value: 3000, Rate408: 0.0012, TruncatedRate: 0.0202, CompletionTokensPerRequest: 125, GoodputRPS: 879},
		{Value: 4000, Rate408: 0.0034, TruncatedRate: 0.0201, CompletionTokensPerRequest: 145, GoodputRPS: 879},
		{Value: 6000, Rate408: 0.0098, TruncatedRate: 0.0198, CompletionTokensPerRequest: 189, GoodputRPS: 880},
		{Value: 8000, Rate408: 0.019, TruncatedRate: 0, CompletionTokensPerRequest: 277, GoodputRPS: 884},
	} {
		p.Parameter, p.CostUSDPer1K = "cap", new(0.988)
		c.Sweep = append(c.Sweep, p)
	}
	for _, p := range []Point{
		{Value: 0.5, Rate408: 0.0097, TruncatedRate: 0.0114, CompletionTokensPerRequest: 201, GoodputRPS: 880},
		{Value: 0.9, Rate408: 0.0021, TruncatedRate: 0.0201, CompletionTokensPerRequest: 135, GoodputRPS: 879},
		{Value: 0.95, Rate408: 0.0009, TruncatedRate: 0.0203, CompletionTokensPerRequest: 119, GoodputRPS: 879},
		{Value: 0.99, Rate408: 0.00018, TruncatedRate: 0.0205, CompletionTokensPerRequest: 107, GoodputRPS: 879},
		{Value: 0.999, Rate408: 0.00001, TruncatedRate: 0.0221, CompletionTokensPerRequest: 95, GoodputRPS: 877},
	} {
		p.Parameter = "quantile"
		c.Sweep = append(c.Sweep, p)
	}
}
