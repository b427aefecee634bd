package answer

import (
	"cmp"
	_ "embed" // of the page
	"fmt"
	"html/template"
	"io"
	"strconv"
	"strings"

	"github.com/spillway-ai/spillway/internal/chart"
	"github.com/spillway-ai/spillway/internal/observe/kql"
)

//go:embed page.html
var pageText string

// page is what the template shows.
type page struct {
	Style              template.CSS
	Title, Query, Note string
	Charts             []template.HTML
	Head               []cell
	Rows               [][]cell
}

type cell struct {
	Text   string
	Number bool
}

// maxPageRows bounds the rows that the page shows.
const maxPageRows = 1000

// WriteHTML writes the answer as one self-contained page: style and
// chart are in it, and no script.
func (a Answer) WriteHTML(w io.Writer) error {
	t, err := template.New("page").Parse(pageText)
	if err != nil {
		return fmt.Errorf("parse the page template: %w", err)
	}
	p := page{Style: chart.Style(), Title: a.Render.Title, Query: a.Query, Note: fmt.Sprintf("%d rows", len(a.Rows))}
	for _, c := range a.charts() {
		p.Charts = append(p.Charts, c.HTML())
	}
	if p.Title == "" {
		p.Title = question(a.Query)
	}
	if n := len(a.unrolled().seriesOf()) - maxSeries; n > 0 && len(p.Charts) > 0 {
		p.Note += fmt.Sprintf("; the chart omits %d smaller series", n)
	}
	for _, c := range a.Columns {
		p.Head = append(p.Head, cell{c.Name, drawn(c)})
	}
	for i, row := range a.Rows {
		if i == maxPageRows {
			p.Note += fmt.Sprintf(", of which the first %d are shown", maxPageRows)
			break
		}
		line := make([]cell, len(row))
		for j, v := range row {
			line[j] = cell{short(v, a.Columns[j]), drawn(a.Columns[j])}
		}
		p.Rows = append(p.Rows, line)
	}
	if err := t.Execute(w, p); err != nil {
		return fmt.Errorf("write the result: %w", err)
	}
	return nil
}

// question is what the comment at the head of a query asks, if it does.
func question(query string) string {
	text, isComment := strings.CutPrefix(query, "// ")
	line, _, _ := strings.Cut(text, "\n")
	if asks, _, found := strings.Cut(line, "?"); isComment && found {
		return asks + "?"
	}
	return "Answer"
}

// charts are what the query asks for: the lines of a column in one chart, bars
// in one for each series.
func (a Answer) charts() []*chart.Chart {
	if a.undrawn() {
		return nil
	}
	a = a.unrolled()
	all, _ := largest(a.seriesOf())
	if len(all) == 0 {
		return nil
	}
	var out []*chart.Chart
	if a.timed() {
		for i, group := range a.groups(all) {
			c := timeChart(group, a.Render)
			c.ID = "chart" + strconv.Itoa(i)
			out = append(out, c)
		}
		return out
	}
	for i, s := range all {
		c := barChart(s, chart.Hue(i), a.Render.Kind == "piechart")
		c.ID = "chart" + strconv.Itoa(i)
		out = append(out, c)
	}
	return out
}

// timeChart shows series over time; a single one is filled, since it covers no
// other.
func timeChart(all []series, r kql.Render) *chart.Chart {
	from, to, _ := bounds(all)
	p := chart.Panel{
		X:      chart.Axis{Kind: chart.Time, Label: cmp.Or(r.XTitle, "UTC, "+instantText(from)+" to "+instantText(to))},
		Y:      chart.Axis{Label: cmp.Or(r.YTitle, all[0].column)},
		Height: 300, Stacked: r.Kind == "stackedareachart",
	}
	names := make([]string, len(all))
	for i, s := range all {
		line := chart.Series{Name: s.name, Color: chart.Hue(i)}
		switch {
		case r.Kind == "scatterchart":
			line.Mark = chart.Dots
		case len(all) == 1, r.Kind == "areachart", r.Kind == "stackedareachart":
			line.Mark = chart.Area
		}
		for _, q := range s.points {
			line.Points = append(line.Points, chart.Point{X: q.at, Y: q.value, Hint: s.name + ", " + instantText(q.at) + ": " + grouped(q.value)})
		}
		p.Series = append(p.Series, line)
		names[i] = s.name
	}
	return &chart.Chart{
		Title: cmp.Or(r.Title, "Chart over time"), Desc: "Lines over time of " + strings.Join(names, ", "),
		Panels: []chart.Panel{p},
	}
}

// barChart shows a bar for each point of a series, with its share of them all
// where that is wanted.
func barChart(s series, color chart.Color, shares bool) *chart.Chart {
	bars := chart.Series{Mark: chart.Bars, Color: color}
	var rows []string
	for i, q := range s.points[:min(len(s.points), maxBars)] {
		rows = append(rows, q.label)
		bars.Points = append(bars.Points, chart.Point{X: q.value, Y: float64(i), Label: grouped(q.value) + s.share(q, shares)})
	}
	return &chart.Chart{
		Title: "Bars of " + s.name, Desc: "A bar of " + s.name + " for each row of the answer.",
		Panels: []chart.Panel{{Title: s.name, Y: chart.Axis{Names: rows}, Series: []chart.Series{bars}}},
	}
}
