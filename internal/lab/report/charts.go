package report

import (
	"github.com/spillway-ai/spillway/internal/chart"
	"github.com/spillway-ai/spillway/internal/numeral"
)

// names lists the policies, as rows of a chart.
func names(policies []Summary) chart.Axis {
	all := make([]string, len(policies))
	for i, s := range policies {
		all[i] = s.Name
	}
	return chart.Axis{Names: all}
}

// errorsChart shows the rates of 408, of 429 and of truncated calls beside
// each other, on one scale.
func errorsChart(policies []Summary) *chart.Chart {
	c := &chart.Chart{
		ID: "errors", Title: "Errors and truncation by policy", Columns: 3,
		Desc: "Bars of the share of tries that ended in 408 and in 429, and of calls whose answer was truncated, for each policy.",
	}
	most := 0.0
	for k, title := range []string{"408, share of tries", "429, share of tries", "Truncated, share of calls"} {
		bars := chart.Series{Mark: chart.Bars, Color: [...]chart.Color{chart.Bad, chart.Warn, chart.Hue(0)}[k]}
		for i, s := range policies {
			v := [...]float64{s.Rate408, s.Rate429, s.TruncatedRate}[k]
			most = max(most, v)
			bars.Points = append(bars.Points, chart.Point{X: v, Y: float64(i), Label: numeral.Share(v)})
		}
		c.Panels = append(c.Panels, chart.Panel{Title: title, Y: names(policies), Series: []chart.Series{bars}})
	}
	for i := range c.Panels {
		c.Panels[i].X = chart.Axis{Least: most, Format: formatShareTick}
	}
	return c
}

// tokensChart shows what is generated for a call: what the client gets, and
// what is thrown away.
func tokensChart(policies []Summary) *chart.Chart {
	got := chart.Series{Name: "the client got", Mark: chart.Bars, Color: chart.Good}
	wasted := chart.Series{Name: "wasted", Mark: chart.Bars, Color: chart.Soft}
	for i, s := range policies {
		made := s.CompletionTokensPerRequest
		useful := min(s.UsefulTokensPerRequest, made)
		label := unitTokens.format(made)
		if c := change(policies[0].CompletionTokensPerRequest, made); i > 0 && c != "" {
			label += "\u2002" + c
		}
		if made > 0 && (made-useful)/made >= 0.005 {
			label += "\u2002(" + unitTokens.format(made-useful) + " wasted)"
		}
		got.Points = append(got.Points, chart.Point{X: useful, Y: float64(i)})
		wasted.Points = append(wasted.Points, chart.Point{X: made - useful, Y: float64(i), Label: label})
	}
	return &chart.Chart{
		ID: "tokens", Title: "Completion tokens per call by policy",
		Desc: "Bars of the tokens generated for a call with all its retries, divided into those that the client got and those that were wasted.",
		Panels: []chart.Panel{{
			Title: "Completion tokens per call", Y: names(policies),
			Series: []chart.Series{got, wasted}, Stacked: true,
		}},
	}
}

// latencyChart shows four distributions as their 50th, 95th and 99th
// percentiles, each on an axis of its own.
func latencyChart(policies []Summary) *chart.Chart {
	c := &chart.Chart{
		ID: "latency", Title: "Latency percentiles by policy", Columns: 2,
		Desc: "For each policy the 50th, 95th and 99th percentile of time to first token, time between tokens, whole answer and whole call, on logarithmic axes.",
	}
	for k, title := range []string{
		"First token (TTFT)", "Between tokens (TBT), mean of an answer", "Whole answer (E2E)", "Call, with its retries and waits",
	} {
		var series []chart.Series
		dots := []chart.Series{
			{Name: "p50", Mark: chart.Dots, Color: chart.Hue(0)},
			{Name: "p95", Mark: chart.Dots, Color: chart.Hue(1)},
			{Name: "p99, with its value", Mark: chart.Dots, Color: chart.Hue(2)},
		}
		for i, s := range policies {
			q := [...]Percentiles{s.TTFT, s.TBT, s.E2E, s.CallE2E}[k]
			reach := chart.Series{Mark: chart.Range, Color: chart.Hue(0)}
			for j, v := range []float64{q.P50, q.P95, q.P99} {
				if v > 0 {
					point := chart.Point{X: v, Y: float64(i), Hint: formatMillis(v)}
					reach.Points = append(reach.Points, point)
					if j == 2 {
						point.Label = formatMillis(v)
					}
					dots[j].Points = append(dots[j].Points, point)
				}
			}
			if len(reach.Points) == 0 {
				reach = chart.Series{Mark: chart.Bars, Points: []chart.Point{{Y: float64(i), Label: "no data"}}}
			}
			series = append(series, reach)
		}
		c.Panels = append(c.Panels, chart.Panel{
			Title: title, Series: append(series, dots...),
			X: chart.Axis{Kind: chart.Log, Format: formatMillisTick}, Y: names(policies),
		})
	}
	return c
}

// frontierChart shows what a parameter trades: truncated responses against
// errors, with tokens as size. The compared policies are marked among its
// points.
func frontierChart(c Comparison) *chart.Chart {
	most := 1.0
	for _, q := range c.Sweep {
		most = max(most, q.CompletionTokensPerRequest)
	}
	var series []chart.Series
	for i, q := range c.Sweep {
		if i == 0 || q.Parameter != c.Sweep[i-1].Parameter {
			series = append(series, chart.Series{Name: q.Parameter, Color: chart.Hue(len(series))})
		}
		s, errors := &series[len(series)-1], q.Rate408+q.Rate429
		s.Points = append(s.Points, chart.Point{
			X: q.TruncatedRate, Y: errors, Size: max(q.CompletionTokensPerRequest/most, 1e-3), Label: formatValue(q.Value),
			Hint: q.Parameter + " " + formatValue(q.Value) + ": 408 + 429 " + numeral.Share(errors) + ", truncated " +
				numeral.Share(q.TruncatedRate) + ", " + unitTokens.format(q.CompletionTokensPerRequest) + " tokens per call",
		})
	}
	compared := chart.Series{Name: "compared policy", Mark: chart.Dots, Color: chart.Ink}
	for _, s := range c.Policies {
		compared.Points = append(compared.Points, chart.Point{
			X: s.TruncatedRate, Y: s.Rate408 + s.Rate429, Label: s.Name,
			Hint: s.Name + ": " + unitTokens.format(s.CompletionTokensPerRequest) + " tokens per call",
		})
	}
	return &chart.Chart{
		ID: "frontier", Title: "Frontier of errors and truncation",
		Desc: "Each circle is one value of a parameter: its share of truncated calls, its share of tries that ended in 408 or 429, and by its size the tokens generated for a call.",
		Panels: []chart.Panel{{
			X:      chart.Axis{Label: "truncated, share of calls", Kind: chart.LogZero, Format: formatShareTick},
			Y:      chart.Axis{Label: "408 + 429, share of tries", Kind: chart.LogZero, Format: formatShareTick},
			Series: append(series, compared), Height: 430,
		}},
	}
}

// depthChart shows the rates of 429 and 408 against the depth of the PTU
// meter, a line for each policy.
func depthChart(depths []Depth) *chart.Chart {
	c := &chart.Chart{
		ID: "depth", Title: "Errors by depth of the PTU meter", Columns: 2,
		Desc: "Lines of the share of 429 and of 408 against the depth of the provisioned throughput meter in seconds, for each policy, on logarithmic axes.",
	}
	for k, title := range []string{"429, share of tries", "408, share of tries"} {
		var series []chart.Series
		for _, d := range depths {
			for i, p := range d.Policies {
				if i == len(series) {
					series = append(series, chart.Series{Name: p.Name, Color: chart.Hue(i)})
				}
				rate := [...]float64{p.Rate429, p.Rate408}[k]
				series[i].Points = append(series[i].Points, chart.Point{
					X: d.Seconds, Y: rate, Hint: p.Name + ", " + formatSeconds(d.Seconds) + ": " + numeral.Share(rate),
				})
			}
		}
		c.Panels = append(c.Panels, chart.Panel{
			Title: title, Series: series,
			X: chart.Axis{Label: "depth of the meter: drain time that equals 100%", Kind: chart.Log, Format: formatSeconds},
			Y: chart.Axis{Kind: chart.LogZero, Format: formatShareTick},
		})
	}
	return c
}

func formatSeconds(s float64) string { return numeral.Exact(s) + " s" }

// formatShareTick writes an axis's share without useless decimals.
func formatShareTick(v float64) string {
	if v == 0 {
		return "0"
	}
	return numeral.Exact(100*v) + "%"
}

// formatMillisTick writes an axis's time without useless decimals.
func formatMillisTick(ms float64) string {
	if ms >= 1000 {
		return formatSeconds(ms / 1000)
	}
	return numeral.Exact(ms) + " ms"
}
