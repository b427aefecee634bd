package report

import (
	"github.com/spillway-ai/spillway/internal/numeral"
	"github.com/spillway-ai/spillway/internal/svg"
)

// The plots share a width, and a gutter for the policies' names.
const (
	plotWidth = 1000
	gutter    = 118
	rowHeight = 27
	barHeight = 15
	nameRunes = 16
)

// panel is the part of a picture that one axis takes.
type panel struct{ left, right, top, bottom float64 }

// names writes the policies' names beside their rows.
func (p panel) names(d *svg.Drawing, policies []Summary) {
	for i, s := range policies {
		d.Text(gutter-12, p.row(i)+4, "name end", clip(s.Name, nameRunes))
	}
}

// row returns the middle of a policy's row.
func (p panel) row(i int) float64 { return p.top + rowHeight*(float64(i)+0.5) }

// grid draws the panel's title, and its vertical axis lines with their values.
func (p panel) grid(d *svg.Drawing, title string, x scale, format func(float64) string) {
	d.Text(p.left, p.top-12, "panel", title)
	for _, v := range x.ticks {
		class := "grid"
		if v == 0 {
			class = "axis"
		}
		d.Line(x.at(v), p.top-2, x.at(v), p.bottom, class)
		d.Text(x.at(v), p.bottom+15, "tick mid", format(v))
	}
}

// plotErrors draws the rates of 408, of 429 and of truncated calls beside each
// other, on one linear scale.
func plotErrors(policies []Summary) string {
	panels := []struct {
		title, class string
		at           func(*Summary) float64
	}{
		{"408, share of tries", "c408", func(s *Summary) float64 { return s.Rate408 }},
		{"429, share of tries", "c429", func(s *Summary) float64 { return s.Rate429 }},
		{"Truncated, share of calls", "ccut", func(s *Summary) float64 { return s.TruncatedRate }},
	}
	most := 0.0
	for i := range policies {
		for _, p := range panels {
			most = max(most, p.at(&policies[i]))
		}
	}
	bottom := 34 + rowHeight*float64(len(policies))
	d := svg.New(plotWidth, bottom+24, "errors", "Errors and truncation by policy",
		"Bars of the share of tries that ended in 408 and in 429, and of calls whose response was truncated, for each policy.")
	axis := linearScale(most, 4)
	const gap, room = 26.0, 58.0 // between the panels; for the value behind the longest bar
	width := (plotWidth - gutter - 2*gap) / 3.0
	for k, kind := range panels {
		p := panel{left: gutter + float64(k)*(width+gap), top: 34, bottom: bottom}
		p.right = p.left + width - room
		if k == 0 {
			p.names(d, policies)
		}
		x := axis.over(p.left, p.right)
		p.grid(d, kind.title, x, formatShareTick)
		for i := range policies {
			v := kind.at(&policies[i])
			end := x.at(v)
			if v > 0 {
				end = max(end, p.left+1.5)
			}
			d.Rect(p.left, p.row(i)-barHeight/2, end-p.left, barHeight, kind.class)
			d.Text(end+6, p.row(i)+4, "value", numeral.Share(v))
		}
	}
	return d.End()
}

// plotTokens draws what is generated for a call: what the client gets, and
// what is thrown away.
func plotTokens(policies []Summary) string {
	most := 0.0
	for _, s := range policies {
		most = max(most, s.CompletionTokensPerRequest)
	}
	p := panel{left: gutter, right: plotWidth - 190, top: 34, bottom: 34 + rowHeight*float64(len(policies))}
	d := svg.New(plotWidth, p.bottom+24, "tokens", "Completion tokens per call by policy",
		"Bars of the tokens generated for a call with all its retries, divided into delivered and wasted tokens.")
	x := linearScale(most, 5).over(p.left, p.right)
	p.names(d, policies)
	p.grid(d, "Completion tokens per call", x, unitTokens.format)
	for i, s := range policies {
		made := s.CompletionTokensPerRequest
		useful := min(s.UsefulTokensPerRequest, made)
		y := p.row(i) - barHeight/2
		d.Rect(p.left, y, x.at(useful)-p.left, barHeight, "cgood")
		d.Rect(x.at(useful), y, x.at(made)-x.at(useful), barHeight, "cwaste")
		label := unitTokens.format(made)
		if c := change(policies[0].CompletionTokensPerRequest, made); i > 0 && c != "" {
			label += "\u2002" + c
		}
		if wasted := made - useful; made > 0 && wasted/made >= 0.005 {
			label += "\u2002(" + unitTokens.format(wasted) + " wasted)"
		}
		d.Text(x.at(made)+6, p.row(i)+4, "value", label)
	}
	return d.End()
}

// formatShareTick writes an axis's share without useless decimals.
func formatShareTick(v float64) string {
	if v == 0 {
		return "0"
	}
	return formatNumber(100*v) + "%"
}
