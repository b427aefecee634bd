package report

import (
	_ "embed" // of the page
	"fmt"
	"html/template"
	"io"

	"github.com/spillway-ai/spillway/internal/chart"
	"github.com/spillway-ai/spillway/internal/numeral"
)

//go:embed page.html
var pageText string

// page is what the template shows.
type page struct {
	Style             template.CSS
	Title, Provenance string
	From, To          string // the first policy and the proposed one; To is "" with one policy
	Cards             []card
	Verdicts          []verdict
	Plots             []plot
	Names             []string
	Groups            []tableGroup
	Notes             []string
}

// card is one figure before and after.
type card struct{ Title, Before, After, Change, Class string }

type verdict struct{ Name, Text string }

// plot is a chart with what it shows and how to read it.
type plot struct {
	Title, Caption string
	Chart          template.HTML
}

type tableGroup struct {
	Title string
	Rows  []tableRow
}

type tableRow struct {
	Title string
	Cells []tableCell
}

// tableCell is a figure with its change and its band over seeds.
type tableCell struct{ Value, Change, Class, Band string }

// WriteHTML writes the comparison as one page that needs nothing else: style
// and pictures are in it, and no script.
func WriteHTML(w io.Writer, c Comparison) error {
	t, err := template.New("page").Parse(pageText)
	if err != nil {
		return fmt.Errorf("parse the page template: %w", err)
	}
	if err := t.Execute(w, newPage(c)); err != nil {
		return fmt.Errorf("write the comparison: %w", err)
	}
	return nil
}

func newPage(c Comparison) page {
	p := page{Style: chart.Style(), Title: c.Title, Provenance: provenance(c), Plots: plots(c)}
	if p.Title == "" {
		p.Title = "Policy comparison"
	}
	if len(c.Policies) == 0 {
		return p
	}
	base, last := c.Policies[0], c.Policies[len(c.Policies)-1]
	p.From = base.Name
	if len(c.Policies) > 1 {
		p.To = last.Name
		for _, s := range c.Policies[1:] {
			p.Verdicts = append(p.Verdicts, verdict{s.Name, Verdict(base, s)})
		}
	}
	p.Cards = cards(base, last, len(c.Policies) > 1)
	for _, s := range c.Policies {
		p.Names = append(p.Names, s.Name)
		for _, model := range s.UnpricedModels {
			p.Notes = append(p.Notes, s.Name+": no cost, because the price is unknown for "+model+".")
		}
	}
	for _, g := range groups {
		if rows := tableRows(g, c.Policies); len(rows) > 0 {
			p.Groups = append(p.Groups, tableGroup{g.title, rows})
		}
	}
	return p
}

// cards are the figures that decide, of the first policy and the proposed one.
func cards(base, last Summary, compare bool) []card {
	var all []card
	for _, key := range []string{
		"rate_408", "rate_429", "truncated_rate", "completion_tokens_per_request", "call_e2e_ms.p99", "attainment",
	} {
		f, _ := figureOf(key)
		if _, ok := f.value(&base); !ok {
			continue
		}
		one := card{Title: f.title, Before: cell(f, &base)}
		if compare {
			one.After = cell(f, &last)
			one.Change, one.Class = changeOf(f, &base, &last)
		}
		all = append(all, one)
	}
	return all
}

// changeOf returns how a figure changed, and "better" or "worse" where that
// can be said of a change.
func changeOf(f figure, base, s *Summary) (text, class string) {
	before, ok := f.value(base)
	after, also := f.value(s)
	if !ok || !also || before == after {
		return "", ""
	}
	switch {
	case f.unit == unitWhole:
		points := 100 * (after - before)
		if points < 0.05 && points > -0.05 {
			return "", ""
		}
		text = fmt.Sprintf("%+.1f pts", points)
		if points < 0 {
			text = numeral.Minus + text[1:]
		}
	case after == 0:
		text = "gone"
	case before == 0:
		text = "new"
	default:
		text = change(before, after)
	}
	if text == "" || f.sense == neutral {
		return text, ""
	}
	if (after > before) == (f.sense == more) {
		return text, "better"
	}
	return text, "worse"
}

func tableRows(g group, policies []Summary) []tableRow {
	var rows []tableRow
	for _, f := range g.figures {
		if !anyHas(f, policies) {
			continue
		}
		row := tableRow{Title: f.title}
		for i := range policies {
			one := tableCell{Value: cell(f, &policies[i])}
			if i > 0 {
				one.Change, one.Class = changeOf(f, &policies[0], &policies[i])
			}
			if b, ok := policies[i].Bands[f.key]; ok && b.Low != b.High {
				if band := formatBand(f.key, policies[i].Bands); band != one.Value {
					one.Band = band
				}
			}
			row.Cells = append(row.Cells, one)
		}
		rows = append(rows, row)
	}
	return rows
}

// plots draws what the comparison has data for.
func plots(c Comparison) []plot {
	var all []plot
	add := func(title, caption string, c *chart.Chart) { all = append(all, plot{title, caption, c.HTML()}) }
	if len(c.Policies) > 0 {
		add("Errors and truncation",
			"One linear scale for all three. A policy that truncates returns an incomplete response in time instead of a 408: compare the third column with the first.",
			errorsChart(c.Policies))
		add("Work per call",
			"All tokens generated for a call, including retries. Tokens that the client did not receive were paid for and used capacity.",
			tokensChart(c.Policies))
		add("Latency",
			"Logarithmic axes. The first two cover answered tries, the third answered tries and timeouts; the last covers every call that ended, including failed ones, with retries and waits.",
			latencyChart(c.Policies))
	}
	if len(c.Sweep) > 0 {
		add("The frontier",
			"Each circle is one setting: closer to the lower left is better, and a larger circle generates more tokens per call. Zero has its own position on the logarithmic axis.",
			frontierChart(c))
	}
	if len(c.Depths) > 0 {
		add("Effect of the PTU meter's depth",
			"The burst that a provisioned deployment accepts before it refuses is not published. The results of a policy that depends on it vary here.",
			depthChart(c.Depths))
	}
	return all
}
