package report

import "github.com/spillway-ai/spillway/internal/svg"

// plotLatency draws four distributions as their 50th, 95th and 99th
// percentiles, each on a logarithmic axis of its own.
func plotLatency(policies []Summary) string {
	panels := []struct {
		title string
		at    func(*Summary) Percentiles
	}{
		{"First token (TTFT)", func(s *Summary) Percentiles { return s.TTFT }},
		{"Between tokens (TBT), mean of a response", func(s *Summary) Percentiles { return s.TBT }},
		{"Response (E2E)", func(s *Summary) Percentiles { return s.E2E }},
		{"Call, with retries and waits", func(s *Summary) Percentiles { return s.CallE2E }},
	}
	const gap, top, room = 30.0, 34.0, 58.0
	block := top + rowHeight*float64(len(policies)) + 36
	d := svg.New(plotWidth, 2*block-8, "latency", "Latency percentiles by policy",
		"For each policy the 50th, 95th and 99th percentile of time to first token, time between tokens, response and call, on logarithmic axes.")
	width := (plotWidth - gutter - gap) / 2.0
	for k, kind := range panels {
		p := panel{left: gutter + float64(k%2)*(width+gap), top: top + float64(k/2)*block}
		p.right = p.left + width - room
		p.bottom = p.top + rowHeight*float64(len(policies))
		if k%2 == 0 {
			p.names(d, policies)
		}
		var values []float64
		for i := range policies {
			q := kind.at(&policies[i])
			values = append(values, q.P50, q.P95, q.P99)
		}
		x := logScale(values).over(p.left, p.right)
		p.grid(d, kind.title, x, formatMillisTick)
		for i := range policies {
			drawPercentiles(d, x, p.row(i), kind.at(&policies[i]))
		}
	}
	return d.End()
}

// drawPercentiles draws one policy's range; without data it says so.
func drawPercentiles(d *svg.Drawing, x scale, y float64, q Percentiles) {
	if q == (Percentiles{}) {
		d.Text(x.a, y+4, "value", "no data")
		return
	}
	d.Line(x.at(q.P50), y, x.at(q.P99), y, "range")
	d.Circle(x.at(q.P50), y, 4.5, "p50", "p50 "+formatMillis(q.P50))
	d.Circle(x.at(q.P95), y, 3.5, "p95", "p95 "+formatMillis(q.P95))
	d.Circle(x.at(q.P99), y, 5, "p99", "p99 "+formatMillis(q.P99))
	d.Text(x.at(q.P99)+10, y+4, "value", formatMillis(q.P99))
}

// formatMillisTick writes an axis's time without useless decimals.
func formatMillisTick(ms float64) string {
	if ms >= 1000 {
		return formatNumber(ms/1000) + " s"
	}
	return formatNumber(ms) + " ms"
}
