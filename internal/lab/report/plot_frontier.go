package report

import (
	"math"
	"slices"
	"unicode/utf8"

	"github.com/spillway-ai/spillway/internal/numeral"
	"github.com/spillway-ai/spillway/internal/svg"
)

// spot is one point of the frontier's plot.
type spot struct {
	x, y, radius float64
	class        string
	label, hint  string
}

// plotFrontier draws what a parameter trades: truncated answers against
// errors, on axes with a place for zero, with tokens as size. The compared
// policies are marked among its points.
func plotFrontier(c Comparison) string {
	const height = 430.0
	p := panel{left: 78, right: plotWidth - 30, top: 24, bottom: 24 + height}
	d := svg.New(plotWidth, p.bottom+52, "frontier", "Frontier of errors and truncation",
		"Each circle is one value of a parameter: its share of truncated calls, its share of tries that ended in 408 or 429, and by its size the tokens generated per call.")
	var xs, ys []float64
	most := 0.0
	for _, q := range c.Sweep {
		xs, ys = append(xs, q.TruncatedRate), append(ys, q.Rate408+q.Rate429)
		most = max(most, q.CompletionTokensPerRequest)
	}
	for _, s := range c.Policies {
		xs, ys = append(xs, s.TruncatedRate), append(ys, s.Rate408+s.Rate429)
	}
	x := frontierScale(xs).over(p.left+26, p.right-46)
	y := logZeroScale(ys).over(p.bottom-26, p.top+22)
	p.frame(d, y)
	for _, v := range x.ticks {
		class := "grid"
		if v == 0 {
			class = "axis"
		}
		d.Line(x.at(v), p.top, x.at(v), p.bottom, class)
		d.Text(x.at(v), p.bottom+17, "tick mid", formatShareTick(v))
	}
	d.Text((p.left+p.right)/2, p.bottom+40, "unit mid", "truncated, share of calls")
	d.Upright(16, (p.top+p.bottom)/2, "unit mid", "408 + 429, share of tries")

	spots, lines := frontierSpots(d, c.Sweep, most, x, y)
	for _, s := range c.Policies {
		spots = append(spots, spot{
			x: x.at(s.TruncatedRate), y: y.at(s.Rate408 + s.Rate429), radius: 4, class: "mark", label: s.Name,
			hint: s.Name + ": " + unitTokens.format(s.CompletionTokensPerRequest) + " tokens per call",
		})
	}
	for _, s := range spots {
		d.Circle(s.x, s.y, s.radius, s.class, s.hint)
	}
	label(d, p, spots, lines)
	return d.End()
}

// frontierScale is linear from zero where the values keep within two decades,
// and logarithmic with a place for zero where they do not.
func frontierScale(values []float64) scale {
	lo, hi := positiveRange(values)
	if hi/lo > 100 {
		return logZeroScale(values)
	}
	if hi > 1 {
		hi = 1
	}
	return linearScale(hi, 6)
}

// frontierSpots draws the lines that join the values of each parameter, and
// returns their points and what the lines cover.
func frontierSpots(d *svg.Drawing, points []Point, most float64, x, y scale) (spots []spot, lines []box) {
	var xy []float64
	series := 0
	for i, q := range points {
		if i > 0 && q.Parameter != points[i-1].Parameter {
			d.Polyline("series "+hue(series), xy)
			lines, xy = append(lines, along(xy)...), xy[:0]
			series++
		}
		errors := q.Rate408 + q.Rate429
		s := spot{
			x: x.at(q.TruncatedRate), y: y.at(errors), class: "bubble " + hue(series),
			radius: 3 + 15*math.Sqrt(q.CompletionTokensPerRequest/max(most, 1)), label: formatValue(q.Value),
			hint: q.Parameter + " " + formatValue(q.Value) + ": 408 + 429 " + numeral.Share(errors) + ", truncated " +
				numeral.Share(q.TruncatedRate) + ", " + unitTokens.format(q.CompletionTokensPerRequest) + " tokens per call",
		}
		spots = append(spots, s)
		xy = append(xy, s.x, s.y)
	}
	if len(points) > 0 {
		d.Polyline("series "+hue(series), xy)
		lines = append(lines, along(xy)...)
	}
	return spots, lines
}

// box is the place that a label or a point takes.
type box struct{ left, top, right, bottom float64 }

// overlap returns the area that two boxes share.
func (b box) overlap(o box) float64 {
	width := min(b.right, o.right) - max(b.left, o.left)
	height := min(b.bottom, o.bottom) - max(b.top, o.top)
	return max(width, 0) * max(height, 0)
}

// along covers a line with small boxes.
func along(xy []float64) []box {
	const step = 6.0
	var all []box
	for i := 0; i+3 < len(xy); i += 2 {
		dx, dy := xy[i+2]-xy[i], xy[i+3]-xy[i+1]
		n := math.Ceil(math.Hypot(dx, dy) / step)
		for k := range int(n) {
			x, y := xy[i]+dx*float64(k)/n, xy[i+1]+dy*float64(k)/n
			all = append(all, box{x - step/2, y - step/2, x + step/2, y + step/2})
		}
	}
	return all
}

// label writes each spot's label where it covers the least of what is there:
// the lines, the spots, and the labels before it.
func label(d *svg.Drawing, p panel, spots []spot, lines []box) {
	taken := slices.Clone(lines)
	for _, s := range spots {
		r := 0.8 * s.radius
		taken = append(taken, box{s.x - r, s.y - r, s.x + r, s.y + r})
	}
	for _, s := range spots {
		best, least := box{}, math.Inf(1)
		for _, b := range places(s) {
			cost := 0.0
			for _, t := range taken {
				cost += b.overlap(t)
			}
			if b.left < p.left+4 || b.right > plotWidth || b.top < p.top || b.bottom > p.bottom {
				cost += 1000
			}
			if cost < least {
				best, least = b, cost
			}
		}
		taken = append(taken, best)
		class := "note"
		if s.class == "mark" {
			class = "note strong"
		}
		d.Text(best.left, best.bottom-3, class, s.label)
	}
}

// places lists where a spot's label may be, the best first.
func places(s spot) []box {
	width, height := 6.6*float64(utf8.RuneCountInString(s.label)), 14.0
	var all []box
	for _, far := range []float64{3, 14, 28} {
		r := s.radius + far
		for _, at := range [...][2]float64{{1, 0}, {-1, 0}, {0, -1}, {0, 1}, {0.75, -0.75}, {0.75, 0.75}, {-0.75, -0.75}, {-0.75, 0.75}} {
			x, y := s.x+at[0]*(r+width/2), s.y+at[1]*(r+height/2)
			all = append(all, box{x - width/2, y - height/2, x + width/2, y + height/2})
		}
	}
	return all
}
