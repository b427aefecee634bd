package rules

import (
	"maps"
	"math"
	"slices"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/diagnose"
)

// heatmaps count responses by output tokens and duration, as they are added.
type heatmaps struct {
	complete, late diagnose.Heatmap
	unseen         [diagnose.HeatRows]uint32 // that ran out of time, with no token known
}

func (h *heatmaps) add(o *diagnose.Observation) {
	tokens, took := float64(o.CompletionTokens), o.E2E.Seconds()
	late := o.Late() || o.Outcome == spillway.OutcomeClientGone && o.E2E >= shortWindow
	row := heatRow(took)
	switch {
	case took <= 0:
	case tokens < 1 && late:
		h.unseen[row]++
	case tokens < 1:
	case late:
		h.late[row][heatColumn(tokens)]++
	default:
		h.complete[row][heatColumn(tokens)]++
	}
}

func heatColumn(tokens float64) int {
	return min(max(int(4*math.Log2(tokens/diagnose.HeatTokens)), 0), diagnose.HeatColumns-1)
}

func heatRow(seconds float64) int {
	return min(max(int(4*math.Log2(seconds/diagnose.HeatSeconds)), 0), diagnose.HeatRows-1)
}

// inferred is the late heat map with what ran out of time unseen: at that pace in ms,
// after that time to the first token, its length would be at least this.
func (h *heatmaps) inferred(pace, first float64) diagnose.Heatmap {
	late := h.late
	for row, n := range h.unseen {
		middle := diagnose.HeatSeconds * math.Exp2((float64(row)+0.5)/4)
		if tokens := (1000*middle - first) / pace; n > 0 && pace > 0 && tokens >= 1 {
			late[row][heatColumn(tokens)] += n
		}
	}
	return late
}

// seriesPoints is how few responses give no mean for a chart.
const seriesPoints = 3

// charts are the data of the page's charts; nil where there is too little.
func (f *facts) charts() *diagnose.Charts {
	if f.total.Tries < diagnose.MinTries {
		return nil
	}
	first := f.number(f.from)
	pace, wait := f.usualSpeed()
	out := &diagnose.Charts{
		Start: f.begin(first), Interval: f.bucket, Intervals: int(f.number(f.to) - first + 1),
		Complete: f.heat.complete, Late: f.heat.inferred(pace, wait),
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

// usualSpeed is the time between tokens and that to the first one, in ms, of the
// deployment with the most responses; 0 where no pace is known.
func (f *facts) usualSpeed() (pace, first float64) {
	most := 0
	for _, d := range f.all {
		if n := d.pace.count(); n > most {
			most, pace, first = n, d.pace.quantile(0.5), d.ttft.quantile(0.5)
		}
	}
	return pace, first
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
