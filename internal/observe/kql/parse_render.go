package kql

import (
	"slices"
	"strings"
)

// readRender reads what follows render.
func (p *parser) readRender() {
	kinds := []string{"timechart", "linechart", "areachart", "stackedareachart", "columnchart", "barchart", "piechart", "scatterchart", "anomalychart", "card", "table"}
	kind := p.name("a chart")
	if !slices.Contains(kinds, kind.text) {
		p.fail(kind.span, "unknown chart %q%s", kind.text, "; there are "+strings.Join(kinds, ", "))
	}
	p.render.Kind = kind.text
	if !p.accept("with") {
		return
	}
	p.expect("(", "after with")
	for !p.accept(")") {
		p.renderOption()
		if !p.peek().is(")") {
			p.expect(",", "between options")
		}
	}
}

// ignoredOptions are options of render that change nothing here.
var ignoredOptions = []string{"kind", "legend", "xcolumn", "series", "xaxis", "yaxis", "ysplit", "ymin", "ymax", "xmin", "xmax", "accumulate", "anomalycolumns"}

// renderOption reads NAME=VALUE, or NAME=A, B of columns.
func (p *parser) renderOption() {
	option := p.name("an option of the chart")
	p.expect("=", "after the option")
	p.accept("-")
	value := p.next()
	if value.is("[") { // ['name']
		p.at--
		value = p.name("a name")
	}
	if value.kind != tokenName && value.kind != tokenString && value.kind != tokenNumber {
		p.fail(value.span, "expected a name, a string or a number, got %s", value.describe())
	}
	values := []string{value.text}
	for p.peek().is(",") && p.peekAfter().kind == tokenName && !p.tokens[min(p.at+2, len(p.tokens)-1)].is("=") {
		p.next()
		values = append(values, p.next().text)
	}
	switch {
	case option.text == "ycolumns":
		p.render.YColumns = append(p.render.YColumns, values...)
		p.drawn = option.span
	case option.text == "title":
		p.render.Title = value.text
	case option.text == "xtitle":
		p.render.XTitle = value.text
	case option.text == "ytitle":
		p.render.YTitle = value.text
	case !slices.Contains(ignoredOptions, option.text):
		p.fail(option.span, "unknown render option %q: use title, xtitle, ytitle or ycolumns", option.text)
	}
}
