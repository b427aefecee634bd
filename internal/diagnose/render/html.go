package render

import (
	_ "embed" // of the page
	"fmt"
	"html/template"
	"io"
	"strings"

	"github.com/spillway-ai/spillway/internal/chart"
	"github.com/spillway-ai/spillway/internal/diagnose"
	"github.com/spillway-ai/spillway/internal/numeral"
)

//go:embed page.html
var pageText string

// page is what the template shows.
type page struct {
	*diagnose.Diagnosis
	Style  template.CSS
	Period string
	Cards  []card
	Plots  []plot
	Looked string
}

type card struct{ Title, Value, Note string }

// HTML writes the diagnosis as one page that needs nothing else: style
// and charts are in it, and no script.
func HTML(w io.Writer, d *diagnose.Diagnosis) error {
	t, err := template.New("page").Funcs(template.FuncMap{
		"percent": numeral.Percent, "whole": func(n int) string { return numeral.Whole(float64(n)) }, "period": period,
		"value": func(e diagnose.Evidence) string { return value(&e) }, "decimals": func(v float64) string { return numeral.Decimals(v, 2) },
		"sourceNotes": func(s diagnose.Source) []string { return sourceNotes(&s) }, "sourcePeriod": func(s diagnose.Source) string { return sourcePeriod(&s) },
		"rates": func(r diagnose.Rates) string {
			return fmt.Sprintf("408 %s, cut %s, 429 %s", numeral.Percent(r.Timeout), numeral.Percent(r.Cut), numeral.Percent(r.Refused))
		},
	}).Parse(pageText)
	if err != nil {
		return fmt.Errorf("parsing the page template: %w", err)
	}
	p := page{
		Diagnosis: d, Style: chart.Style(), Period: period(d.From, d.To), Plots: plots(d.Charts), Looked: strings.Join(looked(), ", "),
		Cards: []card{
			{"calls", numeral.Whole(float64(d.Calls)), numeral.Whole(float64(d.Tries)) + " tries"},
			{"408", numeral.Percent(d.Timeout), "of tries"},
			{"cut at the deadline", numeral.Percent(d.Cut), "of tries; valid responses"},
			{"429", numeral.Percent(d.Refused), "of tries"},
			{"failed, in total", numeral.Percent(d.Failed), "of tries"},
		},
	}
	if err := t.Execute(w, p); err != nil {
		return fmt.Errorf("writing the page: %w", err)
	}
	return nil
}
