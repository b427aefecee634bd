package diagnose

import (
	_ "embed" // of the page
	"fmt"
	"html/template"
	"io"
	"strings"

	"github.com/spillway-ai/spillway/internal/numeral"
)

//go:embed page.html
var pageText string

// page is what the template shows.
type page struct {
	*Diagnosis
	Period string
	Cards  []card
	Plots  []picture
	Looked string
}

type card struct{ Title, Value, Note string }

// picture is a plot with what it shows and how to read it.
type picture struct {
	Title, Caption string
	Legend         []legend
	SVG            template.HTML
}

type legend struct{ Class, Text string }

// WriteHTML writes the diagnosis as one page that needs nothing else: style
// and pictures are in it, and no script.
func WriteHTML(w io.Writer, d *Diagnosis) error {
	t, err := template.New("page").Funcs(template.FuncMap{
		"percent": percent, "whole": func(n int) string { return numeral.Whole(float64(n)) }, "period": period,
		"value": func(e Evidence) string { return e.text() }, "decimals": func(v float64) string { return decimals(v, 2) },
		"rates": func(r Rates) string {
			return fmt.Sprintf("408 %s, cut %s, 429 %s", percent(r.Timeout), percent(r.Cut), percent(r.Refused))
		},
	}).Parse(pageText)
	if err != nil {
		return fmt.Errorf("reading the page's template: %w", err)
	}
	p := page{
		Diagnosis: d, Period: period(d.From, d.To), Plots: d.pictures, Looked: strings.Join(looked(), ", "),
		Cards: []card{
			{"calls", numeral.Whole(float64(d.Calls)), numeral.Whole(float64(d.Tries)) + " tries"},
			{"408", percent(d.Timeout), "of tries"},
			{"cut at the deadline", percent(d.Cut), "of tries, valid answers"},
			{"429", percent(d.Refused), "of tries"},
			{"failed in any way", percent(d.Failed), "of tries"},
		},
	}
	if err := t.Execute(w, p); err != nil {
		return fmt.Errorf("writing the page: %w", err)
	}
	return nil
}
