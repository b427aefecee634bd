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
		option := p.name("an option of the chart")
		p.expect("=", "after the option")
		value := p.next()
		if value.kind != tokenName && value.kind != tokenString {
			p.fail(value.span, "expected a name or a string, got %s", value.describe())
		}
		switch option.text {
		case "ycolumns":
			p.render.YColumns = append(p.render.YColumns, value.text)
			for p.peek().is(",") && p.peekAfter().kind == tokenName && !p.tokens[min(p.at+2, len(p.tokens)-1)].is("=") {
				p.next()
				p.render.YColumns = append(p.render.YColumns, p.next().text)
			}
			p.drawn = option.span
		case "title":
			p.render.Title = value.text
		case "xtitle":
			p.render.XTitle = value.text
		case "ytitle":
			p.render.YTitle = value.text
		case "kind", "legend": // of no consequence here
		default:
			p.fail(option.span, "unknown render option %q: use title, xtitle, ytitle, ycolumns, kind or legend", option.text)
		}
		if !p.peek().is(")") {
			p.expect(",", "between options")
		}
	}
}
