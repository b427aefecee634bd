package answer

import (
	_ "embed" // of the page
	"fmt"
	"html"
	"html/template"
	"io"
	"strconv"
	"strings"

	"github.com/spillway-ai/spillway/internal/observe/kql"
)

//go:embed page.html
var pageText string

// page is what the template shows.
type page struct {
	Title, Query, Note string
	Hues               []int
	Charts             []picture
	Head               []cell
	Rows               [][]cell
}

type cell struct {
	Text   string
	Number bool
}

// picture is a chart with its legend.
type picture struct {
	Legend []legend
	SVG    template.HTML
}

type legend struct {
	Name   string
	Hue    int
	Dashed bool // when the hues have come round
}

// The page shows so many rows, and its charts have so many colors.
const (
	maxPageRows = 1000
	hues        = 6
)

// WriteHTML writes the answer as one page that needs nothing else: style and
// chart are in it, and no script.
func (a Answer) WriteHTML(w io.Writer) error {
	t, err := template.New("page").Parse(pageText)
	if err != nil {
		return fmt.Errorf("parse the page template: %w", err)
	}
	p := page{Title: a.Render.Title, Query: a.Query, Charts: a.pictures(), Note: fmt.Sprintf("%d rows", len(a.Rows))}
	if p.Title == "" {
		p.Title = question(a.Query)
	}
	if n := len(a.seriesOf()) - maxSeries; n > 0 && len(p.Charts) > 0 {
		p.Note += fmt.Sprintf("; the chart omits %d smaller series", n)
	}
	for i := range hues {
		p.Hues = append(p.Hues, i)
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

// pictures draws what the query asks for: the lines of a column in one
// picture, bars in one for each series.
func (a Answer) pictures() []picture {
	if a.Render.Kind == "" || a.Render.Kind == "table" {
		return nil
	}
	all := a.seriesOf()
	if len(all) == 0 {
		return nil
	}
	all, _ = largest(all)
	var out []picture
	if a.Render.Kind == "timechart" {
		for _, group := range a.groups(all) {
			p := picture{SVG: template.HTML(drawLines(group, a.Render))} // every text in it is escaped where it is drawn
			for i, s := range group {
				p.Legend = append(p.Legend, legend{s.name, i % hues, i >= hues})
			}
			out = append(out, p)
		}
		return out
	}
	for i, s := range all {
		out = append(out, picture{
			Legend: []legend{{s.name, i % hues, false}},
			SVG:    template.HTML(drawBars(s, i%hues)), // as above
		})
	}
	return out
}

// The measures of a picture, in its own units.
const (
	pictureWidth = 1000.0
	lineHeight   = 300.0
	leftRoom     = 80.0
	barHeight    = 24.0
	labelRoom    = 240.0
)

// drawLines draws series over time, with a grid of round numbers and times.
// Few points are marked, so that one without neighbors is seen.
func drawLines(all []series, r kql.Render) string {
	from, to, most := bounds(all)
	levels := roundLevels(most)
	most = max(most, levels[len(levels)-1])
	x := func(at float64) float64 {
		if to == from {
			return (leftRoom + pictureWidth) / 2
		}
		return leftRoom + (at-from)/(to-from)*(pictureWidth-leftRoom-40)
	}
	y := func(v float64) float64 { return lineHeight - max(v, 0)/most*(lineHeight-20) }
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %g %g" role="img" aria-label="Chart over time">`, pictureWidth, lineHeight+50)
	for _, v := range levels {
		fmt.Fprintf(&b, `<line x1="%g" x2="%g" y1="%s" y2="%s" class="grid"/><text x="%g" y="%s" class="end">%s</text>`,
			leftRoom, pictureWidth, px(y(v)), px(y(v)), leftRoom-8, px(y(v)+4), grouped(v))
	}
	for i, s := range all {
		dash := ""
		if i >= hues {
			dash = " dash"
		}
		var points, marks []string
		for _, p := range s.points {
			points = append(points, px(x(p.at))+","+px(y(p.value)))
			marks = append(marks, fmt.Sprintf(`<circle cx="%s" cy="%s" r="3" class="f%d"/>`, px(x(p.at)), px(y(p.value)), i%hues))
		}
		fmt.Fprintf(&b, `<polyline class="series l%d%s" points="%s"/>`, i%hues, dash, strings.Join(points, " "))
		if len(points) <= 30 {
			b.WriteString(strings.Join(marks, ""))
		}
	}
	instants, layout := roundInstants(from, to)
	for _, at := range instants {
		fmt.Fprintf(&b, `<line x1="%s" x2="%s" y1="%g" y2="%g" class="grid"/><text x="%s" y="%g" class="mid">%s</text>`,
			px(x(at)), px(x(at)), lineHeight, lineHeight+5, px(x(at)), lineHeight+20, instant(at).Format(layout))
	}
	title := r.XTitle
	if title == "" {
		title = instantText(from) + " to " + instantText(to)
	}
	fmt.Fprintf(&b, `<text x="%g" y="%g" class="mid">%s</text><text x="%g" y="12">%s</text></svg>`,
		(leftRoom+pictureWidth)/2, lineHeight+42, html.EscapeString(title), leftRoom, html.EscapeString(r.YTitle))
	return b.String()
}

// drawBars draws a bar for each point.
func drawBars(s series, hue int) string {
	_, _, most := bounds([]series{s})
	shown := s.points[:min(len(s.points), maxBars)]
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %g %s" role="img" aria-label="Bars of %s">`, pictureWidth, px(barHeight*float64(len(shown))+6), html.EscapeString(s.name))
	for i, p := range shown {
		top := barHeight * float64(i)
		width := max(p.value, 0) / most * (pictureWidth - labelRoom - 100)
		fmt.Fprintf(&b, `<text x="%g" y="%s" class="end">%s</text><rect x="%g" y="%s" width="%s" height="%g" rx="1.5" class="f%d"/><text x="%s" y="%s">%s</text>`,
			labelRoom-8, px(top+17), html.EscapeString(cut(p.label, 36)), labelRoom, px(top+4), px(width), barHeight-8, hue, px(labelRoom+width+8), px(top+17), number(p.value))
	}
	b.WriteString("</svg>")
	return b.String()
}

// px writes a coordinate to a tenth.
func px(v float64) string { return strings.TrimSuffix(strconv.FormatFloat(v, 'f', 1, 64), ".0") }
