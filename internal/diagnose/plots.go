package diagnose

import (
	"html/template"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/spillway-ai/spillway/internal/numeral"
	"github.com/spillway-ai/spillway/internal/svg"
)

// The heat map's grid: a quarter octave on both axes.
const (
	heatColumns = 46 // output tokens from 8 on
	heatRows    = 38 // seconds from 1/8 on
)

// plotData is what pictures need besides the cells.
type plotData struct {
	heat [heatRows][heatColumns]uint32
	late [heatRows][heatColumns]uint32
	out  float64
	n    float64
}

func (p *plotData) add(o *Observation) {
	if o.complete() {
		p.out += float64(o.CompletionTokens)
		p.n++
	}
	tokens, took := o.CompletionTokens, o.E2E.Seconds()
	if tokens < 1 || took <= 0 {
		return
	}
	x := min(max(int(4*log2(float64(tokens)/8)), 0), heatColumns-1)
	y := min(max(int(4*log2(took*8)), 0), heatRows-1)
	if o.late() {
		p.late[y][x]++
	} else {
		p.heat[y][x]++
	}
}

// meanOutput is of complete answers so far.
func (p *plotData) meanOutput() float64 { return share(p.out, p.n) }

// The pictures' size, and the frame of their axes.
const (
	plotWidth, plotHeight = 1000.0, 260.0
	left, right           = 64.0, 990.0
	top, bottom           = 12.0, 222.0
	maxBars               = 240
	maxSeries             = 6
)

// pictures draws what a reader checks first: what clients got over time, how
// long answers took by their length, and how deployments did.
func (f *facts) pictures() []picture {
	if f.total.Tries < minTries {
		return nil
	}
	out := []picture{f.statusPicture(), f.lengthPicture()}
	for _, s := range []series{
		{
			"pace", "Time between tokens", "Milliseconds between tokens, the mean of each interval, by deployment.", 0,
			func(c *cell) (float64, bool) { return c.pace.value(), c.pace.n >= 3 }, func(v float64) string { return decimals(v, 0) + " ms" },
		},
		{
			"utilization", "Utilization of provisioned deployments", "The mean of each interval. At 100% the service refuses.", 1,
			func(c *cell) (float64, bool) { return c.util / c.utilN, c.utilN > 0 }, percent,
		},
	} {
		if p, ok := f.seriesPicture(s); ok {
			out = append(out, p)
		}
	}
	return out
}

// series is one value over time, for each deployment that has it.
type series struct {
	id, title, caption string
	least              float64 // how far the axis goes at least
	of                 func(*cell) (float64, bool)
	format             func(float64) string
}

// timeAxis is the horizontal axis of buckets first to last.
type timeAxis struct{ first, last int64 }

func (f *facts) timeAxis() timeAxis { return timeAxis{f.number(f.from), f.number(f.to)} }

func (a timeAxis) at(n float64) float64 {
	return left + (right-left)*(n-float64(a.first))/float64(a.last-a.first+1)
}

// draw writes the axis with about six times.
func (a timeAxis) draw(d *svg.Drawing, f *facts) {
	form := "15:04"
	if f.to.Sub(f.from) > 24*time.Hour {
		form = "01-02 15:04"
	}
	step := max(1, (a.last-a.first+1)/6)
	for n := a.first; n <= a.last; n += step {
		x := a.at(float64(n))
		d.Line(x, bottom, x, bottom+4, "axis")
		d.Text(x, bottom+18, "mid", f.begin(n).Format(form))
	}
	d.Line(left, bottom, right, bottom, "axis")
}

// valueAxis writes horizontal lines at parts of the most.
func valueAxis(d *svg.Drawing, most float64, format func(float64) string) {
	for i := range 5 {
		v := most * float64(i) / 4
		y := bottom - (bottom-top)*float64(i)/4
		d.Line(left, y, right, y, "grid")
		d.Text(left-8, y+4, "end", format(v))
	}
}

func (f *facts) statusPicture() picture {
	a := f.timeAxis()
	wide := max(1, (a.last-a.first+maxBars)/maxBars) // buckets in a bar
	sums := map[int64]retryCell{}
	most := 0.001
	for n, c := range f.total.retryBuckets {
		s := sums[(n-a.first)/wide]
		s.tries, s.failed, s.late, s.refused = s.tries+c.tries, s.failed+c.failed, s.late+c.late, s.refused+c.refused
		sums[(n-a.first)/wide] = s
	}
	for _, s := range sums {
		most = max(most, share(s.failed, s.tries))
	}
	d := svg.New(plotWidth, plotHeight, "status", "What clients got", "Share of failed tries over time, by kind")
	valueAxis(d, most, percent)
	for _, i := range slices.Sorted(maps.Keys(sums)) {
		s := sums[i]
		x, next := a.at(float64(a.first+i*wide)), a.at(float64(min(a.first+(i+1)*wide, a.last+1)))
		y := bottom
		for _, part := range []struct {
			n     float64
			class string
		}{{s.late, "f408"}, {s.refused, "f429"}, {s.failed - s.late - s.refused, "fother"}} {
			height := (bottom - top) * share(part.n, s.tries) / most
			y -= height
			if part.n > 0 {
				d.Rect(x, y, max(next-x-0.5, 0.5), height, part.class)
			}
		}
	}
	a.draw(d, f)
	return picture{
		"What clients did not get", "The share of tries that failed, over time.",
		[]legend{{"f408", "408, or cut at the deadline"}, {"f429", "429: refused for want of capacity"}, {"fother", "other failures"}},
		template.HTML(d.End()),
	}
}

func (f *facts) lengthPicture() picture {
	d := svg.New(plotWidth, plotHeight, "length", "Latency by length", "How long answers took by their output tokens; those that ran out of time stand out")
	column, row := (right-left)/heatColumns, (bottom-top)/heatRows
	for _, tokens := range []float64{16, 64, 256, 1024, 4096, 16384} {
		x := left + column*4*math.Log2(tokens/8)
		d.Line(x, top, x, bottom, "grid")
		d.Text(x, bottom+18, "mid", numeral.Whole(tokens)+" tokens")
	}
	for _, s := range []float64{0.5, 2, 8, 60} {
		y := bottom - row*4*math.Log2(s*8)
		class := "grid"
		if s == 60 {
			class = "window"
		}
		d.Line(left, y, right, y, class)
		d.Text(left-8, y+4, "end", span(s))
	}
	for _, layer := range []struct {
		cells *[heatRows][heatColumns]uint32
		class string
	}{{&f.plots.heat, "h"}, {&f.plots.late, "l"}} {
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

// seriesPicture draws a line for each deployment; false where there is nothing
// to draw.
func (f *facts) seriesPicture(s series) (picture, bool) {
	a, most := f.timeAxis(), s.least
	var keys []legend
	var lines [][]float64
	for _, dep := range f.all {
		var xy []float64
		for _, c := range dep.cells {
			if v, ok := s.of(c); ok {
				xy = append(xy, float64(c.at), v)
				most = max(most, v)
			}
		}
		if len(xy) >= 4 && len(lines) < maxSeries {
			keys = append(keys, legend{"s" + strconv.Itoa(len(lines)), dep.name})
			lines = append(lines, xy)
		}
	}
	if len(lines) == 0 {
		return picture{}, false
	}
	d := svg.New(plotWidth, plotHeight, s.id, s.title, s.caption)
	valueAxis(d, most, s.format)
	for i, xy := range lines {
		for k := 0; k < len(xy); k += 2 {
			xy[k], xy[k+1] = a.at(xy[k]+0.5), bottom-(bottom-top)*xy[k+1]/most
		}
		d.Polyline("series s"+strconv.Itoa(i), xy)
	}
	a.draw(d, f)
	return picture{s.title, s.caption, keys, template.HTML(d.End())}, true
}
