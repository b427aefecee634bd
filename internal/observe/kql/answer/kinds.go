package answer

import (
	"slices"
	"strconv"
	"time"

	"github.com/spillway-ai/spillway/internal/observe/kql"
)

// undrawn reports whether the query asks for no chart.
func (a Answer) undrawn() bool { return slices.Contains([]string{"", "table", "card"}, a.Render.Kind) }

// timed reports whether the chart is drawn along time: the query asks for lines
// or points, and a column holds times. Without times, they are drawn as bars.
func (a Answer) timed() bool {
	return a.Render.Kind == "timechart" ||
		slices.Contains([]string{"linechart", "areachart", "stackedareachart", "scatterchart", "anomalychart"}, a.Render.Kind) &&
			slices.ContainsFunc(a.Columns, func(c kql.Column) bool { return c.Type == kql.Datetime })
}

// unrolled is the answer with a row for each element of its arrays, where
// make-series made them: one array holds times, and the others have its length.
func (a Answer) unrolled() Answer {
	if len(a.Rows) == 0 || slices.ContainsFunc(a.Columns, func(c kql.Column) bool { return c.Type == kql.Datetime }) {
		return a
	}
	axis := slices.IndexFunc(a.Rows[0], isTimes)
	if axis < 0 {
		return a
	}
	out := Answer{Query: a.Query, Render: a.Render, Columns: slices.Clone(a.Columns)}
	for i, c := range a.Columns {
		switch {
		case i == axis:
			out.Columns[i].Type = kql.Datetime
		case c.Type == kql.Dynamic:
			out.Columns[i].Type = kql.Real
		}
	}
	for _, row := range a.Rows {
		times, ok := row[axis].([]any)
		for n := 0; ok && n < len(times); n++ {
			line := slices.Clone(row)
			for i, v := range row {
				if list, ok := v.([]any); ok {
					if line[i] = nil; n < len(list) {
						line[i] = list[n]
					}
				}
			}
			out.Rows = append(out.Rows, line)
		}
	}
	return out
}

// isTimes reports whether a value is an array of times.
func isTimes(v any) bool {
	list, ok := v.([]any)
	if !ok || len(list) == 0 {
		return false
	}
	return !slices.ContainsFunc(list, func(one any) bool {
		text, ok := one.(string)
		if !ok {
			return true
		}
		_, err := time.Parse(time.RFC3339Nano, text)
		return err != nil
	})
}

// share is a point's part of the sum of its series, as text.
func (s series) share(p point, wanted bool) string {
	total := 0.0
	for _, one := range s.points {
		total += max(one.value, 0)
	}
	if !wanted || total == 0 {
		return ""
	}
	return " (" + strconv.FormatFloat(100*max(p.value, 0)/total, 'f', 1, 64) + "%)"
}
