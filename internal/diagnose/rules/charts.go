package rules

import (
	"maps"
	"math"
	"slices"

	"github.com/spillway-ai/spillway/internal/diagnose"
)

// heatmaps count responses by output tokens and duration, as they are added.
type heatmaps struct{ complete, late diagnose.Heatmap }

func (h *heatmaps) add(o *diagnose.Observation) {
	tokens, took := float64(o.CompletionTokens), o.E2E.Seconds()
	if tokens < 1 || took <= 0 {
		return
	}
	column := min(max(int(4*math.Log2(tokens/diagnose.HeatTokens)), 0), diagnose.HeatColumns-1)
	row := min(max(int(4*math.Log2(took/diagnose.HeatSeconds)), 0), diagnose.HeatRows-1)
	if o.Late() {
		h.late[row][column]++
	} else {
		h.complete[row][column]++
	}
}

// seriesPoints is how few responses give no mean for a chart.
const seriesPoints = 3

// charts are the data of the page's charts; nil where there is too little.
func (f *facts) charts() *diagnose.Charts {
	if f.total.Tries < diagnose.MinTries {
		return nil
	}
	first := f.number(f.from)
	out := &diagnose.Charts{
		Start: f.begin(first), Interval: f.bucket, Intervals: int(f.number(f.to) - first + 1),
		Complete: f.heat.complete, Late: f.heat.late,
		Pace:        f.series(func(c *cell) (float64, bool) { return c.pace.value(), c.pace.n >= seriesPoints }),
		Utilization: f.series(func(c *cell) (float64, bool) { return c.util / c.utilN, c.utilN > 0 }),
	}
	for _, n := range slices.Sorted(maps.Keys(f.total.retryBuckets)) {
		c := f.total.retryBuckets[n]
		out.Outcomes = append(out.Outcomes, diagnose.Outcomes{
			Interval: int(n - first), Tries: c.tries, Failed: c.failed, Late: c.late, Refused: c.refused,
		})
	}
	return out
}

// series are the values of each deployment's cells, where value has one.
func (f *facts) series(value func(*cell) (float64, bool)) []diagnose.Series {
	var all []diagnose.Series
	for _, d := range f.all {
		s := diagnose.Series{Deployment: d.name}
		for _, c := range d.cells {
			if v, ok := value(c); ok {
				s.Points = append(s.Points, diagnose.Point{Interval: int(c.at - f.number(f.from)), Value: v})
			}
		}
		if len(s.Points) > 0 {
			all = append(all, s)
		}
	}
	return all
}
