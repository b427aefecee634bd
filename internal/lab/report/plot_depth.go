package report

import (
	"strconv"

	"github.com/spillway-ai/spillway/internal/numeral"
	"github.com/spillway-ai/spillway/internal/svg"
)

// hues is the number of colors that policies and parameters take in turn.
const hues = 6

// hue returns the class of the i-th series' color.
func hue(i int) string { return "s" + strconv.Itoa(i%hues) }

// plotDepths draws the rates of 429 and 408 against the depth of the PTU meter,
// a line for each policy.
func plotDepths(depths []Depth) string {
	const gap, top, height = 76.0, 34.0, 230.0
	panels := []struct {
		title string
		at    func(DepthPolicy) float64
	}{
		{"429, share of tries", func(p DepthPolicy) float64 { return p.Rate429 }},
		{"408, share of tries", func(p DepthPolicy) float64 { return p.Rate408 }},
	}
	d := svg.New(plotWidth, top+height+44, "depth", "Errors by depth of the PTU meter",
		"Lines of the share of 429 and of 408 against the depth of the provisioned throughput meter in seconds, for each policy, on a logarithmic axis with a position for zero.")
	var seconds []float64
	for _, at := range depths {
		seconds = append(seconds, at.Seconds)
	}
	shortest, longest := positiveRange(seconds)
	width := (plotWidth - gap - 70) / 2.0
	for k, kind := range panels {
		p := panel{left: 62 + float64(k)*(width+gap), top: top, bottom: top + height}
		p.right = p.left + width
		var values []float64
		for _, at := range depths {
			for _, policy := range at.Policies {
				values = append(values, kind.at(policy))
			}
		}
		x := scale{log: true, lo: shortest, hi: longest, ticks: seconds}.over(p.left+14, p.right-14)
		y := logZeroScale(values).over(p.bottom-8, p.top+8)
		p.frame(d, y)
		d.Text(p.left, p.top-12, "panel", kind.title)
		for _, s := range x.ticks {
			d.Text(x.at(s), p.bottom+16, "tick mid", formatNumber(s)+" s")
		}
		d.Text((p.left+p.right)/2, p.bottom+36, "unit mid", "depth of the meter: drain time that equals 100%")
		drawDepths(d, x, y, depths, kind.at)
	}
	return d.End()
}

// drawDepths draws the lines, those of later policies below the first's.
func drawDepths(d *svg.Drawing, x, y scale, depths []Depth, at func(DepthPolicy) float64) {
	for i := len(depths[0].Policies) - 1; i >= 0; i-- {
		var xy []float64
		for _, depth := range depths {
			if i < len(depth.Policies) {
				xy = append(xy, x.at(depth.Seconds), y.at(at(depth.Policies[i])))
			}
		}
		d.Polyline("series "+hue(i)+" dash"+strconv.Itoa(i%hues), xy)
		for k := 0; k+1 < len(xy); k += 2 {
			policy := depths[k/2].Policies[i]
			d.Circle(xy[k], xy[k+1], 3.5, "point "+hue(i), policy.Name+", "+formatNumber(depths[k/2].Seconds)+" s: "+numeral.Share(at(policy)))
		}
	}
}

// frame draws the horizontal axis lines of shares, and the break between zero
// and the smallest of them.
func (p panel) frame(d *svg.Drawing, y scale) {
	for _, v := range y.ticks {
		class := "grid"
		if v == 0 {
			class = "axis"
		}
		d.Line(p.left, y.at(v), p.right, y.at(v), class)
		d.Text(p.left-8, y.at(v)+4, "tick end", formatShareTick(v))
	}
	middle := (y.at(0) + y.at(y.lo)) / 2
	d.Text(p.left-10, middle+3, "tick end", "⋮")
}
