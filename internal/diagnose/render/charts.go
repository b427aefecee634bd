package render

import (
	"html/template"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/spillway-ai/spillway/internal/chart"
	"github.com/spillway-ai/spillway/internal/diagnose"
	"github.com/spillway-ai/spillway/internal/numeral"
)

// Bounds of what the charts show.
const (
	maxBars     = 240
	maxSeries   = 6
	leastPoints = 2 // a shorter series is not drawn
	paleBar     = 0.1
)

// plot is a chart with what it shows and how to read it.
type plot struct {
	Title, Caption string
	Chart          template.HTML
}

// plots draws what a reader checks first: what clients got over time, how long
// responses took by their length, and how deployments did.
func plots(data *diagnose.Charts) []plot {
	if data == nil {
		return nil
	}
	var all []plot
	add := func(id, title, caption string, p chart.Panel) {
		c := chart.Chart{ID: id, Title: title, Desc: caption, Panels: []chart.Panel{p}}
		all = append(all, plot{title, caption, c.HTML()})
	}
	add("status", "Failed tries", "Share of tries that failed, over time. Pale bars are of few tries.", outcomes(data))
	add("length", "Duration of responses, by length",
		"A darker cell holds more responses. Where a timeout hides the length, it is drawn at what the deployment writes in that time: the response would have been longer. Failures on the far right mean that responses are too long; failures spread over the chart have another cause.",
		lengths(data))
	if series := lines(data, data.Pace); len(series) > 0 {
		add("pace", "Time between tokens", "Mean per interval, by deployment.", chart.Panel{
			X: timeAxis(), Y: chart.Axis{Label: "ms between tokens"}, Series: series,
		})
	}
	if series := lines(data, data.Utilization); len(series) > 0 {
		add("utilization", "Utilization of provisioned deployments", "Mean per interval. At 100% the service refuses requests.", chart.Panel{
			X: timeAxis(), Y: chart.Axis{Label: "utilization", Least: 1, Format: numeral.Percent}, Series: series,
		})
	}
	return all
}

func timeAxis() chart.Axis { return chart.Axis{Kind: chart.Time, Label: "UTC"} }

// at is the time of an interval's beginning on the axis.
func at(c *diagnose.Charts, interval float64) float64 {
	return float64(c.Start.UnixMicro())/1e6 + interval*c.Interval.Seconds()
}

// outcomes is the share of failed tries over time. A bar is of several
// intervals where there are too many to distinguish.
func outcomes(c *diagnose.Charts) chart.Panel {
	series := []chart.Series{
		{Name: "408 or cut at the deadline", Mark: chart.Bars, Color: chart.Bad},
		{Name: "429: no capacity", Mark: chart.Bars, Color: chart.Warn},
		{Name: "other failures", Mark: chart.Bars, Color: chart.Soft},
	}
	width := max(1, (c.Intervals-1+maxBars)/maxBars)
	few := fewTries(c.Outcomes, width)
	for i := 0; i < len(c.Outcomes); {
		bar := c.Outcomes[i].Interval / width
		var sum diagnose.Outcomes
		for ; i < len(c.Outcomes) && c.Outcomes[i].Interval/width == bar; i++ {
			o := &c.Outcomes[i]
			sum.Tries, sum.Failed, sum.Late, sum.Refused = sum.Tries+o.Tries, sum.Failed+o.Failed, sum.Late+o.Late, sum.Refused+o.Refused
		}
		if sum.Tries <= 0 {
			continue
		}
		from, to := at(c, float64(bar*width)), at(c, float64(min((bar+1)*width, c.Intervals)))
		for k, n := range []float64{sum.Late, sum.Refused, sum.Failed - sum.Late - sum.Refused} {
			share := max(n, 0) / sum.Tries
			point := chart.Point{X: from, X1: to, Y: share, Hint: series[k].Name + ": " + numeral.Percent(share)}
			if sum.Tries < few {
				point.Size, point.Hint = paleBar, point.Hint+" of only "+numeral.Whole(sum.Tries)+" tries"
			}
			series[k].Points = append(series[k].Points, point)
		}
	}
	return chart.Panel{
		X: timeAxis(), Y: chart.Axis{Label: "share of tries", Least: 0.001, Format: numeral.Percent},
		Series: series, Stacked: true,
	}
}

// fewTries is how few tries make a bar pale, because its share says little: a tenth of
// the median bar's.
func fewTries(all []diagnose.Outcomes, width int) float64 {
	sums := map[int]float64{}
	for _, o := range all {
		sums[o.Interval/width] += o.Tries
	}
	tries := slices.Sorted(maps.Values(sums))
	if len(tries) == 0 {
		return 0
	}
	return tries[len(tries)/2] / 10
}

// lengths is the heat map of responses by length and duration.
func lengths(c *diagnose.Charts) chart.Panel {
	series := []chart.Series{
		{Name: "complete", Mark: chart.Cells, Color: chart.Hue(0)},
		{Name: "ran out of time", Mark: chart.Cells, Color: chart.Bad},
	}
	for k, cells := range []*diagnose.Heatmap{&c.Complete, &c.Late} {
		most := 2.0
		for _, row := range cells {
			for _, n := range row {
				most = max(most, float64(n))
			}
		}
		for y, row := range cells {
			for x, n := range row {
				if n == 0 {
					continue
				}
				tokens, seconds := diagnose.HeatTokens*math.Exp2(float64(x)/4), diagnose.HeatSeconds*math.Exp2(float64(y)/4)
				series[k].Points = append(series[k].Points, chart.Point{
					X: tokens, X1: tokens * math.Exp2(0.25), Y: seconds, Y1: seconds * math.Exp2(0.25),
					Size: 0.75 * math.Log(float64(n)) / math.Log(most), Hint: numeral.Whole(float64(n)) + " answers",
				})
			}
		}
	}
	series = append(series, limits(c, series)...)
	return chart.Panel{
		X: chart.Axis{Kind: chart.Log, Label: "output tokens"}, Y: chart.Axis{Kind: chart.Log, Label: "seconds"},
		Series: series, Height: 300,
	}
}

// limits are the window and the budget as lines across what is drawn.
func limits(c *diagnose.Charts, drawn []chart.Series) []chart.Series {
	left, right, bottom, top := math.Inf(1), 0.0, math.Inf(1), c.WindowSeconds
	for _, s := range drawn {
		for _, p := range s.Points {
			left, right, bottom, top = min(left, p.X), max(right, p.X1), min(bottom, p.Y), max(top, p.Y1)
		}
	}
	if c.WindowSeconds <= 0 || c.BudgetTokens <= 0 || right == 0 {
		return nil
	}
	line := func(name string, color chart.Color, from, to chart.Point) chart.Series {
		from.Hint, to.Hint = name, name
		return chart.Series{Name: name, Color: color, Points: []chart.Point{from, to}}
	}
	budget := float64(c.BudgetTokens)
	return []chart.Series{
		line("window of "+numeral.Seconds(c.WindowSeconds), chart.Ink, chart.Point{X: left, Y: c.WindowSeconds}, chart.Point{X: max(right, budget), Y: c.WindowSeconds}),
		line(numeral.Whole(budget)+" tokens, which fit it", chart.Good, chart.Point{X: budget, Y: bottom}, chart.Point{X: budget, Y: top}),
	}
}

// lines is a line for each deployment.
func lines(c *diagnose.Charts, all []diagnose.Series) []chart.Series {
	var series []chart.Series
	for _, one := range all {
		if len(one.Points) < leastPoints || len(series) == maxSeries {
			continue
		}
		s := chart.Series{Name: one.Deployment, Color: chart.Hue(len(series))}
		for _, p := range one.Points {
			s.Points = append(s.Points, chart.Point{
				X: at(c, float64(p.Interval)+0.5), Y: p.Value,
				Hint: one.Deployment + ", " + c.Start.Add(time.Duration(p.Interval)*c.Interval).Format("15:04") + ": " + numeral.Significant(p.Value, 3),
			})
		}
		series = append(series, s)
	}
	return series
}
