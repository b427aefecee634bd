package render

import (
	"html/template"
	"math"
	"strconv"
	"time"

	"github.com/spillway-ai/spillway/internal/diagnose"
	"github.com/spillway-ai/spillway/internal/numeral"
	"github.com/spillway-ai/spillway/internal/svg"
)

// The charts' size, and the frame of their axes.
const (
	plotWidth, plotHeight = 1000.0, 260.0
	left, right           = 64.0, 990.0
	top, bottom           = 12.0, 222.0
	maxBars               = 240
	maxSeries             = 6
	leastPoints           = 2 // a shorter series is not drawn
)

// chart is a drawing of the data of a page.
type chart struct{ *diagnose.Charts }

// pictures draws what a reader checks first: what clients got over time, how
// long answers took by their length, and how deployments did.
func pictures(data *diagnose.Charts) []picture {
	if data == nil {
		return nil
	}
	c := chart{data}
	out := []picture{c.outcomes(), c.lengths()}
	for _, s := range []lines{
		{
			"pace", "Time between tokens", "Milliseconds between tokens, the mean of each interval, by deployment.", 0,
			data.Pace, func(v float64) string { return numeral.Decimals(v, 0) + " ms" },
		},
		{
			"utilization", "Utilization of provisioned deployments", "The mean of each interval. At 100% the service refuses.", 1,
			data.Utilization, numeral.Percent,
		},
	} {
		if p, ok := c.lines(s); ok {
			out = append(out, p)
		}
	}
	return out
}

// lines is a line chart of one value, with a line for each deployment.
type lines struct {
	id, title, caption string
	least              float64 // of the value axis's end
	series             []diagnose.Series
	format             func(float64) string
}

// x is the place of an interval's beginning on the time axis.
func (c chart) x(interval float64) float64 {
	return left + (right-left)*interval/float64(c.Intervals)
}

// timeAxis draws the horizontal axis with about six times.
func (c chart) timeAxis(d *svg.Drawing) {
	form := "15:04"
	if time.Duration(c.Intervals)*c.Interval > 24*time.Hour {
		form = "01-02 15:04"
	}
	for n := 0; n < c.Intervals; n += max(1, c.Intervals/6) {
		x := c.x(float64(n))
		d.Line(x, bottom, x, bottom+4, "axis")
		d.Text(x, bottom+18, "mid", c.Start.Add(time.Duration(n)*c.Interval).Format(form))
	}
	d.Line(left, bottom, right, bottom, "axis")
}

// valueAxis draws horizontal lines at quarters of the most.
func valueAxis(d *svg.Drawing, most float64, format func(float64) string) {
	for i := range 5 {
		v := most * float64(i) / 4
		y := bottom - (bottom-top)*float64(i)/4
		d.Line(left, y, right, y, "grid")
		d.Text(left-8, y+4, "end", format(v))
	}
}

// outcomes draws the share of failed tries over time.
func (c chart) outcomes() picture {
	bars := c.bars()
	most := 0.001
	for i := range bars {
		if bars[i].Tries > 0 {
			most = max(most, bars[i].Failed/bars[i].Tries)
		}
	}
	d := svg.New(plotWidth, plotHeight, "status", "What clients got", "Share of failed tries over time, by kind")
	valueAxis(d, most, numeral.Percent)
	for _, b := range bars {
		x, next := c.x(float64(b.Interval)), c.x(float64(min(b.Interval+c.barWidth(), c.Intervals)))
		y := bottom
		for _, part := range []struct {
			n     float64
			class string
		}{{b.Late, "f408"}, {b.Refused, "f429"}, {b.Failed - b.Late - b.Refused, "fother"}} {
			if part.n <= 0 || b.Tries <= 0 {
				continue
			}
			height := (bottom - top) * (part.n / b.Tries) / most
			y -= height
			d.Rect(x, y, max(next-x-0.5, 0.5), height, part.class)
		}
	}
	c.timeAxis(d)
	return picture{
		"What clients did not get", "The share of tries that failed, over time.",
		[]legend{{"f408", "408, or cut at the deadline"}, {"f429", "429: refused for want of capacity"}, {"fother", "other failures"}},
		template.HTML(d.End()),
	}
}

// barWidth is how many intervals a bar takes.
func (c chart) barWidth() int { return max(1, (c.Intervals-1+maxBars)/maxBars) }

// bars are the outcomes, those of several intervals added up where there are
// more than can be told apart.
func (c chart) bars() []diagnose.Outcomes {
	width := c.barWidth()
	var bars []diagnose.Outcomes
	for _, o := range c.Outcomes {
		o.Interval = o.Interval / width * width
		if n := len(bars); n > 0 && bars[n-1].Interval == o.Interval {
			b := &bars[n-1]
			b.Tries, b.Failed, b.Late, b.Refused = b.Tries+o.Tries, b.Failed+o.Failed, b.Late+o.Late, b.Refused+o.Refused
			continue
		}
		bars = append(bars, o)
	}
	return bars
}

// lengths draws the heat map of answers by length and duration.
func (c chart) lengths() picture {
	d := svg.New(plotWidth, plotHeight, "length", "Latency by length", "How long answers took by their output tokens; those that ran out of time stand out")
	column, row := (right-left)/diagnose.HeatColumns, (bottom-top)/diagnose.HeatRows
	for _, tokens := range []float64{16, 64, 256, 1024, 4096, 16384} {
		x := left + column*4*math.Log2(tokens/diagnose.HeatTokens)
		d.Line(x, top, x, bottom, "grid")
		d.Text(x, bottom+18, "mid", numeral.Whole(tokens)+" tokens")
	}
	for _, s := range []float64{0.5, 2, 8, 60} {
		y := bottom - row*4*math.Log2(s/diagnose.HeatSeconds)
		class := "grid"
		if s == 60 {
			class = "window"
		}
		d.Line(left, y, right, y, class)
		d.Text(left-8, y+4, "end", numeral.Seconds(s))
	}
	for _, layer := range []struct {
		cells *diagnose.Heatmap
		class string
	}{{&c.Complete, "h"}, {&c.Late, "l"}} {
		most := 0.0
		for _, r := range layer.cells {
			for _, n := range r {
				most = max(most, float64(n))
			}
		}
		for y, r := range layer.cells {
			for x, n := range r {
				if n > 0 {
					level := 1 + int(3*math.Log(float64(n))/math.Log(max(most, 2)))
					d.Rect(left+column*float64(x), bottom-row*float64(y+1), column, row, layer.class+strconv.Itoa(min(level, 4)))
				}
			}
		}
	}
	return picture{
		"How long answers took, by their length", "Each field is a range of output tokens and of seconds; darker is more answers. Failures far right are too long; failures anywhere are something else. Those that left nothing to count are not drawn.",
		[]legend{{"h4", "complete"}, {"l4", "ran out of time"}},
		template.HTML(d.End()),
	}
}

// lines draws a line for each deployment; false where there is nothing to
// draw.
func (c chart) lines(s lines) (picture, bool) {
	most := s.least
	var keys []legend
	var all [][]float64
	for _, one := range s.series {
		var xy []float64
		for _, p := range one.Points {
			xy = append(xy, float64(p.Interval), p.Value)
			most = max(most, p.Value)
		}
		if len(one.Points) >= leastPoints && len(all) < maxSeries {
			keys = append(keys, legend{"s" + strconv.Itoa(len(all)), one.Deployment})
			all = append(all, xy)
		}
	}
	if len(all) == 0 {
		return picture{}, false
	}
	d := svg.New(plotWidth, plotHeight, s.id, s.title, s.caption)
	valueAxis(d, most, s.format)
	for i, xy := range all {
		for k := 0; k < len(xy); k += 2 {
			xy[k], xy[k+1] = c.x(xy[k]+0.5), bottom-(bottom-top)*xy[k+1]/most
		}
		d.Polyline("series s"+strconv.Itoa(i), xy)
	}
	c.timeAxis(d)
	return picture{s.title, s.caption, keys, template.HTML(d.End())}, true
}
