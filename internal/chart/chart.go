package chart

import (
	_ "embed" // of the style
	"html/template"
	"strconv"
	"strings"
)

//go:embed style.css
var style string

// Style is the style of a page with charts: its colors for light, dark and
// paper, its text, tables and cards, and the looks of the charts.
func Style() template.CSS { return template.CSS(style) } //nolint:gosec // a constant

// Chart is one figure of a page.
type Chart struct {
	ID          string // unique in the page
	Title, Desc string // what it shows, for screen readers
	Panels      []Panel
	Columns     int // panels beside each other where there is room; 0 is 1
}

// Panel is a pair of axes with its series.
type Panel struct {
	Title   string
	X, Y    Axis
	Series  []Series
	Stacked bool    // bars and areas stand on those of the series before
	Height  float64 // between the axes; 0 takes 230. Rows have their own.
}

// Mark is how a series is drawn.
type Mark uint8

const (
	// Line joins its points. They are marked where there are few, and as
	// bubbles where they have a size.
	Line Mark = iota
	// Area is a Line with what is below it filled.
	Area
	// Bars run from zero: in rows to X, else to Y from X to X1, then pale where they
	// have a Size.
	Bars
	// Dots are points of their own, in a shape that goes with the color.
	Dots
	// Range joins the points of a row by a pale band.
	Range
	// Cells fill X to X1 and Y to Y1, the darker the larger Size is.
	Cells
)

// Series is what has one color and one name.
type Series struct {
	Name   string // in the legend; series without are not in it
	Mark   Mark
	Color  Color
	Points []Point
}

// Point is one value of a series. In a panel with rows, Y is the row's number.
type Point struct {
	X, Y   float64
	X1, Y1 float64 // the ends of a bar or cell
	Size   float64 // 0–1, of a bubble's area, or the darkness of a cell or a bar
	Label  string  // written beside the point
	Hint   string  // shown under a pointer
}

// Color is the role of a color; the style gives it a value.
type Color string

// The colors with a meaning.
const (
	Good Color = "good"
	Bad  Color = "bad"
	Warn Color = "warn"
	Soft Color = "soft"
	Ink  Color = "ink"
)

// hues is the number of colors that series take in turn.
const hues = 6

// Hue is the color of the i-th of several series. After six the colors come
// again, with dashed lines.
func Hue(i int) Color {
	c := Color("h" + strconv.Itoa(i%hues))
	if i/hues%2 == 1 {
		c += " dash"
	}
	return c
}

// shape is the shape of a color's points.
func (c Color) shape() int {
	if len(c) > 1 && c[0] == 'h' {
		return int(c[1] - '0')
	}
	return 0
}

// The widths of the two drawings, in the page's pixels.
const (
	wide   = 1000
	narrow = 372
)

// HTML is the figure's content: a legend of the named series, and a drawing
// for a wide and for a narrow screen.
func (c *Chart) HTML() template.HTML {
	return template.HTML(`<div class="chart">` + "\n" + c.legend() + c.svg(wide, "wide") + c.svg(narrow, "narrow") + "</div>\n") //nolint:gosec // every text in it is escaped where it is written
}

// svg draws the chart at a width.
func (c *Chart) svg(width float64, class string) string {
	var p picture
	height := c.draw(&p, width)
	id := c.ID + "-" + class
	return `<svg class="` + class + `" viewBox="0 0 ` + px(width) + " " + px(height) + `" role="img" aria-labelledby="` + id + `-t ` + id + `-d">` +
		`<title id="` + id + `-t">` + escape(c.Title) + `</title><desc id="` + id + `-d">` + escape(c.Desc) + "</desc>\n" + p.b.String() + "</svg>\n"
}

// legend lists the named series, each name once.
func (c *Chart) legend() string {
	var b strings.Builder
	known := map[string]bool{"": true}
	for i := range c.Panels {
		for _, s := range c.Panels[i].Series {
			if known[s.Name] {
				continue
			}
			known[s.Name] = true
			var p picture
			switch s.Mark {
			case Line, Area, Dots:
				if s.Mark != Dots {
					p.path("line "+string(s.Color), []float64{0, 7, 22, 7}, false)
				}
				p.point(11, 7, 4.5, s.Color, "")
			case Bars, Range, Cells:
				p.rect(box{4, 0.5, 17, 13.5}, "fill "+string(s.Color), "")
			}
			b.WriteString(`<li><svg viewBox="0 0 22 14" aria-hidden="true">` + p.b.String() + "</svg>" + escape(s.Name) + "</li>\n")
		}
	}
	if b.Len() == 0 {
		return ""
	}
	return `<ul class="legend">` + "\n" + b.String() + "</ul>\n"
}
